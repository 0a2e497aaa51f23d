/* Tensors, and files that we write: reading them again is the identity, and refusals leave no file.
 */
#include "weights_support.h"

#include <fcntl.h>

TestSuite(weights_save, .init = make_folder, .fini = remove_folder);

static vox_tensor *tensor(int rank, const int64_t *shape) {
    vox_tensor *t = vox_tensor_new(rank, shape, NULL);
    cr_assert_not_null(t);
    return t;
}

/* A tensor with values that need all their digits, and the special ones. */
static vox_tensor *sample(int rank, const int64_t *shape) {
    static const float special[] = {0.1f,     -0.0f,     NAN,      1e-45f,     -3.4028234e38f,
                                    INFINITY, -INFINITY, 1.0f / 3, 16777215.0f};
    vox_tensor *t = tensor(rank, shape);
    for (int64_t i = 0; i < t->count; i++)
        t->data[i] = i < 9 ? special[i] : (float)i / 7;
    return t;
}

static const int64_t shape5[] = {2, 1, 3, 2, 4};

static void save_good(const char *path, int count, const char *const *names,
                      const vox_tensor *const *tensors) {
    vox_error err = {0};
    cr_assert_eq(vox_weights_save(path, count, names, tensors, true, &err), VOX_OK, "%s",
                 err.message);
}

static void round_trip(const char *file, const vox_tensor *t) {
    const char *path = in_folder(file);
    save_good(path, 1, NULL, &t);
    vox_tensor *back = read_array(path, NULL);
    expect_same(t, back, file);
    vox_tensor_free(back);
}

Test(weights_save, reading_what_was_written_is_the_identity) {
    static const char *const files[] = {"a.npy", "a.npz", "a.safetensors", "a.txt", "A.NPY"};
    for (int rank = 1; rank <= 5; rank++) {
        vox_tensor *t = sample(rank, shape5);
        for (int i = 0; i < 5; i++)
            round_trip(files[i], t);
        vox_tensor_free(t);
    }
    cr_expect_eq(files_in_folder(), 5);
}

Test(weights_save, nifti_round_trip) {
    static const char *const files[] = {"a.nii", "a.nii.gz"};
    vox_tensor *t = tensor(3, (int64_t[]){3, 2, 5});
    for (int i = 0; i < 30; i++)
        t->data[i] = (float)i / 7 - 1;
    for (int i = 0; i < 2; i++)
        round_trip(files[i], t);
    vox_tensor_free(t);
}

Test(weights_save, several_arrays) {
    static const char *const files[] = {"a.npz", "a.safetensors"};
    static const char *const names[] = {"conv.weight", "conv.bias"};
    vox_tensor *w = sample(5, shape5), *b = sample(1, shape5);
    const vox_tensor *all[] = {w, b};
    for (int i = 0; i < 2; i++) {
        const char *path = in_folder(files[i]);
        save_good(path, 2, names, all);
        vox_tensor *w2 = read_array(path, names[0]), *b2 = read_array(path, names[1]);
        expect_same(w, w2, names[0]);
        expect_same(b, b2, names[1]);
        vox_tensor_free(w2);
        vox_tensor_free(b2);
    }
    vox_tensor_free(w);
    vox_tensor_free(b);
}

static void expect_same_bytes(const char *one, const char *other) {
    size_t n1, n2;
    char *a = read_whole(one, &n1), *b = read_whole(other, &n2);
    cr_expect(n1 == n2 && memcmp(a, b, n1) == 0, "%s differs from %s", one, other);
    free(a);
    free(b);
}

/* The very bytes of numpy.save for the same array: v1.npy and scalar.npy of make_formats.py. */
Test(weights_save, npy_bytes_are_numpy_s) {
    static const char *const golden[] = {GOLDEN "weights/v1.npy", GOLDEN "weights/scalar.npy"};
    for (int i = 0; i < 2; i++) {
        vox_tensor *t = read_array(golden[i], NULL);
        const vox_tensor *all[] = {t};
        save_good(in_folder("b.npy"), 1, NULL, all);
        expect_same_bytes(golden[i], in_folder("b.npy"));
        vox_tensor_free(t);
    }
}

static void expect_text(const char *path, const char *text) {
    size_t n;
    char *got = read_whole(path, &n);
    cr_expect_str_eq(got, text);
    free(got);
}

Test(weights_save, text_is_sizes_and_rows) {
    vox_tensor *t = tensor(2, (int64_t[]){2, 3});
    for (int i = 0; i < 6; i++)
        t->data[i] = (float)i / 2;
    const vox_tensor *all[] = {t};
    save_good(in_folder("k.txt"), 1, NULL, all);
    expect_text(in_folder("k.txt"), "2 3\n0 0.5 1\n1.5 2 2.5\n");
    vox_tensor_free(t);
}

Test(weights_save, a_dash_is_npy_on_stdout) {
    vox_tensor *t = sample(5, shape5);
    const vox_tensor *all[] = {t};
    const char *path = in_folder("out");
    int keep = dup(1), fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert(keep >= 0 && fd >= 0 && dup2(fd, 1) == 1);
    vox_status status = vox_weights_save("-", 1, NULL, all, false, NULL);
    dup2(keep, 1);
    close(fd);
    close(keep);
    cr_assert_eq(status, VOX_OK);
    vox_tensor *back = read_array(path, NULL);
    expect_same(t, back, "stdout");
    vox_tensor_free(back);
    vox_tensor_free(t);
}

static void expect_refused(const char *file, int count, const char *const *names,
                           const vox_tensor *const *tensors, const char *phrase) {
    vox_error err = {0};
    cr_expect_eq(vox_weights_save(in_folder(file), count, names, tensors, true, &err),
                 VOX_ERR_USAGE, "%s: %s", file, err.message);
    cr_expect_not_null(strstr(err.message, phrase), "%s", err.message);
}

Test(weights_save, refusals_leave_no_file) {
    static const char *const twice[] = {"w", "w"}, *const meta[] = {"__metadata__"},
                             *const latin[] = {"w\xff"};
    vox_tensor *six = sample(6, (int64_t[]){1, 1, 1, 1, 1, 2}),
               *eight = sample(8, (int64_t[]){1, 1, 1, 1, 1, 1, 1, 2}), *scalar = sample(0, NULL);
    const vox_tensor *two[] = {six, scalar}, *one[] = {scalar}, *long8[] = {eight};
    expect_refused("a.pt", 1, NULL, one, "unknown ending");
    expect_refused("npy", 1, NULL, one, "unknown ending");
    expect_refused("a.npy", 2, NULL, two, "holds one");
    expect_refused("a.nii", 2, NULL, two, "holds one");
    expect_refused("a.npz", 0, NULL, two, "0 arrays");
    expect_refused("a.npz", 2, twice, two, "given twice");
    expect_refused("a.npz", 2, NULL, two, "given twice");
    expect_refused("a.txt", 1, NULL, two, "1 to 5 axes");
    expect_refused("a.txt", 1, NULL, one, "1 to 5 axes");
    expect_refused("a.nii", 1, NULL, one, "1 to 7 axes");
    expect_refused("a.nii.gz", 1, NULL, long8, "1 to 7 axes");
    expect_refused("a.safetensors", 1, meta, one, "no tensor's name");
    expect_refused("a.safetensors", 1, latin, one, "UTF-8");
    expect_refused("a.npz", 1, latin, one, "not a name for a zip member");
    cr_expect_eq(files_in_folder(), 0);
    vox_tensor_free(six);
    vox_tensor_free(eight);
    vox_tensor_free(scalar);
}

Test(weights_save, an_existing_file_stays_without_force) {
    static const char *const files[] = {"a.npy", "a.npz", "a.safetensors", "a.txt"};
    vox_tensor *t = sample(1, shape5);
    const vox_tensor *all[] = {t};
    for (int i = 0; i < 4; i++) {
        vox_error err = {0};
        const char *path = write_file(files[i], "before", 6);
        cr_expect_eq(vox_weights_save(path, 1, NULL, all, false, &err), VOX_ERR_OUTPUT);
        cr_expect_not_null(strstr(err.message, path), "%s", err.message);
        expect_text(path, "before");
    }
    cr_expect_eq(files_in_folder(), 4);
    vox_tensor_free(t);
}

/* The members' date is 1 January 1980 and not today's (local header, APPNOTE.TXT 4.3.7 and 4.4.6).
 */
Test(weights_save, npz_bytes_are_reproducible) {
    size_t n;
    vox_tensor *t = sample(3, shape5);
    const vox_tensor *all[] = {t};
    save_good(in_folder("a.npz"), 1, NULL, all);
    char *zip = read_whole(in_folder("a.npz"), &n);
    cr_expect(zip[10] == 0 && zip[11] == 0 && zip[12] == 0x21 && zip[13] == 0);
    free(zip);
    vox_tensor_free(t);
}

/* ---- Opening, and tensors themselves ---- */

Test(weights_save, content_counts_and_not_the_name) {
    size_t n;
    char *npy = read_whole(GOLDEN "weights/v1.npy", &n);
    vox_tensor *t = read_array(write_file("k.txt", npy, n), NULL);
    cr_expect(t->rank == 3 && t->data[8] == 1.0f);
    vox_tensor_free(t);
    free(npy);
    char *zip = read_whole(GOLDEN "weights/stored.npz", &n);
    t = read_array(write_file("k.nii", zip, n), "bias");
    cr_expect_eq(t->count, 2);
    vox_tensor_free(t);
    free(zip);
}

Test(weights_save, files_that_are_none) {
    expect_bad(in_folder("missing.npy"), NULL, "");
    expect_bad(folder, NULL, "");
    expect_bad(write_file("empty.npy", "", 0), NULL, "");
}

/* A damaged volume is a damaged weights file here, whether its name or its first bytes led to it.
 */
Test(weights_save, damaged_nifti_is_a_weights_error) {
    char header[400] = {0x5c, 1}; /* sizeof_hdr 348; dim[0] stays 0 */
    memcpy(header + 344, "n+1", 4);
    expect_bad(write_file("k.dat", header, 100), NULL, "");
    expect_bad(write_file("k.dat", header, sizeof header), NULL, "");
    expect_bad(write_file("k.nii", "no volume at all", 16), NULL, "");
    /* The first bytes of a gzip member, and then nothing. */
    expect_bad(write_file("k.dat", "\x1f\x8b\x08\0\0\0\0\0\0\3", 10), NULL, "");
}

Test(weights_save, tensor_shapes) {
    vox_error err = {0};
    const int64_t huge[] = {INT64_MAX, 2}, negative[] = {2, -1}, large[] = {INT64_MAX / 4};
    cr_expect_null(vox_tensor_new(2, huge, &err));
    cr_expect_eq(err.status, VOX_ERR_USAGE);
    cr_expect_null(vox_tensor_new(2, negative, &err));
    cr_expect_not_null(strstr(err.message, "(2, -1)"), "%s", err.message);
    cr_expect_null(vox_tensor_new(9, huge, &err));
    cr_expect_eq(err.status, VOX_ERR_USAGE);
    cr_expect_null(vox_tensor_new(-1, huge, &err));
    cr_expect_null(vox_tensor_new(1, large, &err));
    cr_expect_eq(err.status, VOX_ERR_RESOURCE);
    vox_tensor *t = vox_tensor_new(0, NULL, &err);
    cr_assert_not_null(t);
    cr_expect(t->count == 1 && t->data[0] == 0);
    vox_tensor_free(t);
    vox_tensor_free(NULL);
    vox_weights_free(NULL);
}
