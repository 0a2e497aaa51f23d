/* gzip.h - bytes to one gzip member (RFC 1952), compressed by many threads.
 *
 * The data is cut into blocks of a fixed size; each is compressed by itself and ends in a full
 * flush, so the joined blocks are one deflate stream. Where the cuts lie depends on the position in
 * the data alone: the result is the same for every number of threads and however the data is handed
 * over. The header has no name and no time. Level 0 stores.
 */
#ifndef VOX_STREAM_GZIP_H
#define VOX_STREAM_GZIP_H

#include "base/base.h"

typedef struct vox_gzip vox_gzip;

/* Where the compressed bytes go. */
typedef vox_status (*vox_gzip_put)(void *user, const void *buf, int64_t bytes, vox_error *err);

/* level 0 to 9, -1 the default; threads 0: all that OpenMP has. All memory is allocated here.
 * Errors: VOX_ERR_RESOURCE, VOX_ERR_USAGE for another level. */
vox_gzip *vox_gzip_new(int level, int threads, vox_gzip_put put, void *user, vox_error *err);
vox_status vox_gzip_write(vox_gzip *g, const void *buf, int64_t bytes, vox_error *err);
/* The last block and the trailer. */
vox_status vox_gzip_finish(vox_gzip *g, vox_error *err);
void vox_gzip_free(vox_gzip *g);
int64_t vox_gzip_memory(int level, int threads);

#endif
