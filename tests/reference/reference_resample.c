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

void ref_transpose_size(const ref_transpose *c, const int64_t in[3], int64_t out[3]) {
    for (int a = 0; a < 3; a++)
        out[a] = (in[a] - 1) * c->stride[a] - c->before[a] - c->after[a] +
                 c->dilation[a] * (c->kernel[a] - 1) + c->output_padding[a] + 1;
}

/* Adds one input voxel, at index `at`, times one filter to one output channel. */
static void scatter(const ref_transpose *c, const int64_t at[3], const int64_t out[3], double x,
                    const float *w, double *y, double *magnitude, int64_t *taps) {
    for (int64_t k = 0; k < c->kernel[0] * c->kernel[1] * c->kernel[2]; k++) {
        const int64_t tap[3] = {k / c->kernel[2] / c->kernel[1], k / c->kernel[2] % c->kernel[1],
                                k % c->kernel[2]};
        int64_t o = 0;
        for (int a = 0; a < 3 && o >= 0; a++) {
            const int64_t i = at[a] * c->stride[a] - c->before[a] + tap[a] * c->dilation[a];
            o = i < 0 || i >= out[a] ? -1 : o * out[a] + i;
        }
        if (o < 0)
            continue;
        y[o] += x * w[k];
        magnitude[o] += fabs(x * w[k]);
        taps[o]++;
    }
}

void ref_transpose3d(const ref_transpose *c, const int64_t in[3], const float *x, const float *w,
                     const float *b, double *y, double *magnitude, int64_t *taps) {
    const int64_t group_in = c->in_channels / c->groups, group_out = c->out_channels / c->groups;
    const int64_t filter = c->kernel[0] * c->kernel[1] * c->kernel[2];
    int64_t out[3];
    ref_transpose_size(c, in, out);
    const int64_t voxels = out[0] * out[1] * out[2];
    for (int64_t i = 0; i < c->out_channels * voxels; i++) {
        y[i] = b ? b[i / voxels] : 0.0;
        magnitude[i] = fabs(y[i]);
        taps[i] = 0;
    }
    for (int64_t ic = 0; ic < c->in_channels; ic++)
        for (int64_t i = 0; i < in[0] * in[1] * in[2]; i++, x++) {
            const int64_t at[3] = {i / in[2] / in[1], i / in[2] % in[1], i % in[2]};
            for (int64_t oc = 0; oc < group_out; oc++) {
                const int64_t first = (ic / group_in * group_out + oc) * voxels;
                scatter(c, at, out, *x, w + (ic * group_out + oc) * filter, y + first,
                        magnitude + first, taps + first);
            }
        }
}

/* The value of x [in] at a coordinate between voxels, or outside: beyond the ends it stays. Adds
 * the sizes of what it is made of to *magnitude. */
static double linear_at(const int64_t in[3], const float *x, const double at[3],
                        double *magnitude) {
    double sum = 0.0;
    for (int corner = 0; corner < 8; corner++) {
        int64_t index = 0;
        double share = 1.0;
        for (int a = 0; a < 3; a++) {
            const double low = floor(at[a]);
            const int high = corner >> a & 1;
            const double i = fmin(fmax(low + high, 0.0), (double)(in[a] - 1));
            share *= high ? at[a] - low : 1.0 - (at[a] - low);
            index = index * in[a] + (int64_t)i;
        }
        sum += share * x[index];
        *magnitude += share * fabs((double)x[index]);
    }
    return sum;
}

void ref_resize3d(double (*coordinate)(double o, double in, double out, double scale),
                  double (*nearest)(double x), int64_t channels, const int64_t in[3],
                  const int64_t out[3], const double scale[3], const float *x, double *y,
                  double *magnitude) {
    const int64_t voxels = out[0] * out[1] * out[2];
    for (int64_t i = 0; i < channels * voxels; i++) {
        const int64_t index[3] = {i / out[2] / out[1] % out[0], i / out[2] % out[1], i % out[2]};
        double at[3];
        for (int a = 0; a < 3; a++) {
            at[a] = coordinate((double)index[a], (double)in[a], (double)out[a], scale[a]);
            if (nearest)
                at[a] = nearest(at[a]);
        }
        magnitude[i] = 0.0;
        y[i] = linear_at(in, x + i / voxels * in[0] * in[1] * in[2], at, &magnitude[i]);
    }
}
