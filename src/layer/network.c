/* network.c - layers as a graph: ownership, shapes, geometry. */
#include "layer/layer.h"

#include <stdlib.h>
#include <string.h>

vox_network *vox_network_new(vox_error *err) {
    return vox_alloc(1, sizeof(vox_network), "network", err);
}

static void free_layer(vox_layer *l) {
    free(l->input);
    free(l->name);
    l->class->free(l);
}

void vox_network_free(vox_network *n) {
    if (!n)
        return;
    for (int i = 0; i < n->count; i++)
        free_layer(n->layer[i]);
    free(n->layer);
    free(n);
}

int vox_network_value(const vox_network *n) {
    return n->current;
}

static vox_status check_value(const vox_network *n, int value, vox_error *err) {
    if (value >= 0 && value <= n->count)
        return VOX_OK;
    return vox_fail(err, VOX_ERR_USAGE, "network: value=%d: there are values 0 to %d", value,
                    n->count);
}

vox_status vox_network_select(vox_network *n, int value, vox_error *err) {
    vox_status status = check_value(n, value, err);
    if (!status)
        n->current = value;
    return status;
}

vox_status vox_network_name(vox_network *n, int value, const char *name, vox_error *err) {
    if (value < 1 || value > n->count)
        return vox_fail(err, VOX_ERR_USAGE, "network: value=%d: layers give values 1 to %d", value,
                        n->count);
    char *copy = vox_strdup(name, err);
    if (!copy)
        return VOX_ERR_RESOURCE;
    free(n->layer[value - 1]->name);
    n->layer[value - 1]->name = copy;
    return VOX_OK;
}

vox_status vox_network_append(vox_network *n, vox_layer *l, int input_count, const int *input,
                              vox_error *err) {
    vox_status status = VOX_OK;
    l->input_count = input ? input_count : 1;
    l->input = vox_alloc(l->input_count, sizeof(int), "network", err);
    vox_layer **list = vox_grow(n->layer, n->count, &n->room, sizeof(vox_layer *), "network", err);
    if (list)
        n->layer = list;
    if (!l->input || !list)
        status = VOX_ERR_RESOURCE;
    for (int i = 0; i < l->input_count && !status; i++) {
        l->input[i] = input ? input[i] : n->current;
        status = check_value(n, l->input[i], err);
    }
    if (status) {
        free_layer(l);
        return status;
    }
    n->layer[n->count++] = l;
    n->current = n->count;
    return VOX_OK;
}

static void count_reads(const vox_network *n, vox_value *values) {
    values[n->current].reads = 1;
    for (int i = n->count; i > 0; i--) {
        const vox_layer *l = n->layer[i - 1];
        for (int k = 0; k < l->input_count && values[i].reads > 0; k++)
            values[l->input[k]].reads++;
    }
}

/* The shapes of a layer's inputs, copied behind each other. */
static void gather_shapes(const vox_layer *l, const vox_value *values, int64_t *in) {
    for (int k = 0; k < l->input_count; k++)
        memcpy(in + (ptrdiff_t)4 * k, values[l->input[k]].shape, 4 * sizeof *in);
}

static int most_inputs(const vox_network *n) {
    int most = 1;
    for (int i = 0; i < n->count; i++)
        if (n->layer[i]->input_count > most)
            most = n->layer[i]->input_count;
    return most;
}

vox_value *vox_network_values(const vox_network *n, const int64_t in[4], vox_error *err) {
    vox_value *values = vox_alloc(n->count + 1, sizeof *values, "network", err);
    int64_t *shapes = vox_alloc(most_inputs(n), 4 * sizeof *shapes, "network", err);
    if (!values || !shapes)
        goto fail;
    count_reads(n, values);
    memcpy(values[0].shape, in, sizeof values[0].shape);
    for (int i = 1; i <= n->count; i++) {
        const vox_layer *l = n->layer[i - 1];
        if (values[i].reads == 0)
            continue;
        gather_shapes(l, values, shapes);
        if (l->class->shape(l, shapes, values[i].shape, values[i].axis, err))
            goto fail;
    }
    free(shapes);
    return values;
fail:
    free(shapes);
    free(values);
    return NULL;
}

const vox_layer *vox_network_uncut(const vox_network *n, const vox_value *values) {
    for (int i = 1; i <= n->count; i++)
        if (values[i].reads > 0 && n->layer[i - 1]->class->reach)
            return n->layer[i - 1];
    return NULL;
}

vox_status vox_network_shape(const vox_network *n, const int64_t in[4], int64_t out[4],
                             vox_error *err) {
    vox_error local = {0};
    vox_value *values = vox_network_values(n, in, &local);
    if (!values)
        return vox_fail(err, local.status, "%s", local.message);
    memcpy(out, values[n->current].shape, 4 * sizeof *out);
    free(values);
    return VOX_OK;
}

/* Output voxel o of a window layer is centred on index o*s - before + d*(k-1)/2 of its input,
 * unless the layer says otherwise. */
void vox_layer_place(const vox_layer *l, const int64_t in[4], const vox_axis *a, int i,
                     double *stride, double *origin) {
    if (l->class->place) {
        l->class->place(l, in, i, stride, origin);
        return;
    }
    *stride = (double)a->stride;
    *origin = (double)a->dilation * (double)(a->kernel - 1) / 2 - (double)a->before;
}

/* From the output back to the input, along the first operand of each layer. */
vox_status vox_network_geometry(const vox_network *n, const int64_t in[4], double stride[3],
                                double origin[3], vox_error *err) {
    vox_error local = {0};
    vox_value *values = vox_network_values(n, in, &local);
    if (!values)
        return vox_fail(err, local.status, "%s", local.message);
    for (int i = 0; i < 3; i++) {
        stride[i] = 1;
        origin[i] = 0;
        for (int v = n->current; v > 0; v = n->layer[v - 1]->input[0]) {
            const vox_layer *l = n->layer[v - 1];
            double scale, shift;
            if (!l->class->window)
                continue;
            vox_layer_place(l, values[l->input[0]].shape, &values[v].axis[i], i, &scale, &shift);
            stride[i] *= scale;
            origin[i] = origin[i] * scale + shift;
        }
    }
    free(values);
    return VOX_OK;
}
