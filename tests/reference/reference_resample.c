/* reference_resample.c - layers that change the size by other means than a stride, as plain loops;
 * see reference.h. */
#include "reference.h"

#include <math.h>
#include <stddef.h>

/* The mean or the largest of x [in] over [from, to). */
static double pool_box(bool average, const int64_t in[3], const float *x, const int64_t from[3],
                       const int64_t to[3]) {
    double sum = 0.0, largest = -INFINITY;
    int64_t count = 0;
    for (int64_t d = from[0]; d < to[0]; d++)
        for (int64_t h = from[1]; h < to[1]; h++)
            for (int64_t w = from[2]; w < to[2]; w++, count++) {
                const double v = x[(d * in[1] + h) * in[2] + w];
                sum += v;
                largest = isnan(v) || v > largest ? v : largest;
            }
    return average ? sum / (double)count : largest;
}

void ref_adaptive_pool3d(bool average, int64_t channels, const int64_t in[3], const int64_t out[3],
                         const float *x, double *y) {
    const int64_t voxels = out[0] * out[1] * out[2];
    for (int64_t i = 0; i < channels * voxels; i++) {
        const int64_t at[3] = {i / out[2] / out[1] % out[0], i / out[2] % out[1], i % out[2]};
        int64_t from[3], to[3];
        for (int a = 0; a < 3; a++) {
            from[a] = (int64_t)floor((double)(at[a] * in[a]) / (double)out[a]);
            to[a] = (int64_t)ceil((double)((at[a] + 1) * in[a]) / (double)out[a]);
        }
        y[i] = pool_box(average, in, x + i / voxels * in[0] * in[1] * in[2], from, to);
    }
}
