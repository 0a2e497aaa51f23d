/* turn.h - flips and turns by 90 degrees: voxels that change places and keep their bits.
 *
 * Any such change is a signed permutation of the axes: each axis of the output runs along one axis
 * of the input, from its start or from its end. Stored elements are moved as bytes, whatever they
 * mean.
 */
#ifndef VOX_VOLUME_TURN_H
#define VOX_VOLUME_TURN_H

#include "base/base.h"

/* For each of the output's axes D, H, W. */
typedef struct vox_turn {
    int axis[3];      /* the input's axis that it runs along */
    bool reversed[3]; /* from the end of that */
} vox_turn;

/* Nothing changes. */
vox_turn vox_turn_none(void);
/* torch.flip(x, [axis]) of what t gave before. */
void vox_turn_flip(vox_turn *t, int axis);
/* torch.rot90(x, k, [from, to]) of what t gave before: by k * 90 degrees from one axis towards the
 * other; 0 <= k <= 3. */
void vox_turn_rot90(vox_turn *t, int k, int from, int to);
bool vox_turn_is_none(const vox_turn *t);
/* The output's extents for an input's, {D, H, W}. */
void vox_turn_size(const vox_turn *t, const int64_t in[3], int64_t out[3]);
/* The output axis that runs along an axis of the input. */
int vox_turn_where(const vox_turn *t, int axis);

/* The part of the input, extents `in`, that makes the output's planes [d, d+count). */
vox_box vox_turn_source(const vox_turn *t, const int64_t in[3], int64_t d, int64_t count);

/* Rows [part->from[1], part->to[1]) of input plane z, whole and one after the other in `plane`, to
 * their places in `slab`, the output's planes from d on: as far as they are in `part`, which
 * vox_turn_source gave. Elements have `bytes` bytes. */
void vox_turn_plane(const vox_turn *t, const int64_t in[3], const vox_box *part, int64_t z,
                    const unsigned char *plane, int64_t d, unsigned char *slab, int64_t bytes,
                    int threads);

#endif
