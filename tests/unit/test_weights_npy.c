/* .npy: numpy's own files in every version, and headers that numpy would not write. */
#include "weights_support.h"

TestSuite(weights_npy, .init = make_folder, .fini = remove_folder);

/* make_formats.py: arange(24) / 8, shape (2, 3, 4), written by numpy as versions 1, 2 and 3. */
Test(weights_npy, versions) {
    static const char *const paths[] = {GOLDEN "weights/v1.npy", GOLDEN "weights/v2.npy",
                                        GOLDEN "weights/v3.npy"};
    for (int v = 0; v < 3; v++) {
        vox_tensor *t = read_array(paths[v], NULL);
        cr_assert_eq(t->rank, 3);
        cr_assert(t->shape[0] == 2 && t->shape[1] == 3 && t->shape[2] == 4);
        for (int i = 0; i < 24; i++)
            cr_expect_eq(t->data[i], (float)i / 8);
        vox_tensor_free(t);
    }
}

Test(weights_npy, a_scalar_has_rank_0) {
    vox_tensor *t = read_array(GOLDEN "weights/scalar.npy", NULL);
    cr_expect_eq(t->rank, 0);
    cr_expect_eq(t->count, 1);
    cr_expect_eq(t->data[0], 2.5f);
    vox_tensor_free(t);
}

Test(weights_npy, types_that_are_no_weights) {
    expect_bad(GOLDEN "weights/object.npy", NULL, "Python objects");
    expect_bad(GOLDEN "weights/structured.npy", NULL, "structured");
    expect_bad(GOLDEN "weights/complex.npy", NULL, "complex");
}

Test(weights_npy, the_single_array_has_no_name) {
    vox_error err = {0};
    vox_weights *w = vox_weights_open(GOLDEN "weights/v1.npy", &err);
    cr_assert_not_null(w, "%s", err.message);
    cr_expect_eq(vox_weights_count(w), 1);
    cr_expect_str_eq(vox_weights_name(w, 0), "");
    cr_expect_str_eq(vox_weights_path(w), GOLDEN "weights/v1.npy");
    cr_expect_not(vox_weights_has(w, "weight"));
    vox_weights_free(w);
    expect_bad(GOLDEN "weights/v1.npy", "weight", "'weight': not in the file");
}

/* ---- Headers made by hand, after the format's description ---- */

typedef struct header_case {
    char dict[160];
    int version, data;
    char phrase[64]; /* of the message; "" where the file is good */
} header_case;

/* Magic, version, length, dict, then `data` bytes of float 1.0. Returns the file's length. */
static size_t make_npy(const header_case *c, char *buf) {
    static const char one[4] = {0, 0, (char)0x80, 0x3f};
    size_t n = strlen(c->dict), at = 8;
    memcpy(buf, "\x93NUMPY", 6);
    buf[6] = (char)c->version;
    buf[7] = 0;
    for (int i = 0; i < (c->version == 1 ? 2 : 4); i++)
        buf[at++] = (char)(n >> 8 * i);
    memcpy(buf + at, c->dict, n);
    at += n;
    for (int i = 0; i < c->data; i++)
        buf[at++] = one[i % 4];
    return at;
}

#define DICT(descr, order, shape)                                                                  \
    "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape "}"

ParameterizedTestParameters(weights_npy, headers) {
    static header_case cases[] = {
        {DICT("'<f4'", "False", "(2, 1)"), 1, 8, ""},
        {DICT("'<f4'", "False", "(2, 1)") "   \n", 2, 8, ""},
        {"{\"shape\":(2,1,),\"fortran_order\":False,\"descr\":\"<f4\",}\n", 3, 8, ""},
        {DICT("'=f4'", "False", "(2, 1)"), 1, 8, ""},
        {DICT("'|f4'", "False", "(2, 1)"), 1, 8, ""},
        {DICT("'<f4'", "True", "(2, 1)"), 1, 8, ""},
        {DICT("'<f4'", "False", "(2, 1)"), 4, 8, "version=4.0"},
        {DICT("'<f4'", "False", "(2, 1)"), 0, 8, "version=0.0"},
        {DICT("'<f4'", "False", "(2, 1)"), 1, 7, "needs 8 bytes of data, the file has 7"},
        {DICT("'<f4'", "False", "(2, 1)"), 1, 0, "needs 8 bytes of data, the file has 0"},
        {DICT("'<f4'", "False", "(2, 1)"), 1, 12, "needs 8 bytes of data, the file has 12"},
        {DICT("'<f4'", "False", "(4611686018427387904, 4)"), 1, 8, "too large"},
        {DICT("'<f4'", "False", "(4611686018427387904,)"), 1, 8, "too large"},
        {DICT("'<f4'", "False", "(99999999999999999999,)"), 1, 8, "extent too large"},
        {DICT("'<f4'", "False", "(1,1,1,1,1,1,1,1,2)"), 1, 8, "more than 8 axes"},
        {DICT("'<f4'", "False", "(-2, 1)"), 1, 8, "not an extent"},
        {DICT("'<f4'", "False", "(2.0, 1)"), 1, 8, "not a tuple"},
        {DICT("'<f4'", "False", "(2)"), 1, 8, "needs its comma"},
        {DICT("'<f4'", "False", "[2, 1]"), 1, 8, "not a tuple"},
        {DICT("'<f4'", "False", "(2 1)"), 1, 8, "not a tuple"},
        {DICT("'<f4'", "0", "(2, 1)"), 1, 8, "neither True nor False"},
        {DICT("'<f3'", "False", "(2, 1)"), 1, 8, "descr='<f3'"},
        {DICT("'<f16'", "False", "(2, 1)"), 1, 8, "descr='<f16'"},
        {DICT("'|S4'", "False", "(2, 1)"), 1, 8, "descr='|S4'"},
        {DICT("'|O'", "False", "(2, 1)"), 1, 8, "Python objects"},
        {DICT("'<c8'", "False", "(1,)"), 1, 8, "complex"},
        {DICT("'f4'", "False", "(2, 1)"), 1, 8, "descr='f4'"},
        {DICT("''", "False", "(2, 1)"), 1, 8, "descr=''"},
        {DICT("[('x', '<f4')]", "False", "(2, 1)"), 1, 8, "structured"},
        {DICT("'<f\\x34'", "False", "(2, 1)"), 1, 8, "not a plain string"},
        {DICT("__import__('os')", "False", "(2, 1)"), 1, 8, "quoted string is missing"},
        {"{'descr': '<f4', 'shape': (2, 1)}", 1, 8, "'fortran_order' is missing"},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,1)}", 1, 8,
         "given twice"},
        {"{'descr': '<f4', 'order': False, 'shape': (2, 1)}", 1, 8, "unknown key"},
        {"{'descr': '<f4' 'fortran_order': False, 'shape': (2, 1)}", 1, 8, "a comma is missing"},
        {"{'descr', '<f4', 'fortran_order': False, 'shape': (2, 1)}", 1, 8, "a colon is missing"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1)", 1, 8, "comma is missing"},
        {DICT("'<f4'", "False", "(2, 1)") "; 1", 1, 8, "something follows"},
        {"['descr']", 1, 8, "not a dictionary"},
        {"", 1, 8, "not a dictionary"},
    };
    return cr_make_param_array(header_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(header_case *c, weights_npy, headers) {
    char buf[512];
    const char *path = write_file("a.npy", buf, make_npy(c, buf));
    if (*c->phrase) {
        expect_bad(path, NULL, c->phrase);
        return;
    }
    vox_tensor *t = read_array(path, NULL);
    cr_expect(t->rank == 2 && t->shape[0] == 2 && t->shape[1] == 1);
    cr_expect(t->data[0] == 1 && t->data[1] == 1);
    vox_tensor_free(t);
}

static const header_case good = {DICT("'<f4'", "False", "(2, 1)"), 1, 8, ""};

Test(weights_npy, damaged_before_the_dict) {
    const header_case second = {DICT("'<f4'", "False", "(2, 1)"), 2, 8, ""};
    char buf[512], bad[512];
    size_t n = make_npy(&good, buf);
    for (size_t cut = 1; cut < n; cut++)
        expect_bad(write_file("a.npy", buf, cut), NULL, "bytes");
    memcpy(bad, buf, n);
    bad[5] = 'X';
    expect_bad(write_file("a.npy", bad, n), NULL, "not an .npy file");
    memcpy(bad, buf, n);
    bad[8] = bad[9] = (char)0xff;
    expect_bad(write_file("a.npy", bad, n), NULL, "the header needs 65535 bytes");
    n = make_npy(&second, bad);
    bad[11] = 0x7f;
    expect_bad(write_file("a.npy", bad, n), NULL, "more than 65535 bytes");
    n = make_npy(&good, bad);
    bad[12] = 0;
    expect_bad(write_file("a.npy", bad, n), NULL, "NUL");
}

/* Whatever byte of the header is wrong, the answer is a tensor or a sentence. */
Test(weights_npy, any_single_wrong_byte_is_survived) {
    char buf[512];
    size_t n = make_npy(&good, buf);
    for (size_t i = 0; i < n - 8; i++) {
        char keep = buf[i];
        buf[i] = (char)(keep ^ 0x15);
        vox_tensor_free(read_or_sentence(write_file("a.npy", buf, n), NULL));
        buf[i] = keep;
    }
}
