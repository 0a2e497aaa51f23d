/* model.c - a model's format, found from its first bytes, and what all formats share. */
#include "model/model.h"

#include "stream/stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void vox_model_free(vox_model *m) {
    if (!m)
        return;
    if (m->format)
        m->format->free(m);
    free(m->path);
    free(m);
}

/* ---- Bytes ---- */

typedef struct content {
    unsigned char *data;
    int64_t bytes, room;
} content;

static vox_status grow(content *c, const vox_source *s, vox_error *err) {
    /* Of a plain file all at once, and one byte more, to see that it ends. */
    const int64_t room = vox_max(2 * c->room, c->room ? vox_source_bytes(s) + 1 : 1 << 16);
    unsigned char *more = vox_alloc_uncleared(room, 1, vox_source_path(s), err);
    if (!more)
        return VOX_ERR_RESOURCE;
    if (c->bytes > 0)
        memcpy(more, c->data, (size_t)c->bytes);
    free(c->data);
    c->data = more;
    c->room = room;
    return VOX_OK;
}

/* Reads on until there are `total` bytes or the source ends. */
static vox_status read_up_to(vox_source *s, int64_t total, content *c, vox_error *err) {
    int64_t got = 1;
    while (c->bytes < total && got > 0) {
        vox_status status = c->bytes == c->room ? grow(c, s, err) : VOX_OK;
        if (!status)
            status = vox_source_read(s, c->data + c->bytes, vox_min(c->room, total) - c->bytes,
                                     &got, err);
        if (status)
            return status;
        c->bytes += got;
    }
    return VOX_OK;
}

/* Weights hardly get smaller by compression, structure by a factor of 20. What gets 64 times as
 * large, and larger than a text can sensibly be, was made to fill the memory. */
enum { INFLATED_RATIO = 64, INFLATED_LEAST = 64 << 20 };

/* All that is left of the source. */
static vox_status read_rest(vox_source *s, content *c, vox_error *err) {
    struct stat file;
    int64_t most;
    if (!vox_source_is_gzip(s))
        return read_up_to(s, INT64_MAX, c, err);
    if (stat(vox_source_path(s), &file) || !vox_mul(file.st_size, INFLATED_RATIO, &most))
        most = 0;
    most = vox_max(most, INFLATED_LEAST);
    const vox_status status = read_up_to(s, most + 1, c, err);
    if (!status && c->bytes > most)
        return vox_fail(err, VOX_ERR_WEIGHTS,
                        "%s: inflates to more than %lld bytes, from %lld: no model is like that",
                        vox_source_path(s), (long long)most, (long long)file.st_size);
    return status;
}

vox_status vox_model_read_file(const char *path, unsigned char **data, int64_t *bytes,
                               vox_error *err) {
    vox_error local = {0};
    content c = {NULL, 0, 0};
    vox_source *s = vox_source_open(path, VOX_ERR_WEIGHTS, &local);
    if (s)
        read_rest(s, &c, &local);
    vox_source_free(s);
    if (local.status) {
        free(c.data);
        return vox_fail(err, local.status, "%s", local.message);
    }
    *data = c.data;
    *bytes = c.bytes;
    return VOX_OK;
}

/* ---- The format ---- */

enum { HEAD_BYTES = 64 };

/* ONNX begins with the tag of its first field, the version, which no text has; JSON with a brace,
 * and the rest is text. */
static const vox_model_format *find_format(const unsigned char *head, int64_t count) {
    int64_t i = 0;
    if (count > 0 && head[0] == 1 << 3)
        return &vox_model_onnx;
    while (i < count && (head[i] == ' ' || head[i] == '\t' || head[i] == '\r' || head[i] == '\n'))
        i++;
    if (i < count && head[i] == '{')
        return &vox_model_tfjs;
    for (; i < count; i++)
        if (head[i] < ' ' && !strchr("\t\r\n", head[i]))
            return NULL;
    return &vox_model_text;
}

/* From the first bytes, before the rest is read. */
static vox_status choose_format(vox_model *m, vox_source *s, content *c, const vox_model_options *o,
                                vox_error *err) {
    const vox_status status = read_up_to(s, HEAD_BYTES, c, err);
    if (status)
        return status;
    m->format = find_format(c->data, c->bytes);
    if (!m->format)
        return vox_fail(
            err, VOX_ERR_UNSUPPORTED,
            "%s: neither an ONNX model, nor a TensorFlow.js model.json, nor a text network",
            m->path);
    if (o && (o->output_name || o->input_count > 0) && !m->format->has_names)
        return vox_fail(err, VOX_ERR_USAGE,
                        "%s: a %s model: inputs and outputs can be told by name for ONNX models",
                        m->path, m->format->name);
    return VOX_OK;
}

vox_model *vox_model_open(const char *path, const vox_model_options *o, vox_error *err) {
    struct stat file;
    vox_error local = {0};
    content c = {NULL, 0, 0};
    /* Files are looked for beside it. */
    if (!strcmp(path, "-") ||
        (stat(path, &file) == 0 && !S_ISREG(file.st_mode) && !S_ISDIR(file.st_mode))) {
        vox_fail(err, VOX_ERR_WEIGHTS, "%s: not a regular file: a model cannot come from a pipe",
                 path);
        return NULL;
    }
    vox_source *s = vox_source_open(path, VOX_ERR_WEIGHTS, &local);
    vox_model *m = s ? vox_alloc(1, sizeof *m, "model", &local) : NULL;
    if (m && (m->path = vox_strdup(path, &local)) && !choose_format(m, s, &c, o, &local) &&
        !read_rest(s, &c, &local))
        m->format->open(m, c.data, c.bytes, o, &local);
    vox_source_free(s);
    free(c.data);
    if (!local.status)
        return m;
    vox_fail(err, local.status, "%s", local.message);
    vox_model_free(m);
    return NULL;
}

int64_t vox_model_in_channels(const vox_model *m) {
    return m->in_channels;
}

void vox_model_in_size(const vox_model *m, int64_t size[3]) {
    memcpy(size, m->in_size, sizeof m->in_size);
}

bool vox_model_gives_vector(const vox_model *m) {
    return m->vector;
}

vox_network *vox_model_network(const vox_model *m, const int64_t in[4], vox_error *err) {
    vox_network *n = vox_network_new(err);
    if (n && m->format->build(m, in, n, err)) {
        vox_network_free(n);
        return NULL;
    }
    return n;
}

vox_status vox_model_name_layers(vox_network *n, int from, const char *name, vox_error *err) {
    vox_status status = VOX_OK;
    for (int i = from; i < vox_network_layer_count(n) && !status; i++)
        status = vox_network_name(n, i + 1, name, err);
    return status;
}

/* Whether a relative path stays below where it starts: no root, no "..". */
static bool stays_inside(const char *name) {
    for (const char *part = name; *part; part += strspn(part, "/")) {
        const size_t length = strcspn(part, "/");
        if (length == 0 || (length == 2 && !strncmp(part, "..", 2)))
            return false;
        part += length;
    }
    return *name;
}

char *vox_model_sibling(const vox_model *m, const char *name, vox_error *err) {
    const char *slash = strrchr(m->path, '/');
    const int folder = slash ? (int)(slash + 1 - m->path) : 0;
    if (!stays_inside(name)) {
        vox_fail(err, VOX_ERR_WEIGHTS, "%s: path=%.200s: leads out of the model's folder", m->path,
                 name);
        return NULL;
    }
    const int64_t bytes = folder + (int64_t)strlen(name) + 1;
    char *path = vox_alloc(bytes, 1, "path", err);
    if (path)
        snprintf(path, (size_t)bytes, "%.*s%s", folder, m->path, name);
    return path;
}
