/* npy.c - numpy's .npy files as weights: the elements behind the header (volume/npy_header.h). */
#include "volume/npy_header.h"
#include "weights/weights.h"

#include <stdlib.h>
#include <string.h>

static bool sniff(const unsigned char *head, int64_t bytes) {
    return bytes >= 6 && vox_npy_begins(head, bytes);
}

/* ---- Reading ---- */

static vox_status read_part(vox_npy_source *s, const char *part, void *buf, int64_t bytes,
                            vox_error *err) {
    vox_bytes *b = s->context;
    if (b->length - b->at < bytes)
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: %s needs %lld bytes, %lld are left", b->label,
                        part, (long long)bytes, (long long)(b->length - b->at));
    return b->read(b, buf, bytes, err);
}

static vox_status read_elements(vox_bytes *b, vox_element e, float *to, int64_t count,
                                vox_error *err) {
    enum { BLOCK = 8192 };
    unsigned char block[BLOCK];
    while (count > 0) {
        int64_t n = vox_min(count, BLOCK / e.bytes);
        vox_status status = b->read(b, block, n * e.bytes, err);
        if (status != VOX_OK)
            return status;
        vox_elements_to_float(e, block, n, to);
        to += n;
        count -= n;
    }
    return VOX_OK;
}

/* From first index fastest to last index fastest. */
static vox_tensor *from_fortran_order(const vox_tensor *f, vox_error *err) {
    vox_tensor *c = vox_tensor_new(f->rank, f->shape, err);
    if (!c)
        return NULL;
    int64_t index[VOX_MAX_RANK] = {0}, stride[VOX_MAX_RANK] = {0}, at = 0, step = 1;
    for (int i = 0; i < f->rank; i++) {
        stride[i] = step;
        step *= f->shape[i];
    }
    for (int64_t k = 0; k < c->count; k++) {
        c->data[k] = f->data[at];
        for (int i = f->rank - 1; i >= 0; i--) {
            at += stride[i];
            if (++index[i] < f->shape[i])
                break;
            at -= stride[i] * f->shape[i];
            index[i] = 0;
        }
    }
    return c;
}

vox_tensor *vox_npy_read(vox_bytes *b, vox_error *err) {
    vox_npy_header h;
    vox_npy_source s = {
        .label = b->label, .kind = VOX_ERR_WEIGHTS, .read = read_part, .context = b};
    int64_t count, bytes;
    if (vox_npy_header_read(&s, &h, err))
        return NULL;
    const vox_element element = {h.kind, h.bytes, h.big_endian};
    char text[VOX_SHAPE_TEXT];
    if (!vox_product(h.shape, h.rank, &count) || !vox_mul(count, h.bytes, &bytes)) {
        vox_fail(err, VOX_ERR_WEIGHTS, "%s: shape=%s: too large", b->label,
                 vox_shape_text(h.rank, h.shape, text));
        return NULL;
    }
    if (bytes != b->length - b->at) {
        vox_fail(err, VOX_ERR_WEIGHTS, "%s: shape=%s: needs %lld bytes of data, the file has %lld",
                 b->label, vox_shape_text(h.rank, h.shape, text), (long long)bytes,
                 (long long)(b->length - b->at));
        return NULL;
    }
    vox_tensor *t = vox_tensor_new(h.rank, h.shape, err);
    if (t && read_elements(b, element, t->data, t->count, err) != VOX_OK) {
        vox_tensor_free(t);
        t = NULL;
    }
    if (t && h.fortran_order) {
        vox_tensor *c = from_fortran_order(t, err);
        vox_tensor_free(t);
        t = c;
    }
    return t;
}

static vox_status read_file(vox_bytes *b, void *buf, int64_t bytes, vox_error *err) {
    vox_status status = vox_source_read_at(b->context, buf, bytes, b->at, err);
    b->at += bytes;
    return status;
}

static vox_tensor *get(vox_weights *w, int i, vox_error *err) {
    (void)i;
    vox_bytes b = {.label = w->path, .length = w->bytes, .read = read_file, .context = w->source};
    return vox_npy_read(&b, err);
}

/* ---- Writing ---- */

unsigned char *vox_npy_encode(const vox_tensor *t, int64_t *bytes, vox_error *err) {
    unsigned char header[VOX_NPY_HEADER_BYTES];
    const int64_t start = vox_npy_header_write('f', 4, t->rank, t->shape, header);
    *bytes = start + t->count * (int64_t)sizeof(float);
    unsigned char *buf = vox_alloc(*bytes, 1, ".npy", err);
    if (!buf)
        return NULL;
    memcpy(buf, header, (size_t)start);
    memcpy(buf + start, t->data, (size_t)t->count * sizeof(float));
    return buf;
}

static vox_status save(const char *path, int count, const char *const *names,
                       const vox_tensor *const *tensors, bool force, vox_error *err) {
    (void)count, (void)names;
    int64_t bytes;
    unsigned char *buf = vox_npy_encode(tensors[0], &bytes, err);
    if (!buf)
        return VOX_ERR_RESOURCE;
    vox_status status = vox_weights_publish(path, buf, bytes, force, err);
    free(buf);
    return status;
}

const vox_format vox_format_npy = {
    .name = ".npy", .endings = ".npy ", .most = 1, .sniff = sniff, .get = get, .save = save};
