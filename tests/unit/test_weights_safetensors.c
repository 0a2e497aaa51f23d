/* .safetensors: a file written after the specification, and headers that break it. */
#include "weights_support.h"

TestSuite(weights_safetensors, .init = make_folder, .fini = remove_folder);

#define GOOD GOLDEN "weights/good.safetensors"

/* make_formats.py computed NAME.expected from NAME's stored type with numpy. */
Test(weights_safetensors, every_dtype) {
    static const char *const names[] = {"bias", "half", "brain"};
    for (int i = 0; i < 3; i++) {
        char expected[40];
        snprintf(expected, sizeof expected, "%s.expected", names[i]);
        vox_tensor *a = read_array(GOOD, names[i]), *b = read_array(GOOD, expected);
        expect_same(a, b, names[i]);
        vox_tensor_free(a);
        vox_tensor_free(b);
    }
    vox_tensor *w = read_array(GOOD, "weight");
    cr_expect(w->rank == 5 && w->shape[1] == 2 && w->shape[2] == 3 && w->count == 12);
    cr_expect(w->data[2] == 1.0f && w->data[3] == -1.5f && signbit(w->data[1]));
    vox_tensor_free(w);
}

Test(weights_safetensors, unaligned_and_empty_tensors) {
    vox_tensor *last = read_array(GOOD, "last"), *none = read_array(GOOD, "none");
    cr_expect(last->count == 1 && last->data[0] == 2.5f);
    cr_expect(none->rank == 2 && none->shape[0] == 0 && none->shape[1] == 3 && none->count == 0);
    vox_tensor_free(last);
    vox_tensor_free(none);
}

Test(weights_safetensors, other_dtypes_are_listed_but_not_read) {
    vox_error err = {0};
    vox_weights *w = vox_weights_open(GOOD, &err);
    cr_assert_not_null(w, "%s", err.message);
    cr_expect_eq(vox_weights_count(w), 11);
    cr_expect(vox_weights_has(w, "steps"));
    cr_expect_not(vox_weights_has(w, "__metadata__"));
    vox_weights_free(w);
    expect_bad(GOOD, "steps", "dtype=I64");
    expect_bad(GOOD, "flag", "dtype=BOOL");
    expect_bad(GOOD, "weigth", "'weigth': not in the file, it has ");
}

/* ---- Headers made by hand ---- */

/* 8 bytes of length, the JSON, `data` zero bytes. Returns the file's length. */
static size_t make_file(const char *json, uint64_t length, int data, char *buf) {
    size_t n = strlen(json);
    for (int i = 0; i < 8; i++)
        buf[i] = (char)(length >> 8 * i);
    memcpy(buf + 8, json, n);
    memset(buf + 8 + n, 0, (size_t)data);
    return 8 + n + (size_t)data;
}

typedef struct header_case {
    char json[200];
    int data;
    char phrase[64]; /* "" where tensor "w" can be read */
} header_case;

#define ENTRY(name, dtype, shape, range)                                                           \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" range "}"
#define W(dtype, shape, range) ENTRY("w", dtype, shape, range)
#define V(dtype, shape, range) ENTRY("v", dtype, shape, range)

ParameterizedTestParameters(weights_safetensors, headers) {
    static header_case cases[] = {
        {"{" W("F32", "[2]", "[0,8]") "}", 8, ""},
        {"{" W("F32", "[2]", "[0,8]") "}    ", 8, ""},
        {"{" V("F32", "[1]", "[8,12]") "," W("F32", "[2]", "[0,8]") "}", 12, ""},
        {"{" V("I8_NEW", "[7]", "[8,12]") "," W("F32", "[2]", "[0,8]") "}", 12, ""},
        {"{" W("F32", "[]", "[0,4]") "}", 4, ""},
        {"{" W("F32", "[2]", "[0,8]") "}", 7, "the file has 7 bytes of data"},
        {"{" W("F32", "[2]", "[0,8]") "}", 9, "take 8 bytes of data, the file has 9"},
        {"{" W("F32", "[2]", "[0,12]") "}", 12, "does not take that many bytes"},
        {"{" W("F32", "[2]", "[4,12]") "}", 12, "leaves a hole"},
        {"{" W("F32", "[2]", "[8,0]") "}", 8, "0 <= begin <= end"},
        {"{" W("F32", "[2]", "[-8,0]") "}", 8, "0 <= begin <= end"},
        {"{" W("F32", "[2]", "[0,8,8]") "}", 8, "0 <= begin <= end"},
        {"{" W("F32", "[2]", "[0,8.0]") "}", 8, "0 <= begin <= end"},
        {"{" W("F32", "[2]", "[0,9223372036854775807]") "}", 8, "the file has 8 bytes of data"},
        {"{" W("F32", "[2]", "[0,9223372036854775808]") "}", 8, "too big integer"},
        {"{" W("F32", "[-2]", "[0,8]") "}", 8, "whole number"},
        {"{" W("F32", "[2.5]", "[0,8]") "}", 8, "whole number"},
        {"{" W("F32", "[4611686018427387904,4]", "[0,8]") "}", 8, "too large"},
        {"{" W("F32", "[4611686018427387904]", "[0,8]") "}", 8, "does not take that many bytes"},
        {"{" W("F32", "[1,1,1,1,1,1,1,1,2]", "[0,8]") "}", 8, "more than 8 axes"},
        {"{" W("F32", "2", "[0,8]") "}", 8, "must have dtype, shape"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "must have dtype, shape"},
        {"{\"w\":[1]}", 8, "must have dtype, shape"},
        {"{" W("F33", "[2]", "[0,8]") "}", 8, "dtype=F33"},
        {"{" V("F32", "[2]", "[4,12]") "," W("F32", "[2]", "[0,8]") "}", 12, "overlaps"},
        {"{" V("F32", "[2]", "[0,8]") "," W("F32", "[2]", "[0,8]") "}", 8, "overlaps"},
        {"{" V("F32", "[1]", "[12,16]") "," W("F32", "[2]", "[0,8]") "}", 16, "leaves a hole"},
        {"{" W("F32", "[2]", "[0,8]") "," W("F32", "[2]", "[0,8]") "}", 8, "duplicate"},
        {"{" W("F32", "[2]", "[0,8]"), 8, "header: line 1"},
        {"{" W("F32", "[2]", "[0,8]") "} x", 8, "header: line 1"},
        {"{\"w\xff\":1}", 8, "header: line 1"},
        {"{\"w\\u0000\":1}", 8, "header: line 1"},
        {"{}", 0, "not in the file, it has no array"},
        {"{}", 4, "take 0 bytes of data, the file has 4"},
        {"[1]", 8, "not a JSON object"},
    };
    return cr_make_param_array(header_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(header_case *c, weights_safetensors, headers) {
    char buf[512];
    size_t n = make_file(c->json, strlen(c->json), c->data, buf);
    const char *path = write_file("a.safetensors", buf, n);
    if (*c->phrase) {
        expect_bad(path, "w", c->phrase);
        return;
    }
    vox_tensor *t = read_array(path, "w");
    cr_expect(t->count >= 1 && t->data[0] == 0);
    vox_tensor_free(t);
}

Test(weights_safetensors, header_length_out_of_range) {
    static const uint64_t lengths[] = {UINT64_MAX, INT64_MAX, (uint64_t)1 << 63, 100000001};
    const char *json = "{" W("F32", "[2]", "[0,8]") "}";
    char buf[512];
    for (int i = 0; i < 4; i++) {
        size_t n = make_file(json, lengths[i], 8, buf);
        expect_bad(write_file("a.safetensors", buf, n), "w", "the 100 MB that the format allows");
    }
    size_t n = make_file(json, strlen(json) + 9, 8, buf);
    expect_bad(write_file("a.safetensors", buf, n), "w", "more than the file has");
    expect_bad(write_file("a.safetensors", buf, 5), "w", "5 bytes: shorter");
    expect_bad(write_file("a.safetensors", "\1\0\0\0\0\0\0\0x", 9), "w", "header: line 1");
    expect_bad(write_file("a.safetensors", "\0\0\0\0\0\0\0\0", 8), "w", "header: line 1");
}

Test(weights_safetensors, deep_json_is_refused) {
    enum { DEPTH = 100000 };
    char *json = calloc(1, 8 + DEPTH), *file = calloc(1, 16 + DEPTH);
    cr_assert(json && file);
    strcpy(json, "{\"w\":");
    memset(json + 5, '[', DEPTH);
    expect_bad(write_file("a.safetensors", file, make_file(json, strlen(json), 0, file)), "w",
               "maximum parsing depth");
    free(json);
    free(file);
}

/* Every cut gives a sentence, every changed byte of the header a tensor or a sentence. */
Test(weights_safetensors, any_cut_and_any_wrong_byte_is_survived) {
    char buf[512];
    const char *json =
        "{" V("BF16", "[1,2]", "[8,12]") "," W("F32", "[2]", "[0,8]") ",\"__metadata__\":{}}";
    size_t n = make_file(json, strlen(json), 12, buf);
    for (size_t cut = 1; cut < n; cut++)
        expect_bad(write_file("a.safetensors", buf, cut), "w", "");
    for (size_t i = 0; i < n - 12; i++) {
        char keep = buf[i];
        buf[i] = (char)(keep ^ 0x13);
        vox_tensor_free(read_or_sentence(write_file("a.safetensors", buf, n), "w"));
        buf[i] = keep;
    }
}
