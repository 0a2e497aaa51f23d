/* nifti.c - a kernel as a small volume. src/volume reads and writes it; here it becomes a row of
 * the table. */
#include "volume/volume.h"
#include "weights/weights.h"

#include <string.h>

/* sizeof_hdr of NIfTI-1 or NIfTI-2 in either byte order. A gzip file is taken for one too
 * (weights.c). */
static bool sniff(const unsigned char *head, int64_t bytes) {
    static const unsigned char sizes[4][4] = {
        {0x5c, 1, 0, 0}, {0, 0, 1, 0x5c}, {0x1c, 2, 0, 0}, {0, 0, 2, 0x1c}};
    for (int i = 0; i < 4; i++)
        if (bytes >= 4 && memcmp(head, sizes[i], 4) == 0)
            return true;
    return false;
}

static vox_tensor *get(vox_weights *w, int i, vox_error *err) {
    (void)i;
    return vox_volume_load_tensor(w->path, err);
}

static vox_status save(const char *path, int count, const char *const *names,
                       const vox_tensor *const *tensors, bool force, vox_error *err) {
    (void)count, (void)names;
    return vox_volume_save_tensor(path, tensors[0], force, err);
}

const vox_format vox_format_nifti = {.name = "NIfTI",
                                     .endings = ".nii .nii.gz .hdr .img .hdr.gz .img.gz ",
                                     .most = 1,
                                     .sniff = sniff,
                                     .get = get,
                                     .save = save};
