/* grid.h - the grid that a network wants to see, over that of a file.
 *
 * Its axes run along the file's, in another order, from the other end, or in steps of another size;
 * so what lies where follows axis by axis. The definition is nibabel.processing.conform's: first
 * turned to an orientation (nibabel.orientations.io_orientation), then rescaled about the voxel in
 * the middle, (n - 1)//2 of both (nibabel.affines.rescale_affine). Lengths are in mm, whatever
 * unit the file has.
 */
#ifndef VOX_VOLUME_GRID_H
#define VOX_VOLUME_GRID_H

#include "base/base.h"

/* For each of the network's axes D, H, W. */
typedef struct vox_grid {
    int64_t size[3];
    int axis[3];              /* the file's axis that it runs along */
    double step[3], start[3]; /* voxel o is at index o*step + start of that axis */
    bool same;                /* as the file's, to less than 1e-3 of a voxel */
} vox_grid;

/* Errors: VOX_ERR_USAGE; VOX_ERR_INPUT where the affine does not say how the voxels lie. */
vox_status vox_grid_make(const vox_input *in, const vox_prepare *p, vox_grid *g, vox_error *err);

#endif
