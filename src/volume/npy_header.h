/* npy_header.h - the header of numpy's .npy files: of volumes, and of weights. */
#ifndef VOX_VOLUME_NPY_HEADER_H
#define VOX_VOLUME_NPY_HEADER_H

#include "base/base.h"

typedef struct vox_npy_header {
    char kind; /* 'f' IEEE float, 'i' signed, 'u' unsigned, 'b' bool */
    int bytes; /* of a number */
    bool big_endian, fortran_order;
    int rank;
    int64_t shape[VOX_MAX_RANK];
} vox_npy_header;

/* Where a header is read from. */
typedef struct vox_npy_source {
    const char *label; /* for messages */
    vox_status kind;   /* of errors */
    /* The next bytes, all or an error; `part` is what they are, for its message. */
    vox_status (*read)(struct vox_npy_source *s, const char *part, void *buf, int64_t bytes,
                       vox_error *err);
    void *context;
    int64_t bytes; /* of the header, once it was read */
} vox_npy_source;

/* Whether a file may begin like that: as many of the first bytes as there are. */
bool vox_npy_begins(const unsigned char *head, int64_t bytes);
vox_status vox_npy_header_read(vox_npy_source *s, vox_npy_header *h, vox_error *err);

/* The magic, the dictionary and padding to a multiple of 64 bytes. */
enum { VOX_NPY_HEADER_BYTES = 320 };
/* The header, version 1, of an array in the machine's byte order; returns how many bytes it has. */
int64_t vox_npy_header_write(char kind, int bytes, int rank, const int64_t *shape,
                             unsigned char header[VOX_NPY_HEADER_BYTES]);

#endif
