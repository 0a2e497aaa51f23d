/* report.c - plans and headers as text. */
#include "cli/report.h"

#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void print_shape(const char *label, const int64_t s[5]) {
    printf("%-36s (%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ")\n", label, s[0],
           s[1], s[2], s[3], s[4]);
}

static void print_bytes(const char *label, int64_t bytes) {
    char text[32];
    printf("%-36s %s\n", label, cli_bytes(bytes, text));
}

void print_plan(const vox_plan *plan, const layer_table *layers) {
    layer_table_print(layers);
    print_shape("input (N,C,D,H,W)", plan->in);
    if (memcmp(plan->grid, plan->in + 2, sizeof plan->grid) != 0)
        printf("%-36s (%" PRId64 ",%" PRId64 ",%" PRId64 ")\n", "network's grid (D,H,W)",
               plan->grid[0], plan->grid[1], plan->grid[2]);
    print_shape("output (N,C,D,H,W)", plan->out);
    if (plan->input_passes > 1)
        printf("%-36s %d\n", "passes over the input", plan->input_passes);
    printf("%-36s %" PRId64 " plane%s\n", "slab", plan->slab_planes,
           plan->slab_planes == 1 ? "" : "s");
    if (plan->patch_count > 1) {
        printf("%-36s %" PRId64 " of %" PRId64 "x%" PRId64 "x%" PRId64 "\n",
               "patches of the output", plan->patch_count, plan->patch[0], plan->patch[1],
               plan->patch[2]);
        printf("%-36s %" PRId64 "\n", "input voxels read", plan->input_voxels_read);
    }
    printf("%-36s %" PRId64 "\n", "multiply-adds", plan->multiply_adds);
    if (plan->patch_count > 1)
        printf("%-36s %" PRId64 "\n", "  of them in overlaps of patches",
               plan->overlap_multiply_adds);
    puts("memory");
    for (int i = 0; i < plan->part_count; i++) {
        char label[64];
        snprintf(label, sizeof label, "  %s", plan->part[i].name);
        print_bytes(label, plan->part[i].bytes);
    }
    print_bytes("  total", plan->total_bytes);
    print_bytes("smallest --max-memory", plan->smallest_bytes);
    if (plan->input_spool_bytes)
        print_bytes("input spooled to disk", plan->input_spool_bytes);
    if (plan->output_spool_bytes)
        print_bytes("output spooled to disk", plan->output_spool_bytes);
}

/* ---- Augmenting ---- */

const char *augment_text(const vox_augment_options *o, const vox_augment_drawn *drawn,
                         char buf[AUGMENT_TEXT]) {
    static const char letters[] = "DHW";
    char flips[8] = "", noise[48] = "no noise", *to = flips;
    for (int a = 0; a < 3; a++)
        if (drawn->flip[a]) {
            if (to > flips)
                *to++ = ',';
            *to++ = letters[a];
        }
    *to = '\0';
    if (drawn->noise)
        snprintf(noise, sizeof noise, "noise of sigma %g", o->sigma);
    snprintf(buf, AUGMENT_TEXT, "flip %s; rot90 k=%d in %c%c; %s", *flips ? flips : "none",
             drawn->k, letters[o->plane[0]], letters[o->plane[1]], noise);
    return buf;
}

void print_augment_plan(const vox_augment_options *o, const vox_augment_memory *plan) {
    char drawn[AUGMENT_TEXT];
    printf("%-36s %s\n", "drawn", augment_text(o, &plan->drawn, drawn));
    printf("%-36s (%" PRId64 ",%" PRId64 ",%" PRId64 ")\n", "input (D,H,W)", plan->in[0],
           plan->in[1], plan->in[2]);
    printf("%-36s (%" PRId64 ",%" PRId64 ",%" PRId64 ")\n", "output (D,H,W)", plan->out[0],
           plan->out[1], plan->out[2]);
    puts("memory");
    print_bytes("  program and threads", plan->program_bytes);
    print_bytes("  readers", plan->reader_bytes);
    print_bytes("  writers", plan->writer_bytes);
    print_bytes("  slab", plan->slab_bytes);
    print_bytes("  total", plan->total_bytes);
    print_bytes("smallest --max-memory", plan->smallest_bytes);
    if (plan->spool_bytes)
        print_bytes("input spooled to disk", plan->spool_bytes);
}

void print_values(const vox_tensor *values) {
    const int64_t columns = values->shape[1];
    for (int64_t i = 0; i < values->count; i++)
        printf("%.9g%c", (double)values->data[i], (i + 1) % columns ? ' ' : '\n');
}

/* ---- Headers ---- */

static void print_integer(const char *name, int64_t value) {
    printf("  %-16s%" PRId64 "\n", name, value);
}

static void print_reals(const char *name, const double *values, int count) {
    printf("  %-16s", name);
    for (int i = 0; i < count; i++)
        printf("%s%.9g", i ? " " : "", values[i]);
    putchar('\n');
}

static void print_string(const char *name, const char *value) {
    if (!*value)
        return;
    printf("  %-16s", name);
    cli_print_text(value, stdout);
    putchar('\n');
}

static void print_tensor(const vox_volume_info *info) {
    static const int dim[] = {6, 5, 3, 2, 1}; /* of N, C, D, H, W */
    cli_print_text(info->path, stdout);
    printf(": .npy%s%s\n", info->gzip ? ", gzip" : "", info->swapped ? ", other byte order" : "");
    printf("  %-16s", "shape");
    for (int i = 5 - info->tensor_axes; i < 5; i++)
        printf("%" PRId64 "%c", info->dim[dim[i]], i < 4 ? ' ' : '\n');
    printf("  %-16s%s\n", "datatype", info->datatype_name);
    print_integer("data_bytes", info->data_bytes);
}

static void print_format(const vox_volume_info *info) {
    cli_print_text(info->path, stdout);
    printf(": NIfTI-%d%s%s%s\n", info->nifti_version, info->pair ? ", pair of files" : "",
           info->gzip ? ", gzip" : "", info->swapped ? ", other byte order" : "");
    printf("  %-16s", "dim");
    for (int i = 0; i < 8; i++)
        printf("%s%" PRId64, i ? " " : "", info->dim[i]);
    putchar('\n');
    print_reals("pixdim", info->pixdim, 8);
    printf("  %-16s%d (%s)\n", "datatype", info->datatype, info->datatype_name);
    print_integer("bitpix", info->bitpix);
    print_reals("scl_slope", &info->scl_slope, 1);
    print_reals("scl_inter", &info->scl_inter, 1);
    print_reals("cal_min", &info->cal_min, 1);
    print_reals("cal_max", &info->cal_max, 1);
    print_integer("xyzt_units", info->xyzt_units);
    print_reals("toffset", &info->toffset, 1);
    print_integer("dim_info", info->dim_info);
    print_integer("slice_start", info->slice_start);
    print_integer("slice_end", info->slice_end);
    print_integer("slice_code", info->slice_code);
    print_reals("slice_duration", &info->slice_duration, 1);
    print_integer("intent_code", info->intent_code);
    print_reals("intent_p", info->intent_p, 3);
    print_string("intent_name", info->intent_name);
    print_string("descrip", info->descrip);
    print_string("aux_file", info->aux_file);
    print_integer("vox_offset", info->vox_offset);
    print_integer("data_bytes", info->data_bytes);
}

static void print_geometry(const vox_volume_info *info) {
    static const char *const rows[] = {"affine x", "affine y", "affine z"};
    static const char *const srows[] = {"srow_x", "srow_y", "srow_z"};
    print_integer("qform_code", info->qform_code);
    print_reals("quatern", info->quatern, 3);
    print_reals("qoffset", info->qoffset, 3);
    print_integer("sform_code", info->sform_code);
    for (int i = 0; i < 3; i++)
        print_reals(srows[i], info->srow[i], 4);
    printf("  %-16s%s (affine from %s)\n", "orientation", info->orientation, info->affine_source);
    for (int i = 0; i < 3; i++)
        print_reals(rows[i], info->affine[i], 4);
}

void print_info(const vox_volume_info *info, const vox_statistics *s) {
    if (info->tensor_axes) {
        print_tensor(info);
    } else {
        print_format(info);
        print_geometry(info);
    }
    for (int i = 0; i < info->extension_count; i++)
        printf("  %-16scode %d, %" PRId64 " bytes\n", "extension", info->extension_code[i],
               info->extension_bytes[i]);
    if (!s)
        return;
    print_integer("count", s->count);
    print_integer("nan_count", s->nan_count);
    print_integer("inf_count", s->inf_count);
    if (s->nan_count + s->inf_count == s->count)
        return;
    print_reals("min", &s->min, 1);
    print_reals("max", &s->max, 1);
    print_reals("mean", &s->mean, 1);
    print_reals("stddev", &s->stddev, 1);
}
