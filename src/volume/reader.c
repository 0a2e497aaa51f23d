/* reader.c - planes of NIfTI files, converted to float, in the order in which the engine asks.
 *
 * Where a file has one plane of channels (a scan, frames filtered one by one, interleaved
 * components) the order of asking is the file's own, and a pipe or a gzip file streams through.
 * Where channels lie one after the other, planes are read by position: from the file itself, or,
 * where that cannot be done, from a spool that takes the decompressed voxels once.
 */
#include "volume/layout.h"
#include "volume/volume.h"

#include <assert.h>
#include <omp.h>
#include <stdlib.h>

/* Stored bytes that are read and converted at a time: enough to keep all threads busy, little
 * enough to stay in the cache. At least one row. */
enum { CHUNK_BYTES = 4 << 20 };

struct vox_reader {
    vox_input *in;
    vox_layout layout;
    bool patches;
    vox_box part, counted;
    int64_t chunk_bytes;
    unsigned char *chunk;
    vox_spool **spool; /* [in->count]: NULL where the file is read itself */
    int64_t nan_count, inf_count;
};

static int64_t row_bytes(const vox_header *h) {
    return h->dim[1] * h->type->bytes;
}

static bool is_sequential(const vox_file *f, const vox_layout *layout, bool patches) {
    return !patches && vox_plane_order_of(&f->header, layout->time_is_channels).channels == 1;
}

/* Decompressed voxels wait on disk where they are not wanted in the order of the file and the file
 * has no positions. */
static bool needs_spool(const vox_file *f, const vox_layout *layout, bool patches) {
    return !is_sequential(f, layout, patches) && !vox_source_positioned(f->data);
}

static int64_t chunk_size(const vox_input *in, int64_t slab_planes) {
    int64_t largest = 1;
    for (int i = 0; i < in->count; i++) {
        const vox_header *h = &in->file[i].header;
        const int64_t slab = vox_min(slab_planes, h->dim[3]) * h->dim[2] * row_bytes(h);
        largest = vox_max(largest, vox_max(vox_min(slab, CHUNK_BYTES), row_bytes(h)));
    }
    return largest;
}

vox_status vox_reader_memory(const vox_input *in, const vox_layout *layout, int64_t slab_planes,
                             bool patches, int64_t *memory_bytes, int64_t *spool_bytes,
                             vox_error *err) {
    int64_t memory = (int64_t)sizeof(vox_reader), spool = 0;
    bool fits = vox_add(memory, chunk_size(in, slab_planes) + VOX_ALIGN, &memory);
    for (int i = 0; i < in->count; i++) {
        const vox_file *f = &in->file[i];
        fits =
            fits && vox_add(memory, (int64_t)sizeof *f + vox_source_memory(f->info.gzip), &memory);
        fits = fits &&
               vox_add(memory, 2 * f->header.extensions_bytes, &memory); /* grown by doubling */
        if (needs_spool(f, layout, patches))
            fits = fits && vox_add(spool, f->header.data_bytes, &spool);
    }
    *memory_bytes = memory;
    *spool_bytes = spool;
    return fits ? VOX_OK
                : vox_fail(err, VOX_ERR_RESOURCE, "%s: more bytes than can be addressed",
                           vox_file_name(&in->file[0]));
}

vox_reader *vox_reader_new(vox_input *in, const vox_layout *layout, int64_t slab_planes,
                           bool patches, vox_error *err) {
    for (int i = 0; i < in->count; i++)
        if (vox_file_begin(&in->file[i], err))
            return NULL;
    vox_reader *r = vox_alloc(1, sizeof *r, "reader", err);
    if (!r)
        return NULL;
    r->in = in;
    r->layout = *layout;
    r->patches = patches;
    for (int i = 0; i < 3; i++)
        r->part.to[i] = r->counted.to[i] = layout->size[i];
    r->chunk_bytes = chunk_size(in, slab_planes);
    r->chunk = vox_alloc(r->chunk_bytes, 1, "reader's buffer", err);
    r->spool = vox_alloc(in->count, sizeof(vox_spool *), "reader", err);
    if (!r->chunk || !r->spool) {
        vox_reader_free(r);
        return NULL;
    }
    return r;
}

void vox_reader_free(vox_reader *r) {
    if (!r)
        return;
    for (int i = 0; r->spool && i < r->in->count; i++)
        vox_spool_free(r->spool[i]);
    free(r->spool);
    free(r->chunk);
    free(r);
}

void vox_reader_part(vox_reader *r, const vox_box *part, const vox_box *counted) {
    r->part = *part;
    r->counted = *counted;
}

static vox_status fill_spool(vox_reader *r, vox_file *f, vox_spool *spool, vox_error *err) {
    const int64_t total = f->header.data_bytes;
    for (int64_t at = 0; at < total;) {
        const int64_t bytes = vox_min(r->chunk_bytes, total - at);
        vox_status status = vox_file_read(f, r->chunk, bytes, err);
        if (!status)
            status = vox_spool_write_at(spool, r->chunk, bytes, at, err);
        if (status)
            return status;
        at += bytes;
    }
    return VOX_OK;
}

static vox_status make_spools(vox_reader *r, vox_error *err) {
    for (int i = 0; i < r->in->count; i++) {
        vox_file *f = &r->in->file[i];
        if (r->spool[i] || !needs_spool(f, &r->layout, r->patches))
            continue;
        r->spool[i] = vox_spool_new(f->header.data_bytes, err);
        if (!r->spool[i])
            return VOX_ERR_RESOURCE;
        vox_status status = fill_spool(r, f, r->spool[i], err);
        if (status)
            return status;
    }
    return VOX_OK;
}

/* `bytes` stored bytes of file i, from `offset` of its voxels on. */
static vox_status read_stored(vox_reader *r, int i, int64_t offset, void *to, int64_t bytes,
                              vox_error *err) {
    vox_file *f = &r->in->file[i];
    if (r->spool[i])
        return vox_spool_read_at(r->spool[i], to, bytes, offset, err);
    if (!is_sequential(f, &r->layout, r->patches))
        return vox_source_read_at(f->data, to, bytes, f->header.vox_offset + offset, err);
    assert(f->taken == offset); /* ascending, each once */
    return vox_file_read(f, to, bytes, err);
}

/* The part's columns of `count` rows of file i, counted from its first voxel, into the chunk. */
static vox_status read_rows(vox_reader *r, int i, int64_t row, int64_t count, vox_error *err) {
    const vox_header *h = &r->in->file[i].header;
    const int64_t whole = row_bytes(h);
    const int64_t part = vox_box_extent(&r->part, 2) * h->type->bytes;
    if (part == whole)
        return read_stored(r, i, row * whole, r->chunk, count * whole, err);
    for (int64_t k = 0; k < count; k++) {
        const int64_t offset = (row + k) * whole + r->part.from[2] * h->type->bytes;
        vox_status status = read_stored(r, i, offset, r->chunk + k * part, part, err);
        if (status)
            return status;
    }
    return VOX_OK;
}

/* See vox_machine_nan(). */
static void unify_nan(float *row, int64_t n) {
    const float nan = vox_machine_nan();
    for (int64_t i = 0; i < n; i++)
        row[i] = row[i] == row[i] ? row[i] : nan;
}

/* The chunk's rows, which are rows [first, first+count) of those of the part's planes from plane d
 * on, of `channel` and, with components, the ones after it. */
static void convert(vox_reader *r, const vox_header *h, int64_t channel, int64_t d, int64_t first,
                    int64_t count, const vox_planes *to, int threads) {
    const int64_t height = vox_box_extent(&r->part, 1), width = vox_box_extent(&r->part, 2);
    const int64_t bytes = width * h->type->bytes;
    int64_t nans = 0, infs = 0;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : nans, infs)   \
    if (count * width > 16384)
    for (int64_t i = 0; i < count; i++)
        for (int k = 0; k < h->type->components; k++) {
            const int64_t row = first + i;
            float *out = vox_plane_row(to, channel + k, d + row / height, row % height);
            vox_row_load(h->type, h->swapped, &h->scaling, r->chunk + i * bytes, k, width, out);
            int64_t row_nans = 0, row_infs = 0;
            vox_row_count(out, width, &row_nans, &row_infs);
            if (row_nans > 0)
                unify_nan(out, width);
            const int64_t y = r->part.from[1] + row % height, x = r->part.from[2];
            if (row_nans + row_infs > 0 && y >= r->counted.from[1] && y < r->counted.to[1])
                vox_row_count(out + r->counted.from[2] - x, vox_box_extent(&r->counted, 2), &nans,
                              &infs);
        }
    r->nan_count += nans;
    r->inf_count += infs;
}

/* Planes [d, d+count) of the part, of one plane channel of file i. Their rows lie one after the
 * other where the part has all of a plane's, else plane by plane. */
static vox_status read_channel(vox_reader *r, int i, int64_t n, int64_t c, int64_t channel,
                               int64_t d, int64_t count, const vox_planes *to, int threads,
                               vox_error *err) {
    const vox_header *h = &r->in->file[i].header;
    const vox_plane_order order = vox_plane_order_of(h, r->layout.time_is_channels);
    const int64_t height = vox_box_extent(&r->part, 1), width = vox_box_extent(&r->part, 2);
    const int64_t step = r->chunk_bytes / (width * h->type->bytes);
    const int64_t run = height == h->dim[2] ? count * height : height;
    for (int64_t row = 0; row < count * height; row += run) {
        const int64_t plane = vox_plane_index(&order, n, c, r->part.from[0] + d + row / height);
        for (int64_t at = 0; at < run; at += step) {
            const int64_t rows = vox_min(step, run - at);
            vox_status status =
                read_rows(r, i, plane * h->dim[2] + r->part.from[1] + at, rows, err);
            if (status)
                return status;
            convert(r, h, channel, d, row + at, rows, to, threads);
        }
    }
    return VOX_OK;
}

vox_status vox_reader_planes(vox_reader *r, int64_t n, int64_t d, int64_t count,
                             const vox_planes *to, int threads, vox_error *err) {
    vox_status status = make_spools(r, err);
    int64_t channel = 0;
    if (threads < 1)
        threads = omp_get_max_threads();
    for (int i = 0; i < r->in->count && !status; i++) {
        const vox_header *h = &r->in->file[i].header;
        const int64_t channels = vox_plane_order_of(h, r->layout.time_is_channels).channels;
        for (int64_t c = 0; c < channels && !status; c++, channel += h->type->components)
            status = read_channel(r, i, n, c, channel, d, count, to, threads, err);
    }
    return status;
}

vox_status vox_reader_finish(vox_reader *r, void (*warn)(void *user, const char *message),
                             void *user, vox_error *err) {
    for (int i = 0; i < r->in->count; i++) {
        vox_status status = vox_file_finish(&r->in->file[i], warn, user, err);
        if (status)
            return status;
    }
    return VOX_OK;
}

void vox_reader_counts(const vox_reader *r, int64_t *nan_count, int64_t *inf_count) {
    *nan_count = r->nan_count;
    *inf_count = r->inf_count;
}
