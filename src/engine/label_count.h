/* label_count.h - how many voxels have each label, counted on their way to the writer. */
#ifndef VOX_LABEL_COUNT_H
#define VOX_LABEL_COUNT_H

#include "base/base.h"

typedef struct vox_label_count vox_label_count;

/* For the labels 0 to labels - 1. */
vox_label_count *vox_label_count_new(int64_t labels, int threads, vox_error *err);
void vox_label_count_free(vox_label_count *c);
/* What it and the sums of all frames hold, for the plan; INT64_MAX where that is more. */
int64_t vox_label_count_bytes(int64_t labels, int threads, int64_t frames);
/* Counts the first channel of planes [d, d + count). A value that is none of the labels is not
 * counted. */
void vox_label_count_planes(vox_label_count *c, int64_t d, int64_t count, const vox_planes *planes);
/* Adds what was counted so far to voxels[labels], and begins anew. */
void vox_label_count_take(vox_label_count *c, int64_t *voxels);

#endif
