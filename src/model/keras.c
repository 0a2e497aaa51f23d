/* keras.c - Keras' layers as a network. Definitions: https://keras.io/api/layers/
 *
 * Keras has channels last and kernels as (D, H, W, in, out); torch, and so the network, has
 * channels first and (out, in, D, H, W). Where the model's axes are x, y, z, its first axis is W:
 * then kernels, strides and paddings are taken in the other order, and the volume stays as it is.
 */
#include "model/keras.h"

#include "weights/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One layer on its way into a network. */
typedef struct context {
    const vox_keras_model *model;
    vox_network *network;
    const char *name;
    const json_t *config;
    int input_count;
    const int *input;  /* values */
    const int64_t *in; /* (C, D, H, W) of the first one */
    vox_error *err;
} context;

static vox_status unsupported(const context *c, const char *what) {
    return vox_fail(c->err, VOX_ERR_UNSUPPORTED, "%s: layer '%.100s': %s", c->model->path, c->name,
                    what);
}

static vox_status malformed(const context *c, const char *what) {
    return vox_fail(c->err, VOX_ERR_WEIGHTS, "%s: layer '%.100s': %s", c->model->path, c->name,
                    what);
}

/* ---- Configuration ---- */

/* The model's axis that is the volume's axis i. */
static int model_axis(const context *c, int i) {
    return c->model->axes_whd ? 2 - i : i;
}

/* A number for all axes or three of them, each 1 to 2^20; missing or null: `standard`. */
static vox_status triple(const context *c, const char *key, const int64_t standard[3],
                         int64_t value[3]) {
    const json_t *j = json_object_get(c->config, key);
    for (int i = 0; i < 3; i++) {
        value[i] = standard[i];
        if (!j || json_is_null(j))
            continue;
        const json_t *item = json_is_array(j) ? json_array_get(j, (size_t)model_axis(c, i)) : j;
        value[i] = json_integer_value(item);
        if (!json_is_integer(item) || value[i] < 1 || value[i] > 1 << 20)
            return vox_fail(c->err, VOX_ERR_WEIGHTS, "%s: layer '%.100s': %s: must be 1 to %d",
                            c->model->path, c->name, key, 1 << 20);
    }
    return VOX_OK;
}

static double real(const context *c, const char *key, double standard) {
    const json_t *j = json_object_get(c->config, key);
    return json_is_number(j) ? json_number_value(j) : standard;
}

static const char *text(const context *c, const char *key, const char *standard) {
    const char *s = json_string_value(json_object_get(c->config, key));
    return s ? s : standard;
}

/* Whether the last axis, that of the channels, is meant; `axis` may be a list of one. */
static bool is_channel_axis(const json_t *axis) {
    if (json_is_array(axis) && json_array_size(axis) == 1)
        axis = json_array_get(axis, 0);
    return !axis || json_integer_value(axis) == -1 || json_integer_value(axis) == 4;
}

/* ---- Weights ---- */

/* Weight "LAYER/leaf", or one whose name ends in that. */
static const vox_keras_weight *find_weight(const context *c, const char *leaf) {
    char end[256];
    const int length = snprintf(end, sizeof end, "%s/%s", c->name, leaf);
    for (int i = 0; i < c->model->weight_count && length < (int)sizeof end; i++) {
        const char *name = c->model->weight[i].name;
        const size_t all = strlen(name), n = (size_t)length;
        if (all >= n && !strcmp(name + all - n, end) && (all == n || name[all - n - 1] == '/'))
            return &c->model->weight[i];
    }
    return NULL;
}

/* The weight of that name and shape. */
static const vox_keras_weight *weight(const context *c, const char *leaf, int rank,
                                      const int64_t *shape) {
    const vox_keras_weight *w = find_weight(c, leaf);
    if (!w) {
        vox_fail(c->err, VOX_ERR_WEIGHTS, "%s: layer '%.100s': no weight %.100s/%s", c->model->path,
                 c->name, c->name, leaf);
        return NULL;
    }
    bool fits = w->rank == rank;
    for (int i = 0; i < rank && fits; i++)
        fits = w->shape[i] == shape[i];
    if (fits)
        return w;
    char has[VOX_SHAPE_TEXT], needs[VOX_SHAPE_TEXT];
    vox_fail(c->err, VOX_ERR_WEIGHTS, "%s: weight %.100s has shape %s: layer '%.100s' needs %s",
             c->model->path, w->name, vox_shape_text(w->rank, w->shape, has), c->name,
             vox_shape_text(rank, shape, needs));
    return NULL;
}

/* A kernel (a, b, c, in, out) as (out, in, D, H, W); freed with free(). */
static float *turn_kernel(const context *c, const vox_keras_weight *w, const int64_t size[3]) {
    const int64_t in = w->shape[3], out = w->shape[4];
    float *turned = vox_alloc(w->count, sizeof(float), "weights", c->err), *to = turned;
    int64_t step[3]; /* of the volume's axes, in w */
    for (int i = 0; i < 3; i++) {
        step[i] = in * out;
        for (int a = model_axis(c, i) + 1; a < 3; a++)
            step[i] *= w->shape[a];
    }
    for (int64_t o = 0; turned && o < out; o++)
        for (int64_t k = 0; k < in; k++)
            for (int64_t d = 0; d < size[0]; d++)
                for (int64_t h = 0; h < size[1]; h++)
                    for (int64_t x = 0; x < size[2]; x++)
                        *to++ = w->data[d * step[0] + h * step[1] + x * step[2] + k * out + o];
    return turned;
}

/* ---- Layers ---- */

/* Keras' constants of SELU. */
#define SELU_ALPHA 1.67326324
#define SELU_SCALE 1.05070098

static vox_status add_activation(const context *c, const char *name) {
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

static vox_status conv3d(const context *c) {
    static const int64_t ones[3] = {1, 1, 1};
    vox_conv3d conv;
    vox_conv3d_defaults(&conv);
    const json_t *groups = json_object_get(c->config, "groups");
    const json_t *bias = json_object_get(c->config, "use_bias");
    const char *padding = text(c, "padding", "valid");
    conv.in_channels = c->in[0];
    conv.out_channels = json_integer_value(json_object_get(c->config, "filters"));
    conv.groups = groups ? json_integer_value(groups) : 1;
    if (conv.groups < 1 || conv.in_channels % conv.groups || conv.out_channels < 1)
        return malformed(c, "filters and groups must be positive, and divide the channels");
    if (strcmp(padding, "same") != 0 && strcmp(padding, "valid") != 0)
        return unsupported(c, "padding: neither 'same' nor 'valid'");
    conv.padding = strcmp(padding, "same") ? VOX_PADDING_VALID : VOX_PADDING_SAME_UPPER;
    if (triple(c, "kernel_size", ones, conv.kernel_size) ||
        triple(c, "strides", ones, conv.stride) || triple(c, "dilation_rate", ones, conv.dilation))
        return VOX_ERR_WEIGHTS;
    int64_t shape[5] = {0, 0, 0, conv.in_channels / conv.groups, conv.out_channels};
    for (int i = 0; i < 3; i++)
        shape[model_axis(c, i)] = conv.kernel_size[i];
    const vox_keras_weight *w = weight(c, "kernel", 5, shape), *b = NULL;
    if (!w || (!json_is_false(bias) && !(b = weight(c, "bias", 1, &conv.out_channels))))
        return VOX_ERR_WEIGHTS;
    float *turned = turn_kernel(c, w, conv.kernel_size);
    if (!turned)
        return VOX_ERR_RESOURCE;
    vox_status status = vox_network_conv3d(c->network, &conv, turned, b ? b->data : NULL, c->err);
    free(turned);
    return status ? status : add_activation(c, text(c, "activation", "linear"));
}

static vox_status batch_normalization(const context *c) {
    const int64_t channels = c->in[0];
    if (!is_channel_axis(json_object_get(c->config, "axis")))
        return unsupported(c, "axis: not that of the channels");
    const bool scale = !json_is_false(json_object_get(c->config, "scale"));
    const bool center = !json_is_false(json_object_get(c->config, "center"));
    const vox_keras_weight *gamma = scale ? weight(c, "gamma", 1, &channels) : NULL;
    const vox_keras_weight *beta = center ? weight(c, "beta", 1, &channels) : NULL;
    const vox_keras_weight *mean = weight(c, "moving_mean", 1, &channels);
    const vox_keras_weight *variance = weight(c, "moving_variance", 1, &channels);
    if (!mean || !variance || (scale && !gamma) || (center && !beta))
        return VOX_ERR_WEIGHTS;
    return vox_network_batchnorm3d(c->network, channels, mean->data, variance->data,
                                   gamma ? gamma->data : NULL, beta ? beta->data : NULL,
                                   real(c, "epsilon", 1e-3), c->err);
}

static vox_status activation(const context *c) {
    return add_activation(c, text(c, "activation", "linear"));
}

/* max_value: clip; negative_slope: leaky; both at once, or a threshold, are not served. */
static vox_status relu(const context *c) {
    const double slope = real(c, "negative_slope", 0), most = real(c, "max_value", INFINITY);
    const double range[2] = {0, most};
    if (real(c, "threshold", 0) != 0 || (slope != 0 && isfinite(most)))
        return unsupported(c, "threshold, and max_value with negative_slope, are not served");
    if (isfinite(most))
        return vox_network_activation(c->network, VOX_ACT_CLIP, range, c->err);
    return vox_network_activation(c->network, VOX_ACT_LEAKY_RELU, &slope, c->err);
}

static vox_status leaky_relu(const context *c) {
    const double slope = real(c, "alpha", real(c, "negative_slope", 0.3));
    return vox_network_activation(c->network, VOX_ACT_LEAKY_RELU, &slope, c->err);
}

static vox_status elu(const context *c) {
    const double alpha = real(c, "alpha", 1);
    return vox_network_activation(c->network, VOX_ACT_ELU, &alpha, c->err);
}

static vox_status softmax(const context *c) {
    if (!is_channel_axis(json_object_get(c->config, "axis")))
        return unsupported(c, "axis: not that of the channels");
    return vox_network_activation(c->network, VOX_ACT_SOFTMAX, NULL, c->err);
}

static vox_status pooling(const context *c, bool average) {
    static const int64_t twos[3] = {2, 2, 2};
    vox_pool3d p;
    vox_pool3d_defaults(&p);
    p.average = average;
    if (triple(c, "pool_size", twos, p.kernel_size) ||
        triple(c, "strides", p.kernel_size, p.stride))
        return VOX_ERR_WEIGHTS;
    if (!strcmp(text(c, "padding", "valid"), "same"))
        for (int i = 0; i < 3; i++)
            if (c->in[1 + i] % p.stride[i] || p.kernel_size[i] != p.stride[i])
                return unsupported(c, "padding='same' that pads is not served");
    return vox_network_pool3d(c->network, &p, c->err);
}

static vox_status max_pooling(const context *c) {
    return pooling(c, false);
}

static vox_status average_pooling(const context *c) {
    return pooling(c, true);
}

static vox_status identity(const context *c) {
    (void)c;
    return VOX_OK;
}

/* Two values or more, from left to right. */
static vox_status join(const context *c, vox_join op) {
    int value = c->input[0];
    for (int i = 1; i < c->input_count; i++) {
        const vox_status status = vox_network_join(c->network, op, value, c->input[i], c->err);
        if (status)
            return status;
        value = vox_network_value(c->network);
    }
    return VOX_OK;
}

static vox_status add(const context *c) {
    return join(c, VOX_JOIN_ADD);
}

static vox_status subtract(const context *c) {
    return join(c, VOX_JOIN_SUB);
}

static vox_status multiply(const context *c) {
    return join(c, VOX_JOIN_MUL);
}

static vox_status concatenate(const context *c) {
    if (!is_channel_axis(json_object_get(c->config, "axis")))
        return unsupported(c, "axis: not that of the channels");
    return vox_network_concat(c->network, c->input_count, c->input, c->err);
}

static const struct layer_kind {
    const char *name;
    vox_status (*add)(const context *c);
} kinds[] = {
    {"InputLayer", identity},
    {"Conv3D", conv3d},
    {"BatchNormalization", batch_normalization},
    {"Activation", activation},
    {"ReLU", relu},
    {"LeakyReLU", leaky_relu},
    {"ELU", elu},
    {"Softmax", softmax},
    {"MaxPooling3D", max_pooling},
    {"AveragePooling3D", average_pooling},
    {"Dropout", identity},
    {"SpatialDropout3D", identity},
    {"GaussianNoise", identity},
    {"GaussianDropout", identity},
    {"Add", add},
    {"Subtract", subtract},
    {"Multiply", multiply},
    {"Concatenate", concatenate},
};

static const struct layer_kind *find_kind(const char *name) {
    for (size_t i = 0; name && i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(name, kinds[i].name))
            return &kinds[i];
    return NULL;
}

/* ---- The graph ---- */

static const char *layer_name(const json_t *layer) {
    const char *name = json_string_value(json_object_get(layer, "name"));
    return name ? name
                : json_string_value(json_object_get(json_object_get(layer, "config"), "name"));
}

static bool is_input(const json_t *layer) {
    const char *class = json_string_value(json_object_get(layer, "class_name"));
    return class && !strcmp(class, "InputLayer");
}

/* The shape of the input, (batch, axes..., channels), where a layer gives it. */
static vox_status check_input(const vox_keras_model *k, const json_t *config, int64_t *channels,
                              int64_t size[3], vox_error *err) {
    const json_t *shape = json_object_get(config, "batch_input_shape");
    if (!shape)
        shape = json_object_get(config, "batch_shape");
    if (!shape)
        return VOX_OK;
    if (json_array_size(shape) != 5)
        return vox_fail(err, VOX_ERR_UNSUPPORTED,
                        "%s: batch_input_shape: %d dimensions: a volume with its channels has 5",
                        k->path, (int)json_array_size(shape));
    *channels = json_integer_value(json_array_get(shape, 4));
    bool negative = *channels < 0;
    for (int i = 0; i < 3; i++) {
        size[i] =
            json_integer_value(json_array_get(shape, (size_t)(1 + (k->axes_whd ? 2 - i : i))));
        negative = negative || size[i] < 0;
    }
    return negative
               ? vox_fail(err, VOX_ERR_WEIGHTS, "%s: batch_input_shape: a negative extent", k->path)
               : VOX_OK;
}

/* What would change a layer's meaning and is not read anywhere else. */
static vox_status check_config(const vox_keras_model *k, const json_t *layer, const json_t *config,
                               vox_error *err) {
    const char *format = json_string_value(json_object_get(config, "data_format"));
    const json_t *activation = json_object_get(config, "activation");
    if (format && strcmp(format, "channels_last") != 0)
        return vox_fail(err, VOX_ERR_UNSUPPORTED,
                        "%s: layer '%.100s': data_format=%.60s: not channels_last", k->path,
                        layer_name(layer), format);
    if (activation && !json_is_string(activation) && !json_is_null(activation))
        return vox_fail(err, VOX_ERR_UNSUPPORTED,
                        "%s: layer '%.100s': activation: an object, and no name", k->path,
                        layer_name(layer));
    return VOX_OK;
}

vox_status vox_keras_check(vox_keras_model *k, json_t *model_config, int64_t *in_channels,
                           int64_t in_size[3], vox_error *err) {
    const char *class = json_string_value(json_object_get(model_config, "class_name"));
    json_t *config = json_object_get(model_config, "config");
    k->sequential = class && !strcmp(class, "Sequential");
    k->layers = json_is_array(config) ? config : json_object_get(config, "layers");
    k->outputs = json_object_get(config, "output_layers");
    if (!json_is_array(k->layers) || json_array_size(k->layers) == 0)
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: layers: missing", k->path);
    if (json_array_size(k->outputs) > 1 && json_is_array(json_array_get(k->outputs, 0)))
        return vox_fail(err, VOX_ERR_UNSUPPORTED, "%s: output_layers: more than one", k->path);
    size_t i;
    json_t *layer;
    int inputs = 0;
    json_array_foreach(k->layers, i, layer) {
        const char *kind = json_string_value(json_object_get(layer, "class_name"));
        const json_t *layer_config = json_object_get(layer, "config");
        if (!kind || !layer_name(layer) || !json_is_object(layer_config))
            return vox_fail(err, VOX_ERR_WEIGHTS,
                            "%s: layer %d: a name, a class_name or a config is missing", k->path,
                            (int)i);
        if (!find_kind(kind))
            return vox_fail(err, VOX_ERR_UNSUPPORTED,
                            "%s: layer '%.100s': class_name=%.60s: not served", k->path,
                            layer_name(layer), kind);
        inputs += is_input(layer);
        vox_status status = check_config(k, layer, layer_config, err);
        if (!status)
            status = check_input(k, layer_config, in_channels, in_size, err);
        if (status)
            return status;
    }
    if (inputs > 1)
        return vox_fail(err, VOX_ERR_UNSUPPORTED, "%s: %d inputs: one is served", k->path, inputs);
    return VOX_OK;
}

/* The values of the layers so far; -1: not yet. */
typedef struct graph {
    const vox_keras_model *model;
    int count;
    int *value;
    int *input; /* [count + 1], scratch */
} graph;

static int find_layer(const graph *g, const char *name) {
    for (int i = 0; name && i < g->count; i++)
        if (!strcmp(name, layer_name(json_array_get(g->model->layers, (size_t)i))))
            return i;
    return -1;
}

/* The values that layer i takes, in g->input; their number, 0 where one is not there yet, -1 where
 * that cannot be. */
static int find_inputs(const graph *g, int i) {
    const json_t *layer = json_array_get(g->model->layers, (size_t)i);
    if (g->model->sequential || is_input(layer)) {
        g->input[0] = i > 0 && !is_input(layer) ? g->value[i - 1] : 0;
        return 1;
    }
    const json_t *nodes = json_object_get(layer, "inbound_nodes");
    const json_t *calls = json_array_get(nodes, 0);
    const int count = (int)json_array_size(calls);
    if (json_array_size(nodes) != 1 || count < 1 || count > g->count)
        return -1;
    for (int k = 0; k < count; k++) {
        const int from =
            find_layer(g, json_string_value(json_array_get(json_array_get(calls, (size_t)k), 0)));
        if (from < 0)
            return -1;
        if (g->value[from] < 0)
            return 0;
        g->input[k] = g->value[from];
    }
    return count;
}

/* A layer on its own knows neither the file nor its name there. */
static vox_status say_where(const context *c, const vox_error *local, vox_error *err) {
    if (local->status != VOX_ERR_USAGE)
        return vox_fail(err, local->status, "%s", local->message);
    return vox_fail(err, VOX_ERR_WEIGHTS, "%s: layer '%.100s': %s", c->model->path, c->name,
                    local->message);
}

static vox_status add_layer(const graph *g, int i, int inputs, const int64_t in[4], vox_network *n,
                            vox_error *err) {
    const json_t *layer = json_array_get(g->model->layers, (size_t)i);
    vox_error local = {0};
    int64_t shape[4], out[4];
    const int before = vox_network_layer_count(n);
    vox_status status = vox_network_select(n, g->input[0], &local);
    if (!status)
        status = vox_network_shape(n, in, shape, &local);
    const context c = {.model = g->model,
                       .network = n,
                       .name = layer_name(layer),
                       .config = json_object_get(layer, "config"),
                       .input_count = inputs,
                       .input = g->input,
                       .in = shape,
                       .err = &local};
    if (!status)
        status = find_kind(json_string_value(json_object_get(layer, "class_name")))->add(&c);
    if (!status)
        status = vox_model_name_layers(n, before, c.name, &local);
    if (!status)
        status = vox_network_shape(n, in, out, &local);
    g->value[i] = vox_network_value(n);
    return status ? say_where(&c, &local, err) : VOX_OK;
}

/* Of [NAME, 0, 0], or of a list of one such. */
static const char *output_name(const vox_keras_model *k) {
    const json_t *first = json_array_get(k->outputs, 0);
    return json_string_value(json_is_array(first) ? json_array_get(first, 0) : first);
}

/* Adds the layers, each behind those that it needs. */
static vox_status add_layers(const graph *g, const int64_t in[4], vox_network *n, vox_error *err) {
    for (int left = g->count, before = left + 1; left > 0 && left < before;) {
        before = left;
        for (int i = 0; i < g->count; i++) {
            const int inputs = g->value[i] < 0 ? find_inputs(g, i) : 0;
            if (inputs < 0)
                return vox_fail(err, VOX_ERR_WEIGHTS,
                                "%s: layer '%.100s': inbound_nodes: not one list of layers",
                                g->model->path,
                                layer_name(json_array_get(g->model->layers, (size_t)i)));
            if (inputs == 0)
                continue;
            const vox_status status = add_layer(g, i, inputs, in, n, err);
            if (status)
                return status;
            left--;
        }
    }
    int last = g->count - 1;
    if (g->model->outputs)
        last = find_layer(g, output_name(g->model));
    if (last < 0 || g->value[last] < 0)
        return vox_fail(err, VOX_ERR_WEIGHTS,
                        "%s: output_layers: no layer that can be computed (layers that need each "
                        "other in a circle?)",
                        g->model->path);
    return vox_network_select(n, g->value[last], err);
}

vox_status vox_keras_build(const vox_keras_model *k, const int64_t in[4], vox_network *n,
                           vox_error *err) {
    graph g = {.model = k, .count = (int)json_array_size(k->layers)};
    g.value = vox_alloc(g.count, sizeof(int), "model", err);
    g.input = vox_alloc(g.count + 1, sizeof(int), "model", err);
    vox_status status = g.value && g.input ? VOX_OK : VOX_ERR_RESOURCE;
    for (int i = 0; i < g.count && !status; i++)
        g.value[i] = -1;
    if (!status)
        status = add_layers(&g, in, n, err);
    free(g.value);
    free(g.input);
    return status;
}
