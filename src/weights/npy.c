/* npy.c - numpy's .npy files, versions 1 to 3.
 *
 * Source: numpy's documentation, "numpy.lib.format". After the magic and a length comes a Python
 * dict literal with three keys, then the elements. What is read here is that literal and nothing
 * else of Python.
 */
#include "weights/weights.h"

#include <stdlib.h>
#include <string.h>

static const char magic[] = "\x93NUMPY";
enum {
    MAGIC = 6,
    /* numpy's own headers of plain arrays take 64 to 256 bytes; this is the most that version 1 can
       say. */
    MOST_HEADER = 65535,
};

static bool sniff(const unsigned char *head, int64_t bytes) {
    return bytes >= MAGIC && memcmp(head, magic, MAGIC) == 0;
}

typedef struct header {
    vox_element element;
    bool fortran_order;
    int rank;
    int64_t shape[VOX_MAX_RANK];
} header;

/* ---- The dict literal ---- */

typedef struct parser {
    const char *label, *at; /* the text ends with a NUL, which no rule below accepts */
    vox_error *err;
} parser;

static bool bad(parser *p, const char *what) {
    vox_fail(p->err, VOX_ERR_WEIGHTS, "%s: .npy header: %s at '%.40s'", p->label, what, p->at);
    return false;
}

static bool skip(parser *p, char c) {
    p->at += strspn(p->at, " \t\n\r");
    if (*p->at != c)
        return false;
    p->at++;
    p->at += strspn(p->at, " \t\n\r");
    return true;
}

/* A quoted string without escapes, of less than `most` bytes. */
static bool parse_string(parser *p, char *to, size_t most) {
    char quote = *p->at;
    if (quote != '\'' && quote != '"')
        return bad(p, "a quoted string is missing");
    size_t n = strcspn(p->at + 1, quote == '"' ? "\"" : "'");
    if (p->at[n + 1] != quote || n >= most || memchr(p->at + 1, '\\', n))
        return bad(p, "not a plain string");
    memcpy(to, p->at + 1, n);
    to[n] = 0;
    p->at += n + 2;
    return true;
}

/* The types that can become float32 without a loss other than rounding. */
static bool known_type(const char *t) {
    static const char *const known[] = {"f2", "f4", "f8", "i1", "i2", "i4",
                                        "i8", "u1", "u2", "u4", "u8", "b1"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(t, known[i]) == 0)
            return true;
    return false;
}

static bool parse_descr(parser *p, vox_element *e) {
    char descr[32];
    if (*p->at == '[')
        return bad(p, "descr: structured arrays are not weights");
    if (!parse_string(p, descr, sizeof descr))
        return false;
    const char *why = "is not a type of weights (f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1)";
    const char *order = *descr && strchr("<>=|", *descr) ? descr : NULL;
    const char *type = order ? descr + 1 : descr;
    if (*type == 'O')
        why = "holds Python objects, which are not read; save it as float32";
    else if (*type == 'c')
        why = "is complex; save its real part or its magnitude";
    if (!order || !known_type(type)) {
        vox_fail(p->err, VOX_ERR_WEIGHTS, "%s: .npy header: descr='%s': %s", p->label, descr, why);
        return false;
    }
    /* '=' and '|' are the machine's own order. */
    const uint16_t probe = 1;
    bool machine_is_big = *(const unsigned char *)&probe == 0;
    e->kind = type[0];
    e->bytes = type[1] - '0';
    e->big_endian = *order == '>' || (*order != '<' && machine_is_big);
    return true;
}

static bool parse_bool(parser *p, bool *value) {
    for (int v = 0; v < 2; v++) {
        const char *word = v ? "True" : "False";
        if (strncmp(p->at, word, strlen(word)) == 0) {
            p->at += strlen(word);
            *value = v;
            return true;
        }
    }
    return bad(p, "fortran_order: neither True nor False");
}

static bool parse_extent(parser *p, int64_t *value) {
    if (*p->at < '0' || *p->at > '9')
        return bad(p, "shape: not an extent");
    *value = 0;
    for (; *p->at >= '0' && *p->at <= '9'; p->at++)
        if (!vox_mul(*value, 10, value) || !vox_add(*value, *p->at - '0', value))
            return bad(p, "shape: extent too large");
    return true;
}

static bool parse_shape(parser *p, header *h) {
    bool comma = true;
    if (!skip(p, '('))
        return bad(p, "shape: not a tuple");
    while (!skip(p, ')')) {
        if (!comma)
            return bad(p, "shape: not a tuple");
        if (h->rank == VOX_MAX_RANK)
            return bad(p, "shape: more than 8 axes");
        if (!parse_extent(p, &h->shape[h->rank++]))
            return false;
        comma = skip(p, ',');
    }
    return h->rank != 1 || comma || bad(p, "shape: a tuple of one needs its comma");
}

static bool parse_header(parser *p, header *h) {
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    bool seen[3] = {false, false, false}, comma = true;
    if (!skip(p, '{'))
        return bad(p, "not a dictionary");
    while (!skip(p, '}')) {
        char key[32];
        int k = 0;
        if (!comma)
            return bad(p, "a comma is missing");
        if (!parse_string(p, key, sizeof key))
            return false;
        while (k < 3 && strcmp(key, keys[k]) != 0)
            k++;
        if (k == 3 || seen[k])
            return bad(p, k == 3 ? "unknown key" : "key given twice");
        seen[k] = true;
        if (!skip(p, ':'))
            return bad(p, "a colon is missing");
        if (!(k == 0   ? parse_descr(p, &h->element)
              : k == 1 ? parse_bool(p, &h->fortran_order)
                       : parse_shape(p, h)))
            return false;
        comma = skip(p, ',');
    }
    for (int k = 0; k < 3; k++)
        if (!seen[k]) {
            vox_fail(p->err, VOX_ERR_WEIGHTS, "%s: .npy header: key '%s' is missing", p->label,
                     keys[k]);
            return false;
        }
    return *p->at == 0 || bad(p, "something follows the dictionary");
}

/* ---- Reading ---- */

static vox_status short_file(const vox_bytes *b, const char *part, int64_t wanted, vox_error *err) {
    return vox_fail(err, VOX_ERR_WEIGHTS, "%s: %s needs %lld bytes, %lld are left", b->label, part,
                    (long long)wanted, (long long)(b->length - b->at));
}

/* Magic, version and the length of the dict, if the file can hold it. */
static vox_status read_start(vox_bytes *b, int64_t *length, vox_error *err) {
    unsigned char start[8];
    vox_status status;
    if (b->length - b->at < 8)
        return short_file(b, "the start of an .npy file", 8, err);
    if ((status = b->read(b, start, 8, err)) != VOX_OK)
        return status;
    if (!sniff(start, 8))
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: magic: not an .npy file", b->label);
    if (start[6] < 1 || start[6] > 3)
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: version=%d.%d: .npy versions 1 to 3 are known",
                        b->label, start[6], start[7]);
    int width = start[6] == 1 ? 2 : 4;
    if (b->length - b->at < width)
        return short_file(b, "the header's length", width, err);
    if ((status = b->read(b, start, width, err)) != VOX_OK)
        return status;
    for (*length = 0; width > 0; width--)
        *length = *length << 8 | start[width - 1];
    if (*length > MOST_HEADER)
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: header length=%lld: more than %d bytes",
                        b->label, (long long)*length, MOST_HEADER);
    if (*length > b->length - b->at)
        return short_file(b, "the header", *length, err);
    return VOX_OK;
}

static vox_status read_header(vox_bytes *b, header *h, vox_error *err) {
    int64_t length = 0;
    vox_status status = read_start(b, &length, err);
    if (status != VOX_OK)
        return status;
    char *text = vox_alloc(length + 1, 1, b->label, err);
    if (!text)
        return VOX_ERR_RESOURCE;
    status = b->read(b, text, length, err);
    if (status == VOX_OK && strlen(text) != (size_t)length)
        status = vox_fail(err, VOX_ERR_WEIGHTS, "%s: .npy header: a NUL byte in it", b->label);
    parser p = {b->label, text, err};
    if (status == VOX_OK && !parse_header(&p, h))
        status = VOX_ERR_WEIGHTS;
    free(text);
    return status;
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
    header h = {.rank = 0};
    int64_t count, bytes;
    if (read_header(b, &h, err) != VOX_OK)
        return NULL;
    char text[VOX_SHAPE_TEXT];
    if (!vox_product(h.shape, h.rank, &count) || !vox_mul(count, h.element.bytes, &bytes)) {
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
    if (t && read_elements(b, h.element, t->data, t->count, err) != VOX_OK) {
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
    char text[64 + VOX_SHAPE_TEXT + 64], shape[VOX_SHAPE_TEXT];
    int n = snprintf(text, sizeof text, "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }",
                     vox_shape_text(t->rank, t->shape, shape));
    /* Spaces and a newline, so that the data starts on a multiple of 64 bytes. */
    int padded = (int)vox_round_up(10 + n + 1, 64) - 10;
    memset(text + n, ' ', (size_t)(padded - n - 1));
    text[padded - 1] = '\n';
    *bytes = 10 + padded + t->count * 4;
    unsigned char *buf = vox_alloc(*bytes, 1, ".npy", err);
    if (!buf)
        return NULL;
    memcpy(buf, magic, MAGIC);
    buf[6] = 1;
    buf[8] = (unsigned char)padded;
    buf[9] = (unsigned char)(padded >> 8);
    memcpy(buf + 10, text, (size_t)padded);
    vox_floats_to_bytes(t->data, t->count, buf + 10 + padded);
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
