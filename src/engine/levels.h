/* levels.h - what is needed of every value of a network, where a part of its result is wanted. */
#ifndef VOX_LEVELS_H
#define VOX_LEVELS_H

#include "layer/layer.h"

/* A value, and the part of it that is wanted. */
typedef struct vox_level {
    vox_value value; /* its axes are the part's, over the parts of the inputs */
    vox_box box;     /* in the coordinates of the whole value; empty: not needed */
    int64_t shape[4];
} vox_level;

/* A level for every value of the network, and behind them one for what is wanted of the last:
 * layers with a reach make all of it. part NULL: everything is wanted. NULL with an error. Freed
 * with free(). */
vox_level *vox_levels_make(const vox_network *network, const int64_t in[4], const vox_box *part,
                           vox_error *err);

#endif
