/* transpose_run.c - transposed convolution as ordinary convolutions, one for each phase of the
 * output; see transpose.h. */
#include "base/spread.h"
#include "kernel/kernel.h"
#include "layer/transpose.h"

#include <string.h>

/* ---- Phases ---- */

/* Outputs o with o + padding = p + q*stride. Tap j of the turned kernel, 0 <= j < taps, is tap
 * last - j*tap_step of the layer's, and meets input q + shift + j*dilation/gcd. */
typedef struct phase {
    int64_t taps, last, shift;
    int64_t first, count; /* q of its outputs */
    int64_t out;          /* o of the first one */
    int64_t number;       /* among those that have taps */
} phase;

/* Phases that have any taps. */
static int64_t used_phases(const vox_conv_transpose3d *c, int i) {
    return vox_min(c->kernel_size[i], vox_transpose_tap_step(c, i));
}

static phase phase_of(const vox_conv_transpose3d *c, int i, int64_t extent, int64_t p) {
    const int64_t s = c->stride[i], d = c->dilation[i], before = c->padding_before[i];
    phase f = {.first = vox_ceil_div(vox_max(before - p, 0), s)};
    f.out = p + f.first * s - before;
    f.count = vox_max(vox_floor_div(extent - 1 - f.out, s) + 1, 0);
    int64_t tap = 0;
    const int64_t end = used_phases(c, i);
    while (tap < end && tap * d % s != p)
        tap++;
    if (tap == end)
        return f;
    f.taps = vox_ceil_div(c->kernel_size[i] - tap, vox_transpose_tap_step(c, i));
    f.last = tap + (f.taps - 1) * vox_transpose_tap_step(c, i);
    f.shift = vox_floor_div(p - f.last * d, s); /* it divides */
    return f;
}

/* ---- What a run needs ---- */

/* A convolution: a phase along each axis. */
typedef struct phase_conv {
    int64_t weight;             /* floats before its own */
    vox_kernel_plan plan[2][2]; /* [the last rows][a block of one channel more] */
} phase_conv;

typedef struct packed {
    const vox_kernel *kernel;
    int64_t out[3];
    int64_t group_in, group_out;
    int64_t blocks;                                    /* a group */
    int64_t rows;                                      /* of a phase, at a time */
    int64_t columns;                                   /* of the scratch */
    int64_t row_tap_count, plane_count, scratch_count; /* of a thread */
    phase *phase[3];                                   /* [stride] */
    phase_conv *conv;                                  /* [used phases] along D, H, W */
    float *weight; /* [phase_conv][block][in_channel][tap][channel of the block] */
    int64_t *row_offset, *column_offset; /* of the turned taps */
    vox_row_tap *row_taps;
    const float **planes;
    float *scratch; /* [phase along W][channel of a block][rows][columns] */
} packed;

enum {
    PIECE_BYTES = 768 << 10, /* as in conv3d.c: a share of the second-level cache, for the input */
    SCRATCH_BYTES = 192 << 10,
    FEW_ROWS = 8,
    UNITS_PER_THREAD = 6,
};

/* The first output channel of block b of a group. */
static int64_t block_start(const packed *p, int64_t b) {
    return p->group_out * b / p->blocks;
}

/* How the work is cut. */
static void cut(const vox_conv_transpose3d *c, const vox_axis axis[3], int threads, packed *p) {
    const int64_t stride = c->stride[2];
    p->group_in = c->in_channels / c->groups;
    p->group_out = c->out_channels / c->groups;
    for (int i = 0; i < 3; i++)
        p->out[i] = vox_transpose_extent(c, i, axis[i].in);
    const int64_t rows = vox_ceil_div(p->out[1], c->stride[1]);
    const int64_t columns = vox_ceil_div(p->out[2], stride);
    const vox_kernel_shape most = {
        .in_channels = p->group_in,
        .kernel_size = {vox_transpose_taps(c, 0), vox_transpose_taps(c, 1),
                        vox_transpose_taps(c, 2)},
        .rows = rows,
        .columns = columns,
    };
    p->blocks = p->kernel->block_count(p->group_out, &most);
    const int64_t block = vox_ceil_div(p->group_out, p->blocks);
    const int64_t in_row =
        p->group_in * most.kernel_size[0] * vox_axis_padded(&axis[2]) * (int64_t)sizeof(float);
    p->rows = vox_max(PIECE_BYTES / in_row, FEW_ROWS);
    p->rows = vox_min(p->rows, vox_max(vox_ceil_div(rows, 2 * threads), FEW_ROWS));
    p->columns = vox_round_up(columns, VOX_KERNEL_MAX_VECTOR);
    const int64_t row_floats = stride * block * p->columns;
    if (stride > 1)
        p->rows =
            vox_max(vox_min(p->rows, SCRATCH_BYTES / (row_floats * (int64_t)sizeof(float))), 1);
    p->rows = vox_min(p->rows, rows);
    p->scratch_count = stride > 1 ? row_floats * p->rows + 2 * VOX_KERNEL_MAX_VECTOR : 0;
}

/* The bytes in front of the next part, which begins on cache lines of its own. */
static int64_t reserve(int64_t *total, int64_t bytes) {
    const int64_t at = *total;
    *total += vox_round_up(bytes, 2 * VOX_ALIGN) + 2 * VOX_ALIGN;
    return at;
}

enum { PHASES, CONVS, ROWS, COLUMNS, ROW_TAPS, PLANES, SCRATCH, WEIGHTS, PARTS };

/* Fills all numbers of p, and where its parts lie behind it. Returns the bytes. */
static int64_t lay_out(const vox_conv_transpose3d *c, const vox_axis axis[3], int threads,
                       packed *p, int64_t at[PARTS]) {
    const int64_t apart = 2 * VOX_ALIGN / (int64_t)sizeof(vox_row_tap);
    int64_t total = 0;
    cut(c, axis, threads, p);
    p->row_tap_count =
        vox_round_up(vox_transpose_taps(c, 0) * vox_transpose_taps(c, 1), apart) + apart;
    p->plane_count = vox_round_up(vox_transpose_taps(c, 0), 2 * apart) + 2 * apart;
    reserve(&total, sizeof *p);
    at[PHASES] =
        reserve(&total, (c->stride[0] + c->stride[1] + c->stride[2]) * (int64_t)sizeof(phase));
    at[CONVS] = reserve(&total, used_phases(c, 0) * used_phases(c, 1) * used_phases(c, 2) *
                                    (int64_t)sizeof(phase_conv));
    at[ROWS] = reserve(&total, vox_transpose_taps(c, 1) * (int64_t)sizeof(int64_t));
    at[COLUMNS] = reserve(&total, vox_transpose_taps(c, 2) * (int64_t)sizeof(int64_t));
    at[ROW_TAPS] = reserve(&total, threads * p->row_tap_count * (int64_t)sizeof(vox_row_tap));
    at[PLANES] = reserve(&total, threads * p->plane_count * (int64_t)sizeof(float *));
    at[SCRATCH] = reserve(&total, threads * p->scratch_count * (int64_t)sizeof(float));
    at[WEIGHTS] = reserve(&total, (vox_transpose_weights(c) + VOX_KERNEL_MAX_VECTOR) *
                                      (int64_t)sizeof(float));
    return total;
}

int64_t vox_transpose_weight_bytes(const vox_layer *l, const vox_axis axis[3], int threads) {
    const vox_conv_transpose3d *c = &((const transpose_layer *)l)->conv;
    packed p = {.kernel = vox_kernel_active(NULL)};
    int64_t at[PARTS];
    return vox_transpose_weights(c) * (int64_t)sizeof(float) +
           (p.kernel ? lay_out(c, axis, threads, &p, at) : 0);
}

/* The convolution of these phases; NULL where one of them has no taps. */
static phase_conv *find_conv(const vox_conv_transpose3d *c, const packed *p, const phase *d,
                             const phase *h, const phase *w) {
    if (d->taps == 0 || h->taps == 0 || w->taps == 0)
        return NULL;
    return p->conv + (d->number * used_phases(c, 1) + h->number) * used_phases(c, 2) + w->number;
}

/* ---- Preparation ---- */

/* `visit` for every convolution there is. */
static void each_conv(const vox_conv_transpose3d *c, const packed *p, void *user,
                      void (*visit)(void *user, const phase *d, const phase *h, const phase *w,
                                    phase_conv *conv)) {
    for (int64_t d = 0; d < c->stride[0]; d++)
        for (int64_t h = 0; h < c->stride[1] && p->phase[0][d].taps > 0; h++)
            for (int64_t w = 0; w < c->stride[2] && p->phase[1][h].taps > 0; w++) {
                const phase *f[3] = {&p->phase[0][d], &p->phase[1][h], &p->phase[2][w]};
                phase_conv *conv = find_conv(c, p, f[0], f[1], f[2]);
                if (conv)
                    visit(user, f[0], f[1], f[2], conv);
            }
}

typedef struct planning {
    const vox_conv_transpose3d *conv;
    const vox_axis *axis;
    const packed *packed;
    int64_t weight; /* floats so far */
} planning;

static void plan_conv(void *user, const phase *d, const phase *h, const phase *w,
                      phase_conv *conv) {
    planning *k = user;
    const packed *p = k->packed;
    const int64_t left = w->first + w->shift;
    const int64_t right = left + w->count - 1 + (w->taps - 1) * k->axis[2].dilation;
    conv->weight = k->weight;
    k->weight += k->conv->out_channels * p->group_in * d->taps * h->taps * w->taps;
    if (h->count == 0 || w->count == 0)
        return;
    for (int last = 0; last < 2; last++)
        for (int more = 0; more <= (p->group_out % p->blocks ? 1 : 0); more++) {
            const vox_kernel_shape shape = {
                .block = (int)(p->group_out / p->blocks) + more,
                .in_channels = p->group_in,
                .kernel_size = {d->taps, h->taps, w->taps},
                .rows = last ? (h->count - 1) % p->rows + 1 : vox_min(p->rows, h->count),
                .columns = w->count,
                .skip_first = left < 0,
                .skip_last = right >= k->axis[2].in,
                .shares_rows = k->axis[1].dilation == 1,
            };
            conv->plan[last][more] = p->kernel->plan(&shape);
        }
}

typedef struct packing {
    const transpose_layer *layer;
    const packed *packed;
    int64_t group, from, end; /* channels of the group */
} packing;

/* Output channels [from, end) of a group. */
static void pack_conv(void *user, const phase *d, const phase *h, const phase *w,
                      phase_conv *conv) {
    const packing *k = user;
    const packed *p = k->packed;
    const vox_conv_transpose3d *c = &k->layer->conv;
    const int64_t *n = c->kernel_size;
    float *to = p->weight + conv->weight +
                (k->group * p->group_out + k->from) * p->group_in * d->taps * h->taps * w->taps;
    for (int64_t ic = 0; ic < p->group_in; ic++)
        for (int64_t kd = 0; kd < d->taps; kd++)
            for (int64_t kh = 0; kh < h->taps; kh++)
                for (int64_t kw = 0; kw < w->taps; kw++) {
                    const int64_t tap = ((d->last - kd * vox_transpose_tap_step(c, 0)) * n[1] +
                                         h->last - kh * vox_transpose_tap_step(c, 1)) *
                                            n[2] +
                                        w->last - kw * vox_transpose_tap_step(c, 2);
                    const int64_t in = (k->group * p->group_in + ic) * p->group_out;
                    for (int64_t oc = k->from; oc < k->end; oc++)
                        *to++ = k->layer->weight[(in + oc) * n[0] * n[1] * n[2] + tap];
                }
}

static void pack_block(void *user, int64_t block, int thread) {
    packing k = *(const packing *)user;
    const int64_t b = block % k.packed->blocks;
    (void)thread;
    k.group = block / k.packed->blocks;
    k.from = block_start(k.packed, b);
    k.end = block_start(k.packed, b + 1);
    each_conv(&k.layer->conv, k.packed, &k, pack_conv);
}

vox_status vox_transpose_prepare(const vox_layer *l, const vox_axis axis[3], int threads,
                                 void **prepared, vox_error *err) {
    const transpose_layer *layer = (const transpose_layer *)l;
    const vox_conv_transpose3d *c = &layer->conv;
    vox_error local = {0};
    packed sizes = {.kernel = vox_kernel_active(&local)};
    int64_t at[PARTS];
    if (!sizes.kernel)
        return vox_fail(err, local.status, "%s", local.message);
    const int64_t bytes = lay_out(c, axis, threads, &sizes, at);
    char *block = vox_alloc_uncleared(bytes, 1, "packed weights", err);
    if (!block)
        return VOX_ERR_RESOURCE;
    packed *p = (packed *)(void *)block;
    *p = sizes;
    p->phase[0] = (phase *)(void *)(block + at[PHASES]);
    p->phase[1] = p->phase[0] + c->stride[0];
    p->phase[2] = p->phase[1] + c->stride[1];
    p->conv = (phase_conv *)(void *)(block + at[CONVS]);
    p->row_offset = (int64_t *)(void *)(block + at[ROWS]);
    p->column_offset = (int64_t *)(void *)(block + at[COLUMNS]);
    p->row_taps = (vox_row_tap *)(void *)(block + at[ROW_TAPS]);
    p->planes = (const float **)(void *)(block + at[PLANES]);
    p->scratch = (float *)(void *)(block + at[SCRATCH]);
    p->weight = (float *)(void *)(block + at[WEIGHTS]);
    for (int i = 0; i < 3; i++) {
        int64_t number = 0;
        for (int64_t f = 0; f < c->stride[i]; f++) {
            p->phase[i][f] = phase_of(c, i, p->out[i], f);
            p->phase[i][f].number = p->phase[i][f].taps > 0 ? number++ : 0;
        }
    }
    for (int64_t k = 0; k < vox_transpose_taps(c, 2); k++)
        p->column_offset[k] = k * axis[2].dilation;
    planning plans = {.conv = c, .axis = axis, .packed = p};
    each_conv(c, p, &plans, plan_conv);
    memset(p->weight + vox_transpose_weights(c), 0, VOX_KERNEL_MAX_VECTOR * sizeof(float));
    packing work = {.layer = layer, .packed = p};
    vox_spread(threads, c->groups * p->blocks, pack_block, &work);
    *prepared = p;
    return VOX_OK;
}

/* ---- Computing ---- */

typedef struct work {
    const transpose_layer *layer;
    const packed *packed;
    const vox_window *window;
    int64_t pieces, parts; /* of the rows of a phase, and of the blocks of all groups */
} work;

/* Rows [row, row + rows) of phase h in output plane o, for one block of channels. */
typedef struct band {
    const phase *d, *h;
    int64_t o, row, rows;
    int64_t group, channel, size; /* channel: of all; size: of the block */
    int thread;
} band;

/* Of a band, what phase w along W gives, into `out`. */
static void run_phase(const work *k, const band *b, const phase *w, float *out,
                      int64_t out_channel_stride, int64_t out_row_stride) {
    const packed *p = k->packed;
    const vox_planes *x = k->window->from;
    const float *bias = k->layer->bias + b->channel;
    const phase_conv *conv = find_conv(&k->layer->conv, p, b->d, b->h, w);
    if (!conv) {
        for (int64_t m = 0; m < b->size; m++)
            for (int64_t r = 0; r < b->rows; r++)
                for (int64_t i = 0; i < w->count; i++)
                    out[m * out_channel_stride + r * out_row_stride + i] = bias[m] + 0.0f;
        return;
    }
    const int64_t taps = p->group_in * b->d->taps * b->h->taps * w->taps;
    const int64_t top = b->h->first + b->row + b->h->shift;
    const vox_kernel_job job = {
        .plan = &conv->plan[b->row + p->rows >= b->h->count][b->size > p->group_out / p->blocks],
        .planes = p->planes + b->thread * p->plane_count,
        .in_offset =
            b->group * p->group_in * x->channel_stride + top * x->row_stride + w->first + w->shift,
        .in_channel_stride = x->channel_stride,
        .in_row_step = x->row_stride,
        .row_offset = p->row_offset,
        .column_offset = p->column_offset,
        .row_origin = top,
        .row_stride = 1,
        .row_dilation = k->window->axis[1].dilation,
        .row_count = x->rows,
        .weight = p->weight + conv->weight + b->channel * taps,
        .bias = bias,
        .out = out,
        .out_channel_stride = out_channel_stride,
        .out_row_stride = out_row_stride,
        .row_taps = p->row_taps + b->thread * p->row_tap_count,
    };
    p->kernel->run(&job);
}

/* to[i*stride + phase] from the phases' rows, `apart` floats from each other. */
static void interleave(const packed *p, int64_t stride, const float *from, int64_t apart,
                       float *to) {
    const phase *w = p->phase[2];
    if (stride == 2) {
        const float *even = from + (w[0].out ? apart : 0), *odd = from + (w[0].out ? 0 : apart);
        const int64_t pairs = p->out[2] / 2;
#pragma omp simd
        for (int64_t i = 0; i < pairs; i++) {
            to[2 * i] = even[i];
            to[2 * i + 1] = odd[i];
        }
        if (p->out[2] % 2)
            to[p->out[2] - 1] = even[pairs];
        return;
    }
    for (int64_t f = 0; f < stride; f++, from += apart)
        for (int64_t i = 0; i < w[f].count; i++)
            to[w[f].out + i * stride] = from[i];
}

static void run_band(const work *k, const band *b) {
    const packed *p = k->packed;
    const vox_planes *to = k->window->to;
    const int64_t *stride = k->layer->conv.stride;
    const int64_t out_row = b->h->out + b->row * stride[1];
    if (stride[2] == 1) {
        run_phase(k, b, &p->phase[2][0], vox_plane_row(to, b->channel, b->o, out_row),
                  to->channel_stride, stride[1] * to->row_stride);
        return;
    }
    const int64_t channel = p->rows * p->columns, apart = b->size * channel;
    float *scratch = p->scratch + b->thread * p->scratch_count;
    for (int64_t f = 0; f < stride[2]; f++)
        if (p->phase[2][f].count > 0)
            run_phase(k, b, &p->phase[2][f], scratch + f * apart, channel, p->columns);
    for (int64_t m = 0; m < b->size; m++)
        for (int64_t r = 0; r < b->rows; r++)
            interleave(p, stride[2], scratch + m * channel + r * p->columns, apart,
                       vox_plane_row(to, b->channel + m, b->o, out_row + r * stride[1]));
}

/* Points each turned tap along D at its plane. */
static void point_planes(const work *k, const phase *d, int64_t o, int thread) {
    const vox_window *w = k->window;
    const vox_conv_transpose3d *c = &k->layer->conv;
    const float **planes = k->packed->planes + thread * k->packed->plane_count;
    const int64_t first = (o + c->padding_before[0]) / c->stride[0] + d->shift;
    for (int64_t j = 0; j < d->taps; j++) {
        const int64_t i = first + j * w->axis[0].dilation;
        planes[j] = i >= 0 && i < w->axis[0].in ? vox_plane_row(w->from, 0, i, 0) : NULL;
    }
}

/* One piece of the rows of all phases of one output plane, and a part of the channels. */
static void run_unit(void *user, int64_t unit, int thread) {
    const work *k = user;
    const packed *p = k->packed;
    const vox_conv_transpose3d *c = &k->layer->conv;
    const int64_t o = k->window->first + unit % k->window->count;
    const int64_t part = unit / k->window->count % k->parts;
    const int64_t row = unit / k->window->count / k->parts * p->rows;
    const int64_t blocks = c->groups * p->blocks;
    const phase *d = &p->phase[0][(o + c->padding_before[0]) % c->stride[0]];
    point_planes(k, d, o, thread);
    for (int64_t i = blocks * part / k->parts; i < blocks * (part + 1) / k->parts; i++) {
        const int64_t from = block_start(p, i % p->blocks), group = i / p->blocks;
        for (int64_t f = 0; f < c->stride[1]; f++) {
            const phase *h = &p->phase[1][f];
            const band b = {.d = d,
                            .h = h,
                            .o = o,
                            .row = row,
                            .rows = vox_min(p->rows, h->count - row),
                            .group = group,
                            .channel = group * p->group_out + from,
                            .size = block_start(p, i % p->blocks + 1) - from,
                            .thread = thread};
            if (b.rows > 0)
                run_band(k, &b);
        }
    }
}

void vox_transpose_window(const vox_layer *l, void *prepared, const vox_window *w) {
    const transpose_layer *layer = (const transpose_layer *)l;
    const vox_conv_transpose3d *c = &layer->conv;
    packed *p = prepared;
    work k = {.layer = layer, .packed = p, .window = w};
    for (int64_t j = 0; j < vox_transpose_taps(c, 1); j++)
        p->row_offset[j] = j * w->axis[1].dilation * w->row_stride;
    k.pieces = vox_ceil_div(vox_ceil_div(p->out[1], c->stride[1]), p->rows);
    k.parts = vox_min(vox_ceil_div((int64_t)UNITS_PER_THREAD * w->threads, k.pieces * w->count),
                      c->groups * p->blocks);
    vox_spread(w->threads, k.pieces * k.parts * w->count, run_unit, &k);
}
