/* pool3d.c - torch.nn.MaxPool3d and torch.nn.AvgPool3d.
 * Definitions: https://pytorch.org/docs/stable/generated/torch.nn.MaxPool3d.html and
 * AvgPool3d.html; the output size with ceil_mode, and the average's divisor, as in
 * ATen/native/Pool.h and AveragePool3d. */
#include "kernel/kernel.h"
#include "layer/layer.h"

#include <math.h>
#include <stdlib.h>

typedef struct pool_layer {
    vox_layer base;
    vox_pool3d pool;
} pool_layer;

void vox_pool3d_defaults(vox_pool3d *p) {
    *p = (vox_pool3d){.count_include_pad = true};
    for (int i = 0; i < 3; i++) {
        p->kernel_size[i] = p->stride[i] = 2;
        p->dilation[i] = 1;
    }
}

static vox_status pool_shape(const vox_layer *l, const int64_t in[4], int64_t out[4],
                             vox_axis axis[3], vox_error *err) {
    const vox_pool3d *p = &((const pool_layer *)l)->pool;
    out[0] = in[0];
    for (int i = 0; i < 3; i++) {
        int64_t n = in[1 + i], s = p->stride[i], before = p->padding_before[i];
        int64_t span = p->dilation[i] * (p->kernel_size[i] - 1) + 1;
        int64_t padded = n + before + p->padding_after[i], room = padded - span;
        if (room < 0)
            return vox_fail(
                err, VOX_ERR_USAGE,
                "%s: kernel_size=%lld along %c: spans %lld voxels, the padded input has %lld",
                l->class->name, (long long)p->kernel_size[i], vox_axis_name[i], (long long)span,
                (long long)padded);
        out[1 + i] = (room + (p->ceil_mode ? s - 1 : 0)) / s + 1;
        /* With ceil_mode the last window must still begin inside the input or the padding before
         * it. */
        if (p->ceil_mode && (out[1 + i] - 1) * s >= n + before)
            out[1 + i]--;
        axis[i] = (vox_axis){.in = n,
                             .out = out[1 + i],
                             .kernel = p->kernel_size[i],
                             .stride = s,
                             .dilation = p->dilation[i],
                             .before = before,
                             .mode = VOX_PAD_ZEROS};
    }
    return VOX_OK;
}

/* How many values the window of output o counts along axis i: those inside the padding (or the
 * input alone); what ceil_mode adds behind the padding never counts. */
static int64_t counted(const vox_pool3d *p, const vox_axis axis[3], int i, int64_t o) {
    const vox_axis *a = &axis[i];
    int64_t from = o * a->stride - a->before;
    int64_t to = vox_min(from + a->kernel, a->in + p->padding_after[i]);
    if (!p->count_include_pad) {
        from = vox_max(from, 0);
        to = vox_min(to, a->in);
    }
    return to - from;
}

/* One output row: the taps in the order kd, kh, kw. */
static void pool_row(const vox_pool3d *p, const vox_window *w, const vox_rows *rows,
                     const float *const *planes, int64_t in_offset, int64_t plane, int64_t row,
                     float *out) {
    const vox_axis *a = w->axis;
    const int64_t columns = a[2].out;
    for (int64_t i = 0; i < columns; i++)
        out[i] = p->average ? 0 : -INFINITY;
    for (int64_t d = 0; d < a[0].kernel; d++) {
        if (!planes[d])
            continue;
        for (int64_t h = 0; h < a[1].kernel; h++)
            for (int64_t k = 0; k < a[2].kernel; k++) {
                const float *x = planes[d] + in_offset + w->row_offset[h] + w->column_offset[k];
                (p->average ? rows->add : rows->max)(out, x, columns);
            }
    }
    if (p->average) {
        int64_t count = counted(p, a, 0, plane) * counted(p, a, 1, row);
        for (int64_t i = 0; i < columns; i++)
            out[i] /= (float)(count * counted(p, a, 2, i));
    }
}

static void pool_window(const vox_layer *l, void *prepared, const vox_window *w) {
    const vox_pool3d *p = &((const pool_layer *)l)->pool;
    (void)prepared;
    const vox_rows *functions = vox_kernel_active(NULL)->rows;
    const int64_t channels = w->to->channels, rows = w->axis[1].out;
#pragma omp parallel for collapse(3) num_threads(w->threads)
    for (int64_t plane = 0; plane < w->count; plane++)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t row = 0; row < rows; row++)
                pool_row(p, w, functions, w->planes + plane * w->axis[0].kernel,
                         c * w->channel_stride + row * w->axis[1].stride * w->row_stride,
                         w->first + plane, row, vox_plane_row(w->to, c, w->first + plane, row));
}

static void pool_free(vox_layer *l) {
    free(l);
}

#define POOL_CLASS(text)                                                                           \
    { .name = text, .shape = pool_shape, .window = pool_window, .free = pool_free, }
static const vox_layer_class max_class = POOL_CLASS("maxpool3d"),
                             average_class = POOL_CLASS("avgpool3d");

vox_status vox_network_pool3d(vox_network *network, const vox_pool3d *pool, vox_error *err) {
    const char *name = pool->average ? "avgpool3d" : "maxpool3d";
    const int64_t cap = INT64_C(1) << 20;
    for (int i = 0; i < 3; i++) {
        const int64_t k = pool->kernel_size[i], s = pool->stride[i], d = pool->dilation[i];
        const int64_t least = vox_min(pool->padding_before[i], pool->padding_after[i]);
        const int64_t most = vox_max(pool->padding_before[i], pool->padding_after[i]);
        if (k < 1 || s < 1 || d < 1 || least < 0 || k > cap || s > cap || d > cap)
            return vox_fail(
                err, VOX_ERR_USAGE,
                "%s: kernel_size=%lld, stride=%lld, padding=%lld, dilation=%lld along %c: "
                "must be positive, and padding not negative",
                name, (long long)k, (long long)s, (long long)least, (long long)d, vox_axis_name[i]);
        if (most > k / 2)
            return vox_fail(err, VOX_ERR_USAGE,
                            "%s: padding=%lld along %c: must be at most half of kernel_size=%lld",
                            name, (long long)most, vox_axis_name[i], (long long)k);
        if (pool->average && d != 1)
            return vox_fail(err, VOX_ERR_USAGE,
                            "%s: dilation=%lld along %c: average pooling has none", name,
                            (long long)d, vox_axis_name[i]);
    }
    pool_layer *l = vox_alloc(1, sizeof *l, name, err);
    if (!l)
        return VOX_ERR_RESOURCE;
    l->base.class = pool->average ? &average_class : &max_class;
    l->base.fill = pool->average ? 0 : -INFINITY;
    l->base.macs_per_output = pool->kernel_size[0] * pool->kernel_size[1] * pool->kernel_size[2];
    l->pool = *pool;
    return vox_network_append(network, &l->base, 1, NULL, err);
}
