/* geometry.h - where voxels lie: the affine of a header, and how it moves with the grid.
 *
 * Works on NIfTI-2's wide fields; NIfTI-1's convert to them exactly. The rotation arithmetic is
 * nifticlib's.
 */
#ifndef VOX_VOLUME_GEOMETRY_H
#define VOX_VOLUME_GEOMETRY_H

#include "volume/turn.h"

#include <nifti2_io.h>

/* Voxel (i, j, k) to mm: sform where sform_code > 0, else qform where qform_code > 0, else the
 * spacing alone (nifti1.h, methods 3, 2 and 1). Returns "sform", "qform" or "pixdim". */
const char *vox_geometry_affine(const nifti_2_header *h, double affine[3][4]);

/* The unit of xyzt_units in mm; unknown: 1. */
double vox_geometry_unit_mm(const nifti_2_header *h);

/* mm^3 of a voxel: the determinant of that affine, in the unit of xyzt_units (unknown: mm). 0 where
 * there is none: not finite, or no inverse. */
double vox_geometry_voxel_mm3(const nifti_2_header *h);

/* Where i, j and k grow towards, as "RAS"; "???" where the affine has no inverse. */
void vox_geometry_orientation(const double affine[3][4], char text[4]);

/* Moves the grid: the new voxel o lies at old index o*stride + origin, both {D, H, W}. Changes
 * srow, qoffset and pixdim[1..3], in use or not, as far as they are filled in; and nothing at all
 * for stride 1, origin 0. */
void vox_geometry_move(nifti_2_header *h, const double stride[3], const double origin[3]);

/* Turns the grid, of `size` voxels {D, H, W} before: every voxel stays where it was in mm. Changes
 * srow, quatern, qoffset, pixdim[0..3], in use or not, as far as they are filled in; dim_info; and
 * slice_code, slice_start and slice_end, which change places where the slices run the other way
 * now. Spacing alone cannot say where a turned grid lies: a header with neither sform nor qform in
 * use gets an sform (NIFTI_XFORM_ALIGNED_ANAT: the coordinates of another file). Nothing changes
 * where t changes nothing. */
void vox_geometry_turn(nifti_2_header *h, const vox_turn *t, const int64_t size[3]);

/* The field that keeps the affine from being computed (not finite while in use): its name, for a
 * message, and its value; NULL where all is well. */
const char *vox_geometry_bad_field(const nifti_2_header *h, double *value);

#endif
