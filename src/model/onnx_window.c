/* onnx_window.c - convolutions, pooling and resizing: operators that look at neighbours. */
#include "model/onnx_walk.h"

#include <math.h>
#include <string.h>

/* ---- Parameters that they share ---- */

typedef struct window {
    int64_t kernel[3], stride[3], dilation[3], before[3], after[3];
    bool automatic, upper; /* auto_pad SAME_UPPER or SAME_LOWER */
} window;

/* A list of `count` numbers from `least` on; where it is missing, to[] stays. */
static vox_status read_list(onnx_walk *w, const char *name, int count, int64_t least, int64_t *to,
                            vox_error *err) {
    const Onnx__AttributeProto *a = onnx_ints(w, name);
    if (!a)
        return VOX_OK;
    if (a->n_ints != (size_t)count)
        return ONNX_BAD(w, err, "%s: %zu numbers, not %d", name, a->n_ints, count);
    for (int i = 0; i < count; i++) {
        if (a->ints[i] < least || a->ints[i] > INT32_MAX)
            return ONNX_BAD(w, err, "%s[%d]=%lld", name, i, (long long)a->ints[i]);
        to[i] = a->ints[i];
    }
    return VOX_OK;
}

static window without_padding(window p) {
    memset(p.before, 0, sizeof p.before);
    memset(p.after, 0, sizeof p.after);
    return p;
}

/* kernel[] is what the weights say; 0: the attribute must. */
static vox_status read_window(onnx_walk *w, const int64_t kernel[3], window *p, vox_error *err) {
    int64_t pads[6] = {0};
    *p = (window){.stride = {1, 1, 1}, .dilation = {1, 1, 1}};
    memcpy(p->kernel, kernel, sizeof p->kernel);
    if (read_list(w, "kernel_shape", 3, 1, p->kernel, err) ||
        read_list(w, "strides", 3, 1, p->stride, err) ||
        read_list(w, "dilations", 3, 1, p->dilation, err) || read_list(w, "pads", 6, 0, pads, err))
        return err->status;
    for (int i = 0; i < 3; i++) {
        if (p->kernel[i] == 0 || (kernel[i] > 0 && kernel[i] != p->kernel[i]))
            return ONNX_BAD(w, err, "kernel_shape[%d]=%lld: its weights have %lld", i,
                            (long long)p->kernel[i], (long long)kernel[i]);
        p->before[i] = pads[i];
        p->after[i] = pads[3 + i];
    }
    p->upper = onnx_string_is(w, "auto_pad", "NOTSET", "SAME_UPPER");
    p->automatic = p->upper || onnx_string_is(w, "auto_pad", "NOTSET", "SAME_LOWER");
    if (onnx_string_is(w, "auto_pad", "NOTSET", "VALID"))
        *p = without_padding(*p);
    else if (!p->automatic && !onnx_string_is(w, "auto_pad", "NOTSET", "NOTSET"))
        return ONNX_REFUSE(w, err, "its auto_pad: not served");
    return VOX_OK;
}

/* So much padding that ceil(n/stride) outputs come out; the odd one behind (upper) or in front. */
static void pad_automatically(window *p, const int64_t n[3]) {
    for (int i = 0; i < 3 && p->automatic; i++) {
        const int64_t span = p->dilation[i] * (p->kernel[i] - 1) + 1;
        const int64_t total =
            vox_max((vox_ceil_div(n[i], p->stride[i]) - 1) * p->stride[i] + span - n[i], 0);
        p->before[i] = p->upper ? total / 2 : total - total / 2;
        p->after[i] = total - p->before[i];
    }
}

/* Weights of five axes and, where there is one, a bias of `channels` numbers. */
static const onnx_constant *read_weight(onnx_walk *w, vox_error *err) {
    const onnx_constant *c = onnx_given(w, 1, err);
    if (!c)
        return NULL;
    bool fits = c->rank == 5 && !c->integer;
    for (int i = 0; i < c->rank && fits; i++)
        fits = c->shape[i] > 0 && c->shape[i] <= INT32_MAX;
    if (fits)
        return c;
    ONNX_BAD(w, err, "its weights are no (channels, channels, D, H, W) of floating-point numbers");
    return NULL;
}

static vox_status read_bias(onnx_walk *w, int64_t channels, const float **bias, vox_error *err) {
    *bias = NULL;
    if (!onnx_input(w, 2))
        return VOX_OK;
    const onnx_constant *c = onnx_given(w, 2, err);
    if (!c)
        return err->status;
    if (c->integer || c->count != channels)
        return ONNX_BAD(w, err, "its bias has %lld numbers, its weights have %lld channels",
                        (long long)c->count, (long long)channels);
    *bias = c->f;
    return VOX_OK;
}

static vox_status give_added(onnx_walk *w, vox_status status, vox_error *err) {
    onnx_value out;
    status = onnx_added(w, status, &out, err);
    if (!status)
        onnx_give(w, 0, &out);
    return status;
}

/* ---- Convolutions ---- */

vox_status onnx_map_conv(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_volume_input(w, err);
    const onnx_constant *weight = v ? read_weight(w, err) : NULL;
    const int64_t groups = onnx_int(w, "group", 1);
    const float *bias;
    window p;
    if (!weight || read_window(w, weight->shape + 2, &p, err) ||
        read_bias(w, weight->shape[0], &bias, err))
        return err->status;
    if (groups < 1 || groups > weight->shape[0] || weight->shape[0] % groups != 0 ||
        v->volume[0] % groups != 0 || weight->shape[1] != v->volume[0] / groups)
        return ONNX_BAD(w, err,
                        "weights for %lld channels in each of %lld groups, its input has %lld "
                        "channels",
                        (long long)weight->shape[1], (long long)groups, (long long)v->volume[0]);
    pad_automatically(&p, v->volume + 1);
    vox_conv3d c;
    vox_conv3d_defaults(&c);
    c.in_channels = v->volume[0];
    c.out_channels = weight->shape[0];
    c.groups = groups;
    memcpy(c.kernel_size, p.kernel, sizeof c.kernel_size);
    memcpy(c.stride, p.stride, sizeof c.stride);
    memcpy(c.dilation, p.dilation, sizeof c.dilation);
    memcpy(c.padding_before, p.before, sizeof c.padding_before);
    memcpy(c.padding_after, p.after, sizeof c.padding_after);
    onnx_select(w, v);
    return give_added(w, vox_network_conv3d(w->network, &c, weight->f, bias, &w->why), err);
}

/* Padding from the output's size: output_shape, or in*stride where padding is automatic. */
static vox_status pad_transposed(onnx_walk *w, const int64_t n[3], const int64_t extra[3],
                                 window *p, vox_error *err) {
    int64_t shape[3] = {0};
    if (read_list(w, "output_shape", 3, 1, shape, err))
        return err->status;
    for (int i = 0; i < 3; i++) {
        if (shape[i] == 0 && !p->automatic)
            continue;
        const int64_t full =
            (n[i] - 1) * p->stride[i] + p->dilation[i] * (p->kernel[i] - 1) + 1 + extra[i];
        const int64_t total = full - (shape[i] > 0 ? shape[i] : n[i] * p->stride[i]);
        if (total < 0)
            return ONNX_REFUSE(w, err, "output_shape[%d]=%lld: at most %lld come out", i,
                               (long long)(shape[i] > 0 ? shape[i] : n[i] * p->stride[i]),
                               (long long)full);
        p->before[i] = p->upper ? total / 2 : total - total / 2;
        p->after[i] = total - p->before[i];
    }
    return VOX_OK;
}

vox_status onnx_map_conv_transpose(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_volume_input(w, err);
    const onnx_constant *weight = v ? read_weight(w, err) : NULL;
    const float *bias;
    int64_t out_channels;
    vox_conv_transpose3d c;
    window p;
    vox_conv_transpose3d_defaults(&c);
    c.groups = onnx_int(w, "group", 1);
    if (!weight)
        return err->status;
    if (weight->shape[0] != v->volume[0] || c.groups < 1 || c.groups > weight->shape[0] ||
        weight->shape[0] % c.groups != 0 || !vox_mul(weight->shape[1], c.groups, &out_channels))
        return ONNX_BAD(w, err,
                        "weights for %lld channels in %lld groups, its input has %lld channels",
                        (long long)weight->shape[0], (long long)c.groups, (long long)v->volume[0]);
    if (read_bias(w, out_channels, &bias, err) || read_window(w, weight->shape + 2, &p, err) ||
        read_list(w, "output_padding", 3, 0, c.output_padding, err) ||
        pad_transposed(w, v->volume + 1, c.output_padding, &p, err))
        return err->status;
    c.in_channels = v->volume[0];
    c.out_channels = out_channels;
    memcpy(c.kernel_size, p.kernel, sizeof c.kernel_size);
    memcpy(c.stride, p.stride, sizeof c.stride);
    memcpy(c.dilation, p.dilation, sizeof c.dilation);
    memcpy(c.padding_before, p.before, sizeof c.padding_before);
    memcpy(c.padding_after, p.after, sizeof c.padding_after);
    onnx_select(w, v);
    return give_added(w, vox_network_conv_transpose3d(w->network, &c, weight->f, bias, &w->why),
                      err);
}

/* ---- Pooling ---- */

/* Padding of more than half a window, as exporters to old opsets make of ceil_mode, is a layer of
 * its own: minus infinity for a maximum, zeros for an average that counts them. */
static vox_status pad_first(onnx_walk *w, window *p, float fill, onnx_value *v, vox_error *err) {
    vox_slice s = {.mode = VOX_PAD_ZEROS, .fill = fill};
    for (int i = 0; i < 4; i++) {
        s.step[i] = 1;
        s.from[i] = i ? -p->before[i - 1] : 0;
        s.count[i] = v->volume[i] + (i ? p->before[i - 1] + p->after[i - 1] : 0);
    }
    *p = without_padding(*p);
    onnx_select(w, v);
    return onnx_added(w, vox_network_slice(w->network, &s, &w->why), v, err);
}

vox_status onnx_map_pool(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_volume_input(w, err);
    const int64_t none[3] = {0};
    vox_pool3d pool;
    window p;
    if (!v || read_window(w, none, &p, err))
        return err->status;
    vox_pool3d_defaults(&pool);
    pool.average = strcmp(w->node->op_type, "AveragePool") == 0;
    pool.ceil_mode = onnx_int(w, "ceil_mode", 0) != 0;
    pool.count_include_pad = onnx_int(w, "count_include_pad", 0) != 0;
    pad_automatically(&p, v->volume + 1);
    onnx_value from = *v;
    bool wide = false;
    for (int i = 0; i < 3; i++)
        wide = wide || 2 * vox_max(p.before[i], p.after[i]) > p.kernel[i];
    if (wide && (!pool.average || pool.count_include_pad) &&
        pad_first(w, &p, pool.average ? 0 : -INFINITY, &from, err))
        return err->status;
    memcpy(pool.kernel_size, p.kernel, sizeof pool.kernel_size);
    memcpy(pool.stride, p.stride, sizeof pool.stride);
    memcpy(pool.dilation, p.dilation, sizeof pool.dilation);
    memcpy(pool.padding_before, p.before, sizeof pool.padding_before);
    memcpy(pool.padding_after, p.after, sizeof pool.padding_after);
    onnx_select(w, &from);
    return give_added(w, vox_network_pool3d(w->network, &pool, &w->why), err);
}

vox_status onnx_map_global_pool(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_volume_input(w, err);
    const bool average = strcmp(w->node->op_type, "GlobalAveragePool") == 0;
    const int64_t one[3] = {1, 1, 1};
    if (!v)
        return err->status;
    onnx_select(w, v);
    return give_added(w, vox_network_adaptive_pool3d(w->network, average, one, &w->why), err);
}

/* ---- Resize and Upsample ---- */

/* Five numbers, or NULL where the input is not there or empty. */
static vox_status five(onnx_walk *w, int i, const onnx_constant **c, vox_error *err) {
    const onnx_value *v = onnx_input(w, i);
    *c = NULL;
    if (!v || (v->constant && v->constant->count == 0))
        return VOX_OK;
    *c = onnx_given(w, i, err);
    if (!*c)
        return err->status;
    if ((*c)->count != 5)
        return ONNX_BAD(w, err, "input %d: %lld numbers for 5 axes", i, (long long)(*c)->count);
    return VOX_OK;
}

/* Factors are float32, and so is their product with the extent: 6 by the float32 next to 7/6 is 7.
 * Where the exact product is another size, the rounded one is meant. */
static int64_t scaled_size(int64_t n, double scale) {
    const float rounded = (float)n * (float)scale;
    const int64_t size = (int64_t)rounded;
    return size == (int64_t)((double)n * scale) ? 0 : size;
}

/* Where the factors and the sizes are: it moved twice. */
static vox_status read_scales(onnx_walk *w, const onnx_value *v, vox_resize *r, vox_error *err) {
    const onnx_constant *scales, *sizes = NULL;
    const Onnx__AttributeProto *a = onnx_floats(w, "scales"); /* Upsample of opset 7 */
    const bool old = w->m->opset < 11;
    if (onnx_ints(w, "axes"))
        return ONNX_REFUSE(w, err, "axes: not served");
    if (five(w, old ? 1 : 2, &scales, err) || (!old && five(w, 3, &sizes, err)))
        return err->status;
    if (a ? a->n_floats != 5 : !scales && !sizes)
        return ONNX_BAD(w, err, "it has no scales for 5 axes");
    for (int i = 0; i < 5; i++) {
        const int64_t n = i ? v->volume[i - 1] : w->batch;
        const double size = sizes ? onnx_number(sizes, i) : 0;
        const double scale =
            a ? (double)a->floats[i] : (sizes ? size / (double)n : onnx_number(scales, i));
        if (!(scale > 0 && scale * (double)n < 0x1p31))
            return ONNX_BAD(w, err, "scale %g along axis %d", scale, i);
        if (i < 2 && scale != 1)
            return ONNX_REFUSE(w, err, "scale %g along axis %d: served along D, H and W", scale, i);
        if (i >= 2) {
            r->scale[i - 2] = scale;
            r->size[i - 2] = sizes ? (int64_t)size : scaled_size(n, scale);
        }
    }
    return VOX_OK;
}

static vox_status read_coordinates(onnx_walk *w, vox_resize *r, vox_error *err) {
    const bool old = w->m->opset < 11; /* they had no choice */
    const char *name = "coordinate_transformation_mode", *half = "half_pixel";
    if (old || onnx_string_is(w, name, half, "asymmetric"))
        r->coordinates = VOX_RESIZE_ASYMMETRIC;
    else if (onnx_string_is(w, name, half, "half_pixel"))
        r->coordinates = VOX_RESIZE_HALF_PIXEL;
    else if (onnx_string_is(w, name, half, "pytorch_half_pixel"))
        r->coordinates = VOX_RESIZE_PYTORCH_HALF_PIXEL;
    else if (onnx_string_is(w, name, half, "align_corners"))
        r->coordinates = VOX_RESIZE_ALIGN_CORNERS;
    else
        return ONNX_REFUSE(w, err, "its coordinate_transformation_mode: not served");
    const char *rule = "nearest_mode", *prefer = "round_prefer_floor";
    if (old || onnx_string_is(w, rule, prefer, "floor"))
        r->nearest = VOX_RESIZE_FLOOR;
    else if (onnx_string_is(w, rule, prefer, "ceil"))
        r->nearest = VOX_RESIZE_CEIL;
    else if (onnx_string_is(w, rule, prefer, "round_prefer_ceil"))
        r->nearest = VOX_RESIZE_ROUND_PREFER_CEIL;
    else
        r->nearest = VOX_RESIZE_ROUND_PREFER_FLOOR;
    return VOX_OK;
}

vox_status onnx_map_resize(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_volume_input(w, err);
    vox_resize r = {.mode = VOX_RESIZE_NEAREST};
    if (!v)
        return err->status;
    if (onnx_string_is(w, "mode", "nearest", "linear") ||
        onnx_string_is(w, "mode", "nearest", "trilinear"))
        r.mode = VOX_RESIZE_LINEAR;
    else if (!onnx_string_is(w, "mode", "nearest", "nearest"))
        return ONNX_REFUSE(w, err, "its mode: nearest and linear are served");
    if (onnx_int(w, "antialias", 0) || onnx_int(w, "exclude_outside", 0) ||
        !onnx_string_is(w, "keep_aspect_ratio_policy", "stretch", "stretch"))
        return ONNX_REFUSE(w, err,
                           "antialias, exclude_outside and keep_aspect_ratio_policy: not served");
    if (read_scales(w, v, &r, err) || read_coordinates(w, &r, err))
        return err->status;
    onnx_select(w, v);
    return give_added(w, vox_network_resize3d(w->network, &r, &w->why), err);
}
