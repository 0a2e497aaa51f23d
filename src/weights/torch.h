/* torch.h - what torch.c (the file and its names) and torch_tensor.c (one tensor of it) share. */
#ifndef VOX_TORCH_H
#define VOX_TORCH_H

#include "weights/archive.h"
#include "weights/pickle.h"

/* The state of an open .pt file. */
typedef struct vox_torch_file {
    unsigned char *bytes; /* of the pickle */
    vox_pickle *pickle;
    char *folder;     /* "archive/", which every member's name starts with */
    uint32_t *tensor; /* [count] the values that are tensors */
    bool big_endian;
} vox_torch_file;

#define VOX_TORCH_PICKLE "data.pkl"

/* What a state_dict's pickle names. A CALL among its values is a tensor or a parameter. */
extern const vox_pickle_global vox_torch_globals[];
extern const int vox_torch_global_count;

/* The member "FOLDER/name"; -1: none. */
int64_t vox_torch_find(const vox_weights *w, const char *name);

/* A tensor as a view of a storage; all in elements. */
typedef struct vox_torch_view {
    int64_t member; /* of the archive */
    vox_element element;
    int64_t storage_count, offset;
    int rank;
    int64_t shape[VOX_MAX_RANK], stride[VOX_MAX_RANK];
    int64_t count, last; /* product of shape; the last element of the storage that is in it */
} vox_torch_view;

/* What the value says, checked against the archive: the view lies within its storage, and the
 * storage is there. `name` is for messages. */
vox_status vox_torch_view_read(const vox_weights *w, const char *name, uint32_t value,
                               vox_torch_view *v, vox_error *err);
/* Reads the view's elements, row-major, and the storage's CRC. */
vox_status vox_torch_view_values(vox_weights *w, const char *name, const vox_torch_view *v,
                                 float *to, vox_error *err);

#endif
