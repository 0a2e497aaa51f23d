/* fuzz_npy.c - .npy weights. */
#include "fuzz/common.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* Formats are found by content; what another one claims is another target's. */
    if (size >= 6 && memcmp(data, "\x93NUMPY", 6) == 0)
        fuzz_weights(data, size);
    return 0;
}
