/* writer.c - float planes to NIfTI files and tensors, in the order in which the engine makes them.
 *
 * One channel (or interleaved ones) streams in file order. Several channels that lie one after the
 * other are written by position to a plain file; gzip and pipes take bytes in order only, so there
 * the planes wait in a spool until all channels of a frame (or of the frames, where channels follow
 * them) are there. Patches of planes likewise. What the header says is made in out_header.c.
 */
#include "volume/volume.h"

#include "volume/out_file.h"

#include <omp.h>
#include <stdlib.h>

/* Stored bytes that are converted and written at a time; at least one row. */
enum { CHUNK_BYTES = 4 << 20 };

struct vox_writer {
    vox_out_header header;
    int64_t count, width, height, channels;
    vox_out_file *file; /* [count]: one, or one a channel */
    int threads;
    vox_box part;
    int64_t plane_bytes, chunk_bytes;
    unsigned char *chunk;
    bool in_order;    /* the planes come as the file has them */
    vox_spool *spool; /* holds spool_share bytes for each file, or NULL */
    int64_t spool_share, spool_bytes;
    int64_t nan_count, inf_count, clamped;
};

/* Files of a split output share the threads that compress: each holds blocks for every one. */
static vox_sink_options sink_options(const vox_output *o, const vox_output_name *name) {
    const int64_t share = o->split ? vox_max(o->threads / o->channels, 1) : o->threads;
    return (vox_sink_options){
        .gzip = name->gzip, .level = o->compression, .threads = (int)share, .force = o->force};
}

static vox_status too_many_bytes(const vox_output *o, vox_error *err) {
    return vox_fail(err, VOX_ERR_RESOURCE, "%s: more bytes than can be addressed", o->path);
}

/* What follows from the options before anything is opened; w->file stays NULL. */
static vox_status plan(vox_writer *w, const vox_input *in, const vox_output *o,
                       const vox_output_name *name, vox_error *err) {
    vox_status status = vox_out_header_make(in, o, name, &w->header, err);
    if (status)
        return status;
    const vox_plane_order *order = &w->header.order;
    w->count = o->split ? o->channels : 1;
    w->channels = o->channels;
    w->height = o->size[1];
    w->width = o->size[2];
    w->threads = o->threads > 0 ? o->threads : omp_get_max_threads();
    w->plane_bytes = o->size[1] * o->size[2] * w->header.type->bytes; /* <= data_bytes, checked */
    const int64_t slab = w->plane_bytes * vox_min(vox_max(o->slab_planes, 1), order->depth);
    w->chunk_bytes = vox_max(vox_min(slab, CHUNK_BYTES), w->width * w->header.type->bytes);
    w->in_order = order->channels == 1 && !o->patches;
    for (int i = 0; i < 3; i++)
        w->part.to[i] = o->size[i];
    w->spool_share = order->channels * order->inner * order->depth * w->plane_bytes;
    if (!vox_mul(w->count, w->spool_share, &w->spool_bytes))
        return too_many_bytes(o, err);
    return VOX_OK;
}

vox_status vox_writer_memory(const vox_input *in, const vox_output *o, int64_t *memory_bytes,
                             int64_t *spool_bytes, vox_error *err) {
    vox_writer w = {.count = 0};
    vox_output_name name;
    int64_t sinks = 0;
    vox_status status =
        vox_output_name_resolve(o->path, o->compression, o->split ? 0 : -1, &name, err);
    if (status || (status = plan(&w, in, o, &name, err)))
        goto out;
    const vox_sink_options options = sink_options(o, &name);
    const int64_t each = vox_out_file_memory(&name, &options);
    *memory_bytes = (int64_t)sizeof w + VOX_ALIGN;
    if (!vox_mul(w.count, each, &sinks) || !vox_add(*memory_bytes, sinks, memory_bytes) ||
        !vox_add(*memory_bytes, w.chunk_bytes, memory_bytes)) {
        status = too_many_bytes(o, err);
        goto out;
    }
    const bool spooled = !w.in_order && (name.gzip || name.device);
    *spool_bytes = spooled ? w.spool_bytes : 0;
out:
    vox_output_name_clear(&name);
    return status;
}

static vox_status open_file(vox_writer *w, const vox_input *in, const vox_output *o, int64_t i,
                            vox_error *err) {
    vox_output_name name;
    vox_status status =
        vox_output_name_resolve(o->path, o->compression, o->split ? i : -1, &name, err);
    if (!status) {
        const vox_sink_options options = sink_options(o, &name);
        status =
            vox_out_file_open(&w->file[i], &name, &options, &w->header, &in->file[0].header, err);
    }
    vox_output_name_clear(&name);
    return status;
}

static vox_status open_files(vox_writer *w, const vox_input *in, const vox_output *o,
                             vox_error *err) {
    vox_output_name name;
    vox_status status =
        vox_output_name_resolve(o->path, o->compression, o->split ? 0 : -1, &name, err);
    if (!status)
        status = plan(w, in, o, &name, err);
    vox_output_name_clear(&name);
    if (status)
        return status;
    w->file = vox_alloc(w->count, sizeof *w->file, "writer", err);
    w->chunk = vox_alloc(w->chunk_bytes, 1, "writer's buffer", err);
    if (!w->file || !w->chunk)
        return VOX_ERR_RESOURCE;
    for (int64_t i = 0; i < w->count; i++)
        if ((status = open_file(w, in, o, i, err)))
            return status;
    if (!w->in_order && !vox_sink_positioned(w->file[0].data)) {
        w->spool = vox_spool_new(w->spool_bytes, err);
        if (!w->spool)
            return VOX_ERR_RESOURCE;
    }
    return VOX_OK;
}

vox_writer *vox_writer_new(const vox_input *in, const vox_output *o, vox_error *err) {
    vox_writer *w = vox_alloc(1, sizeof *w, "writer", err);
    if (w && open_files(w, in, o, err)) {
        vox_writer_free(w);
        w = NULL;
    }
    return w;
}

void vox_writer_free(vox_writer *w) {
    if (!w)
        return;
    for (int64_t i = 0; w->file && i < w->count; i++)
        vox_out_file_clear(&w->file[i]);
    vox_spool_free(w->spool);
    free(w->file);
    free(w->chunk);
    free(w);
}

void vox_writer_part(vox_writer *w, const vox_box *part) {
    w->part = *part;
}

/* Rows [first, first+count) of those of the part's planes from plane d on, of `channel` (of all
 * channels, where they are interleaved), into the chunk. */
static void convert(vox_writer *w, int64_t channel, int64_t d, int64_t first, int64_t count,
                    const vox_planes *from) {
    const vox_datatype *type = w->header.type;
    const int64_t height = vox_box_extent(&w->part, 1), width = vox_box_extent(&w->part, 2);
    const int64_t bytes = width * type->bytes;
    int64_t nans = 0, infs = 0, clamped = 0;
#pragma omp parallel for num_threads(w->threads) schedule(static)           \
    reduction(+ : nans, infs, clamped) if (count * width > 16384)
    for (int64_t i = 0; i < count; i++)
        for (int k = 0; k < type->components; k++) {
            const int64_t row = first + i;
            const float *values = vox_plane_row(from, channel + k, d + row / height, row % height);
            vox_row_count(values, width, &nans, &infs);
            clamped +=
                vox_row_store(type, &w->header.scaling, values, k, width, w->chunk + i * bytes);
        }
    w->nan_count += nans;
    w->inf_count += infs;
    w->clamped += clamped;
}

/* `bytes` of the chunk to `offset` of the voxels of file i. */
static vox_status put(vox_writer *w, int64_t i, const unsigned char *chunk, int64_t offset,
                      int64_t bytes, vox_error *err) {
    vox_sink *s = w->file[i].data;
    if (w->in_order)
        return vox_sink_write(s, chunk, bytes, err);
    if (w->spool)
        return vox_spool_write_at(w->spool, chunk, bytes,
                                  i * w->spool_share + offset % w->spool_share, err);
    return vox_sink_write_at(s, chunk, bytes, w->header.vox_offset + offset, err);
}

/* The chunk's `count` rows to the part's columns of the rows from `row` on of file i, counted from
 * its first voxel. */
static vox_status put_rows(vox_writer *w, int64_t i, int64_t row, int64_t count, vox_error *err) {
    const int64_t bytes = w->header.type->bytes, whole = w->width * bytes;
    const int64_t part = vox_box_extent(&w->part, 2) * bytes;
    if (part == whole)
        return put(w, i, w->chunk, row * whole, count * whole, err);
    for (int64_t k = 0; k < count; k++) {
        const int64_t offset = (row + k) * whole + w->part.from[2] * bytes;
        vox_status status = put(w, i, w->chunk + k * part, offset, part, err);
        if (status)
            return status;
    }
    return VOX_OK;
}

static vox_status flush_spool(vox_writer *w, vox_error *err) {
    for (int64_t i = 0; i < w->count; i++)
        for (int64_t at = 0; at < w->spool_share;) {
            const int64_t bytes = vox_min(w->chunk_bytes, w->spool_share - at);
            vox_status status =
                vox_spool_read_at(w->spool, w->chunk, bytes, i * w->spool_share + at, err);
            if (!status)
                status = vox_sink_write(w->file[i].data, w->chunk, bytes, err);
            if (status)
                return status;
            at += bytes;
        }
    return VOX_OK;
}

/* Planes [d, d+count) of the part, of one channel; of file i or of channel c, one of which is 0.
 * Their rows lie one after the other where the part has all of a plane's, else plane by plane. */
static vox_status write_channel(vox_writer *w, int64_t i, int64_t n, int64_t c, int64_t d,
                                int64_t count, const vox_planes *from, vox_error *err) {
    const int64_t height = vox_box_extent(&w->part, 1), width = vox_box_extent(&w->part, 2);
    const int64_t step = w->chunk_bytes / (width * w->header.type->bytes);
    const int64_t run = height == w->height ? count * height : height;
    for (int64_t row = 0; row < count * height; row += run) {
        const int64_t plane =
            vox_plane_index(&w->header.order, n, c, w->part.from[0] + d + row / height);
        for (int64_t at = 0; at < run; at += step) {
            const int64_t rows = vox_min(step, run - at);
            convert(w, i + c, d, row + at, rows, from);
            vox_status status = put_rows(w, i, plane * w->height + w->part.from[1] + at, rows, err);
            if (status)
                return status;
        }
    }
    return VOX_OK;
}

vox_status vox_writer_planes(vox_writer *w, int64_t n, int64_t d, int64_t count,
                             const vox_planes *from, vox_error *err) {
    const vox_plane_order *order = &w->header.order;
    for (int64_t i = 0; i < w->count; i++)
        for (int64_t c = 0; c < order->channels; c++) {
            vox_status status = write_channel(w, i, n, c, d, count, from, err);
            if (status)
                return status;
        }
    const bool frame_ends = w->part.from[0] + d + count == order->depth &&
                            w->part.to[1] == w->height && w->part.to[2] == w->width;
    const bool block_ends = frame_ends && n % order->inner == order->inner - 1;
    return w->spool && block_ends ? flush_spool(w, err) : VOX_OK;
}

vox_status vox_writer_finish(vox_writer *w, vox_error *err) {
    vox_status status = VOX_OK;
    for (int64_t i = 0; !status && i < w->count; i++)
        status = vox_out_file_close(&w->file[i], err);
    return status ? status : vox_out_files_publish(w->file, w->count, err);
}

void vox_writer_counts(const vox_writer *w, int64_t *nan_count, int64_t *inf_count,
                       int64_t *clamped) {
    *nan_count = w->nan_count;
    *inf_count = w->inf_count;
    *clamped = w->clamped;
}

double vox_writer_voxel_mm3(const vox_writer *w) {
    return w->header.voxel_mm3;
}
