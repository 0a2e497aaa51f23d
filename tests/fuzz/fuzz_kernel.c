/* fuzz_kernel.c - named kernels: a spec, and behind a NUL the voxel sizes (three doubles) that
 * sizes in mm are divided by. */
#include "fuzz/common.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char spec[256];
    double voxel_mm[3];
    const size_t length = strnlen((const char *)data, size);
    if (length >= sizeof spec)
        return 0;
    memcpy(spec, data, length);
    spec[length] = '\0';
    const bool has_size = size - length > sizeof voxel_mm;
    if (has_size)
        memcpy(voxel_mm, data + length + 1, sizeof voxel_mm);

    vox_error err = {VOX_OK, ""};
    vox_tensor *parts[3];
    int count = -1;
    const vox_status status =
        vox_kernel_named(spec, has_size ? voxel_mm : NULL, parts, &count, &err);
    if (status)
        fuzz_expect_error(status, &err);
    fuzz_expect(status ? count == 0 : count == 1 || count == 3, "one dense kernel or three lines");
    for (int i = 0; i < count; i++) {
        const vox_tensor *t = parts[i];
        fuzz_expect(t->rank == 3 && t->count == t->shape[0] * t->shape[1] * t->shape[2],
                    "a kernel has three axes");
        vox_tensor_free(parts[i]);
    }
    return 0;
}
