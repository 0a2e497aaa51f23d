/* turner.c - see turner.h. */
#include "volume/turner.h"

#include "volume/input.h"
#include "volume/layout.h"
#include "volume/out_file.h"

#include <assert.h>
#include <stdlib.h>

enum {
    SLAB_BYTES = 4 << 20,   /* where the order of the planes does not ask for more */
    CHUNK_VALUES = 1 << 16, /* that are changed at a time */
};

struct vox_turner {
    vox_file *in;
    vox_turned options;
    vox_out_header header;
    vox_out_file out;
    bool as_stored; /* elements are moved as they are */
    int64_t slab_planes, size[3], out_size[3];
    int64_t bytes, row_bytes, frame_bytes, frames; /* of the input; a voxel, a row, ... */
    unsigned char *slab, *plane, *chunk;
    float *values;
    vox_spool *spool;
    int64_t clamped;
};

/* The planes come as the file has them. */
static bool in_order(const vox_turn *t) {
    return t->axis[0] == 0 && !t->reversed[0];
}

/* What follows from header and options before anything is opened. */
static vox_status plan(vox_turner *r, const vox_input *in, const vox_turned *o, int64_t slab_planes,
                       const vox_output_name *name, vox_error *err) {
    vox_file *f = &in->file[0];
    const vox_header *h = &f->header;
    if (h->tensor_axes || name->npy) {
        vox_fail(err, VOX_ERR_UNSUPPORTED,
                 "%s: a tensor: it has no geometry that could follow; volumes are augmented",
                 h->tensor_axes ? vox_file_name(f) : o->path);
        return VOX_ERR_UNSUPPORTED;
    }
    const vox_status status = vox_out_header_turned(h, o->path, o->datatype, &o->turn,
                                                    o->keep_affine, name->pair, &r->header, err);
    if (status)
        return status;
    r->in = f;
    r->options = *o;
    for (int a = 0; a < 3; a++)
        r->size[a] = h->dim[3 - a];
    vox_turn_size(&o->turn, r->size, r->out_size);
    r->slab_planes = vox_min(slab_planes, r->out_size[0]);
    r->as_stored = !o->change && r->header.type == h->type &&
                   (o->datatype == VOX_DATATYPE_INPUT || !h->scaling.active);
    r->bytes = h->type->bytes; /* products of these are at most data_bytes, which was checked */
    r->row_bytes = r->size[2] * r->bytes;
    r->frame_bytes = r->size[0] * r->size[1] * r->row_bytes;
    r->frames = h->data_bytes / r->frame_bytes;
    return VOX_OK;
}

static int64_t slab_bytes(const vox_turner *r) {
    return r->slab_planes * r->out_size[1] * r->out_size[2] * r->bytes;
}

/* The rows of an input plane that a slab may need. */
static int64_t plane_bytes(const vox_turner *r) {
    return (r->options.turn.axis[0] == 1 ? r->slab_planes : r->size[1]) * r->row_bytes;
}

static int64_t chunk_bytes(const vox_turner *r) {
    return CHUNK_VALUES * (int64_t)(r->header.type->bytes / r->header.type->components);
}

static bool needs_spool(const vox_turner *r) {
    return !in_order(&r->options.turn) && r->slab_planes < r->out_size[0] &&
           !vox_source_positioned(r->in->data);
}

static vox_sink_options sink_options(const vox_turned *o, const vox_output_name *name) {
    return (vox_sink_options){
        .gzip = name->gzip, .level = o->compression, .threads = o->threads, .force = o->force};
}

int64_t vox_turner_good_slab(const vox_input *in, const vox_turned *o) {
    const vox_header *h = &in->file[0].header;
    const int64_t size[3] = {h->dim[3], h->dim[2], h->dim[1]};
    int64_t out[3];
    vox_turn_size(&o->turn, size, out);
    const bool by_plane =
        in_order(&o->turn) || (o->turn.axis[0] == 0 && vox_source_positioned(in->file[0].data));
    if (!by_plane) /* each pass over the input gives a slab: the fewer the better */
        return out[0];
    return vox_max(vox_min(SLAB_BYTES / (out[1] * out[2] * h->type->bytes), out[0]), 1);
}

vox_status vox_turner_memory(const vox_input *in, const vox_turned *o, int64_t slab_planes,
                             vox_turner_need *need, vox_error *err) {
    vox_turner r = {.in = NULL};
    vox_output_name name;
    vox_status status = vox_output_name_resolve(o->path, o->compression, -1, &name, err);
    if (!status)
        status = plan(&r, in, o, slab_planes, &name, err);
    if (!status) {
        const vox_sink_options options = sink_options(o, &name);
        const int64_t ends = (int64_t)sizeof r + 4 * (int64_t)VOX_ALIGN;
        need->source_bytes = (int64_t)sizeof *r.in + vox_source_memory(r.in->info.gzip) +
                             2 * r.in->header.extensions_bytes; /* grown by doubling */
        need->output_bytes = ends + vox_out_file_memory(&name, &options);
        need->slab_bytes =
            r.as_stored ? 0 : chunk_bytes(&r) + CHUNK_VALUES * (int64_t)sizeof(float);
        if (!vox_add(need->slab_bytes, slab_bytes(&r), &need->slab_bytes) ||
            !vox_add(need->slab_bytes, plane_bytes(&r), &need->slab_bytes))
            need->slab_bytes = INT64_MAX;
        need->spool_bytes = needs_spool(&r) ? r.frame_bytes : 0;
    }
    vox_output_name_clear(&name);
    return status;
}

vox_turner *vox_turner_new(vox_input *in, const vox_turned *o, int64_t slab_planes,
                           vox_error *err) {
    vox_output_name name = {.header = NULL};
    vox_status status = vox_file_begin(&in->file[0], err);
    if (status)
        return NULL;
    vox_turner *r = vox_alloc(1, sizeof *r, "turner", err);
    if (!r)
        return NULL;
    status = vox_output_name_resolve(o->path, o->compression, -1, &name, err);
    if (!status)
        status = plan(r, in, o, slab_planes, &name, err);
    if (!status) {
        const vox_sink_options options = sink_options(o, &name);
        status = vox_out_file_open(&r->out, &name, &options, &r->header, &r->in->header, err);
    }
    vox_output_name_clear(&name);
    if (!status)
        return r;
    vox_turner_free(r);
    return NULL;
}

static void free_buffers(vox_turner *r) {
    free(r->slab);
    free(r->plane);
    free(r->chunk);
    free(r->values);
    vox_spool_free(r->spool);
    r->slab = r->plane = r->chunk = NULL;
    r->values = NULL;
    r->spool = NULL;
}

void vox_turner_free(vox_turner *r) {
    if (!r)
        return;
    free_buffers(r);
    vox_out_file_clear(&r->out);
    free(r);
}

static vox_status make_buffers(vox_turner *r, vox_error *err) {
    r->slab = vox_alloc_uncleared(slab_bytes(r), 1, "slab", err);
    r->plane = vox_alloc_uncleared(plane_bytes(r), 1, "plane", err);
    if (!r->slab || !r->plane)
        return VOX_ERR_RESOURCE;
    if (!r->as_stored) {
        r->chunk = vox_alloc_uncleared(chunk_bytes(r), 1, "writer's buffer", err);
        r->values = vox_alloc_uncleared(CHUNK_VALUES, sizeof(float), "values", err);
        if (!r->chunk || !r->values)
            return VOX_ERR_RESOURCE;
    }
    if (needs_spool(r) && !(r->spool = vox_spool_new(r->frame_bytes, err)))
        return VOX_ERR_RESOURCE;
    return VOX_OK;
}

/* ---- Reading ---- */

/* The next frame of a stream, to be read by position. */
static vox_status fill_spool(vox_turner *r, vox_error *err) {
    for (int64_t at = 0; at < r->frame_bytes;) {
        const int64_t bytes = vox_min(slab_bytes(r), r->frame_bytes - at);
        vox_status status = vox_file_read(r->in, r->slab, bytes, err);
        if (!status)
            status = vox_spool_write_at(r->spool, r->slab, bytes, at, err);
        if (status)
            return status;
        at += bytes;
    }
    return VOX_OK;
}

static vox_status read_rows(vox_turner *r, int64_t frame, int64_t row, int64_t count,
                            vox_error *err) {
    const int64_t bytes = count * r->row_bytes, offset = row * r->row_bytes;
    vox_file *f = r->in;
    if (r->spool)
        return vox_spool_read_at(r->spool, r->plane, bytes, offset, err);
    if (vox_source_positioned(f->data))
        return vox_source_read_at(f->data, r->plane, bytes,
                                  f->header.vox_offset + frame * r->frame_bytes + offset, err);
    assert(f->taken == frame * r->frame_bytes + offset);
    return vox_file_read(f, r->plane, bytes, err);
}

static vox_status fill_slab(vox_turner *r, int64_t frame, int64_t d, int64_t count,
                            vox_error *err) {
    const vox_turn *t = &r->options.turn;
    const vox_box part = vox_turn_source(t, r->size, d, count);
    for (int64_t z = part.from[0]; z < part.to[0]; z++) {
        vox_status status =
            read_rows(r, frame, z * r->size[1] + part.from[1], vox_box_extent(&part, 1), err);
        if (status)
            return status;
        vox_turn_plane(t, r->size, &part, z, r->plane, d, r->slab, r->bytes, r->options.threads);
    }
    return VOX_OK;
}

/* ---- Writing ---- */

/* A type as single values. */
static vox_datatype scalar(const vox_datatype *t) {
    return (vox_datatype){
        .storage = t->storage, .components = 1, .bytes = t->bytes / t->components};
}

static vox_status write_as_stored(vox_turner *r, int64_t voxels, vox_error *err) {
    const vox_header *h = &r->in->header;
    const int size = h->type->bytes / h->type->components;
    if (h->swapped && size > 1)
        nifti_swap_Nbytes(voxels * h->type->components, size, r->slab);
    return vox_sink_write(r->out.data, r->slab, voxels * r->bytes, err);
}

static vox_status write_values(vox_turner *r, int64_t voxels, vox_error *err) {
    const vox_header *h = &r->in->header;
    const vox_datatype from = scalar(h->type), to = scalar(r->header.type);
    const int64_t total = voxels * h->type->components;
    for (int64_t at = 0; at < total; at += CHUNK_VALUES) {
        const int64_t n = vox_min(CHUNK_VALUES, total - at);
        vox_row_load(&from, h->swapped, &h->scaling, r->slab + at * from.bytes, 0, n, r->values);
        if (r->options.change)
            r->options.change(r->options.user, r->values, n);
        r->clamped += vox_row_store(&to, &r->header.scaling, r->values, 0, n, r->chunk);
        vox_status status = vox_sink_write(r->out.data, r->chunk, n * to.bytes, err);
        if (status)
            return status;
    }
    return VOX_OK;
}

vox_status vox_turner_run(vox_turner *r, void (*step)(void *user, int64_t voxels),
                          void (*warn)(void *user, const char *message), void *user,
                          vox_error *err) {
    const int64_t plane = r->out_size[1] * r->out_size[2];
    vox_status status = make_buffers(r, err);
    for (int64_t n = 0; n < r->frames && !status; n++) {
        if (r->spool)
            status = fill_spool(r, err);
        for (int64_t d = 0; d < r->out_size[0] && !status; d += r->slab_planes) {
            const int64_t count = vox_min(r->slab_planes, r->out_size[0] - d);
            status = fill_slab(r, n, d, count, err);
            if (!status)
                status = r->as_stored ? write_as_stored(r, count * plane, err)
                                      : write_values(r, count * plane, err);
            if (!status && step)
                step(user, count * plane);
        }
    }
    if (!status)
        status = vox_file_finish(r->in, warn, user, err);
    if (!status)
        status = vox_out_file_close(&r->out, err);
    free_buffers(r);
    return status;
}

int64_t vox_turner_clamped(const vox_turner *r) {
    return r->clamped;
}

vox_status vox_turner_publish(vox_turner *const *turners, int count, vox_error *err) {
    vox_out_file *files = vox_alloc(count, sizeof *files, "outputs", err);
    if (!files)
        return VOX_ERR_RESOURCE;
    for (int i = 0; i < count; i++)
        files[i] = turners[i]->out;
    const vox_status status = vox_out_files_publish(files, count, err);
    free(files);
    return status;
}
