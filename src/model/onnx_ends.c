/* onnx_ends.c - inputs and outputs of an ONNX graph that the caller tells by name: which output is
 * wanted, and inputs beside the volume, which become initializers. */
#include "model/onnx.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_TEXT = 400 };

static const char *name_of(const Onnx__ValueInfoProto *v) {
    return v->name ? v->name : "";
}

static const Onnx__ValueInfoProto *find(Onnx__ValueInfoProto *const *list, size_t count,
                                        const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(name_of(list[i]), name) == 0)
            return list[i];
    return NULL;
}

/* "a, b, c" for messages, cut short where there are many. */
static const char *names_text(Onnx__ValueInfoProto *const *list, size_t count,
                              char text[NAMES_TEXT]) {
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < count; i++) {
        if (used + strlen(name_of(list[i])) + 8 > NAMES_TEXT) {
            snprintf(text + used, NAMES_TEXT - used, ", ...");
            break;
        }
        used += (size_t)snprintf(text + used, NAMES_TEXT - used, "%s%s", i ? ", " : "",
                                 name_of(list[i]));
    }
    return text;
}

static vox_status choose_output(onnx_model *m, const char *name, vox_error *err) {
    const Onnx__GraphProto *g = m->proto->graph;
    char names[NAMES_TEXT];
    if (g->n_output == 0)
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: 0 outputs: there is nothing to compute",
                        m->owner->path);
    if (!name) {
        m->result = g->output[0];
        return VOX_OK;
    }
    m->result = find(g->output, g->n_output, name);
    if (!m->result)
        return vox_fail(err, VOX_ERR_USAGE, "%s: '%.100s': no output of that name; it has %s",
                        m->owner->path, name, names_text(g->output, g->n_output, names));
    return VOX_OK;
}

/* ---- Inputs ---- */

/* Whether the shape is the one that the model says, as far as it says one. */
static bool fits(const Onnx__TensorTypeProto *type, const vox_tensor *value) {
    const Onnx__TensorShapeProto *shape = type ? type->shape : NULL;
    if (!shape)
        return true;
    bool same = shape->n_dim == (size_t)value->rank;
    for (int i = 0; same && i < value->rank; i++)
        same = !shape->dim[i]->has_dim_value || shape->dim[i]->dim_value == value->shape[i];
    return same;
}

/* float32 has no more whole numbers behind 2^63, which stands for "to the end". */
static bool copy_whole(const vox_tensor *value, int64_t *to) {
    for (int64_t i = 0; i < value->count; i++) {
        const float v = value->data[i];
        if (!(v >= -0x1p63F) || v != floorf(v))
            return false;
        to[i] = v < 0x1p63F ? (int64_t)v : INT64_MAX;
    }
    return true;
}

/* A tensor as a model's file would have it, in memory that the parser's message can own. */
static Onnx__TensorProto *make_initializer(const onnx_model *m, const char *name, bool whole,
                                           const vox_tensor *value, vox_error *err) {
    Onnx__TensorProto *t = vox_alloc(1, sizeof *t, "input", err);
    if (!t)
        return NULL;
    onnx__tensor_proto__init(t);
    t->has_data_type = true;
    t->data_type = whole ? ONNX_INT64 : ONNX_FLOAT;
    t->name = vox_strdup(name, err);
    t->dims = vox_alloc(value->rank, sizeof *t->dims, "input", err);
    if (whole)
        t->int64_data = vox_alloc(value->count, sizeof *t->int64_data, "input", err);
    else
        t->float_data = vox_alloc(value->count, sizeof *t->float_data, "input", err);
    if (!t->name || !t->dims || !(whole ? (void *)t->int64_data : t->float_data))
        goto fail;
    t->n_dims = (size_t)value->rank;
    memcpy(t->dims, value->shape, t->n_dims * sizeof *t->dims);
    *(whole ? &t->n_int64_data : &t->n_float_data) = (size_t)value->count;
    if (!whole)
        memcpy(t->float_data, value->data, (size_t)value->count * sizeof(float));
    else if (!copy_whole(value, t->int64_data)) {
        vox_fail(err, VOX_ERR_WEIGHTS, "%s: input '%s': not whole numbers, which the model takes",
                 m->owner->path, name);
        goto fail;
    }
    return t;
fail:
    onnx__tensor_proto__free_unpacked(t, NULL);
    return NULL;
}

/* In place of the initializer that is the input's default, or as one more. */
static vox_status put_initializer(onnx_model *m, Onnx__TensorProto *t, vox_error *err) {
    Onnx__GraphProto *g = m->proto->graph;
    for (size_t i = 0; i < g->n_initializer; i++)
        if (g->initializer[i]->name && strcmp(g->initializer[i]->name, t->name) == 0) {
            onnx__tensor_proto__free_unpacked(g->initializer[i], &m->allocator);
            g->initializer[i] = t;
            return VOX_OK;
        }
    Onnx__TensorProto **list =
        vox_alloc((int64_t)g->n_initializer + 1, sizeof(Onnx__TensorProto *), "inputs", err);
    if (!list) {
        onnx__tensor_proto__free_unpacked(t, NULL);
        return VOX_ERR_RESOURCE;
    }
    for (size_t i = 0; i < g->n_initializer; i++)
        list[i] = g->initializer[i];
    free(g->initializer);
    g->initializer = list;
    list[g->n_initializer++] = t;
    return VOX_OK;
}

static vox_status give(onnx_model *m, const vox_model_options *o, int i, vox_error *err) {
    const Onnx__GraphProto *g = m->proto->graph;
    const char *name = o->input_name[i], *path = m->owner->path;
    const Onnx__ValueInfoProto *input = find(g->input, g->n_input, name);
    char text[NAMES_TEXT];
    if (!input)
        return vox_fail(err, VOX_ERR_USAGE, "%s: '%.100s': no input of that name; it has %s", path,
                        name, names_text(g->input, g->n_input, text));
    for (int k = 0; k < i; k++)
        if (strcmp(o->input_name[k], name) == 0)
            return vox_fail(err, VOX_ERR_USAGE, "%s: input '%.100s' is given twice", path, name);
    const Onnx__TensorTypeProto *type = input->type ? input->type->tensor_type : NULL;
    const vox_tensor *value = o->input_value[i];
    if (!fits(type, value))
        return vox_fail(err, VOX_ERR_WEIGHTS,
                        "%s: input '%.100s': shape=%s: the model says another one", path, name,
                        vox_shape_text(value->rank, value->shape, text));
    Onnx__TensorProto *t =
        make_initializer(m, name, type && !onnx_type_is_float(type->elem_type), value, err);
    return t ? put_initializer(m, t, err) : err->status;
}

vox_status onnx_choose_ends(onnx_model *m, const vox_model_options *o, vox_error *err) {
    vox_status status = choose_output(m, o ? o->output_name : NULL, err);
    for (int i = 0; o && i < o->input_count && !status; i++)
        status = give(m, o, i, err);
    return status;
}
