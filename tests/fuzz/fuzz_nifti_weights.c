/* fuzz_nifti_weights.c - a kernel in a NIfTI file, gzip or not. */
#include "fuzz/common.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* What the other formats claim is their targets'. */
    if (size >= 4 && (data[0] == 0x1f || memchr(data, 0x5c, 4) || memchr(data, 0x1c, 4)))
        fuzz_weights(data, size);
    return 0;
}
