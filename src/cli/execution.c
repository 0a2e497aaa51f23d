/* execution.c - see execution.h. */
#include "cli/execution.h"

#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const time_names[] = {"auto", "batch", "channels", NULL};

/* ---- Options ---- */

void execution_defaults(execution_options *o) {
    vox_filter_options library;
    vox_filter_defaults(&library);
    for (int axis = 0; axis < 3; axis++)
        o->overlap[axis] = NOT_GIVEN;
    o->datatype = library.datatype;
    o->compression = library.compression;
    o->progress = PROGRESS_AUTO;
}

bool set_datatype(const option_row *row, const char *value, void *field, char *reason) {
    (void)row;
    const int datatype =
        !strcmp(value, "input") ? VOX_DATATYPE_INPUT : vox_datatype_from_name(value);
    if (!datatype) {
        snprintf(reason, OPTION_REASON,
                 "must be input or a NIfTI type such as uint8, int16, float32, float64");
        return false;
    }
    *(int *)field = datatype;
    return true;
}

bool set_overlap(const option_row *row, const char *value, void *field, char *reason) {
    (void)row;
    double overlap[3];
    bool ok = parse_real_triple(value, overlap);
    for (int axis = 0; ok && axis < 3; axis++)
        ok = overlap[axis] >= 0 && overlap[axis] <= INT32_MAX &&
             (overlap[axis] < 1 || overlap[axis] == (double)(int64_t)overlap[axis]);
    if (!ok) {
        snprintf(reason, OPTION_REASON,
                 "must be whole voxels, or a share of the patch below 1, or three as D,H,W");
        return false;
    }
    memcpy(field, overlap, sizeof overlap);
    return true;
}

bool set_blend(const option_row *row, const char *value, void *field, char *reason) {
    (void)row;
    blend_option b = {.kind = VOX_BLEND_EXACT};
    bool ok = true;
    if (!strcmp(value, "average"))
        b.kind = VOX_BLEND_AVERAGE;
    else if (!strcmp(value, "gaussian"))
        b.kind = VOX_BLEND_GAUSSIAN;
    else if (!strncmp(value, "gaussian:", 9)) {
        b.kind = VOX_BLEND_GAUSSIAN;
        ok = parse_real(value + 9, &b.sigma_scale) && b.sigma_scale > 0;
    } else
        ok = !strcmp(value, "exact");
    if (!ok) {
        snprintf(reason, OPTION_REASON,
                 "must be exact, average, or gaussian[:SIGMA_SCALE] with a number above 0");
        return false;
    }
    *(blend_option *)field = b;
    return true;
}

vox_status execution_check(const char *command, const execution_options *o, int input_count,
                           bool needs_output, vox_error *err) {
    const char *reason = NULL;
    if (!input_count)
        reason = "an input file is missing (- for stdin)";
    else if (!o->output && needs_output)
        reason = "--output is missing (-o FILE, or -o - for stdout)";
    else if (o->blend.kind != VOX_BLEND_EXACT && !o->patch_size[0])
        reason = "--blend average and gaussian need --patch-size";
    else if (o->blend.kind == VOX_BLEND_EXACT && o->overlap[0] >= 0)
        reason = "--overlap goes with --blend average and gaussian only: exact patches overlap by "
                 "what the layers look at";
    else if (o->json && !o->plan && o->output && !strcmp(o->output, "-"))
        reason = "--json prints on stdout, where --output - writes the volume";
    return reason ? cli_fail(err, VOX_ERR_USAGE, "%s: %s", command, reason) : VOX_OK;
}

/* ---- The run ---- */

vox_status execution_begin(const execution_options *o, vox_error *err) {
    cli_quiet(o->quiet);
    return o->isa ? vox_isa_select(o->isa, err) : VOX_OK;
}

static void warn(void *user, const char *message) {
    (void)user;
    cli_warning("%s", message);
}

static void fill_filter_options(vox_filter_options *f, const execution_options *o,
                                int64_t layout_channels) {
    vox_filter_defaults(f);
    f->threads = (int)o->threads;
    f->max_memory = o->max_memory;
    f->slab_planes = o->slab;
    f->blend = o->blend.kind;
    if (o->blend.sigma_scale > 0)
        f->sigma_scale = o->blend.sigma_scale;
    for (int i = 0; i < 3; i++) {
        f->patch_size[i] = o->patch_size[i];
        if (o->overlap[i] >= 0)
            f->overlap[i] = o->overlap[i];
    }
    f->time = (vox_time)o->time;
    f->in_channels = layout_channels;
    f->prepare = o->prepare;
    f->datatype = o->datatype;
    f->compression = (int)o->compression;
    f->split = o->split;
    f->force = o->force;
    f->warn = warn;
    if (!o->quiet && progress_wanted((progress_mode)o->progress))
        f->progress = progress_update;
}

/* One warning for all values that the output does not hold as computed, or that are not numbers. */
static void warn_of_values(const vox_report *r, const char *output) {
    char clamped[64] = "";
    if (r->clamped > 0)
        snprintf(clamped, sizeof clamped, "%" PRId64 " value%s clamped to the output's type",
                 r->clamped, r->clamped == 1 ? "" : "s");
    if (r->input_nan + r->input_inf + r->output_nan + r->output_inf > 0)
        cli_warning("%s: %" PRId64 " NaN and %" PRId64 " infinite values, from %" PRId64
                    " and %" PRId64 " in the input%s%s",
                    output, r->output_nan, r->output_inf, r->input_nan, r->input_inf,
                    *clamped ? "; " : "", clamped);
    else if (r->clamped > 0)
        cli_warning("%s: %s", output, clamped);
}

static void say_report(const vox_report *r, const char *output) {
    char memory[32];
    cli_message("%s: %" PRId64 " voxels from %" PRId64
                " in %.2f s (%.3g Mvoxel/s), %d thread%s, %s, %s planned",
                output, r->output_voxels, r->input_voxels, r->seconds,
                r->seconds > 0 ? (double)r->input_voxels / r->seconds / 1e6 : 0, r->threads,
                r->threads == 1 ? "" : "s", r->isa, cli_bytes(r->planned_bytes, memory));
}

static vox_status plan_only(const vox_input *in, const vox_network *network,
                            const execution_options *o, const vox_filter_options *f,
                            vox_error *err) {
    vox_plan plan;
    layer_table layers;
    vox_status status = vox_filter_plan(in, network, o->output, f, &plan, err);
    if (status)
        return status;
    const int64_t seen[4] = {plan.in[1], plan.grid[0], plan.grid[1], plan.grid[2]};
    status = layer_table_make(&layers, network, seen, err);
    if (!status && o->json)
        status = print_plan_json(&plan, &layers, err);
    else if (!status)
        print_plan(&plan, &layers);
    free(layers.layer);
    return status;
}

static vox_status filter(vox_input *in, const vox_network *network, const execution_options *o,
                         const vox_filter_options *f, label_table *labels, vox_error *err) {
    vox_report report;
    vox_status status = vox_filter(in, network, o->output, f, &report, err);
    progress_clear();
    if (status)
        return status;
    labels->voxel_mm3 = report.voxel_mm3;
    warn_of_values(&report, o->output);
    if (o->verbose)
        say_report(&report, o->output);
    if (o->json)
        status = print_report_json(&report, o->output, labels, err);
    else if (labels->labels > 0)
        label_table_print(labels, strcmp(o->output, "-") != 0 ? stdout : stderr);
    return cli_end_report(o->output, status, err);
}

/* Into a tensor file, or printed; what was read as a tensor is written to stdout as one, too. */
static vox_status give_values(const execution_options *o, const vox_input *in,
                              const vox_tensor *values, vox_error *err) {
    if (o->output && (strcmp(o->output, "-") != 0 || vox_input_info(in, 0)->tensor_axes)) {
        const vox_tensor *const tensors[] = {values};
        const char *const names[] = {"output"};
        return vox_weights_save(o->output, 1, names, tensors, o->force, err);
    }
    if (o->json)
        return print_values_json(values, err);
    print_values(values);
    return VOX_OK;
}

vox_status execution_values(const execution_options *o, vox_input *in, const vox_network *network,
                            int64_t in_channels, vox_error *err) {
    vox_filter_options f;
    vox_report report;
    vox_tensor *values = NULL;
    fill_filter_options(&f, o, in_channels);
    if (o->plan) {
        execution_options plan = *o;
        plan.output = NULL;
        return plan_only(in, network, &plan, &f, err);
    }
    vox_status status = vox_filter_values(in, network, &f, &values, &report, err);
    progress_clear();
    if (!status) {
        /* A vector: N x C, whatever its volume was. */
        values->shape[1] = values->shape[0] ? values->count / values->shape[0] : 0;
        values->rank = 2;
        warn_of_values(&report, vox_input_info(in, 0)->path);
        status = give_values(o, in, values, err);
    }
    vox_tensor_free(values);
    return status;
}

vox_status execution_run(const execution_options *o, vox_input *in, const vox_network *network,
                         int64_t in_channels, vox_error *err) {
    vox_filter_options f;
    label_table labels;
    fill_filter_options(&f, o, in_channels);
    vox_status status = label_table_begin(&labels, o->label_names, o->label_count, in, &f, err);
    if (!status)
        status =
            o->plan ? plan_only(in, network, o, &f, err) : filter(in, network, o, &f, &labels, err);
    label_table_clear(&labels);
    return status;
}
