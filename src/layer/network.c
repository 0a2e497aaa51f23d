/* network.c - layers in a row: ownership, shapes, geometry. */
#include "layer/layer.h"

#include <stdlib.h>
#include <string.h>

vox_network *vox_network_new(vox_error *err) {
    return vox_alloc(1, sizeof(vox_network), "network", err);
}

void vox_network_free(vox_network *c) {
    if (!c)
        return;
    for (vox_layer *l = c->first, *next; l; l = next) {
        next = l->next;
        l->class->free(l);
    }
    free(c);
}

void vox_network_append(vox_network *c, vox_layer *l) {
    if (c->last)
        c->last->next = l;
    else
        c->first = l;
    c->last = l;
    c->count++;
}

/* Walks the network; calls nothing, fills what is not NULL. */
static vox_status walk(const vox_network *c, const int64_t in[4], int64_t out[4], double stride[3],
                       double origin[3], vox_error *err) {
    int64_t shape[4];
    memcpy(shape, in, sizeof shape);
    for (int i = 0; i < 3; i++) {
        stride[i] = 1;
        origin[i] = 0;
    }
    for (const vox_layer *l = c->first; l; l = l->next) {
        vox_axis axis[3];
        vox_status status = l->class->shape(l, shape, out, axis, err);
        if (status)
            return status;
        memcpy(shape, out, sizeof shape);
        for (int i = 0; i < 3 && l->class->window; i++) {
            /* Output voxel o of this layer is centred on index o*s - before + d*(k-1)/2 of its
             * input. */
            origin[i] += stride[i] * ((double)axis[i].dilation * (double)(axis[i].kernel - 1) / 2 -
                                      (double)axis[i].before);
            stride[i] *= (double)axis[i].stride;
        }
    }
    memcpy(out, shape, sizeof shape);
    return VOX_OK;
}

vox_status vox_network_shape(const vox_network *c, const int64_t in[4], int64_t out[4],
                             vox_error *err) {
    double stride[3], origin[3];
    return walk(c, in, out, stride, origin, err);
}

vox_status vox_network_geometry(const vox_network *c, const int64_t in[4], double stride[3],
                                double origin[3], vox_error *err) {
    int64_t out[4];
    return walk(c, in, out, stride, origin, err);
}
