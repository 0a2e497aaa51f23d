/* tensor.c - a small dense array. */
#include "weights/weights.h"

#include <stdlib.h>

vox_tensor *vox_tensor_new(int rank, const int64_t *shape, vox_error *err) {
    int64_t count;
    if (rank < 0 || rank > VOX_MAX_RANK) {
        vox_fail(err, VOX_ERR_USAGE, "tensor: rank=%d: must be 0 to %d", rank, VOX_MAX_RANK);
        return NULL;
    }
    if (!vox_product(shape, rank, &count)) {
        char text[VOX_SHAPE_TEXT];
        vox_fail(err, VOX_ERR_USAGE, "tensor: shape=%s: negative or too large",
                 vox_shape_text(rank, shape, text));
        return NULL;
    }
    vox_tensor *t = calloc(1, sizeof *t);
    if (!t) {
        vox_fail(err, VOX_ERR_RESOURCE, "tensor: out of memory");
        return NULL;
    }
    t->rank = rank;
    for (int i = 0; i < rank; i++)
        t->shape[i] = shape[i];
    t->count = count;
    t->data = vox_alloc(count, sizeof *t->data, "tensor", err);
    if (!t->data) {
        free(t);
        return NULL;
    }
    return t;
}

void vox_tensor_free(vox_tensor *t) {
    if (!t)
        return;
    free(t->data);
    free(t);
}
