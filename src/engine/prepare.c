/* prepare.c - see prepare.h. */
#include "engine/prepare.h"

#include "engine/regrid.h"

#include <math.h>
#include <stdlib.h>

/* Floats of the rows that are looked at together; at least one row of all channels. */
enum { PIECE = 1 << 18 };

struct vox_preparation {
    vox_preparing what;
    vox_intensity_state *intensity; /* or NULL */
    float *piece;                   /* rows that are looked at; NULL where none are */
    vox_regrid *there, *back;       /* or NULL */
    float *plane;                   /* of the file's grid, on the way there or back; or NULL */
};

/* ---- What it takes ---- */

vox_status vox_preparing_make(const vox_input *in, const vox_prepare *how, const vox_layout *layout,
                              int threads, vox_preparing *p, vox_error *err) {
    *p = (vox_preparing){.how = *how, .layout = *layout, .threads = threads};
    vox_status status = vox_intensity_check(how, err);
    return status ? status : vox_grid_make(in, how, &p->grid, err);
}

bool vox_preparing_rereads(const vox_preparing *p) {
    return p->grid.same && vox_intensity_passes(&p->how) > 0;
}

int vox_preparing_passes(const vox_preparing *p) {
    return 1 + vox_intensity_passes(&p->how) + !p->grid.same;
}

static int64_t piece_rows(const vox_preparing *p) {
    const int64_t *size = p->grid.size;
    return vox_max(vox_min(PIECE / p->layout.channels / size[2], size[1]), 1);
}

/* Floats of the rows that are looked at, and of the file's plane. */
static int64_t piece_floats(const vox_preparing *p) {
    const int64_t n[3] = {p->layout.channels, piece_rows(p), p->grid.size[2]};
    int64_t floats;
    if (!vox_intensity_passes(&p->how))
        return 0;
    return vox_product(n, 3, &floats) ? floats : INT64_MAX;
}

static int64_t plane_floats(const vox_preparing *p) {
    const int64_t n[3] = {vox_max(p->layout.channels, p->out_channels), p->layout.size[1],
                          p->layout.size[2]};
    int64_t floats;
    if (p->grid.same)
        return 0;
    return vox_product(n, 3, &floats) ? floats : INT64_MAX;
}

static vox_regridding there(const vox_preparing *p) {
    vox_regridding r = vox_regridding_there(&p->grid, p->layout.size);
    r.channels = p->layout.channels;
    r.spooled = p->spooled;
    r.threads = p->threads;
    return r;
}

static vox_regridding back(const vox_preparing *p) {
    vox_regridding r = vox_regridding_back(&p->grid, p->layout.size);
    r.channels = p->out_channels;
    r.nearest = p->how.labels;
    r.spooled = p->spooled;
    r.threads = p->threads;
    return r;
}

static int64_t sum(int64_t a, int64_t b) {
    int64_t s;
    return vox_add(a, b, &s) ? s : INT64_MAX;
}

/* A regridding's memory, and its volume there or in a file. */
static int64_t regrid_memory(const vox_regridding *r, int64_t *spool_bytes) {
    const int64_t shape[4] = {r->channels, r->to[0], r->to[1], r->to[2]};
    const int64_t volume = vox_store_bytes(shape), rest = vox_regrid_bytes(r);
    if (!r->spooled)
        return sum(rest, volume);
    *spool_bytes = sum(*spool_bytes, volume);
    return rest;
}

void vox_preparing_memory(const vox_preparing *p,
                          void (*part)(void *user, const char *name, int64_t bytes), void *user,
                          int64_t *input_spool_bytes, int64_t *output_spool_bytes) {
    const int64_t fixed = (int64_t)sizeof(vox_preparation) + 3 * VOX_ALIGN;
    int64_t bytes;
    if (vox_intensity_changes(&p->how)) {
        if (!vox_mul(piece_floats(p), sizeof(float), &bytes))
            bytes = INT64_MAX;
        part(user, "intensities", sum(bytes, vox_intensity_bytes(&p->how, p->layout.channels)));
    }
    if (p->grid.same)
        return;
    if (!vox_mul(plane_floats(p), sizeof(float), &bytes))
        bytes = INT64_MAX;
    const vox_regridding r = there(p), b = back(p);
    part(user, "input on the network's grid",
         sum(sum(bytes, fixed), regrid_memory(&r, input_spool_bytes)));
    if (p->out_channels)
        part(user, "output on the input's grid", regrid_memory(&b, output_spool_bytes));
}

double vox_preparing_covered(const vox_preparing *p) {
    double share = 1;
    for (int a = 0; a < 3; a++) {
        const double step = p->grid.step[a], start = p->grid.start[a];
        const double n = (double)p->layout.size[p->grid.axis[a]];
        const double ends[2] = {start - step / 2, start + step * ((double)p->grid.size[a] - 0.5)};
        const double first = fmax(ceil(fmin(ends[0], ends[1]) - 1e-3), 0);
        const double last = fmin(floor(fmax(ends[0], ends[1]) + 1e-3), n - 1);
        share *= fmax(last - first + 1, 0) / n;
    }
    return share;
}

/* ---- Life ---- */

static vox_status take_memory(vox_preparation *p, vox_error *err) {
    const vox_preparing *w = &p->what;
    if (vox_intensity_changes(&w->how) &&
        !(p->intensity = vox_intensity_new(&w->how, w->layout.channels, w->threads, err)))
        return VOX_ERR_RESOURCE;
    if (piece_floats(w) &&
        !(p->piece = vox_alloc_uncleared(piece_floats(w), sizeof(float), "rows", err)))
        return VOX_ERR_RESOURCE;
    if (w->grid.same)
        return VOX_OK;
    const vox_regridding r = there(w), b = back(w);
    p->plane = vox_alloc_uncleared(plane_floats(w), sizeof(float), "plane", err);
    if (!p->plane || !(p->there = vox_regrid_new(&r, err)) ||
        (w->out_channels && !(p->back = vox_regrid_new(&b, err))))
        return VOX_ERR_RESOURCE;
    return VOX_OK;
}

vox_preparation *vox_preparation_new(const vox_preparing *what, vox_error *err) {
    vox_preparation *p = vox_alloc(1, sizeof *p, "preparation", err);
    if (!p)
        return NULL;
    p->what = *what;
    if (!take_memory(p, err))
        return p;
    vox_preparation_free(p);
    return NULL;
}

void vox_preparation_free(vox_preparation *p) {
    if (!p)
        return;
    vox_intensity_free(p->intensity);
    vox_regrid_free(p->there);
    vox_regrid_free(p->back);
    free(p->piece);
    free(p->plane);
    free(p);
}

/* ---- There ---- */

/* Some rows of a plane, on the network's grid. */
static vox_status some_rows(vox_preparation *p, vox_reader *r, int64_t n, const vox_box *part,
                            const vox_planes *to, vox_error *err) {
    const vox_box none = {{0}, {0}};
    if (p->there)
        return vox_store_planes(vox_regrid_result(p->there), part, 0, 1, to, err);
    vox_reader_part(r, part, &none);
    return vox_reader_planes(r, n, 0, 1, to, p->what.threads, err);
}

/* One pass over frame n, some rows of all channels at a time: a plane may be large. */
static vox_status look(vox_preparation *p, vox_reader *r, int64_t n, int pass, vox_error *err) {
    const int64_t *size = p->what.grid.size;
    for (int64_t d = 0; d < size[0]; d++)
        for (int64_t h = 0, rows; h < size[1]; h += rows) {
            rows = vox_min(piece_rows(&p->what), size[1] - h);
            const vox_box part = {{d, h, 0}, {d + 1, h + rows, size[2]}};
            const vox_planes to = vox_dense_planes(
                p->piece, (const int64_t[4]){p->what.layout.channels, 1, rows, size[2]});
            const vox_status status = some_rows(p, r, n, &part, &to, err);
            if (status)
                return status;
            vox_intensity_take(p->intensity, pass, &to, 0, 1);
        }
    return VOX_OK;
}

/* One plane of the file's grid, all channels. */
static vox_planes file_plane(const vox_preparation *p, int64_t channels) {
    const int64_t *size = p->what.layout.size;
    return vox_dense_planes(p->plane, (const int64_t[4]){channels, 1, size[1], size[2]});
}

static vox_status bring_there(vox_preparation *p, vox_reader *r, int64_t n, vox_error *err) {
    const vox_planes plane = file_plane(p, p->what.layout.channels);
    for (int64_t d = 0; d < p->what.layout.size[0]; d++) {
        vox_status status = vox_reader_planes(r, n, d, 1, &plane, p->what.threads, err);
        if (!status)
            status = vox_regrid_push(p->there, &plane, d, err);
        if (status)
            return status;
    }
    return VOX_OK;
}

vox_status vox_preparation_begin(vox_preparation *p, vox_reader *r, int64_t n, vox_error *err) {
    const int64_t *size = p->what.layout.size;
    const int passes = vox_intensity_passes(&p->what.how);
    vox_status status = p->there ? bring_there(p, r, n, err) : VOX_OK;
    for (int pass = 0; pass < passes && !status; pass++) {
        vox_intensity_begin(p->intensity, pass);
        status = look(p, r, n, pass, err);
        if (!status)
            vox_intensity_end(p->intensity, pass);
    }
    if (passes && !p->there) {
        const vox_box all = {{0}, {size[0], size[1], size[2]}};
        vox_reader_part(r, &all, &all);
    }
    return status;
}

vox_status vox_preparation_planes(vox_preparation *p, vox_reader *r, int64_t n, int64_t d,
                                  int64_t count, const vox_planes *to, vox_error *err) {
    const int64_t *size = p->what.grid.size;
    const vox_box all = {{0}, {size[0], size[1], size[2]}};
    const vox_status status =
        p->there ? vox_store_planes(vox_regrid_result(p->there), &all, d, count, to, err)
                 : vox_reader_planes(r, n, d, count, to, p->what.threads, err);
    if (!status && p->intensity)
        vox_intensity_apply(p->intensity, to, d, count);
    return status;
}

/* ---- Back ---- */

/* A complete frame, plane by plane. */
static vox_status give_frame(vox_preparation *p, vox_pipeline_sink *sink, void *user,
                             vox_error *err) {
    const int64_t *size = p->what.layout.size;
    const vox_store *store = vox_regrid_result(p->back);
    const vox_planes plane = file_plane(p, p->what.out_channels);
    for (int64_t d = 0; d < size[0]; d++) {
        const vox_box part = {{d, 0, 0}, {d + 1, size[1], size[2]}};
        vox_status status = vox_store_planes(store, &part, 0, 1, &plane, err);
        if (!status)
            status = sink(user, d, 1, &plane, err);
        if (status)
            return status;
    }
    return VOX_OK;
}

vox_status vox_preparation_put(vox_preparation *p, int64_t d, int64_t count, const vox_planes *from,
                               vox_pipeline_sink *sink, void *user, vox_error *err) {
    if (!p->back)
        return sink(user, d, count, from, err);
    for (int64_t i = d; i < d + count; i++) {
        const vox_status status = vox_regrid_push(p->back, from, i, err);
        if (status)
            return status;
    }
    return d + count == p->what.grid.size[0] ? give_frame(p, sink, user, err) : VOX_OK;
}
