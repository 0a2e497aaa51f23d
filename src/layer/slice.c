/* slice.c - a part of a value: cropping, padding, every n-th voxel, some of the channels. */
#include "base/spread.h"
#include "kernel/kernel.h"
#include "layer/layer.h"

#include <stdlib.h>
#include <string.h>

typedef struct slice_layer {
    vox_layer base;
    vox_slice slice;
} slice_layer;

/* Padding that has no source but should have one: more than a mode can give. */
static bool too_far(const vox_axis *a) {
    const int64_t end = (a->out - 1) * a->stride - a->before;
    return a->mode != VOX_PAD_ZEROS && ((a->before > 0 && vox_axis_source(a, -a->before) < 0) ||
                                        (end >= a->in && vox_axis_source(a, end) < 0));
}

static vox_status slice_shape(const vox_layer *l, const int64_t *in, int64_t out[4],
                              vox_axis axis[3], vox_error *err) {
    const vox_slice *s = &((const slice_layer *)l)->slice;
    if (s->from[0] + (s->count[0] - 1) * s->step[0] >= in[0])
        return vox_fail(err, VOX_ERR_USAGE,
                        "slice: from=%lld, step=%lld, count=%lld along C: the value has %lld "
                        "channels",
                        (long long)s->from[0], (long long)s->step[0], (long long)s->count[0],
                        (long long)in[0]);
    out[0] = s->count[0];
    for (int i = 0; i < 3; i++) {
        out[1 + i] = s->count[1 + i];
        axis[i] = (vox_axis){.in = in[1 + i],
                             .out = out[1 + i],
                             .kernel = 1,
                             .stride = s->step[1 + i],
                             .dilation = 1,
                             .before = -s->from[1 + i],
                             .mode = s->mode};
        if (too_far(&axis[i]))
            return vox_fail(err, VOX_ERR_USAGE,
                            "slice: from=%lld, step=%lld, count=%lld along %c: more padding than "
                            "%lld voxels can give",
                            (long long)s->from[1 + i], (long long)s->step[1 + i],
                            (long long)s->count[1 + i], vox_axis_name[i], (long long)in[1 + i]);
    }
    return VOX_OK;
}

typedef struct work {
    const vox_slice *slice;
    const vox_window *window;
    const vox_kernel *kernel;
} work;

/* One plane of one channel. */
static void slice_unit(void *user, int64_t unit, int thread) {
    const work *k = user;
    const vox_window *w = k->window;
    const int64_t c = unit / w->count, d = unit % w->count;
    const int64_t from = (k->slice->from[0] + c * k->slice->step[0]) * w->channel_stride +
                         w->row_offset[0] + w->column_offset[0];
    (void)thread;
    for (int64_t r = 0; r < w->axis[1].out; r++)
        k->kernel->copy_row(vox_plane_row(w->to, c, w->first + d, r),
                            w->planes[d] + from + r * w->axis[1].stride * w->row_stride,
                            w->axis[2].out);
}

static void slice_window(const vox_layer *l, void *prepared, const vox_window *w) {
    work k = {&((const slice_layer *)l)->slice, w, vox_kernel_active(NULL)};
    (void)prepared;
    vox_spread(w->threads, w->to->channels * w->count, slice_unit, &k);
}

static void slice_free(vox_layer *l) {
    free(l);
}

static const vox_layer_class slice_class = {
    .name = "slice",
    .shape = slice_shape,
    .window = slice_window,
    .free = slice_free,
};

vox_status vox_network_slice(vox_network *n, const vox_slice *slice, vox_error *err) {
    const int64_t cap = INT64_C(1) << 31; /* the product of two is in range */
    for (int i = 0; i < 4; i++)
        if (slice->step[i] < 1 || slice->count[i] < 1 || slice->step[i] > cap ||
            slice->count[i] > cap || slice->from[i] > cap || slice->from[i] < (i ? -cap : 0))
            return vox_fail(err, VOX_ERR_USAGE,
                            "slice: from=%lld, step=%lld, count=%lld along %c: step and count must "
                            "be positive",
                            (long long)slice->from[i], (long long)slice->step[i],
                            (long long)slice->count[i], "CDHW"[i]);
    slice_layer *l = vox_alloc(1, sizeof *l, "slice", err);
    if (!l)
        return VOX_ERR_RESOURCE;
    l->base.class = &slice_class;
    l->base.fill = slice->fill;
    l->base.needs_zero_planes = true;
    l->slice = *slice;
    return vox_network_append(n, &l->base, 1, NULL, err);
}
