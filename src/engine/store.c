/* store.c - see store.h. */
#include "engine/store.h"

#include "stream/stream.h"

#include <stdlib.h>
#include <string.h>

struct vox_store {
    int64_t shape[4]; /* C, D, H, W */
    float *memory;    /* or NULL: */
    vox_spool *spool;
};

int64_t vox_store_bytes(const int64_t shape[4]) {
    int64_t bytes;
    return vox_product(shape, 4, &bytes) && vox_mul(bytes, sizeof(float), &bytes) ? bytes
                                                                                  : INT64_MAX;
}

vox_store *vox_store_new(const int64_t shape[4], bool spooled, vox_error *err) {
    vox_store *s = vox_alloc(1, sizeof *s, "volume", err);
    if (!s)
        return NULL;
    memcpy(s->shape, shape, sizeof s->shape);
    const int64_t bytes = vox_store_bytes(shape);
    if (spooled)
        s->spool = vox_spool_new(bytes, err);
    else
        s->memory = vox_alloc_uncleared(bytes, 1, "volume", err);
    if (s->spool || s->memory)
        return s;
    free(s);
    return NULL;
}

void vox_store_free(vox_store *s) {
    if (!s)
        return;
    vox_spool_free(s->spool);
    free(s->memory);
    free(s);
}

/* Index of a voxel. */
static int64_t at(const vox_store *s, int64_t c, int64_t d, int64_t h, int64_t w) {
    return ((c * s->shape[1] + d) * s->shape[2] + h) * s->shape[3] + w;
}

float *vox_store_channel(const vox_store *s, int64_t c) {
    return s->memory ? s->memory + at(s, c, 0, 0, 0) : NULL;
}

/* Rows, or whole planes where the box has them, are written in one piece. */
vox_status vox_store_put(vox_store *s, int64_t c, const vox_box *box, const float *values,
                         vox_error *err) {
    const int64_t rows = vox_box_extent(box, 1), columns = vox_box_extent(box, 2);
    const int64_t run = rows == s->shape[2] && columns == s->shape[3] ? rows : 1;
    const int64_t bytes = run * columns * (int64_t)sizeof(float);
    for (int64_t d = box->from[0]; d < box->to[0]; d++)
        for (int64_t h = 0; h < rows; h += run, values += run * columns) {
            const int64_t offset =
                at(s, c, d, box->from[1] + h, box->from[2]) * (int64_t)sizeof(float);
            const vox_status status = vox_spool_write_at(s->spool, values, bytes, offset, err);
            if (status)
                return status;
        }
    return VOX_OK;
}

vox_status vox_store_planes(const vox_store *s, const vox_box *part, int64_t d, int64_t count,
                            const vox_planes *to, vox_error *err) {
    const int64_t bytes = vox_box_extent(part, 2) * (int64_t)sizeof(float);
    for (int64_t c = 0; c < s->shape[0]; c++)
        for (int64_t p = d; p < d + count; p++)
            for (int64_t h = 0; h < vox_box_extent(part, 1); h++) {
                const int64_t from = at(s, c, part->from[0] + p, part->from[1] + h, part->from[2]);
                float *row = vox_plane_row(to, c, p, h);
                if (s->memory) {
                    memcpy(row, s->memory + from, (size_t)bytes);
                    continue;
                }
                const vox_status status =
                    vox_spool_read_at(s->spool, row, bytes, from * (int64_t)sizeof(float), err);
                if (status)
                    return status;
            }
    return VOX_OK;
}
