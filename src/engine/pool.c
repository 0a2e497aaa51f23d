/* pool.c - see pool.h. */
#include "engine/pool.h"

#include "base/spread.h"
#include "kernel/kernel.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

bool vox_pool_fits(const vox_pool *p, const vox_plane_layout *layout) {
    const vox_plane_layout *l = &p->layout;
    /* By its bits: -0 is another fill than 0, and NaN the same as itself. */
    return memcmp(l, layout, offsetof(vox_plane_layout, fill)) == 0 &&
           memcmp(&l->fill, &layout->fill, sizeof l->fill) == 0 &&
           l->rows_stay == layout->rows_stay && l->columns_stay == layout->columns_stay;
}

/* In front of the first slot: the first input of a row lies on a cache line then, and so do the
 * middle taps' of most kernels. */
static int64_t lead(const vox_pool *p) {
    const int64_t front = p->layout.front_columns;
    return p->layout.phases == 1 ? vox_round_up(front, VOX_LINE) - front : 0;
}

static int64_t slots(const vox_pool *p) {
    return p->most + p->zero_plane;
}

/* Behind the last row the kernel may read the rest of a vector. INT64_MAX where it overflows. */
static int64_t floats(const vox_pool *p) {
    int64_t n;
    const bool fits = vox_mul(slots(p), p->layout.slot_stride, &n) &&
                      vox_add(n, lead(p) + VOX_KERNEL_MAX_VECTOR, &n);
    return fits ? n : INT64_MAX;
}

int64_t vox_pool_bytes(const vox_pool *p) {
    int64_t bytes;
    const bool fits = vox_mul(floats(p), sizeof(float), &bytes) &&
                      vox_add(bytes, p->most * (int64_t)sizeof(float *), &bytes);
    return p->external ? 0 : fits ? bytes : INT64_MAX;
}

static float *slot(const vox_pool *p, int64_t i) {
    return p->memory + lead(p) + i * p->layout.slot_stride;
}

static void fill(float *to, int64_t count, float value) {
#pragma omp simd
    for (int64_t i = 0; i < count; i++)
        to[i] = value;
}

/* The padding in one padded row of every plane, and what the kernel may read beyond it. What
 * arrives later leaves it alone, or replaces it. */
static void clear_row(void *user, int64_t row, int thread) {
    const vox_pool *p = user;
    const vox_plane_layout *l = &p->layout;
    const bool interior = row >= l->front_rows && row < l->front_rows + l->rows && l->phases == 1;
    const int64_t end = l->front_columns + (interior ? l->columns : 0);
    const int64_t row_end =
        row + 1 < l->padded_rows ? l->row_stride : l->channel_stride - row * l->row_stride;
    (void)thread;
    for (int64_t i = 0; i < slots(p); i++)
        for (int64_t c = 0; c < l->channels; c++) {
            float *padded = slot(p, i) + c * l->channel_stride + row * l->row_stride;
            fill(padded, l->front_columns, l->fill);
            fill(padded + end, row_end - end, l->fill);
        }
}

vox_status vox_pool_start(vox_pool *p, vox_error *err) {
    if (p->external)
        return VOX_OK;
    p->memory = vox_alloc_uncleared(floats(p), sizeof(float), "planes", err);
    p->idle = vox_alloc(p->most, sizeof *p->idle, "planes", err);
    if (!p->memory || !p->idle)
        return VOX_ERR_RESOURCE;
    for (int64_t i = 0; i < p->most; i++)
        p->idle[i] = slot(p, p->most - 1 - i);
    vox_spread(p->threads, p->layout.padded_rows, clear_row, p);
    fill(p->memory + floats(p) - VOX_KERNEL_MAX_VECTOR, VOX_KERNEL_MAX_VECTOR, 0);
    if (p->zero_plane)
        fill(vox_pool_zero_plane(p), p->layout.slot_stride, p->layout.fill);
    return VOX_OK;
}

void vox_pool_free(vox_pool *p) {
    free(p->memory);
    free(p->idle);
}

float *vox_pool_take(vox_pool *p) {
    p->taken++;
    if (!p->memory) {
        p->most = vox_max(p->most, p->taken);
        return NULL;
    }
    assert(p->taken <= p->most);
    return p->idle[p->most - p->taken];
}

void vox_pool_give(vox_pool *p, float *slot) {
    if (p->memory)
        p->idle[p->most - p->taken] = slot;
    p->taken--;
}

float *vox_pool_zero_plane(const vox_pool *p) {
    return slot(p, p->most);
}
