/* reference_layers.c - batch normalisation, activations and pooling as plain loops; see
 * reference.h. */
#include "reference.h"

#include <math.h>
#include <stddef.h>

void ref_batchnorm(int64_t batch, int64_t channels, int64_t voxels, const float *x,
                   const float *mean, const float *var, const float *weight, const float *bias,
                   double eps, double *y) {
    for (int64_t i = 0; i < batch * channels * voxels; i++) {
        int64_t c = i / voxels % channels;
        double scale = weight ? weight[c] : 1.0, shift = bias ? bias[c] : 0.0;
        y[i] = ((double)x[i] - mean[c]) / sqrt((double)var[c] + eps) * scale + shift;
    }
}

/* torch's documentation of each function, term by term. */
static double activate(ref_act kind, const double p[2], double x) {
    switch (kind) {
    case REF_RELU:
        return x < 0 ? 0 : x;
    case REF_LEAKY_RELU:
        return x < 0 ? p[0] * x : x;
    case REF_ELU:
        return x < 0 ? p[0] * expm1(x) : x;
    case REF_SELU:
        return p[1] * (x < 0 ? p[0] * expm1(x) : x);
    case REF_GELU:
        return x * 0.5 * (1 + erf(x / sqrt(2)));
    case REF_GELU_TANH:
        return x * 0.5 * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
    case REF_SIGMOID:
        return 1 / (1 + exp(-x));
    case REF_HARDSIGMOID:
        x = p[0] * x + p[1];
        return x < 0 ? 0 : x > 1 ? 1 : x;
    case REF_HARDSWISH:
        return x * (x < -3 ? 0 : x > 3 ? 6 : x + 3) / 6;
    case REF_SILU:
        return x * (1 / (1 + exp(-x)));
    case REF_TANH:
        return tanh(x);
    case REF_SOFTPLUS: /* above 700 the exponential overflows, and 1 is nothing beside it */
        return p[0] * x > p[1] || p[0] * x > 700 ? x : log1p(exp(p[0] * x)) / p[0];
    case REF_MISH:
        return x * tanh(log1p(exp(x)));
    case REF_SOFTSIGN:
        return x / (1 + fabs(x));
    case REF_CLIP:
        x = x < p[0] ? p[0] : x;
        return x > p[1] ? p[1] : x;
    case REF_ERF:
        return erf(x);
    case REF_EXP:
        return exp(x);
    case REF_LOG:
        return log(x);
    case REF_SQRT:
        return sqrt(x);
    case REF_ABS:
        return fabs(x);
    case REF_NEG:
        return -x;
    case REF_RECIPROCAL:
        return 1 / x;
    case REF_SOFTMAX:
    case REF_LOG_SOFTMAX:
        break;
    }
    return NAN;
}

/* The softmax of one voxel, whose channels are `step` apart. The largest is taken off first, so
 * that no exponential overflows. */
static void softmax(bool logarithm, int64_t channels, int64_t step, const float *x, double *y) {
    double largest = x[0], sum = 0.0;
    for (int64_t c = 1; c < channels; c++)
        largest = fmax(largest, x[c * step]);
    for (int64_t c = 0; c < channels; c++)
        sum += exp(x[c * step] - largest);
    for (int64_t c = 0; c < channels; c++)
        y[c * step] =
            logarithm ? x[c * step] - largest - log(sum) : exp(x[c * step] - largest) / sum;
}

void ref_activation(ref_act kind, const double parameter[2], int64_t batch, int64_t channels,
                    int64_t voxels, const float *x, double *y) {
    if (kind == REF_SOFTMAX || kind == REF_LOG_SOFTMAX) {
        for (int64_t n = 0; n < batch; n++)
            for (int64_t v = 0; v < voxels; v++) {
                int64_t first = n * channels * voxels + v;
                softmax(kind == REF_LOG_SOFTMAX, channels, voxels, x + first, y + first);
            }
        return;
    }
    for (int64_t i = 0; i < batch * channels * voxels; i++)
        y[i] = activate(kind, parameter, x[i]);
}

void ref_pool_size(const ref_pool *p, const int64_t in[3], int64_t out[3]) {
    for (int a = 0; a < 3; a++) {
        int64_t dilation = p->average ? 1 : p->dilation[a];
        int64_t room = in[a] + p->padding[a] + p->after[a] - dilation * (p->kernel[a] - 1) - 1;
        int64_t last = room / p->stride[a];
        if (p->ceil_mode && room % p->stride[a] != 0)
            last++;
        if (p->ceil_mode && last * p->stride[a] >= in[a] + p->padding[a])
            last--;
        out[a] = last + 1;
    }
}

/* One window of max pooling: the largest voxel that lies inside; a NaN wins, as in torch. */
static double window_max(const ref_pool *p, const int64_t in[3], const float *x,
                         const int64_t start[3]) {
    double largest = -INFINITY;
    const int64_t *k = p->kernel, *l = p->dilation;
    for (int64_t d = start[0]; d < start[0] + k[0] * l[0]; d += l[0])
        for (int64_t h = start[1]; h < start[1] + k[1] * l[1]; h += l[1])
            for (int64_t w = start[2]; w < start[2] + k[2] * l[2]; w += l[2]) {
                if (d < 0 || h < 0 || w < 0 || d >= in[0] || h >= in[1] || w >= in[2])
                    continue;
                float v = x[(d * in[1] + h) * in[2] + w];
                if (v > largest || isnan(v))
                    largest = v;
                if (isnan(v))
                    return NAN;
            }
    return largest;
}

/* One window of average pooling. With count_include_pad the divisor is the window cut at the end of
 * the padding (a window of ceil_mode may hang over it), else the voxels that lie inside. */
static double window_mean(const ref_pool *p, const int64_t in[3], const float *x,
                          const int64_t start[3]) {
    double sum = 0.0;
    int64_t inside = 0, padded = 0;
    for (int64_t d = start[0]; d < start[0] + p->kernel[0]; d++)
        for (int64_t h = start[1]; h < start[1] + p->kernel[1]; h++)
            for (int64_t w = start[2]; w < start[2] + p->kernel[2]; w++) {
                if (d >= in[0] + p->after[0] || h >= in[1] + p->after[1] ||
                    w >= in[2] + p->after[2])
                    continue;
                padded++;
                if (d < 0 || h < 0 || w < 0 || d >= in[0] || h >= in[1] || w >= in[2])
                    continue;
                inside++;
                sum += x[(d * in[1] + h) * in[2] + w];
            }
    return sum / (double)(p->count_include_pad ? padded : inside);
}

void ref_pool3d(const ref_pool *p, int64_t batch, int64_t channels, const int64_t in[3],
                const float *x, double *y) {
    int64_t out[3], at[3];
    ref_pool_size(p, in, out);
    for (int64_t plane = 0; plane < batch * channels; plane++, x += in[0] * in[1] * in[2])
        for (at[0] = 0; at[0] < out[0]; at[0]++)
            for (at[1] = 0; at[1] < out[1]; at[1]++)
                for (at[2] = 0; at[2] < out[2]; at[2]++) {
                    int64_t start[3];
                    for (int a = 0; a < 3; a++)
                        start[a] = at[a] * p->stride[a] - p->padding[a];
                    *y++ = p->average ? window_mean(p, in, x, start) : window_max(p, in, x, start);
                }
}
