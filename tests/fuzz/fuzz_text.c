/* fuzz_text.c - weights as text, and whatever else is taken for weights by its first bytes. */
#include "fuzz/common.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_weights(data, size);
    return 0;
}
