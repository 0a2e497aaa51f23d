/* keras_window.c - Keras' layers that need neighbours, as torch's: https://keras.io/api/layers/
 *
 * TensorFlow pads 'same' so that ceil(n/stride) outputs come out, the odd voxel behind. A
 * transposed convolution is the gradient of a convolution that makes its input out of its output:
 * so its padding is the one that this convolution would have. */
#include "model/keras_layers.h"

#include <stdlib.h>
#include <string.h>

static const int64_t ones[3] = {1, 1, 1};

/* ---- Convolution ---- */

vox_status keras_conv3d(const keras_context *c) {
    vox_conv3d conv;
    vox_conv3d_defaults(&conv);
    const json_t *groups = json_object_get(c->config, "groups");
    const float *bias;
    bool same;
    conv.in_channels = c->in[0];
    conv.out_channels = json_integer_value(json_object_get(c->config, "filters"));
    conv.groups = groups ? json_integer_value(groups) : 1;
    if (conv.groups < 1 || conv.in_channels % conv.groups || conv.out_channels < 1)
        return keras_malformed(c, "filters and groups must be positive, and divide the channels");
    vox_status status = keras_padding_same(c, &same);
    if (status)
        return status;
    conv.padding = same ? VOX_PADDING_SAME_UPPER : VOX_PADDING_VALID;
    if (keras_triple(c, "kernel_size", ones, conv.kernel_size) ||
        keras_triple(c, "strides", ones, conv.stride) ||
        keras_triple(c, "dilation_rate", ones, conv.dilation))
        return VOX_ERR_WEIGHTS;
    int64_t shape[5] = {0, 0, 0, conv.in_channels / conv.groups, conv.out_channels};
    for (int i = 0; i < 3; i++)
        shape[keras_axis(c, i)] = conv.kernel_size[i];
    const vox_keras_weight *w = keras_find_weight(c, "kernel", 5, shape);
    if (!w || keras_find_bias(c, conv.out_channels, &bias))
        return VOX_ERR_WEIGHTS;
    float *turned = keras_turn_kernel(c, w, conv.kernel_size);
    if (!turned)
        return VOX_ERR_RESOURCE;
    status = vox_network_conv3d(c->network, &conv, turned, bias, c->err);
    free(turned);
    return status ? status : keras_add_activation(c, keras_text(c, "activation", "linear"));
}

/* Padding and output_padding for the extent that TensorFlow gives the result. */
static vox_status transposed_padding(const keras_context *c, vox_conv_transpose3d *t, bool same) {
    const json_t *given = json_object_get(c->config, "output_padding");
    const bool chosen = given && !json_is_null(given);
    int64_t more[3] = {0, 0, 0}, unused[3];
    const vox_status status = chosen ? keras_pairs(c, "output_padding", more, unused) : VOX_OK;
    for (int i = 0; i < 3 && !status; i++) {
        const int64_t in = c->in[1 + i], s = t->stride[i];
        const int64_t span = t->dilation[i] * (t->kernel_size[i] - 1) + 1;
        const int64_t full = (in - 1) * s + span;
        int64_t out = in * s + (same ? 0 : vox_max(span - s, 0));
        if (chosen)
            out = full - (same ? 2 * (span / 2) : 0) + more[i];
        /* The convolution that it is the gradient of makes `in` of `out`. */
        if (out < 1 || vox_ceil_div(same ? out : out - span + 1, s) != in)
            return keras_unsupported(c, "output_padding: TensorFlow has no such result");
        t->padding_before[i] = same ? vox_max(full - out, 0) / 2 : 0;
        t->padding_after[i] = vox_max(full - out - t->padding_before[i], 0);
        t->output_padding[i] = vox_max(out - full, 0);
    }
    return status;
}

vox_status keras_conv3d_transpose(const keras_context *c) {
    vox_conv_transpose3d t;
    vox_conv_transpose3d_defaults(&t);
    const json_t *groups = json_object_get(c->config, "groups");
    const float *bias;
    bool same;
    t.in_channels = c->in[0];
    t.out_channels = json_integer_value(json_object_get(c->config, "filters"));
    if (t.out_channels < 1)
        return keras_malformed(c, "filters must be positive");
    if (groups && json_integer_value(groups) != 1)
        return keras_unsupported(c, "groups: not 1");
    vox_status status = keras_padding_same(c, &same);
    if (!status)
        status = keras_triple(c, "kernel_size", ones, t.kernel_size);
    if (!status)
        status = keras_triple(c, "strides", ones, t.stride);
    if (!status)
        status = keras_triple(c, "dilation_rate", ones, t.dilation);
    if (!status)
        status = transposed_padding(c, &t, same);
    if (status)
        return status;
    int64_t shape[5] = {0, 0, 0, t.out_channels, t.in_channels};
    for (int i = 0; i < 3; i++)
        shape[keras_axis(c, i)] = t.kernel_size[i];
    const vox_keras_weight *w = keras_find_weight(c, "kernel", 5, shape);
    if (!w || keras_find_bias(c, t.out_channels, &bias))
        return VOX_ERR_WEIGHTS;
    float *turned = keras_turn_kernel(c, w, t.kernel_size);
    if (!turned)
        return VOX_ERR_RESOURCE;
    status = vox_network_conv_transpose3d(c->network, &t, turned, bias, c->err);
    free(turned);
    return status ? status : keras_add_activation(c, keras_text(c, "activation", "linear"));
}

/* ---- Dense ---- */

/* A kernel (features, units), the features of a volume (D, H, W, C) in the model's axes, as (units,
 * C, D, H, W); freed with free(). */
static float *turn_features(const keras_context *c, const vox_keras_weight *w) {
    const int64_t units = w->shape[1], channels = c->in[0], *n = c->in + 1;
    float *turned = vox_alloc(w->count, sizeof(float), "weights", c->err), *to = turned;
    int64_t step[3]; /* of the volume's axes, in features */
    for (int i = 0; i < 3; i++) {
        step[i] = channels;
        for (int a = keras_axis(c, i) + 1; a < 3; a++)
            step[i] *= n[keras_axis(c, a)];
    }
    for (int64_t o = 0; turned && o < units; o++)
        for (int64_t k = 0; k < channels; k++)
            for (int64_t d = 0; d < n[0]; d++)
                for (int64_t h = 0; h < n[1]; h++)
                    for (int64_t x = 0; x < n[2]; x++)
                        *to++ = w->data[(d * step[0] + h * step[1] + x * step[2] + k) * units + o];
    return turned;
}

/* Of a volume: the same for every voxel, a convolution of kernel 1. */
static vox_status dense_of_voxels(const keras_context *c, const vox_keras_weight *w,
                                  const float *bias) {
    vox_conv3d conv;
    vox_conv3d_defaults(&conv);
    conv.in_channels = w->shape[0];
    conv.out_channels = w->shape[1];
    float *turned = vox_alloc(w->count, sizeof(float), "weights", c->err);
    for (int64_t i = 0; turned && i < w->count; i++)
        turned[i % conv.out_channels * conv.in_channels + i / conv.out_channels] = w->data[i];
    const vox_status status =
        turned ? vox_network_conv3d(c->network, &conv, turned, bias, c->err) : VOX_ERR_RESOURCE;
    free(turned);
    return status;
}

vox_status keras_dense(const keras_context *c) {
    int64_t shape[2] = {c->in[0], json_integer_value(json_object_get(c->config, "units"))};
    const float *bias;
    if (shape[1] < 1)
        return keras_malformed(c, "units must be positive");
    if (c->vector && !vox_product(c->in, 4, &shape[0]))
        return keras_malformed(c, "more features than can be counted");
    const vox_keras_weight *w = keras_find_weight(c, "kernel", 2, shape);
    if (!w || keras_find_bias(c, shape[1], &bias))
        return VOX_ERR_WEIGHTS;
    vox_status status;
    if (c->vector) {
        float *turned = turn_features(c, w);
        status = turned ? vox_network_linear(c->network, shape[0], shape[1], turned, bias, c->err)
                        : VOX_ERR_RESOURCE;
        free(turned);
    } else
        status = dense_of_voxels(c, w, bias);
    return status ? status : keras_add_activation(c, keras_text(c, "activation", "linear"));
}

/* ---- Pooling ---- */

static vox_status pooling(const keras_context *c, bool average) {
    static const int64_t twos[3] = {2, 2, 2};
    vox_pool3d p;
    bool same;
    vox_pool3d_defaults(&p);
    p.average = average;
    p.count_include_pad = false;
    vox_status status = keras_padding_same(c, &same);
    if (!status)
        status = keras_triple(c, "pool_size", twos, p.kernel_size);
    if (!status)
        status = keras_triple(c, "strides", p.kernel_size, p.stride);
    if (status)
        return status;
    for (int i = 0; i < 3 && same; i++) {
        const int64_t n = c->in[1 + i], out = vox_ceil_div(n, p.stride[i]);
        const int64_t total = vox_max((out - 1) * p.stride[i] + p.kernel_size[i] - n, 0);
        p.padding_before[i] = total / 2;
        p.padding_after[i] = total - total / 2;
    }
    return vox_network_pool3d(c->network, &p, c->err);
}

vox_status keras_max_pooling(const keras_context *c) {
    return pooling(c, false);
}

vox_status keras_average_pooling(const keras_context *c) {
    return pooling(c, true);
}

vox_status keras_global_max_pooling(const keras_context *c) {
    return vox_network_adaptive_pool3d(c->network, false, ones, c->err);
}

vox_status keras_global_average_pooling(const keras_context *c) {
    return vox_network_adaptive_pool3d(c->network, true, ones, c->err);
}

/* ---- Larger and smaller volumes ---- */

/* Every voxel repeated: the nearest of centres, which is never half way between two. */
vox_status keras_up_sampling(const keras_context *c) {
    static const int64_t twos[3] = {2, 2, 2};
    vox_resize r;
    vox_resize_defaults(&r);
    r.coordinates = VOX_RESIZE_HALF_PIXEL;
    r.nearest = VOX_RESIZE_ROUND_PREFER_FLOOR;
    int64_t size[3];
    const vox_status status = keras_triple(c, "size", twos, size);
    for (int i = 0; i < 3; i++)
        r.scale[i] = (double)size[i];
    return status ? status : vox_network_resize3d(c->network, &r, c->err);
}

/* `sign` 1 puts zeros around, -1 cuts off. */
static vox_status add_border(const keras_context *c, const char *key, int sign) {
    vox_slice s = {.step = {1, 1, 1, 1}, .count = {c->in[0]}};
    int64_t before[3], after[3];
    const vox_status status = keras_pairs(c, key, before, after);
    for (int i = 0; i < 3 && !status; i++) {
        s.from[1 + i] = -sign * before[i];
        s.count[1 + i] = c->in[1 + i] + sign * (before[i] + after[i]);
        if (s.count[1 + i] < 1)
            return keras_malformed(c, "cropping: leaves nothing");
    }
    return status ? status : vox_network_slice(c->network, &s, c->err);
}

vox_status keras_zero_padding(const keras_context *c) {
    return add_border(c, "padding", 1);
}

vox_status keras_cropping(const keras_context *c) {
    return add_border(c, "cropping", -1);
}
