/* keras_config.c - what all Keras layers read: their configuration, and their weights. */
#include "model/keras_layers.h"
#include "weights/weights.h"

#include <stdlib.h>
#include <string.h>

vox_status keras_unsupported(const keras_context *c, const char *what) {
    return vox_fail(c->err, VOX_ERR_UNSUPPORTED, "%s: layer '%.100s': %s", c->model->path, c->name,
                    what);
}

vox_status keras_malformed(const keras_context *c, const char *what) {
    return vox_fail(c->err, VOX_ERR_WEIGHTS, "%s: layer '%.100s': %s", c->model->path, c->name,
                    what);
}

/* ---- Configuration ---- */

int keras_axis(const keras_context *c, int i) {
    return c->model->axes_whd ? 2 - i : i;
}

vox_status keras_triple(const keras_context *c, const char *key, const int64_t standard[3],
                        int64_t value[3]) {
    const json_t *j = json_object_get(c->config, key);
    for (int i = 0; i < 3; i++) {
        value[i] = standard[i];
        if (!j || json_is_null(j))
            continue;
        const json_t *item = json_is_array(j) ? json_array_get(j, (size_t)keras_axis(c, i)) : j;
        value[i] = json_integer_value(item);
        if (!json_is_integer(item) || value[i] < 1 || value[i] > 1 << 20)
            return vox_fail(c->err, VOX_ERR_WEIGHTS, "%s: layer '%.100s': %s: must be 1 to %d",
                            c->model->path, c->name, key, 1 << 20);
    }
    return VOX_OK;
}

double keras_real(const keras_context *c, const char *key, double standard) {
    const json_t *j = json_object_get(c->config, key);
    return json_is_number(j) ? json_number_value(j) : standard;
}

const char *keras_text(const keras_context *c, const char *key, const char *standard) {
    const char *s = json_string_value(json_object_get(c->config, key));
    return s ? s : standard;
}

/* The end of [[1, 2], 3, ...] or of 3 that is before or after along the volume's axis i. */
static const json_t *end_of(const keras_context *c, const json_t *j, int i, size_t end) {
    const json_t *item = json_is_array(j) ? json_array_get(j, (size_t)keras_axis(c, i)) : j;
    return json_is_array(item) ? json_array_get(item, end) : item;
}

vox_status keras_pairs(const keras_context *c, const char *key, int64_t before[3],
                       int64_t after[3]) {
    const json_t *j = json_object_get(c->config, key);
    for (int i = 0; i < 3; i++)
        for (size_t end = 0; end < 2; end++) {
            int64_t *value = end ? &after[i] : &before[i];
            const json_t *item = j ? end_of(c, j, i, end) : NULL;
            *value = j ? json_integer_value(item) : 1;
            if (j && (!json_is_integer(item) || *value < 0 || *value > 1 << 20))
                return vox_fail(c->err, VOX_ERR_WEIGHTS, "%s: layer '%.100s': %s: must be 0 to %d",
                                c->model->path, c->name, key, 1 << 20);
        }
    return VOX_OK;
}

vox_status keras_padding_same(const keras_context *c, bool *same) {
    const char *padding = keras_text(c, "padding", "valid");
    *same = !strcmp(padding, "same");
    return *same || !strcmp(padding, "valid")
               ? VOX_OK
               : keras_unsupported(c, "padding: neither 'same' nor 'valid'");
}

bool keras_is_channel_axis(const keras_context *c, const json_t *axis) {
    if (json_is_array(axis) && json_array_size(axis) == 1)
        axis = json_array_get(axis, 0);
    return !axis || json_integer_value(axis) == -1 ||
           json_integer_value(axis) == (c->vector ? 1 : 4);
}

bool keras_is_unordered(const keras_context *c) {
    return c->vector && (c->in[1] > 1 || c->in[2] > 1 || c->in[3] > 1);
}

/* ---- Weights ---- */

/* Weight "LAYER/leaf", or one whose name ends in that. */
static const vox_keras_weight *find_weight(const keras_context *c, const char *leaf) {
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

const vox_keras_weight *keras_find_weight(const keras_context *c, const char *leaf, int rank,
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

vox_status keras_find_bias(const keras_context *c, int64_t outputs, const float **bias) {
    *bias = NULL;
    if (json_is_false(json_object_get(c->config, "use_bias")))
        return VOX_OK;
    const vox_keras_weight *w = keras_find_weight(c, "bias", 1, &outputs);
    if (!w)
        return VOX_ERR_WEIGHTS;
    *bias = w->data;
    return VOX_OK;
}

float *keras_turn_kernel(const keras_context *c, const vox_keras_weight *w, const int64_t size[3]) {
    const int64_t in = w->shape[3], out = w->shape[4];
    float *turned = vox_alloc(w->count, sizeof(float), "weights", c->err), *to = turned;
    int64_t step[3]; /* of the volume's axes, in w */
    for (int i = 0; i < 3; i++) {
        step[i] = in * out;
        for (int a = keras_axis(c, i) + 1; a < 3; a++)
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
