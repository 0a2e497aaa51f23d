/* fuzz_tfjs.c - TensorFlow.js models: a model.json, and behind a line "---" what its shard holds,
 * in a folder of their own. The shard's name is the one that the seeds give. */
#include "fuzz/common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void build(const char *path, bool axes_whd) {
    vox_error err = {VOX_OK, ""};
    vox_model *m = vox_model_open(path, &(vox_model_options){.axes_whd = axes_whd}, &err);
    if (!m) {
        fuzz_expect_error(err.status, &err);
        return;
    }
    int64_t size[3], out[4];
    vox_model_in_size(m, size);
    const int64_t channels = vox_model_in_channels(m);
    fuzz_expect(channels >= 0, "a number of channels, or any");
    const int64_t in[4] = {channels ? channels : 1, 8, 7, 9};
    vox_network *n = vox_model_network(m, in, &err);
    if (!n)
        fuzz_expect_error(err.status, &err);
    else
        fuzz_expect(!vox_network_shape(n, in, out, &err) && out[0] > 0 && out[1] > 0 &&
                        out[2] > 0 && out[3] > 0,
                    "a model that was built has a shape");
    vox_network_free(n);
    vox_model_free(m);
}

static void write_file(const char *path, const uint8_t *data, size_t size) {
    FILE *f = fopen(path, "wb");
    fuzz_expect(f && fwrite(data, 1, size, f) == size, "a file");
    fclose(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char mark[] = "\n---\n";
    const uint8_t *shard = memmem(data, size, mark, sizeof mark - 1);
    const size_t json = shard ? (size_t)(shard - data) : size;
    const size_t begin = shard ? json + sizeof mark - 1 : size;
    const char *folder = getenv("TMPDIR");
    char dir[512], model[520], bin[560];
    /* What does not begin like JSON is another target's. */
    if (size == 0 || data[0] != '{')
        return 0;
    snprintf(dir, sizeof dir, "%s/fuzz-XXXXXX", folder ? folder : "/tmp");
    fuzz_expect(mkdtemp(dir) != NULL, "a temporary folder");
    snprintf(model, sizeof model, "%s/m", dir);
    snprintf(bin, sizeof bin, "%s/group1-shard1of1.bin", dir);
    write_file(model, data, json);
    write_file(bin, data + begin, size - begin);
    build(model, false);
    build(model, true);
    unlink(model);
    unlink(bin);
    rmdir(dir);
    return 0;
}
