/* torch_tensor.c - one tensor of a .pt file: a view of a storage, as torch/_utils.py rebuilds it.
 */
#include "weights/torch.h"

#include <stdlib.h>
#include <string.h>

/* A view may repeat elements of its storage (expand), up to this many. */
enum { MOST_REPEATED = 1 << 20 };

/* Rows of vox_torch_globals. */
enum { ORDERED_DICT, TENSOR, PARAMETER, PARAMETER_CLASS, STORAGES };
const vox_pickle_global vox_torch_globals[] = {
    [ORDERED_DICT] = {"collections", "OrderedDict", VOX_PICKLE_MAKES_DICT},
    [TENSOR] = {"torch._utils", "_rebuild_tensor_v2", VOX_PICKLE_MAKES_CALL},
    [PARAMETER] = {"torch._utils", "_rebuild_parameter", VOX_PICKLE_MAKES_CALL},
    [PARAMETER_CLASS] = {"torch.nn.parameter", "Parameter", VOX_PICKLE_MAKES_CALL},
    {"torch", "FloatStorage", VOX_PICKLE_NAME},
    {"torch", "DoubleStorage", VOX_PICKLE_NAME},
    {"torch", "HalfStorage", VOX_PICKLE_NAME},
    {"torch", "BFloat16Storage", VOX_PICKLE_NAME},
    {"torch", "ByteStorage", VOX_PICKLE_NAME},
    {"torch", "CharStorage", VOX_PICKLE_NAME},
    {"torch", "ShortStorage", VOX_PICKLE_NAME},
    {"torch", "IntStorage", VOX_PICKLE_NAME},
    {"torch", "LongStorage", VOX_PICKLE_NAME},
    {"torch", "BoolStorage", VOX_PICKLE_NAME},
};
enum { GLOBALS = sizeof vox_torch_globals / sizeof *vox_torch_globals };
const int vox_torch_global_count = GLOBALS;
/* How the elements of the storages are stored, from row STORAGES on. */
static const vox_element storage_elements[GLOBALS - STORAGES] = {
    {'f', 4, false}, {'f', 8, false}, {'f', 2, false}, {'g', 2, false}, {'u', 1, false},
    {'i', 1, false}, {'i', 2, false}, {'i', 4, false}, {'i', 8, false}, {'b', 1, false},
};

/* ---- What a tensor says ---- */

/* What is wrong with a tensor, as a sentence's end. */
static vox_status bad(const vox_weights *w, const char *name, const vox_pickle_value *tensor,
                      const char *what, vox_error *err) {
    return vox_fail(err, VOX_ERR_WEIGHTS, "%s: %s: byte %u: tensor '%.200s': %s", w->path,
                    VOX_TORCH_PICKLE, tensor->at, name, what);
}

static const vox_pickle_value *item(const vox_pickle *p, const vox_pickle_value *v, uint32_t i) {
    return vox_pickle_at(p, vox_pickle_item(p, v, i));
}

static const vox_pickle_value *arguments(const vox_pickle *p, const vox_pickle_value *call) {
    return vox_pickle_at(p, call->call.args);
}

static bool natural(const vox_pickle_value *v, int64_t *n) {
    if (v->kind != VOX_PICKLE_INT || v->integer < 0)
        return false;
    *n = v->integer;
    return true;
}

/* Parameters are tensors with something around them: (tensor, requires_grad, hooks). */
static const vox_pickle_value *unwrap(const vox_pickle *p, const vox_pickle_value *v) {
    if (v->kind == VOX_PICKLE_CALL && v->call.global != TENSOR &&
        arguments(p, v)->items.count > 0) {
        const vox_pickle_value *data = item(p, arguments(p, v), 0);
        if (data->kind == VOX_PICKLE_CALL)
            v = data;
    }
    return v;
}

/* The storage's member, which has just the bytes of its elements. */
static vox_status find_storage(const vox_weights *w, const char *name, const vox_pickle_value *call,
                               const vox_pickle_value *text, vox_torch_view *v, vox_error *err) {
    const vox_torch_file *s = w->state;
    char key[100], label[700];
    int64_t bytes, length;
    const char *bytes_of_key = vox_pickle_text(s->pickle, text);
    if (text->text.length > sizeof key - sizeof "data/" ||
        memchr(bytes_of_key, 0, text->text.length))
        return bad(w, name, call, "the key of its storage is too long or has a NUL byte in it",
                   err);
    snprintf(key, sizeof key, "data/%.*s", (int)text->text.length, bytes_of_key);
    snprintf(label, sizeof label, "%.300s: tensor '%.200s': its storage %.90s", w->path, name, key);
    v->member = vox_torch_find(w, key);
    if (v->member < 0)
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s is not in the archive", label);
    const vox_status status = vox_archive_length(w->archive, v->member, label, &length, err);
    if (status != VOX_OK)
        return status;
    if (!vox_mul(v->storage_count, v->element.bytes, &bytes) || bytes != length)
        return vox_fail(err, VOX_ERR_WEIGHTS,
                        "%s has %lld bytes, %lld elements of %d bytes do not take that many", label,
                        (long long)length, (long long)v->storage_count, v->element.bytes);
    return VOX_OK;
}

/* The storage: ('storage', class, key, location, count). */
static vox_status read_storage(const vox_weights *w, const char *name, const vox_pickle_value *call,
                               const vox_pickle_value *storage, vox_torch_view *v, vox_error *err) {
    const vox_torch_file *s = w->state;
    const vox_pickle *p = s->pickle;
    const vox_pickle_value *id =
        storage->kind == VOX_PICKLE_PERSISTENT ? vox_pickle_at(p, storage->id) : NULL;
    if (!id || id->kind != VOX_PICKLE_TUPLE || id->items.count != 5 ||
        !vox_pickle_text_is(p, item(p, id, 0), "storage") ||
        item(p, id, 1)->kind != VOX_PICKLE_GLOBAL || item(p, id, 1)->call.global < STORAGES ||
        item(p, id, 2)->kind != VOX_PICKLE_TEXT || item(p, id, 3)->kind != VOX_PICKLE_TEXT ||
        !natural(item(p, id, 4), &v->storage_count))
        return bad(w, name, call, "its storage is not ('storage', class, key, location, count)",
                   err);
    v->element = storage_elements[item(p, id, 1)->call.global - STORAGES];
    v->element.big_endian = s->big_endian;
    return find_storage(w, name, call, item(p, id, 2), v, err);
}

/* Sizes and strides, and the last element that they reach: all of a view lies between its offset
 * and that one. */
static vox_status read_extents(const vox_weights *w, const char *name, const vox_pickle_value *call,
                               vox_torch_view *v, vox_error *err) {
    const vox_pickle *p = ((const vox_torch_file *)w->state)->pickle;
    const vox_pickle_value *args = arguments(p, call), *sizes = item(p, args, 2),
                           *strides = item(p, args, 3);
    if (!natural(item(p, args, 1), &v->offset) || sizes->kind != VOX_PICKLE_TUPLE ||
        strides->kind != VOX_PICKLE_TUPLE || sizes->items.count != strides->items.count)
        return bad(w, name, call, "must have an offset, and sizes and strides for the same axes",
                   err);
    if (sizes->items.count > VOX_MAX_RANK)
        return bad(w, name, call, "size: more than 8 axes", err);
    v->rank = (int)sizes->items.count;
    for (int i = 0; i < v->rank; i++)
        if (!natural(item(p, sizes, (uint32_t)i), &v->shape[i]) ||
            !natural(item(p, strides, (uint32_t)i), &v->stride[i]))
            return bad(w, name, call, "a size or stride that is no whole number >= 0", err);
    if (!vox_product(v->shape, v->rank, &v->count))
        return bad(w, name, call, "size: too large", err);
    v->last = v->offset;
    for (int i = 0; i < v->rank && v->count > 0; i++) {
        int64_t way;
        if (v->shape[i] == 1) /* says nothing then, and may be anything */
            v->stride[i] = 0;
        if (!vox_mul(v->shape[i] - 1, v->stride[i], &way) || !vox_add(v->last, way, &v->last))
            return bad(w, name, call, "strides: too large", err);
    }
    if (v->count > 0 && v->last >= v->storage_count)
        return vox_fail(err, VOX_ERR_WEIGHTS,
                        "%s: %s: byte %u: tensor '%.200s': reaches element %lld of a storage of "
                        "%lld",
                        w->path, VOX_TORCH_PICKLE, call->at, name, (long long)v->last,
                        (long long)v->storage_count);
    if (v->count > v->storage_count && v->count > MOST_REPEATED)
        return bad(w, name, call, "repeats the elements of its storage too often", err);
    return VOX_OK;
}

/* What a call says. (storage, offset, sizes, strides, requires_grad, hooks); a seventh argument
 * would be something like a conjugation, which nobody saves of weights. */
vox_status vox_torch_view_read(const vox_weights *w, const char *name, uint32_t value,
                               vox_torch_view *v, vox_error *err) {
    const vox_pickle *p = ((const vox_torch_file *)w->state)->pickle;
    const vox_pickle_value *call = unwrap(p, vox_pickle_at(p, value));
    if (call->call.global != TENSOR)
        return bad(w, name, call, "a parameter without a tensor", err);
    const vox_pickle_value *args = arguments(p, call);
    if (args->items.count != 6 || item(p, args, 4)->kind != VOX_PICKLE_BOOL ||
        item(p, args, 5)->kind != VOX_PICKLE_DICT)
        return bad(w, name, call,
                   "_rebuild_tensor_v2 takes storage, offset, size, stride, requires_grad and an "
                   "OrderedDict",
                   err);
    const vox_status status = read_storage(w, name, call, item(p, args, 0), v, err);
    return status == VOX_OK ? read_extents(w, name, call, v, err) : status;
}

/* ---- Values ---- */

static vox_status pass_over(vox_bytes *b, int64_t bytes, vox_error *err) {
    unsigned char block[8192];
    while (bytes > 0) {
        const int64_t n = vox_min(bytes, sizeof block);
        const vox_status status = b->read(b, block, n, err);
        if (status != VOX_OK)
            return status;
        bytes -= n;
    }
    return VOX_OK;
}

/* The bytes from the view's first element to its last, and the storage read to its end, where its
 * CRC is checked. */
static vox_status read_span(vox_bytes *b, const vox_torch_view *v, unsigned char *span,
                            vox_error *err) {
    const int64_t size = v->element.bytes, length = (v->last - v->offset + 1) * size;
    vox_status status = pass_over(b, v->offset * size, err);
    if (status == VOX_OK)
        status = b->read(b, span, length, err);
    if (status == VOX_OK)
        status = pass_over(b, b->length - b->at, err);
    return status == VOX_OK ? vox_archive_check_end(b, err) : status;
}

static void gather(const vox_torch_view *v, const unsigned char *span, float *to) {
    int64_t index[VOX_MAX_RANK] = {0}, at = 0;
    for (int64_t k = 0; k < v->count; k++) {
        vox_elements_to_float(v->element, span + at * v->element.bytes, 1, to + k);
        for (int i = v->rank - 1; i >= 0; i--) {
            at += v->stride[i];
            if (++index[i] < v->shape[i])
                break;
            at -= v->stride[i] * v->shape[i];
            index[i] = 0;
        }
    }
}

vox_status vox_torch_view_values(vox_weights *w, const char *name, const vox_torch_view *v,
                                 float *to, vox_error *err) {
    char label[600];
    if (v->count == 0)
        return VOX_OK;
    snprintf(label, sizeof label, "%.300s: tensor '%.250s'", w->path, name);
    unsigned char *span =
        vox_alloc_uncleared(v->last - v->offset + 1, (size_t)v->element.bytes, label, err);
    if (!span)
        return VOX_ERR_RESOURCE;
    vox_bytes b = {.label = label};
    vox_status status = vox_archive_start(w->archive, v->member, &b, err);
    if (status == VOX_OK)
        status = read_span(&b, v, span, err);
    if (status == VOX_OK)
        gather(v, span, to);
    vox_archive_stop(&b);
    free(span);
    return status;
}
