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

vox_kernel_shape vox_conv_woven(vox_kernel_shape s) {
    s.columns *= 2;
    s.in_columns *= 2;
    s.column_origin *= 2;
    s.column_dilation *= 2;
    s.bare = s.woven = true;
    return s;
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
    int64_t twins;         /* phases that are computed together */
    int64_t rows;          /* of a run, but for the last */
    int64_t pieces;        /* runs of all phases, or pairs of phases */
    int64_t blocks, parts; /* blocks of a unit, units of one piece */
} cut;

enum {
    PIECE_BYTES = 768 << 10, /* with the output, where something is done to that next */
    WEIGHT_BYTES = 512 << 10,
    UNITS_PER_THREAD = 12,
    FEW_MACS = 2 << 20, /* some 20 us of a core with AVX-512: taking a unit costs little of it */
    FEW_ROWS = 8
};

/* `blocks` blocks, whose weights are `weight_bytes`, over `channels` input channels. tray NULL:
 * they read the planes where they lie. */
static cut cut_planes(const vox_window *w, int64_t channels, int64_t blocks, int64_t weight_bytes,
                      const conv_tray_shape *tray) {
    const int64_t planes_floats = channels * w->axis[0].kernel * w->axis[1].in * w->row_stride;
    const bool apart = tray || planes_floats > CONV_NEAR_FLOATS;
    cut c = {.phases = apart ? vox_conv_phases(&w->axis[1]) : 1, .twins = tray ? tray->twins : 1};
    const int64_t height = vox_ceil_div(w->axis[1].out, c.phases);
    const int64_t out_floats = w->then ? w->to->channels * w->axis[2].out : 0;
    const int64_t row_bytes =
        (channels * w->axis[0].kernel * w->axis[1].stride * w->row_stride + out_floats) *
        (int64_t)sizeof(float);
    const int64_t wanted = UNITS_PER_THREAD * w->threads;
    int64_t parts =
        w->by_channel ? blocks : vox_min(vox_ceil_div(weight_bytes, WEIGHT_BYTES), blocks);
    const int64_t whole = w->count * c.phases / c.twins; /* runs, if each were as long as can be */
    const int64_t most = tray ? tray->length : vox_max(PIECE_BYTES / row_bytes, FEW_ROWS);
    int64_t cuts = vox_ceil_div(height, most);
    if (whole * parts * cuts < wanted) /* shorter ones, of rows that share their input */
        cuts = vox_max(
            cuts, vox_min(vox_ceil_div(wanted, whole * parts), vox_ceil_div(height, FEW_ROWS)));
    if (whole * parts * cuts < wanted)
        parts = vox_min(vox_ceil_div(wanted, whole * cuts), blocks);
    c.rows = vox_ceil_div(height, cuts);
    c.runs = vox_ceil_div(height, c.rows);
    c.pieces = c.runs * c.phases / c.twins;
    c.blocks = vox_ceil_div(blocks, parts);
    c.parts = vox_ceil_div(blocks, c.blocks);
    return c;
}

typedef struct work {
    const conv_layer *layer;
    conv_packed *packed;
    const vox_window *window;
    int64_t units;
    int64_t together; /* of them: a thread takes as many at once where they are small */
    int64_t blocks;   /* of all groups */
    bool tray;        /* jobs read what lies in trays */
    bool skips_rows;  /* those that are zero padding */
    cut cut;
    vox_kernel_plan plan[3][2]; /* [rows of a run, of the last run, one less][a block of one channel
                                   more] */
} work;

/* Rows row, row + phases, ... of an output plane, and each one's twin behind it, if any. */
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
    const int64_t each = k->cut.phases / k->cut.twins; /* pieces of a run */
    const int64_t phase = number % each * k->cut.twins, before = number / each * k->cut.rows;
    piece p = {.row = before * k->cut.phases + phase};
    const int64_t left = vox_ceil_div(k->window->axis[1].out - p.row, k->cut.phases);
    p.rows = vox_min(left, k->cut.rows);
    p.plan = p.rows == k->cut.rows ? 0 : p.rows == last_rows(k) ? 1 : 2;
    return p;
}

/* ---- Units ---- */

/* Units are numbered phase by phase of the planes, and in each with the planes innermost:
 * successive planes of one phase share most of their input and all of their weights. Outside of
 * that is what a thread finds in its own cache: its share of the rows, or of the channels. */
typedef struct unit {
    int64_t plane; /* of the window */
    piece at;
    int64_t part;
} unit;

/* Only where each phase has two planes or more: threads then have their own phases, and so their
 * own planes. In a slab of fewer they have their own rows. */
static int64_t plane_phases(const vox_window *w) {
    const int64_t phases = vox_conv_phases(&w->axis[0]);
    return w->count >= 2 * phases ? phases : 1;
}

static unit unit_of(const work *k, int64_t number) {
    const vox_window *w = k->window;
    const int64_t phases = plane_phases(w), runs = k->cut.pieces * k->cut.parts;
    const int64_t planes = w->count / phases, longer = w->count % phases; /* have a plane more */
    const int64_t shorter_from = longer * (planes + 1) * runs;
    const bool is_longer = number < shorter_from;
    const int64_t n = is_longer ? number : number - shorter_from;
    const int64_t length = planes + is_longer, run = n / length % runs;
    const int64_t phase = n / length / runs + (is_longer ? 0 : longer);
    return (unit){
        .plane = phase + n % length * phases,
        .at = piece_of(k, w->by_channel ? run % k->cut.pieces : run / k->cut.parts),
        .part = w->by_channel ? run / k->cut.pieces : run % k->cut.parts,
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
    job.twin_stride = k->cut.twins == 2 ? w->to->row_stride : 0;
    job.bypass = w->bypass;
    p->kernel->run(&job);
}

/* ---- Trays ---- */

/* What a tray gets of a plane: `rows` rows, of which [first, end) exist, and of each `columns`
 * columns behind `left` of padding. */
typedef struct excerpt {
    int64_t offset, row_step; /* in a plane: to row 0, and to the next one */
    int64_t rows, first, end;
    int64_t left, columns, width;
} excerpt;

static excerpt excerpt_of(const work *k, const piece *at) {
    const vox_window *w = k->window;
    const vox_axis *h = &w->axis[1];
    const int64_t top = at->row - h->before; /* number of row 0 */
    excerpt e = {
        .offset = (w->bare ? 0 : w->column_offset[0]) + w->row_offset[0] + at->row * w->row_stride,
        .row_step = h->dilation * w->row_stride,
        .rows = at->rows + h->kernel - 1,
        .left = w->bare ? w->axis[2].before : 0, /* a ring has its padding */
        .width = w->axis[2].out - 1 + vox_axis_span(&w->axis[2]),
    };
    e.columns = w->bare ? vox_min(w->axis[2].in, e.width - e.left) : e.width;
    if (k->cut.twins == 2) { /* without padding; of each row, and twice as many in the tray */
        e.offset += w->bare ? 0 : w->axis[2].before;
        e.left = 0;
        e.columns = w->axis[2].in;
        e.width = 2 * e.columns;
    }
    e.end = e.rows;
    if (k->skips_rows) {
        e.first = vox_min(vox_ceil_div(vox_max(-top, 0), h->dilation), e.rows);
        e.end = vox_min(vox_ceil_div(vox_max(h->in - top, 0), h->dilation), e.rows);
    }
    return e;
}

static void clear(float *row, int64_t from, int64_t end) {
    memset(row + from, 0, (size_t)(end - from) * sizeof *row);
}

/* All channels of a plane into the tray's plane `to`. The hardware does not see so many short runs
 * coming: what is AHEAD lines on is asked for, at the end in the plane that is `next`, if any. */
static void fill_plane(const work *k, const excerpt *e, float *to, const float *plane,
                       const float *next) {
    enum { LINE = VOX_ALIGN / (int)sizeof(float), AHEAD = 64, NEAREST = 3 };
    const int64_t channels = k->layer->conv.in_channels, stride = k->window->channel_stride;
    const conv_tray_shape *t = &k->packed->tray_shape;
    const int64_t lines =
        vox_max(e->end - e->first, 1) * k->cut.twins * vox_ceil_div(e->columns, LINE);
    const int64_t ahead = vox_min(vox_ceil_div(AHEAD, lines), channels);
    for (int64_t c = 0; c < channels; c++) {
        const float *from = plane + e->offset + c * stride, *asked = from + ahead * stride;
        if (c + ahead >= channels)
            asked = next ? next + e->offset + (c + ahead - channels) * stride : NULL;
        for (int64_t r = 0; r < e->rows; r++) {
            float *row = to + c * t->channel_stride + r * t->row_stride;
            if (r < e->first || r >= e->end) {
                clear(row, 0, e->width);
                continue;
            }
            for (int64_t n = 0; asked && n < k->cut.twins; n++)
                for (int64_t i = 0; i < e->columns; i += LINE)
                    __builtin_prefetch(asked + r * e->row_step + n * k->window->row_stride + i, 0,
                                       NEAREST);
            const float *x = from + r * e->row_step;
            if (k->cut.twins == 2) {
                k->packed->kernel->weave_rows(row, x, x + k->window->row_stride, e->columns);
                continue;
            }
            clear(row, 0, e->left);
            k->packed->kernel->copy_row(row + e->left, x, e->columns);
            clear(row, e->left + e->columns, e->width);
        }
    }
}

/* The tray gets what a unit meets and the tray does not have: mostly one plane, for the others are
 * those of the unit before. */
static void fill_tray(const work *k, const unit *u, conv_tray *t) {
    const conv_packed *p = k->packed;
    const excerpt e = excerpt_of(k, &u->at);
    const int64_t kd = k->window->axis[0].kernel;
    const float *const *wanted = k->window->planes + u->plane * kd;
    bool used[CONV_TRAY_PLANES] = {false};
    int64_t slot[CONV_TRAY_PLANES], missing = 0; /* those to be filled */
    for (int64_t s = 0; s < kd; s++) {
        if (t->piece != u->at.row)
            t->held[s] = NULL;
        for (int64_t d = 0; d < kd && t->held[s]; d++)
            used[s] = used[s] || t->held[s] == wanted[d];
    }
    t->piece = u->at.row;
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
            slot[missing++] = s;
        }
        t->planes[d] = t->data + s * p->tray_shape.plane_stride;
    }
    for (int64_t i = 0; i < missing; i++)
        fill_plane(k, &e, t->data + slot[i] * p->tray_shape.plane_stride, t->held[slot[i]],
                   i + 1 < missing ? t->held[slot[i + 1]] : NULL);
}

static void run_unit(const work *k, int64_t number, int thread) {
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
    const bool all = k->cut.phases == 1; /* lie side by side */
    for (int64_t r = 0; r < u.at.rows; r += all ? u.at.rows : 1) {
        const int64_t row = u.at.row + r * k->cut.phases;
        then->rows(then->user, d, row, row + (all ? u.at.rows : k->cut.twins), thread);
    }
}

static void run_units(void *user, int64_t number, int thread) {
    const work *k = user;
    const int64_t from = number * k->together, end = vox_min(from + k->together, k->units);
    for (int64_t i = from; i < end; i++)
        run_unit(k, i, thread);
    if (k->window->bypass)
        k->packed->kernel->settle();
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
                       k.tray ? &p->tray_shape : NULL);
    if (w->then)
        w->then->called = k.cut.parts == 1;
    for (int t = 0; k.tray && t < w->threads; t++)
        p->tray[t].piece = -1; /* the window's planes are others now */
    const int64_t group_out = c->out_channels / c->groups;
    const int64_t rows[3] = {k.cut.rows, last_rows(&k), last_rows(&k) - 1};
    for (int i = 0; i < 3; i++)
        for (int more = 0; rows[i] > 0 && more <= (group_out % p->blocks ? 1 : 0); more++) {
            vox_kernel_shape shape =
                vox_conv_kernel_shape(layer, w->axis, group_out / p->blocks + more, rows[i],
                                      k.cut.phases, w->bare && !k.tray);
            if (k.cut.twins == 2)
                shape = vox_conv_woven(shape);
            k.plan[i][more] = p->kernel->plan(&shape);
        }
    k.units = w->count * k.cut.pieces * k.cut.parts;
    const int64_t unit_macs = k.cut.twins * k.cut.rows * w->axis[2].out * vox_conv_taps(c) *
                              (group_out / p->blocks + 1) * k.cut.blocks;
    k.together = vox_max(
        vox_min(FEW_MACS / vox_max(unit_macs, 1), k.units / (UNITS_PER_THREAD * w->threads)), 1);
    vox_spread(w->threads, vox_ceil_div(k.units, k.together), run_units, &k);
}
