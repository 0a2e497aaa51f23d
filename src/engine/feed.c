/* feed.c - see feed.h. */
#include "engine/feed.h"

#include "base/spread.h"

#include <stdlib.h>
#include <string.h>

/* ---- Layout: sizes, and nothing that depends on voxels ---- */

/* Rounds *n floats up to whole cache lines, and where there are more than a few to an odd number:
 * successive rows and planes then spread over all sets of a cache, where a power of two would pile
 * them up in a few. False where that overflows. */
static bool spread_lines(int64_t *n) {
    const int64_t few = 4, lines = vox_ceil_div(*n, VOX_LINE);
    return vox_mul(lines > few ? lines | 1 : lines, VOX_LINE, n);
}

/* Whether nothing is copied into the padding along an axis. */
static bool padding_stays(const vox_axis *a) {
    return a->mode == VOX_PAD_ZEROS || vox_axis_padded(a) == a->in;
}

static vox_status lay_out_rows(vox_feed *f, vox_error *err) {
    const vox_axis *h = &f->axis[1], *w = &f->axis[2];
    const bool split = w->stride > 1; /* rows are padded elsewhere, and copied with their ends */
    vox_plane_layout *l = &f->layout;
    *l = (vox_plane_layout){.channels = f->in[0],
                            .rows = f->in[2],
                            .columns = f->in[3],
                            .padded_rows = vox_axis_padded(h),
                            .padded_columns = vox_axis_padded(w),
                            .front_rows = vox_axis_front(h),
                            .front_columns = vox_axis_front(w),
                            .phases = w->stride,
                            .phase_length = vox_ceil_div(vox_axis_padded(w), w->stride),
                            .fill = f->window ? f->window->fill : 0,
                            .rows_stay = padding_stays(h),
                            .columns_stay = !split && padding_stays(w)};
    int64_t row, plane, slot, all; /* all: of a ring that holds the whole volume, the worst case */
    if (!vox_mul(l->phases, l->phase_length, &row) || !spread_lines(&row) ||
        !vox_mul(row, l->padded_rows, &plane) || !spread_lines(&plane) ||
        !vox_mul(plane, f->in[0], &slot) || !vox_mul(slot, f->in[1] + 1, &all) ||
        !vox_mul(all, sizeof(float), &all))
        return vox_fail(err, VOX_ERR_RESOURCE,
                        "planes of %lld x %lld x %lld values exceed the address space",
                        (long long)f->in[0], (long long)f->in[2], (long long)f->in[3]);
    l->row_stride = row;
    l->channel_stride = plane;
    l->slot_stride = slot;
    return VOX_OK;
}

vox_status vox_feed_init(vox_feed *f, const vox_layer *window, const int64_t in[4],
                         const vox_axis *axis, int64_t out, int threads, vox_error *err) {
    *f = (vox_feed){.out = out, .window = window, .threads = threads};
    memcpy(f->in, in, sizeof f->in);
    memcpy(f->axis, axis, sizeof f->axis);
    vox_status status = lay_out_rows(f, err);
    return status ? status : vox_schedule_init(&f->schedule, &f->axis[0], window, out, err);
}

/* Floats of a thread's scratch row, on cache lines of its own: two threads that write to one line
 * take turns. Two lines apart, for lines are fetched in pairs. */
static int64_t scratch_floats(const vox_feed *f) {
    return f->layout.phases > 1
               ? vox_round_up(f->layout.padded_columns, 2 * VOX_LINE) + 2 * VOX_LINE
               : 0;
}

int64_t vox_feed_bytes(const vox_feed *f) {
    const int64_t slots = f->pool->external ? 0 : f->held;
    return slots * (int64_t)sizeof(float *) +
           f->threads * scratch_floats(f) * (int64_t)sizeof(float) +
           vox_schedule_bytes(&f->schedule);
}

float *vox_feed_row(const vox_feed *f, int64_t d, int64_t r) {
    int64_t at[3] = {d, r, 0};
    for (int i = 0; i < 3; i++)
        at[i] = f->in[1 + i] > 1 ? at[i] - f->axis[i].before : 0;
    return vox_plane_row(&f->ring, 0, at[0], at[1]) + at[2];
}

vox_status vox_feed_start(vox_feed *f, vox_error *err) {
    const vox_plane_layout *l = &f->layout;
    vox_error local = {0};
    f->kernel = vox_kernel_active(&local);
    if (!f->kernel)
        return vox_fail(err, local.status, "%s", local.message);
    if (f->pool->external)
        return VOX_OK;
    f->slot = vox_alloc(f->held, sizeof *f->slot, "planes", err);
    f->scratch = vox_alloc(f->threads * scratch_floats(f), sizeof(float), "rows", err);
    if (!f->slot || !f->scratch)
        return VOX_ERR_RESOURCE;
    f->ring = (vox_planes){.slot = f->slot,
                           .origin = l->front_rows * l->row_stride + l->front_columns,
                           .slots = f->held,
                           .channel_stride = l->channel_stride,
                           .row_stride = l->row_stride,
                           .channels = l->channels,
                           .rows = l->rows,
                           .columns = l->columns};
    return VOX_OK;
}

void vox_feed_free(vox_feed *f) {
    free(f->slot);
    free(f->scratch);
    free(f->prepared);
    vox_schedule_free(&f->schedule);
}

/* ---- Flow ---- */

float *vox_feed_plane(const vox_feed *f, int64_t d) {
    if (f->pool->external)
        return vox_plane_row(&f->ring, 0, d, 0);
    return f->slot[d % f->ring.slots];
}

bool vox_feed_ready(const vox_feed *f, int64_t o) {
    return vox_schedule_ready(&f->schedule, o) < f->received;
}

void vox_feed_take(vox_feed *f, int64_t end) {
    for (; f->taken < end; f->taken++) {
        float *slot = vox_pool_take(f->pool);
        if (f->slot)
            f->slot[f->taken % f->ring.slots] = slot;
    }
    f->held = vox_max(f->held, f->taken - f->given);
}

void vox_feed_give(vox_feed *f) {
    const bool done = *f->produced == f->out;
    const int64_t end = done ? f->received : vox_schedule_keep(&f->schedule, *f->produced);
    for (; f->given < vox_min(end, f->received); f->given++)
        vox_pool_give(f->pool, f->slot ? f->slot[f->given % f->ring.slots] : NULL);
}

void vox_feed_rewind(vox_feed *f) {
    f->received = f->taken = f->given = 0;
}

/* ---- Padding ---- */

/* The left and right ends of one padded row, from its interior. */
static void pad_ends(const vox_feed *f, float *row) {
    const vox_axis *w = &f->axis[2];
    const int64_t front = vox_axis_front(w);
    const int64_t side[2][2] = {{0, front}, {front + w->in, f->layout.padded_columns}};
    for (int k = 0; k < 2; k++)
        for (int64_t i = side[k][0]; i < side[k][1]; i++) {
            int64_t from = vox_axis_source(w, i - front);
            row[i] = from < 0 ? f->window->fill : row[front + from];
        }
}

static void split_row(const vox_feed *f, const float *row, float *to) {
    const int64_t n = f->layout.phases;
    for (int64_t p = 0; p < n; p++, to += f->layout.phase_length) {
        const int64_t count = vox_ceil_div(f->layout.padded_columns - p, n);
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

void vox_feed_pad_rows(const vox_feed *f, int64_t c, int64_t d, int64_t r, int64_t end,
                       const float *from, int64_t from_stride, int thread) {
    const int64_t front = vox_axis_front(&f->axis[2]), columns = f->in[3];
    const bool ends_stay = f->layout.columns_stay;
    float *interior = vox_plane_row(&f->ring, c, d, r), *padded = interior - front;
    const bool split = f->layout.phases > 1;
    float *scratch = split ? f->scratch + thread * scratch_floats(f) : NULL;
    for (; r < end; r++, interior += f->ring.row_stride, padded += f->ring.row_stride) {
        if (!split) {
            if (from)
                f->kernel->copy_row(interior, from, columns);
            if (!ends_stay)
                pad_ends(f, padded);
        } else {
            f->kernel->copy_row(scratch + front, from ? from : interior, columns);
            pad_ends(f, scratch);
            split_row(f, scratch, padded);
        }
        from = from ? from + from_stride : NULL;
    }
}

typedef struct padding {
    const vox_feed *feed;
    int64_t d, count;
} padding;

/* The padded rows above and below the interior of one plane. */
static void pad_plane(void *user, int64_t unit, int thread) {
    const padding *p = user;
    const vox_feed *f = p->feed;
    const vox_plane_layout *l = &f->layout;
    const vox_axis *h = &f->axis[1];
    const int64_t d = p->d + unit % p->count, c = unit / p->count;
    float *padded = vox_plane_row(&f->ring, c, d, 0) - l->front_columns;
    (void)thread;
    for (int64_t r = -l->front_rows; r < l->padded_rows - l->front_rows; r++) {
        int64_t from = r >= 0 && r < h->in ? -1 : vox_axis_source(h, r);
        if (from >= 0)
            memcpy(padded + r * l->row_stride, padded + from * l->row_stride,
                   (size_t)(l->phases * l->phase_length) * sizeof(float));
    }
}

void vox_feed_pad_planes(const vox_feed *f, int64_t d, int64_t count) {
    padding p = {f, d, count};
    if (!f->layout.rows_stay)
        vox_spread(f->threads, f->in[0] * count, pad_plane, &p);
}

void vox_feed_gather(const vox_feed *f, int64_t d, int64_t count) {
    if (f->window && f->window->class->gather)
        f->window->class->gather(f->window, f->prepared, &f->ring, d, count, f->threads);
}
