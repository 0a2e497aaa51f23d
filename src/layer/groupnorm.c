/* groupnorm.c - torch.nn.GroupNorm, and so InstanceNorm3d and LayerNorm: mean and variance of the
 * values themselves, and then one multiply-add a voxel.
 * Definition: https://pytorch.org/docs/stable/generated/torch.nn.GroupNorm.html
 *
 * The first output plane waits for the last input plane. Of every plane its sum and its squares
 * about its own mean are taken when it comes, in double precision; then they are put together in
 * the order of the planes, as Chan, Golub and LeVeque do (Algorithms for computing the sample
 * variance, 1983, equation 2.1b). So neither threads nor slabs can be seen in the result. */
#include "base/spread.h"
#include "kernel/kernel.h"
#include "layer/layer.h"

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

static bool norm_repeats(const vox_layer *l, const int64_t in[4], int i, int64_t *outputs,
                         int64_t *inputs) {
    (void)l, (void)in, (void)i, (void)outputs, (void)inputs;
    return false;
}

/* ---- Statistics ---- */

typedef struct statistics {
    const vox_kernel *kernel;
    int64_t depth;
    double *squares;     /* [channels][depth] about the mean of one plane of one channel */
    float *alpha, *beta; /* [channels] the result is x*alpha + beta */
    double sum[];        /* [channels][depth]; the others lie behind */
} statistics;

static int64_t statistics_bytes(const norm_layer *n, int64_t depth) {
    return (int64_t)sizeof(statistics) + 2 * n->channels * depth * (int64_t)sizeof(double) +
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
    s->depth = axis[0].in;
    s->squares = s->sum + n->channels * s->depth;
    s->alpha = (float *)(void *)(s->squares + n->channels * s->depth);
    s->beta = s->alpha + n->channels;
    *prepared = s;
    return VOX_OK;
}

static int64_t norm_weight_bytes(const vox_layer *l, const vox_axis axis[3], int threads) {
    const norm_layer *n = (const norm_layer *)l;
    (void)threads;
    return statistics_bytes(n, axis[0].in) + 2 * n->channels * (int64_t)sizeof(float);
}

/* Planes [first, first + count) of x. */
typedef struct gathering {
    statistics *statistics;
    const vox_planes *x;
    int64_t first, count;
} gathering;

/* One plane of one channel. */
static void gather_plane(void *user, int64_t unit, int thread) {
    const gathering *g = user;
    statistics *s = g->statistics;
    const vox_rows *rows = s->kernel->rows;
    const vox_planes *x = g->x;
    const int64_t c = unit / g->count, d = g->first + unit % g->count, at = c * s->depth + d;
    double sum[VOX_LANES] = {0}, squares[VOX_LANES] = {0};
    (void)thread;
    for (int64_t r = 0; r < x->rows; r++)
        rows->sum(sum, vox_plane_row(x, c, d, r), x->columns);
    s->sum[at] = vox_lane_sum(sum);
    const double mean = s->sum[at] / ((double)x->rows * (double)x->columns);
    for (int64_t r = 0; r < x->rows; r++)
        rows->sum_squares(squares, vox_plane_row(x, c, d, r), x->columns, mean);
    s->squares[at] = vox_lane_sum(squares);
}

static void norm_gather(const vox_layer *l, void *prepared, const vox_planes *x, int64_t first,
                        int64_t count, int threads) {
    gathering g = {prepared, x, first, count};
    vox_spread(threads, ((const norm_layer *)l)->channels * count, gather_plane, &g);
}

/* Of `planes` planes of `voxels` values each. */
static void mean_and_variance(const double *sum, const double *squares, int64_t planes,
                              double voxels, double *mean, double *variance) {
    const double n = (double)planes * voxels;
    double all = 0, about = 0;
    for (int64_t i = 0; i < planes; i++)
        all += sum[i];
    *mean = all / n;
    for (int64_t i = 0; i < planes; i++) {
        const double apart = sum[i] / voxels - *mean;
        about += squares[i] + voxels * apart * apart;
    }
    *variance = about / n;
}

/* What the result is made with, once all planes have come. */
static void settle(const norm_layer *n, statistics *s, const vox_planes *x) {
    const int64_t size = n->channels / n->groups;
    for (int64_t g = 0; g < n->groups; g++) {
        const int64_t at = g * size * s->depth;
        double mean, variance;
        mean_and_variance(s->sum + at, s->squares + at, size * s->depth,
                          (double)x->rows * (double)x->columns, &mean, &variance);
        const double deviation = sqrt(variance + n->eps);
        for (int64_t c = g * size; c < (g + 1) * size; c++) {
            const double alpha = n->weight[c] / deviation;
            s->alpha[c] = (float)alpha;
            s->beta[c] = (float)(n->bias[c] - mean * alpha);
        }
    }
}

/* ---- Computing ---- */

typedef struct work {
    const statistics *statistics;
    const vox_window *window;
} work;

static void scale_plane(void *user, int64_t unit, int thread) {
    const work *k = user;
    const vox_window *w = k->window;
    const statistics *s = k->statistics;
    const int64_t c = unit / w->count, d = w->first + unit % w->count;
    (void)thread;
    for (int64_t r = 0; r < w->from->rows; r++)
        s->kernel->scale_row(vox_plane_row(w->to, c, d, r), vox_plane_row(w->from, c, d, r),
                             w->from->columns, s->alpha[c], s->beta[c]);
}

static void norm_window(const vox_layer *l, void *prepared, const vox_window *w) {
    if (w->first == 0)
        settle((const norm_layer *)l, prepared, w->from);
    work k = {prepared, w};
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
    .repeats = norm_repeats,
    .waits = "mean and variance are those of the whole volume",
    .prepare = norm_prepare,
    .weight_bytes = norm_weight_bytes,
    .window = norm_window,
    .gather = norm_gather,
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
    n->base.kind = groups == channels ? "instancenorm3d" : "groupnorm";
    n->base.parameters = (weight ? channels : 0) + (bias ? channels : 0);
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
