/* fuzz_onnx.c - ONNX models: parsing, folding, and the network for a small input. It is not run:
 * what its layers compute is no matter of the file's bytes, and padding may make it large. */
#include "fuzz/common.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const vox_model_options options = {0};
    vox_error err = {VOX_OK, ""};
    int64_t in[4] = {1, 8, 8, 8}, extent[3], out[4];
    /* Formats are found by content; a file that begins with its version can be this one only. */
    if (size < 1 || data[0] != 8)
        return 0;
    fuzz_file f = fuzz_file_open(data, size);
    vox_model *m = vox_model_open(f.path, &options, &err);
    if (!m)
        fuzz_expect_error(err.status, &err);
    if (m && vox_model_in_channels(m) > 0)
        in[0] = vox_model_in_channels(m);
    if (m)
        vox_model_in_size(m, extent);
    for (int i = 0; i < 3 && m; i++)
        if (extent[i] > 0)
            in[1 + i] = extent[i];
    vox_network *n = m ? vox_model_network(m, in, &err) : NULL;
    if (m && !n)
        fuzz_expect_error(err.status, &err);
    if (n)
        fuzz_expect(vox_network_shape(n, in, out, &err) == VOX_OK, "a built network has a shape");
    vox_network_free(n);
    vox_model_free(m);
    fuzz_file_close(&f);
    return 0;
}
