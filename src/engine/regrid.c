/* regrid.c - see regrid.h. */
#include "engine/regrid.h"

#include "base/spread.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Slices that wait for one another where they lie across the rows of a file. */
enum { BLOCK = 16 };

/* A place between two voxels of an axis. */
typedef struct tap {
    int64_t first; /* -1: outside */
    float weight;  /* of the voxel behind the first; 0: it is not looked at */
} tap;

struct vox_regrid {
    vox_regridding how;
    int where[3];   /* the axis of `to` that runs along each axis of `from` */
    int64_t out[3]; /* extents of `to` along the axes of `from` */
    tap *tap[3];    /* [out] each */
    float *ring;    /* [channels][2][out[1]][out[2]]: planes, resampled in their plane */
    float *row;     /* [threads][from[2]] */
    float *block;   /* [channels] boxes of slices on their way to a file; NULL: to memory */
    vox_store *store;
    int64_t received; /* planes of this volume */
    int64_t next;     /* slice to be made */
};

vox_regridding vox_regridding_there(const vox_grid *g, const int64_t size[3]) {
    vox_regridding r = {.nearest = false};
    memcpy(r.from, size, sizeof r.from);
    memcpy(r.to, g->size, sizeof r.to);
    memcpy(r.axis, g->axis, sizeof r.axis);
    memcpy(r.step, g->step, sizeof r.step);
    memcpy(r.start, g->start, sizeof r.start);
    return r;
}

vox_regridding vox_regridding_back(const vox_grid *g, const int64_t size[3]) {
    vox_regridding r = {.to_the_edge = true};
    memcpy(r.from, g->size, sizeof r.from);
    memcpy(r.to, size, sizeof r.to);
    for (int a = 0; a < 3; a++) {
        const int b = g->axis[a];
        r.axis[b] = a;
        r.step[b] = 1 / g->step[a];
        r.start[b] = -g->start[a] / g->step[a];
    }
    return r;
}

/* ---- Taps ---- */

/* Places closer to a voxel than this are at it: what is left of their computation in double. */
static const double NEAR = 1e-9;

static tap tap_at(double place, int64_t n, const vox_regridding *how) {
    const double reach = how->to_the_edge ? 0.5 : 0, last = (double)(n - 1);
    if (place < -reach - NEAR || place > last + reach + NEAR)
        return (tap){-1, 0};
    place = fmin(fmax(place, 0), last);
    if (how->nearest)
        return (tap){(int64_t)fmin(floor(place + 0.5), last), 0};
    const double nearest = round(place);
    if (fabs(place - nearest) < NEAR)
        return (tap){(int64_t)nearest, 0};
    return (tap){(int64_t)place, (float)(place - floor(place))};
}

static void fill_taps(vox_regrid *g) {
    const vox_regridding *how = &g->how;
    for (int k = 0; k < 3; k++) {
        const int a = g->where[k];
        for (int64_t o = 0; o < g->out[k]; o++)
            g->tap[k][o] = tap_at((double)o * how->step[a] + how->start[a], how->from[k], how);
    }
}

/* ---- Life ---- */

/* All that follows without memory. */
static void lay_out(vox_regrid *g, const vox_regridding *how) {
    *g = (vox_regrid){.how = *how};
    for (int a = 0; a < 3; a++) {
        g->where[how->axis[a]] = a;
        g->out[how->axis[a]] = how->to[a];
    }
}

/* Slices of a block: one, but where they lie across the rows of a file. */
static int64_t block_slices(const vox_regrid *g) {
    return g->where[0] == 2 ? vox_min(BLOCK, g->out[0]) : 1;
}

/* Floats of the pieces; false where they cannot be addressed. */
static bool sizes(const vox_regrid *g, int64_t *ring, int64_t *rows, int64_t *block) {
    const int64_t slice[3] = {g->how.channels, g->out[1], g->out[2]};
    int64_t slices;
    *block = 0;
    return vox_product(slice, 3, &slices) && vox_mul(slices, 2, ring) &&
           (!g->how.spooled || vox_mul(slices, block_slices(g), block)) &&
           vox_mul(g->how.threads, g->how.from[2], rows);
}

int64_t vox_regrid_bytes(const vox_regridding *how) {
    vox_regrid g;
    int64_t ring, rows, block, bytes;
    lay_out(&g, how);
    const int64_t fixed =
        (int64_t)sizeof g + 8 * VOX_ALIGN + (g.out[0] + g.out[1] + g.out[2]) * (int64_t)sizeof(tap);
    if (!sizes(&g, &ring, &rows, &block) || !vox_add(ring, rows, &bytes) ||
        !vox_add(bytes, block, &bytes) || !vox_mul(bytes, sizeof(float), &bytes) ||
        !vox_add(bytes, fixed, &bytes))
        return INT64_MAX;
    return bytes;
}

static int64_t first_slice(const vox_regrid *g) {
    return g->how.step[g->where[0]] > 0 ? 0 : g->out[0] - 1;
}

static vox_status take_memory(vox_regrid *g, vox_error *err) {
    const vox_regridding *how = &g->how;
    const int64_t shape[4] = {how->channels, how->to[0], how->to[1], how->to[2]};
    int64_t ring, rows, block;
    if (!sizes(g, &ring, &rows, &block))
        return vox_fail(err, VOX_ERR_RESOURCE,
                        "a grid of %lld x %lld x %lld voxels: more than can "
                        "be addressed",
                        (long long)shape[1], (long long)shape[2], (long long)shape[3]);
    for (int k = 0; k < 3; k++)
        if (!(g->tap[k] = vox_alloc(g->out[k], sizeof(tap), "grid", err)))
            return VOX_ERR_RESOURCE;
    g->ring = vox_alloc_uncleared(ring, sizeof(float), "planes", err);
    g->row = g->ring ? vox_alloc_uncleared(rows, sizeof(float), "rows", err) : NULL;
    if (g->row && block)
        g->block = vox_alloc_uncleared(block, sizeof(float), "slices", err);
    if (!g->row || (block && !g->block) || !(g->store = vox_store_new(shape, how->spooled, err)))
        return VOX_ERR_RESOURCE;
    return VOX_OK;
}

vox_regrid *vox_regrid_new(const vox_regridding *how, vox_error *err) {
    vox_regrid *g = vox_alloc(1, sizeof *g, "grid", err);
    if (!g)
        return NULL;
    lay_out(g, how);
    if (take_memory(g, err)) {
        vox_regrid_free(g);
        return NULL;
    }
    fill_taps(g);
    g->next = first_slice(g);
    return g;
}

void vox_regrid_free(vox_regrid *g) {
    if (!g)
        return;
    for (int k = 0; k < 3; k++)
        free(g->tap[k]);
    free(g->ring);
    free(g->row);
    free(g->block);
    vox_store_free(g->store);
    free(g);
}

const vox_store *vox_regrid_result(const vox_regrid *g) {
    return g->store;
}

/* ---- A plane comes ---- */

typedef struct work {
    vox_regrid *grid;
    const vox_planes *planes;
    int64_t d;
} work;

/* Row r of channel c of the resampled plane that came as number z. */
static float *ring_row(const vox_regrid *g, int64_t c, int64_t z, int64_t r) {
    return g->ring + ((c * 2 + z % 2) * g->out[1] + r) * g->out[2];
}

static void mix(float *to, const float *a, const float *b, float weight, int64_t n) {
    const float rest = 1 - weight;
    for (int64_t i = 0; i < n; i++)
        to[i] = a[i] * rest + b[i] * weight;
}

static void resample_row(void *user, int64_t unit, int thread) {
    const work *w = user;
    const vox_regrid *g = w->grid;
    const int64_t c = unit / g->out[1], r = unit % g->out[1], columns = g->how.from[2];
    const tap down = g->tap[1][r], *along = g->tap[2];
    float *to = ring_row(g, c, g->received, r);
    if (down.first < 0) {
        memset(to, 0, (size_t)g->out[2] * sizeof *to);
        return;
    }
    const float *row = vox_plane_row(w->planes, c, w->d, down.first);
    if (down.weight > 0) {
        float *mixed = g->row + thread * columns;
        mix(mixed, row, vox_plane_row(w->planes, c, w->d, down.first + 1), down.weight, columns);
        row = mixed;
    }
    for (int64_t i = 0; i < g->out[2]; i++) {
        const tap t = along[i];
        if (t.first < 0)
            to[i] = 0;
        else if (t.weight > 0)
            to[i] = row[t.first] * (1 - t.weight) + row[t.first + 1] * t.weight;
        else
            to[i] = row[t.first];
    }
}

/* ---- Slices that it completes ---- */

/* The box of `to` that the slice is put into: all of it in memory, else its block. */
static vox_box box_of(const vox_regrid *g, int64_t slice) {
    vox_box box = {{0}, {g->how.to[0], g->how.to[1], g->how.to[2]}};
    if (g->block) {
        const int64_t n = block_slices(g), a = g->where[0];
        box.from[a] = slice / n * n;
        box.to[a] = vox_min(box.from[a] + n, g->out[0]);
    }
    return box;
}

/* Where the box's values of channel c begin. */
static float *box_values(const vox_regrid *g, int64_t c) {
    if (!g->block)
        return vox_store_channel(g->store, c);
    return g->block + c * block_slices(g) * g->out[1] * g->out[2];
}

/* One row of the next slice, from the two planes around it, to where it lies in the new volume. */
static void place_row(void *user, int64_t unit, int thread) {
    const vox_regrid *g = ((const work *)user)->grid;
    const int64_t c = unit / g->out[1], r = unit % g->out[1], n = g->out[2];
    const tap t = g->tap[0][g->next];
    const vox_box box = box_of(g, g->next);
    const int64_t stride[3] = {vox_box_extent(&box, 1) * vox_box_extent(&box, 2),
                               vox_box_extent(&box, 2), 1};
    const int64_t step = stride[g->where[2]];
    float *to = box_values(g, c) + (g->next - box.from[g->where[0]]) * stride[g->where[0]] +
                r * stride[g->where[1]];
    (void)thread;
    if (t.first < 0) {
        for (int64_t i = 0; i < n; i++)
            to[i * step] = 0;
        return;
    }
    const float *a = ring_row(g, c, t.first, r);
    if (t.weight > 0) {
        const float *b = ring_row(g, c, t.first + 1, r), rest = 1 - t.weight;
        for (int64_t i = 0; i < n; i++)
            to[i * step] = a[i] * rest + b[i] * t.weight;
        return;
    }
    for (int64_t i = 0; i < n; i++)
        to[i * step] = a[i];
}

/* The box goes to the file when its last slice is in it. */
static vox_status put_box(const vox_regrid *g, bool up, vox_error *err) {
    const vox_box box = box_of(g, g->next);
    const int a = g->where[0];
    if (!g->block || g->next != (up ? box.to[a] - 1 : box.from[a]))
        return VOX_OK;
    for (int64_t c = 0; c < g->how.channels; c++) {
        const vox_status status = vox_store_put(g->store, c, &box, box_values(g, c), err);
        if (status)
            return status;
    }
    return VOX_OK;
}

vox_status vox_regrid_push(vox_regrid *g, const vox_planes *from, int64_t d, vox_error *err) {
    const bool up = g->how.step[g->where[0]] > 0;
    const int64_t rows = g->how.channels * g->out[1];
    work w = {g, from, d};
    vox_spread(g->how.threads, rows, resample_row, &w);
    while (g->next >= 0 && g->next < g->out[0]) {
        const tap t = g->tap[0][g->next];
        if (t.first + (t.weight > 0) > g->received)
            break;
        vox_spread(g->how.threads, rows, place_row, &w);
        const vox_status status = put_box(g, up, err);
        if (status)
            return status;
        g->next += up ? 1 : -1;
    }
    if (++g->received == g->how.from[0]) {
        g->received = 0;
        g->next = first_slice(g);
    }
    return VOX_OK;
}
