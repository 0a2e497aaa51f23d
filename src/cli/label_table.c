/* label_table.c - see label_table.h. */
#include "cli/label_table.h"

#include "cli/cli.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

vox_status label_table_begin(label_table *t, const vox_labels *names, int64_t labels,
                             const vox_input *in, vox_filter_options *f, vox_error *err) {
    vox_layout layout;
    *t = (label_table){.names = names, .labels = labels};
    if (labels == 0)
        return VOX_OK;
    const vox_status status = vox_input_layout(in, f->in_channels, f->time, &layout, err);
    if (status)
        return status;
    t->frames = layout.batch;
    /* Frames of a label each: the library says whether they fit. */
    t->voxels = calloc((size_t)t->frames, (size_t)labels * sizeof *t->voxels);
    if (!t->voxels)
        return cli_fail(err, VOX_ERR_RESOURCE, "out of memory: labels of %" PRId64 " frames",
                        t->frames);
    f->labels = labels;
    f->label_voxels = t->voxels;
    return VOX_OK;
}

void label_table_clear(label_table *t) {
    free(t->voxels);
    t->voxels = NULL;
}

/* Columns of a UTF-8 text: bytes that do not continue a character. */
static int width_of(const char *text) {
    int width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static const char *name_of(const label_table *t, int64_t label) {
    const char *name = vox_labels_name(t->names, label);
    return name ? name : "-";
}

static int widest_name(const label_table *t) {
    int widest = (int)strlen("name");
    for (int64_t i = 0; i < t->labels; i++) {
        const int width = width_of(name_of(t, i));
        widest = width > widest ? width : widest;
    }
    return widest;
}

/* As many decimals of a millilitre as show a single voxel. */
static int decimals(double voxel_ml) {
    const double digits = voxel_ml > 0 ? ceil(-log10(voxel_ml)) : 0;
    return (int)fmin(fmax(digits, 0), 15);
}

void label_table_print(const label_table *t, FILE *to) {
    const double ml = t->voxel_mm3 / 1000;
    const int widest = widest_name(t), precision = decimals(ml);
    const bool frames = t->frames > 1;
    fprintf(to, "%s%5s  %-*s  %12s  %12s\n", frames ? "frame  " : "", "label", widest, "name",
            "voxels", "ml");
    for (int64_t i = 0; i < t->frames * t->labels; i++) {
        const char *name = name_of(t, i % t->labels);
        if (frames)
            fprintf(to, "%5" PRId64 "  ", i / t->labels);
        fprintf(to, "%5" PRId64 "  ", i % t->labels);
        cli_print_text(name, to);
        fprintf(to, "%*s  %12" PRId64 "  ", widest - width_of(name), "", t->voxels[i]);
        if (t->voxel_mm3 > 0)
            fprintf(to, "%12.*f\n", precision, (double)t->voxels[i] * ml);
        else
            fprintf(to, "%12s\n", "-");
    }
}
