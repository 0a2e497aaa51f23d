/* onnx_tensor.c - the tensors of an ONNX file: stored in one of several ways, or in a file beside
 * it.
 */
#include "model/onnx.h"
#include "weights/weights.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

onnx_constant *onnx_constant_new(bool integer, int rank, const int64_t *shape, vox_error *err) {
    onnx_constant *c = vox_alloc(1, sizeof *c, "constant", err);
    if (!c)
        return NULL;
    c->integer = integer;
    c->rank = rank;
    c->count = 1;
    bool fits = true;
    for (int i = 0; i < rank; i++) {
        c->shape[i] = shape[i];
        fits = fits && vox_mul(c->count, shape[i], &c->count);
    }
    if (!fits)
        vox_fail(err, VOX_ERR_RESOURCE, "constant: more numbers than can be counted");
    else if (integer)
        c->i = vox_alloc(c->count, sizeof *c->i, "constant", err);
    else
        c->f = vox_alloc(c->count, sizeof *c->f, "constant", err);
    if (c->i || c->f)
        return c;
    onnx_constant_free(c);
    return NULL;
}

void onnx_constant_free(onnx_constant *c) {
    if (!c)
        return;
    free(c->f);
    free(c->i);
    free(c);
}

/* How a type's numbers lie in raw data. bytes 0: not a type that the reader knows. */
static vox_element stored(int type) {
    switch (type) {
    case ONNX_FLOAT:
        return (vox_element){.kind = 'f', .bytes = 4};
    case ONNX_DOUBLE:
        return (vox_element){.kind = 'f', .bytes = 8};
    case ONNX_FLOAT16:
        return (vox_element){.kind = 'f', .bytes = 2};
    case ONNX_BFLOAT16:
        return (vox_element){.kind = 'g', .bytes = 2};
    case ONNX_INT64:
        return (vox_element){.kind = 'i', .bytes = 8};
    case ONNX_INT32:
        return (vox_element){.kind = 'i', .bytes = 4};
    case ONNX_INT8:
        return (vox_element){.kind = 'i', .bytes = 1};
    case ONNX_UINT8:
        return (vox_element){.kind = 'u', .bytes = 1};
    case ONNX_BOOL:
        return (vox_element){.kind = 'b', .bytes = 1};
    default:
        return (vox_element){.bytes = 0};
    }
}

bool onnx_type_is_float(int type) {
    return stored(type).kind == 'f' || stored(type).kind == 'g';
}

/* ---- External data ---- */

enum { LOCATION_EXTERNAL = 1 };

typedef struct external {
    char *path;             /* owned */
    int64_t offset, length; /* length -1: to the end */
} external;

static bool parse_size(const char *text, int64_t *value) {
    char *end;
    errno = 0;
    const long long v = strtoll(text, &end, 10);
    *value = v;
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0;
}

static bool parse_external(const vox_model *m, const char *what, const Onnx__TensorProto *t,
                           external *e, vox_error *err) {
    const char *location = "";
    *e = (external){.length = -1};
    for (size_t i = 0; i < t->n_external_data; i++) {
        const char *key = t->external_data[i]->key, *value = t->external_data[i]->value;
        int64_t *size = NULL;
        if (!key || !value)
            continue;
        if (strcmp(key, "location") == 0)
            location = value;
        else if (strcmp(key, "offset") == 0)
            size = &e->offset;
        else if (strcmp(key, "length") == 0)
            size = &e->length;
        if (size && !parse_size(value, size)) {
            vox_fail(err, VOX_ERR_WEIGHTS, "%s: %s: %s=%s: not a number of bytes", m->path, what,
                     key, value);
            return false;
        }
    }
    e->path = vox_model_sibling(m, location, err);
    return e->path != NULL;
}

/* Whether the file lies in the model's folder once all links are followed. */
static bool really_inside(const char *model, const char *file) {
    const char *slash = strrchr(model, '/');
    char *folder = slash ? strndup(model, (size_t)(slash + 1 - model)) : strdup(".");
    char *outer = folder ? realpath(folder, NULL) : NULL, *inner = realpath(file, NULL);
    const size_t n = outer ? strlen(outer) : 0;
    const bool root = n == 1; /* "/" ends in its slash already */
    const bool inside =
        outer && inner && strncmp(inner, outer, n) == 0 && (root || inner[n] == '/');
    free(folder);
    free(outer);
    free(inner);
    return inside;
}

static vox_status check_external(const vox_model *m, const char *what, const external *e, int fd,
                                 int64_t bytes, vox_error *err) {
    struct stat s;
    if (fstat(fd, &s) || !S_ISREG(s.st_mode))
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: %s: %s: not a file", m->path, what, e->path);
    if (!really_inside(m->path, e->path))
        return vox_fail(err, VOX_ERR_WEIGHTS,
                        "%s: %s: %s: a link that leads out of the model's folder", m->path, what,
                        e->path);
    if (e->length >= 0 && e->length != bytes)
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: %s: length=%lld: its shape needs %lld bytes",
                        m->path, what, (long long)e->length, (long long)bytes);
    if (e->offset > s.st_size || bytes > s.st_size - e->offset)
        return vox_fail(err, VOX_ERR_WEIGHTS,
                        "%s: %s: offset=%lld: %lld bytes are needed there, %s has %lld in all",
                        m->path, what, (long long)e->offset, (long long)bytes, e->path,
                        (long long)s.st_size);
    return VOX_OK;
}

/* Opens it and finds `bytes` in it; *fd is the caller's to close. */
static vox_status open_external(const vox_model *m, const char *what, const Onnx__TensorProto *t,
                                int64_t bytes, int *fd, int64_t *offset, vox_error *err) {
    external e;
    vox_status status = VOX_OK;
    if (!parse_external(m, what, t, &e, err))
        return VOX_ERR_WEIGHTS;
    *offset = e.offset;
    *fd = open(e.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0)
        status = vox_fail(err, VOX_ERR_WEIGHTS, "%s: %s: %s: %s", m->path, what, e.path,
                          strerror(errno));
    else
        status = check_external(m, what, &e, *fd, bytes, err);
    if (status && *fd >= 0)
        close(*fd);
    free(e.path);
    return status;
}

static vox_status read_external(const vox_model *m, const char *what, const Onnx__TensorProto *t,
                                unsigned char *to, int64_t bytes, vox_error *err) {
    int fd = -1;
    int64_t offset = 0, done = 0;
    vox_status status = open_external(m, what, t, bytes, &fd, &offset, err);
    if (status)
        return status;
    while (done < bytes && !status) {
        const ssize_t n = pread(fd, to + done, (size_t)(bytes - done), offset + done);
        if (n > 0)
            done += n;
        else if (n == 0 || errno != EINTR)
            status = vox_fail(err, VOX_ERR_WEIGHTS, "%s: %s: external data: %s", m->path, what,
                              n ? strerror(errno) : "ends too early");
    }
    close(fd);
    return status;
}

/* ---- Checks ---- */

/* Numbers in the typed field that serves the type, -1 where none does. */
static int64_t typed_count(const Onnx__TensorProto *t) {
    switch (t->data_type) {
    case ONNX_FLOAT:
        return (int64_t)t->n_float_data;
    case ONNX_DOUBLE:
        return (int64_t)t->n_double_data;
    case ONNX_INT64:
        return (int64_t)t->n_int64_data;
    default:
        return (int64_t)t->n_int32_data;
    }
}

/* *count = product of the extents. */
static vox_status count_numbers(const vox_model *m, const char *what, const Onnx__TensorProto *t,
                                int64_t *count, vox_error *err) {
    if (t->n_dims > VOX_MAX_RANK)
        return vox_fail(err, VOX_ERR_UNSUPPORTED, "%s: %s: %zu dimensions: at most %d are served",
                        m->path, what, t->n_dims, VOX_MAX_RANK);
    *count = 1;
    for (size_t i = 0; i < t->n_dims; i++)
        if (!vox_mul(*count, t->dims[i], count))
            return vox_fail(err, VOX_ERR_WEIGHTS, "%s: %s: dims[%zu]=%lld: not a possible size",
                            m->path, what, i, (long long)t->dims[i]);
    return VOX_OK;
}

vox_status onnx_tensor_check(const vox_model *m, const char *what, const Onnx__TensorProto *t,
                             vox_error *err) {
    const int size = stored(t->data_type).bytes;
    int64_t count = 0, bytes, offset;
    int fd = -1;
    if (size == 0)
        return vox_fail(err, VOX_ERR_UNSUPPORTED, "%s: %s: data_type=%d: not served", m->path, what,
                        t->data_type);
    vox_status status = count_numbers(m, what, t, &count, err);
    if (status)
        return status;
    if (!vox_mul(count, size, &bytes))
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: %s: %lld numbers: not a possible size", m->path,
                        what, (long long)count);
    if (t->data_location == LOCATION_EXTERNAL) {
        status = open_external(m, what, t, bytes, &fd, &offset, err);
        if (!status)
            close(fd);
        return status;
    }
    if (t->has_raw_data && (int64_t)t->raw_data.len != bytes)
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: %s: %zu bytes of data: its shape needs %lld",
                        m->path, what, t->raw_data.len, (long long)bytes);
    if (!t->has_raw_data && typed_count(t) != count)
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: %s: %lld numbers: its shape needs %lld", m->path,
                        what, (long long)typed_count(t), (long long)count);
    return VOX_OK;
}

/* ---- Numbers ---- */

static void whole_numbers(vox_element e, const unsigned char *from, int64_t n, int64_t *to) {
    for (int64_t k = 0; k < n; k++, from += e.bytes) {
        uint64_t bits = 0;
        for (int b = 0; b < e.bytes; b++)
            bits |= (uint64_t)from[b] << (8 * b);
        if (e.kind == 'i' && e.bytes < 8 && bits >> (8 * e.bytes - 1))
            bits |= UINT64_MAX << (8 * e.bytes);
        to[k] = e.kind == 'b' ? bits != 0 : (int64_t)bits;
    }
}

static void convert_raw(int type, const unsigned char *from, onnx_constant *c) {
    if (c->integer)
        whole_numbers(stored(type), from, c->count, c->i);
    else
        vox_elements_to_float(stored(type), from, c->count, c->f);
}

/* 16-bit floating-point numbers are stored as their bits in int32_data. */
static void convert_half(const Onnx__TensorProto *t, onnx_constant *c) {
    for (int64_t k = 0; k < c->count; k++) {
        const unsigned bits = (unsigned)t->int32_data[k];
        const unsigned char bytes[] = {bits & 255, bits >> 8 & 255};
        vox_elements_to_float(stored(t->data_type), bytes, 1, &c->f[k]);
    }
}

static void convert_typed(const Onnx__TensorProto *t, onnx_constant *c) {
    if (t->data_type == ONNX_FLOAT16 || t->data_type == ONNX_BFLOAT16) {
        convert_half(t, c);
        return;
    }
    for (int64_t k = 0; k < c->count; k++)
        if (t->data_type == ONNX_FLOAT)
            c->f[k] = t->float_data[k];
        else if (t->data_type == ONNX_DOUBLE)
            c->f[k] = (float)t->double_data[k];
        else
            c->i[k] = t->data_type == ONNX_INT64 ? t->int64_data[k] : t->int32_data[k];
}

onnx_constant *onnx_tensor_read(const vox_model *m, const char *what, const Onnx__TensorProto *t,
                                vox_error *err) {
    if (onnx_tensor_check(m, what, t, err))
        return NULL;
    onnx_constant *c =
        onnx_constant_new(!onnx_type_is_float(t->data_type), (int)t->n_dims, t->dims, err);
    if (!c)
        return NULL;
    if (t->data_location != LOCATION_EXTERNAL) {
        if (t->has_raw_data)
            convert_raw(t->data_type, t->raw_data.data, c);
        else
            convert_typed(t, c);
        return c;
    }
    const int64_t bytes = c->count * stored(t->data_type).bytes;
    unsigned char *raw = vox_alloc_uncleared(bytes, 1, "external data", err);
    if (raw && !read_external(m, what, t, raw, bytes, err)) {
        convert_raw(t->data_type, raw, c);
        free(raw);
        return c;
    }
    free(raw);
    onnx_constant_free(c);
    return NULL;
}
