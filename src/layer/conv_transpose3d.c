/* conv_transpose3d.c - torch.nn.ConvTranspose3d: parameters, shapes, reach.
 * Definition: https://pytorch.org/docs/stable/generated/torch.nn.ConvTranspose3d.html
 * How it is computed is in transpose_run.c. */
#include "layer/transpose.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void vox_conv_transpose3d_defaults(vox_conv_transpose3d *c) {
    *c = (vox_conv_transpose3d){.in_channels = 1, .out_channels = 1, .groups = 1};
    for (int i = 0; i < 3; i++)
        c->kernel_size[i] = c->stride[i] = c->dilation[i] = 1;
}

int64_t vox_floor_div(int64_t a, int64_t b) {
    return a >= 0 ? a / b : -vox_ceil_div(-a, b);
}

int64_t vox_transpose_divisor(const vox_conv_transpose3d *c, int i) {
    int64_t a = c->stride[i], b = c->dilation[i];
    while (b > 0) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

int64_t vox_transpose_span(const vox_conv_transpose3d *c, int i) {
    return c->dilation[i] * (c->kernel_size[i] - 1);
}

int64_t vox_transpose_extent(const vox_conv_transpose3d *c, int i, int64_t in) {
    return (in - 1) * c->stride[i] - c->padding_before[i] - c->padding_after[i] +
           vox_transpose_span(c, i) + c->output_padding[i] + 1;
}

int64_t vox_transpose_tap_step(const vox_conv_transpose3d *c, int i) {
    return c->stride[i] / vox_transpose_divisor(c, i);
}

int64_t vox_transpose_taps(const vox_conv_transpose3d *c, int i) {
    return vox_ceil_div(c->kernel_size[i], vox_transpose_tap_step(c, i));
}

int64_t vox_transpose_weights(const vox_conv_transpose3d *c) {
    return c->in_channels * (c->out_channels / c->groups) * c->kernel_size[0] * c->kernel_size[1] *
           c->kernel_size[2];
}

/* ---- Shapes ---- */

/* Inputs [*first, *end) are those that outputs [o, end_o) meet, and maybe more; some may lie
 * outside. */
static void inputs_of(const vox_conv_transpose3d *c, int i, int64_t o, int64_t end_o,
                      int64_t *first, int64_t *end) {
    const int64_t s = c->stride[i], before = c->padding_before[i];
    *first = -vox_floor_div(vox_transpose_span(c, i) - o - before, s);
    *end = vox_floor_div(end_o - 1 + before, s) + 1;
}

static vox_status transpose_shape(const vox_layer *l, const int64_t *in, int64_t out[4],
                                  vox_axis axis[3], vox_error *err) {
    const vox_conv_transpose3d *c = &((const transpose_layer *)l)->conv;
    if (in[0] != c->in_channels)
        return vox_fail(err, VOX_ERR_USAGE,
                        "convtranspose3d: in_channels=%lld: the input has %lld channels",
                        (long long)c->in_channels, (long long)in[0]);
    out[0] = c->out_channels;
    for (int i = 0; i < 3; i++) {
        const int64_t n = in[1 + i], most = INT64_C(1) << 40; /* so that no product overflows */
        int64_t first, end;
        if (n > most / c->stride[i])
            return vox_fail(err, VOX_ERR_USAGE,
                            "convtranspose3d: stride=%lld along %c: makes more of an input of %lld "
                            "than can be counted",
                            (long long)c->stride[i], vox_axis_name[i], (long long)n);
        out[1 + i] = vox_transpose_extent(c, i, n);
        if (out[1 + i] < 1)
            return vox_fail(err, VOX_ERR_USAGE,
                            "convtranspose3d: padding=%lld and %lld along %c: leaves nothing of an "
                            "input of %lld",
                            (long long)c->padding_before[i], (long long)c->padding_after[i],
                            vox_axis_name[i], (long long)n);
        inputs_of(c, i, 0, out[1 + i], &first, &end);
        axis[i] = (vox_axis){.in = n,
                             .out = end - vox_min(first, 0),
                             .kernel = i == 0 ? vox_transpose_taps(c, i) : 1,
                             .stride = 1,
                             .dilation = c->dilation[i] / vox_transpose_divisor(c, i),
                             .before = vox_max(-first, 0)};
    }
    return VOX_OK;
}

static void transpose_reach(const vox_layer *l, int64_t depth, int64_t o, int64_t *first,
                            int64_t *end) {
    inputs_of(&((const transpose_layer *)l)->conv, 0, o, o + 1, first, end);
    *first = vox_min(vox_max(*first, 0), depth);
    *end = vox_min(vox_max(*end, 0), depth);
}

static void transpose_place(const vox_layer *l, const int64_t in[4], int i, double *stride,
                            double *origin) {
    const vox_conv_transpose3d *c = &((const transpose_layer *)l)->conv;
    (void)in;
    *stride = 1 / (double)c->stride[i];
    *origin = ((double)c->padding_before[i] - (double)vox_transpose_span(c, i) / 2) /
              (double)c->stride[i];
}

/* The first tap that o meets, if any, then every so many. */
static vox_taps transpose_taps(const vox_layer *l, const int64_t in[4], int i, int64_t o) {
    const vox_conv_transpose3d *c = &((const transpose_layer *)l)->conv;
    const int64_t position = o + c->padding_before[i], step = vox_transpose_tap_step(c, i);
    (void)in;
    for (int64_t k = 0; k < vox_min(step, c->kernel_size[i]); k++) {
        if ((position - c->dilation[i] * k) % c->stride[i])
            continue;
        const int64_t count = (c->kernel_size[i] - 1 - k) / step + 1, last = k + (count - 1) * step;
        return (vox_taps){.first = (position - c->dilation[i] * last) / c->stride[i],
                          .step = c->dilation[i] / vox_transpose_divisor(c, i),
                          .count = count};
    }
    return (vox_taps){.count = 0};
}

static bool transpose_repeats(const vox_layer *l, const int64_t in[4], int i, int64_t *outputs,
                              int64_t *inputs) {
    (void)in;
    *outputs = ((const transpose_layer *)l)->conv.stride[i];
    *inputs = 1;
    return true;
}

/* ---- Construction ---- */

static void transpose_free(vox_layer *l) {
    transpose_layer *layer = (transpose_layer *)l;
    free(layer->weight);
    free(layer->bias);
    free(layer);
}

static const vox_layer_class transpose_class = {
    .name = "convtranspose3d",
    .shape = transpose_shape,
    .reach = transpose_reach,
    .place = transpose_place,
    .taps = transpose_taps,
    .repeats = transpose_repeats,
    .prepare = vox_transpose_prepare,
    .weight_bytes = vox_transpose_weight_bytes,
    .window = vox_transpose_window,
    .free = transpose_free,
};

/* What torch checks along axis i. The caps keep every later product within int64_t. */
static vox_status check_axis(const vox_conv_transpose3d *c, int i, int64_t cap, vox_error *err) {
    const struct {
        const char *name;
        int64_t value, least;
    } number[] = {
        {"kernel_size", c->kernel_size[i], 1}, {"stride", c->stride[i], 1},
        {"dilation", c->dilation[i], 1},       {"padding", c->padding_before[i], 0},
        {"padding", c->padding_after[i], 0},   {"output_padding", c->output_padding[i], 0}};
    for (int k = 0; k < 6; k++)
        if (number[k].value < number[k].least || number[k].value > cap)
            return vox_fail(err, VOX_ERR_USAGE,
                            "convtranspose3d: %s=%lld along %c: must be %lld to %lld",
                            number[k].name, (long long)number[k].value, vox_axis_name[i],
                            (long long)number[k].least, (long long)cap);
    if (c->output_padding[i] >= vox_max(c->stride[i], c->dilation[i]))
        return vox_fail(err, VOX_ERR_USAGE,
                        "convtranspose3d: output_padding=%lld along %c: must be smaller than "
                        "stride=%lld or dilation=%lld",
                        (long long)c->output_padding[i], vox_axis_name[i], (long long)c->stride[i],
                        (long long)c->dilation[i]);
    return VOX_OK;
}

static vox_status check(const vox_conv_transpose3d *c, vox_error *err) {
    const int64_t cap = INT64_C(1) << 20;
    const int64_t value[] = {c->in_channels, c->out_channels, c->groups};
    static const char *const name[] = {"in_channels", "out_channels", "groups"};
    for (int i = 0; i < 3; i++)
        if (value[i] < 1 || value[i] > cap)
            return vox_fail(err, VOX_ERR_USAGE, "convtranspose3d: %s=%lld: must be 1 to %lld",
                            name[i], (long long)value[i], (long long)cap);
    if (c->in_channels % c->groups || c->out_channels % c->groups)
        return vox_fail(err, VOX_ERR_USAGE,
                        "convtranspose3d: groups=%lld: must divide in_channels=%lld and "
                        "out_channels=%lld",
                        (long long)c->groups, (long long)c->in_channels,
                        (long long)c->out_channels);
    for (int i = 0; i < 3; i++) {
        vox_status status = check_axis(c, i, cap, err);
        if (status)
            return status;
    }
    const int64_t most = 1024; /* bytes that a weight takes, packed and with what its phases need */
    int64_t count, bytes;
    const int64_t extent[] = {c->in_channels, c->out_channels / c->groups, c->kernel_size[0],
                              c->kernel_size[1], c->kernel_size[2]};
    if (!vox_product(extent, 5, &count) || !vox_mul(count, most, &bytes))
        return vox_fail(err, VOX_ERR_USAGE,
                        "convtranspose3d: the weight has more values than memory");
    return VOX_OK;
}

vox_status vox_network_conv_transpose3d(vox_network *network, const vox_conv_transpose3d *conv,
                                        const float *weight, const float *bias, vox_error *err) {
    vox_status status = check(conv, err);
    if (status)
        return status;
    const int64_t count = vox_transpose_weights(conv);
    /* Where the kernel hangs over the volume's faces it meets zeros here and nothing in torch: the
     * same only where 0*w is 0. */
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(weight[i]))
            return vox_fail(err, VOX_ERR_UNSUPPORTED,
                            "convtranspose3d: weight[%lld]=%g: must be finite", (long long)i,
                            (double)weight[i]);
    transpose_layer *l = vox_alloc(1, sizeof *l, "convtranspose3d", err);
    if (!l)
        return VOX_ERR_RESOURCE;
    l->base.class = &transpose_class;
    l->conv = *conv;
    l->base.macs_per_output = vox_ceil_div(count / conv->out_channels, /* on average */
                                           conv->stride[0] * conv->stride[1] * conv->stride[2]);
    l->base.parameters = count + (bias ? conv->out_channels : 0);
    l->weight = vox_alloc(count, sizeof(float), "convtranspose3d weight", err);
    l->bias = vox_alloc(conv->out_channels, sizeof(float), "convtranspose3d bias", err);
    if (!l->weight || !l->bias) {
        transpose_free(&l->base);
        return VOX_ERR_RESOURCE;
    }
    memcpy(l->weight, weight, (size_t)count * sizeof(float));
    if (bias)
        memcpy(l->bias, bias, (size_t)conv->out_channels * sizeof(float));
    return vox_network_append(network, &l->base, 1, NULL, err);
}
