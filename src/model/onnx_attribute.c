/* onnx_attribute.c - a node's parameters: attributes, and the lists that newer opsets made inputs.
 */
#include "model/onnx_walk.h"

#include <string.h>

/* AttributeProto.type */
enum { TYPE_FLOAT = 1, TYPE_INT, TYPE_STRING, TYPE_TENSOR, TYPE_FLOATS = 6, TYPE_INTS };

/* The attribute, where it is of that type or (in old files) says no type and holds one. */
static const Onnx__AttributeProto *find(onnx_walk *w, const char *name, int type) {
    for (size_t i = 0; i < w->node->n_attribute; i++) {
        const Onnx__AttributeProto *a = w->node->attribute[i];
        if (!a->name || strcmp(a->name, name) != 0)
            continue;
        const bool holds = (type == TYPE_FLOAT && a->has_f) || (type == TYPE_INT && a->has_i) ||
                           (type == TYPE_STRING && a->has_s) || (type == TYPE_TENSOR && a->t) ||
                           type == TYPE_FLOATS || type == TYPE_INTS;
        if (holds && (!a->has_type || a->type == 0 || a->type == type))
            return a;
        w->bad_attribute = name;
    }
    return NULL;
}

int64_t onnx_int(onnx_walk *w, const char *name, int64_t otherwise) {
    const Onnx__AttributeProto *a = find(w, name, TYPE_INT);
    return a ? a->i : otherwise;
}

double onnx_float(onnx_walk *w, const char *name, double otherwise) {
    const Onnx__AttributeProto *a = find(w, name, TYPE_FLOAT);
    return a ? (double)a->f : otherwise;
}

bool onnx_string_is(onnx_walk *w, const char *name, const char *otherwise, const char *text) {
    const Onnx__AttributeProto *a = find(w, name, TYPE_STRING);
    if (!a)
        return strcmp(otherwise, text) == 0;
    return a->s.len == strlen(text) && (a->s.len == 0 || memcmp(a->s.data, text, a->s.len) == 0);
}

const Onnx__AttributeProto *onnx_ints(onnx_walk *w, const char *name) {
    return find(w, name, TYPE_INTS);
}

const Onnx__AttributeProto *onnx_floats(onnx_walk *w, const char *name) {
    return find(w, name, TYPE_FLOATS);
}

const Onnx__TensorProto *onnx_tensor(onnx_walk *w, const char *name) {
    const Onnx__AttributeProto *a = find(w, name, TYPE_TENSOR);
    return a ? a->t : NULL;
}

static vox_status list_of_input(onnx_walk *w, int i, int64_t list[ONNX_MOST_AXES], int *count,
                                vox_error *err) {
    const onnx_constant *c = onnx_given(w, i, err);
    if (!c)
        return err->status;
    if (!c->integer || c->rank > 1 || c->count > ONNX_MOST_AXES)
        return ONNX_BAD(w, err, "input %d: not a list of at most %d whole numbers", i,
                        ONNX_MOST_AXES);
    *count = (int)c->count;
    memcpy(list, c->i, (size_t)c->count * sizeof *list);
    return VOX_OK;
}

vox_status onnx_list(onnx_walk *w, const char *name, int i, int64_t list[ONNX_MOST_AXES],
                     int *count, vox_error *err) {
    const Onnx__AttributeProto *a = name ? onnx_ints(w, name) : NULL;
    *count = -1;
    if (!a)
        return i >= 0 && onnx_input(w, i) ? list_of_input(w, i, list, count, err) : VOX_OK;
    if (a->n_ints > ONNX_MOST_AXES)
        return ONNX_BAD(w, err, "%s: more than %d numbers", name, ONNX_MOST_AXES);
    *count = (int)a->n_ints;
    if (*count > 0)
        memcpy(list, a->ints, a->n_ints * sizeof *list);
    return VOX_OK;
}

vox_status onnx_axes(onnx_walk *w, int count, int64_t *axes, int rank, vox_error *err) {
    unsigned seen = 0;
    for (int i = 0; i < count; i++) {
        const int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
        if (axis < 0 || axis >= rank)
            return ONNX_BAD(w, err, "axis=%lld: its input has %d axes", (long long)axes[i], rank);
        if (seen >> axis & 1)
            return ONNX_BAD(w, err, "axis=%lld: named twice", (long long)axes[i]);
        seen |= 1U << axis;
        axes[i] = axis;
    }
    return VOX_OK;
}
