/* prepare.c - see prepare.h. */
#include "engine/prepare.h"

#include <stdlib.h>

/* Floats of the rows that are looked at together; at least one row of all channels. */
enum { PIECE = 1 << 18 };

struct vox_preparation {
    vox_prepare how;
    vox_layout layout;
    int threads;
    vox_intensity_state *intensity; /* or NULL */
    float *piece;                   /* rows that are looked at; NULL where none are */
};

static int64_t piece_rows(const vox_layout *l) {
    return vox_max(vox_min(PIECE / l->channels / l->size[2], l->size[1]), 1);
}

bool vox_preparation_rereads(const vox_prepare *how) {
    return vox_intensity_passes(how) > 0;
}

int64_t vox_preparation_memory(const vox_prepare *how, const vox_layout *layout) {
    const int64_t floats[4] = {layout->channels, piece_rows(layout), layout->size[2],
                               sizeof(float)};
    const int64_t fixed = (int64_t)sizeof(vox_preparation) + 2 * VOX_ALIGN;
    int64_t bytes = 0;
    if (vox_preparation_rereads(how) && !vox_product(floats, 4, &bytes))
        return INT64_MAX;
    if (!vox_add(bytes, vox_intensity_bytes(how, layout->channels), &bytes) ||
        !vox_add(bytes, fixed, &bytes))
        return INT64_MAX;
    return bytes;
}

vox_preparation *vox_preparation_new(const vox_prepare *how, const vox_layout *layout, int threads,
                                     vox_error *err) {
    vox_preparation *p = vox_alloc(1, sizeof *p, "preparation", err);
    if (!p)
        return NULL;
    *p = (vox_preparation){.how = *how, .layout = *layout, .threads = threads};
    bool ok = true;
    if (vox_intensity_changes(how)) {
        p->intensity = vox_intensity_new(how, layout->channels, threads, err);
        ok = p->intensity;
    }
    if (ok && vox_preparation_rereads(how)) {
        p->piece = vox_alloc_uncleared(layout->channels * piece_rows(layout) * layout->size[2],
                                       sizeof *p->piece, "rows", err);
        ok = p->piece;
    }
    if (ok)
        return p;
    vox_preparation_free(p);
    return NULL;
}

void vox_preparation_free(vox_preparation *p) {
    if (!p)
        return;
    vox_intensity_free(p->intensity);
    free(p->piece);
    free(p);
}

/* One pass over frame n, some rows of all channels at a time: a plane may be large. */
static vox_status look(vox_preparation *p, vox_reader *r, int64_t n, int pass, vox_error *err) {
    const int64_t *size = p->layout.size;
    const vox_box none = {{0}, {0}};
    for (int64_t d = 0; d < size[0]; d++)
        for (int64_t h = 0, rows; h < size[1]; h += rows) {
            rows = vox_min(piece_rows(&p->layout), size[1] - h);
            const vox_box part = {{d, h, 0}, {d + 1, h + rows, size[2]}};
            const vox_planes to = vox_dense_planes(
                p->piece, (const int64_t[4]){p->layout.channels, 1, rows, size[2]});
            vox_reader_part(r, &part, &none);
            const vox_status status = vox_reader_planes(r, n, 0, 1, &to, p->threads, err);
            if (status)
                return status;
            vox_intensity_take(p->intensity, pass, &to, 0, 1);
        }
    return VOX_OK;
}

vox_status vox_preparation_begin(vox_preparation *p, vox_reader *r, int64_t n, vox_error *err) {
    const int passes = vox_intensity_passes(&p->how);
    const int64_t *size = p->layout.size;
    for (int pass = 0; pass < passes; pass++) {
        vox_intensity_begin(p->intensity, pass);
        const vox_status status = look(p, r, n, pass, err);
        if (status)
            return status;
        vox_intensity_end(p->intensity, pass);
    }
    if (passes) {
        const vox_box all = {{0}, {size[0], size[1], size[2]}};
        vox_reader_part(r, &all, &all);
    }
    return VOX_OK;
}

vox_status vox_preparation_planes(vox_preparation *p, vox_reader *r, int64_t n, int64_t d,
                                  int64_t count, const vox_planes *to, vox_error *err) {
    const vox_status status = vox_reader_planes(r, n, d, count, to, p->threads, err);
    if (!status && p->intensity)
        vox_intensity_apply(p->intensity, to, d, count);
    return status;
}
