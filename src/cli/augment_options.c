/* augment_options.c - the option table of `voxconv augment` and the values that only it has. */
#include "cli/augment_options.h"

#include "cli/cli.h"
#include "cli/execution.h"
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>

enum { SPEC_BYTES = 64 };
static const double USUAL_P = 0.5;
static const char axis_letters[] = "DHW";

static bool set_list(const option_row *row, const char *value, void *field, char *reason) {
    text_list *list = field;
    (void)row;
    if (!*value || list->count == LIST_MOST) {
        snprintf(reason, OPTION_REASON, *value ? "is one more than %d" : "must not be empty",
                 LIST_MOST);
        return false;
    }
    list->item[list->count++] = value;
    return true;
}

/* KEY=NUMBER. */
static bool has_number(const char *word, const char *key, double *number) {
    const size_t length = strlen(key);
    return !strncmp(word, key, length) && word[length] == '=' &&
           parse_real(word + length + 1, number);
}

static bool has_probability(const char *word, double *p) {
    return has_number(word, "p", p) && *p >= 0 && *p <= 1;
}

/* The index of a letter of D, H, W, or -1. */
static int axis_of(char letter) {
    const char *at = letter ? strchr(axis_letters, letter) : NULL;
    return at ? (int)(at - axis_letters) : -1;
}

/* Splits `value` in `copy`, of SPEC_BYTES; "" where it does not fit. */
static char *begin_spec(const char *value, char *copy) {
    snprintf(copy, SPEC_BYTES, "%s", strlen(value) < SPEC_BYTES ? value : "");
    return copy;
}

static bool set_flip(const option_row *row, const char *value, void *field, char *reason) {
    char copy[SPEC_BYTES], *rest = begin_spec(value, copy);
    double p = USUAL_P, *flip = field;
    bool ok = true, axis[3] = {false, false, false};
    (void)row;
    for (const char *word; ok && (word = strsep(&rest, ","));) {
        const int a = axis_of(word[0]);
        if (a >= 0 && !word[1])
            axis[a] = true;
        else
            ok = has_probability(word, &p);
    }
    if (!ok) {
        snprintf(reason, OPTION_REASON,
                 "must be axes of D, H and W, p=P with a probability, or both: D,W,p=0.5");
        return false;
    }
    const bool all = !axis[0] && !axis[1] && !axis[2];
    for (int a = 0; a < 3; a++)
        if (all || axis[a])
            flip[a] = p;
    return true;
}

static bool set_rot90(const option_row *row, const char *value, void *field, char *reason) {
    char copy[SPEC_BYTES], *rest = begin_spec(value, copy);
    rot90_option r = *(rot90_option *)field;
    bool ok = true;
    (void)row;
    r.p = USUAL_P;
    for (const char *word; ok && (word = strsep(&rest, ","));) {
        if (!strncmp(word, "plane=", 6)) {
            r.plane[0] = axis_of(word[6]);
            r.plane[1] = r.plane[0] < 0 ? -1 : axis_of(word[7]);
            ok = r.plane[1] >= 0 && r.plane[0] != r.plane[1] && !word[8];
        } else
            ok = has_probability(word, &r.p);
    }
    if (ok)
        *(rot90_option *)field = r;
    else
        snprintf(reason, OPTION_REASON,
                 "must be p=P with a probability, plane=AB with two of D, H and W, or both: "
                 "p=0.5,plane=HW");
    return ok;
}

static bool set_noise(const option_row *row, const char *value, void *field, char *reason) {
    char copy[SPEC_BYTES], *rest = begin_spec(value, copy);
    noise_option n = {.p = USUAL_P, .sigma = -1};
    bool ok = true;
    (void)row;
    for (const char *word; ok && (word = strsep(&rest, ","));)
        ok = has_number(word, "sigma", &n.sigma) ? n.sigma >= 0 : has_probability(word, &n.p);
    if (ok && n.sigma >= 0)
        *(noise_option *)field = n;
    else
        snprintf(reason, OPTION_REASON,
                 "must be sigma=S with a number of 0 or more, and may have p=P with a probability: "
                 "sigma=0.1,p=0.3");
    return ok && n.sigma >= 0;
}

#define ROW(...) OPTION_ROW(augment_options, __VA_ARGS__)

const option_row augment_rows[] = {
    ROW(0, "label", "FILE", "Input", "a label map of the images: never gets noise; repeatable",
        set_list, labels),

    ROW('o', "output", "OUT", "Output",
        "a folder, or a file for each input (images first, then label maps), or - for stdout; "
        "repeatable",
        set_list, outputs),
    ROW('f', "force", NULL, "Output", "replace existing outputs", set_flag, force),
    ROW('t', "datatype", "TYPE", "Output",
        "of images: float32 (default with --noise), uint8, int16, ..., or input (default without)",
        set_datatype, datatype),
    ROW('z', "compression", "LEVEL", "Output", "gzip level, 0 to 9", set_integer, compression,
        .max = 9),

    ROW(0, "seed", "N", "What happens, in this order",
        "what is drawn depends on it alone; must be given", set_integer, seed),
    ROW(0, "flip", "AXES,p=P", "What happens, in this order",
        "flip along each of D, H, W that is named (default all) with probability P (0.5)", set_flip,
        flip),
    ROW(0, "rot90", "p=P,plane=AB", "What happens, in this order",
        "turn by 90, 180 or 270 degrees with probability P (0.5), from A towards B (HW)", set_rot90,
        rot90),
    ROW(0, "noise", "sigma=S,p=P", "What happens, in this order",
        "add Gaussian noise of standard deviation S to images with probability P (0.5)", set_noise,
        noise),
    ROW(0, "keep-affine", NULL, "What happens, in this order",
        "leave sform, qform and pixdim as they were, although voxels moved", set_flag, keep_affine),

    ROW('j', "threads", "N", "Execution", "default: OMP_NUM_THREADS or all cores", set_integer,
        threads, .min = 1, .max = 4096),
    ROW('m', "max-memory", "SIZE", "Execution",
        "cap on peak memory: 512M, 2G (default: 80% of what is available)", set_bytes, max_memory),
    ROW(0, "plan", NULL, "Execution", "print what is drawn and its memory on stdout and stop",
        set_flag, plan),

    ROW('q', "quiet", NULL, "General", "no warnings, no progress", set_flag, quiet),
    ROW('v', "verbose", NULL, "General", "say on stderr what was drawn and done", set_flag,
        verbose),
    ROW(0, "progress", "auto|always|never", "General", "default auto: on a terminal", set_choice,
        progress, .choices = progress_modes),
    ROW(0, "json", NULL, "General", "print the plan or a report of the run on stdout as JSON",
        set_flag, json),
    OPTION_GENERAL_ROWS,
};

void augment_options_defaults(void *values) {
    augment_options *o = values;
    vox_augment_options library;
    vox_augment_defaults(&library);
    memcpy(o->rot90.plane, library.plane, sizeof o->rot90.plane);
    o->flip[0] = o->flip[1] = o->flip[2] = o->rot90.p = o->noise.p = NOT_GIVEN;
    o->seed = NOT_GIVEN;
    o->compression = library.compression;
    o->progress = PROGRESS_AUTO;
}

vox_status augment_options_check(const augment_options *o, int input_count, vox_error *err) {
    const char *reason = NULL;
    if (!input_count)
        reason = "an input is missing (- for stdin)";
    else if (!o->outputs.count)
        reason = "--output is missing (- for stdout)";
    else if (o->seed < 0)
        reason = "--seed is missing: what is drawn depends on it alone";
    else if (o->flip[0] < 0 && o->flip[1] < 0 && o->flip[2] < 0 && o->rot90.p < 0 && o->noise.p < 0)
        reason = "nothing would happen: one of --flip, --rot90 and --noise is needed";
    return reason ? cli_fail(err, VOX_ERR_USAGE, "augment: %s", reason) : VOX_OK;
}
