/* weights.h - the tensor formats behind vox_weights: one table of readers and writers.
 *
 * The public functions (vox_weights_*, vox_kernel_named, vox_init_conv3d) are declared in voxconv.h. */
#ifndef VOX_WEIGHTS_H
#define VOX_WEIGHTS_H

#include "base/base.h"

#endif
