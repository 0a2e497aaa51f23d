/* ONNX models that are refused: each kind of damage, with its status and a phrase of the sentence.
 * A good model is made and then spoilt in one place. */
#include "onnx_make.h"
#include "weights_support.h"

#include <sys/stat.h>

TestSuite(model_onnx_bad, .init = make_folder, .fini = remove_folder);

static const int64_t any5[5] = {1, -1, -1, -1, -1};

/* y = relu(conv(x, w, b)), two channels to one. */
static void make_good(pb_file *m, int64_t opset) {
    static const int64_t shape[5] = {1, 2, 1, 1, 1}, one = 1;
    static const float numbers[2] = {1, 2};
    pb_start(m, opset);
    pb_input(m, "x", 5, any5);
    pb_output(m, "y", 5, any5);
    pb_floats(m, "w", 5, shape, numbers);
    pb_floats(m, "b", 1, &one, numbers);
    pb_node(m, "Conv", "x w b", "c");
    pb_node(m, "Relu", "c", "y");
}

/* Opens bytes, and where that works asks for the network of a 2x3x3x3 input. */
static vox_status try_bytes(const unsigned char *bytes, size_t count, vox_error *err) {
    static const int64_t in[4] = {2, 3, 3, 3};
    const vox_model_options options = {0};
    *err = (vox_error){VOX_OK, ""};
    vox_model *model = vox_model_open(write_file("m.onnx", bytes, count), &options, err);
    vox_network *n = model ? vox_model_network(model, in, err) : NULL;
    const vox_status status = n ? VOX_OK : err->status;
    vox_network_free(n);
    vox_model_free(model);
    return status;
}

static void expect_refused(pb_file *m, vox_status status, const char *phrase) {
    size_t count;
    vox_error err;
    const unsigned char *bytes = pb_bytes(m, &count);
    cr_expect_eq(try_bytes(bytes, count, &err), status, "%d: %s, not %s", err.status, err.message,
                 phrase);
    cr_expect_not_null(strstr(err.message, phrase), "'%s' is not in: %s", phrase, err.message);
    cr_expect_not_null(strstr(err.message, "m.onnx"), "no file name: %s", err.message);
    pb_free(m);
}

/* ---- Bytes ---- */

Test(model_onnx_bad, the_good_one_is_good) {
    pb_file m;
    size_t count;
    vox_error err;
    make_good(&m, 13);
    const unsigned char *bytes = pb_bytes(&m, &count);
    cr_expect_eq(try_bytes(bytes, count, &err), VOX_OK, "%s", err.message);
    pb_free(&m);
}

Test(model_onnx_bad, cut_to_every_length) {
    pb_file m;
    size_t count;
    vox_error err;
    make_good(&m, 13);
    const unsigned char *bytes = pb_bytes(&m, &count);
    for (size_t n = 0; n < count; n++) {
        try_bytes(bytes, n, &err);
        /* Cut between graph and opset, it says opset 1: that is not served. */
        cr_expect(err.status == VOX_ERR_WEIGHTS || err.status == VOX_ERR_UNSUPPORTED,
                  "%zu bytes: %d: %s", n, err.status, err.message);
    }
    pb_free(&m);
}

Test(model_onnx_bad, hostile_varints) {
    static const struct {
        const char *bytes;
        size_t count;
    } cases[] = {
        /* a graph of 2^63 bytes; of 2^31 - 1 bytes; a varint that does not end; one of 11 bytes */
        {"\x08\x08\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x01", 13},
        {"\x08\x08\x3a\xff\xff\xff\xff\x07\x01", 9},
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff", 10},
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x3a\x00", 14},
        {"\x08\x08\x3b\x3b\x3b\x3b", 6}, /* groups */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vox_error err;
        cr_expect_eq(try_bytes((const unsigned char *)cases[i].bytes, cases[i].count, &err),
                     VOX_ERR_WEIGHTS, "%zu: %s", i, err.message);
        cr_expect_not_null(strstr(err.message, "do not parse"), "%zu: %s", i, err.message);
    }
}

/* A megabyte of empty nodes would ask for a hundred times as much. */
Test(model_onnx_bad, messages_that_only_ask_for_memory) {
    enum { NODES = 1 << 19, HEAD = 6 };
    vox_error err;
    unsigned char *bytes = calloc(1, HEAD + 2 * NODES);
    cr_assert_not_null(bytes);
    memcpy(bytes, "\x08\x08\x3a\x80\x80\x40", HEAD); /* a graph of 2^20 bytes */
    for (int i = 0; i < NODES; i++)
        bytes[HEAD + 2 * i] = 0x0a;
    cr_expect_eq(try_bytes(bytes, HEAD + 2 * NODES, &err), VOX_ERR_WEIGHTS);
    cr_expect_not_null(strstr(err.message, "do not parse"), "%s", err.message);
    free(bytes);
}

/* ---- Graphs ---- */

Test(model_onnx_bad, graphs) {
    pb_file m;
    make_good(&m, 13);
    m.model.graph = NULL;
    expect_refused(&m, VOX_ERR_WEIGHTS, "no graph");

    make_good(&m, 13); /* Conv reads what Relu makes of it */
    m.node[0]->input[0] = pb_text(&m, "y");
    expect_refused(&m, VOX_ERR_WEIGHTS, "a cycle");

    make_good(&m, 13);
    m.node[1]->input[0] = pb_text(&m, "y");
    expect_refused(&m, VOX_ERR_WEIGHTS, "a cycle");

    make_good(&m, 13);
    m.node[0]->input[1] = pb_text(&m, "weight");
    expect_refused(&m, VOX_ERR_WEIGHTS, "'weight' is nowhere");

    make_good(&m, 13);
    m.output[0]->name = pb_text(&m, "z");
    expect_refused(&m, VOX_ERR_WEIGHTS, "'z' is nowhere");

    make_good(&m, 13);
    m.node[0]->output[0] = pb_text(&m, "w");
    expect_refused(&m, VOX_ERR_WEIGHTS, "'w': a name that is given twice");

    make_good(&m, 13);
    m.node[0]->output[0] = pb_text(&m, "x");
    expect_refused(&m, VOX_ERR_WEIGHTS, "'x': a name that is given twice");

    make_good(&m, 13);
    m.node[0]->input[0] = pb_text(&m, "");
    expect_refused(&m, VOX_ERR_WEIGHTS, "depends on no input");

    make_good(&m, 13);
    m.graph.n_output = 0;
    expect_refused(&m, VOX_ERR_WEIGHTS, "0 outputs");
}

Test(model_onnx_bad, graphs_that_are_not_served) {
    static const int64_t four[4] = {1, 2, 3, 3};
    pb_file m;
    make_good(&m, 5);
    expect_refused(&m, VOX_ERR_UNSUPPORTED, "opset=5");
    make_good(&m, 21);
    expect_refused(&m, VOX_ERR_UNSUPPORTED, "opset=21");

    make_good(&m, 13);
    m.node[1]->op_type = pb_text(&m, "Frobnicate");
    m.node[1]->name = pb_text(&m, "act");
    expect_refused(&m, VOX_ERR_UNSUPPORTED, "node 'act' (Frobnicate, opset 13): ");

    make_good(&m, 13);
    m.node[1]->domain = pb_text(&m, "com.example");
    expect_refused(&m, VOX_ERR_UNSUPPORTED, "domain 'com.example'");

    make_good(&m, 13);
    m.graph.n_initializer = 0;
    pb_input(&m, "w", 5, any5);
    pb_input(&m, "b", 1, any5);
    expect_refused(&m, VOX_ERR_UNSUPPORTED, "both inputs without a value");

    make_good(&m, 13);
    m.graph.n_input = 0;
    pb_input(&m, "x", 4, four);
    expect_refused(&m, VOX_ERR_UNSUPPORTED, "4 dimensions");

    make_good(&m, 13);
    m.input[0]->type->tensor_type->elem_type = 7;
    expect_refused(&m, VOX_ERR_UNSUPPORTED, "elem_type=7");
}

/* What the output does not need may be anything. */
Test(model_onnx_bad, nodes_that_nobody_needs) {
    pb_file m;
    size_t count;
    vox_error err;
    make_good(&m, 13);
    pb_node(&m, "Frobnicate", "c", "z");
    const unsigned char *bytes = pb_bytes(&m, &count);
    cr_expect_eq(try_bytes(bytes, count, &err), VOX_OK, "%s", err.message);
    pb_free(&m);
}

/* ---- Tensors ---- */

Test(model_onnx_bad, tensors) {
    static const int64_t huge[5] = {INT64_C(1) << 40, INT64_C(1) << 40, 1, 1, 1};
    static const int64_t negative[5] = {-1, 2, 1, 1, 1};
    pb_file m;
    uint8_t seven[7] = {0};

    make_good(&m, 13);
    m.initializer[0]->n_float_data = 1;
    expect_refused(&m, VOX_ERR_WEIGHTS, "initializer 'w': 1 numbers: its shape needs 2");

    make_good(&m, 13);
    m.initializer[0]->n_float_data = 0;
    m.initializer[0]->has_raw_data = true;
    m.initializer[0]->raw_data = (ProtobufCBinaryData){7, seven};
    expect_refused(&m, VOX_ERR_WEIGHTS, "7 bytes of data: its shape needs 8");

    make_good(&m, 13);
    memcpy(m.initializer[0]->dims, huge, sizeof huge);
    expect_refused(&m, VOX_ERR_WEIGHTS, "dims[1]=1099511627776: not a possible size");

    make_good(&m, 13);
    memcpy(m.initializer[0]->dims, negative, sizeof negative);
    expect_refused(&m, VOX_ERR_WEIGHTS, "dims[0]=-1: not a possible size");

    make_good(&m, 13);
    m.initializer[0]->data_type = 8; /* text */
    expect_refused(&m, VOX_ERR_UNSUPPORTED, "data_type=8");

    make_good(&m, 13);
    m.initializer[0]->dims[1] = 1;
    m.initializer[0]->dims[2] = 2;
    expect_refused(&m, VOX_ERR_WEIGHTS, "weights for 1 channels in each of 1 groups");

    make_good(&m, 13);
    m.initializer[0]->n_dims = 4;
    expect_refused(&m, VOX_ERR_WEIGHTS, "its weights are no");
}

Test(model_onnx_bad, attributes) {
    static const int64_t two[2] = {1, 1}, minus[3] = {1, 1, -1};
    pb_file m;
    make_good(&m, 13);
    pb_int(&m, m.node[0], "strides", 2);
    expect_refused(&m, VOX_ERR_WEIGHTS, "attribute 'strides' has the wrong type");

    make_good(&m, 13);
    pb_list(&m, m.node[0], "strides", 2, two);
    expect_refused(&m, VOX_ERR_WEIGHTS, "strides: 2 numbers, not 3");

    make_good(&m, 13);
    pb_list(&m, m.node[0], "dilations", 3, minus);
    expect_refused(&m, VOX_ERR_WEIGHTS, "dilations[2]=-1");

    make_good(&m, 13); /* one number where a list belongs */
    m.graph.n_initializer = 1;
    pb_int(&m, pb_node(&m, "Constant", "", "b"), "value_ints", 3);
    Onnx__NodeProto *last = m.node[2];
    m.node[2] = m.node[1];
    m.node[1] = m.node[0];
    m.node[0] = last;
    expect_refused(&m, VOX_ERR_WEIGHTS, "attribute 'value_ints' has the wrong type");

    make_good(&m, 13);
    pb_string(&m, m.node[0], "auto_pad", "SAME_SIDEWAYS");
    expect_refused(&m, VOX_ERR_UNSUPPORTED, "auto_pad");
}

/* ---- External data ---- */

static void expect_external(const char *const *pairs, const char *phrase) {
    pb_file m;
    make_good(&m, 13);
    m.initializer[0]->n_float_data = 0;
    pb_external(&m, m.initializer[0], pairs);
    expect_refused(&m, VOX_ERR_WEIGHTS, phrase);
}

Test(model_onnx_bad, external_data) {
    static const char *const absolute[] = {"location", "/etc/hostname", NULL};
    static const char *const above[] = {"location", "../w.bin", NULL};
    static const char *const around[] = {"location", "sub/../../w.bin", NULL};
    static const char *const nothing[] = {"offset", "0", NULL};
    static const char *const missing[] = {"location", "missing.bin", NULL};
    static const char *const link_out[] = {"location", "link.bin", NULL};
    static const char *const no_file[] = {"location", "folder", NULL};
    static const char *const beyond[] = {"location", "w.bin", "offset", "4", NULL};
    static const char *const wrong[] = {"location", "w.bin", "length", "4", NULL};
    static const char *const no_number[] = {"location", "w.bin", "offset", "-4", NULL};
    static const char *const far[] = {"location", "w.bin", "offset", "9223372036854775807", NULL};
    static const float numbers[2] = {1, 2};
    write_file("w.bin", numbers, sizeof numbers);
    cr_assert_eq(symlink("/etc/passwd", in_folder("link.bin")), 0);
    cr_assert_eq(mkdir(in_folder("folder"), 0700), 0);
    expect_external(absolute, "leads out of");
    expect_external(above, "leads out of");
    expect_external(around, "leads out of");
    expect_external(nothing, "leads out of");
    expect_external(missing, "No such file");
    expect_external(link_out, "leads out of");
    expect_external(no_file, "not a file");
    expect_external(beyond, "8 bytes are needed there");
    expect_external(wrong, "length=4: its shape needs 8 bytes");
    expect_external(no_number, "offset=-4: not a number");
    expect_external(far, "8 bytes are needed there");
    rmdir(in_folder("folder"));
}

/* ---- Values in shapes that are not served ---- */

Test(model_onnx_bad, what_would_move_numbers) {
    static const int64_t turn[5] = {0, 1, 4, 3, 2};
    pb_file m;
    make_good(&m, 13); /* the axes are turned and stay so */
    m.node[1]->output[0] = pb_text(&m, "r");
    pb_list(&m, pb_node(&m, "Transpose", "r", "y"), "perm", 5, turn);
    expect_refused(&m, VOX_ERR_UNSUPPORTED, "in another order");

    make_good(&m, 13); /* and then pooled */
    m.node[1]->output[0] = pb_text(&m, "r");
    pb_list(&m, pb_node(&m, "Transpose", "r", "t"), "perm", 5, turn);
    pb_node(&m, "GlobalAveragePool", "t", "y");
    expect_refused(&m, VOX_ERR_UNSUPPORTED, "no (N, C, D, H, W)");
}

/* A constant that grows with every node is stopped before it fills the memory. */
Test(model_onnx_bad, constants_that_grow) {
    static const int64_t one = 1;
    static const float number = 1;
    pb_file m;
    make_good(&m, 13);
    m.graph.n_node = 1;
    pb_floats(&m, "k0", 1, &one, &number);
    for (int i = 0; i < 40; i++) {
        char from[64], to[32];
        snprintf(from, sizeof from, "k%d k%d", i, i);
        snprintf(to, sizeof to, "k%d", i + 1);
        pb_int(&m, pb_node(&m, "Concat", from, to), "axis", 0);
    }
    pb_node(&m, "Add", "c k40", "y");
    expect_refused(&m, VOX_ERR_UNSUPPORTED, "too large");
}
