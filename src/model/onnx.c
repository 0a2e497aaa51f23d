/* onnx.c - ONNX models: the file, parsed by protobuf-c in a bounded memory, and what can be said of
 * it before an input's shape is known.
 *
 * The format: https://onnx.ai/onnx/intro/concepts.html, the operators:
 * https://onnx.ai/onnx/operators/. The reader serves opsets 6 to 20 of the ai.onnx domain. */
#include "model/onnx.h"
#include "model/onnx_walk.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

vox_status onnx_fail(const onnx_model *m, const onnx_node *n, vox_error *err, vox_status status,
                     const char *format, ...) {
    char reason[512];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    const char *name = n->name && *n->name ? n->name : onnx_output_name(n, 0);
    return vox_fail(err, status, "%s: node '%.100s' (%.100s, opset %d): %s", m->owner->path, name,
                    n->op_type ? n->op_type : "", m->opset, reason);
}

/* ---- Memory ---- */

/* Two bytes of a file may ask for a message of a hundred; real files are numbers for the most part.
 * So the parser may hold what the worst of those need (a bool becomes 4 bytes, a small int64 8) and
 * some for the nodes. */
enum { MEMORY_PER_BYTE = 16, MEMORY_BASE = 16 << 20 };

static void *allocate(void *user, size_t bytes) {
    onnx_model *m = user;
    if ((int64_t)bytes > m->memory)
        return NULL;
    m->memory -= (int64_t)bytes;
    void *p = malloc(bytes);
    m->starved = m->starved || !p;
    return p;
}

static void release(void *user, void *p) {
    (void)user;
    free(p);
}

/* ---- The file ---- */

/* What protobuf itself allows. */
static const int64_t MOST_BYTES = INT32_MAX;

static vox_status parse(onnx_model *m, const unsigned char *data, int64_t bytes, vox_error *err) {
    const char *path = m->owner->path;
    if (bytes > MOST_BYTES)
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: %lld bytes: an ONNX file has at most %lld", path,
                        (long long)bytes, (long long)MOST_BYTES);
    m->memory = MEMORY_PER_BYTE * bytes + MEMORY_BASE;
    m->allocator = (ProtobufCAllocator){allocate, release, m};
    m->proto = onnx__model_proto__unpack(&m->allocator, (size_t)bytes, data);
    if (m->starved)
        return vox_fail(err, VOX_ERR_RESOURCE, "%s: out of memory", path);
    if (!m->proto)
        return vox_fail(err, VOX_ERR_WEIGHTS,
                        "%s: not an ONNX file, or a damaged one: its messages do not parse", path);
    return VOX_OK;
}

static bool default_domain(const char *domain) {
    return !domain || !*domain || strcmp(domain, "ai.onnx") == 0;
}

static vox_status find_opset(onnx_model *m, vox_error *err) {
    int64_t version = 1; /* files that name none are that old */
    for (size_t i = 0; i < m->proto->n_opset_import; i++)
        if (default_domain(m->proto->opset_import[i]->domain))
            version = m->proto->opset_import[i]->version;
    if (version < ONNX_OPSET_FIRST || version > ONNX_OPSET_LAST)
        return vox_fail(err, VOX_ERR_UNSUPPORTED, "%s: opset=%lld: opsets %d to %d are served",
                        m->owner->path, (long long)version, ONNX_OPSET_FIRST, ONNX_OPSET_LAST);
    m->opset = (int)version;
    return VOX_OK;
}

/* Names what is not served before anything runs. */
static vox_status check_operators(const onnx_model *m, vox_error *err) {
    const Onnx__GraphProto *g = m->proto->graph;
    for (size_t i = 0; i < g->n_node; i++) {
        const onnx_node *n = g->node[i];
        if (!m->needed[i])
            continue;
        if (!default_domain(n->domain))
            return onnx_fail(m, n, err, VOX_ERR_UNSUPPORTED,
                             "an operator of domain '%s': not served", n->domain);
        if (!onnx_operator_known(n->op_type))
            return onnx_fail(m, n, err, VOX_ERR_UNSUPPORTED, "this operator is not served");
    }
    return VOX_OK;
}

static void onnx_free(vox_model *model) {
    onnx_model *m = model->content;
    if (!m)
        return;
    if (m->proto)
        onnx__model_proto__free_unpacked(m->proto, &m->allocator);
    free(m->definition);
    free(m->needed);
    free(m);
}

static vox_status onnx_open(vox_model *model, const unsigned char *data, int64_t bytes,
                            const vox_model_options *o, vox_error *err) {
    if (o && o->axes_whd)
        return vox_fail(err, VOX_ERR_UNSUPPORTED, "%s: axes whd: served for TensorFlow.js models",
                        model->path);
    onnx_model *m = model->content = vox_alloc(1, sizeof *m, "model", err);
    if (!m)
        return VOX_ERR_RESOURCE;
    m->owner = model;
    vox_status status = parse(m, data, bytes, err);
    if (!status && !m->proto->graph)
        status = vox_fail(err, VOX_ERR_WEIGHTS, "%s: not an ONNX model: it has no graph",
                          m->owner->path);
    if (!status)
        status = find_opset(m, err);
    if (!status)
        status = onnx_choose_ends(m, o, err);
    if (!status)
        status = onnx_graph_check(m, err);
    if (!status)
        status = check_operators(m, err);
    if (status)
        return status;
    model->in_channels = m->in_shape[1];
    memcpy(model->in_size, m->in_shape + 2, sizeof model->in_size);
    model->vector = m->vector;
    return VOX_OK;
}

static vox_status onnx_build(const vox_model *model, const int64_t in[4], vox_network *n,
                             vox_error *err) {
    return onnx_walk_graph(model->content, in, n, err);
}

const vox_model_format vox_model_onnx = {
    .name = "ONNX",
    .has_names = true,
    .open = onnx_open,
    .build = onnx_build,
    .free = onnx_free,
};
