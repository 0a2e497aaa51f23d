/* ONNX models: how tensors are stored, what is folded, which numbers views mean. The files are
 * packed by protobuf-c; expected values are the operators' definitions (onnx.ai/onnx/operators),
 * worked out by hand or by plain loops here. */
#include "onnx_make.h"
#include "weights_support.h"

#include <sys/stat.h>

TestSuite(model_onnx, .init = make_folder, .fini = remove_folder);

static const int64_t any5[5] = {1, -1, -1, -1, -1};

/* Opens the model and runs it over x (1, C, D, H, W); y has room for `room` numbers. Returns how
 * many came out. */
static int64_t run(pb_file *m, const float *x, const int64_t in[5], float *y, int64_t room) {
    size_t bytes;
    int64_t shape[4];
    vox_error err = {0};
    const vox_model_options options = {0};
    const unsigned char *data = pb_bytes(m, &bytes);
    vox_model *model = vox_model_open(write_file("m.onnx", data, bytes), &options, &err);
    cr_assert_not_null(model, "%s", err.message);
    vox_network *n = vox_model_network(model, in + 1, &err);
    cr_assert_not_null(n, "%s", err.message);
    cr_assert_eq(vox_network_shape(n, in + 1, shape, &err), VOX_OK, "%s", err.message);
    const int64_t count = shape[0] * shape[1] * shape[2] * shape[3];
    cr_assert_leq(in[0] * count, room);
    cr_assert_eq(vox_network_run(n, x, in, y, 1, &err), VOX_OK, "%s", err.message);
    vox_network_free(n);
    vox_model_free(model);
    pb_free(m);
    return in[0] * count;
}

static void expect_numbers(const float *y, const float *want, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        cr_expect_eq(y[i], want[i], "[%d] is %g, not %g", (int)i, (double)y[i], (double)want[i]);
}

/* ---- How numbers are stored ---- */

/* y = conv(x, w) with one weight and one bias of exact halves: 1.5*x + 0.5 over x = 0 to 7. */
static void run_affine(pb_file *m) {
    static const int64_t in[5] = {1, 1, 2, 2, 2};
    float x[8], y[8], want[8];
    pb_input(m, "x", 5, any5);
    pb_output(m, "y", 5, any5);
    pb_node(m, "Conv", "x w b", "y");
    for (int i = 0; i < 8; i++) {
        x[i] = (float)i;
        want[i] = 1.5F * x[i] + 0.5F;
    }
    cr_expect_eq(run(m, x, in, y, 8), 8);
    expect_numbers(y, want, 8);
}

static const int64_t one5[5] = {1, 1, 1, 1, 1}, one1[1] = {1};
static const float weight[] = {1.5F}, bias[] = {0.5F};

Test(model_onnx, numbers_in_their_own_fields) {
    pb_file m;
    double eight = 1.5;
    int32_t half = 0x3800; /* 0.5 in binary16 */
    pb_start(&m, 13);
    Onnx__TensorProto *w = pb_floats(&m, "w", 5, one5, NULL);
    w->data_type = 11;
    w->n_double_data = 1;
    w->double_data = &eight;
    Onnx__TensorProto *b = pb_floats(&m, "b", 1, one1, NULL);
    b->data_type = 10;
    b->n_int32_data = 1;
    b->int32_data = &half;
    run_affine(&m);
}

Test(model_onnx, numbers_as_raw_bytes) {
    pb_file m;
    uint8_t four[] = {0, 0, 0xc0, 0x3f}, two[] = {0, 0x3f}; /* 1.5 in binary32, 0.5 in bfloat16 */
    pb_start(&m, 13);
    Onnx__TensorProto *w = pb_floats(&m, "w", 5, one5, NULL);
    w->has_raw_data = true;
    w->raw_data = (ProtobufCBinaryData){4, four};
    Onnx__TensorProto *b = pb_floats(&m, "b", 1, one1, NULL);
    b->data_type = 16;
    b->has_raw_data = true;
    b->raw_data = (ProtobufCBinaryData){2, two};
    run_affine(&m);
}

Test(model_onnx, numbers_in_a_file_beside_the_model) {
    static const char *const at_4[] = {"location", "data.bin", "offset", "4", "length", "4", NULL};
    static const char *const at_0[] = {"location", "data.bin", "length", "4", NULL};
    static const float both[] = {0.5F, 1.5F};
    pb_file m;
    pb_start(&m, 13);
    write_file("data.bin", both, sizeof both);
    pb_external(&m, pb_floats(&m, "w", 5, one5, NULL), at_4);
    pb_external(&m, pb_floats(&m, "b", 1, one1, NULL), at_0);
    run_affine(&m);
}

Test(model_onnx, an_input_with_an_initializer_is_no_input) {
    pb_file m;
    pb_start(&m, 7);
    pb_input(&m, "w", 5, one5);
    pb_input(&m, "b", 1, one1);
    pb_floats(&m, "w", 5, one5, weight);
    pb_floats(&m, "b", 1, one1, bias);
    run_affine(&m);
}

Test(model_onnx, a_constant_node_holds_weights_too) {
    pb_file m;
    pb_start(&m, 11);
    pb_tensor(&m, pb_node(&m, "Constant", "", "w"), "value", pb_floats(&m, NULL, 5, one5, weight));
    pb_floats(&m, "b", 1, one1, bias);
    run_affine(&m);
}

Test(model_onnx, fixed_extents_are_told) {
    static const int64_t shape[5] = {1, 3, 16, -1, 8};
    const vox_model_options options = {0};
    pb_file m;
    size_t bytes;
    int64_t size[3];
    vox_error err = {0};
    pb_start(&m, 13);
    pb_input(&m, "x", 5, shape);
    pb_output(&m, "y", 5, any5);
    pb_node(&m, "Relu", "x", "y");
    const unsigned char *data = pb_bytes(&m, &bytes);
    vox_model *model = vox_model_open(write_file("m.onnx", data, bytes), &options, &err);
    cr_assert_not_null(model, "%s", err.message);
    cr_expect_eq(vox_model_in_channels(model), 3);
    vox_model_in_size(model, size);
    cr_expect(size[0] == 16 && size[1] == 0 && size[2] == 8);
    cr_expect_not(vox_model_gives_vector(model));
    static const int64_t two[4] = {2, 16, 4, 8};
    cr_expect_null(vox_model_network(model, two, &err));
    cr_expect_eq(err.status, VOX_ERR_USAGE);
    vox_model_free(model);
    pb_free(&m);
}

/* ---- Folding ---- */

/* Runs a graph whose constant "c" of `count` numbers is added to channels of zeros. */
static void expect_folded(pb_file *m, bool integer, int count, const float *want) {
    const int64_t shape[4] = {count, 1, 1, 1}, four[1] = {4}, in[5] = {1, count, 1, 1, 1};
    float x[8] = {0}, y[8];
    pb_input(m, "x", 5, any5);
    pb_output(m, "y", 5, any5);
    pb_ints(m, "shape", 1, four, shape);
    if (integer)
        pb_int(m, pb_node(m, "Cast", "c", "real"), "to", 1);
    pb_node(m, "Reshape", integer ? "real shape" : "c shape", "channels");
    pb_node(m, "Add", "x channels", "y");
    cr_expect_eq(run(m, x, in, y, 8), count);
    expect_numbers(y, want, count);
}

typedef struct pair_case {
    const char *type;
    bool real, truth; /* the operands are real; the result is true or false */
    float a[3], b[3], want[3];
} pair_case;

Test(model_onnx, arithmetic_of_constants) {
    static const pair_case cases[] = {
        {"Add", false, false, {1, -2, 3}, {10, 20, 30}, {11, 18, 33}},
        {"Sub", false, false, {1, -2, 3}, {10, 20, 30}, {-9, -22, -27}},
        {"Mul", false, false, {1, -2, 3}, {10, 20, 30}, {10, -40, 90}},
        {"Div", false, false, {7, -7, 9}, {2, 2, 3}, {3, -3, 3}}, /* towards 0 */
        {"Div", true, false, {7, -7, 9}, {2, 2, 4}, {3.5, -3.5, 2.25}},
        {"Mod", false, false, {7, -7, 7}, {3, 3, -3}, {1, 2, -2}}, /* the divisor's sign */
        {"Pow", true, false, {2, 9, 4}, {3, 0.5, -1}, {8, 3, 0.25}},
        {"Min", true, false, {1, 5, -1}, {2, 3, 0}, {1, 3, -1}},
        {"Max", false, false, {1, 5, -1}, {2, 3, 0}, {2, 5, 0}},
        {"Equal", false, true, {1, 5, -1}, {1, 3, -1}, {1, 0, 1}},
        {"Less", true, true, {1, 5, -1}, {1.5, 3, -1}, {1, 0, 0}},
        {"Greater", true, true, {1, 5, -1}, {1.5, 3, -1}, {0, 1, 0}},
    };
    static const int64_t three[1] = {3};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const pair_case *c = &cases[i];
        pb_file m;
        int64_t a[3], b[3];
        pb_start(&m, 13);
        for (int k = 0; k < 3; k++) {
            a[k] = (int64_t)c->a[k];
            b[k] = (int64_t)c->b[k];
        }
        if (c->real) {
            pb_floats(&m, "a", 1, three, c->a);
            pb_floats(&m, "b", 1, three, c->b);
        } else {
            pb_ints(&m, "a", 1, three, a);
            pb_ints(&m, "b", 1, three, b);
        }
        pb_node(&m, c->type, "a b", "c");
        expect_folded(&m, !c->real || c->truth, 3, c->want);
    }
}

typedef struct single_case {
    const char *type;
    float a[3], want[3];
} single_case;

Test(model_onnx, functions_of_constants) {
    static const single_case cases[] = {
        {"Neg", {1, -2, 0}, {-1, 2, 0}},
        {"Abs", {1, -2, 0.5}, {1, 2, 0.5}},
        {"Floor", {1.5, -1.5, 2}, {1, -2, 2}},
        {"Ceil", {1.5, -1.5, 2}, {2, -1, 2}},
        {"Round", {0.5, 1.5, 2.5}, {0, 2, 2}},
        {"Sqrt", {4, 9, 0.25}, {2, 3, 0.5}},
        {"Reciprocal", {2, 4, -1}, {0.5, 0.25, -1}},
        {"Relu", {2, -4, 0}, {2, 0, 0}},
    };
    static const int64_t three[1] = {3};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pb_file m;
        pb_start(&m, 13);
        pb_floats(&m, "a", 1, three, cases[i].a);
        pb_node(&m, cases[i].type, "a", "c");
        expect_folded(&m, false, 3, cases[i].want);
    }
}

/* ints [[0, 1, 2], [3, 4, 5]] as "a", and what is done to them */
static void start_matrix(pb_file *m) {
    static const int64_t shape[2] = {2, 3}, numbers[6] = {0, 1, 2, 3, 4, 5};
    pb_start(m, 13);
    pb_ints(m, "a", 2, shape, numbers);
}

static void pb_vector(pb_file *m, const char *name, int64_t count, const int64_t *values) {
    pb_ints(m, name, 1, &count, values);
}

Test(model_onnx, parts_of_constants) {
    static const int64_t one = 1, last = -1, minus = -1, far = -100;
    static const int64_t both[2] = {1, 0};
    pb_file m;
    start_matrix(&m); /* a[:, ::-1][1] */
    pb_vector(&m, "from", 1, &last);
    pb_vector(&m, "to", 1, &far);
    pb_vector(&m, "axis", 1, &one);
    pb_vector(&m, "step", 1, &minus);
    pb_node(&m, "Slice", "a from to axis step", "s");
    pb_ints(&m, "row", 0, NULL, &one);
    pb_node(&m, "Gather", "s row", "c");
    expect_folded(&m, true, 3, (const float[]){5, 4, 3});

    start_matrix(&m); /* a[:, -1] */
    pb_ints(&m, "i", 0, NULL, &last);
    pb_int(&m, pb_node(&m, "Gather", "a i", "c"), "axis", 1);
    expect_folded(&m, true, 2, (const float[]){2, 5});

    start_matrix(&m); /* a.T, then its row 1 */
    pb_list(&m, pb_node(&m, "Transpose", "a", "t"), "perm", 2, both);
    pb_ints(&m, "row", 0, NULL, &one);
    pb_node(&m, "Gather", "t row", "c");
    expect_folded(&m, true, 2, (const float[]){1, 4});

    start_matrix(&m); /* the second of three parts along axis 1 */
    pb_int(&m, pb_node(&m, "Split", "a", "p q r"), "axis", 1);
    pb_vector(&m, "axes", 1, &one);
    pb_node(&m, "Squeeze", "q axes", "c");
    expect_folded(&m, true, 2, (const float[]){1, 4});
}

Test(model_onnx, new_constants) {
    static const int64_t two = 2, three = 3, nine = 9, one = 1;
    static const float value = 2.5F;
    pb_file m;
    pb_start(&m, 13); /* arange(2, 9, 3) */
    pb_ints(&m, "from", 0, NULL, &two);
    pb_ints(&m, "to", 0, NULL, &nine);
    pb_ints(&m, "step", 0, NULL, &three);
    pb_node(&m, "Range", "from to step", "c");
    expect_folded(&m, true, 3, (const float[]){2, 5, 8});

    pb_start(&m, 13);
    pb_vector(&m, "n", 1, &two);
    pb_tensor(&m, pb_node(&m, "ConstantOfShape", "n", "c"), "value",
              pb_floats(&m, NULL, 1, &one, &value));
    expect_folded(&m, false, 2, (const float[]){2.5F, 2.5F});

    start_matrix(&m); /* shape, size and product behind each other */
    pb_node(&m, "Shape", "a", "s");
    pb_node(&m, "Size", "a", "n");
    pb_vector(&m, "axes", 1, &(int64_t){0});
    pb_node(&m, "Unsqueeze", "n axes", "n1");
    pb_int(&m, pb_node(&m, "ReduceProd", "s", "p"), "keepdims", 1);
    pb_int(&m, pb_node(&m, "Concat", "s n1 p", "c"), "axis", 0);
    expect_folded(&m, true, 4, (const float[]){2, 3, 6, 6});
}

Test(model_onnx, choices_and_types) {
    static const int64_t three = 3, truth[3] = {1, 0, 1}, a[3] = {1, 2, 3}, b = -1;
    static const float real[3] = {2.7F, -2.7F, 0};
    pb_file m;
    pb_start(&m, 13);
    pb_vector(&m, "s", 3, truth);
    pb_vector(&m, "a", 3, a);
    pb_ints(&m, "b", 0, NULL, &b);
    pb_node(&m, "Where", "s a b", "c");
    expect_folded(&m, true, 3, (const float[]){1, -1, 3});

    pb_start(&m, 13);
    pb_floats(&m, "a", 1, &three, real);
    pb_int(&m, pb_node(&m, "Cast", "a", "c"), "to", 7);
    expect_folded(&m, true, 3, (const float[]){2, -2, 0});

    pb_start(&m, 13); /* a row repeated below itself, then the sums of the columns */
    pb_ints(&m, "a", 1, &three, a);
    pb_vector(&m, "size", 2, (const int64_t[]){2, 3});
    pb_node(&m, "Expand", "a size", "e");
    pb_vector(&m, "axes", 1, &(int64_t){0});
    pb_int(&m, pb_node(&m, "ReduceSum", "e axes", "c"), "keepdims", 0);
    expect_folded(&m, true, 3, (const float[]){2, 4, 6});
}

/* The shape of a value is a constant: the end of a slice is its extent along W less 1. */
Test(model_onnx, shapes_of_values_are_constants) {
    static const int64_t four = 4, one = 1, in[5] = {1, 1, 1, 2, 3};
    static const float x[6] = {0, 1, 2, 3, 4, 5}, want[4] = {0, 1, 3, 4};
    float y[6];
    pb_file m;
    pb_start(&m, 13);
    pb_input(&m, "x", 5, any5);
    pb_output(&m, "y", 5, any5);
    pb_node(&m, "Shape", "x", "s");
    pb_vector(&m, "i", 1, &four);
    pb_vector(&m, "one", 1, &one);
    pb_vector(&m, "zero", 1, &(int64_t){0});
    pb_node(&m, "Gather", "s i", "w");
    pb_node(&m, "Sub", "w one", "end");
    pb_node(&m, "Slice", "x zero end i", "y");
    cr_expect_eq(run(&m, x, in, y, 6), 4);
    expect_numbers(y, want, 4);
}

/* ---- Views ---- */

/* x (1, 2, 1, 2, 3): a matrix product over the channels, behind a Transpose that moves nothing. */
Test(model_onnx, channels_last_is_a_view) {
    static const int64_t there[5] = {0, 2, 3, 4, 1}, back[5] = {0, 4, 1, 2, 3}, shape[2] = {2, 3};
    static const int64_t in[5] = {1, 2, 1, 2, 3};
    static const float matrix[6] = {1, 2, 3, 10, 20, 30};
    float x[12], y[18];
    pb_file m;
    pb_start(&m, 13);
    pb_input(&m, "x", 5, any5);
    pb_output(&m, "y", 5, any5);
    pb_floats(&m, "k", 2, shape, matrix);
    pb_list(&m, pb_node(&m, "Transpose", "x", "t"), "perm", 5, there);
    pb_node(&m, "MatMul", "t k", "p");
    pb_list(&m, pb_node(&m, "Transpose", "p", "y"), "perm", 5, back);
    for (int i = 0; i < 12; i++)
        x[i] = (float)i;
    cr_assert_eq(run(&m, x, in, y, 18), 18);
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 6; v++)
            cr_expect_eq(y[c * 6 + v], x[v] * matrix[c] + x[6 + v] * matrix[3 + c]);
}

/* Two samples of a batch that the file fixes, flattened and multiplied. */
Test(model_onnx, a_batch_of_two_is_flattened) {
    static const int64_t in[5] = {2, 2, 1, 1, 2}, shape[2] = {1, 4}, out[2] = {2, 1};
    static const float matrix[4] = {1, 10, 100, 1000}, x[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    float y[2];
    pb_file m;
    pb_start(&m, 13);
    pb_input(&m, "x", 5, in);
    pb_output(&m, "y", 2, out);
    pb_floats(&m, "k", 2, shape, matrix);
    pb_node(&m, "Flatten", "x", "f");
    pb_int(&m, pb_node(&m, "Gemm", "f k", "y"), "transB", 1);
    cr_expect_eq(run(&m, x, in, y, 2), 2);
    expect_numbers(y, (const float[]){4321, 8765}, 2);
}

/* GroupNorm as torch exports it. Two groups of two channels, one voxel each: values a, b become
 * -1 and +1 times |a - b| / sqrt((a - b)^2 + 4*eps). */
Test(model_onnx, instances_may_be_groups_of_channels) {
    static const int64_t in[5] = {1, 4, 1, 1, 1}, two = 2;
    static const float x[4] = {1, 3, -5, 5}, one[2] = {1, 1}, zero[2] = {0, 0};
    float y[4];
    pb_file m;
    pb_start(&m, 13);
    pb_input(&m, "x", 5, any5);
    pb_output(&m, "y", 5, any5);
    pb_floats(&m, "one", 1, &two, one);
    pb_floats(&m, "zero", 1, &two, zero);
    pb_vector(&m, "groups", 3, (const int64_t[]){0, 2, -1});
    pb_node(&m, "Reshape", "x groups", "g");
    pb_node(&m, "InstanceNormalization", "g one zero", "i");
    pb_node(&m, "Shape", "x", "s");
    pb_node(&m, "Reshape", "i s", "y");
    cr_expect_eq(run(&m, x, in, y, 4), 4);
    for (int i = 0; i < 4; i += 2) {
        const double d = (double)x[i + 1] - (double)x[i], want = d / sqrt(d * d + 4 * 1e-5);
        /* float32: a mean, a product and a sum round */
        cr_expect_float_eq((double)y[i], -want, 4 * 0x1p-24);
        cr_expect_float_eq((double)y[i + 1], want, 4 * 0x1p-24);
    }
}

/* A constant of one number a channel, from the right as NumPy aligns it. */
Test(model_onnx, constants_by_channel) {
    static const int64_t in[5] = {1, 2, 1, 1, 2}, shape[4] = {2, 1, 1, 1};
    static const float x[4] = {1, 2, 4, 8}, k[2] = {2, 4};
    static const struct {
        const char *type, *inputs;
        float want[4];
    } cases[] = {
        {"Add", "x k", {3, 4, 8, 12}},  {"Sub", "x k", {-1, 0, 0, 4}},
        {"Sub", "k x", {1, 0, 0, -4}},  {"Mul", "k x", {2, 4, 16, 32}},
        {"Div", "x k", {0.5, 1, 1, 2}}, {"Div", "k x", {2, 1, 1, 0.5}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float y[4];
        pb_file m;
        pb_start(&m, 13);
        pb_input(&m, "x", 5, any5);
        pb_output(&m, "y", 5, any5);
        pb_floats(&m, "k", 4, shape, k);
        pb_node(&m, cases[i].type, cases[i].inputs, "y");
        cr_expect_eq(run(&m, x, in, y, 4), 4);
        expect_numbers(y, cases[i].want, 4);
    }
}
