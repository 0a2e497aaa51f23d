/* transpose.h - a transposed convolution as its two files see it: conv_transpose3d.c, what the
 * layer is, and transpose_run.c, how it is computed.
 *
 * Input i meets output o at tap k where o + padding = i*stride + dilation*k. So along an axis the
 * outputs fall into `stride` *phases*, those of equal (o + padding) modulo stride: a phase meets
 * every (stride/gcd)-th tap, gcd being that of stride and dilation, and is an ordinary convolution
 * of stride 1 with them, turned round, and with dilation/gcd. Of the phases along D and H each has
 * planes and rows of its own; those along W are computed one by one and interleaved.
 *
 *     kernel 3, stride 2, padding 1:   o   0   1   2   3   4   5      phase 1 (even o): tap 1
 *                                      i   0  0,1  1  1,2  2  2,3     phase 0 (odd o): taps 2, 0
 *                                      k   1  2,0  1  2,0  1  2,0
 */
#ifndef VOX_TRANSPOSE_H
#define VOX_TRANSPOSE_H

#include "layer/layer.h"

typedef struct transpose_layer {
    vox_layer base;
    vox_conv_transpose3d conv;
    float *weight; /* [in_channels, out_channels/groups, kD, kH, kW] */
    float *bias;   /* [out_channels] */
} transpose_layer;

/* a/b, rounded down; b > 0. */
int64_t vox_floor_div(int64_t a, int64_t b);
/* The greatest common divisor of stride and dilation along axis i. */
int64_t vox_transpose_divisor(const vox_conv_transpose3d *c, int i);
/* dilation*(kernel_size-1). */
int64_t vox_transpose_span(const vox_conv_transpose3d *c, int i);
/* Extent of the output for an input of `in`. */
int64_t vox_transpose_extent(const vox_conv_transpose3d *c, int i, int64_t in);
/* Taps from one that a phase meets to the next. */
int64_t vox_transpose_tap_step(const vox_conv_transpose3d *c, int i);
/* Taps of a phase, at most. */
int64_t vox_transpose_taps(const vox_conv_transpose3d *c, int i);
/* Values of the weight. */
int64_t vox_transpose_weights(const vox_conv_transpose3d *c);

vox_status vox_transpose_prepare(const vox_layer *l, const vox_axis axis[3], int threads,
                                 void **prepared, vox_error *err);
int64_t vox_transpose_weight_bytes(const vox_layer *l, const vox_axis axis[3], int threads);
void vox_transpose_window(const vox_layer *l, void *prepared, const vox_window *w);

#endif
