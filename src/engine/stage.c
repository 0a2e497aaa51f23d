/* stage.c - the ring of a stage: its size, its padding, its schedule, and the loop that keeps it
 * moving. */
#include "engine/stage.h"

#include "base/spread.h"

#include <stdlib.h>
#include <string.h>

enum { LINE = VOX_ALIGN / sizeof(float) }; /* floats of a cache line */

/* ---- Layout: sizes, and nothing that depends on voxels ---- */

/* Rounds *n floats up to whole cache lines, and where there are more than a few to an odd number:
 * successive rows and planes then spread over all sets of a cache, where a power of two would pile
 * them up in a few. False where that overflows. */
static bool spread_lines(int64_t *n) {
    const int64_t few = 4, lines = vox_ceil_div(*n, LINE);
    return vox_mul(lines > few ? lines | 1 : lines, LINE, n);
}

static vox_status lay_out_rows(vox_stage *s, vox_error *err) {
    const vox_axis *h = &s->axis[1], *w = &s->axis[2];
    s->padded_rows = vox_axis_padded(h);
    s->padded_columns = vox_axis_padded(w);
    s->phases = w->stride;
    s->phase_length = vox_ceil_div(s->padded_columns, s->phases);
    /* The first input of a row lies on a cache line: so do the middle taps' of most kernels. */
    s->lead = s->phases == 1 ? vox_round_up(vox_axis_front(w), LINE) - vox_axis_front(w) : 0;
    int64_t row, plane, slot, all; /* all: of a ring that holds the whole volume, the worst case */
    if (!vox_mul(s->phases, s->phase_length, &row) || !spread_lines(&row) ||
        !vox_mul(row, s->padded_rows, &plane) || !spread_lines(&plane) ||
        !vox_mul(plane, s->in[0], &slot) || !vox_mul(slot, s->in[1] + 1, &all) ||
        !vox_mul(all, sizeof(float), &all))
        return vox_fail(err, VOX_ERR_RESOURCE,
                        "planes of %lld x %lld x %lld values exceed the address space",
                        (long long)s->in[0], (long long)s->in[2], (long long)s->in[3]);
    s->ring.row_stride = row;
    s->ring.channel_stride = plane;
    s->ring.slot_stride = slot;
    s->ring.channels = s->in[0];
    s->ring.rows = s->in[2];
    s->ring.columns = s->in[3];
    return VOX_OK;
}

vox_stage *vox_stage_new(const vox_layer *rows, const vox_layer *window, const int64_t in[4],
                         const int64_t out[4], const vox_axis axis[3], int64_t in_slab, int threads,
                         vox_error *err) {
    vox_stage *s = vox_alloc(1, sizeof *s, "stage", err);
    if (!s)
        return NULL;
    s->rows = rows;
    s->rows_end = s->window = window;
    s->threads = threads;
    memcpy(s->in, in, sizeof s->in);
    memcpy(s->out, out, sizeof s->out);
    for (int i = 0; i < 3; i++)
        s->axis[i] =
            window
                ? axis[i]
                : (vox_axis){
                      .in = in[1 + i], .out = in[1 + i], .kernel = 1, .stride = 1, .dilation = 1};
    if (lay_out_rows(s, err))
        goto fail;
    in_slab = vox_min(in_slab, in[1]);
    s->out_slab = vox_max(in_slab / s->axis[0].stride, 1);
    s->ring.slots = in_slab;
    if (window) {
        if (vox_schedule_init(&s->schedule, &s->axis[0], err))
            goto fail;
        /* While an output waits for its last plane, a whole slab must still find room. */
        s->ring.slots = vox_min(vox_schedule_slots(&s->schedule) + in_slab - 1, in[1]);
    }
    return s;
fail:
    vox_stage_free(s);
    return NULL;
}

/* A slot more where planes of padding must exist. */
static int64_t slots_held(const vox_stage *s) {
    return s->ring.slots + (s->window && s->window->needs_zero_planes);
}

/* Floats of the ring; behind the last row the kernel may read the rest of a vector. */
static int64_t ring_floats(const vox_stage *s) {
    return s->lead + slots_held(s) * s->ring.slot_stride + VOX_KERNEL_MAX_VECTOR;
}

/* Floats of a thread's scratch row, on cache lines of its own: two threads that write to one line
 * take turns. Two lines apart, for lines are fetched in pairs. */
static int64_t scratch_floats(const vox_stage *s) {
    return s->phases > 1 ? vox_round_up(s->padded_columns, 2 * LINE) + 2 * LINE : 0;
}

int64_t vox_stage_ring_bytes(const vox_stage *s) {
    return ring_floats(s) * (int64_t)sizeof(float) +
           s->threads * scratch_floats(s) * (int64_t)sizeof(float);
}

static int64_t plane_pointers(const vox_stage *s) {
    return s->next->ring.slots * s->axis[0].kernel;
}

int64_t vox_stage_table_bytes(const vox_stage *s) {
    return s->window->class->weight_bytes(s->window, s->threads) +
           vox_schedule_bytes(&s->schedule) +
           (plane_pointers(s) + s->axis[1].kernel + s->axis[2].kernel) * (int64_t)sizeof(int64_t);
}

/* ---- Start: memory ---- */

/* Padded row 0 of channel 0 in a slot. */
static float *padded_slot(const vox_stage *s, int64_t slot) {
    return s->memory + s->lead + slot * s->ring.slot_stride;
}

static void fill(float *to, int64_t count, float value) {
#pragma omp simd
    for (int64_t i = 0; i < count; i++)
        to[i] = value;
}

/* The padding in one padded row of every plane, and what the kernel may read beyond it. What
 * arrives later leaves it alone, or replaces it. */
static void clear_row(void *user, int64_t row, int thread) {
    const vox_stage *s = user;
    const vox_axis *h = &s->axis[1], *w = &s->axis[2];
    const int64_t front = vox_axis_front(w), first_row = vox_axis_front(h);
    const bool interior = row >= first_row && row < first_row + h->in && s->phases == 1;
    const int64_t end = interior ? front + w->in : front;
    const int64_t row_end = row + 1 < s->padded_rows
                                ? s->ring.row_stride
                                : s->ring.channel_stride - row * s->ring.row_stride;
    (void)thread;
    for (int64_t slot = 0; slot < slots_held(s); slot++)
        for (int64_t c = 0; c < s->in[0]; c++) {
            float *padded =
                padded_slot(s, slot) + c * s->ring.channel_stride + row * s->ring.row_stride;
            fill(padded, front, s->window->fill);
            fill(padded + end, row_end - end, s->window->fill);
        }
}

vox_status vox_stage_start(vox_stage *s, vox_error *err) {
    const vox_axis *h = &s->axis[1], *w = &s->axis[2];
    vox_error local = {0};
    s->kernel = vox_kernel_active(&local);
    if (!s->kernel)
        return vox_fail(err, local.status, "%s", local.message);
    if (s->external)
        return VOX_OK;
    s->memory = vox_alloc_uncleared(ring_floats(s), sizeof(float), "planes", err);
    s->scratch = vox_alloc(s->threads * scratch_floats(s), sizeof(float), "rows", err);
    if (!s->memory || !s->scratch)
        return VOX_ERR_RESOURCE;
    s->ring.data = padded_slot(s, 0) + vox_axis_front(h) * s->ring.row_stride + vox_axis_front(w);
    if (!s->window)
        return VOX_OK;
    vox_spread(s->threads, s->padded_rows, clear_row, s);
    fill(s->memory + ring_floats(s) - VOX_KERNEL_MAX_VECTOR, VOX_KERNEL_MAX_VECTOR, 0);
    if (s->window->needs_zero_planes)
        fill(padded_slot(s, s->ring.slots), s->ring.slot_stride, s->window->fill);
    s->planes = vox_alloc(plane_pointers(s), sizeof *s->planes, "plane table", err);
    s->row_offset = vox_alloc(h->kernel, sizeof(int64_t), "row table", err);
    s->column_offset = vox_alloc(w->kernel, sizeof(int64_t), "column table", err);
    if (!s->planes || !s->row_offset || !s->column_offset)
        return VOX_ERR_RESOURCE;
    for (int64_t k = 0; k < h->kernel; k++)
        s->row_offset[k] = (vox_axis_front(h) - h->before + k * h->dilation) * s->ring.row_stride;
    for (int64_t k = 0; k < w->kernel; k++) {
        const int64_t column = vox_axis_front(w) - w->before + k * w->dilation;
        s->column_offset[k] = column % s->phases * s->phase_length + column / s->phases;
    }
    return s->window->class->prepare(s->window, s->axis, s->threads, &s->prepared, err);
}

void vox_stage_rewind(vox_stage *s) {
    s->received = s->produced = 0;
}

void vox_stage_free(vox_stage *s) {
    if (!s)
        return;
    free(s->memory);
    free(s->scratch);
    vox_schedule_free(&s->schedule);
    free(s->planes);
    free(s->row_offset);
    free(s->column_offset);
    free(s->prepared);
    free(s);
}

/* ---- Arrival: row layers, then padding in W and H ---- */

/* The left and right ends of one padded row, from its interior. */
static void pad_row(const vox_stage *s, float *row) {
    const vox_axis *w = &s->axis[2];
    const int64_t front = vox_axis_front(w);
    const int64_t side[2][2] = {{0, front}, {front + w->in, s->padded_columns}};
    for (int k = 0; k < 2; k++)
        for (int64_t i = side[k][0]; i < side[k][1]; i++) {
            int64_t from = vox_axis_source(w, i - front);
            row[i] = from < 0 ? s->window->fill : row[front + from];
        }
}

/* Sorts a padded row into its phases: x[0], x[s], x[2s], ... | x[1], x[s+1], ... | ... */
static void split_row(const vox_stage *s, const float *row, float *to) {
    const int64_t n = s->phases;
    for (int64_t p = 0; p < n; p++, to += s->phase_length) {
        const int64_t count = vox_ceil_div(s->padded_columns - p, n);
        if (n == 2) {
#pragma omp simd
            for (int64_t i = 0; i < count; i++)
                to[i] = row[2 * i + p];
        } else {
            for (int64_t i = 0; i < count; i++)
                to[i] = row[n * i + p];
        }
    }
}

/* What arrives: planes [from, from + count), in place already or from x. A unit of work is a run of
 * rows in all channels, which row layers need; or a run of channels. */
typedef struct arrival {
    const vox_stage *stage;
    int64_t from, count;
    const vox_dense *x;           /* NULL: in place */
    int64_t unit_rows, row_units; /* rows of a unit, units in a plane's height */
    int64_t unit_channels;
} arrival;

enum { UNIT_ROWS = 16 };

/* Where output channels look at few of the input's, threads that share the channels rather than the
 * rows of a plane go through longer runs of memory. */
static bool arrives_by_channel(const vox_stage *s) {
    return s->window && s->window->by_channel && s->rows == s->rows_end;
}

static void arrive_unit(void *user, int64_t unit, int thread) {
    const arrival *a = user;
    const vox_stage *s = a->stage;
    const int64_t d = a->from + unit % a->count;
    const int64_t first = unit / a->count % a->row_units * a->unit_rows;
    const int64_t end = vox_min(first + a->unit_rows, s->in[2]);
    const int64_t front = vox_axis_front(&s->axis[2]);
    const int64_t channel = unit / a->count / a->row_units * a->unit_channels;
    const int64_t channel_end = vox_min(channel + a->unit_channels, s->in[0]);
    const int64_t columns = s->in[3];
    const bool row_layers = s->rows != s->rows_end, split = s->phases > 1;
    float *scratch = split ? s->scratch + thread * scratch_floats(s) : NULL;
    if (a->x && (row_layers || !split))
        for (int64_t c = channel; c < channel_end; c++)
            for (int64_t r = first; r < end; r++)
                s->kernel->copy_row(vox_plane_row(&s->ring, c, d, r), vox_dense_row(a->x, c, d, r),
                                    columns);
    for (int64_t r = first; row_layers && r < end; r++)
        for (const vox_layer *l = s->rows; l != s->rows_end; l = l->next)
            l->class->row(l, vox_plane_row(&s->ring, 0, d, r), s->ring.channel_stride, s->in[0],
                          columns);
    if (!s->window || (!split && s->axis[2].mode == VOX_PAD_ZEROS))
        return;
    for (int64_t c = channel; c < channel_end; c++)
        for (int64_t r = first; r < end; r++) {
            float *padded = vox_plane_row(&s->ring, c, d, r) - front;
            if (!split) {
                pad_row(s, padded);
                continue;
            }
            if (a->x && !row_layers)
                s->kernel->copy_row(scratch + front, vox_dense_row(a->x, c, d, r), columns);
            else
                memcpy(scratch + front, padded + front, (size_t)columns * sizeof(float));
            pad_row(s, scratch);
            split_row(s, scratch, padded);
        }
}

/* The padded rows above and below the interior of one plane. */
static void pad_plane(void *user, int64_t unit, int thread) {
    const arrival *a = user;
    const vox_stage *s = a->stage;
    const vox_axis *h = &s->axis[1];
    const int64_t d = a->from + unit % a->count, c = unit / a->count;
    float *padded = vox_plane_row(&s->ring, c, d, 0) - vox_axis_front(&s->axis[2]);
    (void)thread;
    for (int64_t r = -vox_axis_front(h); r < s->padded_rows - vox_axis_front(h); r++) {
        int64_t from = r >= 0 && r < h->in ? -1 : vox_axis_source(h, r);
        if (from >= 0)
            memcpy(padded + r * s->ring.row_stride, padded + from * s->ring.row_stride,
                   (size_t)(s->phases * s->phase_length) * sizeof(float));
    }
}

static void arrive(const vox_stage *s, int64_t from, int64_t count, const vox_dense *x) {
    const int64_t rows = s->in[2];
    /* Zeros around a row stay where vox_stage_start put them, unless a split moves them. */
    const bool border_stays = !s->window || (s->axis[1].mode == VOX_PAD_ZEROS && s->phases == 1);
    arrival a = {s, from, count, x, UNIT_ROWS, vox_ceil_div(rows, UNIT_ROWS), s->in[0]};
    int64_t units = a.row_units * count;
    if (x && arrives_by_channel(s)) {
        a.unit_rows = rows;
        a.row_units = a.unit_channels = 1;
        units = s->in[0] * count;
    }
    if (!border_stays || s->rows != s->rows_end || x)
        vox_spread(s->threads, units, arrive_unit, &a);
    if (s->window && s->axis[1].mode != VOX_PAD_ZEROS && s->padded_rows > rows)
        vox_spread(s->threads, s->in[0] * count, pad_plane, &a);
}

/* ---- Flow ---- */

/* Planes that may be written now without overwriting one that is still needed. */
static int64_t room(const vox_stage *s) {
    if (!s->window || s->produced == s->out[1])
        return s->ring.slots;
    return s->ring.slots - vox_max(s->received - vox_schedule_keep(&s->schedule, s->produced), 0);
}

/* Points each tap of output planes [first, first + count) at its padded plane. */
static void point_planes(vox_stage *s, int64_t first, int64_t count) {
    const vox_axis *a = &s->axis[0];
    const float **p = s->planes;
    for (int64_t o = first; o < first + count; o++)
        for (int64_t k = 0; k < a->kernel; k++) {
            int64_t d = vox_axis_source(a, o * a->stride - a->before + k * a->dilation);
            int64_t slot = d < 0 ? s->ring.slots : d % s->ring.slots;
            bool skip = d < 0 && !s->window->needs_zero_planes;
            *p++ = skip ? NULL : padded_slot(s, slot);
        }
}

vox_status vox_stage_push(vox_stage *s, int64_t count, const vox_dense *x, vox_error *err) {
    arrive(s, s->received, count, x);
    s->received += count;
    if (!s->window)
        return s->sink ? s->sink(s->sink_user, s->received - count, count, &s->ring, err) : VOX_OK;
    for (;;) {
        int64_t most = vox_min(room(s->next), s->out[1] - s->produced), n = 0;
        while (n < most && vox_schedule_ready(&s->schedule, s->produced + n) < s->received)
            n++;
        if (n == 0)
            return VOX_OK;
        point_planes(s, s->produced, n);
        vox_window w = {
            .axis = s->axis,
            .planes = s->planes,
            .channel_stride = s->ring.channel_stride,
            .row_stride = s->ring.row_stride,
            .row_offset = s->row_offset,
            .column_offset = s->column_offset,
            .first = s->produced,
            .count = n,
            .to = &s->next->ring,
            .threads = s->threads,
            .by_channel = x && arrives_by_channel(s),
        };
        s->window->class->window(s->window, s->prepared, &w);
        s->produced += n;
        vox_status status = vox_stage_push(s->next, n, NULL, err);
        if (status)
            return status;
    }
}
