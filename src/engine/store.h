/* store.h - a volume of float planes that waits: in memory, or in an unlinked temporary file. */
#ifndef VOX_STORE_H
#define VOX_STORE_H

#include "base/base.h"

typedef struct vox_store vox_store;

/* For (C, D, H, W). Errors: VOX_ERR_RESOURCE. */
vox_store *vox_store_new(const int64_t shape[4], bool spooled, vox_error *err);
void vox_store_free(vox_store *s);
/* INT64_MAX where it is more than can be addressed. */
int64_t vox_store_bytes(const int64_t shape[4]);

/* The whole channel c; NULL where it is in a file. */
float *vox_store_channel(const vox_store *s, int64_t c);
/* Where it is in a file: puts a dense box of channel c in its place. */
vox_status vox_store_put(vox_store *s, int64_t c, const vox_box *box, const float *values,
                         vox_error *err);
/* Writes planes [d, d+count) of `part`, all channels, to `to`, counted from the part's first. */
vox_status vox_store_planes(const vox_store *s, const vox_box *part, int64_t d, int64_t count,
                            const vox_planes *to, vox_error *err);

#endif
