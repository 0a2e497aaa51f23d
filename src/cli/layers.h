/* layers.h - the network of layers that `voxconv conv` applies. */
#ifndef VOX_CLI_LAYERS_H
#define VOX_CLI_LAYERS_H

#include "cli/filter_weights.h"

/* Convolution, batch normalisation, activation, pooling, as far as asked for. Errors:
 * VOX_ERR_WEIGHTS for a batch normalisation that does not fit, and those of the network. The caller
 * frees it. */
vox_network *layers_build(const filter_weights *f, const conv_options *o, vox_error *err);

#endif
