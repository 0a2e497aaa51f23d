/* .npz: every element type as numpy converts it, and archives that lie. */
#include "weights_support.h"

TestSuite(weights_npz, .init = make_folder, .fini = remove_folder);

/* Every NAME of the file against NAME.expected, which numpy converted to float32. */
static int compare_with_expected(const char *path) {
    vox_error err = {0};
    int compared = 0;
    vox_weights *w = vox_weights_open(path, &err);
    cr_assert_not_null(w, "%s", err.message);
    for (int i = 0; i < vox_weights_count(w); i++) {
        char expected[100];
        const char *name = vox_weights_name(w, i);
        snprintf(expected, sizeof expected, "%s.expected", name);
        if (!vox_weights_has(w, expected))
            continue;
        vox_tensor *a = vox_weights_get(w, name, &err), *b = vox_weights_get(w, expected, &err);
        cr_assert(a && b, "%s", err.message);
        expect_same(a, b, name);
        vox_tensor_free(a);
        vox_tensor_free(b);
        compared++;
    }
    vox_weights_free(w);
    return compared;
}

/* Twelve types, nine of them in two byte orders, each in C and Fortran order. */
Test(weights_npz, every_dtype_byte_order_and_layout) {
    cr_expect_eq(compare_with_expected(GOLDEN "weights/dtypes_stored.npz"), 42);
    cr_expect_eq(compare_with_expected(GOLDEN "weights/dtypes_deflated.npz"), 42);
}

/* make_formats.py: weight is arange(24) / 8, bias is (1, 2), and a member that is no array. */
Test(weights_npz, names_and_missing_names) {
    vox_error err = {0};
    vox_weights *w = vox_weights_open(GOLDEN "weights/stored.npz", &err);
    cr_assert_not_null(w, "%s", err.message);
    cr_assert_eq(vox_weights_count(w), 2);
    cr_expect_str_eq(vox_weights_name(w, 0), "weight");
    cr_expect_str_eq(vox_weights_name(w, 1), "bias");
    cr_expect(vox_weights_has(w, "bias"));
    cr_expect_not(vox_weights_has(w, "readme.txt"));
    cr_expect_null(vox_weights_get(w, "gamma", &err));
    cr_expect_eq(err.status, VOX_ERR_WEIGHTS);
    cr_expect_not_null(strstr(err.message, "weight, bias"), "%s", err.message);
    cr_expect_null(vox_weights_get(w, NULL, &err));
    cr_expect_not_null(strstr(err.message, "which array? it has weight, bias"), "%s", err.message);
    vox_weights_free(w);
    vox_tensor *bias = read_array(GOLDEN "weights/deflated.npz", "bias");
    cr_expect(bias->rank == 1 && bias->count == 2 && bias->data[0] == 1 && bias->data[1] == 2);
    vox_tensor_free(bias);
}

typedef struct bad_case {
    char file[64], array[8], phrase[64];
} bad_case;

/* The damage is described where it is made, in make_formats.py. */
ParameterizedTestParameters(weights_npz, damaged) {
    static bad_case cases[] = {
        {"bad_stored_crc", "weight", "CRC"},
        {"bad_stored_data", "weight", "CRC"},
        {"bad_stored_cut", "weight", "zip archive"},
        {"bad_stored_size_huge", "weight", "not possible"},
        {"bad_stored_size_long", "weight", "not possible"},
        {"bad_stored_size_short", "weight", "needs 96 bytes of data, the file has 92"},
        {"bad_stored_encrypted", "weight", "encrypted"},
        {"bad_stored_method", "weight", "compression method=12"},
        {"bad_deflated_crc", "weight", "CRC"},
        {"bad_deflated_data", "weight", "zip member"},
        {"bad_deflated_cut", "weight", "zip archive"},
        {"bad_deflated_size_huge", "weight", "not possible"},
        {"bad_deflated_size_long", "weight", "needs 96 bytes of data, the file has 100"},
        {"bad_deflated_size_short", "weight", "needs 96 bytes of data, the file has 92"},
        {"bad_deflated_encrypted", "weight", "encrypted"},
        {"bad_deflated_method", "weight", "compression method=12"},
        {"bad_twice", "w", "twice"},
        {"bad_empty", "w", "without .npy members"},
        {"bad_member", "w", "not an .npy file"},
    };
    return cr_make_param_array(bad_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(bad_case *c, weights_npz, damaged) {
    char path[200];
    snprintf(path, sizeof path, GOLDEN "weights/%s.npz", c->file);
    expect_bad(path, c->array, c->phrase);
}

/* A changed byte of the member's data must not pass: its CRC is checked to the end. Elsewhere in
 * the archive (dates, attributes) it may do no harm; so whatever is read is the right array. */
Test(weights_npz, any_single_wrong_byte_is_survived) {
    size_t n;
    char *buf = read_whole(GOLDEN "weights/deflated.npz", &n);
    vox_tensor *good = read_array(GOLDEN "weights/deflated.npz", "weight");
    for (size_t i = 0; i < n; i++) {
        char keep = buf[i];
        buf[i] = (char)(keep ^ 0x21);
        vox_tensor *t = read_or_sentence(write_file("a.npz", buf, n), "weight");
        if (t)
            expect_same(t, good, "weight");
        vox_tensor_free(t);
        buf[i] = keep;
    }
    vox_tensor_free(good);
    free(buf);
}
