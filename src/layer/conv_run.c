/* conv_run.c - how a convolution's output planes are cut into units of work, and those into jobs
 * for the kernel. */
#include "base/spread.h"
#include "layer/conv.h"

#include <string.h>

bool vox_conv_skips_padding(const conv_layer *layer, const vox_axis axis[3]) {
    return axis[1].mode == VOX_PAD_ZEROS && !layer->base.needs_zero_planes;
}

int64_t vox_conv_phases(const vox_axis *a) {
    return a->stride == 1 && a->kernel > 1 && a->dilation < a->out ? a->dilation : 1;
}

vox_kernel_shape vox_conv_kernel_shape(const conv_layer *layer, const vox_axis axis[3],
                                       int64_t block, int64_t rows, int64_t apart, bool bare) {
    const vox_conv3d *c = &layer->conv;
    const vox_axis *w = &axis[2];
    const int64_t last_tap = (w->out - 1) * w->stride - w->before + vox_axis_span(w) - 1;
    const bool skip = vox_conv_skips_padding(layer, axis);
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
    WEIGHT_BYTES = 512 << 10,
    UNITS_PER_THREAD = 12,
    FEW_ROWS = 8
};

/* `blocks` blocks, whose weights are `weight_bytes`, over `channels` input channels. */
static cut cut_planes(const vox_window *w, int64_t channels, int64_t blocks, int64_t weight_bytes,
                      int64_t tray_rows) {
    const int64_t planes_floats = channels * w->axis[0].kernel * w->axis[1].in * w->row_stride;
    const bool apart = tray_rows > 0 || planes_floats > CONV_NEAR_FLOATS;
    cut c = {.phases = apart ? vox_conv_phases(&w->axis[1]) : 1};
    const int64_t height = vox_ceil_div(w->axis[1].out, c.phases);
    const int64_t out_floats = w->then ? w->to->channels * w->axis[2].out : 0;
    const int64_t row_bytes =
        (channels * w->axis[0].kernel * w->axis[1].stride * w->row_stride + out_floats) *
        (int64_t)sizeof(float);
    const int64_t wanted = UNITS_PER_THREAD * w->threads;
    int64_t parts =
        w->by_channel ? blocks : vox_min(vox_ceil_div(weight_bytes, WEIGHT_BYTES), blocks);
    const int64_t whole = w->count * c.phases; /* runs, if each were as long as can be */
    const int64_t most = tray_rows > 0 ? tray_rows : vox_max(PIECE_BYTES / row_bytes, FEW_ROWS);
    int64_t cuts = vox_ceil_div(height, most);
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
    conv_packed *packed;
    const vox_window *window;
    int64_t blocks;  /* of all groups */
    bool tray;       /* jobs read what lies in trays */
    bool skips_rows; /* those that are zero padding */
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
    const int64_t count = vox_min(vox_conv_phases(&w->axis[0]), w->count);
    const int64_t planes = w->count / count, one_more = w->count % count * (planes + 1);
    if (n < one_more)
        return n / (planes + 1) + n % (planes + 1) * count;
    return w->count % count + (n - one_more) / planes + (n - one_more) % planes * count;
}

/* ---- Units ---- */

/* Units are numbered with the planes innermost: successive planes of one phase share most of their
 * input and all of their weights. Outermost is what a thread finds in its own cache: its share of
 * the rows, or of the channels. */
typedef struct unit {
    int64_t plane; /* of the window */
    int64_t next;  /* that of the next unit with the same rows; -1: there is none */
    piece at;
    int64_t part;
} unit;

static unit unit_of(const work *k, int64_t number) {
    const int64_t run = number / k->window->count, n = number % k->window->count;
    const bool by_channel = k->window->by_channel;
    return (unit){
        .plane = nth_plane(k->window, n),
        .next = n + 1 < k->window->count ? nth_plane(k->window, n + 1) : -1,
        .at = piece_of(k, by_channel ? run % k->cut.pieces : run / k->cut.parts),
        .part = by_channel ? run / k->cut.pieces : run % k->cut.parts,
    };
}

/* ---- Jobs ---- */

vox_kernel_job vox_conv_job(const conv_layer *layer, const conv_packed *p, int64_t block,
                            const vox_kernel_plan plan[2], int thread, int64_t *channel) {
    const vox_conv3d *c = &layer->conv;
    const int64_t group_out = c->out_channels / c->groups;
    const int64_t group = block / p->blocks, b = block % p->blocks;
    const int64_t first = vox_conv_block_start(group_out, p->blocks, b);
    const int64_t size = vox_conv_block_start(group_out, p->blocks, b + 1) - first;
    *channel = group * group_out + first;
    return (vox_kernel_job){
        .plan = &plan[size > group_out / p->blocks],
        .weight = p->weight + *channel * vox_conv_taps(c),
        .bias = layer->bias + *channel,
        .row_taps = vox_conv_row_taps(p, c, thread),
    };
}

/* One block of output channels of a unit. */
static void run_block(const work *k, const unit *u, int64_t block, int thread) {
    const piece *at = &u->at;
    const vox_conv3d *c = &k->layer->conv;
    const vox_window *w = k->window;
    const conv_packed *p = k->packed;
    const vox_axis *h = &w->axis[1];
    const int64_t group_in = c->in_channels / c->groups;
    int64_t channel;
    vox_kernel_job job = vox_conv_job(k->layer, p, block, k->plan[at->plan], thread, &channel);
    if (k->tray) {
        job.planes = p->tray[thread].planes;
        job.in_channel_stride = p->tray_shape.channel_stride;
        job.in_row_step = p->tray_shape.row_stride;
        job.row_offset = p->row_offset;
        job.column_offset = p->column_offset;
    } else {
        job.planes = w->planes + u->plane * c->kernel_size[0];
        job.in_offset =
            block / p->blocks * group_in * w->channel_stride + at->row * h->stride * w->row_stride;
        job.in_channel_stride = w->channel_stride;
        job.in_row_step = h->stride * k->cut.phases * w->row_stride;
        job.row_offset = w->row_offset;
        job.column_offset = w->column_offset;
    }
    job.row_origin = at->row * h->stride - h->before;
    job.row_stride = h->stride * k->cut.phases;
    job.row_dilation = h->dilation;
    job.row_count = k->skips_rows ? h->in : 0;
    job.out = vox_plane_row(w->to, channel, w->first + u->plane, at->row);
    job.out_channel_stride = w->to->channel_stride;
    job.out_row_stride = w->to->row_stride * k->cut.phases;
    job.bypass = w->bypass;
    p->kernel->run(&job);
}

/* ---- Trays ---- */

static void clear(float *row, int64_t from, int64_t end) {
    memset(row + from, 0, (size_t)(end - from) * sizeof *row);
}

/* Rows of one plane of the window under a piece, in all channels, into a tray's plane `to`; those
 * of plane `ahead`, if any, are asked for meanwhile. */
static void fill_plane(const work *k, const piece *at, float *to, const float *plane,
                       const float *ahead) {
    enum { LINE = VOX_ALIGN / (int)sizeof(float), SECOND_LEVEL = 2 };
    const vox_window *w = k->window;
    const conv_tray_shape *t = &k->packed->tray_shape;
    const vox_axis *h = &w->axis[1];
    const int64_t width = w->axis[2].out - 1 + vox_axis_span(&w->axis[2]);
    /* In a bare plane there is no padding. */
    const int64_t left = w->bare ? w->axis[2].before : 0;
    const int64_t columns = w->bare ? vox_min(w->axis[2].in, width - left) : width;
    const int64_t from =
        (w->bare ? 0 : w->column_offset[0]) + w->row_offset[0] + at->row * w->row_stride;
    for (int64_t c = 0; c < k->layer->conv.in_channels; c++)
        for (int64_t r = 0; r < at->rows + h->kernel - 1; r++) {
            float *row = to + c * t->channel_stride + r * t->row_stride;
            const int64_t number = at->row - h->before + r * h->dilation;
            const int64_t offset = from + c * w->channel_stride + r * h->dilation * w->row_stride;
            if (k->skips_rows && (number < 0 || number >= h->in)) {
                clear(row, 0, width);
                continue;
            }
            clear(row, 0, left);
            k->packed->kernel->copy_row(row + left, plane + offset, columns);
            for (int64_t i = 0; ahead && i < columns; i += LINE)
                __builtin_prefetch(ahead + offset + i, 0, SECOND_LEVEL);
            clear(row, left + columns, width);
        }
}

/* The tray gets what a unit meets and the tray does not have: mostly one plane, for the others are
 * those of the unit before. */
static void fill_tray(const work *k, const unit *u, conv_tray *t) {
    const piece *at = &u->at;
    const vox_window *w = k->window;
    const conv_packed *p = k->packed;
    const int64_t kd = w->axis[0].kernel;
    const float *const *wanted = w->planes + u->plane * kd;
    const float *const *next = u->next < 0 ? NULL : w->planes + u->next * kd;
    bool used[CONV_TRAY_PLANES] = {false};
    for (int64_t s = 0; s < kd; s++) {
        if (t->piece != at->row)
            t->held[s] = NULL;
        for (int64_t d = 0; d < kd && t->held[s]; d++)
            used[s] = used[s] || t->held[s] == wanted[d];
    }
    t->piece = at->row;
    for (int64_t d = 0; d < kd; d++) {
        t->planes[d] = NULL;
        if (!wanted[d])
            continue;
        int64_t s = 0;
        while (s < kd && t->held[s] != wanted[d])
            s++;
        if (s == kd) {
            for (s = 0; used[s];)
                s++;
            used[s] = true;
            t->held[s] = wanted[d];
            fill_plane(k, at, t->data + s * p->tray_shape.plane_stride, wanted[d],
                       next ? next[d] : NULL);
        }
        t->planes[d] = t->data + s * p->tray_shape.plane_stride;
    }
}

static void run_unit(void *user, int64_t number, int thread) {
    const work *k = user;
    const unit u = unit_of(k, number);
    if (u.at.rows <= 0)
        return;
    if (k->tray)
        fill_tray(k, &u, &k->packed->tray[thread]);
    const int64_t end = vox_min((u.part + 1) * k->cut.blocks, k->blocks);
    for (int64_t b = u.part * k->cut.blocks; b < end; b++)
        run_block(k, &u, b, thread);
    const vox_followup *then = k->window->then;
    if (!then || !then->called)
        return;
    const int64_t d = k->window->first + u.plane;
    const int64_t together = k->cut.phases == 1 ? u.at.rows : 1; /* rows side by side */
    for (int64_t r = 0; r < u.at.rows; r += together) {
        const int64_t row = u.at.row + r * k->cut.phases;
        then->rows(then->user, d, row, row + together, thread);
    }
}

/* A ring's strides lead through all sets of a cache; its rows are worth a copy where each is on a
 * page of its own. */
static bool uses_tray(const conv_layer *layer, const conv_packed *p, const vox_window *w) {
    enum { PAGE = 4096 / (int)sizeof(float) };
    return p->tray_shape.row_stride > 0 &&
           (w->bare || layer->conv.dilation[1] * w->row_stride >= PAGE);
}

void vox_conv_window(const vox_layer *l, void *prepared, const vox_window *w) {
    const conv_layer *layer = (const conv_layer *)l;
    const vox_conv3d *c = &layer->conv;
    conv_packed *p = prepared;
    if (vox_conv_voxels(layer, p, w))
        return;
    work k = {.layer = layer,
              .packed = p,
              .window = w,
              .blocks = c->groups * p->blocks,
              .tray = uses_tray(layer, p, w),
              .skips_rows = w->bare || vox_conv_skips_padding(layer, w->axis)};
    const int64_t weight_bytes = c->out_channels * vox_conv_taps(c) * (int64_t)sizeof(float);
    k.cut = cut_planes(w, c->in_channels / c->groups, k.blocks, weight_bytes,
                       k.tray ? p->tray_shape.length : 0);
    if (w->then)
        w->then->called = k.cut.parts == 1;
    for (int t = 0; k.tray && t < w->threads; t++)
        p->tray[t].piece = -1; /* the window's planes are others now */
    const int64_t group_out = c->out_channels / c->groups;
    const int64_t rows[3] = {k.cut.rows, last_rows(&k), last_rows(&k) - 1};
    for (int i = 0; i < 3; i++)
        for (int more = 0; rows[i] > 0 && more <= (group_out % p->blocks ? 1 : 0); more++) {
            const vox_kernel_shape shape =
                vox_conv_kernel_shape(layer, w->axis, group_out / p->blocks + more, rows[i],
                                      k.cut.phases, w->bare && !k.tray);
            k.plan[i][more] = p->kernel->plan(&shape);
        }
    vox_spread(w->threads, w->count * k.cut.pieces * k.cut.parts, run_unit, &k);
}
