/* out_header.c - derives the output's header from the input's.
 *
 * The first input's header is kept byte for byte, in machine byte order, in its own NIfTI version.
 * These fields change, and no others:
 *
 *   datatype, bitpix         to the output's type
 *   scl_slope, scl_inter     to 1 and 0 where the input's scaling was applied or is not finite (the
 * stored values are the real ones now); kept with the input's own type vox_offset, magic        as
 * the form (single file or pair) and the extensions need; padding between the header and the voxels
 * is not kept dim[1..3], pixdim[1..3], where sizes, stride or origin change: the output voxel o
 * lies at input index qoffset, srow            o*stride + origin dim[0], dim[4], dim[5],  where
 * channels appear or vanish: several output channels go to the axis that the pixdim[4], pixdim[5]
 * input's came from, else to t where it is free, else to u; an axis that the input did not have
 * gets pixdim 1 slice_start, slice_end,  to 0 where the slice axis (z where dim_info names none) is
 * resampled: its slice_code,              timing no longer describes the slices slice_duration
 *   sizeof_hdr and the       where a size exceeds 32767, or a vox_offset is no float32, NIfTI-1
 * becomes NIfTI-2; layout                   the fields that only NIfTI-1 has (db_name, glmax, ...)
 * are left behind
 */
#include "volume/out_header.h"

#include "volume/geometry.h"
#include "volume/npy_header.h"

#include <math.h>
#include <string.h>

static vox_status choose_type(const vox_header *h, const vox_output *o, vox_out_header *out,
                              vox_error *err) {
    const bool keep = o->datatype == VOX_DATATYPE_INPUT;
    const int64_t channels = o->split ? 1 : o->channels;
    out->type = keep ? h->type : vox_datatype_find(o->datatype);
    if (!out->type)
        return vox_fail(err, VOX_ERR_UNSUPPORTED, "%s: datatype=%d: not a type that can be written",
                        o->path, o->datatype);
    if (out->type->components > 1 && out->type->components != channels)
        return vox_fail(err, VOX_ERR_USAGE,
                        "%s: datatype=%s: holds %d channels a voxel, the output has %lld%s",
                        o->path, out->type->name, out->type->components, (long long)channels,
                        o->split ? " a file" : "");
    out->scaling = (vox_scaling){.slope = 1};
    if (keep)
        out->scaling = h->scaling;
    return VOX_OK;
}

static void set_type(nifti_2_header *w, const vox_header *h, const vox_output *o,
                     const vox_out_header *out) {
    w->datatype = (int16_t)out->type->code;
    w->bitpix = (int16_t)(8 * out->type->bytes);
    if (o->datatype == VOX_DATATYPE_INPUT || !out->type->scalable)
        return;
    const double slope = h->wide.scl_slope, inter = h->wide.scl_inter;
    const bool applies = slope != 0 && !(slope == 1 && inter == 0);
    if (applies || !isfinite(inter)) { /* a slope that is not finite is neither 0 nor 1 */
        w->scl_slope = 1;
        w->scl_inter = 0;
    }
}

/* The output's axes: x, y, z of the grid, t and u of frames and channels; v and w as they were. */
static void set_dims(nifti_2_header *w, const vox_header *h, const vox_output *o, int64_t planes,
                     vox_out_header *out) {
    const bool time = o->layout.time_is_channels;
    const int64_t frames = h->tensor_axes ? h->dim[6] : time ? 1 : h->dim[4];
    int64_t dim[8], rank = h->dim[0];
    memcpy(dim, h->dim, sizeof dim);
    if (h->tensor_axes) { /* from a tensor N goes to t, where a NIfTI file has its batch */
        rank = 3;
        for (int i = 4; i <= 7; i++)
            dim[i] = w->dim[i] = 1;
    }
    for (int i = 1; i <= 3; i++)
        dim[i] = o->size[3 - i];
    dim[4] = frames;
    dim[5] = 1;
    if (planes > 1)
        dim[time || ((h->dim[5] == 1 || h->tensor_axes) && frames == 1) ? 4 : 5] = planes;
    for (int i = 1; i <= 5; i++)
        if (dim[i] > 1 && i > rank)
            rank = i;
    for (int i = 1; i <= rank; i++) {
        w->dim[i] = dim[i];
        if (i > h->dim[0] && (i > 3 || w->pixdim[i] == 0))
            w->pixdim[i] = 1;
    }
    w->dim[0] = rank;
    out->order = (vox_plane_order){.channels = planes, .inner = frames, .depth = dim[3]};
}

static void set_grid(nifti_2_header *w, const vox_header *h, const vox_output *o) {
    const int named = (w->dim_info >> 4) & 3, a = 3 - (named ? named : 3);
    if (o->size[a] != h->dim[3 - a] || o->stride[a] != 1 || o->origin[a] != 0) {
        w->slice_start = w->slice_end = 0;
        w->slice_code = 0;
        w->slice_duration = 0;
    }
    vox_geometry_move(w, o->stride, o->origin);
}

static vox_status set_extent(nifti_2_header *w, const vox_output *o, vox_out_header *out,
                             vox_error *err) {
    out->data_bytes = out->type->bytes;
    for (int i = 1; i <= w->dim[0]; i++)
        if (!vox_mul(out->data_bytes, w->dim[i], &out->data_bytes))
            return vox_fail(err, VOX_ERR_UNSUPPORTED,
                            "%s: dim[%d]=%lld: the output would exceed 2^63 bytes", o->path, i,
                            (long long)w->dim[i]);
    return VOX_OK;
}

/* x, y and z change places; an axis beyond the rank has one voxel. */
static void turn_dims(nifti_2_header *w, const vox_header *h, const vox_turn *t) {
    const int64_t in[3] = {h->dim[3], h->dim[2], h->dim[1]};
    int64_t out[3], rank = h->dim[0];
    vox_turn_size(t, in, out);
    for (int i = 1; i <= 3; i++)
        if (out[3 - i] > 1 && i > rank)
            rank = i;
    for (int i = 1; i <= 3 && i <= rank; i++)
        w->dim[i] = out[3 - i];
    w->dim[0] = rank;
}

/* Decides the version, which the offset depends on, and the other way round. */
static void set_form(nifti_2_header *w, const vox_header *h, bool pair, vox_out_header *out) {
    const int64_t behind = VOX_EXTENDER_BYTES + h->extensions_bytes;
    out->version = h->version;
    for (int i = 1; i <= w->dim[0]; i++)
        if (w->dim[i] > INT16_MAX)
            out->version = 2;
    const int64_t offset1 = VOX_NIFTI1_BYTES + behind;
    if (!pair && (int64_t)(float)offset1 != offset1)
        out->version = 2;
    out->header_bytes = out->version == 1 ? VOX_NIFTI1_BYTES : VOX_NIFTI2_BYTES;
    out->vox_offset = pair ? 0 : out->header_bytes + behind;
    w->vox_offset = out->vox_offset;
}

/* The bytes, in the version that set_form has decided on. */
static void pack(const vox_header *h, nifti_2_header *w, bool pair, vox_out_header *out) {
    out->voxel_mm3 = vox_geometry_voxel_mm3(w);
    if (out->version == 1) {
        nifti_1_header raw = h->raw1;
        vox_header_narrow(&h->wide, w, &raw);
        memcpy(raw.magic, pair ? "ni1" : "n+1", sizeof raw.magic);
        memcpy(out->bytes, &raw, sizeof raw);
    } else {
        w->magic[1] = pair ? 'i' : '+';
        memcpy(out->bytes, w, sizeof *w);
    }
    memcpy(out->bytes + out->header_bytes, h->extender, sizeof h->extender);
}

/* A tensor: (N, C, D, H, W), or the last axes of it. */
static vox_status make_npy(const vox_header *h, const vox_output *o, vox_out_header *out,
                           vox_error *err) {
    const int64_t planes = o->split ? 1 : o->channels;
    const int64_t shape[5] = {o->layout.batch, planes, o->size[0], o->size[1], o->size[2]};
    int axes = h->tensor_axes ? h->tensor_axes : 5;
    if (axes == 3 && planes > 1)
        axes = 4;
    if (out->type->components > 1)
        return vox_fail(err, VOX_ERR_USAGE, "%s: datatype=%s: a tensor has one value a place",
                        o->path, out->type->name);
    if (out->scaling.active)
        return vox_fail(err, VOX_ERR_USAGE,
                        "%s: datatype=input: stored values are scaled in the input (scl_slope=%g), "
                        "which a .npy file cannot say",
                        o->path, out->scaling.slope);
    if (!vox_product(shape, 5, &out->data_bytes) ||
        !vox_mul(out->data_bytes, out->type->bytes, &out->data_bytes))
        return vox_fail(err, VOX_ERR_UNSUPPORTED, "%s: the output would exceed 2^63 bytes",
                        o->path);
    out->npy = true;
    out->order = (vox_plane_order){.channels = planes, .inner = 1, .depth = o->size[0]};
    out->header_bytes = out->vox_offset = vox_npy_header_write(out->type->name[0], out->type->bytes,
                                                               axes, shape + 5 - axes, out->bytes);
    return VOX_OK;
}

vox_status vox_out_header_make(const vox_input *in, const vox_output *o,
                               const vox_output_name *name, vox_out_header *out, vox_error *err) {
    const vox_header *h = &in->file[0].header;
    const bool pair = name->pair;
    nifti_2_header w = h->wide;
    memset(out, 0, sizeof *out);
    vox_status status = choose_type(h, o, out, err);
    if (status)
        return status;
    if (name->npy || (name->stream && h->tensor_axes))
        return make_npy(h, o, out, err);
    set_type(&w, h, o, out);
    set_dims(&w, h, o, o->split || out->type->components > 1 ? 1 : o->channels, out);
    set_grid(&w, h, o);
    if ((status = set_extent(&w, o, out, err)))
        return status;
    set_form(&w, h, pair, out);
    pack(h, &w, pair, out);
    return VOX_OK;
}

vox_status vox_out_header_turned(const vox_header *h, const char *path, int datatype,
                                 const vox_turn *t, bool keep_affine, bool pair,
                                 vox_out_header *out, vox_error *err) {
    const vox_output o = {.path = path, .datatype = datatype, .channels = h->type->components};
    nifti_2_header w = h->wide;
    memset(out, 0, sizeof *out);
    vox_status status = choose_type(h, &o, out, err);
    if (status)
        return status;
    if (out->type->components != h->type->components)
        return vox_fail(err, VOX_ERR_UNSUPPORTED,
                        "%s: datatype=%s: a voxel has %d values (%s), which keep their type", path,
                        out->type->name, h->type->components, h->type->name);
    set_type(&w, h, &o, out);
    turn_dims(&w, h, t);
    if (!keep_affine)
        vox_geometry_turn(&w, t, (const int64_t[3]){h->dim[3], h->dim[2], h->dim[1]});
    if ((status = set_extent(&w, &o, out, err)))
        return status;
    set_form(&w, h, pair, out);
    pack(h, &w, pair, out);
    return VOX_OK;
}
