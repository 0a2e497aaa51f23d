/* output_name.h - what an output's name says about its form. */
#ifndef VOX_VOLUME_OUTPUT_NAME_H
#define VOX_VOLUME_OUTPUT_NAME_H

#include "base/base.h"

typedef struct vox_output_name {
    char *header; /* owned; the only file unless `pair` */
    char *data;   /* owned; the .img of a pair, else NULL */
    bool pair, gzip;
    bool npy;    /* a tensor */
    bool stream; /* a device without an ending: the input says what it gets */
    bool device; /* stdout, or what exists and is no regular file: written as it is */
} vox_output_name;

/* .nii, .nii.gz, .hdr or .img (a pair), each of the pair's also with .gz, .npy (a tensor) or
 * .npy.gz, in either case; "-" is
 * stdout and so is /dev/stdout, gzip where `compression` is 1 to 9; an existing device or fifo is
 * written as it is, likewise. Any other name gets .nii.gz appended, or what the environment's
 * FSLOUTPUTTYPE names (NIFTI, NIFTI_GZ, NIFTI_PAIR, NIFTI_PAIR_GZ). channel >= 0 puts _0000 and so
 * on in front of the ending. Errors: VOX_ERR_USAGE. */
vox_status vox_output_name_resolve(const char *path, int compression, int64_t channel,
                                   vox_output_name *name, vox_error *err);
void vox_output_name_clear(vox_output_name *name);

#endif
