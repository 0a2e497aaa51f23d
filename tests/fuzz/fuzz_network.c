/* fuzz_network.c - text networks: opened, and built for a small input. What stands behind a line
 * "---" is a file of weights; without one the weights are initial ones, where the text keeps them
 * small. */
#include "fuzz/common.h"

#include <ctype.h>
#include <string.h>

static void expect_shape(const vox_network *n, const int64_t in[4]) {
    vox_error err = {VOX_OK, ""};
    int64_t out[4];
    double stride[3], origin[3];
    vox_status status = vox_network_shape(n, in, out, &err);
    fuzz_expect(!status, "a model that was built has a shape");
    for (int i = 0; i < 4; i++)
        fuzz_expect(out[i] > 0, "an output has voxels");
    status = vox_network_geometry(n, in, stride, origin, &err);
    fuzz_expect(!status && stride[0] > 0, "and a geometry");
    vox_layer_info info[64];
    if (vox_network_layer_count(n) > 64)
        return;
    fuzz_expect(!vox_network_layers(n, in, info, &err), "and layers");
    for (int i = 0; i < vox_network_layer_count(n); i++)
        for (int k = 0; k < 3 && info[i].used; k++)
            fuzz_expect(info[i].receptive_field[k] >= 0 && info[i].multiply_adds >= 0,
                        "a layer sees and does something");
}

static void build(const char *path, const vox_model_options *o) {
    vox_error err = {VOX_OK, ""};
    vox_model *m = vox_model_open(path, o, &err);
    if (!m) {
        fuzz_expect_error(err.status, &err);
        return;
    }
    int64_t size[3];
    vox_model_in_size(m, size);
    const int64_t channels = vox_model_in_channels(m);
    fuzz_expect(channels >= 0, "a number of channels, or any");
    const int64_t in[4] = {channels ? channels : 1, 8, 7, 9};
    vox_network *n = vox_model_network(m, in, &err);
    if (n)
        expect_shape(n, in);
    else
        fuzz_expect_error(err.status, &err);
    vox_network_free(n);
    vox_model_free(m);
}

static bool has(const uint8_t *data, size_t size, const char *word) {
    return memmem(data, size, word, strlen(word)) != NULL;
}

/* Initial weights are drawn, however many the text asks for: up to the machine's memory. Here no
 * number has two digits, and neither channels nor the inputs of a linear layer grow line by line.
 */
static bool small(const uint8_t *data, size_t size) {
    for (size_t i = 0; i + 1 < size; i++)
        if (isdigit(data[i]) && isdigit(data[i + 1]))
            return false;
    return !has(data, size, "cat") && !has(data, size, "linear");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char mark[] = "\n---\n";
    const uint8_t *weights = memmem(data, size, mark, sizeof mark - 1);
    const size_t text = weights ? (size_t)(weights - data) + 1 : size;
    fuzz_file f = fuzz_file_open(data, text);
    if (weights) {
        const size_t begin = text + sizeof mark - 2;
        fuzz_file w = fuzz_file_open(data + begin, size - begin);
        build(f.path, &(vox_model_options){.weights = w.path});
        fuzz_file_close(&w);
    } else if (small(data, size)) {
        build(f.path, &(vox_model_options){.init = true, .seed = size});
    }
    fuzz_file_close(&f);
    return 0;
}
