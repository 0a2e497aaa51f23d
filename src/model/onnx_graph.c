/* onnx_graph.c - an ONNX graph's names: each is made once and before it is read, and the output is
 * reached from the one input. */
#include "model/onnx.h"

#include <stdlib.h>
#include <string.h>

static const char *text(const char *s) {
    return s ? s : "";
}

const char *onnx_input_name(const onnx_node *n, int i) {
    return i >= 0 && (size_t)i < n->n_input ? text(n->input[i]) : "";
}

const char *onnx_output_name(const onnx_node *n, int i) {
    return i >= 0 && (size_t)i < n->n_output ? text(n->output[i]) : "";
}

/* ---- Definitions ---- */

static int by_name(const void *a, const void *b) {
    const onnx_definition *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    /* A graph input behind its own default. */
    return order ? order : (x->tensor == NULL) - (y->tensor == NULL);
}

int onnx_find(const onnx_model *m, const char *name) {
    int from = 0, to = m->definition_count;
    while (from < to) {
        const int middle = from + (to - from) / 2;
        if (strcmp(m->definition[middle].name, name) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from < m->definition_count && strcmp(m->definition[from].name, name) == 0 ? from : -1;
}

static void define(onnx_model *m, const char *name, const Onnx__TensorProto *tensor, int node) {
    m->definition[m->definition_count++] =
        (onnx_definition){.name = text(name), .tensor = tensor, .node = node};
}

/* Everything that has a name, in any order. */
static vox_status list_definitions(onnx_model *m, vox_error *err) {
    const Onnx__GraphProto *g = m->proto->graph;
    size_t count = g->n_initializer + g->n_input;
    for (size_t i = 0; i < g->n_node; i++)
        count += g->node[i]->n_output;
    m->definition = vox_alloc((int64_t)count, sizeof *m->definition, "model", err);
    if (!m->definition)
        return VOX_ERR_RESOURCE;
    for (size_t i = 0; i < g->n_initializer; i++)
        define(m, g->initializer[i]->name, g->initializer[i], -1);
    for (size_t i = 0; i < g->n_input; i++)
        define(m, g->input[i]->name, NULL, -1);
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t k = 0; k < g->node[i]->n_output; k++)
            if (*onnx_output_name(g->node[i], (int)k)) /* "": an output that nobody wants */
                define(m, g->node[i]->output[k], NULL, (int)i);
    return VOX_OK;
}

/* Sorts them, and drops graph inputs that only repeat an initializer. */
static vox_status sort_definitions(onnx_model *m, vox_error *err) {
    int kept = 0;
    qsort(m->definition, (size_t)m->definition_count, sizeof *m->definition, by_name);
    for (int i = 0; i < m->definition_count; i++) {
        const onnx_definition *d = &m->definition[i];
        const onnx_definition *last = kept ? &m->definition[kept - 1] : NULL;
        if (!*d->name)
            return vox_fail(err, VOX_ERR_WEIGHTS, "%s: an input or initializer without a name",
                            m->owner->path);
        if (last && strcmp(last->name, d->name) == 0) {
            if (last->tensor && !d->tensor && d->node < 0)
                continue;
            return vox_fail(err, VOX_ERR_WEIGHTS, "%s: '%s': a name that is given twice",
                            m->owner->path, d->name);
        }
        m->definition[kept++] = *d;
    }
    m->definition_count = kept;
    return VOX_OK;
}

/* Nodes may read what came before them: that rules out cycles. */
static vox_status check_order(const onnx_model *m, vox_error *err) {
    const Onnx__GraphProto *g = m->proto->graph;
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t k = 0; k < g->node[i]->n_input; k++) {
            const char *name = onnx_input_name(g->node[i], (int)k);
            const int d = *name ? onnx_find(m, name) : 0;
            if (*name && d < 0)
                return onnx_fail(m, g->node[i], err, VOX_ERR_WEIGHTS,
                                 "its input '%s' is nowhere in the graph", name);
            if (*name && m->definition[d].node >= (int)i)
                return onnx_fail(m, g->node[i], err, VOX_ERR_WEIGHTS,
                                 "its input '%s' is made by it or behind it: the graph has a cycle "
                                 "or is out of order",
                                 name);
        }
    return VOX_OK;
}

/* ---- What the output needs ---- */

static void need(onnx_model *m, bool *wanted, const char *name) {
    const int d = *name ? onnx_find(m, name) : -1;
    if (d < 0)
        return;
    wanted[d] = true;
    if (m->definition[d].node >= 0)
        m->needed[m->definition[d].node] = true;
}

/* The one graph input that has no value, and that the output needs. */
static vox_status find_input(onnx_model *m, const bool *wanted, vox_error *err) {
    m->input = -1;
    for (int i = 0; i < m->definition_count; i++) {
        const onnx_definition *d = &m->definition[i];
        if (!wanted[i] || d->tensor || d->node >= 0)
            continue;
        if (m->input >= 0)
            return vox_fail(
                err, VOX_ERR_UNSUPPORTED,
                "%s: '%s' and '%s' are both inputs without a value: one is the volume, and "
                "--input gives a value to others",
                m->owner->path, m->definition[m->input].name, d->name);
        m->input = i;
    }
    if (m->input < 0)
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: its output depends on no input", m->owner->path);
    return VOX_OK;
}

static vox_status find_ends(onnx_model *m, vox_error *err) {
    const Onnx__GraphProto *g = m->proto->graph;
    const char *name = text(m->result->name);
    m->output = onnx_find(m, name);
    if (m->output < 0)
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: its output '%s' is nowhere in the graph",
                        m->owner->path, name);
    m->needed = vox_alloc((int64_t)g->n_node, sizeof *m->needed, "model", err);
    bool *wanted = vox_alloc(m->definition_count, sizeof *wanted, "model", err);
    if (!m->needed || !wanted) {
        free(wanted);
        return VOX_ERR_RESOURCE;
    }
    need(m, wanted, name);
    for (size_t i = g->n_node; i-- > 0;)
        for (size_t k = 0; m->needed[i] && k < g->node[i]->n_input; k++)
            need(m, wanted, onnx_input_name(g->node[i], (int)k));
    vox_status status = find_input(m, wanted, err);
    for (int i = 0; i < m->definition_count && !status; i++) {
        const onnx_definition *d = &m->definition[i];
        char what[256];
        snprintf(what, sizeof what, "initializer '%s'", d->name);
        if (wanted[i] && d->tensor)
            status = onnx_tensor_check(m->owner, what, d->tensor, err);
    }
    free(wanted);
    return status;
}

/* ---- The input's shape ---- */

static vox_status check_extent(onnx_model *m, int i, const Onnx__DimensionProto *d,
                               vox_error *err) {
    static const char *const axis[] = {"N", "C", "D", "H", "W"};
    if (!d->has_dim_value)
        return VOX_OK;
    if (d->dim_value < 0 || d->dim_value > INT32_MAX)
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: input '%s': %s=%lld: not a possible size",
                        m->owner->path, m->definition[m->input].name, axis[i],
                        (long long)d->dim_value);
    m->in_shape[i] = d->dim_value;
    return VOX_OK;
}

static vox_status read_input_shape(onnx_model *m, vox_error *err) {
    const Onnx__GraphProto *g = m->proto->graph;
    const char *name = m->definition[m->input].name;
    const Onnx__TensorTypeProto *type = NULL;
    for (size_t i = 0; i < g->n_input; i++)
        if (strcmp(text(g->input[i]->name), name) == 0 && g->input[i]->type)
            type = g->input[i]->type->tensor_type;
    if (!type)
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: input '%s': not a tensor", m->owner->path, name);
    if (!onnx_type_is_float(type->elem_type))
        return vox_fail(err, VOX_ERR_UNSUPPORTED,
                        "%s: input '%s': elem_type=%d: floating-point numbers are served",
                        m->owner->path, name, type->elem_type);
    if (!type->shape)
        return VOX_OK;
    if (type->shape->n_dim != 5)
        return vox_fail(err, VOX_ERR_UNSUPPORTED,
                        "%s: input '%s': %zu dimensions: networks over volumes have 5 (N, C, D, H, "
                        "W)",
                        m->owner->path, name, type->shape->n_dim);
    vox_status status = VOX_OK;
    for (int i = 0; i < 5 && !status; i++)
        status = check_extent(m, i, type->shape->dim[i], err);
    return status;
}

/* Whether the output is a vector. A shape that is left out is that of a volume. */
static void read_output_shape(onnx_model *m) {
    const Onnx__TypeProto *type = m->result->type;
    const Onnx__TensorTypeProto *tensor = type ? type->tensor_type : NULL;
    m->vector = tensor && tensor->shape && tensor->shape->n_dim != 5;
}

vox_status onnx_graph_check(onnx_model *m, vox_error *err) {
    vox_status status = list_definitions(m, err);
    if (!status)
        status = sort_definitions(m, err);
    if (!status)
        status = check_order(m, err);
    if (!status)
        status = find_ends(m, err);
    if (!status)
        status = read_input_shape(m, err);
    if (!status)
        read_output_shape(m);
    return status;
}
