/* label_table.h - how many voxels and millilitres each label of a run's output has: --labels. */
#ifndef VOX_CLI_LABEL_TABLE_H
#define VOX_CLI_LABEL_TABLE_H

#include "voxconv.h"

#include <stdio.h>

typedef struct label_table {
    const vox_labels *names;
    int64_t frames, labels;
    int64_t *voxels;  /* [frames][labels] */
    double voxel_mm3; /* 0: not known */
} label_table;

/* Lets a run count the labels 0 to labels - 1; `labels` 0: nothing. Errors: VOX_ERR_RESOURCE. */
vox_status label_table_begin(label_table *t, const vox_labels *names, int64_t labels,
                             const vox_input *in, vox_filter_options *f, vox_error *err);
void label_table_clear(label_table *t);
/* A line for each label of each frame, under a line of headings. */
void label_table_print(const label_table *t, FILE *to);

#endif
