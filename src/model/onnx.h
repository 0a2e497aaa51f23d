/* onnx.h - what the parts of the ONNX reader share.
 *
 * A file is parsed and checked when it is opened (onnx.c, onnx_graph.c, onnx_tensor.c). Once the
 * input's shape is known, the nodes are walked in order (onnx_walk.c): what depends on constants
 * and shapes alone is computed at once (onnx_fold*.c), the rest becomes layers of a vox_network
 * (onnx_layers.c and its neighbours).
 */
#ifndef VOX_MODEL_ONNX_H
#define VOX_MODEL_ONNX_H

#include "layer/layer.h"
#include "model/model.h"

#include "onnx.pb-c.h"

typedef Onnx__NodeProto onnx_node;

/* ---- Constants ---- */

/* A tensor whose numbers are known. Floating-point numbers of all widths are float32, whole numbers
 * and truth values int64. */
typedef struct onnx_constant {
    int rank;
    int64_t shape[VOX_MAX_RANK], count;
    bool integer; /* the numbers are i; else f. The other one is NULL */
    float *f;
    int64_t *i;
} onnx_constant;

/* A constant of zeros; NULL with VOX_ERR_RESOURCE. */
onnx_constant *onnx_constant_new(bool integer, int rank, const int64_t *shape, vox_error *err);
void onnx_constant_free(onnx_constant *c);
static inline double onnx_number(const onnx_constant *c, int64_t at) {
    return c->integer ? (double)c->i[at] : (double)c->f[at];
}

/* The file's types (TensorProto.DataType) that the reader knows. */
enum {
    ONNX_FLOAT = 1,
    ONNX_UINT8,
    ONNX_INT8,
    ONNX_INT32 = 6,
    ONNX_INT64,
    ONNX_BOOL = 9,
    ONNX_FLOAT16,
    ONNX_DOUBLE,
    ONNX_BFLOAT16 = 16,
};
bool onnx_type_is_float(int type);

/* Checks a tensor of a model's file: type, extents, as many numbers as they ask for, external data
 * inside the file's folder. `what` names it in messages. */
vox_status onnx_tensor_check(const vox_model *m, const char *what, const Onnx__TensorProto *t,
                             vox_error *err);
/* Reads one; the caller frees it. */
onnx_constant *onnx_tensor_read(const vox_model *m, const char *what, const Onnx__TensorProto *t,
                                vox_error *err);

/* ---- The graph ---- */

/* Who makes a value: an initializer, a graph input (the default, if any, is its tensor) or a node.
 */
typedef struct onnx_definition {
    const char *name;
    const Onnx__TensorProto *tensor; /* initializers */
    int node;                        /* -1: none */
} onnx_definition;

enum { ONNX_OPSET_FIRST = 6, ONNX_OPSET_LAST = 20 };

typedef struct onnx_model {
    const vox_model *owner;
    Onnx__ModelProto *proto;
    ProtobufCAllocator allocator;
    int64_t memory; /* bytes that the parser may still ask for */
    bool starved;   /* it was refused some of those */
    int opset;
    onnx_definition *definition; /* [definition_count], by name */
    int definition_count;
    bool *needed;                       /* [nodes]: the output depends on it */
    const Onnx__ValueInfoProto *result; /* the graph's output that is wanted */
    int input, output;                  /* numbers of definitions */
    int64_t in_shape[5];                /* N, C, D, H, W; 0: any */
    bool vector;                        /* the output is said to have other axes than these */
} onnx_model;

/* What the options say by name (onnx_ends.c): finds `result`, and turns inputs that are given into
 * initializers. */
vox_status onnx_choose_ends(onnx_model *m, const vox_model_options *o, vox_error *err);
/* Fills everything behind `opset` but `result`, and checks names, order and what the needed nodes
 * ask for. */
vox_status onnx_graph_check(onnx_model *m, vox_error *err);
/* The number of a value's definition, or -1. */
int onnx_find(const onnx_model *m, const char *name);

/* ---- Nodes ---- */

/* "FILE: node 'NAME' (TYPE, opset N): ..." */
vox_status onnx_fail(const onnx_model *m, const onnx_node *n, vox_error *err, vox_status status,
                     const char *format, ...) __attribute__((format(printf, 5, 6)));
/* The name of input or output i; "" where there is none. */
const char *onnx_input_name(const onnx_node *n, int i);
const char *onnx_output_name(const onnx_node *n, int i);

#endif
