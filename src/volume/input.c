/* input.c - opens NIfTI files and tensors, checks that they lie on one grid, and tells what their
 * headers say.
 */
#include "volume/input.h"

#include "volume/geometry.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- One file ---- */

const char *vox_file_name(const vox_file *f) {
    return f->data_path ? f->data_path : vox_path_text(f->path);
}

vox_status vox_file_begin(vox_file *f, vox_error *err) {
    if (f->used)
        return vox_fail(err, VOX_ERR_USAGE, "%s: its voxels were read already; open it again",
                        vox_file_name(f));
    f->used = true;
    return VOX_OK;
}

vox_status vox_file_read(vox_file *f, void *buf, int64_t bytes, vox_error *err) {
    int64_t got;
    vox_status status = vox_source_read(f->data, buf, bytes, &got, err);
    if (status)
        return status;
    f->taken += got;
    if (got < bytes)
        return vox_fail(err, VOX_ERR_INPUT,
                        "%s: the data end after %lld bytes of voxels, the header promises %lld",
                        vox_file_name(f), (long long)f->taken, (long long)f->header.data_bytes);
    return VOX_OK;
}

vox_status vox_file_finish(vox_file *f, void (*warn)(void *user, const char *message), void *user,
                           vox_error *err) {
    const int64_t length = vox_source_bytes(f->data);
    int64_t trailing = length - f->header.vox_offset - f->header.data_bytes;
    char message[1100];
    if (length < 0) {
        vox_status status = vox_source_finish(f->data, &trailing, err);
        if (status)
            return status;
    }
    if (trailing <= 0 || !warn)
        return VOX_OK;
    if (length >= 0 || f->info.gzip)
        snprintf(message, sizeof message, "%s: %lld bytes after the voxels are ignored",
                 vox_file_name(f), (long long)trailing);
    else /* a pipe is not read to its end to count them */
        snprintf(message, sizeof message, "%s: data after the voxels are ignored",
                 vox_file_name(f));
    warn(user, message);
    return VOX_OK;
}

/* The numbers of the header under their NIfTI names. */
static void fill_numbers(vox_volume_info *v, const nifti_2_header *h) {
    memcpy(v->dim, h->dim, sizeof v->dim);
    memcpy(v->pixdim, h->pixdim, sizeof v->pixdim);
    v->datatype = h->datatype;
    v->bitpix = h->bitpix;
    v->scl_slope = h->scl_slope;
    v->scl_inter = h->scl_inter;
    v->cal_min = h->cal_min;
    v->cal_max = h->cal_max;
    v->toffset = h->toffset;
    v->slice_duration = h->slice_duration;
    v->slice_start = h->slice_start;
    v->slice_end = h->slice_end;
    v->slice_code = h->slice_code;
    v->dim_info = (unsigned char)h->dim_info;
    v->xyzt_units = h->xyzt_units & 0xff;
    v->intent_code = h->intent_code;
    v->qform_code = h->qform_code;
    v->sform_code = h->sform_code;
    const double p[3] = {h->intent_p1, h->intent_p2, h->intent_p3};
    const double q[3] = {h->quatern_b, h->quatern_c, h->quatern_d};
    const double offset[3] = {h->qoffset_x, h->qoffset_y, h->qoffset_z};
    memcpy(v->intent_p, p, sizeof p);
    memcpy(v->quatern, q, sizeof q);
    memcpy(v->qoffset, offset, sizeof offset);
    memcpy(v->srow[0], h->srow_x, sizeof v->srow[0]);
    memcpy(v->srow[1], h->srow_y, sizeof v->srow[1]);
    memcpy(v->srow[2], h->srow_z, sizeof v->srow[2]);
    memcpy(v->intent_name, h->intent_name, sizeof h->intent_name);
    memcpy(v->descrip, h->descrip, sizeof h->descrip);
    memcpy(v->aux_file, h->aux_file, sizeof h->aux_file);
}

static void fill_info(vox_file *f) {
    const vox_header *h = &f->header;
    vox_volume_info *v = &f->info;
    fill_numbers(v, &h->wide);
    v->path = f->path;
    v->nifti_version = h->tensor_axes ? 0 : h->version;
    v->tensor_axes = h->tensor_axes;
    v->gzip = vox_source_is_gzip(f->data);
    v->pair = h->pair;
    v->swapped = h->swapped;
    v->datatype_name = h->type->name;
    snprintf(v->affine_source, sizeof v->affine_source, "%s",
             vox_geometry_affine(&h->wide, v->affine));
    vox_geometry_orientation(v->affine, v->orientation);
    v->vox_offset = h->vox_offset;
    v->extension_count = h->extension_count;
    v->extension_code = h->extension_code;
    v->extension_bytes = h->extension_bytes;
    v->data_bytes = h->data_bytes;
}

static vox_status open_file(vox_file *f, const char *path, vox_error *err) {
    char *header_path = NULL;
    vox_status status = VOX_ERR_RESOURCE;
    vox_error local = {.status = VOX_OK};
    err = err ? err : &local; /* its status is asked for below */
    f->path = vox_strdup(path, err);
    if (!f->path || (status = vox_pair_header_name(path, &header_path, err)))
        goto out;
    f->data = vox_source_open(header_path ? header_path : path, VOX_ERR_INPUT, err);
    if (!f->data) {
        status = err->status;
        goto out;
    }
    if ((status = vox_header_read(f->data, &f->header, err)))
        goto out;
    if (f->header.pair) {
        vox_source_free(f->data);
        f->data = NULL;
        if ((status = vox_pair_open_data(f, header_path ? header_path : path, err)))
            goto out;
    } else if (header_path) {
        status = vox_fail(err, VOX_ERR_INPUT,
                          "%s: magic=\"n+%d\": a file of its own, not the header of %s",
                          header_path, f->header.version, path);
        goto out;
    }
    fill_info(f);
out:
    free(header_path);
    return status;
}

/* ---- Several files ---- */

/* The first axis in which two files differ, or 0. */
static int differing_axis(const vox_header *a, const vox_header *b) {
    for (int i = 1; i <= 7; i++)
        if (a->dim[i] != b->dim[i])
            return i;
    return 0;
}

/* Affines may differ by 1e-3 of a voxel in each column: float32 headers of one scan, written by
 * different programs or once as sform and once as qform, differ by less. */
static bool same_column(const double a[3][4], const double b[3][4], int column) {
    double smallest = INFINITY, difference = 0;
    for (int c = 0; c < 3; c++)
        smallest = fmin(smallest, hypot(hypot(a[0][c], a[1][c]), a[2][c]));
    for (int r = 0; r < 3; r++)
        difference = fmax(difference, fabs(a[r][column] - b[r][column]));
    return difference <= 1e-3 * smallest;
}

int vox_affine_difference(const double a[3][4], const double b[3][4]) {
    for (int c = 0; c < 4; c++)
        if (!same_column(a, b, c))
            return c;
    return -1;
}

/* Tensors have a shape and no grid. */
static vox_status check_shape(const vox_file *a, const vox_file *b, vox_error *err) {
    char shape[VOX_SHAPE_TEXT], first[VOX_SHAPE_TEXT];
    if (!a->header.tensor_axes || !b->header.tensor_axes)
        return vox_fail(err, VOX_ERR_INPUT,
                        "%s: a %s, and %s is a %s: files stacked as channels are of one kind",
                        vox_path_text(b->path), b->header.tensor_axes ? "tensor" : "NIfTI volume",
                        vox_path_text(a->path), a->header.tensor_axes ? "tensor" : "NIfTI volume");
    if (differing_axis(&a->header, &b->header))
        return vox_fail(err, VOX_ERR_INPUT,
                        "%s: shape=%s: %s has %s; files stacked as channels share one shape",
                        vox_path_text(b->path), vox_header_shape_text(&b->header, shape),
                        vox_path_text(a->path), vox_header_shape_text(&a->header, first));
    return VOX_OK;
}

static vox_status check_grid(const vox_file *a, const vox_file *b, vox_error *err) {
    if (a->header.tensor_axes || b->header.tensor_axes)
        return check_shape(a, b, err);
    const int axis = differing_axis(&a->header, &b->header);
    if (axis)
        return vox_fail(err, VOX_ERR_INPUT,
                        "%s: dim[%d]=%lld: %s has %lld; files stacked as channels share one grid",
                        vox_path_text(b->path), axis, (long long)b->header.dim[axis],
                        vox_path_text(a->path), (long long)a->header.dim[axis]);
    const int c = vox_affine_difference(a->info.affine, b->info.affine);
    if (c >= 0) {
        const double(*m)[4] = b->info.affine, (*n)[4] = a->info.affine;
        return vox_fail(err, VOX_ERR_INPUT,
                        "%s: %s column %d=(%g, %g, %g): %s has (%g, %g, %g); files stacked as "
                        "channels share one grid",
                        vox_path_text(b->path), b->info.affine_source, c, m[0][c], m[1][c], m[2][c],
                        vox_path_text(a->path), n[0][c], n[1][c], n[2][c]);
    }
    return VOX_OK;
}

static vox_status open_all(vox_input *in, const char *const *paths, vox_error *err) {
    bool stdin_taken = false;
    for (int i = 0; i < in->count; i++) {
        const bool is_stdin = strcmp(paths[i], "-") == 0;
        if (is_stdin && stdin_taken)
            return vox_fail(err, VOX_ERR_USAGE, "stdin: can be one input only");
        stdin_taken |= is_stdin;
        vox_status status = open_file(&in->file[i], paths[i], err);
        if (!status && i > 0)
            status = check_grid(&in->file[0], &in->file[i], err);
        if (status)
            return status;
    }
    return VOX_OK;
}

vox_input *vox_input_open(const char *const *paths, int count, vox_error *err) {
    if (count < 1) {
        vox_fail(err, VOX_ERR_USAGE, "no input file is named");
        return NULL;
    }
    vox_input *in = vox_alloc(1, sizeof *in, "input", err);
    if (!in)
        return NULL;
    in->file = vox_alloc(count, sizeof *in->file, "input", err);
    in->count = in->file ? count : 0;
    if (!in->file || open_all(in, paths, err)) {
        vox_input_free(in);
        return NULL;
    }
    return in;
}

void vox_input_free(vox_input *in) {
    if (!in)
        return;
    for (int i = 0; i < in->count; i++) {
        vox_file *f = &in->file[i];
        vox_source_free(f->data);
        vox_header_clear(&f->header);
        free(f->data_path);
        free(f->path);
    }
    free(in->file);
    free(in);
}

int vox_input_count(const vox_input *in) {
    return in->count;
}

const vox_volume_info *vox_input_info(const vox_input *in, int i) {
    return &in->file[i].info;
}
