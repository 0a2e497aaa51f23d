/* pool.h - slots for padded planes, which the feeds whose planes are laid out alike take from and
 * give back to.
 *
 * A layer that needs its whole input, such as instance norm, fills one volume while the layer
 * before it empties another. Where both come from one pool they take the memory of one volume and
 * not of two; and a skip connection of a U-Net fills as the ring that it comes from empties. */
#ifndef VOX_POOL_H
#define VOX_POOL_H

#include "base/base.h"

enum { VOX_LINE = VOX_ALIGN / sizeof(float) }; /* floats of a cache line */

/* A padded plane of all channels, in floats. Where the stride along W is s, a padded row is kept as
 * s phases of phase_length floats, so that the inputs of successive outputs lie side by side at
 * every tap. */
typedef struct vox_plane_layout {
    int64_t channels, rows, columns; /* of the interior */
    int64_t padded_rows, padded_columns;
    int64_t front_rows, front_columns; /* padding above and to the left */
    int64_t phases, phase_length;
    int64_t row_stride, channel_stride, slot_stride;
    float fill; /* of padding without a source */
    /* Whether the padding above and below, and to the left and right, is never written: it stays
     * `fill`. Where not, the reader writes it for every plane anew. */
    bool rows_stay, columns_stay;
} vox_plane_layout;

/* While a run is simulated a pool only counts; the most slots that were taken at a time are then
 * its size. */
typedef struct vox_pool {
    vox_plane_layout layout;
    bool zero_plane; /* a slot more, of `fill` alone */
    bool external; /* its planes are somebody else's: those of the result or, where the reader has a
                      window, a source's, without padding */
    bool own;      /* one feed's, and nobody else's */
    int threads;
    int64_t taken, most; /* slots, at the moment and at most */
    float *memory;
    float **idle; /* [most], a stack: the first most - taken are free */
} vox_pool;

/* Whether planes laid out like that can take the pool's slots: in the same places, and with padding
 * that none of the readers spoils for another. */
bool vox_pool_fits(const vox_pool *p, const vox_plane_layout *layout);
/* INT64_MAX where they overflow. */
int64_t vox_pool_bytes(const vox_pool *p);
/* Memory for `most` slots; the padding in them is filled. */
vox_status vox_pool_start(vox_pool *p, vox_error *err);
void vox_pool_free(vox_pool *p);

/* Padded row 0 of channel 0 of a slot that nobody has; NULL before vox_pool_start. Not for several
 * threads. */
float *vox_pool_take(vox_pool *p);
void vox_pool_give(vox_pool *p, float *slot);
float *vox_pool_zero_plane(const vox_pool *p);

#endif
