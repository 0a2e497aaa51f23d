/* keras_layers.c - Keras' layers that work on every voxel by itself, and the table of all layers.
 * Definitions: https://keras.io/api/layers/ */
#include "model/keras_layers.h"

#include <math.h>
#include <string.h>

/* Keras' constants of SELU. */
#define SELU_ALPHA 1.67326324
#define SELU_SCALE 1.05070098

vox_status keras_add_activation(const keras_context *c, const char *name) {
    static const struct {
        const char *name;
        vox_activation kind;
        double parameter[2];
    } kinds[] = {{"relu", VOX_ACT_RELU, {0}},
                 {"relu6", VOX_ACT_CLIP, {0, 6}},
                 {"elu", VOX_ACT_ELU, {1}},
                 {"selu", VOX_ACT_SELU, {SELU_ALPHA, SELU_SCALE}},
                 {"gelu", VOX_ACT_GELU, {0}},
                 {"sigmoid", VOX_ACT_SIGMOID, {0}},
                 {"hard_sigmoid", VOX_ACT_HARDSIGMOID, {0.2, 0.5}},
                 {"swish", VOX_ACT_SILU, {0}},
                 {"tanh", VOX_ACT_TANH, {0}},
                 {"softplus", VOX_ACT_SOFTPLUS, {1, INFINITY}},
                 {"softsign", VOX_ACT_SOFTSIGN, {0}},
                 {"mish", VOX_ACT_MISH, {0}},
                 {"exponential", VOX_ACT_EXP, {0}},
                 {"softmax", VOX_ACT_SOFTMAX, {0}}};
    if (!strcmp(name, "linear"))
        return VOX_OK;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(name, kinds[i].name))
            return vox_network_activation(c->network, kinds[i].kind, kinds[i].parameter, c->err);
    return vox_fail(c->err, VOX_ERR_UNSUPPORTED, "%s: layer '%.100s': activation=%.60s: unknown",
                    c->model->path, c->name, name);
}

/* The axis of a layer that works along the channels. */
static vox_status check_channels(const keras_context *c) {
    if (keras_is_unordered(c))
        return keras_unsupported(c, "a flattened volume: only a Dense layer may follow, and what "
                                    "works on every number by itself");
    return keras_is_channel_axis(c, json_object_get(c->config, "axis"))
               ? VOX_OK
               : keras_unsupported(c, "axis: not that of the channels");
}

static vox_status batch_normalization(const keras_context *c) {
    const int64_t channels = c->in[0];
    const vox_status status = check_channels(c);
    if (status)
        return status;
    const bool scale = !json_is_false(json_object_get(c->config, "scale"));
    const bool center = !json_is_false(json_object_get(c->config, "center"));
    const vox_keras_weight *gamma = scale ? keras_find_weight(c, "gamma", 1, &channels) : NULL;
    const vox_keras_weight *beta = center ? keras_find_weight(c, "beta", 1, &channels) : NULL;
    const vox_keras_weight *mean = keras_find_weight(c, "moving_mean", 1, &channels);
    const vox_keras_weight *variance = keras_find_weight(c, "moving_variance", 1, &channels);
    if (!mean || !variance || (scale && !gamma) || (center && !beta))
        return VOX_ERR_WEIGHTS;
    return vox_network_batchnorm3d(c->network, channels, mean->data, variance->data,
                                   gamma ? gamma->data : NULL, beta ? beta->data : NULL,
                                   keras_real(c, "epsilon", 1e-3), c->err);
}

static vox_status activation(const keras_context *c) {
    const char *name = keras_text(c, "activation", "linear");
    if (!strcmp(name, "softmax") && keras_is_unordered(c))
        return keras_unsupported(c, "softmax of a flattened volume is not served");
    return keras_add_activation(c, name);
}

/* max_value: clip; negative_slope: leaky; both at once, or a threshold, are not served. */
static vox_status relu(const keras_context *c) {
    const double slope = keras_real(c, "negative_slope", 0),
                 most = keras_real(c, "max_value", INFINITY);
    const double range[2] = {0, most};
    if (keras_real(c, "threshold", 0) != 0 || (slope != 0 && isfinite(most)))
        return keras_unsupported(c, "threshold, and max_value with negative_slope, are not served");
    if (isfinite(most))
        return vox_network_activation(c->network, VOX_ACT_CLIP, range, c->err);
    return vox_network_activation(c->network, VOX_ACT_LEAKY_RELU, &slope, c->err);
}

static vox_status leaky_relu(const keras_context *c) {
    const double slope = keras_real(c, "alpha", keras_real(c, "negative_slope", 0.3));
    return vox_network_activation(c->network, VOX_ACT_LEAKY_RELU, &slope, c->err);
}

static vox_status elu(const keras_context *c) {
    const double alpha = keras_real(c, "alpha", 1);
    return vox_network_activation(c->network, VOX_ACT_ELU, &alpha, c->err);
}

static vox_status softmax(const keras_context *c) {
    const vox_status status = check_channels(c);
    return status ? status : vox_network_activation(c->network, VOX_ACT_SOFTMAX, NULL, c->err);
}

static vox_status identity(const keras_context *c) {
    (void)c;
    return VOX_OK;
}

/* Two values or more, from left to right. */
static vox_status join(const keras_context *c, vox_join op) {
    int value = c->input[0];
    for (int i = 1; i < c->input_count; i++) {
        const vox_status status = vox_network_join(c->network, op, value, c->input[i], c->err);
        if (status)
            return status;
        value = vox_network_value(c->network);
    }
    return VOX_OK;
}

static vox_status add(const keras_context *c) {
    return join(c, VOX_JOIN_ADD);
}

static vox_status subtract(const keras_context *c) {
    return join(c, VOX_JOIN_SUB);
}

static vox_status multiply(const keras_context *c) {
    return join(c, VOX_JOIN_MUL);
}

static vox_status concatenate(const keras_context *c) {
    const vox_status status = check_channels(c);
    return status ? status : vox_network_concat(c->network, c->input_count, c->input, c->err);
}

static bool always(const json_t *config) {
    (void)config;
    return true;
}

static bool unless_kept(const json_t *config) {
    return !json_is_true(json_object_get(config, "keepdims"));
}

static const keras_kind kinds[] = {
    {"InputLayer", identity, false, NULL},
    {"Conv3D", keras_conv3d, false, NULL},
    {"Conv3DTranspose", keras_conv3d_transpose, false, NULL},
    {"Dense", keras_dense, true, NULL},
    {"BatchNormalization", batch_normalization, true, NULL},
    {"Activation", activation, true, NULL},
    {"ReLU", relu, true, NULL},
    {"LeakyReLU", leaky_relu, true, NULL},
    {"ELU", elu, true, NULL},
    {"Softmax", softmax, true, NULL},
    {"MaxPooling3D", keras_max_pooling, false, NULL},
    {"AveragePooling3D", keras_average_pooling, false, NULL},
    {"GlobalMaxPooling3D", keras_global_max_pooling, false, unless_kept},
    {"GlobalAveragePooling3D", keras_global_average_pooling, false, unless_kept},
    {"UpSampling3D", keras_up_sampling, false, NULL},
    {"ZeroPadding3D", keras_zero_padding, false, NULL},
    {"Cropping3D", keras_cropping, false, NULL},
    {"Flatten", identity, true, always},
    {"Dropout", identity, true, NULL},
    {"SpatialDropout3D", identity, false, NULL},
    {"GaussianNoise", identity, true, NULL},
    {"GaussianDropout", identity, true, NULL},
    {"Add", add, true, NULL},
    {"Subtract", subtract, true, NULL},
    {"Multiply", multiply, true, NULL},
    {"Concatenate", concatenate, true, NULL},
};

const keras_kind *keras_find_kind(const char *class_name) {
    for (size_t i = 0; class_name && i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(class_name, kinds[i].name))
            return &kinds[i];
    return NULL;
}
