/* pixel_shuffle3d.c - torch.nn.PixelShuffle for three axes: channels become voxels.
 * Definitions: https://pytorch.org/docs/stable/generated/torch.nn.PixelShuffle.html and
 * https://onnx.ai/onnx/operators/onnx__DepthToSpace.html */
#include "base/spread.h"
#include "layer/layer.h"

#include <stdlib.h>
#include <string.h>

typedef struct shuffle_layer {
    vox_layer base;
    int64_t factor[3];
    bool crd;
} shuffle_layer;

static vox_status shuffle_shape(const vox_layer *l, const int64_t *in, int64_t out[4],
                                vox_axis axis[3], vox_error *err) {
    const int64_t *factor = ((const shuffle_layer *)l)->factor;
    const int64_t voxels = factor[0] * factor[1] * factor[2];
    if (in[0] % voxels)
        return vox_fail(err, VOX_ERR_USAGE,
                        "pixelshuffle3d: upscale_factor=%lldx%lldx%lld: the input's %lld channels "
                        "are no multiple of %lld",
                        (long long)factor[0], (long long)factor[1], (long long)factor[2],
                        (long long)in[0], (long long)voxels);
    out[0] = in[0] / voxels;
    for (int i = 0; i < 3; i++) {
        const int64_t n = in[1 + i];
        if (!vox_mul(n, factor[i], &out[1 + i]))
            return vox_fail(err, VOX_ERR_USAGE,
                            "pixelshuffle3d: upscale_factor=%lld along %c: makes more of %lld "
                            "voxels than can be counted",
                            (long long)factor[i], vox_axis_name[i], (long long)n);
        axis[i] = (vox_axis){.in = n, .out = n, .kernel = 1, .stride = 1, .dilation = 1};
    }
    return VOX_OK;
}

static void shuffle_reach(const vox_layer *l, int64_t depth, int64_t o, int64_t *first,
                          int64_t *end) {
    (void)depth;
    *first = o / ((const shuffle_layer *)l)->factor[0];
    *end = *first + 1;
}

/* The voxels that are made of one lie evenly around it. */
static void shuffle_place(const vox_layer *l, const int64_t in[4], int i, double *stride,
                          double *origin) {
    (void)in;
    *stride = 1 / (double)((const shuffle_layer *)l)->factor[i];
    *origin = (*stride - 1) / 2;
}

static vox_taps shuffle_taps(const vox_layer *l, const int64_t in[4], int i, int64_t o) {
    (void)in;
    return (vox_taps){.first = o / ((const shuffle_layer *)l)->factor[i], .step = 1, .count = 1};
}

static bool shuffle_repeats(const vox_layer *l, const int64_t in[4], int i, int64_t *outputs,
                            int64_t *inputs) {
    (void)in;
    *outputs = ((const shuffle_layer *)l)->factor[i];
    *inputs = 1;
    return true;
}

typedef struct work {
    const shuffle_layer *layer;
    const vox_window *window;
} work;

/* One plane of one output channel. */
static void shuffle_plane(void *user, int64_t unit, int thread) {
    const work *k = user;
    const vox_window *w = k->window;
    const int64_t *n = k->layer->factor, channels = w->to->channels;
    const int64_t c = unit / w->count, d = w->first + unit % w->count;
    (void)thread;
    for (int64_t r = 0; r < w->to->rows; r++)
        for (int64_t i = 0; i < n[2]; i++) {
            const int64_t voxel = (d % n[0] * n[1] + r % n[1]) * n[2] + i;
            const int64_t channel =
                k->layer->crd ? c * n[0] * n[1] * n[2] + voxel : voxel * channels + c;
            const float *from = vox_plane_row(w->from, channel, d / n[0], r / n[1]);
            float *to = vox_plane_row(w->to, c, d, r) + i;
            for (int64_t x = 0; x < w->from->columns; x++)
                to[x * n[2]] = from[x];
        }
}

static void shuffle_window(const vox_layer *l, void *prepared, const vox_window *w) {
    work k = {(const shuffle_layer *)l, w};
    (void)prepared;
    vox_spread(w->threads, w->to->channels * w->count, shuffle_plane, &k);
}

static void shuffle_free(vox_layer *l) {
    free(l);
}

static const vox_layer_class shuffle_class = {
    .name = "pixelshuffle3d",
    .shape = shuffle_shape,
    .reach = shuffle_reach,
    .place = shuffle_place,
    .taps = shuffle_taps,
    .repeats = shuffle_repeats,
    .window = shuffle_window,
    .free = shuffle_free,
};

vox_status vox_network_pixel_shuffle3d(vox_network *network, const int64_t factor[3], bool crd,
                                       vox_error *err) {
    const int64_t cap = INT64_C(1) << 20; /* the product of three is in range */
    for (int i = 0; i < 3; i++)
        if (factor[i] < 1 || factor[i] > cap)
            return vox_fail(err, VOX_ERR_USAGE,
                            "pixelshuffle3d: upscale_factor=%lld along %c: must be 1 to %lld",
                            (long long)factor[i], vox_axis_name[i], (long long)cap);
    shuffle_layer *l = vox_alloc(1, sizeof *l, "pixelshuffle3d", err);
    if (!l)
        return VOX_ERR_RESOURCE;
    l->base.class = &shuffle_class;
    l->base.macs_per_output = 1;
    memcpy(l->factor, factor, sizeof l->factor);
    l->crd = crd;
    return vox_network_append(network, &l->base, 1, NULL, err);
}
