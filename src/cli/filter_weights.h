/* filter_weights.h - the weights of `voxconv conv`, wherever they come from, ready for the layers.
 */
#ifndef VOX_CLI_FILTER_WEIGHTS_H
#define VOX_CLI_FILTER_WEIGHTS_H

#include "cli/conv_options.h"

/* One convolution, or the three 1-D ones of a separable named kernel, each a weight of shape
 * [out_channels, in_channels/groups, kD, kH, kW]. */
typedef struct filter_weights {
    vox_tensor *part[3];
    int part_count;
    vox_tensor *bias; /* [out_channels] or NULL; of the last part */
    int64_t in_channels, out_channels, groups;
    int64_t
        layout_channels; /* in_channels as vox_input_layout wants it: 0 for one filter a channel */
} filter_weights;

/* Reads, makes or draws the weights for `in` and checks them against it and against --kernel-size,
 * --out-channels and --groups. Errors: VOX_ERR_WEIGHTS, VOX_ERR_USAGE, VOX_ERR_RESOURCE. `f` is to
 * be freed either way. */
vox_status filter_weights_make(filter_weights *f, const conv_options *o, const vox_input *in,
                               vox_error *err);
/* Leaves it empty; freeing it again does nothing. */
void filter_weights_free(filter_weights *f);

#endif
