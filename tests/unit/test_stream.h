/* test_stream.h - what the tests of src/stream/ share: a scratch folder, bytes to carry, and gzip
 * files made by zlib alone, which serves as the independent opinion on what gzip is. */
#ifndef TEST_STREAM_H
#define TEST_STREAM_H

#include "stream/stream.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* ---- A folder of the test's own ---- */

static char scratch[64];

static inline void scratch_make(void) {
    strcpy(scratch, "/tmp/voxconv-test-XXXXXX");
    cr_assert_not_null(mkdtemp(scratch));
}

static inline void scratch_remove(void) {
    char path[512];
    DIR *d = opendir(scratch);
    cr_assert_not_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", scratch, e->d_name);
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && unlink(path) != 0)
            rmdir(path);
    }
    closedir(d);
    cr_assert_eq(rmdir(scratch), 0);
}

/* The path of a name in the folder; a few stay valid at a time. */
static inline const char *in_scratch(const char *name) {
    static char path[4][512];
    static int next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", scratch, name);
    return p;
}

static inline int scratch_entries(void) {
    int n = 0;
    DIR *d = opendir(scratch);
    cr_assert_not_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

/* ---- Bytes ---- */

typedef struct bytes {
    uint8_t *p;
    size_t n;
} bytes;

static inline bytes bytes_new(size_t n) {
    bytes b = {malloc(n ? n : 1), n};
    cr_assert_not_null(b.p);
    return b;
}

static inline bytes bytes_join(bytes a, bytes b) {
    bytes r = bytes_new(a.n + b.n);
    memcpy(r.p, a.p, a.n);
    memcpy(r.p + a.n, b.p, b.n);
    return r;
}

/* The same, of parts that are not needed any more. */
static inline bytes bytes_join_free(bytes a, bytes b) {
    bytes r = bytes_join(a, b);
    free(a.p);
    free(b.p);
    return r;
}

static inline bool bytes_equal(bytes a, bytes b) {
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

/* Half of it noise, half of it repetitive, in runs of a few KiB: all three kinds of deflate blocks.
 */
static inline bytes bytes_mixed(size_t n) {
    bytes b = bytes_new(n);
    uint32_t x = 12345;
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u; /* the generator of Numerical Recipes */
        b.p[i] = i / 5000 % 2 ? (uint8_t)(x >> 24) : (uint8_t)(i % 7 * (i / 700));
    }
    return b;
}

static inline void file_write(const char *path, const void *p, size_t n) {
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(p, 1, n, f), n);
    cr_assert_eq(fclose(f), 0);
}

static inline bytes file_read(const char *path) {
    struct stat st;
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f, "%s", path);
    cr_assert_eq(fstat(fileno(f), &st), 0);
    bytes b = bytes_new((size_t)st.st_size);
    cr_assert_eq(fread(b.p, 1, b.n, f), b.n);
    fclose(f);
    return b;
}

/* ---- gzip by zlib ---- */

static inline bytes zlib_gzip(bytes data, int level, gz_headerp header) {
    z_stream z = {0};
    cr_assert_eq(deflateInit2(&z, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    if (header)
        cr_assert_eq(deflateSetHeader(&z, header), Z_OK);
    bytes packed = bytes_new(deflateBound(&z, data.n) + 1024);
    z.next_in = data.p;
    z.avail_in = (uInt)data.n;
    z.next_out = packed.p;
    z.avail_out = (uInt)packed.n;
    cr_assert_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    packed.n -= z.avail_out;
    deflateEnd(&z);
    return packed;
}

/* Unpacks exactly one member that fills `packed`, into `room` bytes at most. */
static inline bytes zlib_gunzip(bytes packed, size_t room) {
    z_stream z = {0};
    cr_assert_eq(inflateInit2(&z, 15 + 16), Z_OK);
    bytes data = bytes_new(room + 1);
    z.next_in = packed.p;
    z.avail_in = (uInt)packed.n;
    z.next_out = data.p;
    z.avail_out = (uInt)data.n;
    cr_assert_eq(inflate(&z, Z_FINISH), Z_STREAM_END);
    cr_assert_eq(z.avail_in, 0, "one member and nothing behind it");
    data.n -= z.avail_out;
    inflateEnd(&z);
    return data;
}

/* ---- Both libraries ---- */

#ifdef VOX_HAVE_ISAL
enum { CODECS = 2 };
#else
enum { CODECS = 1 };
#endif

static inline void codec_use(int i) {
    static const char *const name[] = {"zlib", "isal"};
    cr_assert_eq(setenv("VOXCONV_GZIP", name[i], 1), 0);
    cr_assert_str_eq(vox_gzip_backend(), name[i]);
}

#endif
