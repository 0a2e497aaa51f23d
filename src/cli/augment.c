/* augment.c - `voxconv augment`: random flips, turns and noise for training, the same for an image
 * and its label map. */
#include "cli/cli.h"

#include "cli/augment_options.h"
#include "cli/progress.h"
#include "cli/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void warn(void *user, const char *message) {
    (void)user;
    cli_warning("%s", message);
}

static double given(double p) {
    return p < 0 ? 0 : p;
}

static void fill_library_options(vox_augment_options *a, const augment_options *o) {
    vox_augment_defaults(a);
    a->seed = (uint64_t)o->seed;
    for (int axis = 0; axis < 3; axis++)
        a->flip[axis] = given(o->flip[axis]);
    a->rot90 = given(o->rot90.p);
    memcpy(a->plane, o->rot90.plane, sizeof a->plane);
    a->noise = given(o->noise.p);
    a->sigma = o->noise.sigma;
    a->keep_affine = o->keep_affine;
    a->datatype = o->datatype;
    a->compression = (int)o->compression;
    a->force = o->force;
    a->threads = (int)o->threads;
    a->max_memory = o->max_memory;
    a->warn = warn;
    if (!o->quiet && progress_wanted((progress_mode)o->progress))
        a->progress = progress_update;
}

/* ---- Files ---- */

/* The files of a run: images, then label maps. */
typedef struct file_list {
    int count;
    const char **input;
    char **output;
    vox_augment_file *file;
} file_list;

static void free_files(file_list *l) {
    for (int i = 0; i < l->count; i++) {
        if (l->output)
            free(l->output[i]);
        if (l->file)
            vox_input_free(l->file[i].in);
    }
    free(l->input);
    free(l->output);
    free(l->file);
}

static vox_status is_folder(const char *path, bool *folder, vox_error *err) {
    struct stat st;
    *folder = path[strlen(path) - 1] == '/';
    if (*folder || !strcmp(path, "-"))
        return VOX_OK;
    if (!stat(path, &st))
        *folder = S_ISDIR(st.st_mode);
    else if (errno != ENOENT)
        return cli_fail(err, VOX_ERR_OUTPUT, "%s: cannot be looked at: %s", path, strerror(errno));
    return VOX_OK;
}

/* FOLDER/NAME for an input .../NAME; NULL where memory is short. */
static char *name_in_folder(const char *folder, const char *input) {
    const char *slash = strrchr(input, '/'), *name = slash ? slash + 1 : input;
    const bool ends = folder[strlen(folder) - 1] == '/';
    char *path;
    return asprintf(&path, "%s%s%s", folder, ends ? "" : "/", name) < 0 ? NULL : path;
}

static vox_status name_outputs(file_list *l, const augment_options *o, vox_error *err) {
    const char *const *given = o->outputs.item;
    bool folder = false;
    if (o->outputs.count == 1 && is_folder(given[0], &folder, err))
        return err->status;
    if (!folder && o->outputs.count != l->count)
        return cli_fail(
            err, VOX_ERR_USAGE,
            "augment: %d input%s and %d --output: give one for each (images first, then "
            "label maps), or one folder",
            l->count, l->count == 1 ? "" : "s", o->outputs.count);
    for (int i = 0; i < l->count; i++) {
        if (folder && !strcmp(l->input[i], "-"))
            return cli_fail(err, VOX_ERR_USAGE,
                            "%s: stdin has no name that its output in a folder "
                            "could have",
                            given[0]);
        l->output[i] = folder ? name_in_folder(given[0], l->input[i]) : strdup(given[i]);
        if (!l->output[i])
            return cli_fail(err, VOX_ERR_RESOURCE, "out of memory");
        for (int k = 0; k < i; k++) {
            if (!strcmp(l->output[i], l->output[k]))
                return cli_fail(err, VOX_ERR_USAGE, "%s: is the output of %s and of %s",
                                l->output[i], l->input[k], l->input[i]);
            if (!strcmp(l->input[i], "-") && !strcmp(l->input[k], "-"))
                return cli_fail(err, VOX_ERR_USAGE, "stdin: can be one input only");
        }
        if (o->json && !o->plan && !strcmp(l->output[i], "-"))
            return cli_fail(err, VOX_ERR_USAGE,
                            "augment: --json prints on stdout, where --output - writes the volume");
    }
    return VOX_OK;
}

static vox_status open_files(file_list *l, const augment_options *o, int image_count, char **images,
                             vox_error *err) {
    const int count = image_count + o->labels.count;
    l->input = calloc((size_t)count, sizeof *l->input);
    l->output = calloc((size_t)count, sizeof *l->output);
    l->file = calloc((size_t)count, sizeof *l->file);
    if (!l->input || !l->output || !l->file)
        return cli_fail(err, VOX_ERR_RESOURCE, "out of memory");
    l->count = count;
    for (int i = 0; i < count; i++)
        l->input[i] = i < image_count ? images[i] : o->labels.item[i - image_count];
    vox_status status = name_outputs(l, o, err);
    for (int i = 0; i < count && !status; i++) {
        l->file[i].in = vox_input_open(&l->input[i], 1, err);
        l->file[i].output = l->output[i];
        l->file[i].label = i >= image_count;
        status = l->file[i].in ? VOX_OK : err->status;
    }
    return status;
}

/* ---- The run ---- */

static vox_status plan_only(const file_list *l, const vox_augment_options *a, bool json,
                            vox_error *err) {
    vox_augment_memory plan;
    const vox_status status = vox_augment_plan(l->file, l->count, a, &plan, err);
    if (status)
        return status;
    if (json)
        return print_augment_plan_json(a, &plan, err);
    print_augment_plan(a, &plan);
    return VOX_OK;
}

static void say_report(const vox_augment_options *a, const vox_augment_report *r) {
    char drawn[AUGMENT_TEXT], memory[32];
    cli_message("seed %" PRIu64 ": %s; %" PRId64 " voxels in %.2f s (%.3g Mvoxel/s), %d thread%s, "
                "%s planned",
                a->seed, augment_text(a, &r->drawn, drawn), r->voxels, r->seconds,
                r->seconds > 0 ? (double)r->voxels / r->seconds / 1e6 : 0, r->threads,
                r->threads == 1 ? "" : "s", cli_bytes(r->planned_bytes, memory));
}

static vox_status augment(const file_list *l, const augment_options *o,
                          const vox_augment_options *a, vox_error *err) {
    vox_augment_report report;
    vox_status status = vox_augment(l->file, l->count, a, &report, err);
    progress_clear();
    if (status)
        return status;
    if (report.clamped > 0)
        cli_warning("%" PRId64 " value%s clamped to the output's type", report.clamped,
                    report.clamped == 1 ? "" : "s");
    if (o->verbose)
        say_report(a, &report);
    if (o->json)
        status =
            print_augment_report_json(a, &report, (const char *const *)l->output, l->count, err);
    return cli_end_report(l->output[0], status, err);
}

static vox_status run(const void *values, int image_count, char **images, vox_error *err) {
    const augment_options *o = values;
    vox_augment_options a;
    file_list files = {.count = 0};
    cli_quiet(o->quiet);
    vox_status status = augment_options_check(o, image_count + o->labels.count, err);
    if (!status)
        status = open_files(&files, o, image_count, images, err);
    fill_library_options(&a, o);
    if (!status)
        status = o->plan ? plan_only(&files, &a, o->json, err) : augment(&files, o, &a, err);
    free_files(&files);
    return status;
}

const cli_command augment_command = {
    .name = "augment",
    .summary = "flip, turn and add noise at random, the same for an image and its label map",
    .synopsis = "IN... [--label FILE]... -o OUT... --seed N [--flip ...] [--rot90 ...] "
                "[--noise ...] [OPTIONS]",
    .options = augment_rows,
    .size = sizeof(augment_options),
    .defaults = augment_options_defaults,
    .run = run,
};
