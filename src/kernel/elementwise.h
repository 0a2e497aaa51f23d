/* elementwise.h - functions of single values over a row, and softmax over the channels, in vectors.
 *
 * Every variant gives the same bits (ARCHITECTURE.md, "Elementwise functions"), and a value's
 * result does not depend on where in the row it stands. NaN stays NaN, and comes out as
 * vox_machine_nan().
 */
#ifndef VOX_ELEMENTWISE_H
#define VOX_ELEMENTWISE_H

#include "base/base.h"

typedef struct vox_elementwise {
    /* row[i] = f(row[i]) for `columns` values. parameter: as many as the kind has (voxconv.h); the
     * others are not looked at, but must be there. Not for softmax and log_softmax. */
    void (*map_row)(float *row, int64_t columns, vox_activation kind, const float parameter[2]);
    /* Over the values row[c*channel_stride + i] of each column i: exp(x - max) / sum of these, or
     * its logarithm. Channels are added in ascending order. */
    void (*softmax_row)(float *row, int64_t channel_stride, int64_t channels, int64_t columns,
                        bool logarithm);
} vox_elementwise;

#endif
