/* onnx_reshape.c - operators that give a value other axes, and those that leave it as it is.
 * Numbers move only where a Transpose before a Reshape makes a pixel shuffle. */
#include "model/onnx_walk.h"

#include <string.h>

vox_status onnx_map_identity(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_data(w, 0, err);
    if (!v)
        return err->status;
    const onnx_constant *training = onnx_constant_input(w, 2); /* Dropout, from opset 12 */
    if (training && training->count > 0 && onnx_number(training, 0) != 0)
        return ONNX_REFUSE(w, err, "training_mode: not served");
    const onnx_value out = *v;
    onnx_give(w, 0, &out);
    return VOX_OK;
}

vox_status onnx_map_cast(onnx_walk *w, vox_error *err) {
    const int64_t to = onnx_int(w, "to", 0);
    const onnx_value *v = onnx_data(w, 0, err);
    if (!v)
        return err->status;
    if (!v->whole && !onnx_type_is_float((int)vox_max(0, vox_min(to, INT32_MAX))))
        return ONNX_REFUSE(w, err,
                           "to=%lld: a value that depends on the input stays a floating-point "
                           "number",
                           (long long)to);
    return onnx_map_identity(w, err);
}

/* ---- New shapes ---- */

static vox_status reshape(onnx_walk *w, int rank, const int64_t *shape, int count,
                          const int64_t *wanted, int64_t *new_shape, vox_error *err) {
    const bool zero_is_zero = onnx_int(w, "allowzero", 0) != 0;
    int64_t have, product = 1;
    int open = -1;
    bool fits = vox_product(shape, rank, &have);
    for (int i = 0; i < count && fits; i++) {
        new_shape[i] = wanted[i];
        if (wanted[i] == 0 && !zero_is_zero) {
            if (i >= rank)
                return ONNX_BAD(w, err, "shape[%d]=0: its input has %d axes", i, rank);
            new_shape[i] = shape[i];
        }
        if (wanted[i] == -1) {
            fits = open < 0;
            open = i;
        } else {
            fits = vox_mul(product, new_shape[i], &product);
        }
    }
    if (fits && open >= 0) {
        fits = product > 0 && have % product == 0;
        new_shape[open] = fits ? have / product : 0;
        product = fits ? have : 0;
    }
    if (!fits || product != have)
        return ONNX_BAD(w, err, "its input of %lld numbers does not take the shape asked for",
                        (long long)have);
    return VOX_OK;
}

static vox_status flatten(onnx_walk *w, int rank, const int64_t *shape, int64_t new_shape[2],
                          vox_error *err) {
    int64_t axis = onnx_int(w, "axis", 1);
    if (axis < 0)
        axis += rank;
    if (axis < 0 || axis > rank)
        return ONNX_BAD(w, err, "axis=%lld: its input has %d axes", (long long)axis, rank);
    new_shape[0] = new_shape[1] = 1;
    for (int i = 0; i < rank; i++)
        if (!vox_mul(new_shape[i >= axis], shape[i], &new_shape[i >= axis]))
            return ONNX_BAD(w, err, "more numbers than can be counted");
    return VOX_OK;
}

static vox_status squeeze(onnx_walk *w, int rank, const int64_t *shape, int count, int64_t *axes,
                          int *new_rank, int64_t *new_shape, vox_error *err) {
    unsigned gone = 0;
    if (onnx_axes(w, count, axes, rank, err))
        return err->status;
    for (int i = 0; i < count; i++) {
        if (shape[axes[i]] != 1)
            return ONNX_BAD(w, err, "axis=%lld: its extent is %lld, not 1", (long long)axes[i],
                            (long long)shape[axes[i]]);
        gone |= 1U << axes[i];
    }
    *new_rank = 0;
    for (int i = 0; i < rank; i++)
        if (count < 0 ? shape[i] != 1 : !(gone >> i & 1))
            new_shape[(*new_rank)++] = shape[i];
    return VOX_OK;
}

static vox_status unsqueeze(onnx_walk *w, int rank, const int64_t *shape, int count, int64_t *axes,
                            int *new_rank, int64_t *new_shape, vox_error *err) {
    unsigned fresh = 0;
    *new_rank = rank + vox_max(count, 0);
    if (*new_rank > VOX_MAX_RANK)
        return ONNX_REFUSE(w, err, "%d axes: at most %d are served", *new_rank, VOX_MAX_RANK);
    if (onnx_axes(w, count, axes, *new_rank, err))
        return err->status;
    for (int i = 0; i < count; i++)
        fresh |= 1U << axes[i];
    for (int i = 0, from = 0; i < *new_rank; i++)
        new_shape[i] = fresh >> i & 1 ? 1 : shape[from++];
    return VOX_OK;
}

vox_status onnx_new_shape(onnx_walk *w, int rank, const int64_t *shape, int *new_rank,
                          int64_t *new_shape, vox_error *err) {
    const char *type = w->node->op_type;
    const bool is_reshape = strcmp(type, "Reshape") == 0;
    int64_t list[ONNX_MOST_AXES];
    int count;
    if (strcmp(type, "Flatten") == 0) {
        *new_rank = 2;
        return flatten(w, rank, shape, new_shape, err);
    }
    vox_status status = onnx_list(w, is_reshape ? "shape" : "axes", 1, list, &count, err);
    if (status)
        return status;
    if (strcmp(type, "Squeeze") == 0)
        return squeeze(w, rank, shape, count, list, new_rank, new_shape, err);
    if (count < 0)
        return ONNX_BAD(w, err, "it does not say which axes");
    if (strcmp(type, "Unsqueeze") == 0)
        return unsqueeze(w, rank, shape, count, list, new_rank, new_shape, err);
    if (count > VOX_MAX_RANK)
        return ONNX_REFUSE(w, err, "%d axes: at most %d are served", count, VOX_MAX_RANK);
    *new_rank = count;
    return reshape(w, rank, shape, count, list, new_shape, err);
}

/* ---- Values ---- */

/* (N, C, D, r0, H, r1, W, r2), made from channels in one of two orders, becomes
 * (N, C, D*r0, H*r1, W*r2). *crd: the channels are C, r0, r1, r2; else r0, r1, r2, C. */
static bool is_shuffle(const onnx_walk *w, const onnx_value *v, int rank, const int64_t *shape,
                       bool *crd) {
    const int64_t *n = v->view.shape, *s = v->view.stride;
    const int64_t inside = v->volume[1] * v->volume[2] * v->volume[3];
    const int64_t spatial[3] = {v->volume[2] * v->volume[3], v->volume[3], 1};
    if (v->view.rank != 8 || rank != 5 || n[0] != w->batch || shape[0] != n[0] || shape[1] != n[1])
        return false;
    for (int i = 0; i < 3; i++)
        if (n[2 + 2 * i] != v->volume[1 + i] || shape[2 + i] != n[2 + 2 * i] * n[3 + 2 * i] ||
            (n[2 + 2 * i] > 1 && s[2 + 2 * i] != spatial[i]))
            return false;
    for (int order = 0; order < 2; order++) {
        const int64_t last = order ? 1 : n[1];
        const int64_t want[4] = {order ? n[3] * n[5] * n[7] : 1, n[5] * n[7] * last, n[7] * last,
                                 last};
        const int64_t extent[4] = {n[1], n[3], n[5], n[7]};
        const int64_t stride[4] = {s[1], s[3], s[5], s[7]};
        bool fits = true;
        for (int i = 0; i < 4; i++)
            fits = fits && (extent[i] == 1 || stride[i] == want[i] * inside);
        *crd = order == 1;
        if (fits)
            return true;
    }
    return false;
}

static vox_status shuffle(onnx_walk *w, const onnx_value *v, bool crd, vox_error *err) {
    const int64_t factor[3] = {v->view.shape[3], v->view.shape[5], v->view.shape[7]};
    onnx_value out;
    onnx_select(w, v);
    vox_status status =
        onnx_added(w, vox_network_pixel_shuffle3d(w->network, factor, crd, &w->why), &out, err);
    if (!status)
        onnx_give(w, 0, &out);
    return status;
}

vox_status onnx_map_reshape(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_data(w, 0, err);
    int rank = 0;
    int64_t shape[VOX_MAX_RANK] = {0};
    bool crd;
    char text[VOX_MAX_RANK * 22 + 4];
    if (!v || onnx_new_shape(w, v->view.rank, v->view.shape, &rank, shape, err))
        return err->status;
    onnx_value out = *v;
    const bool keeps_batch =
        w->batch == 1 || (rank > 0 && shape[0] == w->batch && v->view.shape[0] == w->batch);
    if (keeps_batch && is_shuffle(w, v, rank, shape, &crd))
        return shuffle(w, v, crd, err);
    if (!keeps_batch || !onnx_view_reshape(&out.view, rank, shape))
        return ONNX_REFUSE(w, err,
                           "its input of shape %s would have to change its numbers' order: not "
                           "served",
                           onnx_view_text(&v->view, text));
    onnx_give(w, 0, &out);
    return VOX_OK;
}

vox_status onnx_map_expand(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_data(w, 0, err);
    int64_t list[ONNX_MOST_AXES];
    int count;
    if (!v || onnx_list(w, NULL, 1, list, &count, err))
        return err->status;
    bool same = count >= 0 && count <= v->view.rank;
    for (int i = 1; i <= count && same; i++)
        same = list[count - i] == 1 || list[count - i] == v->view.shape[v->view.rank - i];
    if (!same)
        return ONNX_REFUSE(w, err, "repeating a value that depends on the input: not served");
    return onnx_map_identity(w, err);
}
