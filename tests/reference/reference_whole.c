/* reference_whole.c - layers that look at the whole volume, as plain loops; see reference.h. */
#include "reference.h"

#include <math.h>

void ref_group_norm(int64_t batch, int64_t groups, int64_t channels, int64_t voxels, const float *x,
                    const float *weight, const float *bias, double eps, double *y,
                    double *magnitude) {
    const int64_t size = channels / groups * voxels;
    for (int64_t g = 0; g < batch * groups; g++) {
        double mean = 0.0, variance = 0.0;
        for (int64_t i = g * size; i < (g + 1) * size; i++)
            mean += x[i];
        mean /= (double)size;
        for (int64_t i = g * size; i < (g + 1) * size; i++)
            variance += (x[i] - mean) * (x[i] - mean);
        variance /= (double)size;
        for (int64_t i = g * size; i < (g + 1) * size; i++) {
            const int64_t c = i / voxels % channels;
            const double alpha = (weight ? weight[c] : 1.0) / sqrt(variance + eps);
            const double beta = (bias ? bias[c] : 0.0) - mean * alpha;
            y[i] = x[i] * alpha + beta;
            if (magnitude)
                magnitude[i] = fabs(x[i] * alpha) + fabs(beta);
        }
    }
}

void ref_linear(int64_t features, int64_t outputs, const float *x, const float *w, const float *b,
                double *y, double *magnitude) {
    for (int64_t o = 0; o < outputs; o++) {
        y[o] = b ? b[o] : 0.0;
        magnitude[o] = fabs(y[o]);
        for (int64_t f = 0; f < features; f++, w++) {
            y[o] += (double)x[f] * *w;
            magnitude[o] += fabs((double)x[f] * *w);
        }
    }
}
