/* onnx_fold_shape.c - constant folding: what rearranges numbers, and what makes them. */
#include "model/onnx_walk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- A part of a constant, by strides ---- */

/* Copies number `from` of a to number `to` of c, which has the same type. */
static void copy(onnx_constant *c, int64_t to, const onnx_constant *a, int64_t from) {
    if (c->integer)
        c->i[to] = a->i[from];
    else
        c->f[to] = a->f[from];
}

/* A constant of `shape` whose number at an index is a's at first + sum of index[i]*stride[i]. */
static onnx_constant *pick(onnx_walk *w, const onnx_constant *a, int rank, const int64_t *shape,
                           int64_t first, const int64_t *stride, vox_error *err) {
    int64_t count;
    if (!vox_product(shape, rank, &count))
        count = INT64_MAX;
    if (onnx_fold_room(w, count, err))
        return NULL;
    onnx_constant *c = onnx_constant_new(a->integer, rank, shape, err);
    for (int64_t k = 0; c && k < c->count; k++) {
        int64_t rest = k, from = first;
        for (int i = rank; i-- > 0;) {
            from += rest % shape[i] * stride[i];
            rest /= shape[i];
        }
        copy(c, k, a, from);
    }
    return c;
}

static void strides_of(const onnx_constant *a, int64_t stride[VOX_MAX_RANK]) {
    int64_t s = 1;
    for (int i = a->rank; i-- > 0;) {
        stride[i] = s;
        s *= a->shape[i];
    }
}

static vox_status give_or(onnx_walk *w, onnx_constant *c, vox_error *err) {
    return c ? onnx_give_constant(w, 0, c) : err->status;
}

vox_status onnx_fold_identity(onnx_walk *w, vox_error *err) {
    const onnx_constant *a = onnx_given(w, 0, err);
    int64_t stride[VOX_MAX_RANK];
    if (!a)
        return err->status;
    strides_of(a, stride);
    return give_or(w, pick(w, a, a->rank, a->shape, 0, stride, err), err);
}

vox_status onnx_fold_reshape(onnx_walk *w, vox_error *err) {
    const onnx_constant *a = onnx_given(w, 0, err);
    int rank;
    int64_t shape[VOX_MAX_RANK], stride[VOX_MAX_RANK];
    if (!a || onnx_new_shape(w, a->rank, a->shape, &rank, shape, err))
        return err->status;
    int64_t s = 1;
    for (int i = rank; i-- > 0; s *= shape[i])
        stride[i] = s;
    return give_or(w, pick(w, a, rank, shape, 0, stride, err), err);
}

/* perm, or the axes from the last to the first. */
static vox_status permutation(onnx_walk *w, int rank, int64_t axes[ONNX_MOST_AXES],
                              vox_error *err) {
    int count;
    vox_status status = onnx_list(w, "perm", -1, axes, &count, err);
    if (status)
        return status;
    for (int i = 0; i < rank && count < 0; i++)
        axes[i] = rank - 1 - i;
    if (count >= 0 && count != rank)
        return ONNX_BAD(w, err, "perm: %d axes, its input has %d", count, rank);
    return onnx_axes(w, rank, axes, rank, err);
}

vox_status onnx_fold_transpose(onnx_walk *w, vox_error *err) {
    const onnx_constant *a = onnx_given(w, 0, err);
    int64_t axes[ONNX_MOST_AXES], old[VOX_MAX_RANK], shape[VOX_MAX_RANK], stride[VOX_MAX_RANK];
    if (!a || permutation(w, a->rank, axes, err))
        return err->status;
    strides_of(a, old);
    for (int i = 0; i < a->rank; i++) {
        shape[i] = a->shape[axes[i]];
        stride[i] = old[axes[i]];
    }
    return give_or(w, pick(w, a, a->rank, shape, 0, stride, err), err);
}

vox_status onnx_map_transpose(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_data(w, 0, err);
    int64_t axes[ONNX_MOST_AXES];
    if (!v || permutation(w, v->view.rank, axes, err))
        return err->status;
    onnx_value out = *v;
    for (int i = 0; i < v->view.rank; i++) {
        out.view.shape[i] = v->view.shape[axes[i]];
        out.view.stride[i] = v->view.stride[axes[i]];
    }
    onnx_give(w, 0, &out);
    return VOX_OK;
}

vox_status onnx_fold_slice(onnx_walk *w, vox_error *err) {
    const onnx_constant *a = onnx_given(w, 0, err);
    onnx_range range[VOX_MAX_RANK];
    int64_t shape[VOX_MAX_RANK], stride[VOX_MAX_RANK], first = 0;
    if (!a || onnx_slice_ranges(w, a->rank, a->shape, range, err))
        return err->status;
    strides_of(a, stride);
    for (int i = 0; i < a->rank; i++) {
        first += range[i].from * stride[i];
        stride[i] *= range[i].step;
        shape[i] = range[i].count;
    }
    return give_or(w, pick(w, a, a->rank, shape, first, stride, err), err);
}

vox_status onnx_fold_split(onnx_walk *w, vox_error *err) {
    const onnx_constant *a = onnx_given(w, 0, err);
    int64_t shape[VOX_MAX_RANK], stride[VOX_MAX_RANK], first = 0;
    int axis;
    if (!a)
        return err->status;
    int64_t *part = onnx_split_parts(w, a->rank, a->shape, &axis, err);
    if (!part)
        return err->status;
    vox_status status = VOX_OK;
    strides_of(a, stride);
    memcpy(shape, a->shape, sizeof shape);
    for (int k = 0; k < onnx_output_count(w) && !status; k++) {
        shape[axis] = part[k];
        onnx_constant *c = pick(w, a, a->rank, shape, first, stride, err);
        status = c ? onnx_give_constant(w, k, c) : err->status;
        first += part[k] * stride[axis];
    }
    free(part);
    return status;
}

vox_status onnx_fold_gather(onnx_walk *w, vox_error *err) {
    const onnx_constant *a = onnx_given(w, 0, err), *index = a ? onnx_given(w, 1, err) : NULL;
    int64_t axis = onnx_int(w, "axis", 0), shape[VOX_MAX_RANK], inner = 1;
    if (!index || onnx_axes(w, 1, &axis, a->rank, err))
        return err->status;
    if (!index->integer || a->rank - 1 + index->rank > VOX_MAX_RANK)
        return ONNX_BAD(w, err, "its indices are no whole numbers, or have too many axes");
    const int rank = a->rank - 1 + index->rank, ends = (int)axis + index->rank;
    for (int i = 0; i < rank; i++)
        shape[i] = i < axis ? a->shape[i]
                            : (i < ends ? index->shape[i - axis] : a->shape[i - index->rank + 1]);
    for (int i = (int)axis + 1; i < a->rank; i++)
        inner *= a->shape[i];
    int64_t count;
    if (!vox_product(shape, rank, &count))
        count = INT64_MAX;
    const int64_t n = a->shape[axis];
    for (int64_t k = 0; k < index->count; k++)
        if (index->i[k] < -n || index->i[k] >= n)
            return ONNX_BAD(w, err, "index=%lld: there are %lld", (long long)index->i[k],
                            (long long)n);
    if (onnx_fold_room(w, count, err))
        return err->status;
    onnx_constant *c = onnx_constant_new(a->integer, rank, shape, err);
    for (int64_t k = 0; c && k < c->count; k++) {
        const int64_t outer = k / inner / index->count, i = index->i[k / inner % index->count];
        copy(c, k, a, (outer * n + (i < 0 ? i + n : i)) * inner + k % inner);
    }
    return give_or(w, c, err);
}

/* ---- Several constants behind each other ---- */

/* The extents agree but along the axis, where *total is their sum. */
static vox_status check_parts(onnx_walk *w, int64_t axis, int64_t *total, vox_error *err) {
    const onnx_constant *a = onnx_constant_input(w, 0);
    *total = 0;
    for (size_t k = 0; k < w->node->n_input; k++) {
        const onnx_constant *p = onnx_given(w, (int)k, err);
        if (!p)
            return err->status;
        bool fits = p->rank == a->rank && p->integer == a->integer;
        for (int i = 0; i < a->rank && fits; i++)
            fits = i == axis || p->shape[i] == a->shape[i];
        if (!fits || !vox_add(*total, p->shape[axis], total))
            return ONNX_BAD(w, err, "its inputs' shapes do not fit each other");
    }
    return VOX_OK;
}

vox_status onnx_fold_concat(onnx_walk *w, vox_error *err) {
    const onnx_constant *a = onnx_given(w, 0, err);
    int64_t axis = onnx_int(w, "axis", w->m->opset < 4 ? 1 : 0), total, inner = 1, at = 0, count;
    int64_t shape[VOX_MAX_RANK];
    if (!a || onnx_axes(w, 1, &axis, a->rank, err) || check_parts(w, axis, &total, err))
        return err->status;
    memcpy(shape, a->shape, sizeof shape);
    shape[axis] = total;
    for (int i = (int)axis + 1; i < a->rank; i++)
        inner *= shape[i];
    if (!vox_product(shape, a->rank, &count))
        count = INT64_MAX;
    if (onnx_fold_room(w, count, err))
        return err->status;
    onnx_constant *c = onnx_constant_new(a->integer, a->rank, shape, err);
    for (size_t p = 0; c && c->count > 0 && p < w->node->n_input; p++) {
        const onnx_constant *part = onnx_constant_input(w, (int)p);
        const int64_t run = part->shape[axis] * inner;
        for (int64_t k = 0; k < part->count; k++)
            copy(c, k / run * total * inner + at + k % run, part, k);
        at += run;
    }
    return give_or(w, c, err);
}

/* ---- New numbers ---- */

/* A list attribute as a vector; one of the two is there. */
static onnx_constant *list_constant(const Onnx__AttributeProto *ints,
                                    const Onnx__AttributeProto *floats, vox_error *err) {
    const int64_t count = ints ? (int64_t)ints->n_ints : floats ? (int64_t)floats->n_floats : 0;
    onnx_constant *c = onnx_constant_new(ints != NULL, 1, &count, err);
    for (int64_t k = 0; c && k < count; k++)
        if (ints)
            c->i[k] = ints->ints[k];
        else
            c->f[k] = floats->floats[k];
    return c;
}

static bool has_attribute(const onnx_walk *w, const char *name) {
    for (size_t i = 0; i < w->node->n_attribute; i++)
        if (w->node->attribute[i]->name && strcmp(w->node->attribute[i]->name, name) == 0)
            return true;
    return false;
}

vox_status onnx_fold_constant(onnx_walk *w, vox_error *err) {
    const Onnx__TensorProto *t = onnx_tensor(w, "value");
    const Onnx__AttributeProto *ints = onnx_ints(w, "value_ints");
    const Onnx__AttributeProto *floats = onnx_floats(w, "value_floats");
    onnx_constant *c = NULL;
    if (t) {
        c = onnx_tensor_read(w->m->owner, "a constant", t, err);
    } else if (has_attribute(w, "value_float")) {
        if ((c = onnx_constant_new(false, 0, NULL, err)))
            c->f[0] = (float)onnx_float(w, "value_float", 0);
    } else if (has_attribute(w, "value_int")) {
        if ((c = onnx_constant_new(true, 0, NULL, err)))
            c->i[0] = onnx_int(w, "value_int", 0);
    } else if (ints || floats) {
        c = list_constant(ints, floats, err);
    } else {
        return ONNX_REFUSE(w, err, "a constant that is neither tensor nor numbers");
    }
    return give_or(w, c, err);
}

vox_status onnx_fold_constant_of_shape(onnx_walk *w, vox_error *err) {
    const Onnx__TensorProto *t = onnx_tensor(w, "value");
    const int64_t scalar = 1;
    int64_t shape[ONNX_MOST_AXES], count, stride[VOX_MAX_RANK] = {0};
    int rank;
    if (onnx_list(w, NULL, 0, shape, &rank, err))
        return err->status;
    for (int i = 0; i < rank; i++)
        if (shape[i] < 0)
            rank = -1;
    if (rank < 0 || rank > VOX_MAX_RANK || !vox_product(shape, rank, &count))
        return ONNX_BAD(w, err, "its input is no possible shape");
    onnx_constant *value = t ? onnx_tensor_read(w->m->owner, "its value", t, err)
                             : onnx_constant_new(false, 1, &scalar, err);
    if (!value)
        return err->status;
    onnx_constant *c = NULL;
    if (value->count != 1)
        ONNX_BAD(w, err, "its value has %lld numbers, not one", (long long)value->count);
    else
        c = pick(w, value, rank, shape, 0, stride, err);
    onnx_constant_free(value);
    return give_or(w, c, err);
}

vox_status onnx_fold_range(onnx_walk *w, vox_error *err) {
    const onnx_constant *c[3];
    bool integer = true;
    double x[3];
    for (int i = 0; i < 3; i++) {
        c[i] = onnx_given(w, i, err);
        if (!c[i])
            return err->status;
        if (c[i]->count != 1)
            return ONNX_BAD(w, err, "input %d is no single number", i);
        integer = integer && c[i]->integer;
        x[i] = onnx_number(c[i], 0);
    }
    const double steps = ceil((x[1] - x[0]) / x[2]);
    if (x[2] == 0 || !(fabs(x[0]) < 0x1p53 && fabs(x[1]) < 0x1p53 && fabs(steps) < 0x1p53))
        return ONNX_BAD(w, err, "not a possible range");
    const int64_t count = vox_max((int64_t)steps, 0);
    if (onnx_fold_room(w, count, err))
        return err->status;
    onnx_constant *r = onnx_constant_new(integer, 1, &count, err);
    for (int64_t k = 0; r && k < count; k++)
        if (integer)
            r->i[k] = c[0]->i[0] + k * c[2]->i[0];
        else
            r->f[k] = (float)(x[0] + (double)k * x[2]);
    return give_or(w, r, err);
}

/* ---- Shapes ---- */

static vox_status give_shape(onnx_walk *w, int rank, const int64_t *shape, vox_error *err) {
    int64_t from = onnx_int(w, "start", 0), to = onnx_int(w, "end", rank);
    from = vox_max(0, vox_min(from < 0 ? from + rank : from, rank));
    to = vox_max(from, vox_min(to < 0 ? to + rank : to, rank));
    const int64_t count = to - from;
    onnx_constant *c = onnx_constant_new(true, 1, &count, err);
    for (int64_t k = 0; c && k < count; k++)
        c->i[k] = shape[from + k];
    return give_or(w, c, err);
}

static vox_status give_size(onnx_walk *w, int rank, const int64_t *shape, vox_error *err) {
    onnx_constant *c = onnx_constant_new(true, 0, NULL, err);
    if (c && !vox_product(shape, rank, c->i)) {
        onnx_constant_free(c);
        return ONNX_BAD(w, err, "more numbers than can be counted");
    }
    return give_or(w, c, err);
}

vox_status onnx_fold_shape(onnx_walk *w, vox_error *err) {
    const onnx_constant *a = onnx_given(w, 0, err);
    return a ? give_shape(w, a->rank, a->shape, err) : err->status;
}

vox_status onnx_fold_size(onnx_walk *w, vox_error *err) {
    const onnx_constant *a = onnx_given(w, 0, err);
    return a ? give_size(w, a->rank, a->shape, err) : err->status;
}

/* A value's shape is known even where its numbers are not. */
vox_status onnx_map_shape(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_data(w, 0, err);
    return v ? give_shape(w, v->view.rank, v->view.shape, err) : err->status;
}

vox_status onnx_map_size(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_data(w, 0, err);
    return v ? give_size(w, v->view.rank, v->view.shape, err) : err->status;
}
