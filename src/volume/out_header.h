/* out_header.h - the output's header: the input's, changed only where the operation changes it. */
#ifndef VOX_VOLUME_OUT_HEADER_H
#define VOX_VOLUME_OUT_HEADER_H

#include "volume/layout.h"
#include "volume/output_name.h"
#include "volume/turn.h"
#include "volume/volume.h"

/* A header ready to be written: the bytes in front of the voxels (single file) or of the .hdr file.
 */
typedef struct vox_out_header {
    bool npy; /* a tensor's: `bytes` is a .npy header, and nothing follows it but the numbers */
    int version;
    const vox_datatype *type;
    vox_scaling scaling;   /* from float to stored values */
    vox_plane_order order; /* of one output file's planes; channels 1 where they are interleaved */
    int64_t vox_offset, data_bytes;
    double voxel_mm3;     /* vox_geometry_voxel_mm3() */
    int64_t header_bytes; /* 348 or 540, without the extender; of a .npy header all */
    unsigned char bytes[VOX_NIFTI2_BYTES + VOX_EXTENDER_BYTES]; /* header and extender */
} vox_out_header;

/* The header of each output file (all are alike): from the first input, for o->channels channels
 * or, with o->split, one. A tensor has as many axes as the first input if that is one, and else
 * five; three become four where there are several channels. Errors: VOX_ERR_USAGE for a datatype
 * that does not hold the channels, VOX_ERR_UNSUPPORTED for unknown types and impossible sizes. */
vox_status vox_out_header_make(const vox_input *in, const vox_output *o,
                               const vox_output_name *name, vox_out_header *out, vox_error *err);

/* The header of one input's voxels under a turn of the grid: dim and, unless keep_affine, the
 * geometry follow (vox_geometry_turn); t, u and so on stay, and `order` is of no use. `path` and
 * `datatype` as in vox_output; voxels of several values keep their type. Errors: as above. */
vox_status vox_out_header_turned(const vox_header *h, const char *path, int datatype,
                                 const vox_turn *t, bool keep_affine, bool pair,
                                 vox_out_header *out, vox_error *err);

#endif
