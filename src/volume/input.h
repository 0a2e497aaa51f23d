/* input.h - opened files: what the reader and the writer see of a vox_input. */
#ifndef VOX_VOLUME_INPUT_H
#define VOX_VOLUME_INPUT_H

#include "volume/header.h"

/* One file (or pair). */
typedef struct vox_file {
    vox_header header;
    vox_volume_info info;
    char *path;       /* as given */
    char *data_path;  /* the file of the voxels: the .img of a pair */
    vox_source *data; /* stands on the first voxel */
    int64_t taken;    /* bytes of voxels read from it in order */
    bool used;        /* a pass over it has begun */
} vox_file;

struct vox_input {
    int count;
    vox_file *file; /* [count] */
};

/* How a message calls the file of the voxels. */
const char *vox_file_name(const vox_file *f);
/* Marks the one pass that a file is opened for; VOX_ERR_USAGE where it is over already. */
vox_status vox_file_begin(vox_file *f, vox_error *err);
/* The next `bytes` bytes of voxels; VOX_ERR_INPUT with both counts where the file ends before. */
vox_status vox_file_read(vox_file *f, void *buf, int64_t bytes, vox_error *err);

/* After the last voxel: checks gzip trailers and what follows the data; warns through `warn`, which
 * may be NULL. */
vox_status vox_file_finish(vox_file *f, void (*warn)(void *user, const char *message), void *user,
                           vox_error *err);

/* The first column in which two affines differ by more than headers of one scan do (1e-3 of a
 * voxel), or -1. */
int vox_affine_difference(const double a[3][4], const double b[3][4]);

/* Opens a pair's second half and skips to its voxels. header_path is a file whose magic
 * says that it is the header of a pair. */
vox_status vox_pair_open_data(vox_file *f, const char *header_path, vox_error *err);
/* "x.hdr" for "x.img" (and .gz) where that file exists, NULL where `path` has to be taken as it is
 * or memory is short (VOX_ERR_RESOURCE). The caller frees it. */
vox_status vox_pair_header_name(const char *path, char **header_path, vox_error *err);

#endif
