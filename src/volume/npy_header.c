/* npy_header.c - the header of numpy's .npy files, versions 1 to 3.
 *
 * Source: numpy's documentation, "numpy.lib.format". After the magic and a length comes a Python
 * dict literal with three keys, then the elements. What is read here is that literal and nothing
 * else of Python.
 */
#include "volume/npy_header.h"

#include <stdlib.h>
#include <string.h>

static const char magic[] = "\x93NUMPY";
enum {
    MAGIC = 6,
    /* numpy's own headers of plain arrays take 64 to 256 bytes; this is the most that version 1 can
       say. */
    MOST_HEADER = 65535,
};

bool vox_npy_begins(const unsigned char *head, int64_t bytes) {
    return bytes > 0 && memcmp(head, magic, (size_t)vox_min(bytes, MAGIC)) == 0;
}

/* numpy's letter for the machine's byte order. */
static char machine_order(void) {
    const uint16_t probe = 1;
    return *(const unsigned char *)&probe ? '<' : '>';
}

/* ---- The dict literal ---- */

typedef struct parser {
    const char *label, *at; /* the text ends with a NUL, which no rule below accepts */
    vox_status kind;        /* of errors */
    vox_error *err;
} parser;

static bool bad(parser *p, const char *what) {
    vox_fail(p->err, p->kind, "%s: .npy header: %s at '%.40s'", p->label, what, p->at);
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

static bool parse_descr(parser *p, vox_npy_header *h) {
    char descr[32];
    if (*p->at == '[')
        return bad(p, "descr: structured arrays are not read");
    if (!parse_string(p, descr, sizeof descr))
        return false;
    const char *why = "is not a type that is read (f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1)";
    const char *order = *descr && strchr("<>=|", *descr) ? descr : NULL;
    const char *type = order ? descr + 1 : descr;
    if (*type == 'O')
        why = "holds Python objects, which are not read; save it as float32";
    else if (*type == 'c')
        why = "is complex; save its real part or its magnitude";
    if (!order || !known_type(type)) {
        vox_fail(p->err, p->kind, "%s: .npy header: descr='%s': %s", p->label, descr, why);
        return false;
    }
    /* '=' and '|' are the machine's own order. */
    const bool machine_is_big = machine_order() == '>';
    h->kind = type[0];
    h->bytes = type[1] - '0';
    h->big_endian = *order == '>' || (*order != '<' && machine_is_big);
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

static bool parse_shape(parser *p, vox_npy_header *h) {
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

static bool parse_header(parser *p, vox_npy_header *h) {
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
        if (!(k == 0   ? parse_descr(p, h)
              : k == 1 ? parse_bool(p, &h->fortran_order)
                       : parse_shape(p, h)))
            return false;
        comma = skip(p, ',');
    }
    for (int k = 0; k < 3; k++)
        if (!seen[k]) {
            vox_fail(p->err, p->kind, "%s: .npy header: key '%s' is missing", p->label, keys[k]);
            return false;
        }
    return *p->at == 0 || bad(p, "something follows the dictionary");
}

/* ---- Reading ---- */

/* Magic, version and the length of the dict. */
static vox_status read_start(vox_npy_source *s, int64_t *length, vox_error *err) {
    unsigned char start[8], field[4];
    vox_status status = s->read(s, "the start of an .npy file", start, sizeof start, err);
    if (status)
        return status;
    if (!vox_npy_begins(start, sizeof start))
        return vox_fail(err, s->kind, "%s: magic: not an .npy file", s->label);
    if (start[6] < 1 || start[6] > 3)
        return vox_fail(err, s->kind, "%s: version=%d.%d: .npy versions 1 to 3 are known", s->label,
                        start[6], start[7]);
    int width = start[6] == 1 ? 2 : 4;
    if ((status = s->read(s, "the header's length", field, width, err)))
        return status;
    s->bytes = (int64_t)sizeof start + width;
    for (*length = 0; width > 0; width--)
        *length = *length << 8 | field[width - 1];
    if (*length > MOST_HEADER)
        return vox_fail(err, s->kind, "%s: header length=%lld: more than %d bytes", s->label,
                        (long long)*length, MOST_HEADER);
    return VOX_OK;
}

vox_status vox_npy_header_read(vox_npy_source *s, vox_npy_header *h, vox_error *err) {
    int64_t length = 0;
    *h = (vox_npy_header){.rank = 0};
    vox_status status = read_start(s, &length, err);
    if (status)
        return status;
    char *text = vox_alloc(length + 1, 1, s->label, err);
    if (!text)
        return VOX_ERR_RESOURCE;
    status = s->read(s, "the header", text, length, err);
    s->bytes += length;
    if (!status && strlen(text) != (size_t)length)
        status = vox_fail(err, s->kind, "%s: .npy header: a NUL byte in it", s->label);
    parser p = {s->label, text, s->kind, err};
    if (!status && !parse_header(&p, h))
        status = s->kind;
    free(text);
    return status;
}

/* ---- Writing ---- */

int64_t vox_npy_header_write(char kind, int bytes, int rank, const int64_t *shape,
                             unsigned char header[VOX_NPY_HEADER_BYTES]) {
    char *text = (char *)header + 10, extents[VOX_SHAPE_TEXT];
    const int n = snprintf(text, VOX_NPY_HEADER_BYTES - 10,
                           "{'descr': '%c%c%d', 'fortran_order': False, 'shape': %s, }",
                           bytes == 1 ? '|' : machine_order(), kind, bytes,
                           vox_shape_text(rank, shape, extents));
    /* Spaces and a newline, so that the data starts on a multiple of 64 bytes. */
    const int padded = (int)vox_round_up(10 + n + 1, 64) - 10;
    memset(text + n, ' ', (size_t)(padded - n - 1));
    text[padded - 1] = '\n';
    memcpy(header, magic, MAGIC);
    header[6] = 1;
    header[7] = 0;
    header[8] = (unsigned char)padded;
    header[9] = (unsigned char)(padded >> 8);
    return 10 + padded;
}
