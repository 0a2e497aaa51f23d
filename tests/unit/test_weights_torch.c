/* .pt: what torch itself wrote, views whose values follow from their strides, and files that are
 * malformed or mean harm. */
#include "torch_support.h"

#include "weights/pickle.h"

TestSuite(weights_torch, .init = make_folder, .fini = remove_folder);

static void expect_values(const char *path, const char *name, int rank, const int64_t *shape,
                          const float *values) {
    vox_tensor *t = read_array(path, name), *e = vox_tensor_new(rank, shape, NULL);
    cr_assert_not_null(e);
    memcpy(e->data, values, (size_t)e->count * sizeof *values);
    expect_same(t, e, name);
    vox_tensor_free(t);
    vox_tensor_free(e);
}

/* ---- torch's own files: make_torch.py says what is in them ---- */

Test(weights_torch, a_state_dict_of_every_protocol) {
    static const char *const files[] = {"state_dict.pt", "protocol3.pt", "protocol4.pt",
                                        "protocol5.pt"};
    static const char *const names[] = {"0.weight",
                                        "0.bias",
                                        "1.weight",
                                        "1.bias",
                                        "1.running_mean",
                                        "1.running_var",
                                        "1.num_batches_tracked"};
    float eighths[12];
    for (int i = 0; i < 12; i++)
        eighths[i] = (float)i / 8;
    for (int f = 0; f < 4; f++) {
        char path[100];
        vox_error err = {0};
        snprintf(path, sizeof path, GOLDEN "weights/%s", files[f]);
        vox_weights *w = vox_weights_open(path, &err);
        cr_assert_not_null(w, "%s", err.message);
        cr_assert_eq(vox_weights_count(w), 7);
        for (int i = 0; i < 7; i++)
            cr_expect_str_eq(vox_weights_name(w, i), names[i]);
        vox_weights_free(w);
        expect_values(path, "0.weight", 5, (int64_t[]){2, 1, 1, 2, 3}, eighths);
        expect_values(path, "0.bias", 1, (int64_t[]){2}, (float[]){-0.5f, -0.5f});
        expect_values(path, "1.running_mean", 1, (int64_t[]){2}, (float[]){3, 3});
        expect_values(path, "1.num_batches_tracked", 0, NULL, (float[]){7});
    }
}

Test(weights_torch, a_checkpoint_with_views_of_one_storage) {
    const char *path = GOLDEN "weights/checkpoint.pth";
    float transposed[24];
    for (int a = 0; a < 4; a++)
        for (int b = 0; b < 2; b++)
            for (int c = 0; c < 3; c++)
                transposed[(a * 2 + b) * 3 + c] = (float)(b * 12 + c * 4 + a);
    expect_values(path, "state_dict.transposed", 3, (int64_t[]){4, 2, 3}, transposed);
    expect_values(path, "state_dict.part", 2, (int64_t[]){2, 2}, (float[]){16, 18, 20, 22});
    expect_values(path, "state_dict.expanded", 2, (int64_t[]){3, 2}, (float[]){5, 5, 5, 5, 5, 5});
    expect_values(path, "state_dict.scalar", 0, NULL, (float[]){7});
    expect_values(path, "state_dict.empty", 2, (int64_t[]){0, 3}, (float[]){0});
    expect_values(path, "state_dict.parameter", 1, (int64_t[]){2}, (float[]){20, 21});
    expect_values(path, "more.0", 1, (int64_t[]){2}, (float[]){1, 2});
    expect_values(path, "more.1.4", 1, (int64_t[]){1}, (float[]){3});
}

Test(weights_torch, every_storage) {
    static const char *const names[] = {"float", "double", "half",  "bfloat16",
                                        "int8",  "int16",  "int32", "int64"};
    const char *path = GOLDEN "weights/dtypes.pt";
    for (int i = 0; i < 8; i++)
        expect_values(path, names[i], 1, (int64_t[]){4}, (float[]){0, 1, -3, 96});
    expect_values(path, "uint8", 1, (int64_t[]){4}, (float[]){0, 1, 253, 96});
    expect_values(path, "bool", 1, (int64_t[]){4}, (float[]){0, 1, 1, 1});
}

Test(weights_torch, a_bare_tensor_has_no_name) {
    float values[24];
    for (int i = 0; i < 24; i++)
        values[i] = (float)i;
    expect_values(GOLDEN "weights/tensor.pt", NULL, 3, (int64_t[]){2, 3, 4}, values);
}

Test(weights_torch, what_else_torch_saves_is_told_what_to_do) {
    const char *advice = "torch.save(model.state_dict(), FILE) makes a file that is";
    expect_bad(GOLDEN "weights/module.pt", "w", "torch.nn.modules.container.Sequential");
    expect_bad(GOLDEN "weights/module.pt", "w", "as of torch.save(model, FILE)");
    expect_bad(GOLDEN "weights/module.pt", "w", advice);
    expect_bad(GOLDEN "weights/legacy.pt", "w", "before version 1.6");
    expect_bad(GOLDEN "weights/script.pt", "w", "TorchScript");
    expect_bad(write_file("a.pt", "\x80\4]q\0.", 6), "w", "a bare pickle");
    expect_bad(write_file("b.pt", "no archive at all", 17), "w", "zip archive");
    expect_bad(GOLDEN "weights/bad_empty.npz", "w", "none of torch.save");
    vox_tensor *t = vox_tensor_new(0, NULL, NULL);
    vox_error err = {0};
    const vox_tensor *one = t;
    cr_expect_eq(vox_weights_save(in_folder("c.pt"), 1, NULL, &one, false, &err), VOX_ERR_USAGE);
    vox_tensor_free(t);
}

/* ---- Files made by hand ---- */

/* Element (a, b) of a view is the storage's element offset + a * stride + b * stride. */
Test(weights_torch, strides_and_offsets) {
    expect_values(pt_file("} 'v' " VIEW("2", "2 3", "9 4") "s ."), "v", 2, (int64_t[]){2, 3},
                  (float[]){2, 6, 10, 11, 15, 19});
    expect_values(pt_file("} 'v' " VIEW("23", "1 1", "9223372036854775807 7") "s ."), "v", 2,
                  (int64_t[]){1, 1}, (float[]){23});
    expect_values(pt_file("} 'v' " VIEW("0", "2 2", "0 1") "s ."), "v", 2, (int64_t[]){2, 2},
                  (float[]){0, 1, 0, 1});
    expect_values(pt_file("} 'v' " VIEW("1", "8", "3") "s ."), "v", 1, (int64_t[]){8},
                  (float[]){1, 4, 7, 10, 13, 16, 19, 22});
    expect_values(pt_file("} 'v' " REBUILD(STORAGE("ShortStorage", "1", "4"), "1", "3", "1") "s ."),
                  "v", 1, (int64_t[]){3}, (float[]){0x302, 0x504, 0x706});
    expect_values(
        pt_file("} 'v' @torch.nn.parameter.Parameter ( " VIEW("3", "1", "1") " F t R s ."), "v", 1,
        (int64_t[]){1}, (float[]){3});
}

Test(weights_torch, big_endian_storages) {
    buffer *pickle = calloc(1, sizeof *pickle);
    cr_assert_not_null(pickle);
    assemble(pickle, "( 'x' " REBUILD(STORAGE("ShortStorage", "7", "2"), "0", "2", "1") " #85 t .");
    const zip_member members[] = {{"x/y/byteorder", "big", 3},
                                  {"x/y/data/7", "\1\2\377\376", 4},
                                  {"x/y/data.pkl", pickle->data, pickle->n}};
    /* The only tensor of a tuple in a tuple. */
    expect_values(zip_file("a.pth", members, 3), "1.0", 1, (int64_t[]){2}, (float[]){0x102, -2});
    const zip_member neither[] = {{"x/y/byteorder", "mixed", 5}, members[1], members[2]};
    expect_bad(zip_file("b.pth", neither, 3), "1.0", "neither little nor big");
    free(pickle);
}

typedef struct bad_case {
    char words[900], phrase[60];
} bad_case;

/* Programs that the machine must not run, or that are broken. The words are torch_support.h's. */
ParameterizedTestParameters(weights_torch, pickles_that_are_refused) {
    static bad_case cases[] = {
        {"@posix.system ( 'id' t R .", "byte 2: global posix.system"},
        {"} 'x' @builtins.eval ( '1' t R s .", "global builtins.eval: not part of a state_dict"},
        {"'posix' 'system' #93 ( 'id' t R .", "global posix.system"},
        {"} 'x' @torch.hub.load ) R s .", "global torch.hub.load"},
        {"( 'id' i . .", "byte 10: opcode 0x69 (INST)"},
        {"( @collections.OrderedDict o .", "(OBJ)"},
        {"#82 #01 .", "byte 2: opcode 0x82 (EXT1)"},
        {"#83 #01 #00 .", "(EXT2)"},
        {"#84 #01 #00 #00 #00 .", "(EXT4)"},
        {"@collections.OrderedDict ) #81 .", "(NEWOBJ)"},
        {"@collections.OrderedDict ) } #92 .", "(NEWOBJ_EX)"},
        {"P .", "(PERSID)"},
        {"N N #30 .", "opcode 0x30 (POP)"},
        {"#ff .", "opcode 0xff"},
        {"} } b .", "BUILD of something else"},
        {HOOKS " ( 1 t b .", "BUILD of something else"},
        {"@torch.FloatStorage ) R .", "REDUCE of what cannot be called"},
        {"'os.system' ) R .", "REDUCE without a global"},
        {HOOKS " } R .", "REDUCE without a global"},
        {"@collections.OrderedDict ( 1 t R .", "REDUCE of a dictionary with arguments"},
        {"a .", "too few values"},
        {"] a .", "too few values"},
        {"] ( N a .", "too few values"},
        {"N ( #85 .", "too few values"},
        {"R .", "too few values"},
        {"N R .", "too few values"},
        {"b .", "too few values"},
        {"Q .", "too few values"},
        {"p0 .", "too few values"},
        {"N #93 .", "too few values"},
        {"N s .", "too few values"},
        {"( N u .", "too few values"},
        {"N t .", "there is no mark"},
        {"N u .", "there is no mark"},
        {"N e .", "there is no mark"},
        {"] 'a' N s .", "no dictionary"},
        {"} N a .", "no list"},
        {") N a .", "no list"},
        {"} ( N u .", "a key without a value"},
        {"1 2 #93 .", "names are texts"},
        {"g0 .", "nothing is in the memo"},
        {"N p0 g1 .", "nothing is in the memo"},
        {"N p1 .", "not the next index"},
        {"N #72 #ff #ff #ff #ff .", "not the next index"},
        {"#8a #09 #00 #00 #00 #00 #00 #00 #00 #00 #01 .", "more than 64 bits"},
        {"#8a #08 #00", "the pickle ends within it"},
        {"#58 #ff #ff #ff #ff", "the pickle ends within it"},
        {"#8c #05 N", "the pickle ends within it"},
        {"#63 N N", "the pickle ends within it"},
        {"#47 N N", "the pickle ends within it"},
        {"#4b", "the pickle ends within it"},
        {"#95 #ff #ff #ff #ff #ff #ff #ff #ff N .", "the pickle ends within it"},
        {"N #80 #02 .", "PROTO stands at the beginning only"},
        {"N", "ends without STOP"},
        {"", "ends without STOP"},
        {"N . N", "something follows STOP"},
        {"N N .", "STOP with another number of values"},
        {".", "STOP with another number of values"},
        {"N ( .", "STOP with another number of values"},
        {"N .", "no tensors"},
        {"} 'lr' 1 s .", "no tensors"},
    };
    return cr_make_param_array(bad_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(bad_case *c, weights_torch, pickles_that_are_refused) {
    expect_bad(pt_file(c->words), NULL, c->phrase);
}

/* Sound pickles with tensors that cannot be: storage 0 has 24 floats, 1 has 8 bytes. */
ParameterizedTestParameters(weights_torch, tensors_that_are_refused) {
#define TENSOR(words) "} 'conv.w' " words "s ."
    static bad_case cases[] = {
        {TENSOR(VIEW("0", "25", "1")), "reaches element 24 of a storage of 24"},
        {TENSOR(VIEW("1", "24", "1")), "reaches element 24 of a storage of 24"},
        {TENSOR(VIEW("24", " ", " ")), "reaches element 24"},
        {TENSOR(VIEW("0", "2 2", "23 1")), "reaches element 24"},
        {TENSOR(VIEW("0", "2 2", "9223372036854775807 1")), "strides: too large"},
        {TENSOR(VIEW("9223372036854775807", "2", "1")), "strides: too large"},
        {TENSOR(VIEW("0", "3", "9223372036854775807")), "strides: too large"},
        {TENSOR(VIEW("0", "4294967296 4294967296", "0 0")), "size: too large"},
        {TENSOR(VIEW("0", "4294967296", "0")), "repeats the elements"},
        {TENSOR(VIEW("0", "1048577", "0")), "repeats the elements"},
        {TENSOR(VIEW("-1", "2", "1")), "must have an offset"},
        {TENSOR(VIEW("0", "-2", "1")), "no whole number"},
        {TENSOR(VIEW("2", "2", "-1")), "no whole number"},
        {TENSOR(VIEW("0", "'2'", "1")), "no whole number"},
        {TENSOR(VIEW("0", "T", "1")), "no whole number"},
        {TENSOR(VIEW("0", "2 2", "1")), "sizes and strides for the same axes"},
        {TENSOR(VIEW("0", "1 1 1 1 1 1 1 1 1", "1 1 1 1 1 1 1 1 1")), "more than 8 axes"},
        {TENSOR(VIEW("N", "2", "1")), "must have an offset"},
        {TENSOR(REBUILD("N", "0", "2", "1")), "its storage is not"},
        {TENSOR(REBUILD("N Q", "0", "2", "1")), "its storage is not"},
        {TENSOR(REBUILD("'storage' Q", "0", "2", "1")), "its storage is not"},
        {TENSOR(REBUILD("( 'storage' @torch.FloatStorage '0' 'cpu' t Q", "0", "2", "1")),
         "its storage is not"},
        {TENSOR(REBUILD("( 'storage' @torch.FloatStorage '0' 'cpu' 24 N t Q", "0", "2", "1")),
         "its storage is not"},
        {TENSOR(REBUILD("( 'module' @torch.FloatStorage '0' 'cpu' 24 t Q", "0", "2", "1")),
         "its storage is not"},
        {TENSOR(REBUILD("( 'storage' 'FloatStorage' '0' 'cpu' 24 t Q", "0", "2", "1")),
         "its storage is not"},
        {TENSOR(REBUILD(STORAGE("FloatStorage", "0", "-24"), "0", "2", "1")), "its storage is not"},
        {TENSOR(REBUILD("( 'storage' @collections.OrderedDict '0' 'cpu' 24 t Q", "0", "2", "1")),
         "its storage is not"},
        {TENSOR(REBUILD("( 'storage' @torch.FloatStorage 0 'cpu' 24 t Q", "0", "2", "1")),
         "its storage is not"},
        {TENSOR(REBUILD(STORAGE("FloatStorage", "2", "24"), "0", "2", "1")),
         "data/2 is not in the archive"},
        {TENSOR(REBUILD(STORAGE("FloatStorage", "../0", "24"), "0", "2", "1")),
         "data/../0 is not in the archive"},
        {TENSOR(REBUILD(STORAGE("FloatStorage", "0", "25"), "0", "2", "1")),
         "data/0 has 96 bytes, 25 elements of 4"},
        {TENSOR(REBUILD(STORAGE("DoubleStorage", "0", "24"), "0", "2", "1")),
         "data/0 has 96 bytes, 24 elements of 8"},
        {TENSOR(REBUILD(STORAGE("FloatStorage", "0", "4611686018427387904"), "0", "2", "1")),
         "data/0 has 96 bytes"},
        {TENSOR(REBUILD(STORAGE("ComplexFloatStorage", "0", "12"), "0", "2", "1")),
         "global torch.ComplexFloatStorage"},
        {TENSOR("@torch._utils._rebuild_tensor_v2 ) R "), "_rebuild_tensor_v2 takes"},
        {TENSOR("@torch._utils._rebuild_tensor_v2 ( " STORAGE("FloatStorage", "0",
                                                              "24") " 0 ( 2 t ( 1 t F N t R "),
         "_rebuild_tensor_v2 takes"},
        {TENSOR("@torch._utils._rebuild_tensor_v2 ( " STORAGE(
             "FloatStorage", "0", "24") " 0 ( 2 t ( 1 t F " HOOKS " } t R "),
         "_rebuild_tensor_v2 takes"},
        {TENSOR("@torch._utils._rebuild_parameter ) R "), "a parameter without a tensor"},
        {TENSOR("@torch._utils._rebuild_parameter ( N F " HOOKS " t R "),
         "a parameter without a tensor"},
        {"} 'a' " VIEW("0", "1", "1") "s 'a' " VIEW("1", "1", "1") "s .", "'a': there twice"},
        {"} 'a.b' " VIEW("0", "1", "1") "s 'a' } 'b' " VIEW("1", "1", "1") "s s .",
         "'a.b': there twice"},
        {"} N " VIEW("0", "1", "1") "s .", "neither a text nor a number"},
        {"} '' " VIEW("0", "1", "1") "s .", "empty"},
        {"} p0 'me' g0 s .", "'me' contains itself"},
        {"] p0 ] g0 a a .", "'0.0' contains itself"},
        {"] p0 ( g0 t a .", "contains itself"},
    };
    return cr_make_param_array(bad_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(bad_case *c, weights_torch, tensors_that_are_refused) {
    expect_bad(pt_file(c->words), "conv.w", c->phrase);
}

/* ---- Files that want to be large ---- */

/* 30 pairs, each of the one before it twice: 2^30 tensors from 300 bytes. */
Test(weights_torch, a_tree_that_shares_its_branches) {
    buffer *pickle = calloc(1, sizeof *pickle);
    cr_assert_not_null(pickle);
    assemble(pickle, "( " VIEW("0", "1", "1") "p0");
    for (int i = 0; i < 30; i++) {
        char words[60];
        snprintf(words, sizeof words, "g%d g%d #86 p%d", i, i, i + 1);
        add_words(pickle, words);
    }
    add_words(pickle, "t .");
    expect_bad(pt_file_of("a.pt", pickle), NULL, "stand in too many places");
    free(pickle);
}

/* `count` times the same opcode behind PROTO. */
static const char *repeated(char opcode, int count) {
    buffer *pickle = calloc(1, sizeof *pickle);
    cr_assert_not_null(pickle);
    add_bytes(pickle, "\x80\x02", 2);
    for (int i = 0; i < count; i++)
        add_bytes(pickle, &opcode, 1);
    const char *path = pt_file_of("a.pt", pickle);
    free(pickle);
    return path;
}

Test(weights_torch, depth_is_limited) {
    expect_bad(repeated('(', 2000), NULL, "nested too deeply");
    buffer *pickle = calloc(1, sizeof *pickle);
    cr_assert_not_null(pickle);
    assemble(pickle, ")");
    for (int i = 0; i < 40; i++)
        add_bytes(pickle, "\x85", 1);
    add_bytes(pickle, ".", 1);
    expect_bad(pt_file_of("a.pt", pickle), NULL, "nested more than 32 deep");
    free(pickle);
}

/* Past a million values on the stack; straight to the machine, which takes bytes from anywhere. */
Test(weights_torch, the_stack_is_limited) {
    enum { MANY = 3 << 20 };
    unsigned char *bytes = malloc(MANY);
    vox_pickle *p = NULL;
    vox_error err = {0};
    cr_assert_not_null(bytes);
    memset(bytes, 'N', MANY);
    cr_expect_eq(vox_pickle_read("x", bytes, MANY, NULL, 0, &p, &err), VOX_ERR_WEIGHTS);
    cr_expect_not_null(strstr(err.message, "more values on the stack"), "%s", err.message);
    cr_expect_null(p);
    free(bytes);
}

/* Names longer than any layer's. */
Test(weights_torch, names_are_limited) {
    char words[2000] = "} '";
    memset(words + 3, 'n', 400);
    strcat(words, "' } '");
    memset(words + strlen(words), 'm', 390);
    buffer *pickle = calloc(1, sizeof *pickle);
    cr_assert_not_null(pickle);
    strcat(words, "' " VIEW("0", "1", "1") "s s .");
    assemble(pickle, words);
    expect_bad(pt_file_of("a.pt", pickle), NULL, "a name of over 500 bytes");
    free(pickle);
}

/* ---- Damage ---- */

/* Only what is used has its CRC checked; so whatever is read is the right tensor. */
Test(weights_torch, any_single_wrong_byte_is_survived) {
    size_t n;
    char *buf = read_whole(GOLDEN "weights/checkpoint.pth", &n);
    vox_tensor *good = read_array(GOLDEN "weights/checkpoint.pth", "state_dict.transposed");
    for (size_t i = 0; i < n; i++) {
        const char keep = buf[i];
        buf[i] = (char)(keep ^ 0x21);
        vox_tensor *t = read_or_sentence(write_file("a.pth", buf, n), "state_dict.transposed");
        if (t)
            expect_same(t, good, "transposed");
        vox_tensor_free(t);
        buf[i] = keep;
    }
    vox_tensor_free(good);
    free(buf);
}

/* Every cut and every byte of a pickle itself, behind a CRC that fits: a tensor or a sentence. */
Test(weights_torch, any_damage_of_the_pickle_is_survived) {
    buffer *pickle = calloc(1, sizeof *pickle), *bad = calloc(1, sizeof *bad);
    cr_assert(pickle && bad);
    assemble(pickle, HOOKS " ( 'a' " VIEW("0", "2 3", "3 1") "'b' " VIEW("6", "2", "1") "u .");
    for (size_t i = 0; i < pickle->n; i++)
        for (int change = 0; change < 9; change++) {
            memcpy(bad, pickle, sizeof *bad);
            if (change < 8)
                bad->data[i] ^= (unsigned char)(1 << change);
            else
                bad->n = i;
            vox_tensor_free(read_or_sentence(pt_file_of("a.pt", bad), "a"));
        }
    free(pickle);
    free(bad);
}
