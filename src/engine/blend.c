/* blend.c - see blend.h. */
#include "engine/blend.h"

#include "layer/layer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Where patches lie ---- */

/* The patches of one axis. */
typedef struct scan {
    int64_t size, patch, step, count;
    float *weight; /* [patch], the importance along this axis */
} scan;

/* Index of the volume under the patch's first voxel; negative where the volume is smaller. */
static int64_t scan_start(const scan *s, int64_t i) {
    if (s->size <= s->patch)
        return -((s->patch - s->size) / 2);
    return vox_min(i * s->step, s->size - s->patch);
}

static void scan_init(scan *s, int64_t size, int64_t patch, double overlap) {
    s->size = size;
    s->patch = patch;
    s->step = overlap < 1 ? (int64_t)((double)patch * (1 - overlap)) : patch - (int64_t)overlap;
    s->step = vox_max(s->step, 1);
    s->count = size <= patch ? 1 : vox_ceil_div(size - patch, s->step) + 1;
}

/* exp(-((i - (p-1)/2) / (sigma_scale*p))^2 / 2), or 1. */
static vox_status scan_weigh(scan *s, const vox_filter_options *o, vox_error *err) {
    s->weight = vox_alloc(s->patch, sizeof(float), "weights of patches", err);
    if (!s->weight)
        return VOX_ERR_RESOURCE;
    for (int64_t i = 0; i < s->patch; i++) {
        const double x =
            ((double)i - (double)(s->patch - 1) / 2) / (o->sigma_scale * (double)s->patch);
        s->weight[i] = o->blend == VOX_BLEND_GAUSSIAN ? (float)exp(-0.5 * x * x) : 1.0f;
    }
    return VOX_OK;
}

/* ---- The blender ---- */

/* One patch under way: its voxels, its pipeline, its result. */
typedef struct lane {
    vox_pipeline *pipeline;
    float *x, *y; /* (C, D, H, W) of a patch, in and out */
} lane;

struct vox_blender {
    int64_t in[4], out[4];             /* of the volume; out before argmax */
    int64_t patch_in[4], patch_out[4]; /* of a patch */
    scan scan[3];
    float least; /* weight */
    bool argmax; /* patches give scores; the labels are those of the averages */
    int threads;
    /* Small patches run side by side, one a thread; large ones one after the other, on all threads.
     * Their results are added in the order of the scan. */
    int lane_count;
    lane *lane;
    int64_t slab;           /* of a patch, for its pipeline */
    int64_t multiply_adds;  /* of a patch */
    vox_planes ring;        /* of input */
    vox_planes sum;         /* of weighted output, and behind its last channel of weights */
    int64_t received, step; /* planes; steps of the scan along D that are done */
    vox_pipeline_sink *sink;
    void *user;
};

/* Patches this small, in voxels of input and output, run side by side. */
enum { SMALL_PATCH = 1 << 22 };

static int64_t volume(const int64_t shape[4]) {
    return shape[0] * shape[1] * shape[2] * shape[3];
}

/* Planes like those of `shape`, in `slots` slots; false where they overflow. */
static bool planes_init(vox_planes *p, const int64_t shape[4], int64_t channels, int64_t slots) {
    int64_t bytes;
    const int64_t extent[] = {channels, slots, shape[2], shape[3], (int64_t)sizeof(float)};
    if (!vox_product(extent, 5, &bytes))
        return false;
    *p = vox_dense_planes(NULL, extent);
    return true;
}

static int64_t planes_bytes(const vox_planes *p) {
    return p->channels * p->channel_stride * (int64_t)sizeof(float);
}

static vox_status lay_out(vox_blender *b, const vox_network *network, const vox_filter_options *o,
                          int64_t slab, vox_error *err) {
    vox_status status = vox_network_shape(network, b->in, b->out, err);
    b->patch_in[0] = b->in[0];
    b->least = 1;
    for (int i = 0; i < 3 && !status; i++) {
        scan_init(&b->scan[i], b->in[1 + i], o->patch_size[i], o->overlap[i]);
        b->patch_in[1 + i] = o->patch_size[i];
        status = scan_weigh(&b->scan[i], o, err);
        b->least *= status ? 0 : b->scan[i].weight[0];
    }
    b->least = fmaxf(b->least, 1e-3f);
    int64_t bytes;
    const int64_t extent[] = {b->patch_in[0], b->patch_in[1], b->patch_in[2], b->patch_in[3],
                              (int64_t)sizeof(float)};
    if (!status && !vox_product(extent, 5, &bytes))
        status = vox_fail(err, VOX_ERR_RESOURCE, "a patch has more voxels than memory");
    if (!status)
        status = vox_network_shape(network, b->patch_in, b->patch_out, err);
    if (status)
        return status;
    if (memcmp(b->patch_in + 1, b->patch_out + 1, 3 * sizeof(int64_t)) != 0)
        return vox_fail(
            err, VOX_ERR_USAGE,
            "patches of %lldx%lldx%lld become %lldx%lldx%lld: blending needs layers that keep the "
            "size (padding 'same', stride 1)",
            (long long)b->patch_in[1], (long long)b->patch_in[2], (long long)b->patch_in[3],
            (long long)b->patch_out[1], (long long)b->patch_out[2], (long long)b->patch_out[3]);
    const int64_t depth = vox_min(b->patch_in[1], b->in[1]);
    if (!planes_init(&b->ring, b->in, b->in[0], vox_min(depth + slab - 1, b->in[1])) ||
        !planes_init(&b->sum, b->out, b->out[0] + 1, depth))
        return vox_fail(err, VOX_ERR_RESOURCE, "planes of %lld x %lld exceed the address space",
                        (long long)b->in[2], (long long)b->in[3]);
    return VOX_OK;
}

static vox_status make_lanes(vox_blender *b, const vox_network *network, bool side_by_side,
                             vox_error *err) {
    const bool small = side_by_side && volume(b->patch_in) + volume(b->patch_out) <= SMALL_PATCH;
    b->lane_count = small ? (int)vox_min(b->threads, b->scan[1].count * b->scan[2].count) : 1;
    b->lane = vox_alloc(b->lane_count, sizeof *b->lane, "patches", err);
    if (!b->lane)
        return VOX_ERR_RESOURCE;
    const int threads = b->lane_count > 1 ? 1 : b->threads;
    if (vox_pipeline_good_slab(network, b->patch_in, NULL, threads, &b->slab, err))
        return VOX_ERR_RESOURCE;
    for (int i = 0; i < b->lane_count; i++) {
        b->lane[i].pipeline = vox_pipeline_new(network, b->patch_in, NULL, b->slab, threads, err);
        if (!b->lane[i].pipeline)
            return VOX_ERR_RESOURCE;
        const vox_planes to = vox_dense_planes(NULL, b->patch_out);
        vox_pipeline_set_output(b->lane[i].pipeline, &to);
    }
    vox_need need;
    vox_status status = vox_pipeline_need(network, b->patch_in, NULL, &need, err);
    b->multiply_adds = need.multiply_adds;
    return status;
}

vox_blender *vox_blender_new(const vox_network *network, const int64_t in[4],
                             const vox_filter_options *o, int64_t slab, bool side_by_side,
                             int threads, vox_error *err) {
    vox_blender *b = vox_alloc(1, sizeof *b, "blender", err);
    if (!b)
        return NULL;
    memcpy(b->in, in, sizeof b->in);
    b->threads = threads;
    vox_network scores;
    b->argmax = vox_network_before_argmax(network, &scores);
    if (!lay_out(b, &scores, o, slab, err) && !make_lanes(b, &scores, side_by_side, err))
        return b;
    vox_blender_free(b);
    return NULL;
}

void vox_blender_free(vox_blender *b) {
    if (!b)
        return;
    for (int i = 0; b->lane && i < b->lane_count; i++) {
        vox_pipeline_free(b->lane[i].pipeline);
        free(b->lane[i].x);
        free(b->lane[i].y);
    }
    for (int i = 0; i < 3; i++)
        free(b->scan[i].weight);
    free(b->lane);
    free(b->ring.data);
    free(b->sum.data);
    free(b);
}

/* ---- What it takes ---- */

void vox_blender_memory(const vox_blender *b,
                        void (*part)(void *user, const char *name, int64_t bytes), void *user) {
    const int64_t x_and_y = (volume(b->patch_in) + volume(b->patch_out)) * (int64_t)sizeof(float);
    int64_t lanes;
    if (!vox_add(vox_pipeline_bytes(b->lane[0].pipeline), x_and_y, &lanes) ||
        !vox_mul(lanes, b->lane_count, &lanes))
        lanes = INT64_MAX;
    char name[48];
    snprintf(name, sizeof name, "patches, %d at a time", b->lane_count);
    part(user, name, lanes);
    part(user, "input planes", planes_bytes(&b->ring));
    part(user, "sums and weights", planes_bytes(&b->sum));
}

int64_t vox_blender_out_slab(const vox_blender *b) {
    return b->sum.slots;
}

int64_t vox_blender_patch_count(const vox_blender *b) {
    return b->scan[0].count * b->scan[1].count * b->scan[2].count;
}

int64_t vox_blender_multiply_adds(const vox_blender *b) {
    int64_t all = INT64_MAX;
    vox_mul(b->multiply_adds, vox_blender_patch_count(b), &all);
    return all;
}

vox_status vox_blender_start(vox_blender *b, vox_pipeline_sink *sink, void *user, vox_error *err) {
    b->sink = sink;
    b->user = user;
    b->ring.data = vox_alloc_uncleared(planes_bytes(&b->ring), 1, "input planes", err);
    b->sum.data = vox_alloc(planes_bytes(&b->sum), 1, "sums of patches", err);
    if (!b->ring.data || !b->sum.data)
        return VOX_ERR_RESOURCE;
    for (int i = 0; i < b->lane_count; i++) {
        lane *l = &b->lane[i];
        l->x = vox_alloc(volume(b->patch_in), sizeof(float), "patch", err);
        l->y = vox_alloc_uncleared(volume(b->patch_out), sizeof(float), "patch", err);
        if (!l->x || !l->y)
            return VOX_ERR_RESOURCE;
        const vox_planes to = vox_dense_planes(l->y, b->patch_out);
        vox_pipeline_set_output(l->pipeline, &to);
        if (vox_pipeline_start(l->pipeline, NULL, NULL, err))
            return VOX_ERR_RESOURCE;
    }
    return VOX_OK;
}

const vox_planes *vox_blender_input(const vox_blender *b) {
    return &b->ring;
}

/* ---- One patch ---- */

/* What a patch and the volume share. */
typedef struct shared_box {
    int64_t start[3];      /* of the patch, in the volume */
    int64_t from[3], n[3]; /* in the patch */
} shared_box;

static shared_box patch_at(const vox_blender *b, int64_t d, int64_t h, int64_t w) {
    const int64_t index[3] = {d, h, w};
    shared_box s;
    for (int i = 0; i < 3; i++) {
        s.start[i] = scan_start(&b->scan[i], index[i]);
        s.from[i] = vox_max(-s.start[i], 0);
        s.n[i] = vox_min(b->scan[i].patch, b->scan[i].size);
    }
    return s;
}

static float *patch_row(float *data, const int64_t n[4], int64_t c, int64_t d, int64_t h) {
    return data + ((c * n[1] + d) * n[2] + h) * n[3];
}

/* The patch's voxels through its pipeline. Those outside the volume are zeros, and stay it. */
static void run_patch(const vox_blender *b, const lane *l, const shared_box *s) {
    const int64_t *n = b->patch_in;
    for (int64_t c = 0; c < n[0]; c++)
        for (int64_t d = s->from[0]; d < s->from[0] + s->n[0]; d++)
            for (int64_t h = s->from[1]; h < s->from[1] + s->n[1]; h++)
                memcpy(patch_row(l->x, n, c, d, h) + s->from[2],
                       vox_plane_row(&b->ring, c, s->start[0] + d, s->start[1] + h) + s->start[2] +
                           s->from[2],
                       (size_t)s->n[2] * sizeof(float));
    const vox_planes x = vox_dense_planes(l->x, n);
    for (int64_t d = 0; d < n[1]; d += b->slab) /* cannot fail: there is no sink */
        vox_pipeline_push(l->pipeline, vox_min(b->slab, n[1] - d), &x, NULL);
}

/* Adds a patch's result, weighted, to the sums. */
static void add_patch(const vox_blender *b, const lane *l, const shared_box *s) {
    const int64_t channels = b->patch_out[0];
#pragma omp parallel for collapse(2) num_threads(b->threads)
    for (int64_t d = s->from[0]; d < s->from[0] + s->n[0]; d++)
        for (int64_t h = s->from[1]; h < s->from[1] + s->n[1]; h++) {
            const float plane_row = b->scan[0].weight[d] * b->scan[1].weight[h];
            const float *along = b->scan[2].weight + s->from[2];
            const int64_t column = s->start[2] + s->from[2];
            for (int64_t c = 0; c <= channels; c++) {
                float *sum = vox_plane_row(&b->sum, c, s->start[0] + d, s->start[1] + h) + column;
                const float *y =
                    c < channels ? patch_row(l->y, b->patch_out, c, d, h) + s->from[2] : NULL;
                for (int64_t i = 0; i < s->n[2]; i++) {
                    const float product = plane_row * along[i];
                    const float weight = product > b->least ? product : b->least;
                    sum[i] += y ? weight * y[i] : weight;
                }
            }
        }
}

/* ---- The sweep ---- */

/* All patches of one step along D. */
static void sweep(const vox_blender *b, int64_t step) {
    const int64_t columns = b->scan[2].count, count = b->scan[1].count * columns;
    for (int64_t first = 0; first < count; first += b->lane_count) {
        const int lanes = (int)vox_min(b->lane_count, count - first);
#pragma omp parallel for num_threads(lanes) if (lanes > 1)
        for (int i = 0; i < lanes; i++) {
            const int64_t p = first + i;
            const shared_box s = patch_at(b, step, p / columns, p % columns);
            run_patch(b, &b->lane[i], &s);
        }
        for (int i = 0; i < lanes; i++) {
            const int64_t p = first + i;
            const shared_box s = patch_at(b, step, p / columns, p % columns);
            add_patch(b, &b->lane[i], &s);
        }
    }
}

/* Planes [d, d+count), to which no later patch adds, go to the sink; their slots become zeros. */
static vox_status finish_planes(const vox_blender *b, int64_t d, int64_t count, vox_error *err) {
    const int64_t channels = b->out[0], columns = b->out[3];
#pragma omp parallel for collapse(2) num_threads(b->threads)
    for (int64_t p = d; p < d + count; p++)
        for (int64_t h = 0; h < b->out[2]; h++)
            for (int64_t c = 0; c < channels; c++) {
                float *sum = vox_plane_row(&b->sum, c, p, h);
                const float *weight = vox_plane_row(&b->sum, channels, p, h);
                for (int64_t i = 0; i < columns; i++)
                    sum[i] /= weight[i];
            }
    vox_planes result = b->sum;
    result.channels = channels; /* without the weights */
    if (b->argmax) {
        vox_argmax_planes(&result, d, count, b->threads);
        result.channels = 1;
    }
    vox_status status = b->sink(b->user, d, count, &result, err);
    for (int64_t p = d; p < d + count; p++)
        for (int64_t c = 0; c <= channels; c++)
            memset(vox_plane_row(&b->sum, c, p, 0), 0, (size_t)b->sum.slot_stride * sizeof(float));
    return status;
}

vox_status vox_blender_push(vox_blender *b, int64_t count, vox_error *err) {
    const scan *s = &b->scan[0];
    b->received += count;
    while (b->step < s->count) {
        const int64_t start = vox_max(scan_start(s, b->step), 0);
        const bool last = b->step == s->count - 1;
        if (b->received < vox_min(start + s->patch, s->size))
            return VOX_OK;
        sweep(b, b->step++);
        const int64_t end = last ? s->size : scan_start(s, b->step);
        vox_status status = finish_planes(b, start, end - start, err);
        if (status)
            return status;
    }
    b->received = b->step = 0; /* the next frame */
    return VOX_OK;
}
