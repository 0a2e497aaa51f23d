/* ONNX models whose inputs and outputs are told by name. Expected values are the operators'
 * definitions, worked out by hand. */
#include "onnx_make.h"
#include "weights_support.h"

TestSuite(model_onnx_ends, .init = make_folder, .fini = remove_folder);

static const int64_t any5[5] = {1, -1, -1, -1, -1}, one5[5] = {1, 1, 1, 1, 1}, one1[1] = {1};
static const float weight[1] = {1.5F}, bias[1] = {0.5F};

static vox_model *open_model(pb_file *m, const vox_model_options *o, vox_error *err) {
    size_t bytes;
    const unsigned char *data = pb_bytes(m, &bytes);
    *err = (vox_error){VOX_OK, ""};
    return vox_model_open(write_file("m.onnx", data, bytes), o, err);
}

/* Over x = -1, 2 in one row. */
static void expect_row(pb_file *m, const vox_model_options *o, float first, float second) {
    static const int64_t in[5] = {1, 1, 1, 1, 2};
    static const float x[2] = {-1, 2};
    float y[2] = {0, 0};
    vox_error err;
    vox_model *model = open_model(m, o, &err);
    cr_assert_not_null(model, "%s", err.message);
    vox_network *n = vox_model_network(model, in + 1, &err);
    cr_assert_not_null(n, "%s", err.message);
    cr_assert_eq(vox_network_run(n, x, in, y, 1, &err), VOX_OK, "%s", err.message);
    cr_expect(y[0] == first && y[1] == second, "%g %g", (double)y[0], (double)y[1]);
    vox_network_free(n);
    vox_model_free(model);
}

static void expect_refused(pb_file *m, const vox_model_options *o, vox_status status,
                           const char *phrase) {
    vox_error err;
    cr_expect_null(open_model(m, o, &err));
    cr_expect_eq(err.status, status, "%d: %s", err.status, err.message);
    cr_expect_not_null(strstr(err.message, phrase), "'%s' is not in: %s", phrase, err.message);
    cr_expect_not_null(strstr(err.message, "m.onnx"), "no file name: %s", err.message);
}

/* ---- Outputs ---- */

Test(model_onnx_ends, one_of_several_outputs) {
    pb_file m;
    pb_start(&m, 13);
    pb_input(&m, "x", 5, any5);
    pb_output(&m, "negative", 5, any5);
    pb_output(&m, "relu", 5, any5);
    pb_output(&m, "strange", 5, any5);
    pb_node(&m, "Relu", "x", "relu");
    pb_node(&m, "Neg", "relu", "negative");
    pb_node(&m, "Frobnicate", "x", "strange");
    expect_row(&m, &(vox_model_options){.output_name = NULL}, -0.0F, -2);
    expect_row(&m, &(vox_model_options){.output_name = "negative"}, -0.0F, -2);
    expect_row(&m, &(vox_model_options){.output_name = "relu"}, 0, 2);
    expect_refused(&m, &(vox_model_options){.output_name = "strange"}, VOX_ERR_UNSUPPORTED,
                   "Frobnicate");
    expect_refused(&m, &(vox_model_options){.output_name = "y"}, VOX_ERR_USAGE,
                   "'y': no output of that name; it has negative, relu, strange");
    pb_free(&m);
}

Test(model_onnx_ends, the_chosen_output_says_whether_it_is_a_vector) {
    static const int64_t two[2] = {1, -1};
    pb_file m;
    pb_start(&m, 13);
    pb_input(&m, "x", 5, any5);
    pb_output(&m, "volume", 5, any5);
    pb_output(&m, "vector", 2, two);
    pb_node(&m, "Relu", "x", "volume");
    pb_node(&m, "Flatten", "volume", "vector");
    for (int i = 0; i < 2; i++) {
        vox_error err;
        vox_model *model =
            open_model(&m, &(vox_model_options){.output_name = i ? "vector" : "volume"}, &err);
        cr_assert_not_null(model, "%s", err.message);
        cr_expect_eq(vox_model_gives_vector(model), i == 1);
        vox_model_free(model);
    }
    pb_free(&m);
}

/* ---- Inputs ---- */

/* y = conv(x, w, b), both of them inputs. */
static void start_affine(pb_file *m) {
    pb_start(m, 13);
    pb_input(m, "x", 5, any5);
    pb_input(m, "w", 5, one5);
    pb_input(m, "b", 1, one1);
    pb_output(m, "y", 5, any5);
    pb_node(m, "Conv", "x w b", "y");
}

/* The options that give `count` inputs. */
typedef struct given {
    const char *name[3];
    vox_tensor tensor[3];
    const vox_tensor *value[3];
    vox_model_options options;
} given;

static void add(given *g, const char *name, int rank, const int64_t *shape, const float *data) {
    const int i = g->options.input_count++;
    float *copy = malloc(sizeof *copy * 8);
    g->name[i] = name;
    g->tensor[i] = (vox_tensor){.rank = rank, .count = 1, .data = copy};
    for (int k = 0; k < rank; k++)
        g->tensor[i].count *= g->tensor[i].shape[k] = shape[k];
    memcpy(copy, data, (size_t)g->tensor[i].count * sizeof *copy);
    g->value[i] = &g->tensor[i];
    g->options.input_name = g->name;
    g->options.input_value = g->value;
}

static void done(given *g) {
    for (int i = 0; i < g->options.input_count; i++)
        free(g->tensor[i].data);
    *g = (given){.options = {.input_count = 0}};
}

Test(model_onnx_ends, inputs_beside_the_volume_are_constants) {
    pb_file m;
    given g = {.options = {.input_count = 0}};
    start_affine(&m);
    expect_refused(&m, &g.options, VOX_ERR_UNSUPPORTED, "both inputs without a value");
    add(&g, "b", 1, one1, bias);
    add(&g, "w", 5, one5, weight);
    expect_row(&m, &g.options, -1, 3.5F);
    done(&g);
    pb_free(&m);
}

Test(model_onnx_ends, an_input_goes_before_its_default) {
    static const float other[1] = {8};
    pb_file m;
    given g = {.options = {.input_count = 0}};
    start_affine(&m);
    pb_floats(&m, "w", 5, one5, weight);
    pb_floats(&m, "b", 1, one1, bias);
    expect_row(&m, &g.options, -1, 3.5F);
    add(&g, "b", 1, one1, other);
    expect_row(&m, &g.options, 6.5F, 11);
    done(&g);
    pb_free(&m);
}

Test(model_onnx_ends, whole_numbers_are_told_from_the_type) {
    static const float from[1] = {1}, to[1] = {9.3e18F}, half[1] = {0.5F};
    static const float axis[1] = {-1};
    pb_file m;
    given g = {.options = {.input_count = 0}};
    pb_start(&m, 13);
    pb_input(&m, "x", 5, any5);
    pb_input(&m, "from", 1, one1);
    pb_input(&m, "to", 1, one1);
    pb_input(&m, "axis", 1, one1);
    pb_output(&m, "y", 5, any5);
    for (int i = 1; i <= 3; i++)
        m.input[i]->type->tensor_type->elem_type = 7; /* int64 */
    pb_node(&m, "Slice", "x from to axis", "part");   /* x = 2 alone, from 1 to the end */
    pb_node(&m, "Add", "x part", "y");
    add(&g, "from", 1, one1, from);
    add(&g, "to", 1, one1, to);
    add(&g, "axis", 1, one1, axis);
    expect_row(&m, &g.options, 1, 4);
    g.tensor[0].data[0] = half[0];
    expect_refused(&m, &g.options, VOX_ERR_WEIGHTS, "input 'from': not whole numbers");
    done(&g);
    pb_free(&m);
}

Test(model_onnx_ends, inputs_that_do_not_fit) {
    static const int64_t two1[1] = {2};
    static const float two[2] = {1, 2};
    pb_file m;
    given g = {.options = {.input_count = 0}};
    start_affine(&m);
    add(&g, "weights", 5, one5, weight);
    expect_refused(&m, &g.options, VOX_ERR_USAGE,
                   "'weights': no input of that name; it has x, w, b");
    done(&g);
    add(&g, "b", 1, one1, bias);
    add(&g, "b", 1, one1, bias);
    expect_refused(&m, &g.options, VOX_ERR_USAGE, "input 'b' is given twice");
    done(&g);
    add(&g, "b", 1, two1, two);
    expect_refused(&m, &g.options, VOX_ERR_WEIGHTS, "input 'b': shape=(2,)");
    done(&g);
    add(&g, "b", 5, one5, bias);
    expect_refused(&m, &g.options, VOX_ERR_WEIGHTS, "input 'b': shape=(1, 1, 1, 1, 1)");
    done(&g);
    add(&g, "x", 5, one5, weight);
    add(&g, "w", 5, one5, weight);
    add(&g, "b", 1, one1, bias);
    expect_refused(&m, &g.options, VOX_ERR_WEIGHTS, "depends on no input");
    done(&g);
    pb_free(&m);
}

Test(model_onnx_ends, other_models_have_no_names) {
    const vox_model_options output = {.init = true, .output_name = "y"};
    const char *path = write_file("net.txt", "input channels=1\nrelu\n", 22);
    vox_error err = {VOX_OK, ""};
    cr_expect_null(vox_model_open(path, &output, &err));
    cr_expect_eq(err.status, VOX_ERR_USAGE);
    cr_expect_not_null(strstr(err.message, "a text model"), "%s", err.message);
}
