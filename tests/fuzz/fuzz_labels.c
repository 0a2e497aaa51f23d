/* fuzz_labels.c - names of labels: colour tables, plain lines, JSON. */
#include "fuzz/common.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    vox_error err = {VOX_OK, ""};
    fuzz_file f = fuzz_file_open(data, size);
    vox_labels *l = vox_labels_open(f.path, &err);
    if (!l)
        fuzz_expect_error(err.status, &err);
    for (int64_t i = -1; l && i < 300; i++) {
        const char *name = vox_labels_name(l, i);
        fuzz_expect(!name || (*name && i >= 0), "a name that is not empty, of a number from 0 on");
    }
    vox_labels_free(l);
    fuzz_file_close(&f);
    return 0;
}
