/* conv3d.c - torch.nn.Conv3d: parameters, shapes, what is checked.
 * Definition: https://pytorch.org/docs/stable/generated/torch.nn.Conv3d.html
 * How it is computed begins in conv.h. */
#include "layer/conv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void vox_conv3d_defaults(vox_conv3d *c) {
    *c = (vox_conv3d){.in_channels = 1, .out_channels = 1, .groups = 1};
    for (int i = 0; i < 3; i++)
        c->kernel_size[i] = c->stride[i] = c->dilation[i] = 1;
}

/* ---- Shapes ---- */

/* Padding in front and behind along axis i for an input of n. */
static vox_status padding(const vox_conv3d *c, int i, int64_t n, int64_t pad[2], vox_error *err) {
    int64_t reach = c->dilation[i] * (c->kernel_size[i] - 1), total = 0;
    switch (c->padding) {
    case VOX_PADDING_EXPLICIT:
        pad[0] = c->padding_before[i];
        pad[1] = c->padding_after[i];
        break;
    case VOX_PADDING_SAME:
        total = reach;
        break;
    case VOX_PADDING_SAME_UPPER:
        total = vox_max((vox_ceil_div(n, c->stride[i]) - 1) * c->stride[i] + reach + 1 - n, 0);
        break;
    case VOX_PADDING_VALID:
        break;
    }
    if (c->padding != VOX_PADDING_EXPLICIT) {
        pad[0] = total / 2;
        pad[1] = total - pad[0];
    }
    int64_t most = vox_max(pad[0], pad[1]);
    if (c->padding_mode == VOX_PAD_REFLECT && most >= n)
        return vox_fail(
            err, VOX_ERR_USAGE,
            "conv3d: padding=%lld along %c: reflect padding must be less than the input's "
            "size %lld there",
            (long long)most, vox_axis_name[i], (long long)n);
    if (c->padding_mode == VOX_PAD_CIRCULAR && most > n)
        return vox_fail(
            err, VOX_ERR_USAGE,
            "conv3d: padding=%lld along %c: circular padding must not exceed the input's "
            "size %lld there",
            (long long)most, vox_axis_name[i], (long long)n);
    return VOX_OK;
}

static vox_status conv_shape(const vox_layer *l, const int64_t in[4], int64_t out[4],
                             vox_axis axis[3], vox_error *err) {
    const vox_conv3d *c = &((const conv_layer *)l)->conv;
    if (in[0] != c->in_channels)
        return vox_fail(err, VOX_ERR_USAGE, "conv3d: in_channels=%lld: the input has %lld channels",
                        (long long)c->in_channels, (long long)in[0]);
    out[0] = c->out_channels;
    for (int i = 0; i < 3; i++) {
        int64_t n = in[1 + i], pad[2] = {0, 0};
        vox_status status = padding(c, i, n, pad, err);
        if (status)
            return status;
        int64_t span = c->dilation[i] * (c->kernel_size[i] - 1) + 1;
        if (n + pad[0] + pad[1] < span)
            return vox_fail(
                err, VOX_ERR_USAGE,
                "conv3d: kernel_size=%lld, dilation=%lld along %c: spans %lld voxels, the "
                "padded input has %lld",
                (long long)c->kernel_size[i], (long long)c->dilation[i], vox_axis_name[i],
                (long long)span, (long long)(n + pad[0] + pad[1]));
        out[1 + i] = (n + pad[0] + pad[1] - span) / c->stride[i] + 1;
        axis[i] = (vox_axis){.in = n,
                             .out = out[1 + i],
                             .kernel = c->kernel_size[i],
                             .stride = c->stride[i],
                             .dilation = c->dilation[i],
                             .before = pad[0],
                             .mode = c->padding_mode};
    }
    return VOX_OK;
}

/* ---- Construction ---- */

/* 0*w leaves the sum as it is only where w is finite. */
static void look_at_weights(conv_layer *l) {
    const int64_t count = l->conv.out_channels * vox_conv_taps(&l->conv);
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(l->weight[i]))
            l->base.needs_zero_planes = true;
}

static bool conv_absorb(vox_layer *layer, int64_t channels, const float *scale,
                        const float *shift) {
    conv_layer *l = (conv_layer *)layer;
    const int64_t taps = vox_conv_taps(&l->conv);
    if (channels != l->conv.out_channels)
        return false;
    for (int64_t c = 0; c < channels; c++) {
        for (int64_t i = 0; i < taps; i++)
            l->weight[c * taps + i] *= scale[c];
        l->bias[c] = fmaf(l->bias[c], scale[c], shift[c]);
    }
    look_at_weights(l);
    return true;
}

static void conv_free(vox_layer *l) {
    conv_layer *layer = (conv_layer *)l;
    free(layer->weight);
    free(layer->bias);
    free(layer);
}

static const vox_layer_class conv_class = {
    .name = "conv3d",
    .shape = conv_shape,
    .prepare = vox_conv_prepare,
    .weight_bytes = vox_conv_bytes,
    .window = vox_conv_window,
    .absorb = conv_absorb,
    .reads_bare = vox_conv_reads_bare,
    .free = conv_free,
};

/* What torch's constructor checks. The caps keep every later product within int64_t. */
static vox_status check(const vox_conv3d *c, vox_error *err) {
    const int64_t cap = INT64_C(1) << 20;
    const struct {
        const char *name;
        int64_t value;
    } scalar[] = {
        {"in_channels", c->in_channels}, {"out_channels", c->out_channels}, {"groups", c->groups}};
    for (int i = 0; i < 3; i++)
        if (scalar[i].value < 1 || scalar[i].value > cap)
            return vox_fail(err, VOX_ERR_USAGE, "conv3d: %s=%lld: must be 1 to %lld",
                            scalar[i].name, (long long)scalar[i].value, (long long)cap);
    for (int i = 0; i < 3; i++) {
        const struct {
            const char *name;
            int64_t value, least;
        } number[] = {{"kernel_size", c->kernel_size[i], 1},
                      {"stride", c->stride[i], 1},
                      {"dilation", c->dilation[i], 1},
                      {"padding", c->padding_before[i], 0},
                      {"padding", c->padding_after[i], 0}};
        for (int k = 0; k < 5; k++)
            if (number[k].value < number[k].least || number[k].value > cap)
                return vox_fail(err, VOX_ERR_USAGE,
                                "conv3d: %s=%lld along %c: must be %lld to %lld", number[k].name,
                                (long long)number[k].value, vox_axis_name[i],
                                (long long)number[k].least, (long long)cap);
    }
    if (c->in_channels % c->groups || c->out_channels % c->groups)
        return vox_fail(err, VOX_ERR_USAGE,
                        "conv3d: groups=%lld: must divide in_channels=%lld and out_channels=%lld",
                        (long long)c->groups, (long long)c->in_channels,
                        (long long)c->out_channels);
    if (c->padding == VOX_PADDING_SAME)
        for (int i = 0; i < 3; i++)
            if (c->stride[i] != 1)
                return vox_fail(err, VOX_ERR_USAGE,
                                "conv3d: stride=%lld along %c: padding 'same' needs stride 1 "
                                "('same_upper' does not)",
                                (long long)c->stride[i], vox_axis_name[i]);
    int64_t count, bytes;
    const int64_t extent[] = {c->out_channels, c->in_channels / c->groups, c->kernel_size[0],
                              c->kernel_size[1], c->kernel_size[2]};
    if (!vox_product(extent, 5, &count) || !vox_mul(count, sizeof(float), &bytes))
        return vox_fail(err, VOX_ERR_USAGE, "conv3d: the weight has more values than memory");
    return VOX_OK;
}

vox_status vox_network_conv3d(vox_network *network, const vox_conv3d *conv, const float *weight,
                              const float *bias, vox_error *err) {
    vox_status status = check(conv, err);
    if (status)
        return status;
    conv_layer *l = vox_alloc(1, sizeof *l, "conv3d", err);
    if (!l)
        return VOX_ERR_RESOURCE;
    l->base.class = &conv_class;
    l->conv = *conv;
    int64_t count = conv->out_channels * vox_conv_taps(conv);
    l->base.by_channel = conv->groups > 1;
    l->base.macs_per_output = vox_conv_taps(conv);
    l->base.parameters = count + (bias ? conv->out_channels : 0);
    l->weight = vox_alloc(count, sizeof(float), "conv3d weight", err);
    l->bias = vox_alloc(conv->out_channels, sizeof(float), "conv3d bias", err);
    if (!l->weight || !l->bias) {
        conv_free(&l->base);
        return VOX_ERR_RESOURCE;
    }
    memcpy(l->weight, weight, (size_t)count * sizeof(float));
    if (bias)
        memcpy(l->bias, bias, (size_t)conv->out_channels * sizeof(float));
    look_at_weights(l);
    return vox_network_append(network, &l->base, 1, NULL, err);
}
