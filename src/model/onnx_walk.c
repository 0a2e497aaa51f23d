/* onnx_walk.c - walks the nodes in order: folds what is constant, and has the operators make layers
 * of the rest. */
#include "model/onnx_walk.h"

#include <stdlib.h>
#include <string.h>

/* ---- The operators ---- */

/* What is done where all inputs are constants, and where one is not. NULL: not served. */
typedef struct onnx_row {
    const char *type;
    onnx_operation *fold, *map;
} onnx_row;

static const onnx_row rows[] = {
    {"Abs", onnx_fold_unary, onnx_map_activation},
    {"Add", onnx_fold_binary, onnx_map_binary},
    {"And", onnx_fold_binary, NULL},
    {"ArgMax", NULL, onnx_map_arg_max},
    {"AveragePool", NULL, onnx_map_pool},
    {"BatchNormalization", NULL, onnx_map_batch_norm},
    {"Cast", onnx_fold_cast, onnx_map_cast},
    {"Ceil", onnx_fold_unary, NULL},
    {"Celu", NULL, onnx_map_celu},
    {"Clip", NULL, onnx_map_clip},
    {"Concat", onnx_fold_concat, onnx_map_concat},
    {"Constant", onnx_fold_constant, NULL},
    {"ConstantOfShape", onnx_fold_constant_of_shape, NULL},
    {"Conv", NULL, onnx_map_conv},
    {"ConvTranspose", NULL, onnx_map_conv_transpose},
    {"Div", onnx_fold_binary, onnx_map_binary},
    {"Dropout", onnx_fold_identity, onnx_map_identity},
    {"Elu", NULL, onnx_map_activation},
    {"Equal", onnx_fold_binary, NULL},
    {"Erf", NULL, onnx_map_activation},
    {"Exp", onnx_fold_unary, onnx_map_activation},
    {"Expand", onnx_fold_expand, onnx_map_expand},
    {"Flatten", onnx_fold_reshape, onnx_map_reshape},
    {"Floor", onnx_fold_unary, NULL},
    {"Gather", onnx_fold_gather, onnx_map_gather},
    {"Gelu", NULL, onnx_map_gelu},
    {"Gemm", NULL, onnx_map_gemm},
    {"GlobalAveragePool", NULL, onnx_map_global_pool},
    {"GlobalMaxPool", NULL, onnx_map_global_pool},
    {"Greater", onnx_fold_binary, NULL},
    {"GroupNormalization", NULL, onnx_map_group_norm},
    {"HardSigmoid", NULL, onnx_map_activation},
    {"HardSwish", NULL, onnx_map_activation},
    {"Identity", onnx_fold_identity, onnx_map_identity},
    {"InstanceNormalization", NULL, onnx_map_instance_norm},
    {"LayerNormalization", NULL, onnx_map_layer_norm},
    {"LeakyRelu", NULL, onnx_map_activation},
    {"Less", onnx_fold_binary, NULL},
    {"Log", onnx_fold_unary, onnx_map_activation},
    {"LogSoftmax", NULL, onnx_map_softmax},
    {"MatMul", NULL, onnx_map_matmul},
    {"Max", onnx_fold_binary, onnx_map_limit},
    {"MaxPool", NULL, onnx_map_pool},
    {"Min", onnx_fold_binary, onnx_map_limit},
    {"Mish", NULL, onnx_map_activation},
    {"Mod", onnx_fold_binary, NULL},
    {"Mul", onnx_fold_binary, onnx_map_binary},
    {"Neg", onnx_fold_unary, onnx_map_activation},
    {"Not", onnx_fold_unary, NULL},
    {"Or", onnx_fold_binary, NULL},
    {"PRelu", NULL, onnx_map_prelu},
    {"Pad", NULL, onnx_map_pad},
    {"Pow", onnx_fold_binary, onnx_map_pow},
    {"Range", onnx_fold_range, NULL},
    {"Reciprocal", onnx_fold_unary, onnx_map_activation},
    {"ReduceMax", onnx_fold_reduce, onnx_map_reduce},
    {"ReduceMean", onnx_fold_reduce, onnx_map_reduce},
    {"ReduceMin", onnx_fold_reduce, NULL},
    {"ReduceProd", onnx_fold_reduce, NULL},
    {"ReduceSum", onnx_fold_reduce, onnx_map_reduce},
    {"Relu", onnx_fold_unary, onnx_map_activation},
    {"Reshape", onnx_fold_reshape, onnx_map_reshape},
    {"Resize", NULL, onnx_map_resize},
    {"Round", onnx_fold_unary, NULL},
    {"Selu", NULL, onnx_map_activation},
    {"Shape", onnx_fold_shape, onnx_map_shape},
    {"Sigmoid", NULL, onnx_map_activation},
    {"Size", onnx_fold_size, onnx_map_size},
    {"Slice", onnx_fold_slice, onnx_map_slice},
    {"Softmax", NULL, onnx_map_softmax},
    {"Softplus", NULL, onnx_map_activation},
    {"Softsign", NULL, onnx_map_activation},
    {"Split", onnx_fold_split, onnx_map_split},
    {"Sqrt", onnx_fold_unary, onnx_map_activation},
    {"Squeeze", onnx_fold_reshape, onnx_map_reshape},
    {"Sub", onnx_fold_binary, onnx_map_binary},
    {"Sum", onnx_fold_binary, onnx_map_sum},
    {"Tanh", NULL, onnx_map_activation},
    {"Transpose", onnx_fold_transpose, onnx_map_transpose},
    {"Unsqueeze", onnx_fold_reshape, onnx_map_reshape},
    {"Upsample", NULL, onnx_map_resize},
    {"Where", onnx_fold_where, NULL},
};

static const onnx_row *find_row(const char *type) {
    for (size_t i = 0; type && i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].type, type) == 0)
            return &rows[i];
    return NULL;
}

bool onnx_operator_known(const char *type) {
    return find_row(type) != NULL;
}

/* ---- Values ---- */

static void forget(onnx_value *v) {
    onnx_constant_free(v->constant);
    v->constant = NULL;
}

/* How many numbers folding may make: shape arithmetic is small, and what is made of weights that
 * are really there is about as large as they are. */
enum { FOLD_SMALL = 1 << 22, FOLD_PER_WEIGHT = 4 };

/* An initializer is converted when the first node that reads it is reached. */
static vox_status load(onnx_walk *w, int d, vox_error *err) {
    const onnx_definition *def = &w->m->definition[d];
    onnx_value *v = &w->value[d];
    char what[256];
    if (v->known || !def->tensor)
        return VOX_OK;
    snprintf(what, sizeof what, "initializer '%s'", def->name);
    v->constant = onnx_tensor_read(w->m->owner, what, def->tensor, err);
    v->known = v->constant != NULL;
    if (v->known)
        w->fold += FOLD_PER_WEIGHT * v->constant->count;
    return v->known ? VOX_OK : err->status;
}

/* How often each value is read, so that a constant is kept no longer than it is needed. */
static void count_reads(onnx_walk *w) {
    const Onnx__GraphProto *g = w->m->proto->graph;
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t k = 0; w->m->needed[i] && k < g->node[i]->n_input; k++) {
            const int d = onnx_find(w->m, onnx_input_name(g->node[i], (int)k));
            if (d >= 0)
                w->value[d].reads++;
        }
}

static vox_status walk_node(onnx_walk *w, vox_error *err) {
    const onnx_node *n = w->node;
    const onnx_row *row = find_row(n->op_type);
    bool constant = true;
    for (size_t k = 0; k < n->n_input; k++) {
        const char *name = onnx_input_name(n, (int)k);
        const int d = *name ? onnx_find(w->m, name) : -1;
        if (d < 0)
            continue;
        vox_status status = load(w, d, err);
        if (status)
            return status;
        if (!w->value[d].known)
            return ONNX_REFUSE(w, err, "its input '%s' is an output that is not served", name);
        constant = constant && w->value[d].constant;
    }
    onnx_operation *operation = constant ? row->fold : row->map;
    w->bad_attribute = NULL;
    if (!operation)
        return ONNX_REFUSE(w, err,
                           constant ? "not served for inputs that are all constants"
                                    : "served for constants only");
    vox_status status = operation(w, err);
    if (w->bad_attribute)
        return ONNX_BAD(w, err, "its attribute '%s' has the wrong type", w->bad_attribute);
    for (size_t k = 0; k < n->n_input; k++) {
        const int d = onnx_find(w->m, onnx_input_name(n, (int)k));
        if (d >= 0 && --w->value[d].reads == 0 && d != w->m->output)
            forget(&w->value[d]);
    }
    return status;
}

/* ---- The graph ---- */

/* Everything that is done with shapes fits: N*C*D*H*W can be counted. */
static vox_status check_volume(const onnx_walk *w, const int64_t volume[4], vox_error *err) {
    int64_t count;
    if (vox_product(volume, 4, &count) && vox_mul(count, w->batch, &count))
        return VOX_OK;
    return vox_fail(err, VOX_ERR_UNSUPPORTED, "%s: a value of %lldx%lldx%lldx%lld: too large",
                    w->m->owner->path, (long long)volume[0], (long long)volume[1],
                    (long long)volume[2], (long long)volume[3]);
}

static vox_status start(onnx_walk *w, const int64_t in[4], vox_error *err) {
    const onnx_model *m = w->m;
    onnx_value *input = &w->value[m->input];
    if (m->in_shape[1] > 0 && m->in_shape[1] != in[0])
        return vox_fail(err, VOX_ERR_USAGE, "%s: input '%s' has %lld channels, the volume has %lld",
                        m->owner->path, m->definition[m->input].name, (long long)m->in_shape[1],
                        (long long)in[0]);
    for (int i = 0; i < 4; i++)
        if (in[i] < 1)
            return vox_fail(err, VOX_ERR_USAGE, "%s: an empty input volume", m->owner->path);
    w->batch = vox_max(m->in_shape[0], 1);
    vox_status status = check_volume(w, in, err);
    if (status)
        return status;
    input->known = true;
    input->number = vox_network_value(w->network);
    memcpy(input->volume, in, sizeof input->volume);
    onnx_view_volume(w, input);
    w->volume_room = input->number + 1;
    w->volume = vox_alloc(w->volume_room, sizeof *w->volume, "model", err);
    if (!w->volume)
        return VOX_ERR_RESOURCE;
    memcpy(w->volume[input->number], in, sizeof *w->volume);
    w->fold = FOLD_SMALL;
    return VOX_OK;
}

static vox_status finish(onnx_walk *w, vox_error *err) {
    const onnx_model *m = w->m;
    const onnx_value *v = &w->value[m->output];
    const char *name = m->definition[m->output].name;
    char text[VOX_MAX_RANK * 22 + 4];
    if (!v->known || v->constant)
        return vox_fail(err, VOX_ERR_UNSUPPORTED,
                        "%s: output '%s': it does not depend on the input", m->owner->path, name);
    const bool vector = !onnx_is_volume(w, v);
    if (vector && (v->view.rank == 5 || !onnx_view_is_dense(&v->view)))
        return vox_fail(err, VOX_ERR_UNSUPPORTED,
                        "%s: output '%s': its numbers are in another order than (N, C, D, H, W): "
                        "shape %s",
                        m->owner->path, name, onnx_view_text(&v->view, text));
    if (vector != m->vector)
        return vox_fail(err, VOX_ERR_WEIGHTS,
                        "%s: output '%s': its shape is %s, and not as it says", m->owner->path,
                        name, onnx_view_text(&v->view, text));
    onnx_select(w, v);
    return VOX_OK;
}

vox_status onnx_walk_graph(const onnx_model *m, const int64_t in[4], vox_network *n,
                           vox_error *err) {
    const Onnx__GraphProto *g = m->proto->graph;
    onnx_walk w = {.m = m, .network = n};
    vox_error local = {VOX_OK, ""}; /* err may be NULL, and load() reads it */
    w.value = vox_alloc(m->definition_count, sizeof *w.value, "model", &local);
    vox_status status = w.value ? start(&w, in, &local) : VOX_ERR_RESOURCE;
    if (!status)
        count_reads(&w);
    for (size_t i = 0; i < g->n_node && !status; i++) {
        w.node = g->node[i];
        if (m->needed[i])
            status = walk_node(&w, &local);
    }
    if (!status)
        status = finish(&w, &local);
    for (int i = 0; w.value && i < m->definition_count; i++)
        forget(&w.value[i]);
    free(w.value);
    free(w.volume);
    return status ? vox_fail(err, local.status, "%s", local.message) : VOX_OK;
}

/* ---- What operators ask ---- */

const onnx_value *onnx_input(const onnx_walk *w, int i) {
    const char *name = onnx_input_name(w->node, i);
    const int d = *name ? onnx_find(w->m, name) : -1;
    return d < 0 ? NULL : &w->value[d];
}

const onnx_constant *onnx_constant_input(const onnx_walk *w, int i) {
    const onnx_value *v = onnx_input(w, i);
    return v ? v->constant : NULL;
}

const onnx_value *onnx_data(onnx_walk *w, int i, vox_error *err) {
    const onnx_value *v = onnx_input(w, i);
    if (!v)
        ONNX_BAD(w, err, "input %d is missing", i);
    else if (v->constant)
        ONNX_REFUSE(w, err, "input %d is a constant: not served", i);
    return v && !v->constant ? v : NULL;
}

const onnx_constant *onnx_given(onnx_walk *w, int i, vox_error *err) {
    const onnx_value *v = onnx_input(w, i);
    if (!v)
        ONNX_BAD(w, err, "input %d is missing", i);
    else if (!v->constant)
        ONNX_REFUSE(w, err, "input %d depends on the network's input: only constants are served",
                    i);
    return v ? v->constant : NULL;
}

void onnx_give(onnx_walk *w, int i, const onnx_value *value) {
    const char *name = onnx_output_name(w->node, i);
    const int d = *name ? onnx_find(w->m, name) : -1;
    if (d < 0)
        return;
    const int reads = w->value[d].reads;
    w->value[d] = *value;
    w->value[d].reads = reads;
    w->value[d].known = true;
}

vox_status onnx_give_constant(onnx_walk *w, int i, onnx_constant *c) {
    if (!c)
        return VOX_ERR_RESOURCE;
    const int d = onnx_find(w->m, onnx_output_name(w->node, i));
    if (d < 0 || !*onnx_output_name(w->node, i))
        onnx_constant_free(c);
    else
        onnx_give(w, i, &(onnx_value){.constant = c});
    return VOX_OK;
}

int onnx_output_count(const onnx_walk *w) {
    return (int)w->node->n_output;
}

vox_status onnx_fold_room(onnx_walk *w, int64_t count, vox_error *err) {
    if (count > w->fold)
        return ONNX_REFUSE(w, err, "a constant of %lld numbers: too large", (long long)count);
    w->fold -= count;
    return VOX_OK;
}

/* ---- Layers ---- */

void onnx_select(onnx_walk *w, const onnx_value *v) {
    vox_network_select(w->network, v->number, NULL);
}

/* The shape of the network's newest value. */
static vox_status newest_volume(onnx_walk *w, int64_t out[4], vox_error *err) {
    const vox_layer *l = w->network->layer[w->network->count - 1];
    vox_axis axis[3];
    int64_t *in = vox_alloc(l->input_count, 4 * sizeof *in, "model", err);
    if (!in)
        return VOX_ERR_RESOURCE;
    for (int k = 0; k < l->input_count; k++)
        memcpy(in + (ptrdiff_t)4 * k, w->volume[l->input[k]], 4 * sizeof *in);
    vox_status status = l->class->shape(l, in, out, axis, &w->why);
    free(in);
    if (status)
        return onnx_fail(w->m, w->node, err, status, "%s", w->why.message);
    return check_volume(w, out, err);
}

vox_status onnx_added(onnx_walk *w, vox_status status, onnx_value *out, vox_error *err) {
    if (status)
        return onnx_fail(w->m, w->node, err, status, "%s", w->why.message);
    *out = (onnx_value){.number = vox_network_value(w->network)};
    const char *name = w->node->name; /* need not be there */
    if (name && *name && vox_network_name(w->network, out->number, name, err))
        return VOX_ERR_RESOURCE;
    if (out->number >= w->volume_room) {
        const int room = 2 * out->number + 8;
        int64_t(*volume)[4] = vox_alloc(room, sizeof *volume, "model", err);
        if (!volume)
            return VOX_ERR_RESOURCE;
        memcpy(volume, w->volume, (size_t)w->volume_room * sizeof *volume);
        free(w->volume);
        w->volume = volume;
        w->volume_room = room;
    }
    status = newest_volume(w, out->volume, err);
    if (status)
        return status;
    memcpy(w->volume[out->number], out->volume, sizeof out->volume);
    onnx_view_volume(w, out);
    return VOX_OK;
}
