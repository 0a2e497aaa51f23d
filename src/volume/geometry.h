/* geometry.h - where voxels lie: the affine of a header, and how it moves with the grid.
 *
 * Works on NIfTI-2's wide fields; NIfTI-1's convert to them exactly. The rotation arithmetic is
 * nifticlib's.
 */
#ifndef VOX_VOLUME_GEOMETRY_H
#define VOX_VOLUME_GEOMETRY_H

#include "base/base.h"

#include <nifti2_io.h>

/* Voxel (i, j, k) to mm: sform where sform_code > 0, else qform where qform_code > 0, else the
 * spacing alone (nifti1.h, methods 3, 2 and 1). Returns "sform", "qform" or "pixdim". */
const char *vox_geometry_affine(const nifti_2_header *h, double affine[3][4]);

/* Where i, j and k grow towards, as "RAS"; "???" where the affine has no inverse. */
void vox_geometry_orientation(const double affine[3][4], char text[4]);

/* Moves the grid: the new voxel o lies at old index o*stride + origin, both {D, H, W}. Changes
 * srow, qoffset and pixdim[1..3], in use or not, as far as they are filled in; and nothing at all
 * for stride 1, origin 0. */
void vox_geometry_move(nifti_2_header *h, const double stride[3], const double origin[3]);

/* The field that keeps the affine from being computed (not finite while in use): its name, for a
 * message, and its value; NULL where all is well. */
const char *vox_geometry_bad_field(const nifti_2_header *h, double *value);

#endif
