/* readahead.h - a thread that fills a ring of bytes ahead of its reader.
 *
 * Waiting for a pipe and gunzipping run beside the computation. Bytes are handed over as they come,
 * so a slow producer delays nothing that it has already sent; an error is met where the bytes end.
 */
#ifndef VOX_STREAM_READAHEAD_H
#define VOX_STREAM_READAHEAD_H

#include "base/base.h"

/* Where the bytes come from: up to `room` bytes as soon as there are any; *made = 0 at the end.
 * Called by the thread alone, and not again after the end or an error. Bytes made before an error
 * count. */
typedef vox_status (*vox_fill)(void *user, uint8_t *buf, size_t room, size_t *made, vox_error *err);

typedef struct vox_readahead vox_readahead;

/* Starts the thread. Errors: VOX_ERR_RESOURCE. */
vox_readahead *vox_readahead_start(vox_fill fill, void *user, vox_error *err);
/* Waits for `want` bytes or the end. buf NULL: skips them. *got is right on failure too. */
vox_status vox_readahead_read(vox_readahead *r, void *buf, int64_t want, int64_t *got,
                              vox_error *err);
/* Ends the thread and waits for it; the caller has called off what `fill` may be waiting for. */
void vox_readahead_stop(vox_readahead *r);
int64_t vox_readahead_memory(void);

#endif
