/* adaptive_pool3d.c - torch.nn.AdaptiveAvgPool3d and AdaptiveMaxPool3d: windows that divide the
 * input evenly among a given number of outputs. With one output an axis it is global pooling.
 * Definitions: https://pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool3d.html; the
 * windows as in ATen/native/AdaptivePooling.h. */
#include "base/spread.h"
#include "kernel/kernel.h"
#include "layer/layer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct adaptive_layer {
    vox_layer base;
    bool average;
    int64_t size[3];
} adaptive_layer;

/* Inputs [first, end) of output o, of n and `size` along an axis: o*n/size rounded down, and
 * (o+1)*n/size rounded up, with no product that could overflow. */
static void window_of(int64_t n, int64_t size, int64_t o, int64_t *first, int64_t *end) {
    const int64_t each = n / size, rest = n % size;
    *first = o * each + o * rest / size;
    *end = (o + 1) * each + vox_ceil_div((o + 1) * rest, size);
}

static vox_status adaptive_shape(const vox_layer *l, const int64_t *in, int64_t out[4],
                                 vox_axis axis[3], vox_error *err) {
    const adaptive_layer *p = (const adaptive_layer *)l;
    (void)err;
    out[0] = in[0];
    for (int i = 0; i < 3; i++) {
        const int64_t n = in[1 + i];
        out[1 + i] = p->size[i];
        axis[i] = (vox_axis){.in = n, .out = n, .kernel = 1, .stride = 1, .dilation = 1};
    }
    return VOX_OK;
}

static void adaptive_reach(const vox_layer *l, int64_t depth, int64_t o, int64_t *first,
                           int64_t *end) {
    window_of(depth, ((const adaptive_layer *)l)->size[0], o, first, end);
}

/* The windows lie evenly, give or take a voxel. */
static void adaptive_place(const vox_layer *l, const int64_t in[4], int i, double *stride,
                           double *origin) {
    *stride = (double)in[1 + i] / (double)((const adaptive_layer *)l)->size[i];
    *origin = (*stride - 1) / 2;
}

static vox_taps adaptive_taps(const vox_layer *l, const int64_t in[4], int i, int64_t o) {
    int64_t first, end;
    window_of(in[1 + i], ((const adaptive_layer *)l)->size[i], o, &first, &end);
    return (vox_taps){.first = first, .step = 1, .count = end - first};
}

static bool adaptive_repeats(const vox_layer *l, const int64_t in[4], int i, int64_t *outputs,
                             int64_t *inputs) {
    *outputs = ((const adaptive_layer *)l)->size[i];
    *inputs = in[1 + i];
    return *outputs > 1;
}

/* Inputs [from[i], to[i]) along each axis, of channel c. */
static double mean(const vox_rows *rows, const vox_planes *x, int64_t c, const vox_box *box) {
    double lane[VOX_LANES] = {0};
    for (int64_t d = box->from[0]; d < box->to[0]; d++)
        for (int64_t r = box->from[1]; r < box->to[1]; r++)
            rows->sum(lane, vox_plane_row(x, c, d, r) + box->from[2], vox_box_extent(box, 2));
    return vox_lane_sum(lane) / (double)vox_box_voxels(box);
}

/* A NaN, once in, stays. */
static float largest(const vox_planes *x, int64_t c, const vox_box *box) {
    float most = -INFINITY;
    for (int64_t d = box->from[0]; d < box->to[0]; d++)
        for (int64_t r = box->from[1]; r < box->to[1]; r++) {
            const float *row = vox_plane_row(x, c, d, r);
            for (int64_t i = box->from[2]; i < box->to[2]; i++)
                most = row[i] > most || row[i] != row[i] ? row[i] : most;
        }
    return most;
}

typedef struct work {
    const adaptive_layer *layer;
    const vox_window *window;
    const vox_rows *rows;
} work;

/* One output row of one channel. */
static void pool_row(void *user, int64_t unit, int thread) {
    const work *k = user;
    const vox_window *w = k->window;
    const adaptive_layer *p = k->layer;
    const int64_t row = unit % p->size[1], plane = w->first + unit / p->size[1] % w->count;
    const int64_t c = unit / p->size[1] / w->count;
    float *out = vox_plane_row(w->to, c, plane, row);
    vox_box box;
    (void)thread;
    window_of(w->axis[0].in, p->size[0], plane, &box.from[0], &box.to[0]);
    window_of(w->axis[1].in, p->size[1], row, &box.from[1], &box.to[1]);
    for (int64_t i = 0; i < p->size[2]; i++) {
        window_of(w->axis[2].in, p->size[2], i, &box.from[2], &box.to[2]);
        out[i] = p->average ? (float)mean(k->rows, w->from, c, &box) : largest(w->from, c, &box);
    }
}

static void adaptive_window(const vox_layer *l, void *prepared, const vox_window *w) {
    work k = {(const adaptive_layer *)l, w, vox_kernel_active(NULL)->rows};
    (void)prepared;
    vox_spread(w->threads, w->to->channels * w->count * k.layer->size[1], pool_row, &k);
}

static void adaptive_free(vox_layer *l) {
    free(l);
}

#define ADAPTIVE_CLASS(text)                                                                       \
    {                                                                                              \
        .name = text, .shape = adaptive_shape, .reach = adaptive_reach, .place = adaptive_place,   \
        .taps = adaptive_taps, .repeats = adaptive_repeats,                                        \
        .waits = "its window is the whole volume", .window = adaptive_window,                      \
        .free = adaptive_free,                                                                     \
    }
static const vox_layer_class average_class = ADAPTIVE_CLASS("adaptiveavgpool3d"),
                             max_class = ADAPTIVE_CLASS("adaptivemaxpool3d");

vox_status vox_network_adaptive_pool3d(vox_network *network, bool average, const int64_t size[3],
                                       vox_error *err) {
    const vox_layer_class *class = average ? &average_class : &max_class;
    const int64_t cap = INT64_C(1) << 20;
    for (int i = 0; i < 3; i++)
        if (size[i] < 1 || size[i] > cap)
            return vox_fail(err, VOX_ERR_USAGE, "%s: output_size=%lld along %c: must be 1 to %lld",
                            class->name, (long long)size[i], vox_axis_name[i], (long long)cap);
    adaptive_layer *l = vox_alloc(1, sizeof *l, class->name, err);
    if (!l)
        return VOX_ERR_RESOURCE;
    l->base.class = class;
    l->base.by_channel = true;
    l->base.macs_per_output = 1;
    l->average = average;
    memcpy(l->size, size, sizeof l->size);
    return vox_network_append(network, &l->base, 1, NULL, err);
}
