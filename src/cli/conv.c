/* conv.c - `voxconv conv`: one Conv3d, and what follows it, over a volume. */
#include "cli/cli.h"

#include "cli/conv_options.h"
#include "cli/layers.h"
#include "cli/progress.h"
#include "cli/report.h"

#include <inttypes.h>
#include <stdio.h>

static void warn(void *user, const char *message) {
    (void)user;
    cli_warning("%s", message);
}

static void fill_filter_options(vox_filter_options *f, const conv_options *o,
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

static vox_status plan_only(const vox_input *in, const vox_network *network, const conv_options *o,
                            const vox_filter_options *f, vox_error *err) {
    vox_plan plan;
    const vox_status status = vox_filter_plan(in, network, o->output, f, &plan, err);
    if (status)
        return status;
    if (o->json)
        return print_plan_json(&plan, err);
    print_plan(&plan);
    return VOX_OK;
}

static vox_status filter(vox_input *in, const vox_network *network, const conv_options *o,
                         const vox_filter_options *f, vox_error *err) {
    vox_report report;
    const vox_status status = vox_filter(in, network, o->output, f, &report, err);
    progress_clear();
    if (status)
        return status;
    warn_of_values(&report, o->output);
    if (o->verbose)
        say_report(&report, o->output);
    return o->json ? print_report_json(&report, o->output, err) : VOX_OK;
}

static vox_status run(const void *values, int input_count, char **inputs, vox_error *err) {
    const conv_options *o = values;
    filter_weights weights = {.part_count = 0};
    vox_input *in = NULL;
    vox_network *network = NULL;
    vox_filter_options f;
    cli_quiet(o->quiet);
    vox_status status = conv_options_check(o, input_count, err);
    if (!status && o->isa)
        status = vox_isa_select(o->isa, err);
    if (status)
        goto out;
    in = vox_input_open((const char *const *)inputs, input_count, err);
    if (!in) {
        status = err->status;
        goto out;
    }
    if ((status = filter_weights_make(&weights, o, in, err)))
        goto out;
    network = layers_build(&weights, o, err);
    if (!network) {
        status = err->status;
        goto out;
    }
    fill_filter_options(&f, o, weights.layout_channels);
    filter_weights_free(&weights); /* the network has its own copy */
    status = o->plan ? plan_only(in, network, o, &f, err) : filter(in, network, o, &f, err);
out:
    vox_network_free(network);
    filter_weights_free(&weights);
    vox_input_free(in);
    return status;
}

const cli_command conv_command = {
    .name = "conv",
    .summary = "filter volumes through a Conv3d layer and what follows it",
    .synopsis = "IN... -o OUT (-w FILE | --kernel SPEC | --init SCHEME) [OPTIONS]",
    .options = conv_rows,
    .size = sizeof(conv_options),
    .defaults = conv_options_defaults,
    .run = run,
};
