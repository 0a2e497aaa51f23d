/* ONNX operators on a row of five numbers, 1 to 5: what torch cannot export (automatic padding,
 * forms of old opsets) or what is worked out by hand from the operators' definitions. */
#include "onnx_make.h"
#include "weights_support.h"

TestSuite(model_onnx_operators, .init = make_folder, .fini = remove_folder);

static const int64_t any5[5] = {1, -1, -1, -1, -1};
enum { MOST = 16 };

/* Starts a model of x and y; the test adds what is between them. */
static void start(pb_file *m, int64_t opset) {
    pb_start(m, opset);
    pb_input(m, "x", 5, any5);
    pb_output(m, "y", 5, any5);
}

/* Runs it over x = 1, 2, ... of (1, channels, 1, 1, width). */
static void expect_row(pb_file *m, int64_t channels, int64_t width, int count, const float *want) {
    const vox_model_options options = {0};
    const int64_t in[5] = {1, channels, 1, 1, width};
    size_t bytes;
    int64_t shape[4];
    float x[MOST], y[MOST];
    vox_error err = {0};
    const unsigned char *data = pb_bytes(m, &bytes);
    for (int i = 0; i < MOST; i++)
        x[i] = (float)(i + 1);
    vox_model *model = vox_model_open(write_file("m.onnx", data, bytes), &options, &err);
    cr_assert_not_null(model, "%s", err.message);
    vox_network *n = vox_model_network(model, in + 1, &err);
    cr_assert_not_null(n, "%s", err.message);
    cr_assert_eq(vox_network_shape(n, in + 1, shape, &err), VOX_OK, "%s", err.message);
    cr_assert_eq(shape[0] * shape[1] * shape[2] * shape[3], count);
    cr_assert_eq(vox_network_run(n, x, in, y, 1, &err), VOX_OK, "%s", err.message);
    for (int i = 0; i < count; i++)
        cr_expect_eq(y[i], want[i], "[%d] is %g, not %g", i, (double)y[i], (double)want[i]);
    vox_network_free(n);
    vox_model_free(model);
    pb_free(m);
}

static const int64_t width2[3] = {1, 1, 2}, width3[3] = {1, 1, 3};

/* ---- Windows ---- */

/* A convolution with weights of 1. */
static void expect_sums(int64_t width, int64_t stride, const char *auto_pad, int count,
                        const float *want) {
    const int64_t shape[5] = {1, 1, 1, 1, width}, strides[3] = {1, 1, stride};
    static const float ones[3] = {1, 1, 1};
    pb_file m;
    start(&m, 11);
    pb_floats(&m, "w", 5, shape, ones);
    Onnx__NodeProto *n = pb_node(&m, "Conv", "x w", "y");
    pb_string(&m, n, "auto_pad", auto_pad);
    pb_list(&m, n, "strides", 3, strides);
    expect_row(&m, 1, 5, count, want);
}

Test(model_onnx_operators, automatic_padding) {
    expect_sums(3, 2, "SAME_UPPER", 3, (const float[]){3, 9, 9});
    expect_sums(2, 1, "SAME_UPPER", 5, (const float[]){3, 5, 7, 9, 5});
    expect_sums(2, 1, "SAME_LOWER", 5, (const float[]){1, 3, 5, 7, 9});
    expect_sums(2, 1, "VALID", 4, (const float[]){3, 5, 7, 9});
    expect_sums(2, 1, "NOTSET", 4, (const float[]){3, 5, 7, 9});
}

static void expect_pool(const char *type, const char *auto_pad, const float want[5]) {
    pb_file m;
    start(&m, 11);
    Onnx__NodeProto *n = pb_node(&m, type, "x", "y");
    pb_list(&m, n, "kernel_shape", 3, width2);
    pb_string(&m, n, "auto_pad", auto_pad);
    expect_row(&m, 1, 5, 5, want);
}

Test(model_onnx_operators, automatic_padding_of_pools) {
    expect_pool("MaxPool", "SAME_UPPER", (const float[]){2, 3, 4, 5, 5});
    expect_pool("MaxPool", "SAME_LOWER", (const float[]){1, 2, 3, 4, 5});
    expect_pool("AveragePool", "SAME_UPPER", (const float[]){1.5, 2.5, 3.5, 4.5, 5});
    expect_pool("AveragePool", "SAME_LOWER", (const float[]){1, 1.5, 2.5, 3.5, 4.5});
}

/* Two columns behind a window of two: the last maximum sees one number, and padding. */
Test(model_onnx_operators, more_padding_than_half_a_window) {
    static const int64_t pads[6] = {0, 0, 0, 0, 0, 2}, strides[3] = {1, 1, 2};
    pb_file m;
    start(&m, 9);
    Onnx__NodeProto *n = pb_node(&m, "MaxPool", "x", "y");
    pb_list(&m, n, "kernel_shape", 3, width2);
    pb_list(&m, n, "strides", 3, strides);
    pb_list(&m, n, "pads", 6, pads);
    expect_row(&m, 1, 5, 3, (const float[]){2, 4, 5});
}

/* Transposed with stride 2 and weights 1, 10, 100: 3 inputs make 7 numbers; output_shape keeps 6 of
 * them, and without auto_pad the larger part of the padding is in front. */
Test(model_onnx_operators, output_shape_of_transposed_convolutions) {
    static const int64_t shape[5] = {1, 1, 1, 1, 3}, strides[3] = {1, 1, 2}, six[3] = {1, 1, 6};
    static const float weight[3] = {1, 10, 100};
    static const float full[7] = {1, 10, 102, 20, 203, 30, 300};
    for (int upper = 0; upper < 2; upper++) {
        pb_file m;
        start(&m, 11);
        pb_floats(&m, "w", 5, shape, weight);
        Onnx__NodeProto *n = pb_node(&m, "ConvTranspose", "x w", "y");
        pb_list(&m, n, "strides", 3, strides);
        pb_list(&m, n, "output_shape", 3, six);
        if (upper)
            pb_string(&m, n, "auto_pad", "SAME_UPPER");
        expect_row(&m, 1, 3, 6, full + !upper);
    }
}

/* ---- Sizes ---- */

Test(model_onnx_operators, padding_as_attributes) {
    static const int64_t pads[10] = {0, 0, 0, 0, 1, 0, 0, 0, 0, 2};
    static const struct {
        const char *mode;
        float want[8];
    } cases[] = {
        {"constant", {7, 1, 2, 3, 4, 5, 7, 7}},
        {"reflect", {2, 1, 2, 3, 4, 5, 4, 3}},
        {"edge", {1, 1, 2, 3, 4, 5, 5, 5}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pb_file m;
        start(&m, 10);
        Onnx__NodeProto *n = pb_node(&m, "Pad", "x", "y");
        pb_list(&m, n, "pads", 10, pads);
        pb_float(&m, n, "value", 7);
        pb_string(&m, n, "mode", cases[i].mode);
        expect_row(&m, 1, 5, 8, cases[i].want);
    }
}

/* The same along one axis that an input names, from opset 18 on; a negative pad takes away. */
Test(model_onnx_operators, padding_of_named_axes) {
    static const int64_t two = 2, one = 1, pads[2] = {-1, 1}, last = -1;
    static const float seven = 7;
    pb_file m;
    start(&m, 18);
    pb_ints(&m, "pads", 1, &two, pads);
    pb_floats(&m, "value", 0, NULL, &seven);
    pb_ints(&m, "axes", 1, &one, &last);
    pb_node(&m, "Pad", "x pads value axes", "y");
    expect_row(&m, 1, 5, 5, (const float[]){2, 3, 4, 5, 7});
}

Test(model_onnx_operators, upsampling) {
    static const int64_t five = 5, sizes[5] = {1, 1, 1, 1, 4};
    static const float twice[5] = {1, 1, 1, 1, 2};
    pb_file m;
    start(&m, 9);
    pb_floats(&m, "s", 1, &five, twice);
    pb_node(&m, "Upsample", "x s", "y");
    expect_row(&m, 1, 3, 6, (const float[]){1, 1, 2, 2, 3, 3});

    start(&m, 13); /* half pixels: samples at -0.25, 0.25, 0.75, 1.25 */
    pb_ints(&m, "sizes", 1, &five, sizes);
    pb_string(&m, pb_node(&m, "Resize", "x - - sizes", "y"), "mode", "linear");
    expect_row(&m, 1, 2, 4, (const float[]){1, 1.25, 1.75, 2});
}

/* 6 times the float32 next to 7/6 is 7 in float32, and less by itself. */
Test(model_onnx_operators, scales_are_float32) {
    static const int64_t five = 5;
    static const float scales[5] = {1, 1, 1, 1, 7.0F / 6};
    pb_file m;
    start(&m, 10);
    pb_floats(&m, "s", 1, &five, scales);
    pb_node(&m, "Resize", "x s", "y");
    expect_row(&m, 1, 6, 7, (const float[]){1, 1, 2, 3, 4, 5, 6});
}

/* ---- Elementwise ---- */

Test(model_onnx_operators, bounds) {
    static const float two = 2, four = 4;
    pb_file m;
    start(&m, 6);
    Onnx__NodeProto *n = pb_node(&m, "Clip", "x", "y");
    pb_float(&m, n, "min", 2);
    pb_float(&m, n, "max", 4);
    expect_row(&m, 1, 5, 5, (const float[]){2, 2, 3, 4, 4});

    start(&m, 12);
    pb_floats(&m, "max", 0, NULL, &four);
    pb_node(&m, "Clip", "x - max", "y");
    expect_row(&m, 1, 5, 5, (const float[]){1, 2, 3, 4, 4});

    start(&m, 13);
    pb_floats(&m, "two", 0, NULL, &two);
    pb_floats(&m, "four", 0, NULL, &four);
    pb_node(&m, "Max", "two x", "t");
    pb_node(&m, "Min", "t four", "y");
    expect_row(&m, 1, 5, 5, (const float[]){2, 2, 3, 4, 4});
}

/* Before opset 7 an attribute says which axis a vector belongs to, and a slope's is the channels.
 */
Test(model_onnx_operators, broadcasting_of_opset_6) {
    static const int64_t two = 2;
    static const float k[2] = {10, 20}, slope[2] = {0.5, 0.25};
    pb_file m;
    start(&m, 6);
    pb_floats(&m, "k", 1, &two, k);
    Onnx__NodeProto *n = pb_node(&m, "Add", "x k", "y");
    pb_int(&m, n, "broadcast", 1);
    pb_int(&m, n, "axis", 1);
    expect_row(&m, 2, 2, 4, (const float[]){11, 12, 23, 24});

    start(&m, 6);
    pb_floats(&m, "k", 1, &two, slope);
    pb_node(&m, "Neg", "x", "n");
    pb_node(&m, "PRelu", "n k", "y");
    expect_row(&m, 2, 2, 4, (const float[]){-0.5, -1, -0.75, -1});
}

Test(model_onnx_operators, powers) {
    static const struct {
        float exponent, want[4];
    } cases[] = {{1, {1, 2, 3, 4}}, {2, {1, 4, 9, 16}}, {3, {1, 8, 27, 64}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pb_file m;
        start(&m, 13);
        pb_floats(&m, "e", 0, NULL, &cases[i].exponent);
        pb_node(&m, "Pow", "x e", "y");
        expect_row(&m, 1, 4, 4, cases[i].want);
    }
}

/* It is alpha*(exp(x/alpha) - 1) below 0. */
Test(model_onnx_operators, celu_keeps_positive_numbers) {
    pb_file m;
    start(&m, 13);
    pb_float(&m, pb_node(&m, "Celu", "x", "y"), "alpha", 2);
    expect_row(&m, 1, 4, 4, (const float[]){1, 2, 3, 4});
}

/* ---- Parts and axes ---- */

Test(model_onnx_operators, channels_are_taken_and_put_together) {
    static const int64_t two = 2, one = 1, order[2] = {0, 2};
    pb_file m;
    start(&m, 13); /* x[:, [0, 2]] of three channels */
    pb_ints(&m, "i", 1, &two, order);
    pb_int(&m, pb_node(&m, "Gather", "x i", "y"), "axis", 1);
    expect_row(&m, 3, 1, 2, (const float[]){1, 3});

    start(&m, 13); /* the parts the other way round */
    pb_int(&m, pb_node(&m, "Split", "x", "a b c"), "axis", 1);
    pb_int(&m, pb_node(&m, "Concat", "c b a", "y"), "axis", 1);
    expect_row(&m, 3, 1, 3, (const float[]){3, 2, 1});

    start(&m, 13); /* one channel without its axis, and with it again */
    pb_ints(&m, "i", 0, NULL, &one);
    pb_ints(&m, "axes", 1, &one, &one);
    pb_int(&m, pb_node(&m, "Gather", "x i", "g"), "axis", 1);
    pb_node(&m, "Unsqueeze", "g axes", "y");
    expect_row(&m, 3, 1, 1, (const float[]){2});
}

/* Eight channels of one voxel become 2x2x2 voxels: CRD takes them in their order; with DCR, and two
 * output channels, the channel is the last digit. */
Test(model_onnx_operators, pixel_shuffles) {
    static const int64_t eight = 8, five = 5;
    static const int64_t crd[8] = {1, 1, 2, 2, 2, 1, 1, 1}, crd_perm[8] = {0, 1, 5, 2, 6, 3, 7, 4};
    static const int64_t dcr[8] = {1, 1, 1, 2, 2, 1, 1, 1}, dcr_perm[8] = {0, 4, 5, 1, 6, 2, 7, 3};
    static const int64_t crd_shape[5] = {1, 1, 2, 2, 2}, dcr_shape[5] = {1, 2, 1, 1, 2};
    pb_file m;
    start(&m, 13);
    pb_ints(&m, "a", 1, &eight, crd);
    pb_ints(&m, "b", 1, &five, crd_shape);
    pb_node(&m, "Reshape", "x a", "r");
    pb_list(&m, pb_node(&m, "Transpose", "r", "t"), "perm", 8, crd_perm);
    pb_node(&m, "Reshape", "t b", "y");
    expect_row(&m, 8, 1, 8, (const float[]){1, 2, 3, 4, 5, 6, 7, 8});

    start(&m, 13);
    pb_ints(&m, "a", 1, &eight, dcr);
    pb_ints(&m, "b", 1, &five, dcr_shape);
    pb_node(&m, "Reshape", "x a", "r");
    pb_list(&m, pb_node(&m, "Transpose", "r", "t"), "perm", 8, dcr_perm);
    pb_node(&m, "Reshape", "t b", "y");
    expect_row(&m, 4, 1, 4, (const float[]){1, 3, 2, 4});
}

Test(model_onnx_operators, arg_max_and_its_whole_numbers) {
    pb_file m;
    start(&m, 13);
    Onnx__NodeProto *n = pb_node(&m, "ArgMax", "x", "a");
    pb_int(&m, n, "axis", 1);
    pb_int(&m, pb_node(&m, "Cast", "a", "y"), "to", 7);
    expect_row(&m, 3, 1, 1, (const float[]){2});
}

Test(model_onnx_operators, sums_and_means_over_axes) {
    static const int64_t one = 1, spatial[3] = {2, 3, 4}, three = 3;
    pb_file m;
    start(&m, 13); /* opset 13: axes of ReduceSum are an input, those of ReduceMean an attribute */
    pb_ints(&m, "axes", 1, &one, &one);
    pb_node(&m, "ReduceSum", "x axes", "y");
    expect_row(&m, 2, 2, 2, (const float[]){4, 6});

    start(&m, 13);
    pb_list(&m, pb_node(&m, "ReduceMean", "x", "y"), "axes", 3, spatial);
    expect_row(&m, 2, 2, 2, (const float[]){1.5, 3.5});

    start(&m, 18);
    pb_ints(&m, "axes", 1, &three, spatial);
    pb_node(&m, "ReduceMax", "x axes", "y");
    expect_row(&m, 2, 2, 2, (const float[]){2, 4});
}

/* The attribute may be left out, or say what the weights say. */
Test(model_onnx_operators, kernel_shape_repeats_the_weights) {
    static const int64_t shape[5] = {1, 1, 1, 1, 3};
    static const float ones[3] = {1, 1, 1};
    pb_file m;
    start(&m, 11);
    pb_floats(&m, "w", 5, shape, ones);
    pb_list(&m, pb_node(&m, "Conv", "x w", "y"), "kernel_shape", 3, width3);
    expect_row(&m, 1, 5, 3, (const float[]){6, 9, 12});
}
