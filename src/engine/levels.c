/* levels.c - see levels.h. */
#include "engine/levels.h"

#include "engine/pipeline.h"

#include <stdlib.h>
#include <string.h>

static vox_box whole(const int64_t shape[4]) {
    return (vox_box){.to = {shape[1], shape[2], shape[3]}};
}

static void include(vox_box *box, const vox_box *more) {
    const bool empty = vox_box_voxels(box) == 0;
    for (int i = 0; i < 3; i++) {
        box->from[i] = empty ? more->from[i] : vox_min(box->from[i], more->from[i]);
        box->to[i] = empty ? more->to[i] : vox_max(box->to[i], more->to[i]);
    }
}

/* The box of input k of layer l that box `out` of its result needs. */
static vox_box needed(const vox_layer *l, const vox_level *result, const vox_level *input) {
    vox_box box = result->box;
    const int64_t *n = input->value.shape;
    if (l->class->reach)
        return whole(n);
    if (l->class->window) {
        for (int i = 0; i < 3; i++) {
            const vox_axis part = vox_axis_part(&result->value.axis[i], result->box.from[i],
                                                result->box.to[i], &box.from[i]);
            box.to[i] = box.from[i] + part.in;
        }
        return box;
    }
    /* One voxel for all of them, in a join. */
    return memcmp(n + 1, result->value.shape + 1, 3 * sizeof *n) == 0 ? box : whole(n);
}

/* The axes of a window layer's part of the result, over the part of the input that is there: it may
 * be more than this layer needs. */
static void cut_axes(vox_level *result, const vox_level *input) {
    for (int i = 0; i < 3; i++) {
        vox_axis *a = &result->value.axis[i];
        int64_t from;
        *a = vox_axis_part(a, result->box.from[i], result->box.to[i], &from);
        a->before -= from - input->box.from[i];
        a->in = vox_box_extent(&input->box, i);
    }
}

vox_level *vox_levels_make(const vox_network *network, const int64_t in[4], const vox_box *part,
                           vox_error *err) {
    const int count = network->count;
    vox_level *levels = vox_alloc(count + 2, sizeof *levels, "pipeline", err);
    vox_value *values = levels ? vox_network_values(network, in, err) : NULL;
    if (!values) {
        free(levels);
        return NULL;
    }
    for (int v = 0; v <= count; v++) {
        levels[v].value = values[v];
        if (!part && values[v].reads > 0)
            levels[v].box = whole(values[v].shape);
    }
    free(values);
    if (part)
        levels[network->current].box = *part;
    for (int v = count; v > 0 && part; v--) {
        const vox_layer *l = network->layer[v - 1];
        if (l->class->reach && levels[v].value.reads > 0)
            levels[v].box = whole(levels[v].value.shape);
        for (int k = 0; k < l->input_count && levels[v].value.reads > 0; k++) {
            const vox_box box = needed(l, &levels[v], &levels[l->input[k]]);
            include(&levels[l->input[k]].box, &box);
        }
    }
    levels[count + 1] = levels[network->current];
    if (part)
        levels[count + 1].box = *part;
    for (int v = 0; v <= count + 1; v++) {
        const vox_layer *l = v > 0 && v <= count ? network->layer[v - 1] : NULL;
        if (part && l && l->class->window && !l->class->reach && levels[v].value.reads > 0)
            cut_axes(&levels[v], &levels[l->input[0]]);
        levels[v].shape[0] = levels[v].value.shape[0];
        for (int i = 0; i < 3; i++)
            levels[v].shape[1 + i] = vox_box_extent(&levels[v].box, i);
    }
    return levels;
}

vox_status vox_pipeline_need(const vox_network *network, const int64_t in[4], const vox_box *part,
                             vox_need *need, vox_error *err) {
    vox_error local = {0};
    vox_level *levels = vox_levels_make(network, in, part, &local);
    if (!levels)
        return vox_fail(err, local.status, "%s", local.message);
    need->in = levels[0].box;
    need->multiply_adds = 0;
    for (int v = 1; v <= network->count; v++) {
        int64_t macs;
        if (levels[v].value.reads > 0 &&
            (!vox_product(levels[v].shape, 4, &macs) ||
             !vox_mul(macs, network->layer[v - 1]->macs_per_output, &macs) ||
             !vox_add(need->multiply_adds, macs, &need->multiply_adds)))
            need->multiply_adds = INT64_MAX;
    }
    free(levels);
    return VOX_OK;
}
