/* conv3d.c - torch.nn.Conv3d: parameters, shapes, packed weights, and the cutting of planes into
 * jobs. Definition: https://pytorch.org/docs/stable/generated/torch.nn.Conv3d.html */
#include "base/spread.h"
#include "kernel/kernel.h"
#include "layer/layer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct conv_layer {
    vox_layer base;
    vox_conv3d conv;
    float *weight; /* [out_channels, in_channels/groups, kD, kH, kW] */
    float *bias;   /* [out_channels] */
} conv_layer;

void vox_conv3d_defaults(vox_conv3d *c) {
    *c = (vox_conv3d){.in_channels = 1, .out_channels = 1, .groups = 1};
    for (int i = 0; i < 3; i++)
        c->kernel_size[i] = c->stride[i] = c->dilation[i] = 1;
}

/* ---- Shapes ---- */

/* Padding in front and behind along axis i for an input of n. */
static vox_status padding(const vox_conv3d *c, int i, int64_t n, int64_t pad[2], vox_error *err) {
    int64_t reach = c->dilation[i] * (c->kernel_size[i] - 1), total = 0;
    switch (c->padding) {
    case VOX_PADDING_EXPLICIT:
        pad[0] = c->padding_before[i];
        pad[1] = c->padding_after[i];
        break;
    case VOX_PADDING_SAME:
        total = reach;
        break;
    case VOX_PADDING_SAME_UPPER:
        total = vox_max((vox_ceil_div(n, c->stride[i]) - 1) * c->stride[i] + reach + 1 - n, 0);
        break;
    case VOX_PADDING_VALID:
        break;
    }
    if (c->padding != VOX_PADDING_EXPLICIT) {
        pad[0] = total / 2;
        pad[1] = total - pad[0];
    }
    int64_t most = vox_max(pad[0], pad[1]);
    if (c->padding_mode == VOX_PAD_REFLECT && most >= n)
        return vox_fail(
            err, VOX_ERR_USAGE,
            "conv3d: padding=%lld along %c: reflect padding must be less than the input's "
            "size %lld there",
            (long long)most, vox_axis_name[i], (long long)n);
    if (c->padding_mode == VOX_PAD_CIRCULAR && most > n)
        return vox_fail(
            err, VOX_ERR_USAGE,
            "conv3d: padding=%lld along %c: circular padding must not exceed the input's "
            "size %lld there",
            (long long)most, vox_axis_name[i], (long long)n);
    return VOX_OK;
}

static vox_status conv_shape(const vox_layer *l, const int64_t in[4], int64_t out[4],
                             vox_axis axis[3], vox_error *err) {
    const vox_conv3d *c = &((const conv_layer *)l)->conv;
    if (in[0] != c->in_channels)
        return vox_fail(err, VOX_ERR_USAGE, "conv3d: in_channels=%lld: the input has %lld channels",
                        (long long)c->in_channels, (long long)in[0]);
    out[0] = c->out_channels;
    for (int i = 0; i < 3; i++) {
        int64_t n = in[1 + i], pad[2] = {0, 0};
        vox_status status = padding(c, i, n, pad, err);
        if (status)
            return status;
        int64_t span = c->dilation[i] * (c->kernel_size[i] - 1) + 1;
        if (n + pad[0] + pad[1] < span)
            return vox_fail(
                err, VOX_ERR_USAGE,
                "conv3d: kernel_size=%lld, dilation=%lld along %c: spans %lld voxels, the "
                "padded input has %lld",
                (long long)c->kernel_size[i], (long long)c->dilation[i], vox_axis_name[i],
                (long long)span, (long long)(n + pad[0] + pad[1]));
        out[1 + i] = (n + pad[0] + pad[1] - span) / c->stride[i] + 1;
        axis[i] = (vox_axis){.in = n,
                             .out = out[1 + i],
                             .kernel = c->kernel_size[i],
                             .stride = c->stride[i],
                             .dilation = c->dilation[i],
                             .before = pad[0],
                             .mode = c->padding_mode};
    }
    return VOX_OK;
}

/* ---- Weights, packed for the kernel ---- */

/* First output channel of block b of a group. */
static int64_t block_start(int64_t out_channels, int64_t blocks, int64_t b) {
    return out_channels * b / blocks;
}

typedef struct packed {
    const vox_kernel *kernel;
    int64_t blocks; /* a group */
    float *weight;  /* [out_channel block][in_channels/groups][kD][kH][kW][channel of the block] */
    vox_row_tap row_taps[]; /* [threads][kD*kH, rounded up]; the weights lie behind, and zeros for
                               the kernel to read past the last */
} packed;

static int64_t tap_count(const vox_conv3d *c) {
    return c->in_channels / c->groups * c->kernel_size[0] * c->kernel_size[1] * c->kernel_size[2];
}

static int64_t weight_bytes(const vox_conv3d *c) {
    return c->out_channels * tap_count(c) * (int64_t)sizeof(float);
}

/* Of `threads` threads, each on cache lines of its own (and their neighbours, which are fetched
 * with them): they write all the time. */
static int64_t row_tap_count(const vox_conv3d *c, int threads) {
    const int64_t apart = 2 * VOX_ALIGN / (int64_t)sizeof(vox_row_tap);
    return threads * (vox_round_up(c->kernel_size[0] * c->kernel_size[1], apart) + apart);
}

/* Bytes in front of the packed weights. */
static int64_t packed_head(const vox_conv3d *c, int threads) {
    return vox_round_up((int64_t)sizeof(packed) +
                            row_tap_count(c, threads) * (int64_t)sizeof(vox_row_tap),
                        VOX_ALIGN);
}

static int64_t packed_bytes(const vox_conv3d *c, int threads) {
    return packed_head(c, threads) + weight_bytes(c) +
           VOX_KERNEL_MAX_VECTOR * (int64_t)sizeof(float);
}

static int64_t conv_weight_bytes(const vox_layer *l, const vox_axis axis[3], int threads) {
    const vox_conv3d *c = &((const conv_layer *)l)->conv;
    (void)axis;
    return weight_bytes(c) + packed_bytes(c, threads);
}

typedef struct packing {
    const conv_layer *layer;
    packed *to;
} packing;

static void pack_block(void *user, int64_t block, int thread) {
    const packing *k = user;
    const vox_conv3d *c = &k->layer->conv;
    const int64_t taps = tap_count(c), group_out = c->out_channels / c->groups;
    const int64_t group = block / k->to->blocks * group_out, b = block % k->to->blocks;
    const int64_t from = group + block_start(group_out, k->to->blocks, b);
    const int64_t end = group + block_start(group_out, k->to->blocks, b + 1);
    float *to = k->to->weight + from * taps;
    (void)thread;
    for (int64_t t = 0; t < taps; t++)
        for (int64_t o = from; o < end; o++)
            *to++ = k->layer->weight[o * taps + t];
}

/* Zero padding meets finite weights and need not be looked at. */
static bool skips_padding(const conv_layer *layer, const vox_axis axis[3]) {
    return axis[1].mode == VOX_PAD_ZEROS && !layer->base.needs_zero_planes;
}

/* Outputs this far apart along an axis meet the same inputs at successive taps: what a dilated
 * layer computes there is as many layers without dilation, whose voxels alternate. */
static int64_t phases(const vox_axis *a) {
    return a->stride == 1 && a->kernel > 1 && a->dilation < a->out ? a->dilation : 1;
}

/* What the kernel is to compute for `block` channels and `rows` rows, `apart` rows apart, of an
 * output plane. */
static vox_kernel_shape shape_of(const conv_layer *layer, const vox_axis axis[3], int64_t block,
                                 int64_t rows, int64_t apart, bool bare) {
    const vox_conv3d *c = &layer->conv;
    const vox_axis *w = &axis[2];
    const int64_t last_tap = (w->out - 1) * w->stride - w->before + vox_axis_span(w) - 1;
    const bool skip = skips_padding(layer, axis);
    return (vox_kernel_shape){
        .block = (int)block,
        .in_channels = c->in_channels / c->groups,
        .kernel_size = {c->kernel_size[0], c->kernel_size[1], c->kernel_size[2]},
        .rows = rows,
        .columns = w->out,
        .skip_first = skip && w->before > 0,
        .skip_last = skip && last_tap >= w->in,
        .shares_rows = axis[1].stride * apart == axis[1].dilation,
        .bare = bare,
        .in_columns = w->in,
        .column_origin = -w->before,
        .column_dilation = w->dilation,
    };
}

/* A group's output channels are cut into as many, whatever the planes turn out to be. */
static int64_t group_blocks(const conv_layer *layer, const vox_axis axis[3],
                            const vox_kernel *kernel) {
    const vox_kernel_shape plane = shape_of(layer, axis, 0, axis[1].out, 1, false);
    return kernel->block_count(layer->conv.out_channels / layer->conv.groups, &plane);
}

static vox_status conv_prepare(const vox_layer *l, const vox_axis axis[3], int threads,
                               void **prepared, vox_error *err) {
    const conv_layer *layer = (const conv_layer *)l;
    const vox_conv3d *c = &layer->conv;
    vox_error local = {0};
    const vox_kernel *kernel = vox_kernel_active(&local);
    if (!kernel)
        return vox_fail(err, local.status, "%s", local.message);
    packed *p = vox_alloc_uncleared(packed_bytes(c, threads), 1, "packed weights", err);
    if (!p)
        return VOX_ERR_RESOURCE;
    p->kernel = kernel;
    p->blocks = group_blocks(layer, axis, kernel);
    p->weight = (float *)(void *)((char *)p + packed_head(c, threads));
    memset(p->weight + c->out_channels * tap_count(c), 0, VOX_KERNEL_MAX_VECTOR * sizeof(float));
    packing work = {layer, p};
    vox_spread(threads, c->groups * p->blocks, pack_block, &work);
    *prepared = p;
    return VOX_OK;
}

/* Rows of zero padding can be skipped, columns of it are counted as zeros; inputs that lie side by
 * side are wanted at every tap. */
static bool conv_reads_bare(const vox_layer *l, const vox_axis axis[3]) {
    const conv_layer *layer = (const conv_layer *)l;
    const int64_t group_out = layer->conv.out_channels / layer->conv.groups;
    const vox_kernel *kernel = vox_kernel_active(NULL);
    if (!kernel || !skips_padding(layer, axis) || axis[2].stride != 1 || axis[2].before < 0)
        return false;
    vox_kernel_shape s = shape_of(layer, axis, 0, axis[1].out, phases(&axis[1]), true);
    const int64_t blocks = group_blocks(layer, axis, kernel);
    s.block = (int)(group_out / blocks);
    bool can = kernel->reads_bare(&s);
    s.block = (int)vox_ceil_div(group_out, blocks);
    return can && kernel->reads_bare(&s);
}

/* ---- Computing ---- */

/* Output planes are cut into units: some rows of one plane, and all blocks of channels or some of
 * them. The blocks of a unit pass over the same piece of input one after the other, and the next
 * unit takes the same weights to the next plane; so each of the two should fit a share of the
 * second-level cache. And there should be units enough for the threads to share them evenly. Planes
 * of successive units are those that share their input, a dilation apart; so are rows of a unit,
 * except where the planes stay in the cache anyway: rows side by side are read faster. */
typedef struct cut {
    int64_t phases, runs;  /* of rows, runs of rows of a phase */
    int64_t rows;          /* of a run, but for the last */
    int64_t pieces;        /* runs of all phases */
    int64_t blocks, parts; /* blocks of a unit, units of one piece */
} cut;

enum {
    PIECE_BYTES = 768 << 10, /* with the output, where something is done to that next */
    PLANES_BYTES = 2 << 20,  /* planes under all taps of an output plane that stay in that cache */
    WEIGHT_BYTES = 512 << 10,
    UNITS_PER_THREAD = 6,
    FEW_ROWS = 8
};

/* `blocks` blocks, whose weights are `weight_bytes`, over `channels` input channels. */
static cut cut_planes(const vox_window *w, int64_t channels, int64_t blocks, int64_t weight_bytes) {
    const int64_t planes_bytes =
        channels * w->axis[0].kernel * w->axis[1].in * w->row_stride * (int64_t)sizeof(float);
    cut c = {.phases = planes_bytes > PLANES_BYTES ? phases(&w->axis[1]) : 1};
    const int64_t height = vox_ceil_div(w->axis[1].out, c.phases);
    const int64_t out_floats = w->then ? w->to->channels * w->axis[2].out : 0;
    const int64_t row_bytes =
        (channels * w->axis[0].kernel * w->axis[1].stride * w->row_stride + out_floats) *
        (int64_t)sizeof(float);
    const int64_t wanted = UNITS_PER_THREAD * w->threads;
    int64_t parts =
        w->by_channel ? blocks : vox_min(vox_ceil_div(weight_bytes, WEIGHT_BYTES), blocks);
    const int64_t whole = w->count * c.phases; /* runs, if each were as long as can be */
    int64_t cuts = vox_ceil_div(height, vox_max(PIECE_BYTES / row_bytes, FEW_ROWS));
    if (whole * parts * cuts < wanted) /* shorter ones, of rows that share their input */
        cuts = vox_max(
            cuts, vox_min(vox_ceil_div(wanted, whole * parts), vox_ceil_div(height, FEW_ROWS)));
    if (whole * parts * cuts < wanted)
        parts = vox_min(vox_ceil_div(wanted, whole * cuts), blocks);
    c.rows = vox_ceil_div(height, cuts);
    c.runs = vox_ceil_div(height, c.rows);
    c.pieces = c.runs * c.phases;
    c.blocks = vox_ceil_div(blocks, parts);
    c.parts = vox_ceil_div(blocks, c.blocks);
    return c;
}

typedef struct work {
    const conv_layer *layer;
    packed *packed;
    const vox_window *window;
    int64_t blocks; /* of all groups */
    cut cut;
    vox_kernel_plan plan[3][2]; /* [rows of a run, of the last run, one less][a block of one channel
                                   more] */
} work;

/* Rows row, row + phases, ... of an output plane. */
typedef struct piece {
    int64_t row, rows;
    int plan;
} piece;

/* Rows of the last run of the longest phases; of the others' it is one less. */
static int64_t last_rows(const work *k) {
    const int64_t height = vox_ceil_div(k->window->axis[1].out, k->cut.phases);
    return height - (k->cut.runs - 1) * k->cut.rows;
}

/* Runs are outermost: all phases of one lie side by side. */
static piece piece_of(const work *k, int64_t number) {
    const int64_t phase = number % k->cut.phases, before = number / k->cut.phases * k->cut.rows;
    piece p = {.row = before * k->cut.phases + phase};
    const int64_t left = vox_ceil_div(k->window->axis[1].out - p.row, k->cut.phases);
    p.rows = vox_min(left, k->cut.rows);
    p.plan = p.rows == k->cut.rows ? 0 : p.rows == last_rows(k) ? 1 : 2;
    return p;
}

/* The planes in the order in which they are made: phase by phase. */
static int64_t nth_plane(const vox_window *w, int64_t n) {
    const int64_t count = vox_min(phases(&w->axis[0]), w->count);
    const int64_t planes = w->count / count, one_more = w->count % count * (planes + 1);
    if (n < one_more)
        return n / (planes + 1) + n % (planes + 1) * count;
    return w->count % count + (n - one_more) / planes + (n - one_more) % planes * count;
}

/* One block of output channels over a piece of output plane `plane` of the window. */
static void run_block(const work *k, int64_t plane, const piece *at, int64_t block, int thread) {
    const vox_conv3d *c = &k->layer->conv;
    const vox_window *w = k->window;
    const packed *p = k->packed;
    const vox_axis *h = &w->axis[1];
    const int64_t group_in = c->in_channels / c->groups, group_out = c->out_channels / c->groups;
    const int64_t group = block / p->blocks, b = block % p->blocks;
    const int64_t first = block_start(group_out, p->blocks, b);
    const int64_t size = block_start(group_out, p->blocks, b + 1) - first;
    const int64_t channel = group * group_out + first;
    vox_kernel_job job = {
        .plan = &k->plan[at->plan][size > group_out / p->blocks],
        .planes = w->planes + plane * c->kernel_size[0],
        .in_offset = group * group_in * w->channel_stride + at->row * h->stride * w->row_stride,
        .in_channel_stride = w->channel_stride,
        .in_row_step = h->stride * k->cut.phases * w->row_stride,
        .row_offset = w->row_offset,
        .column_offset = w->column_offset,
        .row_origin = at->row * h->stride - h->before,
        .row_stride = h->stride * k->cut.phases,
        .row_dilation = h->dilation,
        .row_count = w->bare || skips_padding(k->layer, w->axis) ? h->in : 0,
        .weight = p->weight + channel * tap_count(c),
        .bias = k->layer->bias + channel,
        .out = vox_plane_row(w->to, channel, w->first + plane, at->row),
        .out_channel_stride = w->to->channel_stride,
        .out_row_stride = w->to->row_stride * k->cut.phases,
        .row_taps = k->packed->row_taps + row_tap_count(c, thread),
    };
    p->kernel->run(&job);
}

/* Units are numbered with the planes innermost: successive planes of one phase share most of their
 * input and all of their weights. Outermost is what a thread finds in its own cache: its share of
 * the rows, or of the channels. */
static void run_unit(void *user, int64_t unit, int thread) {
    const work *k = user;
    const int64_t plane = nth_plane(k->window, unit % k->window->count);
    const int64_t run = unit / k->window->count;
    const bool by_channel = k->window->by_channel;
    const int64_t part = by_channel ? run / k->cut.pieces : run % k->cut.parts;
    const piece at = piece_of(k, by_channel ? run % k->cut.pieces : run / k->cut.parts);
    if (at.rows <= 0)
        return;
    const int64_t end = vox_min((part + 1) * k->cut.blocks, k->blocks);
    for (int64_t b = part * k->cut.blocks; b < end; b++)
        run_block(k, plane, &at, b, thread);
    const vox_followup *then = k->window->then;
    if (!then || !then->called)
        return;
    const int64_t d = k->window->first + plane;
    const int64_t together = k->cut.phases == 1 ? at.rows : 1; /* rows side by side */
    for (int64_t r = 0; r < at.rows; r += together) {
        const int64_t row = at.row + r * k->cut.phases;
        then->rows(then->user, d, row, row + together, thread);
    }
}

static void conv_window(const vox_layer *l, void *prepared, const vox_window *w) {
    const conv_layer *layer = (const conv_layer *)l;
    const vox_conv3d *c = &layer->conv;
    packed *p = prepared;
    work k = {.layer = layer, .packed = p, .window = w, .blocks = c->groups * p->blocks};
    k.cut = cut_planes(w, c->in_channels / c->groups, k.blocks, weight_bytes(c));
    if (w->then)
        w->then->called = k.cut.parts == 1;
    const int64_t group_out = c->out_channels / c->groups;
    const int64_t rows[3] = {k.cut.rows, last_rows(&k), last_rows(&k) - 1};
    for (int i = 0; i < 3; i++)
        for (int more = 0; rows[i] > 0 && more <= (group_out % p->blocks ? 1 : 0); more++) {
            const vox_kernel_shape shape = shape_of(layer, w->axis, group_out / p->blocks + more,
                                                    rows[i], k.cut.phases, w->bare);
            k.plan[i][more] = p->kernel->plan(&shape);
        }
    vox_spread(w->threads, w->count * k.cut.pieces * k.cut.parts, run_unit, &k);
}

/* ---- Construction ---- */

/* 0*w leaves the sum as it is only where w is finite. */
static void look_at_weights(conv_layer *l) {
    const int64_t count = l->conv.out_channels * tap_count(&l->conv);
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(l->weight[i]))
            l->base.needs_zero_planes = true;
}

static bool conv_absorb(vox_layer *layer, int64_t channels, const float *scale,
                        const float *shift) {
    conv_layer *l = (conv_layer *)layer;
    const int64_t taps = tap_count(&l->conv);
    if (channels != l->conv.out_channels)
        return false;
    for (int64_t c = 0; c < channels; c++) {
        for (int64_t i = 0; i < taps; i++)
            l->weight[c * taps + i] *= scale[c];
        l->bias[c] = fmaf(l->bias[c], scale[c], shift[c]);
    }
    look_at_weights(l);
    return true;
}

static void conv_free(vox_layer *l) {
    conv_layer *layer = (conv_layer *)l;
    free(layer->weight);
    free(layer->bias);
    free(layer);
}

static const vox_layer_class conv_class = {
    .name = "conv3d",
    .shape = conv_shape,
    .prepare = conv_prepare,
    .weight_bytes = conv_weight_bytes,
    .window = conv_window,
    .absorb = conv_absorb,
    .reads_bare = conv_reads_bare,
    .free = conv_free,
};

/* What torch's constructor checks. The caps keep every later product within int64_t. */
static vox_status check(const vox_conv3d *c, vox_error *err) {
    const int64_t cap = INT64_C(1) << 20;
    const struct {
        const char *name;
        int64_t value;
    } scalar[] = {
        {"in_channels", c->in_channels}, {"out_channels", c->out_channels}, {"groups", c->groups}};
    for (int i = 0; i < 3; i++)
        if (scalar[i].value < 1 || scalar[i].value > cap)
            return vox_fail(err, VOX_ERR_USAGE, "conv3d: %s=%lld: must be 1 to %lld",
                            scalar[i].name, (long long)scalar[i].value, (long long)cap);
    for (int i = 0; i < 3; i++) {
        const struct {
            const char *name;
            int64_t value, least;
        } number[] = {{"kernel_size", c->kernel_size[i], 1},
                      {"stride", c->stride[i], 1},
                      {"dilation", c->dilation[i], 1},
                      {"padding", c->padding_before[i], 0},
                      {"padding", c->padding_after[i], 0}};
        for (int k = 0; k < 5; k++)
            if (number[k].value < number[k].least || number[k].value > cap)
                return vox_fail(err, VOX_ERR_USAGE,
                                "conv3d: %s=%lld along %c: must be %lld to %lld", number[k].name,
                                (long long)number[k].value, vox_axis_name[i],
                                (long long)number[k].least, (long long)cap);
    }
    if (c->in_channels % c->groups || c->out_channels % c->groups)
        return vox_fail(err, VOX_ERR_USAGE,
                        "conv3d: groups=%lld: must divide in_channels=%lld and out_channels=%lld",
                        (long long)c->groups, (long long)c->in_channels,
                        (long long)c->out_channels);
    if (c->padding == VOX_PADDING_SAME)
        for (int i = 0; i < 3; i++)
            if (c->stride[i] != 1)
                return vox_fail(err, VOX_ERR_USAGE,
                                "conv3d: stride=%lld along %c: padding 'same' needs stride 1 "
                                "('same_upper' does not)",
                                (long long)c->stride[i], vox_axis_name[i]);
    int64_t count, bytes;
    const int64_t extent[] = {c->out_channels, c->in_channels / c->groups, c->kernel_size[0],
                              c->kernel_size[1], c->kernel_size[2]};
    if (!vox_product(extent, 5, &count) || !vox_mul(count, sizeof(float), &bytes))
        return vox_fail(err, VOX_ERR_USAGE, "conv3d: the weight has more values than memory");
    return VOX_OK;
}

vox_status vox_network_conv3d(vox_network *network, const vox_conv3d *conv, const float *weight,
                              const float *bias, vox_error *err) {
    vox_status status = check(conv, err);
    if (status)
        return status;
    conv_layer *l = vox_alloc(1, sizeof *l, "conv3d", err);
    if (!l)
        return VOX_ERR_RESOURCE;
    l->base.class = &conv_class;
    l->conv = *conv;
    int64_t count = conv->out_channels * tap_count(conv);
    l->base.by_channel = conv->groups > 1;
    l->base.macs_per_output = tap_count(conv);
    l->base.parameters = count + (bias ? conv->out_channels : 0);
    l->weight = vox_alloc(count, sizeof(float), "conv3d weight", err);
    l->bias = vox_alloc(conv->out_channels, sizeof(float), "conv3d bias", err);
    if (!l->weight || !l->bias) {
        conv_free(&l->base);
        return VOX_ERR_RESOURCE;
    }
    memcpy(l->weight, weight, (size_t)count * sizeof(float));
    if (bias)
        memcpy(l->bias, bias, (size_t)conv->out_channels * sizeof(float));
    look_at_weights(l);
    return vox_network_append(network, &l->base, 1, NULL, err);
}
