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

vox_status vox_model_read_file(const char *path, unsigned char **data, int64_t *bytes,
                               vox_error *err) {
    vox_error local = {0};
    vox_source *s = vox_source_open(path, VOX_ERR_WEIGHTS, &local);
    int64_t room = s ? vox_max(vox_source_bytes(s), 1 << 16) + 1 : 0, got = 1;
    *data = s ? vox_alloc_uncleared(room, 1, path, &local) : NULL;
    *bytes = 0;
    while (*data && !local.status && got > 0) {
        if (*bytes == room) { /* gzip, or a file that grows */
            unsigned char *more = vox_alloc_uncleared(2 * room, 1, path, &local);
            if (!more)
                break;
            memcpy(more, *data, (size_t)room);
            free(*data);
            *data = more;
            room *= 2;
        }
        vox_source_read(s, *data + *bytes, room - *bytes, &got, &local);
        *bytes += local.status ? 0 : got;
    }
    vox_source_free(s);
    if (!local.status)
        return VOX_OK;
    free(*data);
    *data = NULL;
    return vox_fail(err, local.status, "%s", local.message);
}

/* The first bytes of the file. */
static vox_status read_head(const char *path, unsigned char head[64], int64_t *count,
                            vox_error *err) {
    vox_source *s = vox_source_open(path, VOX_ERR_WEIGHTS, err);
    const vox_status status = s ? vox_source_read(s, head, 64, count, err) : VOX_ERR_WEIGHTS;
    vox_source_free(s);
    return status;
}

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

vox_model *vox_model_open(const char *path, const vox_model_options *o, vox_error *err) {
    unsigned char head[64];
    int64_t count = 0;
    struct stat file;
    /* The beginning is read twice, and files are looked for beside it. */
    if (!strcmp(path, "-") ||
        (stat(path, &file) == 0 && !S_ISREG(file.st_mode) && !S_ISDIR(file.st_mode))) {
        vox_fail(err, VOX_ERR_WEIGHTS, "%s: not a regular file: a model cannot come from a pipe",
                 path);
        return NULL;
    }
    if (read_head(path, head, &count, err))
        return NULL;
    vox_model *m = vox_alloc(1, sizeof *m, "model", err);
    if (!m)
        return NULL;
    m->path = vox_strdup(path, err);
    if (!m->path)
        goto fail;
    m->format = find_format(head, count);
    if (!m->format)
        vox_fail(err, VOX_ERR_UNSUPPORTED,
                 "%s: neither an ONNX model, nor a TensorFlow.js model.json, nor a text network",
                 path);
    else if (!m->format->open(m, o, err))
        return m;
fail:
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
