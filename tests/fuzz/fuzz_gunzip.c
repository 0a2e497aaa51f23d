/* fuzz_gunzip.c - gzip sources, with each of the two libraries that inflate: both must give the
 * same bytes, or both refuse. */
#include "fuzz/common.h"
#include "stream/stream.h"

#include <stdlib.h>

typedef struct outcome {
    vox_status status;
    int64_t bytes, trailing;
    uint64_t hash; /* of the bytes: FNV-1a */
} outcome;

static outcome read_all(const char *path, const char *library) {
    static uint8_t piece[50000]; /* not a divisor of any buffer's size */
    outcome o = {.hash = 0xcbf29ce484222325};
    vox_error err = {VOX_OK, ""};
    setenv("VOXCONV_GZIP", library, 1);
    vox_source *s = vox_source_open(path, VOX_ERR_INPUT, &err);
    o.status = s ? VOX_OK : err.status;
    int64_t got = sizeof piece;
    while (!o.status && got == sizeof piece) {
        o.status = vox_source_read(s, piece, sizeof piece, &got, &err);
        for (int64_t i = 0; i < got; i++)
            o.hash = (o.hash ^ piece[i]) * 0x100000001b3;
        o.bytes += got;
    }
    if (!o.status)
        o.status = vox_source_finish(s, &o.trailing, &err);
    if (o.status)
        fuzz_expect_error(o.status, &err);
    vox_source_free(s);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_file f = fuzz_file_open(data, size);
    const outcome zlib = read_all(f.path, "zlib"), isal = read_all(f.path, "isal");
    fuzz_expect(zlib.status == isal.status, "zlib and ISA-L take the same files");
    if (!zlib.status)
        fuzz_expect(zlib.bytes == isal.bytes && zlib.trailing == isal.trailing &&
                        zlib.hash == isal.hash,
                    "zlib and ISA-L read the same bytes");
    fuzz_file_close(&f);
    return 0;
}
