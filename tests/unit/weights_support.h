/* weights_support.h - what the tests of src/weights share: a temporary folder, files made of bytes,
 * and the comparison of tensors. Golden files are written by the scripts in tests/oracle/golden. */
#ifndef WEIGHTS_SUPPORT_H
#define WEIGHTS_SUPPORT_H

#include "voxconv.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GOLDEN "tests/oracle/golden/"

static char folder[64];

static inline void make_folder(void) {
    strcpy(folder, "/tmp/voxconv-weights-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

/* A name in the folder; valid until the call after the next. */
static inline const char *in_folder(const char *name) {
    static char path[2][400];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

/* Files in the folder, temporary ones included. */
static inline int files_in_folder(void) {
    int n = 0;
    DIR *d = opendir(folder);
    cr_assert_not_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

static inline void remove_folder(void) {
    DIR *d = opendir(folder);
    cr_assert_not_null(d);
    for (struct dirent *e; (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            unlink(in_folder(e->d_name));
    closedir(d);
    rmdir(folder);
}

static inline const char *write_file(const char *name, const void *bytes, size_t count) {
    const char *path = in_folder(name);
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(bytes, 1, count, f), count);
    cr_assert_eq(fclose(f), 0);
    return path;
}

/* A whole file; the caller frees it. */
static inline char *read_whole(const char *path, size_t *bytes) {
    enum { MOST = 1 << 20 };
    char *buf = calloc(1, MOST);
    FILE *f = fopen(path, "rb");
    cr_assert(buf && f, "%s cannot be read", path);
    *bytes = fread(buf, 1, MOST, f);
    cr_assert_lt(*bytes, (size_t)MOST);
    fclose(f);
    return buf;
}

/* Opens a good file and reads one array of it. */
static inline vox_tensor *read_array(const char *path, const char *name) {
    vox_error err = {0};
    vox_weights *w = vox_weights_open(path, &err);
    cr_assert_not_null(w, "%s", err.message);
    vox_tensor *t = vox_weights_get(w, name, &err);
    cr_assert_not_null(t, "%s", err.message);
    vox_weights_free(w);
    return t;
}

/* Opens and reads a file that must fail: of kind VOX_ERR_WEIGHTS, in one sentence that names the
 * file and holds `phrase`. */
static inline void expect_bad(const char *path, const char *name, const char *phrase) {
    vox_error err = {0};
    vox_weights *w = vox_weights_open(path, &err);
    vox_tensor *t = w ? vox_weights_get(w, name, &err) : NULL;
    cr_expect_null(t, "%s was read", path);
    cr_expect_eq(err.status, VOX_ERR_WEIGHTS, "%d: %s", err.status, err.message);
    cr_expect_eq(strncmp(err.message, path, strlen(path)), 0, "no file name: %s", err.message);
    cr_expect_not_null(strstr(err.message, phrase), "'%s' is not in: %s", phrase, err.message);
    cr_expect_null(strchr(err.message, '\n'));
    vox_tensor_free(t);
    vox_weights_free(w);
}

/* Opens and reads a file that may be good or bad: a tensor (the caller's) or a sentence, never a
 * crash. */
static inline vox_tensor *read_or_sentence(const char *path, const char *name) {
    vox_error err = {0};
    vox_weights *w = vox_weights_open(path, &err);
    vox_tensor *t = w ? vox_weights_get(w, name, &err) : NULL;
    cr_expect(t || (err.status == VOX_ERR_WEIGHTS && *err.message), "%d: %s", err.status,
              err.message);
    vox_weights_free(w);
    return t;
}

/* The same shape and the same bits; any NaN equals any NaN. */
static inline void expect_same(const vox_tensor *a, const vox_tensor *b, const char *what) {
    cr_assert_eq(a->rank, b->rank, "%s: rank %d and %d", what, a->rank, b->rank);
    cr_assert_eq(a->count, b->count, "%s: count", what);
    for (int i = 0; i < a->rank; i++)
        cr_assert_eq(a->shape[i], b->shape[i], "%s: shape[%d]", what, i);
    for (int64_t i = 0; i < a->count; i++)
        cr_assert(
            memcmp(&a->data[i], &b->data[i], 4) == 0 || (isnan(a->data[i]) && isnan(b->data[i])),
            "%s: [%d] is %.9g and %.9g", what, (int)i, (double)a->data[i], (double)b->data[i]);
}

#endif
