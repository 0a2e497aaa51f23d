/* intensity.h - a volume's values scaled, clipped or standardised, as networks were trained on.
 *
 * What is done to a value follows from statistics of its channel in its frame: so a frame's values
 * are looked at in one or two passes, and changed when they come again. Sums are taken row by row
 * in the volume's order, so that neither threads nor slabs can be seen in them. Percentiles are
 * exact: a first pass counts the upper halves of the values' bits, a second one the lower halves of
 * those that the wanted ranks fall into.
 */
#ifndef VOX_INTENSITY_H
#define VOX_INTENSITY_H

#include "base/base.h"

typedef struct vox_intensity_state vox_intensity_state;

/* Errors: VOX_ERR_USAGE for parameters that make no sense. */
vox_status vox_intensity_check(const vox_prepare *p, vox_error *err);
/* Whether values are changed at all. */
bool vox_intensity_changes(const vox_prepare *p);
/* Passes over a frame before its values can be changed: 0 to 2. */
int vox_intensity_passes(const vox_prepare *p);
/* INT64_MAX where it is more. */
int64_t vox_intensity_bytes(const vox_prepare *p, int64_t channels);

vox_intensity_state *vox_intensity_new(const vox_prepare *p, int64_t channels, int threads,
                                       vox_error *err);
void vox_intensity_free(vox_intensity_state *s);
/* A pass over a frame: begin, every row of every plane once and in order, end. */
void vox_intensity_begin(vox_intensity_state *s, int pass);
void vox_intensity_take(vox_intensity_state *s, int pass, const vox_planes *planes, int64_t d,
                        int64_t count);
void vox_intensity_end(vox_intensity_state *s, int pass);
/* Changes planes [d, d+count), where they lie. */
void vox_intensity_apply(const vox_intensity_state *s, const vox_planes *planes, int64_t d,
                         int64_t count);

#endif
