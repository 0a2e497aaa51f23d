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
 * enough to stay in the cache. At least one plane. */
enum { CHUNK_BYTES = 4 << 20 };

struct vox_reader {
    vox_input *in;
    vox_layout layout;
    int64_t chunk_bytes;
    unsigned char *chunk;
    vox_spool **spool; /* [in->count]: NULL where the file is read itself */
    int64_t nan_count, inf_count;
};

static int64_t plane_bytes(const vox_header *h) {
    return h->dim[1] * h->dim[2] * h->type->bytes;
}

static bool is_sequential(const vox_file *f, const vox_layout *layout) {
    return vox_plane_order_of(&f->header, layout->time_is_channels).channels == 1;
}

/* Decompressed voxels wait on disk where channels lie one after the other and the file has no
 * positions. */
static bool needs_spool(const vox_file *f, const vox_layout *layout) {
    return !is_sequential(f, layout) && !vox_source_positioned(f->data);
}

static int64_t chunk_size(const vox_input *in, int64_t slab_planes) {
    int64_t largest = 1;
    for (int i = 0; i < in->count; i++) {
        const int64_t plane = plane_bytes(&in->file[i].header);
        const int64_t planes = vox_min(vox_min(slab_planes, in->file[i].header.dim[3]),
                                       vox_max(1, CHUNK_BYTES / plane));
        largest = vox_max(largest, planes * plane);
    }
    return largest;
}

vox_status vox_reader_memory(const vox_input *in, const vox_layout *layout, int64_t slab_planes,
                             int64_t *memory_bytes, int64_t *spool_bytes, vox_error *err) {
    int64_t memory = (int64_t)sizeof(vox_reader), spool = 0;
    bool fits = vox_add(memory, chunk_size(in, slab_planes) + VOX_ALIGN, &memory);
    for (int i = 0; i < in->count; i++) {
        const vox_file *f = &in->file[i];
        fits =
            fits && vox_add(memory, (int64_t)sizeof *f + vox_source_memory(f->info.gzip), &memory);
        fits = fits &&
               vox_add(memory, 2 * f->header.extensions_bytes, &memory); /* grown by doubling */
        if (needs_spool(f, layout))
            fits = fits && vox_add(spool, f->header.data_bytes, &spool);
    }
    *memory_bytes = memory;
    *spool_bytes = spool;
    return fits ? VOX_OK
                : vox_fail(err, VOX_ERR_RESOURCE, "%s: more bytes than can be addressed",
                           vox_file_name(&in->file[0]));
}

vox_reader *vox_reader_new(vox_input *in, const vox_layout *layout, int64_t slab_planes,
                           vox_error *err) {
    for (int i = 0; i < in->count; i++)
        if (vox_file_begin(&in->file[i], err))
            return NULL;
    vox_reader *r = vox_alloc(1, sizeof *r, "reader", err);
    if (!r)
        return NULL;
    r->in = in;
    r->layout = *layout;
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
        if (r->spool[i] || !needs_spool(f, &r->layout))
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

/* Stored planes [index, index+count) of file i into the chunk. */
static vox_status read_stored(vox_reader *r, int i, int64_t index, int64_t count, vox_error *err) {
    vox_file *f = &r->in->file[i];
    const int64_t plane = plane_bytes(&f->header);
    if (r->spool[i])
        return vox_spool_read_at(r->spool[i], r->chunk, count * plane, index * plane, err);
    if (!is_sequential(f, &r->layout))
        return vox_source_read_at(f->data, r->chunk, count * plane,
                                  f->header.vox_offset + index * plane, err);
    assert(f->taken == index * plane); /* ascending, each once */
    return vox_file_read(f, r->chunk, count * plane, err);
}

/* See vox_machine_nan(). */
static void unify_nan(float *row, int64_t n) {
    const float nan = vox_machine_nan();
    for (int64_t i = 0; i < n; i++)
        row[i] = row[i] == row[i] ? row[i] : nan;
}

/* The chunk's planes, which are planes d to d+count of `channel` and, with components, the ones
 * after it. */
static void convert(vox_reader *r, const vox_header *h, int64_t channel, int64_t d, int64_t count,
                    const vox_planes *to, int threads) {
    const int64_t height = h->dim[2], width = h->dim[1], row_bytes = width * h->type->bytes;
    int64_t nans = 0, infs = 0;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : nans, infs)   \
    if (count * height * width > 16384)
    for (int64_t row = 0; row < count * height; row++)
        for (int k = 0; k < h->type->components; k++) {
            float *out = vox_plane_row(to, channel + k, d + row / height, row % height);
            vox_row_load(h->type, h->swapped, &h->scaling, r->chunk + row * row_bytes, k, width,
                         out);
            const int64_t nans_before = nans;
            vox_row_count(out, width, &nans, &infs);
            if (nans > nans_before)
                unify_nan(out, width);
        }
    r->nan_count += nans;
    r->inf_count += infs;
}

vox_status vox_reader_planes(vox_reader *r, int64_t n, int64_t d, int64_t count,
                             const vox_planes *to, int threads, vox_error *err) {
    vox_status status = make_spools(r, err);
    int64_t channel = 0;
    if (status)
        return status;
    if (threads < 1)
        threads = omp_get_max_threads();
    for (int i = 0; i < r->in->count; i++) {
        const vox_header *h = &r->in->file[i].header;
        const vox_plane_order order = vox_plane_order_of(h, r->layout.time_is_channels);
        const int64_t step = r->chunk_bytes / plane_bytes(h);
        for (int64_t c = 0; c < order.channels; c++, channel += h->type->components)
            for (int64_t at = 0; at < count; at += step) {
                const int64_t planes = vox_min(step, count - at);
                status = read_stored(r, i, vox_plane_index(&order, n, c, d + at), planes, err);
                if (status)
                    return status;
                convert(r, h, channel, d + at, planes, to, threads);
            }
    }
    return VOX_OK;
}

vox_status vox_reader_finish(vox_reader *r, void (*warn)(void *user, const char *message),
                             void *user, vox_error *err) {
    for (int i = 0; i < r->in->count; i++) {
        vox_file *f = &r->in->file[i];
        const int64_t length = vox_source_bytes(f->data);
        int64_t trailing = length - f->header.vox_offset - f->header.data_bytes;
        char message[1100];
        if (length < 0) {
            vox_status status = vox_source_finish(f->data, &trailing, err);
            if (status)
                return status;
        }
        if (trailing <= 0 || !warn)
            continue;
        if (length >= 0 || f->info.gzip)
            snprintf(message, sizeof message, "%s: %lld bytes after the voxels are ignored",
                     vox_file_name(f), (long long)trailing);
        else /* a pipe is not read to its end to count them */
            snprintf(message, sizeof message, "%s: data after the voxels are ignored",
                     vox_file_name(f));
        warn(user, message);
    }
    return VOX_OK;
}

void vox_reader_counts(const vox_reader *r, int64_t *nan_count, int64_t *inf_count) {
    *nan_count = r->nan_count;
    *inf_count = r->inf_count;
}
