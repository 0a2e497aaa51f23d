/* layout.h - where plane d of channel c of frame n lies in a file.
 *
 * A file's planes lie in the order d, t, u, v, w, fastest first. t is the batch or channels, u is
 * channels, v and w are batch. Channels count, slowest first: file, u, t where t is channels,
 * component.
 */
#ifndef VOX_VOLUME_LAYOUT_H
#define VOX_VOLUME_LAYOUT_H

#include "volume/input.h"

/* The planes of a file as [outer][channels][inner][depth], depth fastest; frame n = outer *
 * inner_count + inner. `channels` counts planes, so a voxel's components are one. */
typedef struct vox_plane_order {
    int64_t channels, inner, depth;
} vox_plane_order;

vox_plane_order vox_plane_order_of(const vox_header *h, bool time_is_channels);

/* The index of a plane, counted from the first voxel of the file. */
static inline int64_t vox_plane_index(const vox_plane_order *o, int64_t n, int64_t channel,
                                      int64_t d) {
    return ((n / o->inner * o->channels + channel) * o->inner + n % o->inner) * o->depth + d;
}

#endif
