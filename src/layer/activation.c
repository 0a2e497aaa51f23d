/* activation.c - elementwise functions, softmax and PReLU as torch.nn.functional defines them. The
 * arithmetic is kernel/elementwise.c's. */
#include "kernel/elementwise.h"
#include "kernel/kernel.h"
#include "layer/layer.h"

#include <math.h>
#include <stdlib.h>

enum { PARAMETERS = 2 };

/* What each kind calls its parameters, and torch's defaults. */
static const struct {
    const char *name, *parameter[PARAMETERS];
    double standard[PARAMETERS];
    bool may_be_infinite[PARAMETERS];
} kinds[] = {
    [VOX_ACT_RELU] = {.name = "relu"},
    [VOX_ACT_LEAKY_RELU] = {.name = "leaky_relu",
                            .parameter = {"negative_slope"},
                            .standard = {0.01}},
    [VOX_ACT_ELU] = {.name = "elu", .parameter = {"alpha"}, .standard = {1}},
    [VOX_ACT_SELU] = {.name = "selu",
                      .parameter = {"alpha", "scale"},
                      .standard = {1.6732632423543772, 1.0507009873554805}},
    [VOX_ACT_GELU] = {.name = "gelu"},
    [VOX_ACT_GELU_TANH] = {.name = "gelu_tanh"},
    [VOX_ACT_SIGMOID] = {.name = "sigmoid"},
    [VOX_ACT_HARDSIGMOID] = {.name = "hardsigmoid",
                             .parameter = {"alpha", "beta"},
                             .standard = {1.0 / 6, 0.5}},
    [VOX_ACT_HARDSWISH] = {.name = "hardswish"},
    [VOX_ACT_SILU] = {.name = "silu"},
    [VOX_ACT_TANH] = {.name = "tanh"},
    [VOX_ACT_SOFTPLUS] = {.name = "softplus",
                          .parameter = {"beta", "threshold"},
                          .standard = {1, 20},
                          .may_be_infinite = {false, true}},
    [VOX_ACT_MISH] = {.name = "mish"},
    [VOX_ACT_SOFTSIGN] = {.name = "softsign"},
    [VOX_ACT_CLIP] = {.name = "clip",
                      .parameter = {"min", "max"},
                      .standard = {-INFINITY, INFINITY},
                      .may_be_infinite = {true, true}},
    [VOX_ACT_ERF] = {.name = "erf"},
    [VOX_ACT_EXP] = {.name = "exp"},
    [VOX_ACT_LOG] = {.name = "log"},
    [VOX_ACT_SQRT] = {.name = "sqrt"},
    [VOX_ACT_ABS] = {.name = "abs"},
    [VOX_ACT_NEG] = {.name = "neg"},
    [VOX_ACT_RECIPROCAL] = {.name = "reciprocal"},
    [VOX_ACT_SOFTMAX] = {.name = "softmax"},
    [VOX_ACT_LOG_SOFTMAX] = {.name = "log_softmax"},
};

typedef struct activation_layer {
    vox_layer base;
    const vox_elementwise *elementwise;
    vox_activation kind;
    float parameter[PARAMETERS];
    int64_t channels; /* PReLU: 0 where one slope is for all */
    float *slope;     /* PReLU: [max(channels, 1)] */
} activation_layer;

static vox_status activation_shape(const vox_layer *l, const int64_t in[4], int64_t out[4],
                                   vox_axis axis[3], vox_error *err) {
    const activation_layer *a = (const activation_layer *)l;
    (void)axis;
    if (a->channels && in[0] != a->channels)
        return vox_fail(err, VOX_ERR_USAGE,
                        "prelu: num_parameters=%lld: the input has %lld channels",
                        (long long)a->channels, (long long)in[0]);
    for (int i = 0; i < 4; i++)
        out[i] = in[i];
    return VOX_OK;
}

static void activation_row(const vox_layer *l, float *row, int64_t channel_stride, int64_t channels,
                           int64_t columns) {
    const activation_layer *a = (const activation_layer *)l;
    if (a->kind == VOX_ACT_SOFTMAX || a->kind == VOX_ACT_LOG_SOFTMAX) {
        a->elementwise->softmax_row(row, channel_stride, channels, columns,
                                    a->kind == VOX_ACT_LOG_SOFTMAX);
        return;
    }
    for (int64_t c = 0; c < channels; c++)
        a->elementwise->map_row(row + c * channel_stride, columns, a->kind, a->parameter);
}

static void prelu_row(const vox_layer *l, float *row, int64_t channel_stride, int64_t channels,
                      int64_t columns) {
    const activation_layer *a = (const activation_layer *)l;
    for (int64_t c = 0; c < channels; c++) {
        const float parameter[PARAMETERS] = {a->slope[a->channels ? c : 0]};
        a->elementwise->map_row(row + c * channel_stride, columns, VOX_ACT_LEAKY_RELU, parameter);
    }
}

static void activation_free(vox_layer *l) {
    free(((activation_layer *)l)->slope);
    free(l);
}

static const vox_layer_class activation_class = {
    .name = "activation",
    .shape = activation_shape,
    .row = activation_row,
    .free = activation_free,
};

static const vox_layer_class prelu_class = {
    .name = "prelu",
    .shape = activation_shape,
    .row = prelu_row,
    .free = activation_free,
};

static activation_layer *new_layer(const vox_layer_class *class, vox_error *err) {
    vox_error local = {0};
    const vox_kernel *kernel = vox_kernel_active(&local);
    if (!kernel) {
        vox_fail(err, local.status, "%s", local.message);
        return NULL;
    }
    activation_layer *a = vox_alloc(1, sizeof *a, class->name, err);
    if (a) {
        a->base.class = class;
        a->elementwise = kernel->elementwise;
    }
    return a;
}

int vox_activation_defaults(vox_activation kind, double parameter[PARAMETERS]) {
    int count = 0;
    while (count < PARAMETERS && kinds[kind].parameter[count]) {
        parameter[count] = kinds[kind].standard[count];
        count++;
    }
    return count;
}

/* The kind's parameters in float32: `given`, or torch's defaults. */
static vox_status take_parameters(vox_activation kind, const double *given, float to[PARAMETERS],
                                  vox_error *err) {
    double standard[PARAMETERS];
    const int count = vox_activation_defaults(kind, standard);
    for (int i = 0; i < count; i++) {
        const double value = given ? given[i] : standard[i];
        to[i] = (float)value;
        if (isnan(to[i]) || (isinf(to[i]) && !kinds[kind].may_be_infinite[i]))
            return vox_fail(err, VOX_ERR_USAGE, "%s: %s=%g: must be a finite float32 number",
                            kinds[kind].name, kinds[kind].parameter[i], value);
    }
    if (kind == VOX_ACT_SOFTPLUS && to[0] == 0)
        return vox_fail(err, VOX_ERR_USAGE, "softplus: beta=0: is divided by");
    return VOX_OK;
}

vox_status vox_network_activation(vox_network *network, vox_activation kind,
                                  const double *parameter, vox_error *err) {
    if (kind < VOX_ACT_RELU || kind > VOX_ACT_LOG_SOFTMAX)
        return vox_fail(err, VOX_ERR_USAGE, "activation: kind=%d: not an activation", (int)kind);
    float values[PARAMETERS] = {0};
    vox_status status = take_parameters(kind, parameter, values, err);
    if (status)
        return status;
    vox_error local = {0};
    activation_layer *a = new_layer(&activation_class, &local);
    if (!a)
        return vox_fail(err, local.status, "%s", local.message);
    a->kind = kind;
    a->base.kind = kinds[kind].name;
    for (int i = 0; i < PARAMETERS; i++)
        a->parameter[i] = values[i];
    return vox_network_append(network, &a->base, 1, NULL, err);
}

vox_status vox_network_prelu(vox_network *network, int64_t channels, const float *slope,
                             vox_error *err) {
    if (channels < 1)
        return vox_fail(err, VOX_ERR_USAGE, "prelu: num_parameters=%lld: must be 1 or more",
                        (long long)channels);
    vox_error local = {0};
    activation_layer *a = new_layer(&prelu_class, &local);
    if (a)
        a->slope = vox_alloc(channels, sizeof *slope, "prelu", &local);
    if (!a || !a->slope) {
        free(a);
        return vox_fail(err, local.status, "%s", local.message);
    }
    a->channels = channels > 1 ? channels : 0;
    a->base.parameters = channels;
    for (int64_t c = 0; c < channels; c++)
        a->slope[c] = slope[c];
    return vox_network_append(network, &a->base, 1, NULL, err);
}
