/* fuzz_pt.c - torch's .pt weights: an archive as it is, or a pickle with an archive put around it,
 * since few changed bytes of an archive get past its CRCs. */
#include "fuzz/common.h"
#include "store_zip.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const unsigned char storage[96];
    const zip_member members[] = {{"a/data.pkl", data, size},
                                  {"a/data/0", storage, sizeof storage},
                                  {"a/data/1", storage, 8}};
    size_t bytes;
    if (size >= 4 && memcmp(data, "PK", 2) == 0)
        fuzz_weights(data, size);
    if (size < 2 || data[0] != 0x80)
        return 0;
    unsigned char *zip = zip_store(members, 3, &bytes);
    if (zip)
        fuzz_weights(zip, bytes);
    free(zip);
    return 0;
}
