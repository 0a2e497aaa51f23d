/* onnx_make.h - ONNX files for tests, packed by protobuf-c from messages that a test puts together.
 */
#ifndef ONNX_MAKE_H
#define ONNX_MAKE_H

#include "onnx.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAKE_MOST = 64 };

/* A model and all that it points to; pb_free() frees it. */
typedef struct pb_file {
    Onnx__ModelProto model;
    Onnx__GraphProto graph;
    Onnx__OperatorSetIdProto opset;
    Onnx__OperatorSetIdProto *opsets[1];
    Onnx__NodeProto *node[MAKE_MOST];
    Onnx__TensorProto *initializer[MAKE_MOST];
    Onnx__ValueInfoProto *input[MAKE_MOST], *output[MAKE_MOST];
    void *owned[4096];
    int owned_count;
} pb_file;

/* A model without nodes, of that opset. */
void pb_start(pb_file *m, int64_t opset);
void pb_free(pb_file *m);

/* An input or output of float32; an extent of -1 is left open, rank -1 leaves out the shape. */
void pb_input(pb_file *m, const char *name, int rank, const int64_t *shape);
void pb_output(pb_file *m, const char *name, int rank, const int64_t *shape);
/* Tensors; data may be NULL for one without numbers. Initializers when `name` is given. */
Onnx__TensorProto *pb_floats(pb_file *m, const char *name, int rank, const int64_t *shape,
                             const float *data);
Onnx__TensorProto *pb_ints(pb_file *m, const char *name, int rank, const int64_t *shape,
                           const int64_t *data);
/* A node whose input and output names are separated by spaces; "-" is a missing one. */
Onnx__NodeProto *pb_node(pb_file *m, const char *type, const char *inputs, const char *outputs);
void pb_int(pb_file *m, Onnx__NodeProto *n, const char *name, int64_t value);
void pb_float(pb_file *m, Onnx__NodeProto *n, const char *name, float value);
void pb_string(pb_file *m, Onnx__NodeProto *n, const char *name, const char *value);
void pb_list(pb_file *m, Onnx__NodeProto *n, const char *name, int count, const int64_t *values);
void pb_tensor(pb_file *m, Onnx__NodeProto *n, const char *name, Onnx__TensorProto *t);
/* External data instead of numbers: key, value, key, value, ..., NULL. */
void pb_external(pb_file *m, Onnx__TensorProto *t, const char *const *pairs);

/* Memory that lives as long as the model; zeroed. */
void *pb_memory(pb_file *m, size_t bytes);
char *pb_text(pb_file *m, const char *text);
/* The file's bytes, the model's. */
unsigned char *pb_bytes(pb_file *m, size_t *count);

#endif
