/* model.c - a model's format, found from its first bytes, and what all formats share. */
#include "model/model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void vox_model_free(vox_model *m) {
    if (!m)
        return;
    if (m->format)
        m->format->free(m);
    free(m->path);
    free(m);
}

/* The first bytes of the file, without white space. */
static vox_status read_head(const char *path, char head[64], size_t *count, vox_error *err) {
    FILE *f = fopen(path, "rbe");
    if (!f)
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: %s", path, strerror(errno));
    *count = fread(head, 1, 64, f);
    const bool failed = ferror(f);
    const int error = errno;
    fclose(f);
    if (failed)
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: %s", path, strerror(error));
    if (*count == 0)
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: an empty file", path);
    return VOX_OK;
}

/* JSON begins with a brace, ONNX (protobuf) with a field tag that no text has, and the rest is
 * text. */
static const vox_model_format *find_format(const char *head, size_t count) {
    size_t i = 0;
    while (i < count && (head[i] == ' ' || head[i] == '\t' || head[i] == '\r' || head[i] == '\n'))
        i++;
    if (i < count && head[i] == '{')
        return &vox_model_tfjs;
    for (; i < count; i++)
        if ((unsigned char)head[i] < ' ' && !strchr("\t\r\n", head[i]))
            return &vox_model_onnx;
    return &vox_model_text;
}

vox_model *vox_model_open(const char *path, const vox_model_options *o, vox_error *err) {
    char head[64];
    size_t count;
    if (read_head(path, head, &count, err))
        return NULL;
    vox_model *m = vox_alloc(1, sizeof *m, "model", err);
    if (!m)
        return NULL;
    m->path = vox_strdup(path, err);
    if (!m->path)
        goto fail;
    m->format = find_format(head, count);
    if (!m->format->open(m, o, err))
        return m;
fail:
    vox_model_free(m);
    return NULL;
}

int64_t vox_model_in_channels(const vox_model *m) {
    return m->in_channels;
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
