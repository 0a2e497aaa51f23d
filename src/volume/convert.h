/* convert.h - rows of stored values to float32 and back.
 *
 * Reading: a value x becomes x*scl_slope + scl_inter, product and sum each rounded to double and
 * the result to float32, as numpy does in float64; without scaling it is rounded to float32 once
 * (float32 keeps its bits, NaN payloads included). Writing: (y - scl_inter)/scl_slope in double;
 * integer types then round half to even and clamp to their range, NaN becomes 0.
 *
 * A row is `n` voxels that lie one after the other; `component` chooses one of a voxel's
 * interleaved values. All functions may be called from several threads.
 */
#ifndef VOX_VOLUME_CONVERT_H
#define VOX_VOLUME_CONVERT_H

#include "volume/datatype.h"

typedef struct vox_scaling {
    bool active; /* false: values as they are stored */
    double slope, inter;
} vox_scaling;

/* stored: n * t->bytes bytes, in the other byte order where `swapped`. */
void vox_row_load(const vox_datatype *t, bool swapped, const vox_scaling *s,
                  const unsigned char *stored, int component, int64_t n, float *row);
/* The same in double precision, without the last rounding: for statistics. */
void vox_row_load_double(const vox_datatype *t, bool swapped, const vox_scaling *s,
                         const unsigned char *stored, int component, int64_t n, double *row);
/* Machine byte order. Returns how many values were clamped (NaN stored as 0 included). */
int64_t vox_row_store(const vox_datatype *t, const vox_scaling *s, const float *row, int component,
                      int64_t n, unsigned char *stored);
/* Adds the row's NaN and infinite values to the counters. */
void vox_row_count(const float *row, int64_t n, int64_t *nan_count, int64_t *inf_count);

#endif
