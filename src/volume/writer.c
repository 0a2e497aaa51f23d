/* writer.c - float planes to NIfTI files, in the order in which the engine makes them.
 *
 * One channel (or interleaved ones) streams in file order. Several channels that lie one after the
 * other are written by position to a plain file; gzip and pipes take bytes in order only, so there
 * the planes wait in a spool until all channels of a frame (or of the frames, where channels follow
 * them) are there. What the header says is made in out_header.c.
 */
#include "volume/volume.h"

#include "stream/stream.h"
#include "volume/out_header.h"
#include "volume/output_name.h"

#include <omp.h>
#include <stdlib.h>

/* Stored bytes that are converted and written at a time; at least one plane. */
enum { CHUNK_BYTES = 4 << 20 };

typedef struct out_file {
    vox_sink *header; /* NULL where it is no pair */
    vox_sink *data;   /* with the header in front where it is no pair */
} out_file;

struct vox_writer {
    vox_out_header header;
    int64_t count, width, height, channels;
    out_file *file; /* [count]: one, or one a channel */
    int threads;
    int64_t plane_bytes, chunk_bytes;
    unsigned char *chunk;
    bool in_order;    /* the planes come as the file has them */
    vox_spool *spool; /* holds spool_planes, or NULL */
    int64_t spool_planes;
    int64_t nan_count, inf_count, clamped;
};

static vox_sink_options sink_options(const vox_output *o, const vox_output_name *name) {
    return (vox_sink_options){
        .gzip = name->gzip, .level = o->compression, .threads = o->threads, .force = o->force};
}

/* What follows from the options before anything is opened; w->file stays NULL. */
static vox_status plan(vox_writer *w, const vox_input *in, const vox_output *o,
                       const vox_output_name *name, vox_error *err) {
    vox_status status = vox_out_header_make(in, o, name->pair, &w->header, err);
    if (status)
        return status;
    const vox_plane_order *order = &w->header.order;
    w->count = o->split ? o->channels : 1;
    w->channels = o->channels;
    w->height = o->size[1];
    w->width = o->size[2];
    w->threads = o->threads > 0 ? o->threads : omp_get_max_threads();
    w->plane_bytes = o->size[1] * o->size[2] * w->header.type->bytes; /* <= data_bytes, checked */
    w->chunk_bytes = w->plane_bytes * vox_min(vox_min(vox_max(o->slab_planes, 1), order->depth),
                                              vox_max(1, CHUNK_BYTES / w->plane_bytes));
    w->in_order = order->channels == 1;
    w->spool_planes = order->channels * order->inner * order->depth;
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
    const int64_t each =
        (int64_t)sizeof(out_file) + (name.pair ? 2 : 1) * vox_sink_memory(&options);
    *memory_bytes = (int64_t)sizeof w + VOX_ALIGN;
    if (!vox_mul(w.count, each, &sinks) || !vox_add(*memory_bytes, sinks, memory_bytes) ||
        !vox_add(*memory_bytes, w.chunk_bytes, memory_bytes)) {
        status = vox_fail(err, VOX_ERR_RESOURCE, "%s: more bytes than can be addressed", o->path);
        goto out;
    }
    const bool spooled = !w.in_order && (name.gzip || name.device);
    *spool_bytes = spooled ? w.spool_planes * w.plane_bytes : 0;
out:
    vox_output_name_clear(&name);
    return status;
}

static vox_status write_header(const vox_writer *w, const vox_header *h, vox_sink *s,
                               vox_error *err) {
    vox_status status =
        vox_sink_write(s, w->header.bytes, w->header.header_bytes + VOX_EXTENDER_BYTES, err);
    if (!status && h->extensions_bytes > 0)
        status = vox_sink_write(s, h->extensions, h->extensions_bytes, err);
    return status;
}

static vox_status open_file(vox_writer *w, const vox_input *in, const vox_output *o, int64_t i,
                            vox_error *err) {
    out_file *f = &w->file[i];
    vox_output_name name;
    vox_error local = {.status = VOX_OK};
    vox_status status =
        vox_output_name_resolve(o->path, o->compression, o->split ? i : -1, &name, &local);
    if (!status) {
        const vox_sink_options options = sink_options(o, &name);
        f->data = vox_sink_open(name.pair ? name.data : name.header, &options, &local);
        if (f->data && name.pair)
            f->header = vox_sink_open(name.header, &options, &local);
        status = local.status;
    }
    if (!status)
        status = write_header(w, &in->file[0].header, name.pair ? f->header : f->data, &local);
    vox_output_name_clear(&name);
    if (status)
        vox_fail(err, status, "%s", local.message);
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
        w->spool = vox_spool_new(w->spool_planes * w->plane_bytes, err);
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
    for (int64_t i = 0; w->file && i < w->count; i++) {
        vox_sink_free(w->file[i].data);
        vox_sink_free(w->file[i].header);
    }
    vox_spool_free(w->spool);
    free(w->file);
    free(w->chunk);
    free(w);
}

/* Planes d to d+count of `channel` (of all channels, where they are interleaved) into the chunk. */
static void convert(vox_writer *w, int64_t channel, int64_t d, int64_t count,
                    const vox_planes *from) {
    const vox_datatype *type = w->header.type;
    const int64_t height = w->height, width = w->width, row_bytes = width * type->bytes;
    int64_t nans = 0, infs = 0, clamped = 0;
#pragma omp parallel for num_threads(w->threads) schedule(static)           \
    reduction(+ : nans, infs, clamped) if (count * height * width > 16384)
    for (int64_t row = 0; row < count * height; row++)
        for (int k = 0; k < type->components; k++) {
            const float *values = vox_plane_row(from, channel + k, d + row / height, row % height);
            vox_row_count(values, width, &nans, &infs);
            clamped += vox_row_store(type, &w->header.scaling, values, k, width,
                                     w->chunk + row * row_bytes);
        }
    w->nan_count += nans;
    w->inf_count += infs;
    w->clamped += clamped;
}

/* The chunk's `count` planes to where planes [index, index+count) of the file belong. */
static vox_status put(vox_writer *w, vox_sink *s, int64_t index, int64_t count, vox_error *err) {
    const int64_t bytes = count * w->plane_bytes;
    if (w->in_order)
        return vox_sink_write(s, w->chunk, bytes, err);
    if (w->spool)
        return vox_spool_write_at(w->spool, w->chunk, bytes,
                                  index % w->spool_planes * w->plane_bytes, err);
    return vox_sink_write_at(s, w->chunk, bytes, w->header.vox_offset + index * w->plane_bytes,
                             err);
}

static vox_status flush_spool(vox_writer *w, vox_error *err) {
    const int64_t total = w->spool_planes * w->plane_bytes;
    for (int64_t at = 0; at < total;) {
        const int64_t bytes = vox_min(w->chunk_bytes, total - at);
        vox_status status = vox_spool_read_at(w->spool, w->chunk, bytes, at, err);
        if (!status)
            status = vox_sink_write(w->file[0].data, w->chunk, bytes, err);
        if (status)
            return status;
        at += bytes;
    }
    return VOX_OK;
}

vox_status vox_writer_planes(vox_writer *w, int64_t n, int64_t d, int64_t count,
                             const vox_planes *from, vox_error *err) {
    const vox_plane_order *order = &w->header.order;
    const int64_t step = w->chunk_bytes / w->plane_bytes;
    for (int64_t i = 0; i < w->count; i++)
        for (int64_t c = 0; c < order->channels; c++)
            for (int64_t at = 0; at < count; at += step) {
                const int64_t planes = vox_min(step, count - at);
                convert(w, i + c, d + at, planes, from); /* i or c is 0: split, or one file */
                vox_status status =
                    put(w, w->file[i].data, vox_plane_index(order, n, c, d + at), planes, err);
                if (status)
                    return status;
            }
    const bool block_ends = d + count == order->depth && n % order->inner == order->inner - 1;
    return w->spool && block_ends ? flush_spool(w, err) : VOX_OK;
}

vox_status vox_writer_finish(vox_writer *w, vox_error *err) {
    vox_status status = VOX_OK;
    for (int64_t i = 0; !status && i < w->count; i++) {
        status = vox_sink_close(w->file[i].data, err);
        if (!status && w->file[i].header)
            status = vox_sink_close(w->file[i].header, err);
    }
    /* A header never appears before the voxels that it describes. */
    for (int64_t i = 0; !status && i < w->count; i++) {
        status = vox_sink_publish(w->file[i].data, err);
        if (!status && w->file[i].header)
            status = vox_sink_publish(w->file[i].header, err);
    }
    return status;
}

void vox_writer_counts(const vox_writer *w, int64_t *nan_count, int64_t *inf_count,
                       int64_t *clamped) {
    *nan_count = w->nan_count;
    *inf_count = w->inf_count;
    *clamped = w->clamped;
}
