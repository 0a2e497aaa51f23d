/* feed.c - see feed.h. */
#include "engine/feed.h"

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

static vox_status lay_out_rows(vox_feed *f, vox_error *err) {
    const vox_axis *h = &f->axis[1], *w = &f->axis[2];
    f->padded_rows = vox_axis_padded(h);
    f->padded_columns = vox_axis_padded(w);
    f->phases = w->stride;
    f->phase_length = vox_ceil_div(f->padded_columns, f->phases);
    /* The first input of a row lies on a cache line: so do the middle taps' of most kernels. */
    f->lead = f->phases == 1 ? vox_round_up(vox_axis_front(w), LINE) - vox_axis_front(w) : 0;
    int64_t row, plane, slot, all; /* all: of a ring that holds the whole volume, the worst case */
    if (!vox_mul(f->phases, f->phase_length, &row) || !spread_lines(&row) ||
        !vox_mul(row, f->padded_rows, &plane) || !spread_lines(&plane) ||
        !vox_mul(plane, f->in[0], &slot) || !vox_mul(slot, f->in[1] + 1, &all) ||
        !vox_mul(all, sizeof(float), &all))
        return vox_fail(err, VOX_ERR_RESOURCE,
                        "planes of %lld x %lld x %lld values exceed the address space",
                        (long long)f->in[0], (long long)f->in[2], (long long)f->in[3]);
    f->ring.row_stride = row;
    f->ring.channel_stride = plane;
    f->ring.slot_stride = slot;
    f->ring.channels = f->in[0];
    f->ring.rows = f->in[2];
    f->ring.columns = f->in[3];
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

/* A slot more where planes of padding must exist. */
static int64_t slots_held(const vox_feed *f) {
    return f->ring.slots + (f->window && f->window->needs_zero_planes);
}

/* Floats of the ring; behind the last row the kernel may read the rest of a vector. */
static int64_t ring_floats(const vox_feed *f) {
    return f->lead + slots_held(f) * f->ring.slot_stride + VOX_KERNEL_MAX_VECTOR;
}

/* Floats of a thread's scratch row, on cache lines of its own: two threads that write to one line
 * take turns. Two lines apart, for lines are fetched in pairs. */
static int64_t scratch_floats(const vox_feed *f) {
    return f->phases > 1 ? vox_round_up(f->padded_columns, 2 * LINE) + 2 * LINE : 0;
}

int64_t vox_feed_bytes(const vox_feed *f) {
    const int64_t ring = f->external ? 0 : ring_floats(f) + f->threads * scratch_floats(f);
    return ring * (int64_t)sizeof(float) + vox_schedule_bytes(&f->schedule);
}

float *vox_feed_row(const vox_feed *f, int64_t d, int64_t r) {
    int64_t at[3] = {d, r, 0};
    for (int i = 0; i < 3; i++)
        at[i] = f->in[1 + i] > 1 ? at[i] - f->axis[i].before : 0;
    return vox_plane_row(&f->ring, 0, at[0], at[1]) + at[2];
}

/* ---- Start: memory ---- */

float *vox_feed_slot(const vox_feed *f, int64_t slot) {
    return f->memory + f->lead + slot * f->ring.slot_stride;
}

static void fill(float *to, int64_t count, float value) {
#pragma omp simd
    for (int64_t i = 0; i < count; i++)
        to[i] = value;
}

/* The padding in one padded row of every plane, and what the kernel may read beyond it. What
 * arrives later leaves it alone, or replaces it. */
static void clear_row(void *user, int64_t row, int thread) {
    const vox_feed *f = user;
    const vox_axis *h = &f->axis[1], *w = &f->axis[2];
    const int64_t front = vox_axis_front(w), first_row = vox_axis_front(h);
    const bool interior = row >= first_row && row < first_row + h->in && f->phases == 1;
    const int64_t end = interior ? front + w->in : front;
    const int64_t row_end = row + 1 < f->padded_rows
                                ? f->ring.row_stride
                                : f->ring.channel_stride - row * f->ring.row_stride;
    (void)thread;
    for (int64_t slot = 0; slot < slots_held(f); slot++)
        for (int64_t c = 0; c < f->in[0]; c++) {
            float *padded =
                vox_feed_slot(f, slot) + c * f->ring.channel_stride + row * f->ring.row_stride;
            fill(padded, front, f->window->fill);
            fill(padded + end, row_end - end, f->window->fill);
        }
}

vox_status vox_feed_start(vox_feed *f, vox_error *err) {
    const vox_axis *h = &f->axis[1], *w = &f->axis[2];
    vox_error local = {0};
    f->kernel = vox_kernel_active(&local);
    if (!f->kernel)
        return vox_fail(err, local.status, "%s", local.message);
    if (f->external)
        return VOX_OK;
    f->memory = vox_alloc_uncleared(ring_floats(f), sizeof(float), "planes", err);
    f->scratch = vox_alloc(f->threads * scratch_floats(f), sizeof(float), "rows", err);
    if (!f->memory || !f->scratch)
        return VOX_ERR_RESOURCE;
    f->ring.data = vox_feed_slot(f, 0) + vox_axis_front(h) * f->ring.row_stride + vox_axis_front(w);
    if (!f->window)
        return VOX_OK;
    vox_spread(f->threads, f->padded_rows, clear_row, f);
    fill(f->memory + ring_floats(f) - VOX_KERNEL_MAX_VECTOR, VOX_KERNEL_MAX_VECTOR, 0);
    if (f->window->needs_zero_planes)
        fill(vox_feed_slot(f, f->ring.slots), f->ring.slot_stride, f->window->fill);
    return VOX_OK;
}

void vox_feed_free(vox_feed *f) {
    free(f->memory);
    free(f->scratch);
    vox_schedule_free(&f->schedule);
}

/* ---- Flow ---- */

bool vox_feed_ready(const vox_feed *f, int64_t o) {
    return vox_schedule_ready(&f->schedule, o) < f->received;
}

int64_t vox_feed_holding(const vox_feed *f) {
    if (*f->produced == f->out)
        return 0;
    return vox_max(f->received - vox_schedule_keep(&f->schedule, *f->produced), 0);
}

/* ---- Padding ---- */

bool vox_feed_border_stays(const vox_feed *f) {
    return !f->window || (f->axis[2].mode == VOX_PAD_ZEROS && f->phases == 1);
}

/* The left and right ends of one padded row, from its interior. */
static void pad_ends(const vox_feed *f, float *row) {
    const vox_axis *w = &f->axis[2];
    const int64_t front = vox_axis_front(w);
    const int64_t side[2][2] = {{0, front}, {front + w->in, f->padded_columns}};
    for (int k = 0; k < 2; k++)
        for (int64_t i = side[k][0]; i < side[k][1]; i++) {
            int64_t from = vox_axis_source(w, i - front);
            row[i] = from < 0 ? f->window->fill : row[front + from];
        }
}

static void split_row(const vox_feed *f, const float *row, float *to) {
    const int64_t n = f->phases;
    for (int64_t p = 0; p < n; p++, to += f->phase_length) {
        const int64_t count = vox_ceil_div(f->padded_columns - p, n);
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

void vox_feed_pad_row(const vox_feed *f, int64_t c, int64_t d, int64_t r, const float *from,
                      int thread) {
    const int64_t front = vox_axis_front(&f->axis[2]), columns = f->in[3];
    float *interior = vox_plane_row(&f->ring, c, d, r), *padded = interior - front;
    if (f->phases == 1) {
        if (from)
            f->kernel->copy_row(interior, from, columns);
        if (!vox_feed_border_stays(f))
            pad_ends(f, padded);
        return;
    }
    float *scratch = f->scratch + thread * scratch_floats(f);
    f->kernel->copy_row(scratch + front, from ? from : interior, columns);
    pad_ends(f, scratch);
    split_row(f, scratch, padded);
}

typedef struct padding {
    const vox_feed *feed;
    int64_t d, count;
} padding;

/* The padded rows above and below the interior of one plane. */
static void pad_plane(void *user, int64_t unit, int thread) {
    const padding *p = user;
    const vox_feed *f = p->feed;
    const vox_axis *h = &f->axis[1];
    const int64_t d = p->d + unit % p->count, c = unit / p->count;
    float *padded = vox_plane_row(&f->ring, c, d, 0) - vox_axis_front(&f->axis[2]);
    (void)thread;
    for (int64_t r = -vox_axis_front(h); r < f->padded_rows - vox_axis_front(h); r++) {
        int64_t from = r >= 0 && r < h->in ? -1 : vox_axis_source(h, r);
        if (from >= 0)
            memcpy(padded + r * f->ring.row_stride, padded + from * f->ring.row_stride,
                   (size_t)(f->phases * f->phase_length) * sizeof(float));
    }
}

void vox_feed_pad_planes(const vox_feed *f, int64_t d, int64_t count) {
    padding p = {f, d, count};
    if (f->window && f->axis[1].mode != VOX_PAD_ZEROS && f->padded_rows > f->in[2])
        vox_spread(f->threads, f->in[0] * count, pad_plane, &p);
}
