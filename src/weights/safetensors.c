/* safetensors.c - the .safetensors format.
 *
 * Source: the format's description in github.com/huggingface/safetensors (README, "Format"): 8
 * bytes of little-endian length, a JSON object that gives each tensor's dtype, shape and
 * data_offsets, then the data, which the tensors cover without overlap and without a hole. Numbers
 * are little-endian, row-major.
 */
#include "base/json.h"
#include "weights/weights.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    START = 8,
    MOST_HEADER = 100000000, /* the specification's own cap */
};

/* What the format knows; kind 0: not read, its size is still checked. */
static const struct {
    const char *name;
    vox_element element;
} dtypes[] = {
    {"F64", {'f', 8, false}},  {"F32", {'f', 4, false}},   {"F16", {'f', 2, false}},
    {"BF16", {'g', 2, false}}, {"I64", {0, 8, false}},     {"U64", {0, 8, false}},
    {"I32", {0, 4, false}},    {"U32", {0, 4, false}},     {"I16", {0, 2, false}},
    {"U16", {0, 2, false}},    {"I8", {0, 1, false}},      {"U8", {0, 1, false}},
    {"BOOL", {0, 1, false}},   {"F8_E4M3", {0, 1, false}}, {"F8_E5M2", {0, 1, false}},
};

typedef struct entry {
    int dtype; /* row of dtypes; -1: none of them */
    char dtype_name[16];
    int rank;
    int64_t shape[VOX_MAX_RANK];
    int64_t begin, end; /* bytes in the data section */
} entry;

typedef struct state {
    int64_t data; /* where the data section starts */
    entry *entries;
} state;

static bool sniff(const unsigned char *head, int64_t bytes) {
    return bytes > START && head[START] == '{';
}

static void close_file(vox_weights *w) {
    state *s = w->state;
    if (s)
        free(s->entries);
    free(s);
}

/* ---- The header ---- */

static vox_status bad(const vox_weights *w, const char *name, const char *what, vox_error *err) {
    return vox_fail(err, VOX_ERR_WEIGHTS, "%s: tensor '%.200s': %s", w->path, name, what);
}

static bool extent(const json_t *j, int64_t *value) {
    if (!json_is_integer(j) || json_integer_value(j) < 0)
        return false;
    *value = json_integer_value(j);
    return true;
}

static vox_status parse_entry(const vox_weights *w, const char *name, const json_t *j, entry *e,
                              vox_error *err) {
    const char *dtype = json_string_value(json_object_get(j, "dtype"));
    const json_t *shape = json_object_get(j, "shape"), *range = json_object_get(j, "data_offsets");
    if (!dtype || !json_is_array(shape) || !json_is_array(range))
        return bad(w, name, "must have dtype, shape and data_offsets", err);
    snprintf(e->dtype_name, sizeof e->dtype_name, "%s", dtype);
    e->dtype = (int)(sizeof dtypes / sizeof *dtypes) - 1;
    while (e->dtype >= 0 && strcmp(dtypes[e->dtype].name, dtype) != 0)
        e->dtype--;
    if (json_array_size(shape) > VOX_MAX_RANK)
        return bad(w, name, "shape: more than 8 axes", err);
    e->rank = (int)json_array_size(shape);
    for (int i = 0; i < e->rank; i++)
        if (!extent(json_array_get(shape, (size_t)i), &e->shape[i]))
            return bad(w, name, "shape: an extent that is not a whole number >= 0", err);
    if (json_array_size(range) != 2 || !extent(json_array_get(range, 0), &e->begin) ||
        !extent(json_array_get(range, 1), &e->end) || e->end < e->begin)
        return bad(w, name, "data_offsets: must be two numbers, 0 <= begin <= end", err);
    return VOX_OK;
}

static vox_status check_size(const vox_weights *w, const char *name, const entry *e, int64_t data,
                             vox_error *err) {
    int64_t count, bytes;
    char text[VOX_SHAPE_TEXT];
    if (e->end > data)
        return vox_fail(err, VOX_ERR_WEIGHTS,
                        "%s: tensor '%.200s': data_offsets=[%lld, %lld]: the file has %lld bytes "
                        "of data",
                        w->path, name, (long long)e->begin, (long long)e->end, (long long)data);
    if (!vox_product(e->shape, e->rank, &count))
        return bad(w, name, "shape: too large", err);
    if (e->dtype < 0)
        return VOX_OK;
    if (!vox_mul(count, dtypes[e->dtype].element.bytes, &bytes) || bytes != e->end - e->begin)
        return vox_fail(err, VOX_ERR_WEIGHTS,
                        "%s: tensor '%.200s': data_offsets=[%lld, %lld]: %s of shape %s does not "
                        "take that many bytes",
                        w->path, name, (long long)e->begin, (long long)e->end, e->dtype_name,
                        vox_shape_text(e->rank, e->shape, text));
    return VOX_OK;
}

static int by_begin(const void *a, const void *b) {
    const entry *x = *(const entry *const *)a, *y = *(const entry *const *)b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* The ranges, laid end to end, are the data section. */
static vox_status check_cover(const vox_weights *w, int64_t data, vox_error *err) {
    const state *s = w->state;
    int64_t at = 0;
    const entry **order = vox_alloc(w->count, sizeof *order, w->path, err);
    if (!order)
        return VOX_ERR_RESOURCE;
    for (int i = 0; i < w->count; i++)
        order[i] = &s->entries[i];
    qsort(order, (size_t)w->count, sizeof *order, by_begin);
    vox_status status = VOX_OK;
    for (int i = 0; i < w->count && status == VOX_OK; i++) {
        const entry *e = order[i];
        if (e->begin != at)
            status = vox_fail(
                err, VOX_ERR_WEIGHTS,
                "%s: tensor '%.200s': data_offsets=[%lld, %lld]: %s at byte %lld", w->path,
                w->names[e - s->entries], (long long)e->begin, (long long)e->end,
                e->begin < at ? "overlaps the tensor that ends" : "leaves a hole that starts",
                (long long)at);
        at = e->end;
    }
    if (status == VOX_OK && at != data)
        status = vox_fail(err, VOX_ERR_WEIGHTS,
                          "%s: the tensors take %lld bytes of data, the file has %lld", w->path,
                          (long long)at, (long long)data);
    free(order);
    return status;
}

static vox_status list_tensors(vox_weights *w, json_t *root, int64_t data, vox_error *err) {
    state *s = w->state;
    const char *name;
    json_t *value;
    int64_t count = 0, i = 0;
    json_object_foreach(root, name, value) {
        count += strcmp(name, "__metadata__") != 0;
    }
    vox_status status = vox_weights_make_names(w, count, err);
    if (status != VOX_OK)
        return status;
    s->entries = vox_alloc(count, sizeof *s->entries, w->path, err);
    if (!s->entries)
        return VOX_ERR_RESOURCE;
    json_object_foreach(root, name, value) {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        w->names[i] = vox_strdup(name, err);
        if (!w->names[i])
            return VOX_ERR_RESOURCE;
        status = parse_entry(w, name, value, &s->entries[i], err);
        if (status == VOX_OK)
            status = check_size(w, name, &s->entries[i], data, err);
        if (status != VOX_OK)
            return status;
        i++;
    }
    return check_cover(w, data, err);
}

/* The length of the JSON, if the file can hold it. */
static vox_status header_length(vox_weights *w, int64_t *length, vox_error *err) {
    unsigned char start[START];
    uint64_t n = 0;
    if (w->bytes < START)
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: %lld bytes: shorter than a .safetensors header",
                        w->path, (long long)w->bytes);
    vox_status status = vox_source_read_at(w->source, start, START, 0, err);
    if (status != VOX_OK)
        return status;
    for (int i = START - 1; i >= 0; i--)
        n = n << 8 | start[i];
    if (n > MOST_HEADER)
        return vox_fail(err, VOX_ERR_WEIGHTS,
                        "%s: header length=%llu: more than the 100 MB that the format allows",
                        w->path, (unsigned long long)n);
    if ((int64_t)n > w->bytes - START)
        return vox_fail(err, VOX_ERR_WEIGHTS,
                        "%s: header length=%llu: more than the file has, %lld bytes", w->path,
                        (unsigned long long)n, (long long)w->bytes);
    *length = (int64_t)n;
    return VOX_OK;
}

static vox_status open_file(vox_weights *w, vox_error *err) {
    int64_t length = 0;
    char *text = NULL;
    json_t *root = NULL;
    char subject[512];
    state *s = w->state = calloc(1, sizeof *s);
    if (!s)
        return vox_fail(err, VOX_ERR_RESOURCE, "%s: out of memory", w->path);
    vox_status status = header_length(w, &length, err);
    if (status != VOX_OK)
        return status;
    s->data = START + length;
    text = vox_alloc(length, 1, w->path, err);
    if (!text)
        return VOX_ERR_RESOURCE;
    status = vox_source_read_at(w->source, text, length, START, err);
    if (status != VOX_OK)
        goto out;
    snprintf(subject, sizeof subject, "%s: header", w->path);
    status = vox_json_parse(subject, text, length, &root, err);
    if (!status && !json_is_object(root))
        status = vox_fail(err, VOX_ERR_WEIGHTS, "%s: header: not a JSON object", w->path);
    else if (!status)
        status = list_tensors(w, root, w->bytes - s->data, err);
out:
    json_decref(root);
    free(text);
    return status;
}

/* ---- Reading and writing ---- */

static vox_tensor *get(vox_weights *w, int i, vox_error *err) {
    const state *s = w->state;
    const entry *e = &s->entries[i];
    if (e->dtype < 0 || !dtypes[e->dtype].element.kind) {
        vox_fail(err, VOX_ERR_WEIGHTS,
                 "%s: tensor '%.200s': dtype=%s: F16, BF16, F32 and F64 are read", w->path,
                 w->names[i], e->dtype_name);
        return NULL;
    }
    const vox_element element = dtypes[e->dtype].element;
    vox_tensor *t = vox_tensor_new(e->rank, e->shape, err);
    unsigned char *bytes = t ? vox_alloc(e->end - e->begin, 1, w->path, err) : NULL;
    if (!bytes || vox_source_read_at(w->source, bytes, e->end - e->begin, s->data + e->begin,
                                     err) != VOX_OK) {
        vox_tensor_free(t);
        t = NULL;
    } else {
        vox_elements_to_float(element, bytes, t->count, t->data);
    }
    free(bytes);
    return t;
}

/* The header's JSON, freed with free(), and the length of the data behind it; NULL where a name is
 * not UTF-8 or, with errno ENOMEM, memory is short. */
static char *encode_header(int count, const char *const *names, const vox_tensor *const *tensors,
                           int64_t *data) {
    char *text = NULL;
    errno = 0;
    json_t *root = json_object();
    *data = 0;
    for (int i = 0; i < count; i++) {
        const vox_tensor *t = tensors[i];
        json_t *shape = json_array();
        for (int k = 0; k < t->rank; k++)
            if (json_array_append_new(shape, json_integer(t->shape[k])) != 0) {
                json_decref(shape);
                goto out;
            }
        json_t *e =
            json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", shape, "data_offsets",
                      (json_int_t)*data, (json_int_t)(*data + t->count * 4));
        if (json_object_set_new(root, names[i], e) != 0)
            goto out;
        *data += t->count * 4;
    }
    errno = 0;
    text = json_dumps(root, JSON_COMPACT);
    /* Where a name does not fit into memory, jansson goes on without it. */
    if (text && errno == ENOMEM) {
        free(text);
        text = NULL;
    }
out:
    json_decref(root);
    return text;
}

static vox_status save(const char *path, int count, const char *const *names,
                       const vox_tensor *const *tensors, bool force, vox_error *err) {
    int64_t data;
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], "__metadata__") == 0)
            return vox_fail(err, VOX_ERR_USAGE, "%s: __metadata__ is no tensor's name", path);
    char *text = encode_header(count, names, tensors, &data);
    if (!text && errno == ENOMEM)
        return vox_fail(err, VOX_ERR_RESOURCE, "%s: header: out of memory", path);
    if (!text)
        return vox_fail(err, VOX_ERR_USAGE, "%s: names must be UTF-8", path);
    vox_status status = VOX_ERR_RESOURCE;
    const int64_t length = (int64_t)strlen(text);
    /* Spaces behind the JSON put the data on 8 bytes, as the format's own library does. */
    const int64_t padded = vox_round_up(length, 8);
    unsigned char *buf = vox_alloc(START + padded + data, 1, path, err);
    if (buf) {
        for (int i = 0; i < START; i++)
            buf[i] = (unsigned char)((uint64_t)padded >> 8 * i);
        memset(buf + START, ' ', (size_t)padded);
        memcpy(buf + START, text, (size_t)length);
        unsigned char *at = buf + START + padded;
        for (int i = 0; i < count; i++) {
            vox_floats_to_bytes(tensors[i]->data, tensors[i]->count, at);
            at += tensors[i]->count * 4;
        }
        status = vox_weights_publish(path, buf, START + padded + data, force, err);
    }
    free(buf);
    free(text);
    return status;
}

const vox_format vox_format_safetensors = {.name = ".safetensors",
                                           .endings = ".safetensors ",
                                           .sniff = sniff,
                                           .open = open_file,
                                           .get = get,
                                           .close = close_file,
                                           .save = save};
