/* describe.c - a network's layers as a table: shapes, sizes, work, and what an output voxel sees.
 *
 * What a voxel sees of the network's input is followed forward, axis by axis, as if the volume had
 * no faces: low(o) and high(o) are the first and the last input that output o of a value is made
 * from. Both repeat themselves: `period` outputs further, `shift` inputs further. A strided layer
 * shortens the period and one that goes up makes it longer, so a few numbers say all, exactly, also
 * where neighbours see different numbers of voxels, as behind a transposed convolution. */
#include "layer/layer.h"

#include <stdlib.h>
#include <string.h>

/* Longer periods are not followed (of scales such as 101/100, one after the other), nor steps that
 * no volume has: so no sum below can be too large. */
enum { MOST_PERIOD = 1 << 12, MOST_SHIFT = 1 << 20 };
static const int64_t farthest = INT64_C(1) << 61;

/* Along one axis. */
typedef struct view {
    bool all;              /* or more than can be followed */
    int64_t period, shift; /* low(o + period) is low(o) + shift; so is high */
    int64_t *low, *high;   /* [period]; low is the block that both are in */
} view;

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

static int64_t common_divisor(int64_t a, int64_t b) {
    while (b > 0) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The first and the last input that output o sees; false where there is none, as between the taps
 * of a transposed convolution with more stride than kernel. */
static bool at(const view *v, int64_t o, int64_t *low, int64_t *high) {
    const int64_t turn = floor_div(o, v->period), k = o - turn * v->period;
    if (v->low[k] > v->high[k])
        return false;
    *low = v->low[k] + turn * v->shift;
    *high = v->high[k] + turn * v->shift;
    return true;
}

static vox_status start_view(view *v, int64_t period, int64_t shift, vox_error *err) {
    *v = (view){.period = period, .shift = shift};
    v->low = vox_alloc(2 * period, sizeof *v->low, "network", err);
    v->high = v->low ? v->low + period : NULL;
    return v->low ? VOX_OK : VOX_ERR_RESOURCE;
}

static vox_taps taps_of(const vox_layer *l, const int64_t in[4], const vox_axis *a, int i,
                        int64_t o) {
    if (l->class->taps)
        return l->class->taps(l, in, i, o);
    return (vox_taps){.first = o * a->stride - a->before, .step = a->dilation, .count = a->kernel};
}

/* What all of the taps see, into output o of `to`. */
static void see(const view *from, const vox_taps *t, view *to, int64_t o) {
    /* So many taps are a period or more: those at the two ends see the first and the last. */
    const int64_t enough = vox_min(t->count, from->period);
    to->low[o] = INT64_MAX;
    to->high[o] = INT64_MIN;
    for (int64_t k = 0; k < enough; k++) {
        int64_t low, high;
        if (at(from, t->first + k * t->step, &low, &high))
            to->low[o] = vox_min(to->low[o], low);
        if (at(from, t->first + (t->count - 1 - k) * t->step, &low, &high))
            to->high[o] = vox_max(to->high[o], high);
    }
}

/* *outputs further, a window layer looks *inputs further. */
static bool repeats(const vox_layer *l, const int64_t in[4], const vox_axis *a, int i,
                    int64_t *outputs, int64_t *inputs) {
    *outputs = 1;
    *inputs = a->stride;
    return !l->class->repeats || l->class->repeats(l, in, i, outputs, inputs);
}

static vox_status through_window(const vox_layer *l, const int64_t in[4], const vox_axis *a, int i,
                                 const view *from, view *to, vox_error *err) {
    int64_t outputs, inputs;
    to->all = from->all || !repeats(l, in, a, i, &outputs, &inputs) || inputs > MOST_SHIFT;
    if (to->all)
        return VOX_OK;
    const int64_t times = from->period / common_divisor(from->period, inputs);
    int64_t period, shift = inputs * times / from->period * from->shift;
    to->all = !vox_mul(outputs, times, &period) || period > MOST_PERIOD || shift > MOST_SHIFT;
    if (to->all)
        return VOX_OK;
    if (start_view(to, period, shift, err))
        return VOX_ERR_RESOURCE;
    for (int64_t o = 0; o < period && !to->all; o++) {
        const vox_taps taps = taps_of(l, in, a, i, o);
        see(from, &taps, to, o);
        to->all = to->low[o] < -farthest || to->high[o] > farthest;
    }
    return VOX_OK;
}

/* Row layers and joins: what all inputs see. One of a single voxel, repeated, has no place that
 * moves along, and counts as all. */
static vox_status through_join(const vox_layer *l, const vox_value *values, const vox_value *result,
                               int i, const view *views, view *to, vox_error *err) {
    int64_t period = 1, shift = 1;
    for (int k = 0; k < l->input_count; k++) {
        const view *from = &views[3 * l->input[k] + i];
        const bool repeated = values[l->input[k]].shape[1 + i] != result->shape[1 + i];
        to->all = to->all || from->all || repeated;
        if (to->all)
            return VOX_OK;
        period = from->period / common_divisor(period, from->period) * period;
        shift = from->shift * (period / from->period);
        to->all = period > MOST_PERIOD || shift > MOST_SHIFT;
    }
    if (to->all)
        return VOX_OK;
    if (start_view(to, period, shift, err))
        return VOX_ERR_RESOURCE;
    for (int64_t o = 0; o < period; o++) {
        to->low[o] = INT64_MAX;
        to->high[o] = INT64_MIN;
        for (int k = 0; k < l->input_count; k++) {
            int64_t low, high;
            if (!at(&views[3 * l->input[k] + i], o, &low, &high))
                continue;
            to->low[o] = vox_min(to->low[o], low);
            to->high[o] = vox_max(to->high[o], high);
        }
    }
    return VOX_OK;
}

/* The most that an output sees; 0: all. */
static int64_t widest(const view *v) {
    int64_t most = 0;
    for (int64_t o = 0; !v->all && o < v->period; o++)
        if (v->low[o] <= v->high[o])
            most = vox_max(most, v->high[o] - v->low[o] + 1);
    return most;
}

/* Why no output plane can be made before the last plane of the input has come, or NULL. */
static const char *why_it_waits(const vox_layer *l, const int64_t in[4], const vox_axis *depth) {
    if (!l->class->window || in[1] == 1)
        return NULL;
    if (l->class->repeats) {
        int64_t outputs, inputs;
        return l->class->repeats(l, in, 0, &outputs, &inputs) ? NULL : l->class->waits;
    }
    if (depth->mode == VOX_PAD_CIRCULAR && depth->before > 0)
        return "circular padding along D begins with the last plane";
    return vox_axis_span(depth) - depth->before >= in[1] ? "its window is as deep as the volume"
                                                         : NULL;
}

static int64_t saturated_product(const int64_t shape[4], int64_t each) {
    int64_t product;
    return vox_product(shape, 4, &product) && vox_mul(product, each, &product) ? product
                                                                               : INT64_MAX;
}

static vox_status describe(const vox_network *n, const vox_value *values, int v, view *views,
                           vox_layer_info *info, vox_error *err) {
    const vox_layer *l = n->layer[v - 1];
    const int64_t *in = values[l->input[0]].shape;
    *info = (vox_layer_info){.kind = l->kind ? l->kind : l->class->name,
                             .name = l->name ? l->name : "",
                             .used = values[v].reads > 0,
                             .parameters = l->parameters};
    vox_status status = VOX_OK;
    if (!info->used)
        return status;
    memcpy(info->shape, values[v].shape, sizeof info->shape);
    info->multiply_adds = saturated_product(info->shape, l->macs_per_output);
    info->waits = why_it_waits(l, in, &values[v].axis[0]);
    for (int i = 0; i < 3 && !status; i++) {
        view *own = &views[3 * v + i];
        status = l->class->window ? through_window(l, in, &values[v].axis[i], i,
                                                   &views[3 * l->input[0] + i], own, err)
                                  : through_join(l, values, &values[v], i, views, own, err);
        if (!status)
            info->receptive_field[i] = widest(own);
    }
    return status;
}

int vox_network_layer_count(const vox_network *n) {
    return n->count;
}

vox_status vox_network_layers(const vox_network *n, const int64_t in[4], vox_layer_info *info,
                              vox_error *err) {
    vox_error local = {0};
    vox_value *values = vox_network_values(n, in, &local);
    view *views = values ? vox_alloc(n->count + 1, 3 * sizeof *views, "network", &local) : NULL;
    if (!views) {
        free(values);
        return vox_fail(err, local.status, "%s", local.message);
    }
    for (int i = 0; i < 3 && !local.status; i++)
        start_view(&views[i], 1, 1, &local); /* the input sees itself: low(0) is 0 */
    for (int v = 1; v <= n->count && !local.status; v++)
        describe(n, values, v, views, &info[v - 1], &local);
    for (int i = 0; i < 3 * (n->count + 1); i++)
        free(views[i].low);
    free(views);
    free(values);
    return local.status ? vox_fail(err, local.status, "%s", local.message) : VOX_OK;
}
