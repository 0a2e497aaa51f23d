/* onnx_make.c - see onnx_make.h. */
#include "onnx_make.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

void *pb_memory(pb_file *m, size_t bytes) {
    void *p = calloc(1, bytes ? bytes : 1);
    cr_assert(p && m->owned_count < 4096);
    m->owned[m->owned_count++] = p;
    return p;
}

char *pb_text(pb_file *m, const char *text) {
    return strcpy(pb_memory(m, strlen(text) + 1), text);
}

void pb_start(pb_file *m, int64_t opset) {
    memset(m, 0, sizeof *m);
    onnx__model_proto__init(&m->model);
    onnx__graph_proto__init(&m->graph);
    onnx__operator_set_id_proto__init(&m->opset);
    m->model.has_ir_version = true;
    m->model.ir_version = 8;
    m->model.graph = &m->graph;
    m->opset.has_version = true;
    m->opset.version = opset;
    m->opsets[0] = &m->opset;
    m->model.n_opset_import = 1;
    m->model.opset_import = m->opsets;
    m->graph.node = m->node;
    m->graph.initializer = m->initializer;
    m->graph.input = m->input;
    m->graph.output = m->output;
}

void pb_free(pb_file *m) {
    while (m->owned_count > 0)
        free(m->owned[--m->owned_count]);
}

static Onnx__ValueInfoProto *value_info(pb_file *m, const char *name, int rank,
                                        const int64_t *shape) {
    Onnx__ValueInfoProto *v = pb_memory(m, sizeof *v);
    Onnx__TypeProto *type = pb_memory(m, sizeof *type);
    Onnx__TensorTypeProto *tensor = pb_memory(m, sizeof *tensor);
    onnx__value_info_proto__init(v);
    onnx__type_proto__init(type);
    onnx__tensor_type_proto__init(tensor);
    v->name = pb_text(m, name);
    v->type = type;
    type->tensor_type = tensor;
    tensor->has_elem_type = true;
    tensor->elem_type = 1;
    if (rank < 0)
        return v;
    Onnx__TensorShapeProto *s = tensor->shape = pb_memory(m, sizeof *s);
    onnx__tensor_shape_proto__init(s);
    s->n_dim = (size_t)rank;
    s->dim = pb_memory(m, (size_t)rank * sizeof *s->dim);
    for (int i = 0; i < rank; i++) {
        Onnx__DimensionProto *d = s->dim[i] = pb_memory(m, sizeof *d);
        onnx__dimension_proto__init(d);
        d->has_dim_value = shape[i] >= 0;
        d->dim_value = shape[i];
    }
    return v;
}

void pb_input(pb_file *m, const char *name, int rank, const int64_t *shape) {
    m->input[m->graph.n_input++] = value_info(m, name, rank, shape);
}

void pb_output(pb_file *m, const char *name, int rank, const int64_t *shape) {
    m->output[m->graph.n_output++] = value_info(m, name, rank, shape);
}

static Onnx__TensorProto *tensor(pb_file *m, const char *name, int rank, const int64_t *shape,
                                 int type, int64_t *count) {
    Onnx__TensorProto *t = pb_memory(m, sizeof *t);
    onnx__tensor_proto__init(t);
    t->n_dims = (size_t)rank;
    t->dims = pb_memory(m, (size_t)rank * sizeof *t->dims);
    *count = 1;
    for (int i = 0; i < rank; i++) {
        t->dims[i] = shape[i];
        *count *= shape[i];
    }
    t->has_data_type = true;
    t->data_type = type;
    if (name) {
        t->name = pb_text(m, name);
        m->initializer[m->graph.n_initializer++] = t;
    }
    return t;
}

Onnx__TensorProto *pb_floats(pb_file *m, const char *name, int rank, const int64_t *shape,
                             const float *data) {
    int64_t count;
    Onnx__TensorProto *t = tensor(m, name, rank, shape, 1, &count);
    if (data) {
        t->n_float_data = (size_t)count;
        t->float_data = pb_memory(m, (size_t)count * sizeof *data);
        memcpy(t->float_data, data, (size_t)count * sizeof *data);
    }
    return t;
}

Onnx__TensorProto *pb_ints(pb_file *m, const char *name, int rank, const int64_t *shape,
                           const int64_t *data) {
    int64_t count;
    Onnx__TensorProto *t = tensor(m, name, rank, shape, 7, &count);
    if (data) {
        t->n_int64_data = (size_t)count;
        t->int64_data = pb_memory(m, (size_t)count * sizeof *data);
        memcpy(t->int64_data, data, (size_t)count * sizeof *data);
    }
    return t;
}

/* The words of a text; "-" becomes "". */
static char **words(pb_file *m, const char *text, size_t *count) {
    char **list = pb_memory(m, 16 * sizeof *list);
    *count = 0;
    for (char *w = strtok(pb_text(m, text), " "); w; w = strtok(NULL, " ")) {
        cr_assert_lt(*count, 16u);
        list[(*count)++] = pb_text(m, strcmp(w, "-") ? w : "");
    }
    return list;
}

Onnx__NodeProto *pb_node(pb_file *m, const char *type, const char *inputs, const char *outputs) {
    Onnx__NodeProto *n = pb_memory(m, sizeof *n);
    onnx__node_proto__init(n);
    n->op_type = pb_text(m, type);
    n->input = words(m, inputs, &n->n_input);
    n->output = words(m, outputs, &n->n_output);
    n->attribute = pb_memory(m, 16 * sizeof *n->attribute);
    m->node[m->graph.n_node++] = n;
    return n;
}

static Onnx__AttributeProto *attribute(pb_file *m, Onnx__NodeProto *n, const char *name, int type) {
    Onnx__AttributeProto *a = pb_memory(m, sizeof *a);
    onnx__attribute_proto__init(a);
    a->name = pb_text(m, name);
    a->has_type = true;
    a->type = type;
    n->attribute[n->n_attribute++] = a;
    return a;
}

void pb_int(pb_file *m, Onnx__NodeProto *n, const char *name, int64_t value) {
    Onnx__AttributeProto *a = attribute(m, n, name, 2);
    a->has_i = true;
    a->i = value;
}

void pb_float(pb_file *m, Onnx__NodeProto *n, const char *name, float value) {
    Onnx__AttributeProto *a = attribute(m, n, name, 1);
    a->has_f = true;
    a->f = value;
}

void pb_string(pb_file *m, Onnx__NodeProto *n, const char *name, const char *value) {
    Onnx__AttributeProto *a = attribute(m, n, name, 3);
    a->has_s = true;
    a->s.len = strlen(value);
    a->s.data = (uint8_t *)pb_text(m, value);
}

void pb_list(pb_file *m, Onnx__NodeProto *n, const char *name, int count, const int64_t *values) {
    Onnx__AttributeProto *a = attribute(m, n, name, 7);
    a->n_ints = (size_t)count;
    a->ints = pb_memory(m, (size_t)count * sizeof *values);
    memcpy(a->ints, values, (size_t)count * sizeof *values);
}

void pb_tensor(pb_file *m, Onnx__NodeProto *n, const char *name, Onnx__TensorProto *t) {
    attribute(m, n, name, 4)->t = t;
}

void pb_external(pb_file *m, Onnx__TensorProto *t, const char *const *pairs) {
    t->has_data_location = true;
    t->data_location = 1;
    t->external_data = pb_memory(m, 8 * sizeof *t->external_data);
    for (; *pairs; pairs += 2) {
        Onnx__StringStringEntryProto *e = pb_memory(m, sizeof *e);
        onnx__string_string_entry_proto__init(e);
        e->key = pb_text(m, pairs[0]);
        e->value = pb_text(m, pairs[1]);
        t->external_data[t->n_external_data++] = e;
    }
}

unsigned char *pb_bytes(pb_file *m, size_t *count) {
    *count = onnx__model_proto__get_packed_size(&m->model);
    unsigned char *bytes = pb_memory(m, *count);
    cr_assert_eq(onnx__model_proto__pack(&m->model, bytes), *count);
    return bytes;
}
