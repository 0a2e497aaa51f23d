/* header.h - a volume's header: NIfTI's, read from a byte source, checked, and kept as it is, or
 * that of a tensor in a .npy file, told in NIfTI's fields.
 *
 * Every number of the file is checked here before anything is computed from it; nifticlib is handed
 * only what has passed. The header of the file's own version is kept byte for byte (in machine
 * order), so that what is not changed on purpose reaches the output exactly.
 */
#ifndef VOX_VOLUME_HEADER_H
#define VOX_VOLUME_HEADER_H

#include "stream/stream.h"
#include "volume/convert.h"

#include <nifti2_io.h>

enum {
    VOX_NIFTI1_BYTES = 348,
    VOX_NIFTI2_BYTES = 540,
    VOX_EXTENDER_BYTES = 4, /* follow the header; the first is not 0 where extensions follow */
};

typedef struct vox_header {
    int version;     /* 1 or 2 */
    bool pair;       /* the voxels are in another file */
    int tensor_axes; /* a .npy file of 3 to 5 axes, see below; 0: NIfTI */
    bool swapped;
    nifti_1_header raw1; /* version 1: the bytes of the file in machine order */
    nifti_2_header wide; /* version 2: likewise; version 1: the same values in the wider types */
    const vox_datatype *type;
    vox_scaling scaling;
    int64_t dim[8]; /* [0] is the rank; axes beyond it are 1 */
    int64_t vox_offset, data_bytes;
    unsigned char extender[VOX_EXTENDER_BYTES];
    unsigned char
        *extensions; /* owned: all of them, esize and ecode in machine order, edata as it is */
    int64_t extensions_bytes;
    int extension_count;
    int *extension_code;      /* owned */
    int64_t *extension_bytes; /* owned: esize */
} vox_header;

/* Reads and checks a header. A single file's source then stands on its first voxel (vox_offset); a
 * pair's header file is read to its end. Errors: VOX_ERR_INPUT "FILE: field=value: reason";
 * VOX_ERR_UNSUPPORTED for ANALYZE and datatypes that are not served. h is to be cleared with
 * vox_header_clear() either way. */
vox_status vox_header_read(vox_source *s, vox_header *h, vox_error *err);
void vox_header_clear(vox_header *h);

/* The same for a source whose first bytes, `start`, were read already and are those of a .npy file:
 * a tensor (N, C, D, H, W), (C, D, H, W) or (D, H, W). Its planes lie as those of a NIfTI file with
 * C in u (dim[5]) and N in v (dim[6]); so that is what the header says, with spacing 1 and the
 * identity as sform. t stays free: it might be taken for channels. Called by vox_header_read. */
vox_status vox_header_read_npy(vox_source *s, const unsigned char start[4], vox_header *h,
                               vox_error *err);
/* A header of nothing but sizes dim[1] to dim[rank] and a type, spacing 1. */
void vox_header_plain(nifti_2_header *w, int rank, const int64_t dim[8], const vox_datatype *type);
/* (N, C, D, H, W) of a tensor's header, or the last axes of it, as many as the file has. */
const char *vox_header_shape_text(const vox_header *h, char text[VOX_SHAPE_TEXT]);

/* The values of a NIfTI-1 header in NIfTI-2's types, sizeof_hdr and magic included: exact. */
void vox_header_widen(const nifti_1_header *from, nifti_2_header *to);
/* Copies the fields in which `after` differs from `before` into a NIfTI-1 header, and nothing else:
 * what was not changed keeps its bits. sizeof_hdr and magic are left alone. */
void vox_header_narrow(const nifti_2_header *before, const nifti_2_header *after,
                       nifti_1_header *to);

/* How messages call a path: "-" is stdin. */
static inline const char *vox_path_text(const char *path) {
    return path[0] == '-' && path[1] == '\0' ? "stdin" : path;
}

/* Whether a file of `length` bytes (-1: not known) holds the voxels that the header promises. */
vox_status vox_header_check_size(const char *path, const vox_header *h, int64_t length,
                                 vox_error *err);

#endif
