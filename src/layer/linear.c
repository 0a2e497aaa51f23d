/* linear.c - torch.nn.Linear over all voxels of all channels: a convolution whose kernel is as
 * large as its input, and whose output is one voxel.
 * Definition: https://pytorch.org/docs/stable/generated/torch.nn.Linear.html */
#include "base/spread.h"
#include "kernel/kernel.h"
#include "layer/layer.h"

#include <stdlib.h>
#include <string.h>

typedef struct linear_layer {
    vox_layer base;
    int64_t in_features, out_features;
    float *weight; /* [out_features, in_features] */
    float *bias;   /* [out_features] */
} linear_layer;

static vox_status linear_shape(const vox_layer *l, const int64_t *in, int64_t out[4],
                               vox_axis axis[3], vox_error *err) {
    const linear_layer *n = (const linear_layer *)l;
    int64_t features;
    if (!vox_product(in, 4, &features) || features != n->in_features)
        return vox_fail(err, VOX_ERR_USAGE,
                        "linear: in_features=%lld: the input has %lldx%lldx%lldx%lld values (C, D, "
                        "H, W)",
                        (long long)n->in_features, (long long)in[0], (long long)in[1],
                        (long long)in[2], (long long)in[3]);
    out[0] = n->out_features;
    for (int i = 0; i < 3; i++) {
        out[1 + i] = 1;
        axis[i] =
            (vox_axis){.in = in[1 + i], .out = 1, .kernel = in[1 + i], .stride = 1, .dilation = 1};
    }
    return VOX_OK;
}

/* ---- Weights, packed for the kernel ---- */

typedef struct packed {
    const vox_kernel *kernel;
    int64_t blocks;
    vox_kernel_plan plan[2]; /* [a block of one output more] */
    float *weight;           /* [block][feature][output of the block] */
    vox_row_tap row_taps[]; /* [threads][D*H, rounded up]; the weights lie behind, and zeros for the
                               kernel to read past the last */
} packed;

/* Of a thread, on cache lines of its own. */
static int64_t row_tap_count(const vox_axis axis[3]) {
    const int64_t apart = 2 * VOX_ALIGN / (int64_t)sizeof(vox_row_tap);
    return vox_round_up(axis[0].kernel * axis[1].kernel, apart) + apart;
}

static int64_t weight_bytes(const linear_layer *n) {
    return n->out_features * n->in_features * (int64_t)sizeof(float);
}

static int64_t packed_head(const vox_axis axis[3], int threads) {
    return vox_round_up((int64_t)sizeof(packed) +
                            threads * row_tap_count(axis) * (int64_t)sizeof(vox_row_tap),
                        VOX_ALIGN);
}

static int64_t packed_bytes(const linear_layer *n, const vox_axis axis[3], int threads) {
    return packed_head(axis, threads) + weight_bytes(n) +
           VOX_KERNEL_MAX_VECTOR * (int64_t)sizeof(float);
}

static int64_t linear_weight_bytes(const vox_layer *l, const vox_axis axis[3], int threads) {
    const linear_layer *n = (const linear_layer *)l;
    return weight_bytes(n) + packed_bytes(n, axis, threads);
}

static int64_t block_start(const linear_layer *n, const packed *p, int64_t b) {
    return n->out_features * b / p->blocks;
}

typedef struct packing {
    const linear_layer *layer;
    packed *to;
} packing;

static void pack_block(void *user, int64_t b, int thread) {
    const packing *k = user;
    const linear_layer *n = k->layer;
    const int64_t from = block_start(n, k->to, b), end = block_start(n, k->to, b + 1);
    float *to = k->to->weight + from * n->in_features;
    (void)thread;
    for (int64_t f = 0; f < n->in_features; f++)
        for (int64_t o = from; o < end; o++)
            *to++ = n->weight[o * n->in_features + f];
}

static vox_status linear_prepare(const vox_layer *l, const vox_axis axis[3], int threads,
                                 void **prepared, vox_error *err) {
    const linear_layer *n = (const linear_layer *)l;
    vox_error local = {0};
    const vox_kernel *kernel = vox_kernel_active(&local);
    if (!kernel)
        return vox_fail(err, local.status, "%s", local.message);
    packed *p = vox_alloc_uncleared(packed_bytes(n, axis, threads), 1, "packed weights", err);
    if (!p)
        return VOX_ERR_RESOURCE;
    const int64_t extent[3] = {axis[0].kernel, axis[1].kernel, axis[2].kernel};
    vox_kernel_shape shape = {
        .in_channels = n->in_features / (extent[0] * extent[1] * extent[2]),
        .kernel_size = {extent[0], extent[1], extent[2]},
        .rows = 1,
        .columns = 1,
    };
    p->kernel = kernel;
    p->blocks =
        vox_min(vox_max(kernel->block_count(n->out_features, &shape), threads), n->out_features);
    for (int more = 0; more <= (n->out_features % p->blocks ? 1 : 0); more++) {
        shape.block = (int)(n->out_features / p->blocks) + more;
        p->plan[more] = kernel->plan(&shape);
    }
    p->weight = (float *)(void *)((char *)p + packed_head(axis, threads));
    memset(p->weight + n->out_features * n->in_features, 0, VOX_KERNEL_MAX_VECTOR * sizeof(float));
    packing work = {n, p};
    vox_spread(threads, p->blocks, pack_block, &work);
    *prepared = p;
    return VOX_OK;
}

/* ---- Computing ---- */

typedef struct work {
    const linear_layer *layer;
    packed *packed;
    const vox_window *window;
} work;

static void run_block(void *user, int64_t b, int thread) {
    const work *k = user;
    const vox_window *w = k->window;
    const linear_layer *n = k->layer;
    packed *p = k->packed;
    const int64_t from = block_start(n, p, b), size = block_start(n, p, b + 1) - from;
    const vox_kernel_job job = {
        .plan = &p->plan[size > n->out_features / p->blocks],
        .planes = w->planes,
        .in_channel_stride = w->channel_stride,
        .row_offset = w->row_offset,
        .column_offset = w->column_offset,
        .weight = p->weight + from * n->in_features,
        .bias = n->bias + from,
        .out = vox_plane_row(w->to, from, w->first, 0),
        .out_channel_stride = w->to->channel_stride,
        .row_taps = p->row_taps + thread * row_tap_count(w->axis),
    };
    p->kernel->run(&job);
}

static void linear_window(const vox_layer *l, void *prepared, const vox_window *w) {
    work k = {(const linear_layer *)l, prepared, w};
    vox_spread(w->threads, k.packed->blocks, run_block, &k);
}

/* ---- Construction ---- */

static void linear_free(vox_layer *l) {
    linear_layer *n = (linear_layer *)l;
    free(n->weight);
    free(n->bias);
    free(n);
}

static const vox_layer_class linear_class = {
    .name = "linear",
    .shape = linear_shape,
    .prepare = linear_prepare,
    .weight_bytes = linear_weight_bytes,
    .window = linear_window,
    .free = linear_free,
};

vox_status vox_network_linear(vox_network *network, int64_t in_features, int64_t out_features,
                              const float *weight, const float *bias, vox_error *err) {
    const int64_t cap = INT64_C(1) << 20;
    int64_t count, bytes;
    if (in_features < 1 || out_features < 1 || out_features > cap)
        return vox_fail(err, VOX_ERR_USAGE,
                        "linear: in_features=%lld, out_features=%lld: must be positive, and at "
                        "most %lld outputs",
                        (long long)in_features, (long long)out_features, (long long)cap);
    if (!vox_mul(in_features, out_features, &count) || !vox_mul(count, sizeof(float), &bytes))
        return vox_fail(err, VOX_ERR_USAGE, "linear: the weight has more values than memory");
    linear_layer *n = vox_alloc(1, sizeof *n, "linear", err);
    if (!n)
        return VOX_ERR_RESOURCE;
    n->base.class = &linear_class;
    n->base.macs_per_output = in_features;
    n->base.parameters = count + (bias ? out_features : 0);
    n->in_features = in_features;
    n->out_features = out_features;
    n->weight = vox_alloc(count, sizeof(float), "linear weight", err);
    n->bias = vox_alloc(out_features, sizeof(float), "linear bias", err);
    if (!n->weight || !n->bias) {
        linear_free(&n->base);
        return VOX_ERR_RESOURCE;
    }
    memcpy(n->weight, weight, (size_t)bytes);
    if (bias)
        memcpy(n->bias, bias, (size_t)out_features * sizeof(float));
    return vox_network_append(network, &n->base, 1, NULL, err);
}
