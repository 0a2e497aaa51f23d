/* regrid.h - volumes from one grid onto another whose axes run along the first one's.
 *
 * Planes are pushed in their order, each once, so that a stream will do, and what they make of the
 * new volume is put in its place in a store. Interpolation is separable: a plane is resampled along
 * its rows and columns when it comes, and the last two such planes make the slices between them.
 */
#ifndef VOX_REGRID_H
#define VOX_REGRID_H

#include "engine/store.h"
#include "volume/grid.h"

typedef struct vox_regridding {
    int64_t channels;
    int64_t from[3], to[3];   /* D, H, W of both grids */
    int axis[3];              /* for each axis of `to`, the one of `from` that it runs along */
    double step[3], start[3]; /* voxel o of `to` is at index o*step + start of that */
    bool nearest;             /* the nearest voxel's value; else linear between two */
    bool to_the_edge; /* voxels reach half their size beyond their middle; else a value is made
                         between middles alone, as scipy does it with mode='constant' */
    bool spooled;
    int threads;
} vox_regridding;

/* From a file's grid, of `size` voxels, to the network's, and back. */
vox_regridding vox_regridding_there(const vox_grid *g, const int64_t size[3]);
vox_regridding vox_regridding_back(const vox_grid *g, const int64_t size[3]);

typedef struct vox_regrid vox_regrid;

/* With a store for the new volume. Errors: VOX_ERR_RESOURCE. */
vox_regrid *vox_regrid_new(const vox_regridding *how, vox_error *err);
void vox_regrid_free(vox_regrid *g);
/* What it takes besides the store; INT64_MAX where it is more than can be addressed. */
int64_t vox_regrid_bytes(const vox_regridding *how);
/* The next plane of a volume is plane d of `from`, all channels; behind the last one, the new
 * volume is complete and the next may begin. */
vox_status vox_regrid_push(vox_regrid *g, const vox_planes *from, int64_t d, vox_error *err);
const vox_store *vox_regrid_result(const vox_regrid *g);

#endif
