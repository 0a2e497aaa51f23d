/* json.c - plans, reports and headers as JSON, through jansson.
 *
 * Numbers that JSON has no word for (NaN, infinities) become null.
 */
#include "cli/cli.h"
#include "cli/report.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *real(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

/* Puts the value at the end of *array, which becomes NULL where memory fails it. */
static void append(json_t **array, json_t *value) {
    if (json_array_append_new(*array, value)) {
        json_decref(*array);
        *array = NULL;
    }
}

static json_t *reals(const double *values, int count) {
    json_t *array = json_array();
    for (int i = 0; i < count; i++)
        append(&array, real(values[i]));
    return array;
}

static json_t *integers(const int64_t *values, int count) {
    json_t *array = json_array();
    for (int i = 0; i < count; i++)
        append(&array, json_integer(values[i]));
    return array;
}

/* A header's text has no stated encoding: UTF-8 where it is, else each byte as Latin-1. */
static json_t *text(const char *value) {
    errno = 0;
    json_t *utf8 = json_string(value);
    if (utf8 || errno == ENOMEM)
        return utf8;
    char *converted = malloc(2 * strlen(value) + 1), *to = converted;
    if (!converted)
        return NULL;
    for (; *value; value++) {
        const unsigned char c = (unsigned char)*value;
        if (c >= 0x80)
            *to++ = (char)(0xc0 | c >> 6);
        *to++ = (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c);
    }
    *to = 0;
    json_t *latin1 = json_string(converted);
    free(converted);
    return latin1;
}

/* An object under construction, and whether memory has failed it. */
typedef struct object {
    json_t *json;
    bool failed;
} object;

static void put(object *o, const char *name, json_t *value) {
    if (json_object_set_new(o->json, name, value))
        o->failed = true;
}

/* As a part of something else; NULL where memory has failed it. */
static json_t *finished(object *o) {
    if (!o->failed)
        return o->json;
    json_decref(o->json);
    return NULL;
}

/* Prints and frees. */
static vox_status print_line(object *o, vox_error *err) {
    errno = 0;
    char *line = o->failed ? NULL : json_dumps(o->json, 0);
    json_decref(o->json);
    /* Where a name does not fit into memory, jansson goes on without it. */
    if (line && errno == ENOMEM) {
        free(line);
        line = NULL;
    }
    if (!line)
        return cli_fail(err, VOX_ERR_RESOURCE, "out of memory while writing JSON");
    puts(line);
    free(line);
    return VOX_OK;
}

static json_t *layer_object(const vox_layer_info *l) {
    object o = {json_object(), false};
    json_t *field = json_array();
    for (int i = 0; i < 3; i++)
        append(&field,
               l->receptive_field[i] > 0 ? json_integer(l->receptive_field[i]) : json_null());
    put(&o, "kind", text(l->kind));
    put(&o, "name", text(l->name));
    put(&o, "output_shape", integers(l->shape, 4));
    put(&o, "parameters", json_integer(l->parameters));
    put(&o, "multiply_adds", json_integer(l->multiply_adds));
    put(&o, "receptive_field", field);
    put(&o, "waits_for_whole_volume", l->waits ? text(l->waits) : json_null());
    return finished(&o);
}

vox_status print_plan_json(const vox_plan *plan, const layer_table *layers, vox_error *err) {
    object o = {json_object(), false};
    json_t *parts = json_array();
    for (int i = 0; i < plan->part_count; i++)
        append(&parts, json_pack("{s:s,s:I}", "name", plan->part[i].name, "bytes",
                                 (json_int_t)plan->part[i].bytes));
    json_t *rows = json_array();
    for (int i = 0; i < layers->count; i++)
        append(&rows, layer_object(&layers->layer[i]));
    put(&o, "layers", rows);
    put(&o, "parameters", json_integer(layers->parameters));
    put(&o, "input_shape", integers(plan->in, 5));
    put(&o, "network_size", integers(plan->grid, 3));
    put(&o, "output_shape", integers(plan->out, 5));
    put(&o, "input_passes", json_integer(plan->input_passes));
    put(&o, "slab_planes", json_integer(plan->slab_planes));
    put(&o, "patch", integers(plan->patch, 3));
    put(&o, "patch_count", json_integer(plan->patch_count));
    put(&o, "input_voxels_read", json_integer(plan->input_voxels_read));
    put(&o, "multiply_adds", json_integer(plan->multiply_adds));
    put(&o, "overlap_multiply_adds", json_integer(plan->overlap_multiply_adds));
    put(&o, "memory", parts);
    put(&o, "total_bytes", json_integer(plan->total_bytes));
    put(&o, "smallest_bytes", json_integer(plan->smallest_bytes));
    put(&o, "input_spool_bytes", json_integer(plan->input_spool_bytes));
    put(&o, "output_spool_bytes", json_integer(plan->output_spool_bytes));
    return print_line(&o, err);
}

/* [{"frame": 0, "label": 0, "name": "background", "voxels": 12, "ml": 0.012}, ...] */
static json_t *label_rows(const label_table *t) {
    json_t *rows = json_array();
    for (int64_t i = 0; i < t->frames * t->labels; i++) {
        const char *name = vox_labels_name(t->names, i % t->labels);
        object row = {json_object(), false};
        put(&row, "frame", json_integer(i / t->labels));
        put(&row, "label", json_integer(i % t->labels));
        put(&row, "name", name ? text(name) : json_null());
        put(&row, "voxels", json_integer(t->voxels[i]));
        put(&row, "ml",
            t->voxel_mm3 > 0 ? real((double)t->voxels[i] * (t->voxel_mm3 / 1000)) : json_null());
        append(&rows, finished(&row));
    }
    return rows;
}

vox_status print_report_json(const vox_report *r, const char *output, const label_table *labels,
                             vox_error *err) {
    object o = {json_object(), false};
    put(&o, "output", text(output));
    put(&o, "input_voxels", json_integer(r->input_voxels));
    put(&o, "output_voxels", json_integer(r->output_voxels));
    put(&o, "input_nan", json_integer(r->input_nan));
    put(&o, "input_inf", json_integer(r->input_inf));
    put(&o, "output_nan", json_integer(r->output_nan));
    put(&o, "output_inf", json_integer(r->output_inf));
    put(&o, "clamped", json_integer(r->clamped));
    put(&o, "seconds", real(r->seconds));
    put(&o, "planned_bytes", json_integer(r->planned_bytes));
    put(&o, "threads", json_integer(r->threads));
    put(&o, "isa", text(r->isa));
    put(&o, "voxel_mm3", r->voxel_mm3 > 0 ? real(r->voxel_mm3) : json_null());
    if (labels->labels > 0)
        put(&o, "labels", label_rows(labels));
    return print_line(&o, err);
}

/* ---- Augmenting ---- */

static void put_drawn(object *o, const vox_augment_options *a, const vox_augment_drawn *drawn) {
    static const char *const letters[] = {"D", "H", "W"};
    json_t *flip = json_array();
    char plane[8];
    for (int axis = 0; axis < 3; axis++)
        if (drawn->flip[axis])
            append(&flip, json_string(letters[axis]));
    snprintf(plane, sizeof plane, "%s%s", letters[a->plane[0]], letters[a->plane[1]]);
    put(o, "seed", json_integer((json_int_t)a->seed));
    put(o, "flip", flip);
    put(o, "rot90", json_pack("{s:i,s:s}", "k", drawn->k, "plane", plane));
    put(o, "noise", json_boolean(drawn->noise));
    put(o, "sigma", drawn->noise ? real(a->sigma) : json_null());
}

static json_t *part(const char *name, int64_t bytes) {
    return json_pack("{s:s,s:I}", "name", name, "bytes", (json_int_t)bytes);
}

/* {"values": [[...], ...]}: a list for each frame. */
vox_status print_values_json(const vox_tensor *values, vox_error *err) {
    object o = {json_object(), false};
    json_t *frames = json_array();
    for (int64_t n = 0; n < values->shape[0]; n++) {
        json_t *frame = json_array();
        for (int64_t i = 0; i < values->shape[1]; i++)
            if (json_array_append_new(frame, real((double)values->data[n * values->shape[1] + i])))
                o.failed = true;
        if (json_array_append_new(frames, frame))
            o.failed = true;
    }
    put(&o, "values", frames);
    return print_line(&o, err);
}

vox_status print_augment_plan_json(const vox_augment_options *a, const vox_augment_memory *plan,
                                   vox_error *err) {
    object o = {json_object(), false};
    json_t *parts = json_array();
    append(&parts, part("program and threads", plan->program_bytes));
    append(&parts, part("readers", plan->reader_bytes));
    append(&parts, part("writers", plan->writer_bytes));
    append(&parts, part("slab", plan->slab_bytes));
    put_drawn(&o, a, &plan->drawn);
    put(&o, "input_size", integers(plan->in, 3));
    put(&o, "output_size", integers(plan->out, 3));
    put(&o, "memory", parts);
    put(&o, "total_bytes", json_integer(plan->total_bytes));
    put(&o, "smallest_bytes", json_integer(plan->smallest_bytes));
    put(&o, "input_spool_bytes", json_integer(plan->spool_bytes));
    return print_line(&o, err);
}

vox_status print_augment_report_json(const vox_augment_options *a, const vox_augment_report *r,
                                     const char *const *outputs, int count, vox_error *err) {
    object o = {json_object(), false};
    json_t *names = json_array();
    for (int i = 0; i < count; i++)
        append(&names, text(outputs[i]));
    put(&o, "outputs", names);
    put_drawn(&o, a, &r->drawn);
    put(&o, "voxels", json_integer(r->voxels));
    put(&o, "clamped", json_integer(r->clamped));
    put(&o, "seconds", real(r->seconds));
    put(&o, "planned_bytes", json_integer(r->planned_bytes));
    put(&o, "threads", json_integer(r->threads));
    return print_line(&o, err);
}

/* ---- Headers ---- */

static void put_format(object *o, const vox_volume_info *info) {
    put(o, "path", text(info->path));
    put(o, "nifti_version", json_integer(info->nifti_version));
    put(o, "gzip", json_boolean(info->gzip));
    put(o, "pair", json_boolean(info->pair));
    put(o, "swapped", json_boolean(info->swapped));
    put(o, "dim", integers(info->dim, 8));
    put(o, "pixdim", reals(info->pixdim, 8));
    put(o, "datatype", json_integer(info->datatype));
    put(o, "datatype_name", text(info->datatype_name));
    put(o, "bitpix", json_integer(info->bitpix));
    put(o, "scl_slope", real(info->scl_slope));
    put(o, "scl_inter", real(info->scl_inter));
    put(o, "cal_min", real(info->cal_min));
    put(o, "cal_max", real(info->cal_max));
    put(o, "xyzt_units", json_integer(info->xyzt_units));
    put(o, "toffset", real(info->toffset));
    put(o, "dim_info", json_integer(info->dim_info));
    put(o, "slice_start", json_integer(info->slice_start));
    put(o, "slice_end", json_integer(info->slice_end));
    put(o, "slice_code", json_integer(info->slice_code));
    put(o, "slice_duration", real(info->slice_duration));
    put(o, "intent_code", json_integer(info->intent_code));
    put(o, "intent_p", reals(info->intent_p, 3));
    put(o, "intent_name", text(info->intent_name));
    put(o, "descrip", text(info->descrip));
    put(o, "aux_file", text(info->aux_file));
    put(o, "vox_offset", json_integer(info->vox_offset));
    put(o, "data_bytes", json_integer(info->data_bytes));
}

static void put_tensor(object *o, const vox_volume_info *info) {
    const int64_t shape[] = {info->dim[6], info->dim[5], info->dim[3], info->dim[2], info->dim[1]};
    put(o, "path", text(info->path));
    put(o, "gzip", json_boolean(info->gzip));
    put(o, "swapped", json_boolean(info->swapped));
    put(o, "shape", integers(shape + 5 - info->tensor_axes, info->tensor_axes));
    put(o, "datatype_name", text(info->datatype_name));
    put(o, "data_bytes", json_integer(info->data_bytes));
}

static void put_geometry(object *o, const vox_volume_info *info) {
    json_t *srow = json_array(), *affine = json_array(), *extensions = json_array();
    for (int i = 0; i < 3; i++) {
        append(&srow, reals(info->srow[i], 4));
        append(&affine, reals(info->affine[i], 4));
    }
    for (int i = 0; i < info->extension_count; i++)
        append(&extensions, json_pack("{s:i,s:I}", "code", info->extension_code[i], "bytes",
                                      (json_int_t)info->extension_bytes[i]));
    put(o, "qform_code", json_integer(info->qform_code));
    put(o, "quatern", reals(info->quatern, 3));
    put(o, "qoffset", reals(info->qoffset, 3));
    put(o, "sform_code", json_integer(info->sform_code));
    put(o, "srow", srow);
    put(o, "orientation", text(info->orientation));
    put(o, "affine_source", text(info->affine_source));
    put(o, "affine", affine);
    put(o, "extensions", extensions);
}

static object statistics_object(const vox_statistics *s) {
    object o = {json_object(), false};
    const bool any = s->nan_count + s->inf_count < s->count;
    put(&o, "count", json_integer(s->count));
    put(&o, "nan_count", json_integer(s->nan_count));
    put(&o, "inf_count", json_integer(s->inf_count));
    put(&o, "min", any ? real(s->min) : json_null());
    put(&o, "max", any ? real(s->max) : json_null());
    put(&o, "mean", any ? real(s->mean) : json_null());
    put(&o, "stddev", any ? real(s->stddev) : json_null());
    return o;
}

vox_status print_info_json(const vox_volume_info *info, const vox_statistics *statistics,
                           vox_error *err) {
    object o = {json_object(), false};
    if (info->tensor_axes) {
        put_tensor(&o, info);
    } else {
        put_format(&o, info);
        put_geometry(&o, info);
    }
    if (statistics) {
        const object inner = statistics_object(statistics);
        o.failed = o.failed || inner.failed;
        put(&o, "statistics", inner.json);
    }
    return print_line(&o, err);
}
