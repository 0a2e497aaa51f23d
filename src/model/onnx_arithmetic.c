/* onnx_arithmetic.c - sums, products and the like: of two values, or of a value and a constant that
 * is one number for each channel. */
#include "model/onnx_walk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- A value and a constant ---- */

/* x*scale + shift for each channel, as one fused multiply-add: a batch normalisation with mean 0
 * and variance 1. NULL: 1 and 0. */
static vox_status scale_shift(onnx_walk *w, const onnx_value *v, const float *scale,
                              const float *shift, onnx_value *out, vox_error *err) {
    const int64_t channels = v->volume[0];
    float *zero = vox_alloc(channels, sizeof *zero, "model", err);
    float *one = vox_alloc(channels, sizeof *one, "model", err);
    vox_status status = zero && one ? VOX_OK : VOX_ERR_RESOURCE;
    for (int64_t c = 0; c < channels && !status; c++)
        one[c] = 1;
    if (!status) {
        onnx_select(w, v);
        status =
            onnx_added(w,
                       vox_network_batchnorm3d(w->network, channels, zero, one, scale ? scale : one,
                                               shift ? shift : zero, 0, &w->why),
                       out, err);
        out->view = v->view;
    }
    free(zero);
    free(one);
    return status;
}

static vox_status apply(onnx_walk *w, const onnx_value *v, vox_activation kind,
                        const double *parameter, onnx_value *out, vox_error *err) {
    onnx_select(w, v);
    const onnx_view view = v->view;
    vox_status status =
        onnx_added(w, vox_network_activation(w->network, kind, parameter, &w->why), out, err);
    out->view = view;
    return status;
}

/* number[]: the constant for each channel. `swapped`: the constant is the first operand. */
static vox_status with_constant(onnx_walk *w, vox_join op, const onnx_value *v, float *number,
                                bool swapped, onnx_value *out, vox_error *err) {
    const int64_t channels = v->volume[0];
    onnx_value inverse;
    if (op == VOX_JOIN_ADD)
        return scale_shift(w, v, NULL, number, out, err);
    if (op == VOX_JOIN_SUB && swapped) {
        vox_status status = apply(w, v, VOX_ACT_NEG, NULL, &inverse, err);
        return status ? status : scale_shift(w, &inverse, NULL, number, out, err);
    }
    if (op == VOX_JOIN_DIV && swapped) {
        vox_status status = apply(w, v, VOX_ACT_RECIPROCAL, NULL, &inverse, err);
        return status ? status : scale_shift(w, &inverse, number, NULL, out, err);
    }
    for (int64_t c = 0; c < channels; c++)
        if (op == VOX_JOIN_SUB)
            number[c] = -number[c];
        else if (op == VOX_JOIN_DIV)
            number[c] = 1 / number[c];
    return op == VOX_JOIN_SUB ? scale_shift(w, v, NULL, number, out, err)
                              : scale_shift(w, v, number, NULL, out, err);
}

/* ---- Two values ---- */

static int64_t inside(const onnx_value *v) {
    return v->volume[1] * v->volume[2] * v->volume[3];
}

/* Where the axes of a stand in its own volume: true for an axis of the channels. */
static bool of_channels(const onnx_value *v, int i) {
    return v->view.stride[i] % inside(v) == 0;
}

/* Whether logical axis i of a value is the same digit of the channels, or of the voxels, in
 * both. */
static bool same_digit(const onnx_value *a, int i, const onnx_value *b, int k) {
    if (of_channels(a, i) && of_channels(b, k))
        return a->view.stride[i] / inside(a) == b->view.stride[k] / inside(b);
    return a->view.stride[i] == b->view.stride[k] && a->volume[3] == b->volume[3] &&
           a->volume[2] == b->volume[2] && a->volume[1] == b->volume[1];
}

/* Whether the axis of one operand may be missing in the other, because that one has one channel, or
 * one voxel. */
static bool may_repeat(const onnx_value *large, int i, const onnx_value *small) {
    if (of_channels(large, i))
        return small->volume[0] == 1;
    return inside(small) == 1 && large->view.stride[i] * large->view.shape[i] <= inside(large);
}

/* The view of two values together. False where their axes do not mean the same. */
static bool join_views(const onnx_walk *w, const onnx_value *a, const onnx_value *b,
                       onnx_value *out) {
    const int64_t all = out->volume[0] * inside(out);
    out->view.rank = a->view.rank > b->view.rank ? a->view.rank : b->view.rank;
    for (int i = 1; i <= out->view.rank; i++) {
        const int x = a->view.rank - i, y = b->view.rank - i, to = out->view.rank - i;
        const int64_t n = x < 0 ? 1 : a->view.shape[x], m = y < 0 ? 1 : b->view.shape[y];
        const onnx_value *from = n > 1 ? a : b;
        const int k = n > 1 ? x : y;
        out->view.shape[to] = n > 1 ? n : m;
        out->view.stride[to] = all;
        if (n == 1 && m == 1)
            continue;
        /* N, which lies beyond the channels of both */
        if (w->batch > 1 && to == 0 && n == m && n == w->batch)
            continue;
        if (n > 1 && m > 1 ? n != m || !same_digit(a, x, b, y)
                           : !may_repeat(from, k, from == a ? b : a))
            return false;
        out->view.stride[to] = of_channels(from, k)
                                   ? from->view.stride[k] / inside(from) * inside(out)
                                   : from->view.stride[k];
    }
    return true;
}

static vox_status join(onnx_walk *w, vox_join op, const onnx_value *a, const onnx_value *b,
                       onnx_value *out, vox_error *err) {
    char x[VOX_MAX_RANK * 22 + 4], y[VOX_MAX_RANK * 22 + 4];
    vox_status status =
        onnx_added(w, vox_network_join(w->network, op, a->number, b->number, &w->why), out, err);
    if (!status && !join_views(w, a, b, out))
        status = ONNX_REFUSE(w, err, "its inputs of shapes %s and %s: not served beside each other",
                             onnx_view_text(&a->view, x), onnx_view_text(&b->view, y));
    return status;
}

/* ---- Add, Sub, Mul, Div ---- */

/* Before opset 7 an attribute says where the second operand's axes begin. */
static int alignment(onnx_walk *w) {
    return w->m->opset < 7 && onnx_int(w, "broadcast", 0) ? (int)onnx_int(w, "axis", -1) : -1;
}

/* Operands i and k, neither or one of them a constant. */
static vox_status combine(onnx_walk *w, vox_join op, const onnx_value *a, const onnx_value *b,
                          onnx_value *out, vox_error *err) {
    if (!a->constant && !b->constant)
        return join(w, op, a, b, out, err);
    const onnx_value *v = a->constant ? b : a;
    const onnx_constant *c = a->constant ? a->constant : b->constant;
    const int left = alignment(w);
    if (left < -1 || left > VOX_MAX_RANK)
        return ONNX_BAD(w, err, "axis=%d", left);
    float *number = vox_alloc(v->volume[0], sizeof *number, "model", err);
    if (!number)
        return VOX_ERR_RESOURCE;
    vox_status status = onnx_by_channel(w, v, c, left, number, err);
    if (!status)
        status = with_constant(w, op, v, number, a->constant != NULL, out, err);
    free(number);
    return status;
}

static vox_join operation_of(const char *type) {
    if (strcmp(type, "Sub") == 0)
        return VOX_JOIN_SUB;
    if (strcmp(type, "Mul") == 0)
        return VOX_JOIN_MUL;
    return strcmp(type, "Div") == 0 ? VOX_JOIN_DIV : VOX_JOIN_ADD;
}

vox_status onnx_map_binary(onnx_walk *w, vox_error *err) {
    const onnx_value *a = onnx_input(w, 0), *b = onnx_input(w, 1);
    onnx_value out;
    if (!a || !b)
        return ONNX_BAD(w, err, "it takes two inputs");
    vox_status status = combine(w, operation_of(w->node->op_type), a, b, &out, err);
    if (!status)
        onnx_give(w, 0, &out);
    return status;
}

vox_status onnx_map_sum(onnx_walk *w, vox_error *err) {
    const onnx_value *a = onnx_data(w, 0, err);
    if (!a)
        return err->status;
    onnx_value out = *a;
    vox_status status = VOX_OK;
    for (int i = 1; i < (int)w->node->n_input && !status; i++) {
        const onnx_value *b = onnx_input(w, i), sum = out;
        status = b ? combine(w, VOX_JOIN_ADD, &sum, b, &out, err)
                   : ONNX_BAD(w, err, "input %d is missing", i);
    }
    if (!status)
        onnx_give(w, 0, &out);
    return status;
}

/* ---- Pow ---- */

vox_status onnx_map_pow(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_data(w, 0, err);
    const onnx_constant *c = v ? onnx_given(w, 1, err) : NULL;
    onnx_value out, square;
    if (!c)
        return err->status;
    const double e = c->count == 1 ? onnx_number(c, 0) : NAN;
    vox_status status;
    if (e == 1) {
        out = *v;
        status = VOX_OK;
    } else if (e == 2) {
        status = join(w, VOX_JOIN_MUL, v, v, &out, err);
    } else if (e == 3) {
        status = join(w, VOX_JOIN_MUL, v, v, &square, err);
        if (!status)
            status = join(w, VOX_JOIN_MUL, &square, v, &out, err);
    } else if (e == 0.5) {
        status = apply(w, v, VOX_ACT_SQRT, NULL, &out, err);
    } else if (e == -1) {
        status = apply(w, v, VOX_ACT_RECIPROCAL, NULL, &out, err);
    } else {
        status = ONNX_REFUSE(w, err, "exponent=%g: 1, 2, 3, 0.5 and -1 are served", e);
    }
    if (!status)
        onnx_give(w, 0, &out);
    return status;
}

/* ---- Bounds ---- */

static vox_status clip(onnx_walk *w, const onnx_value *v, double low, double high, vox_error *err) {
    const double bounds[2] = {low, high};
    onnx_value out;
    vox_status status = apply(w, v, VOX_ACT_CLIP, bounds, &out, err);
    if (!status)
        onnx_give(w, 0, &out);
    return status;
}

/* Min and Max of a value and one number. */
vox_status onnx_map_limit(onnx_walk *w, vox_error *err) {
    const bool is_min = strcmp(w->node->op_type, "Min") == 0;
    const onnx_value *a = onnx_input(w, 0), *b = onnx_input(w, 1);
    const onnx_value *v = a && a->constant ? b : a;
    const onnx_constant *c = a && a->constant ? a->constant : (b ? b->constant : NULL);
    if (!v || !c || c->count != 1 || w->node->n_input != 2)
        return ONNX_REFUSE(w, err, "served for a value and a single constant number");
    const double bound = onnx_number(c, 0);
    return clip(w, v, is_min ? -INFINITY : bound, is_min ? bound : INFINITY, err);
}

/* A bound: attribute before opset 11, input from then on. */
static vox_status bound(onnx_walk *w, const char *name, int i, double *value, vox_error *err) {
    *value = onnx_float(w, name, *value);
    if (!onnx_input(w, i))
        return VOX_OK;
    const onnx_constant *c = onnx_given(w, i, err);
    if (!c)
        return err->status;
    if (c->count != 1)
        return ONNX_BAD(w, err, "%s: %lld numbers, not one", name, (long long)c->count);
    *value = onnx_number(c, 0);
    return VOX_OK;
}

vox_status onnx_map_clip(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_data(w, 0, err);
    double low = -INFINITY, high = INFINITY;
    if (!v || bound(w, "min", 1, &low, err) || bound(w, "max", 2, &high, err))
        return err->status;
    return clip(w, v, low, high, err);
}

/* ---- Functions ---- */

static const struct {
    const char *type;
    vox_activation kind;
    const char *parameter[2]; /* attributes */
    double otherwise[2];
} functions[] = {
    {"Abs", VOX_ACT_ABS, {0}, {0}},
    {"Elu", VOX_ACT_ELU, {"alpha"}, {1}},
    {"Erf", VOX_ACT_ERF, {0}, {0}},
    {"Exp", VOX_ACT_EXP, {0}, {0}},
    {"HardSigmoid", VOX_ACT_HARDSIGMOID, {"alpha", "beta"}, {0.2, 0.5}},
    {"HardSwish", VOX_ACT_HARDSWISH, {0}, {0}},
    {"LeakyRelu", VOX_ACT_LEAKY_RELU, {"alpha"}, {0.01}},
    {"Log", VOX_ACT_LOG, {0}, {0}},
    {"Mish", VOX_ACT_MISH, {0}, {0}},
    {"Neg", VOX_ACT_NEG, {0}, {0}},
    {"Reciprocal", VOX_ACT_RECIPROCAL, {0}, {0}},
    {"Relu", VOX_ACT_RELU, {0}, {0}},
    {"Selu",
     VOX_ACT_SELU,
     {"alpha", "gamma"},
     {1.67326319217681884765625, 1.05070102214813232421875}},
    {"Sigmoid", VOX_ACT_SIGMOID, {0}, {0}},
    {"Softplus", VOX_ACT_SOFTPLUS, {0}, {1, 20}}, /* beyond 20, log(1 + exp(x)) is x in float32 */
    {"Softsign", VOX_ACT_SOFTSIGN, {0}, {0}},
    {"Sqrt", VOX_ACT_SQRT, {0}, {0}},
    {"Tanh", VOX_ACT_TANH, {0}, {0}},
};

static vox_status give_applied(onnx_walk *w, vox_activation kind, const double *parameter,
                               vox_error *err) {
    const onnx_value *v = onnx_data(w, 0, err);
    onnx_value out;
    if (!v)
        return err->status;
    vox_status status = apply(w, v, kind, parameter, &out, err);
    if (!status)
        onnx_give(w, 0, &out);
    return status;
}

vox_status onnx_map_activation(onnx_walk *w, vox_error *err) {
    size_t f = 0;
    double parameter[2];
    while (strcmp(functions[f].type, w->node->op_type) != 0)
        f++;
    for (int i = 0; i < 2; i++)
        parameter[i] = functions[f].parameter[i]
                           ? onnx_float(w, functions[f].parameter[i], functions[f].otherwise[i])
                           : functions[f].otherwise[i];
    return give_applied(w, functions[f].kind, parameter, err);
}

/* alpha * elu(x / alpha) */
vox_status onnx_map_celu(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_data(w, 0, err);
    const double alpha = onnx_float(w, "alpha", 1), one = 1;
    onnx_value small, elu, out;
    if (!v)
        return err->status;
    float *scale = vox_alloc(v->volume[0], sizeof *scale, "model", err);
    if (!scale)
        return VOX_ERR_RESOURCE;
    for (int64_t c = 0; c < v->volume[0]; c++)
        scale[c] = (float)(1 / alpha);
    vox_status status = scale_shift(w, v, scale, NULL, &small, err);
    if (!status)
        status = apply(w, &small, VOX_ACT_ELU, &one, &elu, err);
    for (int64_t c = 0; c < v->volume[0]; c++)
        scale[c] = (float)alpha;
    if (!status)
        status = scale_shift(w, &elu, scale, NULL, &out, err);
    free(scale);
    if (!status)
        onnx_give(w, 0, &out);
    return status;
}

vox_status onnx_map_gelu(onnx_walk *w, vox_error *err) {
    const bool by_tanh = onnx_string_is(w, "approximate", "none", "tanh");
    return give_applied(w, by_tanh ? VOX_ACT_GELU_TANH : VOX_ACT_GELU, NULL, err);
}

/* Before opset 13 the axes from `axis` to the last are one. */
vox_status onnx_map_softmax(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_data(w, 0, err);
    const bool one_axis = w->m->opset >= 13;
    int64_t axis = onnx_int(w, "axis", one_axis ? -1 : 1);
    if (!v || onnx_axes(w, 1, &axis, v->view.rank, err))
        return err->status;
    const int end = one_axis ? (int)axis + 1 : v->view.rank;
    int network_axis =
        v->volume[0] == 1 ? 0 : -1; /* of one number it makes 1, along any axis of 1 */
    for (int i = (int)axis, seen = 0; i < end; i++)
        if (v->view.shape[i] > 1)
            network_axis = seen++ ? -1 : onnx_view_axis(v, i);
    if (network_axis != 0)
        return ONNX_REFUSE(w, err, "axis=%lld: served along the channels", (long long)axis);
    return give_applied(
        w, strcmp(w->node->op_type, "Softmax") == 0 ? VOX_ACT_SOFTMAX : VOX_ACT_LOG_SOFTMAX, NULL,
        err);
}

vox_status onnx_map_prelu(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_data(w, 0, err);
    const onnx_constant *c = v ? onnx_given(w, 1, err) : NULL;
    onnx_value out;
    if (!c)
        return err->status;
    float *slope = vox_alloc(v->volume[0], sizeof *slope, "model", err);
    if (!slope)
        return VOX_ERR_RESOURCE;
    /* Before opset 7 a slope of one axis belongs to the channels. */
    vox_status status =
        onnx_by_channel(w, v, c, w->m->opset < 7 && c->rank == 1 ? 1 : -1, slope, err);
    if (!status) {
        onnx_select(w, v);
        status =
            onnx_added(w, vox_network_prelu(w->network, v->volume[0], slope, &w->why), &out, err);
        out.view = v->view;
    }
    free(slope);
    if (!status)
        onnx_give(w, 0, &out);
    return status;
}
