/* resize3d.c - torch.nn.functional.interpolate and ONNX's Resize: nearest and linear.
 * Definitions: https://pytorch.org/docs/stable/generated/torch.nn.functional.interpolate.html and
 * https://onnx.ai/onnx/operators/onnx__Resize.html; ATen/native/UpSample.h for what is computed in
 * which precision. */
#include "base/spread.h"
#include "layer/layer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct resize_layer {
    vox_layer base;
    vox_resize resize;
} resize_layer;

void vox_resize_defaults(vox_resize *r) {
    *r = (vox_resize){.mode = VOX_RESIZE_NEAREST,
                      .scale = {1, 1, 1},
                      .coordinates = VOX_RESIZE_ASYMMETRIC,
                      .nearest = VOX_RESIZE_FLOOR};
}

/* ---- Where an output comes from, along one axis ---- */

static const int64_t size_cap = INT64_C(1) << 31; /* the product of two is in range */

/* Extent of the output; 0 or less: none, more than size_cap: too many. */
static int64_t out_extent(const vox_resize *r, int i, int64_t in) {
    if (r->size[i] > 0)
        return r->size[i];
    const double out = floor((double)in * r->scale[i]);
    return out > (double)size_cap ? size_cap + 1 : (int64_t)out;
}

/* Inputs for an output. */
static double ratio(const vox_resize *r, int i, int64_t in) {
    return r->size[i] > 0 ? (double)in / (double)r->size[i] : 1 / r->scale[i];
}

/* What an output is made of: share[0] of voxel at[0] and share[1] of at[1]. */
typedef struct source {
    int64_t at[2];
    float share[2];
} source;

static bool half_pixel(const vox_resize *r, int64_t out) {
    return r->coordinates == VOX_RESIZE_HALF_PIXEL ||
           (r->coordinates == VOX_RESIZE_PYTORCH_HALF_PIXEL && out > 1);
}

/* The coordinate of output o, plus *shift. In float32 for the nearest voxel, as torch has it: where
 * the exact coordinate is a whole number, rounding decides. */
static double coordinate(const vox_resize *r, int i, int64_t in, int64_t o, double *shift) {
    const int64_t out = out_extent(r, i, in);
    const bool half = half_pixel(r, out);
    const double by = ratio(r, i, in), at = (double)o + (half ? 0.5 : 0);
    *shift = half ? 0.5 : 0;
    if (r->coordinates == VOX_RESIZE_ALIGN_CORNERS)
        return out > 1 ? (double)(o * (in - 1)) / (double)(out - 1) : 0;
    if (r->coordinates == VOX_RESIZE_PYTORCH_HALF_PIXEL && !half)
        return 0;
    return r->mode == VOX_RESIZE_NEAREST ? (double)((float)at * (float)by) : at * by;
}

static int64_t nearest(const vox_resize *r, int i, int64_t in, int64_t o) {
    double shift, x = coordinate(r, i, in, o, &shift);
    switch (r->nearest) {
    case VOX_RESIZE_ROUND_PREFER_FLOOR:
        x = ceil(x - shift - 0.5);
        break;
    case VOX_RESIZE_ROUND_PREFER_CEIL:
        x = floor(x - shift + 0.5);
        break;
    case VOX_RESIZE_FLOOR:
        x = floor(x - shift);
        break;
    case VOX_RESIZE_CEIL:
        x = ceil(x - shift);
        break;
    }
    return vox_min(vox_max((int64_t)x, 0), in - 1);
}

static source source_of(const vox_resize *r, int i, int64_t in, int64_t o) {
    if (r->mode == VOX_RESIZE_NEAREST) {
        const int64_t at = nearest(r, i, in, o);
        return (source){{at, at}, {1, 0}};
    }
    double shift, x = coordinate(r, i, in, o, &shift) - shift;
    if (in == out_extent(r, i, in) && r->coordinates == VOX_RESIZE_HALF_PIXEL)
        x = (double)o; /* as torch, also where it took some rounding to come out so */
    x = fmin(fmax(x, 0), (double)(in - 1));
    const int64_t at = (int64_t)x;
    const double share = x - (double)at;
    return (source){{at, vox_min(at + 1, in - 1)}, {(float)(1 - share), (float)share}};
}

/* ---- Shapes ---- */

static vox_status resize_shape(const vox_layer *l, const int64_t *in, int64_t out[4],
                               vox_axis axis[3], vox_error *err) {
    const vox_resize *r = &((const resize_layer *)l)->resize;
    out[0] = in[0];
    for (int i = 0; i < 3; i++) {
        const int64_t n = in[1 + i];
        out[1 + i] = out_extent(r, i, n);
        if (out[1 + i] < 1 || out[1 + i] > size_cap || n > size_cap)
            return vox_fail(err, VOX_ERR_USAGE,
                            "resize3d: scale=%g along %c: an input of %lld must become 1 to %lld "
                            "voxels",
                            r->scale[i], vox_axis_name[i], (long long)n, (long long)size_cap);
        axis[i] = (vox_axis){.in = n, .out = n, .kernel = 1, .stride = 1, .dilation = 1};
    }
    return VOX_OK;
}

static void resize_reach(const vox_layer *l, int64_t depth, int64_t o, int64_t *first,
                         int64_t *end) {
    const source s = source_of(&((const resize_layer *)l)->resize, 0, depth, o);
    *first = s.at[0];
    *end = s.at[1] + 1;
}

/* As the coordinates say. But where the nearest voxel is always the one before, or behind, the
 * outputs that show a voxel lie half of what it is repeated to one side of it. */
static void resize_place(const vox_layer *l, const int64_t in[4], int i, double *stride,
                         double *origin) {
    const vox_resize *r = &((const resize_layer *)l)->resize;
    const int64_t n = in[1 + i], out = out_extent(r, i, n);
    *stride = ratio(r, i, n);
    *origin = half_pixel(r, out) ? (*stride - 1) / 2 : 0;
    if (r->coordinates == VOX_RESIZE_ALIGN_CORNERS && out > 1 && n > 1) /* one has no corners */
        *stride = (double)(n - 1) / (double)(out - 1);
    if (r->mode == VOX_RESIZE_NEAREST && r->coordinates == VOX_RESIZE_ASYMMETRIC)
        *origin = r->nearest == VOX_RESIZE_FLOOR  ? (*stride - 1) / 2
                  : r->nearest == VOX_RESIZE_CEIL ? (1 - *stride) / 2
                                                  : 0;
}

/* Of a volume so large that its faces are far from where outputs are asked for: a whole scale up is
 * the same everywhere, and other scales are taken as they are. */
static bool resize_repeats(const vox_layer *l, const int64_t in[4], int i, int64_t *outputs,
                           int64_t *inputs) {
    const vox_resize *r = &((const resize_layer *)l)->resize;
    const int64_t n = in[1 + i], out = out_extent(r, i, n);
    const bool whole = out % n == 0 && r->coordinates != VOX_RESIZE_ALIGN_CORNERS;
    *outputs = whole ? out / n : out;
    *inputs = whole ? 1 : n;
    return true;
}

static vox_taps resize_taps(const vox_layer *l, const int64_t in[4], int i, int64_t o) {
    const vox_resize *r = &((const resize_layer *)l)->resize;
    const int64_t n = in[1 + i];
    int64_t outputs, inputs;
    resize_repeats(l, in, i, &outputs, &inputs);
    const int64_t turns = n / inputs / 2; /* to the middle */
    const source s = source_of(r, i, n, o + turns * outputs);
    return (vox_taps){.first = s.at[0] - turns * inputs, .step = 1, .count = s.at[1] - s.at[0] + 1};
}

/* ---- Tables ---- */

typedef struct tables {
    const source *axis[3]; /* [out] */
    int64_t scratch_row;   /* floats */
    float *scratch;        /* [threads][2][scratch_row] */
} tables;

static int64_t table_bytes(const vox_resize *r, const vox_axis axis[3], int threads) {
    const int64_t scratch_row = vox_round_up(axis[2].in, VOX_ALIGN);
    int64_t bytes = vox_round_up((int64_t)sizeof(tables), VOX_ALIGN) +
                    2 * threads * scratch_row * (int64_t)sizeof(float);
    for (int i = 0; i < 3; i++)
        bytes += out_extent(r, i, axis[i].in) * (int64_t)sizeof(source);
    return bytes;
}

static int64_t resize_weight_bytes(const vox_layer *l, const vox_axis axis[3], int threads) {
    return table_bytes(&((const resize_layer *)l)->resize, axis, threads);
}

static vox_status resize_prepare(const vox_layer *l, const vox_axis axis[3], int threads,
                                 void **prepared, vox_error *err) {
    const vox_resize *r = &((const resize_layer *)l)->resize;
    char *block = vox_alloc(table_bytes(r, axis, threads), 1, "resize3d", err);
    if (!block)
        return VOX_ERR_RESOURCE;
    tables *t = (tables *)(void *)block;
    t->scratch_row = vox_round_up(axis[2].in, VOX_ALIGN);
    t->scratch = (float *)(void *)(block + vox_round_up((int64_t)sizeof *t, VOX_ALIGN));
    source *s = (source *)(void *)(t->scratch + 2 * threads * t->scratch_row);
    for (int i = 0; i < 3; i++) {
        const int64_t out = out_extent(r, i, axis[i].in);
        t->axis[i] = s;
        for (int64_t o = 0; o < out; o++)
            *s++ = source_of(r, i, axis[i].in, o);
    }
    *prepared = t;
    return VOX_OK;
}

/* ---- Computing ---- */

typedef struct work {
    const tables *tables;
    const vox_window *window;
    bool linear;
} work;

/* A share of 0 is none, also of infinity. Returns the row, which may be x itself. */
static const float *mix_rows(const float *x, const float *y, const float share[2], int64_t n,
                             float *to) {
    const float a = share[0], b = share[1];
    if (b == 0)
        return x;
    if (a == 0)
        return y;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        to[i] = x[i] * a + y[i] * b;
    return to;
}

static void linear_row(const work *k, int64_t c, int64_t d, int64_t row, int thread) {
    const vox_window *w = k->window;
    const tables *t = k->tables;
    const source *z = &t->axis[0][d], *y = &t->axis[1][row];
    const int64_t n = w->from->columns;
    float *scratch = t->scratch + 2 * thread * t->scratch_row;
    const float *x[2];
    for (int i = 0; i < 2; i++)
        x[i] = mix_rows(vox_plane_row(w->from, c, z->at[0], y->at[i]),
                        vox_plane_row(w->from, c, z->at[1], y->at[i]), z->share, n,
                        scratch + i * t->scratch_row);
    const float *from = mix_rows(x[0], x[1], y->share, n, scratch);
    float *out = vox_plane_row(w->to, c, d, row);
    for (int64_t i = 0; i < w->to->columns; i++) {
        const source *s = &t->axis[2][i];
        const float a = from[s->at[0]], b = from[s->at[1]];
        out[i] = s->share[1] == 0 ? a : s->share[0] == 0 ? b : a * s->share[0] + b * s->share[1];
    }
}

/* `before`: the row before is made of the same one. */
static void nearest_row(const work *k, int64_t c, int64_t d, int64_t row, bool before) {
    const vox_window *w = k->window;
    const tables *t = k->tables;
    const float *from = vox_plane_row(w->from, c, t->axis[0][d].at[0], t->axis[1][row].at[0]);
    float *out = vox_plane_row(w->to, c, d, row);
    if (before) {
        memcpy(out, vox_plane_row(w->to, c, d, row - 1), (size_t)w->to->columns * sizeof *out);
        return;
    }
    for (int64_t i = 0; i < w->to->columns; i++)
        out[i] = from[t->axis[2][i].at[0]];
}

static void resize_plane(void *user, int64_t unit, int thread) {
    const work *k = user;
    const vox_window *w = k->window;
    const source *y = k->tables->axis[1];
    const int64_t c = unit / w->count, d = w->first + unit % w->count;
    for (int64_t r = 0; r < w->to->rows; r++)
        if (k->linear)
            linear_row(k, c, d, r, thread);
        else
            nearest_row(k, c, d, r, r > 0 && y[r].at[0] == y[r - 1].at[0]);
}

static void resize_window(const vox_layer *l, void *prepared, const vox_window *w) {
    work k = {prepared, w, ((const resize_layer *)l)->resize.mode == VOX_RESIZE_LINEAR};
    vox_spread(w->threads, w->to->channels * w->count, resize_plane, &k);
}

/* ---- Construction ---- */

static void resize_free(vox_layer *l) {
    free(l);
}

static const vox_layer_class resize_class = {
    .name = "resize3d",
    .shape = resize_shape,
    .reach = resize_reach,
    .place = resize_place,
    .taps = resize_taps,
    .repeats = resize_repeats,
    .prepare = resize_prepare,
    .weight_bytes = resize_weight_bytes,
    .window = resize_window,
    .free = resize_free,
};

vox_status vox_network_resize3d(vox_network *network, const vox_resize *r, vox_error *err) {
    if (r->mode < VOX_RESIZE_NEAREST || r->mode > VOX_RESIZE_LINEAR ||
        r->coordinates < VOX_RESIZE_HALF_PIXEL || r->coordinates > VOX_RESIZE_PYTORCH_HALF_PIXEL ||
        r->nearest < VOX_RESIZE_ROUND_PREFER_FLOOR || r->nearest > VOX_RESIZE_CEIL)
        return vox_fail(err, VOX_ERR_USAGE,
                        "resize3d: mode=%d, coordinates=%d, nearest=%d: not among those known",
                        (int)r->mode, (int)r->coordinates, (int)r->nearest);
    for (int i = 0; i < 3; i++) {
        if (r->size[i] < 0 || r->size[i] > size_cap)
            return vox_fail(err, VOX_ERR_USAGE,
                            "resize3d: size=%lld along %c: must be 1 to %lld, or 0 for a scale",
                            (long long)r->size[i], vox_axis_name[i], (long long)size_cap);
        if (r->size[i] == 0 && !(r->scale[i] > 0 && isfinite(r->scale[i])))
            return vox_fail(err, VOX_ERR_USAGE, "resize3d: scale=%g along %c: must be positive",
                            r->scale[i], vox_axis_name[i]);
    }
    resize_layer *l = vox_alloc(1, sizeof *l, "resize3d", err);
    if (!l)
        return VOX_ERR_RESOURCE;
    l->base.class = &resize_class;
    l->base.by_channel = true;
    l->base.macs_per_output = r->mode == VOX_RESIZE_LINEAR ? 8 : 1;
    l->resize = *r;
    return vox_network_append(network, &l->base, 1, NULL, err);
}
