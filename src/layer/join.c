/* join.c - layers with several inputs: arithmetic of two values, and channels behind each other. */
#include "layer/layer.h"

#include <stdlib.h>

typedef struct join_layer {
    vox_layer base;
    vox_join op;
} join_layer;

/* Whether `b` fits an operand of shape `a`: extents are equal, or those of C, or of D, H and W
 * together, are 1. */
static bool fits(const int64_t a[4], const int64_t b[4]) {
    const bool point = b[1] == 1 && b[2] == 1 && b[3] == 1;
    const bool equal = b[1] == a[1] && b[2] == a[2] && b[3] == a[3];
    return (b[0] == a[0] || b[0] == 1) && (equal || point);
}

static vox_status join_shape(const vox_layer *l, const int64_t *in, int64_t out[4],
                             vox_axis axis[3], vox_error *err) {
    const int64_t *a = in, *b = in + 4;
    (void)axis;
    const int64_t *larger = fits(a, b) ? a : b;
    if (!fits(a, b) && !fits(b, a))
        return vox_fail(err, VOX_ERR_USAGE,
                        "%s: values of %lldx%lldx%lldx%lld and %lldx%lldx%lldx%lld (C, D, H, W): "
                        "the extents do not match",
                        l->class->name, (long long)a[0], (long long)a[1], (long long)a[2],
                        (long long)a[3], (long long)b[0], (long long)b[1], (long long)b[2],
                        (long long)b[3]);
    for (int i = 0; i < 4; i++)
        out[i] = larger[i];
    return VOX_OK;
}

/* x[i] = x[i] op y[i*step], or the other way round. */
static void apply(vox_join op, bool swapped, float *x, const float *y, int64_t step, int64_t n) {
    switch (op) {
    case VOX_JOIN_ADD:
        for (int64_t i = 0; i < n; i++)
            x[i] += y[i * step];
        break;
    case VOX_JOIN_MUL:
        for (int64_t i = 0; i < n; i++)
            x[i] *= y[i * step];
        break;
    case VOX_JOIN_SUB:
        for (int64_t i = 0; i < n; i++)
            x[i] = swapped ? y[i * step] - x[i] : x[i] - y[i * step];
        break;
    case VOX_JOIN_DIV:
        for (int64_t i = 0; i < n; i++)
            x[i] = swapped ? y[i * step] / x[i] : x[i] / y[i * step];
        break;
    }
}

static void join_row(const vox_layer *l, int main, float *row, int64_t channel_stride,
                     int64_t channels, int64_t columns, const vox_operand *side) {
    const join_layer *j = (const join_layer *)l;
    for (int64_t c = 0; c < channels; c++)
        apply(j->op, main == 1, row + c * channel_stride, side->row + c * side->channel_stride,
              side->column_step, columns);
}

static vox_status concat_shape(const vox_layer *l, const int64_t *in, int64_t out[4],
                               vox_axis axis[3], vox_error *err) {
    (void)axis;
    for (int i = 0; i < 4; i++)
        out[i] = in[i];
    for (int k = 1; k < l->input_count; k++) {
        const int64_t *n = in + (ptrdiff_t)4 * k;
        for (int i = 0; i < 3; i++)
            if (n[1 + i] != out[1 + i])
                return vox_fail(err, VOX_ERR_USAGE,
                                "concat: values of size %lld and %lld along %c: must be equal",
                                (long long)out[1 + i], (long long)n[1 + i], vox_axis_name[i]);
        if (!vox_add(out[0], n[0], &out[0]))
            return vox_fail(err, VOX_ERR_USAGE, "concat: more channels than can be counted");
    }
    return VOX_OK;
}

static void join_free(vox_layer *l) {
    free(l);
}

#define JOIN_CLASS(text)                                                                           \
    { .name = text, .shape = join_shape, .join = join_row, .free = join_free }
static const vox_layer_class join_class[] = {
    [VOX_JOIN_ADD] = JOIN_CLASS("add"),
    [VOX_JOIN_SUB] = JOIN_CLASS("sub"),
    [VOX_JOIN_MUL] = JOIN_CLASS("mul"),
    [VOX_JOIN_DIV] = JOIN_CLASS("div"),
};
static const vox_layer_class concat_class = {
    .name = "concat",
    .shape = concat_shape,
    .concat = true,
    .free = join_free,
};

vox_status vox_network_join(vox_network *n, vox_join op, int a, int b, vox_error *err) {
    if (op < VOX_JOIN_ADD || op > VOX_JOIN_DIV)
        return vox_fail(err, VOX_ERR_USAGE, "join: op=%d: not an operation", (int)op);
    join_layer *l = vox_alloc(1, sizeof *l, "join", err);
    if (!l)
        return VOX_ERR_RESOURCE;
    l->base.class = &join_class[op];
    l->base.macs_per_output = 1;
    l->op = op;
    const int inputs[] = {a, b};
    return vox_network_append(n, &l->base, 2, inputs, err);
}

vox_status vox_network_concat(vox_network *n, int count, const int *values, vox_error *err) {
    if (count < 1)
        return vox_fail(err, VOX_ERR_USAGE, "concat: count=%d: must be positive", count);
    vox_layer *l = vox_alloc(1, sizeof *l, "concat", err);
    if (!l)
        return VOX_ERR_RESOURCE;
    l->class = &concat_class;
    return vox_network_append(n, l, count, values, err);
}
