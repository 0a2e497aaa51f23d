/* stage.c - see stage.h. */
#include "engine/stage.h"

#include "base/spread.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- Construction ---- */

vox_status vox_stage_add_op(vox_stage *s, const vox_op *op, vox_error *err) {
    vox_op *list = vox_grow(s->op, s->op_count, &s->op_room, sizeof *s->op, "stage", err);
    if (!list)
        return VOX_ERR_RESOURCE;
    s->op = list;
    s->op[s->op_count++] = *op;
    return VOX_OK;
}

vox_status vox_stage_add_reader(vox_stage *s, vox_feed *reader, vox_error *err) {
    vox_feed **list = vox_grow(s->to, s->to_count, &s->to_room, sizeof(vox_feed *), "stage", err);
    if (!list)
        return VOX_ERR_RESOURCE;
    s->to = list;
    s->to[s->to_count++] = reader;
    return VOX_OK;
}

void vox_stage_free(vox_stage *s) {
    if (!s)
        return;
    vox_feed_free(&s->main);
    for (int i = 0; i < s->op_count; i++)
        if (s->op[i].side) {
            vox_feed_free(s->op[i].side);
            free(s->op[i].side);
        }
    free(s->op);
    free(s->to);
    free(s->planes);
    free(s->row_offset);
    free(s->column_offset);
    free(s);
}

static int64_t plane_pointers(const vox_stage *s) {
    return s->window->class->reach ? 0 : s->slab * s->main.axis[0].kernel;
}

int64_t vox_stage_table_bytes(const vox_stage *s) {
    if (!s->window)
        return 0;
    const vox_axis *axis = s->main.axis;
    const vox_layer_class *class = s->window->class;
    const int64_t weights =
        class->weight_bytes ? class->weight_bytes(s->window, axis, s->threads) : 0;
    return weights +
           (plane_pointers(s) + axis[1].kernel + axis[2].kernel) * (int64_t)sizeof(int64_t);
}

vox_status vox_stage_start(vox_stage *s, vox_error *err) {
    vox_status status = s->source ? VOX_OK : vox_feed_start(&s->main, err);
    for (int i = 0; i < s->op_count && !status; i++)
        if (s->op[i].side)
            status = vox_feed_start(s->op[i].side, err);
    if (status || !s->window)
        return status;
    const vox_feed *f = &s->main;
    const vox_axis *h = &f->axis[1], *w = &f->axis[2];
    s->planes = vox_alloc(plane_pointers(s), sizeof *s->planes, "plane table", err);
    s->row_offset = vox_alloc(h->kernel, sizeof(int64_t), "row table", err);
    s->column_offset = vox_alloc(w->kernel, sizeof(int64_t), "column table", err);
    if (!s->planes || !s->row_offset || !s->column_offset)
        return VOX_ERR_RESOURCE;
    /* A plane begins with its padding, or where it has none at its first row and column. */
    const int64_t top = f->pool->external ? 0 : vox_axis_front(h),
                  left = f->pool->external ? 0 : vox_axis_front(w);
    for (int64_t k = 0; k < h->kernel; k++)
        s->row_offset[k] = (top - h->before + k * h->dilation) * f->ring.row_stride;
    for (int64_t k = 0; k < w->kernel; k++) {
        const int64_t column = left - w->before + k * w->dilation;
        s->column_offset[k] =
            column % f->layout.phases * f->layout.phase_length + column / f->layout.phases;
    }
    if (!s->window->class->prepare)
        return VOX_OK;
    return s->window->class->prepare(s->window, f->axis, s->threads, &s->main.prepared, err);
}

/* ---- Arrival: what is done to planes that lie in the first reader's ring ---- */

/* Where planes come from: row r of plane d. */
typedef struct origin {
    const vox_planes *planes; /* from outside, or NULL */
    const vox_feed *feed;     /* a stage's own */
} origin;

static const float *origin_row(const origin *o, int64_t c, int64_t d, int64_t r) {
    assert(o->planes || o->feed);
    return o->planes ? vox_plane_row(o->planes, c, d, r)
                     : vox_feed_row(o->feed, d, r) + c * o->feed->ring.channel_stride;
}

/* Planes [from, from + count). A unit of work is a run of rows in all channels, which row layers
 * need; or a run of channels. */
typedef struct arrival {
    const vox_stage *stage;
    int64_t from, count;
    const origin *x;              /* NULL: in place */
    int64_t unit_rows, row_units; /* rows of a unit, units in a plane's height */
    int64_t unit_channels;
    bool straight;     /* from x into the ring of the only reader, and nothing is done on the way */
    vox_followup then; /* called: rows need nothing more */
} arrival;

enum { UNIT_ROWS = 16 };

/* Where output channels look at few of the input's, threads that share the channels rather than the
 * rows of a plane go through longer runs of memory. */
static bool arrives_by_channel(const vox_stage *s) {
    const vox_layer *reader = s->to[0]->window;
    return reader && reader->by_channel && s->op_count == 0 && s->to_count == 1;
}

/* Row r of plane d of a join's other operand. */
static vox_operand operand(const vox_feed *f, int64_t d, int64_t r) {
    const vox_planes *p = &f->ring;
    return (vox_operand){
        .row = vox_feed_row(f, d, r),
        .channel_stride = p->channels > 1 ? p->channel_stride : 0,
        .column_step = p->columns > 1 ? 1 : 0,
    };
}

static void apply_op(const vox_stage *s, const vox_op *op, int64_t d, int64_t r) {
    const vox_planes *ring = &s->to[0]->ring;
    float *row = vox_plane_row(ring, op->from, d, r);
    const vox_layer_class *class = op->layer->class;
    if (class->row) {
        class->row(op->layer, row, ring->channel_stride, op->channels, ring->columns);
        return;
    }
    const vox_operand side = operand(op->side, d, r);
    if (class->join) {
        class->join(op->layer, op->main, row, ring->channel_stride, op->channels, ring->columns,
                    &side);
        return;
    }
    for (int64_t c = 0; c < op->channels; c++)
        s->to[0]->kernel->copy_row(row + c * ring->channel_stride,
                                   side.row + c * side.channel_stride, ring->columns);
}

/* Pads rows [row, row_end) of some channels in plane d of a feed. `from`: vox_feed_pad_rows. */
static void pad_rows(const vox_feed *to, int64_t d, int64_t row, int64_t row_end, int64_t channel,
                     int64_t channel_end, const origin *from, int thread) {
    for (int64_t c = channel; c < channel_end; c++) {
        const float *first = from ? origin_row(from, c, d, row) : NULL;
        const float *second = from && row + 1 < row_end ? origin_row(from, c, d, row + 1) : first;
        vox_feed_pad_rows(to, c, d, row, row_end, first, second - first, thread);
    }
}

/* Rows [row, row_end) of plane d. */
static void arrive_rows(const arrival *a, int64_t d, int64_t row, int64_t row_end, int64_t channel,
                        int64_t channel_end, int thread) {
    const vox_stage *s = a->stage;
    const vox_feed *first = s->to[0];
    for (int64_t c = 0; a->x && !a->straight && c < s->channels; c++)
        for (int64_t r = row; r < row_end; r++)
            first->kernel->copy_row(vox_plane_row(&first->ring, s->at + c, d, r),
                                    origin_row(a->x, c, d, r), s->out[3]);
    for (int64_t r = row; r < row_end; r++)
        for (int i = 0; i < s->op_count; i++)
            apply_op(s, &s->op[i], d, r);
    for (int i = s->to_count; i-- > 0;) { /* the first one last: the others copy from it */
        const origin ring = {&first->ring, NULL};
        const origin *from = i > 0 ? &ring : a->straight ? a->x : NULL; /* NULL: it is there */
        if (from || !first->layout.columns_stay)
            pad_rows(s->to[i], d, row, row_end, channel, channel_end, from, thread);
    }
}

static void arrive_unit(void *user, int64_t unit, int thread) {
    const arrival *a = user;
    const int64_t row = unit / a->count % a->row_units * a->unit_rows;
    const int64_t channel = unit / a->count / a->row_units * a->unit_channels;
    arrive_rows(a, a->from + unit % a->count, row, vox_min(row + a->unit_rows, a->stage->out[2]),
                channel, vox_min(channel + a->unit_channels, a->stage->out[0]), thread);
}

/* From the window, row by row as it makes them. */
static void arrive_made(void *user, int64_t d, int64_t row, int64_t row_end, int thread) {
    const arrival *a = user;
    arrive_rows(a, d, row, row_end, 0, a->stage->out[0], thread);
}

/* Whether rows that lie in the first reader's ring, or come from x, are ready there as they are. */
static bool arrives_at_once(const vox_stage *s, const origin *x) {
    return !x && s->op_count == 0 && s->to_count == 1 && s->to[0]->layout.columns_stay;
}

static void begin_arrival(arrival *a, const vox_stage *s, int64_t count, const origin *x) {
    const int64_t rows = s->out[2];
    *a = (arrival){.stage = s,
                   .from = s->produced,
                   .count = count,
                   .x = x,
                   .unit_rows = UNIT_ROWS,
                   .row_units = vox_ceil_div(rows, UNIT_ROWS),
                   .unit_channels = s->out[0],
                   .straight = x && s->op_count == 0 && s->to_count == 1,
                   .then = {arrive_made, a, arrives_at_once(s, x)}};
    s->to[0]->by_channel = x && arrives_by_channel(s);
    if (s->to[0]->by_channel) {
        a->unit_rows = rows;
        a->row_units = a->unit_channels = 1;
    }
}

/* Read where they lie. */
static bool borrowed(const vox_stage *s) {
    return s->to[0]->pool->external && s->to[0]->window;
}

static void arrive(arrival *a) {
    const vox_stage *s = a->stage;
    if (!a->then.called)
        vox_spread(s->threads, a->row_units * a->count * vox_ceil_div(s->out[0], a->unit_channels),
                   arrive_unit, a);
    for (int i = 0; i < s->to_count; i++) {
        vox_feed_pad_planes(s->to[i], a->from, a->count);
        vox_feed_gather(s->to[i], a->from, a->count);
    }
}

/* ---- Flow ---- */

/* Whether the input of output plane o is here. */
static bool has_input(const vox_stage *s, int64_t o) {
    bool ready = vox_feed_ready(&s->main, o);
    for (int i = 0; i < s->op_count && ready; i++)
        ready = !s->op[i].side || vox_feed_ready(s->op[i].side, o);
    return ready;
}

int64_t vox_stage_ready(const vox_stage *s) {
    int64_t most = vox_min(s->slab, s->out[1] - s->produced), least = 0;
    while (least < most) { /* a plane that has its input comes behind those that have theirs */
        const int64_t n = least + (most - least + 1) / 2;
        if (has_input(s, s->produced + n - 1))
            least = n;
        else
            most = n - 1;
    }
    return least;
}

/* Points each tap of output planes [first, first + count) at its padded plane. */
static void point_planes(vox_stage *s, int64_t first, int64_t count) {
    const vox_feed *f = &s->main;
    const vox_axis *a = &f->axis[0];
    const float **p = s->planes;
    for (int64_t o = first; o < first + count; o++)
        for (int64_t k = 0; k < a->kernel; k++) {
            int64_t d = vox_axis_source(a, o * a->stride - a->before + k * a->dilation);
            *p++ = d >= 0                         ? vox_feed_plane(f, d)
                   : s->window->needs_zero_planes ? vox_pool_zero_plane(f->pool)
                                                  : NULL;
        }
}

/* An array of this size does not stay in the caches until it is read again: a core's share of the
 * last one is a few MB, though machines name it as a whole. */
enum { BYPASS_BYTES = 16 << 20 };

/* Whether the window's result goes straight to memory: it lies in somebody's array, and nothing is
 * done to it next. */
static bool bypasses(const vox_stage *s) {
    const vox_feed *to = s->to[0];
    int64_t size = BYPASS_BYTES / (int64_t)sizeof(float);
    for (int i = 0; i < 4; i++)
        size /= s->out[i];
    return size == 0 && to->pool->external && !to->window && s->op_count == 0 && s->to_count == 1;
}

/* The window's part of the result: its channels in the first reader's ring. */
static void run_window(vox_stage *s, int64_t count, vox_followup *then) {
    const vox_feed *f = &s->main;
    vox_planes to = s->to[0]->ring;
    if (to.slot)
        to.origin += s->at * to.channel_stride;
    else
        to.data += s->at * to.channel_stride;
    to.channels = s->channels;
    if (!s->window->class->reach)
        point_planes(s, s->produced, count);
    const vox_window w = {
        .axis = f->axis,
        .planes = s->window->class->reach ? NULL : s->planes,
        .from = &f->ring,
        .channel_stride = f->ring.channel_stride,
        .row_stride = f->ring.row_stride,
        .row_offset = s->row_offset,
        .column_offset = s->column_offset,
        .first = s->produced,
        .count = count,
        .to = &to,
        .threads = s->threads,
        .by_channel = f->by_channel,
        .bare = f->pool->external,
        .bypass = bypasses(s),
        .then = then,
    };
    s->window->class->window(s->window, f->prepared, &w);
}

void vox_stage_take(vox_stage *s, int64_t count) {
    for (int i = 0; i < s->to_count; i++)
        vox_feed_take(s->to[i], s->to[i]->received + count);
}

/* Calls f for every feed that the stage reads. */
static void each_feed(vox_stage *s, void (*f)(vox_feed *)) {
    if (!s->source)
        f(&s->main);
    for (int i = 0; i < s->op_count; i++)
        if (s->op[i].side)
            f(s->op[i].side);
}

void vox_stage_count(vox_stage *s, int64_t count) {
    vox_stage_take(s, count);
    s->produced += count;
    each_feed(s, vox_feed_give);
    for (int i = 0; i < s->to_count; i++) {
        s->to[i]->received += count;
        vox_feed_give(s->to[i]); /* where it is not needed at all */
    }
}

vox_status vox_stage_make(vox_stage *s, int64_t count, const vox_planes *x, vox_error *err) {
    if (s->to_count == 0) {
        vox_status status =
            s->sink ? s->sink(s->sink_user, s->produced, count, &s->main.ring, err) : VOX_OK;
        if (status)
            return status;
    } else {
        vox_stage_take(s, count);
        const origin from = {x, &s->main};
        arrival a;
        begin_arrival(&a, s, count, x || !(s->source || s->window) ? &from : NULL);
        if (s->window)
            run_window(s, count, a.then.called ? NULL : &a.then);
        if (!borrowed(s))
            arrive(&a);
    }
    vox_stage_count(s, count);
    return VOX_OK;
}

void vox_stage_rewind(vox_stage *s) {
    s->produced = 0;
    each_feed(s, vox_feed_rewind);
}
