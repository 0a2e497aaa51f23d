/* keras.c - a graph of Keras' layers as a network.
 *
 * Keras has channels last and kernels as (D, H, W, in, out); torch, and so the network, has
 * channels first and (out, in, D, H, W). Where the model's axes are x, y, z, its first axis is W:
 * then kernels, strides and paddings are taken in the other order, and the volume stays as it is.
 */
#include "model/keras.h"

#include "model/keras_layers.h"

#include <stdlib.h>
#include <string.h>

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

static const json_t *layer_of(const vox_keras_model *k, int i) {
    return json_array_get(k->layers, (size_t)i);
}

static const keras_kind *kind_of(const json_t *layer) {
    return keras_find_kind(json_string_value(json_object_get(layer, "class_name")));
}

static int find_layer(const vox_keras_model *k, const char *name) {
    const int count = (int)json_array_size(k->layers);
    for (int i = 0; name && i < count; i++)
        if (!strcmp(name, layer_name(layer_of(k, i))))
            return i;
    return -1;
}

/* The layer that call number n of layer i takes, or -1. */
static int called(const vox_keras_model *k, int i, int n) {
    const json_t *calls = json_array_get(json_object_get(layer_of(k, i), "inbound_nodes"), 0);
    return find_layer(k, json_string_value(json_array_get(json_array_get(calls, (size_t)n), 0)));
}

/* Of [NAME, 0, 0], or of a list of one such. */
static const char *output_name(const vox_keras_model *k) {
    const json_t *first = json_array_get(k->outputs, 0);
    return json_string_value(json_is_array(first) ? json_array_get(first, 0) : first);
}

static int output_layer(const vox_keras_model *k) {
    return k->outputs ? find_layer(k, output_name(k)) : (int)json_array_size(k->layers) - 1;
}

static bool makes_vector(const json_t *layer) {
    const keras_kind *kind = kind_of(layer);
    return kind->gives_vector && kind->gives_vector(json_object_get(layer, "config"));
}

/* Whether what comes out is a vector: a layer on the way to it makes one, and none makes a volume
 * of it again. */
static bool ends_in_vector(const vox_keras_model *k) {
    int i = output_layer(k);
    for (int steps = (int)json_array_size(k->layers); i >= 0 && steps > 0; steps--) {
        if (makes_vector(layer_of(k, i)))
            return true;
        i = k->sequential ? i - 1 : called(k, i, 0);
    }
    return false;
}

vox_status vox_keras_check(vox_keras_model *k, json_t *model_config, int64_t *in_channels,
                           int64_t in_size[3], bool *vector, vox_error *err) {
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
        if (!keras_find_kind(kind))
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
    *vector = ends_in_vector(k);
    return VOX_OK;
}

/* The values of the layers so far; -1: not yet. */
typedef struct graph {
    const vox_keras_model *model;
    int count;
    int *value;
    bool *vector; /* whether that is one */
    int *input;   /* [count + 1], scratch */
    int first;    /* the layer that input[0] is of, or -1 */
} graph;

/* The values that layer i takes, in g->input, and g->first; their number, 0 where one is not there
 * yet, -1 where that cannot be. */
static int find_inputs(graph *g, int i) {
    const json_t *layer = layer_of(g->model, i);
    if (g->model->sequential || is_input(layer)) {
        g->first = is_input(layer) ? -1 : i - 1;
        g->input[0] = g->first < 0 ? 0 : g->value[g->first];
        return 1;
    }
    const json_t *nodes = json_object_get(layer, "inbound_nodes");
    const json_t *calls = json_array_get(nodes, 0);
    const int count = (int)json_array_size(calls);
    if (json_array_size(nodes) != 1 || count < 1 || count > g->count)
        return -1;
    for (int k = 0; k < count; k++) {
        const int from = called(g->model, i, k);
        if (from < 0)
            return -1;
        if (g->value[from] < 0)
            return 0;
        g->input[k] = g->value[from];
        g->first = k == 0 ? from : g->first;
    }
    return count;
}

/* A layer on its own knows neither the file nor its name there. */
static vox_status say_where(const keras_context *c, const vox_error *local, vox_error *err) {
    if (local->status != VOX_ERR_USAGE)
        return vox_fail(err, local->status, "%s", local->message);
    return vox_fail(err, VOX_ERR_WEIGHTS, "%s: layer '%.100s': %s", c->model->path, c->name,
                    local->message);
}

static vox_status add_layer(const graph *g, int i, int inputs, const int64_t in[4], vox_network *n,
                            vox_error *err) {
    const json_t *layer = layer_of(g->model, i);
    vox_error local = {0};
    int64_t shape[4], out[4];
    const int before = vox_network_layer_count(n);
    vox_status status = vox_network_select(n, g->input[0], &local);
    if (!status)
        status = vox_network_shape(n, in, shape, &local);
    const keras_kind *kind = kind_of(layer);
    const bool vector = g->first >= 0 && g->vector[g->first];
    const keras_context c = {.model = g->model,
                             .network = n,
                             .name = layer_name(layer),
                             .config = json_object_get(layer, "config"),
                             .input_count = inputs,
                             .input = g->input,
                             .in = shape,
                             .vector = vector,
                             .err = &local};
    if (!status)
        status = vector && !kind->takes_vector
                     ? keras_malformed(&c, "takes a volume, and no vector of features")
                     : kind->add(&c);
    if (!status)
        status = vox_model_name_layers(n, before, c.name, &local);
    if (!status)
        status = vox_network_shape(n, in, out, &local);
    g->value[i] = vox_network_value(n);
    g->vector[i] = vector || makes_vector(layer);
    return status ? say_where(&c, &local, err) : VOX_OK;
}

/* Adds the layers, each behind those that it needs. */
static vox_status add_layers(graph *g, const int64_t in[4], vox_network *n, vox_error *err) {
    for (int left = g->count, before = left + 1; left > 0 && left < before;) {
        before = left;
        for (int i = 0; i < g->count; i++) {
            const int inputs = g->value[i] < 0 ? find_inputs(g, i) : 0;
            if (inputs < 0)
                return vox_fail(err, VOX_ERR_WEIGHTS,
                                "%s: layer '%.100s': inbound_nodes: not one list of layers",
                                g->model->path, layer_name(layer_of(g->model, i)));
            if (inputs == 0)
                continue;
            const vox_status status = add_layer(g, i, inputs, in, n, err);
            if (status)
                return status;
            left--;
        }
    }
    const int last = output_layer(g->model);
    if (last < 0 || g->value[last] < 0)
        return vox_fail(err, VOX_ERR_WEIGHTS,
                        "%s: output_layers: no layer that can be computed (layers that need each "
                        "other in a circle?)",
                        g->model->path);
    vox_status status = vox_network_select(n, g->value[last], err);
    int64_t out[4];
    if (!status)
        status = vox_network_shape(n, in, out, err);
    if (!status && g->vector[last] && (out[1] > 1 || out[2] > 1 || out[3] > 1))
        return vox_fail(err, VOX_ERR_UNSUPPORTED,
                        "%s: layer '%.100s': a flattened volume as the output is not served",
                        g->model->path, layer_name(layer_of(g->model, last)));
    return status;
}

vox_status vox_keras_build(const vox_keras_model *k, const int64_t in[4], vox_network *n,
                           vox_error *err) {
    graph g = {.model = k, .count = (int)json_array_size(k->layers)};
    g.value = vox_alloc(g.count, sizeof(int), "model", err);
    g.vector = vox_alloc(g.count, sizeof(bool), "model", err);
    g.input = vox_alloc(g.count + 1, sizeof(int), "model", err);
    vox_status status = g.value && g.vector && g.input ? VOX_OK : VOX_ERR_RESOURCE;
    for (int i = 0; i < g.count && !status; i++)
        g.value[i] = -1;
    if (!status)
        status = add_layers(&g, in, n, err);
    free(g.value);
    free(g.vector);
    free(g.input);
    return status;
}
