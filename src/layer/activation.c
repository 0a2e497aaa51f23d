/* activation.c - elementwise functions and softmax, as torch.nn.functional defines them.
 *
 * The transcendental ones are computed in double and rounded once: the result is then the correctly
 * rounded one but for about one value in 2^28, and does not depend on which of libm's variants the
 * machine picks. */
#include "layer/layer.h"

#include <math.h>
#include <stdlib.h>

typedef struct activation_layer {
    vox_layer base;
    vox_activation kind;
    float parameter;
} activation_layer;

static vox_status activation_shape(const vox_layer *l, const int64_t in[4], int64_t out[4],
                                   vox_axis axis[3], vox_error *err) {
    (void)l, (void)axis, (void)err;
    for (int i = 0; i < 4; i++)
        out[i] = in[i];
    return VOX_OK;
}

/* Each writes its loop out, so that the compiler turns the simple ones into vectors. Comparisons
 * are such that NaN stays NaN, as in torch. */
static void apply(vox_activation kind, float parameter, float *x, int64_t n) {
    switch (kind) {
    case VOX_ACT_RELU:
        for (int64_t i = 0; i < n; i++)
            x[i] = x[i] < 0 ? 0 : x[i];
        break;
    case VOX_ACT_LEAKY_RELU:
        for (int64_t i = 0; i < n; i++)
            x[i] = x[i] < 0 ? x[i] * parameter : x[i];
        break;
    case VOX_ACT_ELU:
        for (int64_t i = 0; i < n; i++)
            x[i] = x[i] < 0 ? (float)(parameter * expm1(x[i])) : x[i];
        break;
    case VOX_ACT_SIGMOID:
        for (int64_t i = 0; i < n; i++)
            x[i] = (float)(1 / (1 + exp(-(double)x[i])));
        break;
    case VOX_ACT_TANH:
        for (int64_t i = 0; i < n; i++)
            x[i] = (float)tanh(x[i]);
        break;
    case VOX_ACT_SOFTMAX: /* not elementwise */
        break;
    }
}

/* exp(x - max) / sum over the channels of each voxel. Channels are added in ascending order. */
static void softmax(float *row, int64_t channel_stride, int64_t channels, int64_t columns) {
    for (int64_t i = 0; i < columns; i++) {
        float *x = row + i, most = x[0];
        for (int64_t c = 1; c < channels; c++) {
            float v = x[c * channel_stride];
            if (v > most || isnan(v))
                most = v;
        }
        double sum = 0;
        for (int64_t c = 0; c < channels; c++)
            sum += exp((double)x[c * channel_stride] - most);
        for (int64_t c = 0; c < channels; c++)
            x[c * channel_stride] = (float)(exp((double)x[c * channel_stride] - most) / sum);
    }
}

static void activation_row(const vox_layer *l, float *row, int64_t channel_stride, int64_t channels,
                           int64_t columns) {
    const activation_layer *a = (const activation_layer *)l;
    if (a->kind == VOX_ACT_SOFTMAX) {
        softmax(row, channel_stride, channels, columns);
        return;
    }
    for (int64_t c = 0; c < channels; c++)
        apply(a->kind, a->parameter, row + c * channel_stride, columns);
}

static void activation_free(vox_layer *l) {
    free(l);
}

static const vox_layer_class activation_class = {
    .name = "activation",
    .shape = activation_shape,
    .row = activation_row,
    .free = activation_free,
};

vox_status vox_network_activation(vox_network *network, vox_activation kind, double parameter,
                                  vox_error *err) {
    if (kind < VOX_ACT_RELU || kind > VOX_ACT_SOFTMAX || !isfinite(parameter))
        return vox_fail(err, VOX_ERR_USAGE, "activation: kind=%d, parameter=%g: not an activation",
                        (int)kind, parameter);
    activation_layer *a = vox_alloc(1, sizeof *a, "activation", err);
    if (!a)
        return VOX_ERR_RESOURCE;
    a->base.class = &activation_class;
    a->kind = kind;
    a->parameter = (float)parameter;
    return vox_network_append(network, &a->base, 1, NULL, err);
}
