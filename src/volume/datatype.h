/* datatype.h - the NIfTI datatypes that are served, one row of a table each. */
#ifndef VOX_VOLUME_DATATYPE_H
#define VOX_VOLUME_DATATYPE_H

#include "base/base.h"

/* How one component lies in the file. */
typedef enum vox_storage {
    VOX_STORE_UINT8,
    VOX_STORE_INT8,
    VOX_STORE_UINT16,
    VOX_STORE_INT16,
    VOX_STORE_UINT32,
    VOX_STORE_INT32,
    VOX_STORE_UINT64,
    VOX_STORE_INT64,
    VOX_STORE_FLOAT32,
    VOX_STORE_FLOAT64,
    VOX_STORE_COUNT
} vox_storage;

typedef struct vox_datatype {
    int code;         /* NIfTI's datatype */
    const char *name; /* ours: numpy's where numpy has one */
    vox_storage storage;
    int components; /* values a voxel, interleaved: each is a channel */
    int bytes;      /* a voxel, all components */
    bool scalable;  /* whether scl_slope and scl_inter apply (nifti1.h: not to RGB) */
} vox_datatype;

/* The row of a NIfTI code, or NULL where it is not served. */
const vox_datatype *vox_datatype_find(int code);
/* The name of a datatype that NIfTI defines and voxconv does not serve, or NULL. */
const char *vox_datatype_not_served(int code);

#endif
