/* groupnorm.c - torch.nn.GroupNorm, and so InstanceNorm3d and LayerNorm: mean and variance of the
 * values themselves, and then one multiply-add a voxel.
 * Definition: https://pytorch.org/docs/stable/generated/torch.nn.GroupNorm.html
 *
 * The first output plane waits for the last input plane. Then all are looked at twice, for the mean
 * and for the squares about it, plane by plane in double precision; the planes' sums are added in
 * their order. So neither threads nor slabs can be seen in the result. */
#include "base/spread.h"
#include "kernel/kernel.h"
#include "layer/layer.h"
#include "layer/sums.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct norm_layer {
    vox_layer base;
    int64_t groups, channels;
    float *weight, *bias; /* [channels] */
    double eps;
} norm_layer;

static vox_status norm_shape(const vox_layer *l, const int64_t *in, int64_t out[4],
                             vox_axis axis[3], vox_error *err) {
    const norm_layer *n = (const norm_layer *)l;
    if (in[0] != n->channels)
        return vox_fail(err, VOX_ERR_USAGE,
                        "groupnorm: num_channels=%lld: the input has %lld channels",
                        (long long)n->channels, (long long)in[0]);
    out[0] = in[0];
    for (int i = 0; i < 3; i++) {
        out[1 + i] = in[1 + i];
        axis[i] =
            (vox_axis){.in = in[1 + i], .out = in[1 + i], .kernel = 1, .stride = 1, .dilation = 1};
    }
    return VOX_OK;
}

static void norm_reach(const vox_layer *l, int64_t depth, int64_t o, int64_t *first, int64_t *end) {
    (void)l;
    *first = o;
    *end = depth;
}

/* ---- Statistics ---- */

typedef struct statistics {
    const vox_kernel *kernel;
    double *mean;        /* [groups] */
    float *alpha, *beta; /* [channels] the result is x*alpha + beta */
    double sum[];        /* [channels][depth] of one plane; the others lie behind */
} statistics;

static int64_t statistics_bytes(const norm_layer *n, int64_t depth) {
    return (int64_t)sizeof(statistics) +
           (n->channels * depth + n->groups) * (int64_t)sizeof(double) +
           2 * n->channels * (int64_t)sizeof(float);
}

static vox_status norm_prepare(const vox_layer *l, const vox_axis axis[3], int threads,
                               void **prepared, vox_error *err) {
    const norm_layer *n = (const norm_layer *)l;
    vox_error local = {0};
    const vox_kernel *kernel = vox_kernel_active(&local);
    (void)threads;
    if (!kernel)
        return vox_fail(err, local.status, "%s", local.message);
    statistics *s = vox_alloc(statistics_bytes(n, axis[0].in), 1, "groupnorm", err);
    if (!s)
        return VOX_ERR_RESOURCE;
    s->kernel = kernel;
    s->mean = s->sum + n->channels * axis[0].in;
    s->alpha = (float *)(void *)(s->mean + n->groups);
    s->beta = s->alpha + n->channels;
    *prepared = s;
    return VOX_OK;
}

static int64_t norm_weight_bytes(const vox_layer *l, const vox_axis axis[3], int threads) {
    const norm_layer *n = (const norm_layer *)l;
    (void)threads;
    return statistics_bytes(n, axis[0].in) + 2 * n->channels * (int64_t)sizeof(float);
}

typedef struct work {
    const norm_layer *layer;
    statistics *statistics;
    const vox_window *window;
    bool squares; /* about the mean; or the values themselves */
} work;

/* The sum over one plane of one channel. */
static void sum_plane(void *user, int64_t unit, int thread) {
    const work *k = user;
    const vox_planes *x = k->window->from;
    const int64_t depth = k->window->axis[0].in, c = unit / depth, d = unit % depth;
    const double mean = k->statistics->mean[c / (k->layer->channels / k->layer->groups)];
    double lane[VOX_LANES] = {0};
    (void)thread;
    for (int64_t r = 0; r < x->rows; r++) {
        const float *row = vox_plane_row(x, c, d, r);
        if (k->squares)
            vox_add_squares(lane, row, x->columns, mean);
        else
            vox_add_row(lane, row, x->columns);
    }
    k->statistics->sum[unit] = vox_lane_sum(lane);
}

/* The mean of what sum_plane() adds up, over group g. */
static double group_mean(const work *k, int64_t g) {
    const int64_t planes = k->layer->channels / k->layer->groups * k->window->axis[0].in;
    const vox_planes *x = k->window->from;
    double sum = 0;
    for (int64_t i = g * planes; i < (g + 1) * planes; i++)
        sum += k->statistics->sum[i];
    return sum / ((double)planes * (double)x->rows * (double)x->columns);
}

static void measure(work *k) {
    const norm_layer *n = k->layer;
    statistics *s = k->statistics;
    const int64_t units = n->channels * k->window->axis[0].in, size = n->channels / n->groups;
    k->squares = false;
    vox_spread(k->window->threads, units, sum_plane, k);
    for (int64_t g = 0; g < n->groups; g++)
        s->mean[g] = group_mean(k, g);
    k->squares = true;
    vox_spread(k->window->threads, units, sum_plane, k);
    for (int64_t g = 0; g < n->groups; g++) {
        const double deviation = sqrt(group_mean(k, g) + n->eps);
        for (int64_t c = g * size; c < (g + 1) * size; c++) {
            const double alpha = n->weight[c] / deviation;
            s->alpha[c] = (float)alpha;
            s->beta[c] = (float)(n->bias[c] - s->mean[g] * alpha);
        }
    }
}

/* ---- Computing ---- */

static void scale_plane(void *user, int64_t unit, int thread) {
    const work *k = user;
    const vox_window *w = k->window;
    const statistics *s = k->statistics;
    const int64_t c = unit / w->count, d = w->first + unit % w->count;
    (void)thread;
    for (int64_t r = 0; r < w->from->rows; r++) {
        float *row = vox_plane_row(w->to, c, d, r);
        memcpy(row, vox_plane_row(w->from, c, d, r), (size_t)w->from->columns * sizeof *row);
        s->kernel->scale_row(row, w->from->columns, s->alpha[c], s->beta[c]);
    }
}

static void norm_window(const vox_layer *l, void *prepared, const vox_window *w) {
    work k = {.layer = (const norm_layer *)l, .statistics = prepared, .window = w};
    if (w->first == 0)
        measure(&k);
    vox_spread(w->threads, w->to->channels * w->count, scale_plane, &k);
}

/* ---- Construction ---- */

static void norm_free(vox_layer *l) {
    norm_layer *n = (norm_layer *)l;
    free(n->weight);
    free(n->bias);
    free(n);
}

static const vox_layer_class norm_class = {
    .name = "groupnorm",
    .shape = norm_shape,
    .reach = norm_reach,
    .prepare = norm_prepare,
    .weight_bytes = norm_weight_bytes,
    .window = norm_window,
    .free = norm_free,
};

vox_status vox_network_group_norm(vox_network *network, int64_t groups, int64_t channels,
                                  const float *weight, const float *bias, double eps,
                                  vox_error *err) {
    const int64_t cap = INT64_C(1) << 20;
    if (channels < 1 || channels > cap || groups < 1 || channels % groups)
        return vox_fail(err, VOX_ERR_USAGE,
                        "groupnorm: num_groups=%lld, num_channels=%lld: there must be 1 to %lld "
                        "channels, and groups that divide them",
                        (long long)groups, (long long)channels, (long long)cap);
    if (!(eps >= 0) || !isfinite(eps))
        return vox_fail(err, VOX_ERR_USAGE, "groupnorm: eps=%g: must not be negative", eps);
    norm_layer *n = vox_alloc(1, sizeof *n, "groupnorm", err);
    if (!n)
        return VOX_ERR_RESOURCE;
    n->base.class = &norm_class;
    n->base.macs_per_output = 3; /* to the mean, to the variance, and the result */
    n->base.by_channel = true;
    n->groups = groups;
    n->channels = channels;
    n->eps = eps;
    n->weight = vox_alloc(channels, sizeof(float), "groupnorm", err);
    n->bias = vox_alloc(channels, sizeof(float), "groupnorm", err);
    if (!n->weight || !n->bias) {
        norm_free(&n->base);
        return VOX_ERR_RESOURCE;
    }
    for (int64_t c = 0; c < channels; c++) {
        n->weight[c] = weight ? weight[c] : 1;
        n->bias[c] = bias ? bias[c] : 0;
    }
    return vox_network_append(network, &n->base, 1, NULL, err);
}
