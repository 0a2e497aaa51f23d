/* info.c - `voxconv info`: what a header says, and statistics of the voxels. */
#include "cli/cli.h"

#include "cli/report.h"

#include <stdio.h>

typedef struct info_options {
    bool json, no_statistics;
} info_options;

#define ROW(...) OPTION_ROW(info_options, __VA_ARGS__)

static const option_row rows[] = {
    ROW(0, "json", NULL, "Output", "one JSON object a line for each file", set_flag, json),
    ROW('n', "no-statistics", NULL, "Output", "header only; reads no voxels", set_flag,
        no_statistics),
    OPTION_GENERAL_ROWS,
};

static void no_defaults(void *values) {
    (void)values;
}

static vox_status show(const char *path, const info_options *o, vox_error *err) {
    vox_statistics statistics = {.count = 0};
    const vox_statistics *shown = o->no_statistics ? NULL : &statistics;
    vox_input *in = vox_input_open(&path, 1, err);
    if (!in)
        return err->status;
    vox_status status = VOX_OK;
    if (shown)
        status = vox_input_statistics(in, 0, &statistics, err);
    if (!status && o->json)
        status = print_info_json(vox_input_info(in, 0), shown, err);
    else if (!status)
        print_info(vox_input_info(in, 0), shown);
    vox_input_free(in);
    return status;
}

/* A bad file does not hide the ones after it; the first failure is the command's. */
static vox_status run(const void *values, int file_count, char **files, vox_error *err) {
    const info_options *o = values;
    vox_status first = VOX_OK;
    if (!file_count)
        return cli_fail(err, VOX_ERR_USAGE, "info: a file is missing (- for stdin)");
    for (int i = 0; i < file_count; i++) {
        vox_error failure = {VOX_OK, ""};
        if (i && !o->json)
            putchar('\n');
        if (show(files[i], o, &failure)) {
            fflush(stdout);
            cli_message("%s", failure.message);
            first = first ? first : failure.status;
        }
    }
    return first;
}

const cli_command info_command = {
    .name = "info",
    .summary = "show header, geometry and statistics of volumes",
    .synopsis = "[OPTIONS] FILE...",
    .options = rows,
    .size = sizeof(info_options),
    .defaults = no_defaults,
    .run = run,
};
