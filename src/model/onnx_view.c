/* onnx_view.c - which numbers of a network's value a logical index means. */
#include "model/onnx_walk.h"

#include <stdlib.h>
#include <string.h>

static int64_t voxels(const onnx_value *v) {
    return v->volume[1] * v->volume[2] * v->volume[3];
}

/* Strides of a dense array. */
static void make_dense(onnx_view *v) {
    int64_t stride = 1;
    for (int i = v->rank; i-- > 0;) {
        v->stride[i] = stride;
        stride *= v->shape[i];
    }
}

void onnx_view_volume(onnx_walk *w, onnx_value *v) {
    v->view.rank = 5;
    v->view.shape[0] = w->batch;
    for (int i = 0; i < 4; i++)
        v->view.shape[1 + i] = v->volume[i];
    make_dense(&v->view);
}

bool onnx_view_is_dense(const onnx_view *v) {
    onnx_view dense = *v;
    make_dense(&dense);
    for (int i = 0; i < v->rank; i++)
        if (v->shape[i] > 1 && v->stride[i] != dense.stride[i])
            return false;
    return true;
}

bool onnx_is_volume(const onnx_walk *w, const onnx_value *v) {
    bool same = v->view.rank == 5 && v->view.shape[0] == w->batch && onnx_view_is_dense(&v->view);
    for (int i = 0; i < 4 && same; i++)
        same = v->view.shape[1 + i] == v->volume[i];
    return same;
}

const char *onnx_view_text(const onnx_view *v, char text[VOX_MAX_RANK * 22 + 4]) {
    int at = sprintf(text, "(");
    for (int i = 0; i < v->rank; i++)
        at += sprintf(text + at, i ? ", %lld" : "%lld", (long long)v->shape[i]);
    sprintf(text + at, ")");
    return text;
}

const onnx_value *onnx_volume_input(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_data(w, 0, err);
    char text[VOX_MAX_RANK * 22 + 4];
    if (!v || onnx_is_volume(w, v))
        return v;
    ONNX_REFUSE(w, err, "its input of shape %s is no (N, C, D, H, W) in this order: not served",
                onnx_view_text(&v->view, text));
    return NULL;
}

/* ---- Reshape ---- */

/* Gives the new axes [from, to), whose product is the extent of a run of old axes that lie densely
 * over `stride`, their strides. */
static void split(onnx_view *v, int from, int to, int64_t stride) {
    for (int i = to; i-- > from;) {
        v->stride[i] = stride;
        stride *= v->shape[i];
    }
}

/* Old and new axes are taken in runs of equal product; the old ones of a run must lie densely. The
 * shapes have the same product, and extents of 1 are no axes. */
bool onnx_view_reshape(onnx_view *v, int rank, const int64_t *shape) {
    onnx_view to = {.rank = rank};
    memcpy(to.shape, shape, (size_t)rank * sizeof *shape);
    make_dense(&to);
    int i = 0, j = 0;
    for (;;) {
        while (i < v->rank && v->shape[i] == 1)
            i++;
        while (j < rank && shape[j] == 1)
            j++;
        if (i == v->rank || j == rank)
            break;
        int64_t have = v->shape[i], want = shape[j], stride = v->stride[i];
        const int first = j;
        for (i++, j++; have != want;) {
            if (have > want) {
                want *= shape[j++];
                continue;
            }
            if (v->shape[i] > 1 && stride != v->stride[i] * v->shape[i])
                return false;
            if (v->shape[i] > 1)
                stride = v->stride[i];
            have *= v->shape[i++];
        }
        split(&to, first, j, stride);
    }
    *v = to;
    return true;
}

/* ---- Axes ---- */

static int64_t stride_of(const onnx_value *v, int axis) {
    int64_t stride = 1;
    for (int i = 3; i > axis; i--)
        stride *= v->volume[i];
    return stride;
}

int onnx_view_axis(const onnx_value *v, int i) {
    const int64_t n = v->view.shape[i], stride = v->view.stride[i];
    if (n > 1) {
        for (int axis = 0; axis < 4; axis++)
            if (n == v->volume[axis] && stride == stride_of(v, axis))
                return axis;
        return -1;
    }
    /* Strides do not tell axes of 1 apart; the place does, in a volume's order. In another order,
     * where there is one channel, any of them may stand for it. */
    bool usual = v->view.rank == 5 && onnx_view_is_dense(&v->view);
    for (int k = 0; k < 4 && usual; k++)
        usual = v->view.shape[1 + k] == v->volume[k];
    if (usual)
        return i - 1;
    return v->volume[0] == 1 && i > 0 ? 0 : -1;
}

void onnx_view_resize(onnx_value *v, int i, int axis, int64_t before) {
    const int64_t now = v->volume[axis], inner = stride_of(v, axis);
    for (int k = 0; k < v->view.rank; k++)
        if (k != i && v->view.shape[k] > 1 && v->view.stride[k] >= inner * before)
            v->view.stride[k] = v->view.stride[k] / before * now;
    v->view.shape[i] = now;
    v->view.stride[i] = inner;
}

/* ---- Constants ---- */

/* For each logical axis how far the constant's index goes, 0 where it is repeated. False where the
 * constant does not fit the value. */
static bool align(const onnx_view *v, const onnx_constant *c, int left,
                  int64_t step[VOX_MAX_RANK]) {
    const int first = left >= 0 ? left : v->rank - c->rank;
    int64_t stride = 1;
    memset(step, 0, VOX_MAX_RANK * sizeof *step);
    for (int i = c->rank; i-- > 0;) {
        const int axis = first + i;
        if (c->shape[i] == 1)
            continue;
        if (axis < 0 || axis >= v->rank || c->shape[i] != v->shape[axis])
            return false;
        step[axis] = stride;
        stride *= c->shape[i];
    }
    return true;
}

/* Where the constant's number for the value's number `at` lies: each logical axis is a digit of
 * `at`. */
static int64_t place(const onnx_view *v, const int64_t step[VOX_MAX_RANK], int64_t at) {
    int64_t sum = 0;
    for (int i = 0; i < v->rank; i++)
        if (step[i] > 0)
            sum += at / v->stride[i] % v->shape[i] * step[i];
    return sum;
}

/* Whether number e of the constant equals the one that meets the same channel's first voxel. Of an
 * axis that lies within channels, or goes on over several, the part within is taken off. */
static bool same_in_channel(const onnx_value *v, const onnx_constant *c,
                            const int64_t step[VOX_MAX_RANK], int64_t e) {
    const int64_t inside = voxels(v);
    int64_t first = e;
    for (int i = 0; i < v->view.rank; i++)
        if (step[i] > 0) {
            const int64_t at = e / step[i] % v->view.shape[i] * v->view.stride[i];
            first -= at % inside / v->view.stride[i] * step[i];
        }
    return onnx_number(c, e) == onnx_number(c, first);
}

vox_status onnx_by_channel(onnx_walk *w, const onnx_value *v, const onnx_constant *c, int left,
                           float *number, vox_error *err) {
    int64_t step[VOX_MAX_RANK];
    const int64_t inside = voxels(v), all = v->volume[0] * inside;
    char text[VOX_MAX_RANK * 22 + 4];
    bool fits = align(&v->view, c, left, step) && c->count > 0, within = false;
    for (int i = 0; i < v->view.rank && fits; i++)
        if (step[i] > 0) {
            const int64_t stride = v->view.stride[i];
            within = within || stride % inside != 0;
            /* Not along N, and only along axes that channels divide evenly. */
            fits = stride < all && (stride % inside == 0 || inside % stride == 0);
        }
    if (!fits)
        return ONNX_REFUSE(w, err,
                           "a constant of %d dimensions and %lld numbers beside a value of shape "
                           "%s: not served",
                           c->rank, (long long)c->count, onnx_view_text(&v->view, text));
    for (int64_t e = 0; within && e < c->count; e++)
        if (!same_in_channel(v, c, step, e))
            return ONNX_REFUSE(w, err, "a constant that differs from voxel to voxel: not served");
    for (int64_t k = 0; k < v->volume[0]; k++)
        number[k] = (float)onnx_number(c, place(&v->view, step, k * inside));
    return VOX_OK;
}
