/* reference.h - what every layer computes, written down as plain loops in double precision.
 *
 * The tests compare the library with these functions. They share no code with src/ and no trick
 * with it: each output voxel is a sum over its window, read straight off torch's documentation,
 * with the border decided voxel by voxel. They are slow and meant to be obviously right;
 * tests/unit/test_reference.c checks them against values that torch computed.
 *
 * Arrays are dense (N, C, D, H, W), W fastest; triples are {D, H, W}. Nothing is checked: the
 * caller passes parameters that torch accepts. All functions are pure and may run in any thread.
 */
#ifndef REFERENCE_H
#define REFERENCE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum ref_mode { REF_ZEROS, REF_REFLECT, REF_REPLICATE, REF_CIRCULAR } ref_mode;

/* torch.nn.functional.pad followed by torch.nn.functional.conv3d: the two sides may differ. */
typedef struct ref_conv {
    int64_t in_channels, out_channels, groups;
    int64_t kernel[3], stride[3], dilation[3], before[3], after[3];
    ref_mode mode;
} ref_conv;

/* Extents of the output, torch.nn.Conv3d's formula. */
void ref_conv_size(const ref_conv *c, const int64_t in[3], int64_t out[3]);

/* x [batch, in_channels, in], w [out_channels, in_channels/groups, kernel], b [out_channels] or
 * NULL. y [batch, out_channels, out] gets the result, and `magnitude`, where not NULL, sum |w||x| +
 * |b|, which rounding bounds are made of. Products of two floats are exact in double, so y is off
 * by no more than taps * 2^-53 * magnitude. */
void ref_conv3d(const ref_conv *c, int64_t batch, const int64_t in[3], const float *x,
                const float *w, const float *b, double *y, double *magnitude);

/* The same sum in the arithmetic that voxconv promises bit for bit (DESIGN: "One arithmetic"): it
 * starts at the bias and takes one float fused multiply-add per tap, in the order in_channel, kd,
 * kh, kw. */
void ref_conv3d_fused(const ref_conv *c, int64_t batch, const int64_t in[3], const float *x,
                      const float *w, const float *b, float *y);

/* Promise 1: the largest |y - exact| that is allowed, gamma_n * magnitude with n = taps *
 * in_channels/groups + 1 and u = 2^-24 (Higham, Accuracy and Stability of Numerical
 * Algorithms, 3.1). */
double ref_conv_bound(const ref_conv *c, double magnitude);

/* torch.nn.BatchNorm3d in eval mode over x [batch, channels, voxels]. weight and bias may be NULL.
 */
void ref_batchnorm(int64_t batch, int64_t channels, int64_t voxels, const float *x,
                   const float *mean, const float *var, const float *weight, const float *bias,
                   double eps, double *y);

/* In the order of vox_activation. */
typedef enum ref_act {
    REF_RELU,
    REF_LEAKY_RELU,
    REF_ELU,
    REF_SELU,
    REF_GELU,
    REF_GELU_TANH,
    REF_SIGMOID,
    REF_HARDSIGMOID,
    REF_HARDSWISH,
    REF_SILU,
    REF_TANH,
    REF_SOFTPLUS,
    REF_MISH,
    REF_SOFTSIGN,
    REF_CLIP,
    REF_ERF,
    REF_EXP,
    REF_LOG,
    REF_SQRT,
    REF_ABS,
    REF_NEG,
    REF_RECIPROCAL,
    REF_SOFTMAX, /* these two over the channels */
    REF_LOG_SOFTMAX,
} ref_act;

/* y = act(x), x [batch, channels, voxels]; `parameter`: torch's, in torch's order. */
void ref_activation(ref_act kind, const double parameter[2], int64_t batch, int64_t channels,
                    int64_t voxels, const float *x, double *y);

/* The largest |y - exact| that is allowed to a kind of one value at x, where `exact` is its value:
 * the sum of the roundings, derived in reference_bounds.c. */
double ref_activation_bound(ref_act kind, const double parameter[2], double x, double exact);
/* The same for one voxel of softmax or log_softmax over `channels`, where the channel's x is
 * `below` less than the largest. */
double ref_softmax_bound(ref_act kind, int64_t channels, double below, double exact);

/* torch.nn.MaxPool3d (implicit padding of -infinity) and torch.nn.AvgPool3d. */
typedef struct ref_pool {
    bool average;
    int64_t kernel[3], stride[3], dilation[3]; /* dilation: max pooling only */
    int64_t padding[3], after[3];              /* before and after */
    bool ceil_mode, count_include_pad;
} ref_pool;

/* Extents of the output: with ceil_mode a last window may hang over the end, but has to start
 * inside the input or its padding before. */
void ref_pool_size(const ref_pool *p, const int64_t in[3], int64_t out[3]);
void ref_pool3d(const ref_pool *p, int64_t batch, int64_t channels, const int64_t in[3],
                const float *x, double *y);

/* torch.nn.GroupNorm over x [batch, channels, voxels]. weight and bias may be NULL. `magnitude`,
 * where not NULL, gets |x*alpha| + |beta| of y = x*alpha + beta, which rounding bounds are made of.
 */
void ref_group_norm(int64_t batch, int64_t groups, int64_t channels, int64_t voxels, const float *x,
                    const float *weight, const float *bias, double eps, double *y,
                    double *magnitude);

/* torch.nn.Linear: x [features], w [outputs, features], b [outputs] or NULL. `magnitude` gets
 * sum |w||x| + |b|. */
void ref_linear(int64_t features, int64_t outputs, const float *x, const float *w, const float *b,
                double *y, double *magnitude);

/* torch.nn.AdaptiveAvgPool3d and AdaptiveMaxPool3d over x [channels, in]. */
void ref_adaptive_pool3d(bool average, int64_t channels, const int64_t in[3], const int64_t out[3],
                         const float *x, double *y);

/* torch.nn.ConvTranspose3d: every input voxel adds its kernel to the output. x [in_channels, in],
 * w [in_channels, out_channels/groups, kernel], b [out_channels] or NULL. `taps`, where not NULL,
 * gets how many products an output is the sum of. */
typedef struct ref_transpose {
    int64_t in_channels, out_channels, groups;
    int64_t kernel[3], stride[3], dilation[3], before[3], after[3], output_padding[3];
} ref_transpose;
void ref_transpose_size(const ref_transpose *c, const int64_t in[3], int64_t out[3]);
void ref_transpose3d(const ref_transpose *c, const int64_t in[3], const float *x, const float *w,
                     const float *b, double *y, double *magnitude, int64_t *taps);

/* ONNX's Resize (https://onnx.ai/onnx/operators/onnx__Resize.html) over x [channels, in]: linear
 * where `nearest` is NULL, or with the rounding that nearest() does. coordinate(o, in, out, scale)
 * is the coordinate transformation. */
void ref_resize3d(double (*coordinate)(double o, double in, double out, double scale),
                  double (*nearest)(double x), int64_t channels, const int64_t in[3],
                  const int64_t out[3], const double scale[3], const float *x, double *y,
                  double *magnitude);

#endif
