/* tfjs.c - TensorFlow.js layers models: a model.json that holds Keras' configuration and a list of
 * weights, and beside it the .bin shards that hold them one behind the other.
 * The format: https://github.com/tensorflow/tfjs/tree/master/tfjs-converter */
#include "base/json.h"
#include "model/keras.h"
#include "weights/weights.h"

#include <stdlib.h>
#include <string.h>

static vox_status malformed(const vox_model *m, const char *what, vox_error *err) {
    return vox_fail(err, VOX_ERR_WEIGHTS, "%s: %s", m->path, what);
}

/* ---- Shards ---- */

typedef struct shards {
    unsigned char *data;
    int64_t bytes;
} shards;

/* All shards of a group, behind each other. */
static vox_status read_shards(const vox_model *m, const json_t *paths, shards *s, vox_error *err) {
    size_t i;
    const json_t *item;
    json_array_foreach(paths, i, item) {
        unsigned char *part = NULL, *all = NULL;
        int64_t bytes = 0, total;
        if (!json_is_string(item))
            return malformed(m, "weightsManifest: a path that is no text", err);
        char *path = vox_model_sibling(m, json_string_value(item), err);
        vox_status status = path ? vox_model_read_file(path, &part, &bytes, err) : VOX_ERR_WEIGHTS;
        free(path);
        if (status)
            return status;
        if (vox_add(s->bytes, bytes, &total))
            all = vox_alloc_uncleared(total, 1, "weights", err);
        if (!all) {
            free(part);
            return VOX_ERR_RESOURCE;
        }
        if (s->bytes > 0)
            memcpy(all, s->data, (size_t)s->bytes);
        memcpy(all + s->bytes, part, (size_t)bytes);
        free(part);
        free(s->data);
        s->data = all;
        s->bytes = total;
    }
    return VOX_OK;
}

/* ---- Weights ---- */

/* How a weight is stored: type, and for quantized ones value = stored*scale + min. */
typedef struct storage {
    vox_element element;
    double scale, min;
} storage;

static bool find_storage(const json_t *entry, storage *s) {
    static const struct {
        const char *name;
        vox_element element;
    } types[] = {{"float32", {'f', 4, false}}, {"float16", {'f', 2, false}},
                 {"uint8", {'u', 1, false}},   {"uint16", {'u', 2, false}},
                 {"int32", {'i', 4, false}},   {"bool", {'b', 1, false}}};
    const json_t *q = json_object_get(entry, "quantization");
    const char *type = json_string_value(json_object_get(q ? q : entry, "dtype"));
    const json_t *scale = json_object_get(q, "scale"), *min = json_object_get(q, "min");
    s->scale = json_is_number(scale) ? json_number_value(scale) : 1;
    s->min = json_is_number(min) ? json_number_value(min) : 0;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (type && !strcmp(type, types[i].name)) {
            s->element = types[i].element;
            return true;
        }
    return false;
}

static vox_status read_weight(const vox_model *m, const json_t *entry, const shards *s, int64_t *at,
                              vox_keras_weight *w, vox_error *err) {
    const char *name = json_string_value(json_object_get(entry, "name"));
    const json_t *shape = json_object_get(entry, "shape");
    storage stored;
    int64_t bytes, end;
    if (!name || !json_is_array(shape) || json_array_size(shape) > VOX_MAX_RANK)
        return malformed(m, "weightsManifest: a weight without a name or a shape", err);
    if (!find_storage(entry, &stored))
        return vox_fail(err, VOX_ERR_UNSUPPORTED,
                        "%s: weight '%.100s': dtype: not float32, "
                        "float16, uint8, uint16, int32 or bool",
                        m->path, name);
    w->rank = (int)json_array_size(shape);
    for (int i = 0; i < w->rank; i++)
        w->shape[i] = json_integer_value(json_array_get(shape, (size_t)i));
    for (int i = 0; i < w->rank; i++)
        if (w->shape[i] < 1)
            return vox_fail(err, VOX_ERR_WEIGHTS, "%s: weight '%.100s': shape: an extent of %lld",
                            m->path, name, (long long)w->shape[i]);
    if (!vox_product(w->shape, w->rank, &w->count) ||
        !vox_mul(w->count, stored.element.bytes, &bytes) || !vox_add(*at, bytes, &end) ||
        end > s->bytes)
        return vox_fail(err, VOX_ERR_WEIGHTS,
                        "%s: weight '%.100s': the shards have %lld bytes: too few for its shape",
                        m->path, name, (long long)s->bytes);
    w->name = vox_strdup(name, err);
    w->data = vox_alloc(w->count, sizeof(float), "weights", err);
    if (!w->name || !w->data)
        return VOX_ERR_RESOURCE;
    vox_elements_to_float(stored.element, s->data + *at, w->count, w->data);
    for (int64_t i = 0; i < w->count && (stored.scale != 1 || stored.min != 0); i++)
        w->data[i] = (float)(w->data[i] * stored.scale + stored.min);
    *at = end;
    return VOX_OK;
}

static vox_status read_group(const vox_model *m, vox_keras_model *k, const json_t *group,
                             vox_error *err) {
    const json_t *weights = json_object_get(group, "weights");
    shards s = {NULL, 0};
    int64_t at = 0;
    vox_status status = read_shards(m, json_object_get(group, "paths"), &s, err);
    for (size_t i = 0; i < json_array_size(weights) && !status; i++)
        status =
            read_weight(m, json_array_get(weights, i), &s, &at, &k->weight[k->weight_count++], err);
    free(s.data);
    if (!status && at != s.bytes)
        status = vox_fail(err, VOX_ERR_WEIGHTS, "%s: the shards have %lld bytes, the weights %lld",
                          m->path, (long long)s.bytes, (long long)at);
    return status;
}

static vox_status read_weights(const vox_model *m, vox_keras_model *k, vox_error *err) {
    const json_t *manifest = json_object_get(k->root, "weightsManifest"), *group;
    size_t i, count = 0;
    if (!json_is_array(manifest))
        return malformed(m, "weightsManifest: missing", err);
    json_array_foreach(manifest, i, group) count +=
        json_array_size(json_object_get(group, "weights"));
    k->weight = vox_alloc((int64_t)count + 1, sizeof *k->weight, "weights", err);
    if (!k->weight)
        return VOX_ERR_RESOURCE;
    json_array_foreach(manifest, i, group) {
        const vox_status status = read_group(m, k, group, err);
        if (status)
            return status;
    }
    return VOX_OK;
}

/* ---- The model ---- */

static void tfjs_free(vox_model *m) {
    vox_keras_model *k = m->content;
    if (!k)
        return;
    for (int i = 0; i < k->weight_count; i++) {
        free(k->weight[i].name);
        free(k->weight[i].data);
    }
    free(k->weight);
    json_decref(k->root);
    free(k);
}

static vox_status tfjs_open(vox_model *m, const unsigned char *data, int64_t bytes,
                            const vox_model_options *o, vox_error *err) {
    vox_keras_model *k = m->content = vox_alloc(1, sizeof *k, "model", err);
    if (!k)
        return VOX_ERR_RESOURCE;
    if (o->weights || o->init)
        return vox_fail(err, VOX_ERR_USAGE,
                        "%s: a TensorFlow.js model has its own weights: neither --weights nor "
                        "--init goes with it",
                        m->path);
    k->path = m->path;
    k->axes_whd = o->axes_whd;
    vox_status status = vox_json_parse(m->path, data, bytes, &k->root, err);
    if (status)
        return status;
    json_t *topology = json_object_get(k->root, "modelTopology");
    json_t *config = json_object_get(topology, "model_config");
    if (!config)
        config = topology;
    if (!json_is_object(config))
        return malformed(m, "modelTopology: missing: a model.json of TensorFlow.js has one", err);
    status = vox_keras_check(k, config, &m->in_channels, m->in_size, &m->vector, err);
    return status ? status : read_weights(m, k, err);
}

static vox_status tfjs_build(const vox_model *m, const int64_t in[4], vox_network *n,
                             vox_error *err) {
    return vox_keras_build(m->content, in, n, err);
}

const vox_model_format vox_model_tfjs = {
    .name = "TensorFlow.js",
    .open = tfjs_open,
    .build = tfjs_build,
    .free = tfjs_free,
};
