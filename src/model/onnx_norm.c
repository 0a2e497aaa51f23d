/* onnx_norm.c - normalisations, means over axes, and matrix products. */
#include "model/onnx_walk.h"

#include <stdlib.h>
#include <string.h>

/* ---- Parameters ---- */

/* A constant of `count` floating-point numbers; NULL with an error. */
static const float *vector(onnx_walk *w, int i, int64_t count, vox_error *err) {
    const onnx_constant *c = onnx_given(w, i, err);
    if (c && (c->integer || c->count != count)) {
        ONNX_BAD(w, err, "input %d has %lld numbers, not %lld", i, (long long)c->count,
                 (long long)count);
        return NULL;
    }
    return c ? c->f : NULL;
}

static vox_status give_as(onnx_walk *w, vox_status status, const onnx_view *view, vox_error *err) {
    onnx_value out;
    status = onnx_added(w, status, &out, err);
    if (!status) {
        out.view = *view;
        onnx_give(w, 0, &out);
    }
    return status;
}

/* ---- Normalisation ---- */

vox_status onnx_map_batch_norm(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_data(w, 0, err);
    if (!v)
        return err->status;
    if (onnx_int(w, "training_mode", 0) || !onnx_int(w, "spatial", 1))
        return ONNX_REFUSE(w, err, "training_mode, or spatial=0: not served");
    if (v->view.rank < 2 || (onnx_view_axis(v, 1) != 0 && v->volume[0] > 1) ||
        v->view.shape[1] != v->volume[0])
        return ONNX_REFUSE(w, err, "its input's axis 1 is not its channels: not served");
    const int64_t channels = v->volume[0];
    const float *p[4];
    for (int i = 0; i < 4; i++) {
        p[i] = vector(w, 1 + i, channels, err);
        if (!p[i])
            return err->status;
    }
    const onnx_view view = v->view;
    onnx_select(w, v);
    return give_as(w,
                   vox_network_batchnorm3d(w->network, channels, p[2], p[3], p[0], p[1],
                                           onnx_float(w, "epsilon", 1e-5), &w->why),
                   &view, err);
}

/* Scale and bias, one number for each of `count` runs of channels, as numbers for each channel. */
static vox_status group_norm(onnx_walk *w, const onnx_value *v, int64_t groups, const float *scale,
                             const float *bias, int64_t count, vox_error *err) {
    const int64_t channels = v->volume[0];
    const onnx_view view = v->view;
    float *both = vox_alloc(2 * channels, sizeof *both, "model", err);
    if (!both)
        return VOX_ERR_RESOURCE;
    for (int64_t c = 0; c < channels; c++) {
        both[c] = scale[c / (channels / count)];
        both[channels + c] = bias[c / (channels / count)];
    }
    onnx_select(w, v);
    vox_status status = vox_network_group_norm(w->network, groups, channels, both, both + channels,
                                               onnx_float(w, "epsilon", 1e-5), &w->why);
    free(both);
    return give_as(w, status, &view, err);
}

/* Instances may be runs of channels: that is how torch exports GroupNorm, behind a Reshape to
 * (N, groups, the rest). */
vox_status onnx_map_instance_norm(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_data(w, 0, err);
    if (!v)
        return err->status;
    const int64_t groups = v->view.rank > 2 ? v->view.shape[1] : 0;
    if (groups < 1 || v->view.shape[0] != w->batch || !onnx_view_is_dense(&v->view) ||
        v->volume[0] % groups != 0)
        return ONNX_REFUSE(w, err, "its input's axis 1 is neither channels nor groups of them");
    const float *scale = vector(w, 1, groups, err);
    const float *bias = scale ? vector(w, 2, groups, err) : NULL;
    return bias ? group_norm(w, v, groups, scale, bias, groups, err) : err->status;
}

/* Opset 18 has a scale for each group, opset 21 for each channel; exporters mix them up. */
vox_status onnx_map_group_norm(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_volume_input(w, err);
    const int64_t groups = onnx_int(w, "num_groups", 0);
    const onnx_constant *c = v ? onnx_given(w, 1, err) : NULL;
    if (!c)
        return err->status;
    if (groups < 1 || v->volume[0] % groups != 0)
        return ONNX_BAD(w, err, "num_groups=%lld: its input has %lld channels", (long long)groups,
                        (long long)v->volume[0]);
    const int64_t count = c->count == v->volume[0] ? v->volume[0] : groups;
    const float *scale = vector(w, 1, count, err);
    const float *bias = scale ? vector(w, 2, count, err) : NULL;
    return bias ? group_norm(w, v, groups, scale, bias, count, err) : err->status;
}

/* Over all axes of a sample: one group. */
vox_status onnx_map_layer_norm(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_volume_input(w, err);
    const onnx_constant *scale = v ? onnx_given(w, 1, err) : NULL;
    int64_t axis = onnx_int(w, "axis", -1);
    if (!scale || onnx_axes(w, 1, &axis, v->view.rank, err))
        return err->status;
    if (axis != 1)
        return ONNX_REFUSE(w, err, "axis=%lld: served from axis 1 on", (long long)axis);
    const onnx_constant *bias = onnx_constant_input(w, 2);
    const int64_t channels = v->volume[0];
    float *number = vox_alloc(2 * channels, sizeof *number, "model", err);
    if (!number)
        return VOX_ERR_RESOURCE;
    vox_status status = onnx_by_channel(w, v, scale, -1, number, err);
    if (!status && onnx_input(w, 2))
        status = bias ? onnx_by_channel(w, v, bias, -1, number + channels, err)
                      : ONNX_REFUSE(w, err, "its bias depends on the input");
    if (!status)
        status = group_norm(w, v, 1, number, number + channels, channels, err);
    free(number);
    return status;
}

/* ---- Means over axes ---- */

enum { CHANNELS = 1, VOXELS = 14, EVERYTHING = 15 };

/* The network's axes that are reduced, as bits; -1 where the logical ones are not whole ones. */
static int reduced_axes(const onnx_walk *w, const onnx_value *v, unsigned logical) {
    int bits = 0;
    int64_t product = 1, of_bits = 1;
    for (int i = 0; i < v->view.rank; i++) {
        const int64_t n = v->view.shape[i], stride = v->view.stride[i];
        if (!(logical >> i & 1) || n == 1)
            continue;
        if (i == 0 && w->batch > 1)
            return -1;
        product *= n;
        for (int axis = 0; axis < 4; axis++) {
            int64_t inner = 1;
            for (int k = 3; k > axis; k--)
                inner *= v->volume[k];
            if (v->volume[axis] > 1 && inner * v->volume[axis] > stride && inner < stride * n)
                bits |= 1 << axis;
        }
    }
    for (int axis = 0; axis < 4; axis++)
        if (bits >> axis & 1)
            of_bits *= v->volume[axis];
    return product == of_bits ? bits : -1;
}

/* The mean over the channels: a convolution of 1 voxel with equal weights. */
static vox_status mean_of_channels(onnx_walk *w, onnx_value *v, vox_error *err) {
    const int64_t channels = v->volume[0];
    vox_conv3d c;
    vox_conv3d_defaults(&c);
    c.in_channels = channels;
    float *weight = vox_alloc(channels, sizeof *weight, "model", err);
    if (!weight)
        return VOX_ERR_RESOURCE;
    for (int64_t k = 0; k < channels; k++)
        weight[k] = (float)(1 / (double)channels);
    onnx_select(w, v);
    vox_status status = vox_network_conv3d(w->network, &c, weight, NULL, &w->why);
    free(weight);
    return onnx_added(w, status, v, err);
}

static vox_status scale_by(onnx_walk *w, onnx_value *v, double factor, vox_error *err) {
    const int64_t channels = v->volume[0];
    float *p = vox_alloc(3 * channels, sizeof *p, "model", err);
    if (!p)
        return VOX_ERR_RESOURCE;
    for (int64_t k = 0; k < channels; k++) {
        p[channels + k] = 1;
        p[2 * channels + k] = (float)factor;
    }
    onnx_select(w, v);
    vox_status status = vox_network_batchnorm3d(w->network, channels, p, p + channels,
                                                p + 2 * channels, NULL, 0, &w->why);
    free(p);
    return onnx_added(w, status, v, err);
}

/* The reduced value, whose view is not filled. */
static vox_status reduce(onnx_walk *w, int bits, onnx_value *v, vox_error *err) {
    const char *type = w->node->op_type;
    int64_t size[3], count = 1;
    for (int i = 0; i < 4; i++)
        count *= bits >> i & 1 ? v->volume[i] : 1;
    for (int i = 0; i < 3; i++)
        size[i] = bits >> (1 + i) & 1 ? 1 : v->volume[1 + i];
    vox_status status = VOX_OK;
    if (bits & VOXELS) {
        onnx_select(w, v);
        status = onnx_added(
            w,
            vox_network_adaptive_pool3d(w->network, strcmp(type, "ReduceMax") != 0, size, &w->why),
            v, err);
    }
    if (!status && bits & CHANNELS)
        status = mean_of_channels(w, v, err);
    if (!status && strcmp(type, "ReduceSum") == 0)
        status = scale_by(w, v, (double)count, err);
    return status;
}

/* The view without what was reduced: those axes are 1, or gone. */
static void reduce_view(onnx_value *out, const onnx_value *v, unsigned logical, int bits,
                        bool keep) {
    int rank = 0;
    for (int i = 0; i < v->view.rank; i++) {
        int64_t stride = v->view.stride[i], inner = 1;
        if (logical >> i & 1 && !keep)
            continue;
        /* Every reduced axis that lies within this one's steps takes its extent off them. */
        for (int axis = 3; axis >= 0; axis--) {
            if (bits >> axis & 1 && inner < v->view.stride[i])
                stride /= v->volume[axis];
            inner *= v->volume[axis];
        }
        out->view.shape[rank] = logical >> i & 1 ? 1 : v->view.shape[i];
        out->view.stride[rank++] = stride;
    }
    out->view.rank = rank;
}

vox_status onnx_map_reduce(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_data(w, 0, err);
    int64_t axes[ONNX_MOST_AXES];
    int count;
    if (!v || onnx_list(w, "axes", 1, axes, &count, err) ||
        onnx_axes(w, count, axes, v->view.rank, err))
        return err->status;
    if (count < 1 && onnx_int(w, "noop_with_empty_axes", 0))
        return onnx_map_identity(w, err);
    unsigned logical = count < 1 ? (1U << v->view.rank) - 1 : 0;
    for (int i = 0; i < count; i++)
        logical |= 1U << axes[i];
    const int bits = reduced_axes(w, v, logical);
    if (bits < 0 || (bits & CHANNELS && strcmp(w->node->op_type, "ReduceMax") == 0))
        return ONNX_REFUSE(w, err, "served over whole axes of a volume, a maximum over D, H and W");
    onnx_value out = *v;
    const bool keep = onnx_int(w, "keepdims", 1) != 0;
    vox_status status = reduce(w, bits, &out, err);
    if (status)
        return status;
    reduce_view(&out, v, logical, bits, keep);
    onnx_give(w, 0, &out);
    return VOX_OK;
}

/* ---- ArgMax ---- */

/* The numbers of classes are whole and small: exact as float32. */
vox_status onnx_map_arg_max(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_data(w, 0, err);
    int64_t axis = onnx_int(w, "axis", 0);
    if (!v || onnx_axes(w, 1, &axis, v->view.rank, err))
        return err->status;
    if (onnx_view_axis(v, (int)axis) != 0 || onnx_int(w, "select_last_index", 0))
        return ONNX_REFUSE(w, err, "axis=%lld: served along the channels, for the first of equals",
                           (long long)axis);
    const onnx_value before = *v;
    onnx_value out;
    onnx_select(w, v);
    vox_status status = onnx_added(w, vox_network_argmax(w->network, &w->why), &out, err);
    if (status)
        return status;
    reduce_view(&out, &before, 1U << axis, CHANNELS, onnx_int(w, "keepdims", 1) != 0);
    out.whole = true;
    onnx_give(w, 0, &out);
    return VOX_OK;
}

/* ---- Matrix products ---- */

/* The matrix (in, out), or with transB (out, in), times alpha, as (out, in). The caller frees it.
 */
static float *turned(const onnx_constant *b, bool is_out_in, double alpha, vox_error *err) {
    const int64_t out = b->shape[is_out_in ? 0 : 1], in = b->shape[is_out_in ? 1 : 0];
    float *weight = vox_alloc(b->count, sizeof *weight, "model", err);
    for (int64_t o = 0; weight && o < out; o++)
        for (int64_t i = 0; i < in; i++)
            weight[o * in + i] =
                (float)(alpha * (double)b->f[is_out_in ? o * in + i : i * out + o]);
    return weight;
}

/* (N, in) by the matrix: all numbers of a sample at once, or for each voxel its channels. */
static vox_status multiply(onnx_walk *w, const onnx_value *v, const float *weight, int64_t in,
                           int64_t out_count, const float *bias, vox_error *err) {
    const int last = v->view.rank - 1;
    const onnx_value before = *v;
    const int64_t all = v->volume[0] * v->volume[1] * v->volume[2] * v->volume[3];
    vox_status status;
    onnx_value out;
    onnx_select(w, v);
    if (in == all && onnx_view_is_dense(&v->view)) {
        status = vox_network_linear(w->network, in, out_count, weight, bias, &w->why);
        status = onnx_added(w, status, &out, err);
        out.view = before.view;
        out.view.shape[last] = out_count;
        for (int i = 0; i <= last; i++)
            out.view.stride[i] = i == last ? 1 : out_count;
    } else if (onnx_view_axis(&before, last) == 0) {
        vox_conv3d c;
        vox_conv3d_defaults(&c);
        c.in_channels = in;
        c.out_channels = out_count;
        status = vox_network_conv3d(w->network, &c, weight, bias, &w->why);
        status = onnx_added(w, status, &out, err);
        out.view = before.view;
        if (!status)
            onnx_view_resize(&out, last, 0, in);
    } else {
        return ONNX_REFUSE(w, err, "its input's last axis is not its channels: not served");
    }
    if (!status)
        onnx_give(w, 0, &out);
    return status;
}

static const onnx_constant *read_matrix(onnx_walk *w, vox_error *err) {
    const onnx_constant *b = onnx_given(w, 1, err);
    if (b && (b->rank != 2 || b->integer || b->count < 1)) {
        ONNX_REFUSE(w, err, "its second input is no matrix of floating-point numbers");
        return NULL;
    }
    return b;
}

vox_status onnx_map_matmul(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_data(w, 0, err);
    const onnx_constant *b = v ? read_matrix(w, err) : NULL;
    if (!b)
        return err->status;
    if (v->view.rank < 2 || v->view.shape[v->view.rank - 1] != b->shape[0])
        return ONNX_BAD(w, err, "a matrix of %lld rows behind an axis of another extent",
                        (long long)b->shape[0]);
    float *weight = turned(b, false, 1, err);
    if (!weight)
        return VOX_ERR_RESOURCE;
    vox_status status = multiply(w, v, weight, b->shape[0], b->shape[1], NULL, err);
    free(weight);
    return status;
}

/* beta*C, repeated where it is a single number. */
static vox_status gemm_bias(onnx_walk *w, int64_t count, float **bias, vox_error *err) {
    const double beta = onnx_float(w, "beta", 1);
    *bias = NULL;
    if (!onnx_input(w, 2))
        return VOX_OK;
    const onnx_constant *c = onnx_given(w, 2, err);
    if (!c)
        return err->status;
    if (c->count != 1 && (c->count != count || c->rank < 1 || c->shape[c->rank - 1] != count))
        return ONNX_REFUSE(w, err, "input 2: %lld numbers for %lld outputs", (long long)c->count,
                           (long long)count);
    *bias = vox_alloc(count, sizeof **bias, "model", err);
    if (!*bias)
        return VOX_ERR_RESOURCE;
    for (int64_t k = 0; k < count; k++)
        (*bias)[k] = (float)(beta * onnx_number(c, c->count == 1 ? 0 : k));
    return VOX_OK;
}

vox_status onnx_map_gemm(onnx_walk *w, vox_error *err) {
    const onnx_value *v = onnx_data(w, 0, err);
    const onnx_constant *b = v ? read_matrix(w, err) : NULL;
    if (!b)
        return err->status;
    const bool out_in = onnx_int(w, "transB", 0) != 0;
    const int64_t in = b->shape[out_in ? 1 : 0], out = b->shape[out_in ? 0 : 1];
    if (onnx_int(w, "transA", 0) || v->view.rank != 2 || v->view.shape[1] != in)
        return ONNX_REFUSE(w, err, "served for an input (N, %lld) and transA=0", (long long)in);
    float *weight = turned(b, out_in, onnx_float(w, "alpha", 1), err), *bias = NULL;
    vox_status status = weight ? gemm_bias(w, out, &bias, err) : VOX_ERR_RESOURCE;
    if (!status)
        status = multiply(w, v, weight, in, out, bias, err);
    free(weight);
    free(bias);
    return status;
}
