/* onnx_slice.c - operators that take parts of values, put them together or pad them. */
#include "model/onnx_walk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- What the nodes ask for ---- */

/* NumPy's from:to:step over an axis of n. */
static onnx_range clamp(int64_t n, int64_t from, int64_t to, int64_t step) {
    const int64_t low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n;
    /* The ends may be as large as int64 allows: everything beyond n is as good as n. */
    from = vox_max(vox_min(from, n), -n - 1);
    to = vox_max(vox_min(to, n), -n - 1);
    step = vox_max(vox_min(step, n + 1), -n - 1);
    from = vox_max(low, vox_min(from < 0 ? from + n : from, high));
    to = vox_max(low, vox_min(to < 0 ? to + n : to, high));
    const int64_t span = step < 0 ? from - to : to - from;
    return (onnx_range){from, step, vox_ceil_div(vox_max(span, 0), vox_max(llabs(step), 1))};
}

vox_status onnx_slice_ranges(onnx_walk *w, int rank, const int64_t *shape,
                             onnx_range range[VOX_MAX_RANK], vox_error *err) {
    int64_t starts[ONNX_MOST_AXES], ends[ONNX_MOST_AXES], axes[ONNX_MOST_AXES],
        steps[ONNX_MOST_AXES];
    int start_count, end_count, axis_count, step_count;
    if (onnx_list(w, "starts", 1, starts, &start_count, err) ||
        onnx_list(w, "ends", 2, ends, &end_count, err) ||
        onnx_list(w, "axes", 3, axes, &axis_count, err) ||
        onnx_list(w, NULL, 4, steps, &step_count, err))
        return err->status;
    if (start_count < 0 || end_count != start_count || start_count > rank ||
        (axis_count >= 0 && axis_count != start_count) ||
        (step_count >= 0 && step_count != start_count))
        return ONNX_BAD(w, err, "starts, ends, axes and steps of different lengths");
    for (int i = 0; i < start_count && axis_count < 0; i++)
        axes[i] = i;
    if (onnx_axes(w, start_count, axes, rank, err))
        return err->status;
    for (int i = 0; i < rank; i++)
        range[i] = (onnx_range){0, 1, shape[i]};
    for (int i = 0; i < start_count; i++) {
        const int64_t step = step_count < 0 ? 1 : steps[i];
        if (step == 0)
            return ONNX_BAD(w, err, "steps[%d]=0", i);
        range[axes[i]] = clamp(shape[axes[i]], starts[i], ends[i], step);
    }
    return VOX_OK;
}

int64_t *onnx_split_parts(onnx_walk *w, int rank, const int64_t *shape, int *axis, vox_error *err) {
    const int outputs = onnx_output_count(w);
    int64_t list[ONNX_MOST_AXES], which = onnx_int(w, "axis", 0), sum = 0;
    int count;
    if (onnx_list(w, "split", 1, list, &count, err) || onnx_axes(w, 1, &which, rank, err))
        return NULL;
    *axis = (int)which;
    const int64_t n = shape[which];
    int64_t *part = vox_alloc(outputs, sizeof *part, "model", err);
    if (!part)
        return NULL;
    /* Without a list: equal parts, and what remains in the last (opset 18). */
    const int64_t equal = outputs > 0 ? vox_ceil_div(n, outputs) : 0;
    bool fits = count < 0 || count == outputs;
    for (int k = 0; k < outputs && fits; k++) {
        part[k] = count < 0 ? vox_max(vox_min(equal, n - sum), 0) : list[k];
        fits = part[k] >= 0 && part[k] <= n - sum;
        sum += fits ? part[k] : 0;
    }
    if (fits && sum == n)
        return part;
    free(part);
    ONNX_BAD(w, err, "split: does not cut an axis of %lld into %d parts", (long long)n, outputs);
    return NULL;
}

/* ---- Parts of values ---- */

/* A slice that takes everything. */
static vox_slice whole(const onnx_value *v) {
    vox_slice s = {.mode = VOX_PAD_ZEROS};
    for (int i = 0; i < 4; i++) {
        s.step[i] = 1;
        s.count[i] = v->volume[i];
    }
    return s;
}

static bool takes_all(const onnx_range *r, int64_t n) {
    return r->from == 0 && r->count == n && (r->step == 1 || n == 1);
}

/* Takes the ranges (NULL: padding is allowed) of the logical axes, each of which must be one of the
 * network's. `s` says how padding is made. */
static vox_status take(onnx_walk *w, const onnx_value *v, const onnx_range *range, vox_slice s,
                       onnx_value *out, vox_error *err) {
    int logical[4] = {-1, -1, -1, -1};
    bool any = false;
    for (int i = 0; i < v->view.rank; i++) {
        if (takes_all(&range[i], v->view.shape[i]))
            continue;
        const int axis = onnx_view_axis(v, i);
        if (axis < 0 || range[i].step < 1 || range[i].count < 1)
            return ONNX_REFUSE(w, err,
                               "a part of axis %d (from %lld, step %lld, %lld of %lld): not served",
                               i, (long long)range[i].from, (long long)range[i].step,
                               (long long)range[i].count, (long long)v->view.shape[i]);
        logical[axis] = i;
        s.from[axis] = range[i].from;
        s.step[axis] = range[i].step;
        s.count[axis] = range[i].count;
        any = true;
    }
    *out = *v;
    if (!any)
        return VOX_OK;
    onnx_select(w, v);
    vox_status status = onnx_added(w, vox_network_slice(w->network, &s, &w->why), out, err);
    if (status)
        return status;
    int64_t now[4];
    memcpy(now, out->volume, sizeof now);
    out->view = v->view;
    memcpy(out->volume, v->volume, sizeof now);
    for (int axis = 0; axis < 4; axis++)
        if (logical[axis] >= 0) {
            out->volume[axis] = now[axis];
            onnx_view_resize(out, logical[axis], axis, v->volume[axis]);
        }
    return VOX_OK;
}

vox_status onnx_map_slice(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_data(w, 0, err);
    onnx_range range[VOX_MAX_RANK];
    onnx_value out;
    if (!v || onnx_slice_ranges(w, v->view.rank, v->view.shape, range, err) ||
        take(w, v, range, whole(v), &out, err))
        return err->status;
    onnx_give(w, 0, &out);
    return VOX_OK;
}

vox_status onnx_map_split(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_data(w, 0, err);
    onnx_range range[VOX_MAX_RANK];
    int axis;
    if (!v)
        return err->status;
    int64_t *part = onnx_split_parts(w, v->view.rank, v->view.shape, &axis, err);
    if (!part)
        return err->status;
    vox_status status = VOX_OK;
    for (int i = 0; i < v->view.rank; i++)
        range[i] = (onnx_range){0, 1, v->view.shape[i]};
    range[axis] = (onnx_range){0, 1, 0};
    for (int k = 0; k < onnx_output_count(w) && !status; k++) {
        onnx_value out;
        range[axis].from += range[axis].count;
        range[axis].count = part[k];
        status = take(w, v, range, whole(v), &out, err);
        if (!status)
            onnx_give(w, k, &out);
    }
    free(part);
    return status;
}

/* Whether the indices run up in equal steps. */
static bool as_range(const onnx_constant *index, int64_t n, onnx_range *r) {
    bool fits = index->integer && index->rank < 2 && index->count > 0;
    int64_t last = 0;
    *r = (onnx_range){0, 1, index->count};
    for (int64_t k = 0; k < index->count && fits; k++) {
        const int64_t i = index->i[k] < 0 ? index->i[k] + n : index->i[k];
        fits = i >= 0 && i < n;
        if (k == 0)
            r->from = i;
        else if (k == 1)
            r->step = i - last;
        fits = fits && (k < 2 ? r->step > 0 : i - last == r->step);
        last = i;
    }
    return fits;
}

vox_status onnx_map_gather(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_data(w, 0, err);
    const onnx_constant *index = v ? onnx_given(w, 1, err) : NULL;
    int64_t axis = onnx_int(w, "axis", 0);
    onnx_range range[VOX_MAX_RANK];
    onnx_value out;
    if (!index || onnx_axes(w, 1, &axis, v->view.rank, err))
        return err->status;
    for (int i = 0; i < v->view.rank; i++)
        range[i] = (onnx_range){0, 1, v->view.shape[i]};
    if (!as_range(index, v->view.shape[axis], &range[axis]))
        return ONNX_REFUSE(w, err, "indices that do not run up in equal steps: not served");
    if (take(w, v, range, whole(v), &out, err))
        return err->status;
    if (index->rank == 0) { /* the axis goes */
        out.view.rank--;
        for (int i = (int)axis; i < out.view.rank; i++) {
            out.view.shape[i] = out.view.shape[i + 1];
            out.view.stride[i] = out.view.stride[i + 1];
        }
    }
    onnx_give(w, 0, &out);
    return VOX_OK;
}

/* ---- Padding ---- */

static vox_status pad_mode(onnx_walk *w, vox_slice *s, vox_error *err) {
    const onnx_constant *value = onnx_constant_input(w, 2);
    s->fill = (float)onnx_float(w, "value", 0);
    if (value && value->count == 1)
        s->fill = (float)onnx_number(value, 0);
    if (onnx_string_is(w, "mode", "constant", "constant"))
        s->mode = VOX_PAD_ZEROS;
    else if (onnx_string_is(w, "mode", "constant", "reflect"))
        s->mode = VOX_PAD_REFLECT;
    else if (onnx_string_is(w, "mode", "constant", "edge"))
        s->mode = VOX_PAD_REPLICATE;
    else if (onnx_string_is(w, "mode", "constant", "wrap"))
        s->mode = VOX_PAD_CIRCULAR;
    else
        return ONNX_REFUSE(w, err, "its mode: not served");
    return VOX_OK;
}

vox_status onnx_map_pad(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_data(w, 0, err);
    int64_t pads[ONNX_MOST_AXES], axes[ONNX_MOST_AXES];
    int count, axis_count;
    onnx_range range[VOX_MAX_RANK];
    onnx_value out;
    if (!v || onnx_list(w, "pads", 1, pads, &count, err) ||
        onnx_list(w, NULL, 3, axes, &axis_count, err))
        return err->status;
    const int rank = v->view.rank, padded = axis_count < 0 ? rank : axis_count;
    for (int i = 0; i < rank && axis_count < 0; i++)
        axes[i] = i;
    if (count != 2 * padded)
        return ONNX_BAD(w, err, "pads: %d numbers for %d axes", count, padded);
    if (onnx_axes(w, padded, axes, rank, err))
        return err->status;
    for (int i = 0; i < rank; i++)
        range[i] = (onnx_range){0, 1, v->view.shape[i]};
    for (int i = 0; i < padded; i++) {
        const int64_t before = pads[i], after = pads[padded + i];
        if (llabs(before) > INT32_MAX || llabs(after) > INT32_MAX)
            return ONNX_BAD(w, err, "pads: %lld and %lld", (long long)before, (long long)after);
        range[axes[i]].from = -before;
        range[axes[i]].count += before + after;
        if (onnx_view_axis(v, (int)axes[i]) == 0 && (before > 0 || after > 0))
            return ONNX_REFUSE(w, err, "padding along the channels: not served");
    }
    vox_slice s = whole(v);
    if (pad_mode(w, &s, err) || take(w, v, range, s, &out, err))
        return err->status;
    onnx_give(w, 0, &out);
    return VOX_OK;
}

/* ---- Concat ---- */

/* Whether b's logical axes lie in its volume as a's do in its own, but for the extent of `axis`. */
static bool same_order(const onnx_value *a, const onnx_value *b, int axis) {
    bool same = a->view.rank == b->view.rank;
    for (int i = 1; i < 4 && same; i++)
        same = a->volume[i] == b->volume[i];
    const int64_t inside = a->volume[1] * a->volume[2] * a->volume[3];
    for (int i = 0; i < a->view.rank && same; i++) {
        const int64_t x = a->view.stride[i], y = b->view.stride[i];
        const bool outside = x >= inside && y >= inside; /* N: beyond the channels */
        if (i != axis)
            same = a->view.shape[i] == b->view.shape[i] &&
                   (a->view.shape[i] == 1 || outside || x == y);
    }
    return same;
}

vox_status onnx_map_concat(onnx_walk *w, vox_error *err) {
    const onnx_value *a = onnx_data(w, 0, err);
    const int count = (int)w->node->n_input;
    int64_t axis = onnx_int(w, "axis", 1);
    if (!a || onnx_axes(w, 1, &axis, a->view.rank, err))
        return err->status;
    int *number = vox_alloc(count, sizeof *number, "model", err);
    if (!number)
        return VOX_ERR_RESOURCE;
    vox_status status = VOX_OK;
    for (int k = 0; k < count && !status; k++) {
        const onnx_value *v = onnx_data(w, k, err);
        if (!v)
            status = err->status;
        else if (onnx_view_axis(v, (int)axis) != 0 || !same_order(a, v, (int)axis))
            status = ONNX_REFUSE(w, err,
                                 "axis=%lld: only values of one size are put together, "
                                 "along their channels",
                                 (long long)axis);
        else
            number[k] = v->number;
    }
    onnx_value out;
    if (!status)
        status = onnx_added(w, vox_network_concat(w->network, count, number, &w->why), &out, err);
    free(number);
    if (status)
        return status;
    out.view = a->view;
    onnx_view_resize(&out, (int)axis, 0, a->volume[0]);
    onnx_give(w, 0, &out);
    return VOX_OK;
}
