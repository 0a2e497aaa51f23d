/* fuzz_npz.c - .npz weights: a zip archive of .npy members. */
#include "fuzz/common.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* Formats are found by content; what another one claims is another target's. */
    if (size >= 4 && memcmp(data, "PK", 2) == 0)
        fuzz_weights(data, size);
    return 0;
}
