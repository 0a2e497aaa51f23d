/* torch.c - what torch.save(model.state_dict(), FILE) writes: .pt and .pth.
 *
 * Source: torch/serialization.py, torch/_utils.py and caffe2/serialize/inline_container.h. A zip
 * archive holds FOLDER/data.pkl, a pickle of dictionaries whose tensors are calls of
 * _rebuild_tensor_v2 (pickle.h reads it, nothing is called), and a member FOLDER/data/KEY for each
 * storage: bare elements, which several tensors may be views of. FOLDER/byteorder says "big" where
 * they are. A tensor's name is its keys joined by dots: state_dict.conv.weight.
 */
#include "weights/torch.h"

#include <stdlib.h>
#include <string.h>

enum {
    MOST_NAME = 500,
    MOST_DEPTH = 32,
    /* Looking through a pickle may take this many steps for each of its bytes; a container takes
     * some, a tensor as many as its name takes bytes of memory. What stands there once takes less
     * (a container is at least one byte, a tensor over 40), and what stands in several places is
     * looked at again. */
    WORK_PER_BYTE = 16,
    WORK_PER_CONTAINER = 8,
    WORK_PER_NAME = 64,
};

/* ---- Which files ---- */

/* A pickle without an archive around it: torch.save's before version 1.6, and others'. */
static bool sniff(const unsigned char *head, int64_t bytes) {
    return bytes >= 2 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5;
}

/* The member FOLDER/data.pkl; -1: none. */
static int64_t find_pickle(const vox_archive *a) {
    const size_t tail = strlen(VOX_TORCH_PICKLE);
    for (int64_t i = 0; i < vox_archive_count(a); i++) {
        const char *name = vox_archive_name(a, i);
        const size_t n = strlen(name);
        if (n > tail && name[n - tail - 1] == '/' && strcmp(name + n - tail, VOX_TORCH_PICKLE) == 0)
            return i;
    }
    return -1;
}

static bool claims(const vox_archive *a) {
    return find_pickle(a) >= 0;
}

static vox_status refuse_bare_pickle(const vox_weights *w, vox_error *err) {
    /* LONG1 of ten bytes: torch.serialization.MAGIC_NUMBER */
    static const unsigned char magic[] = {0x8a, 10,   0x6c, 0xfc, 0x9c, 0x46,
                                          0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
    unsigned char head[32];
    const int64_t n = vox_min(w->bytes, sizeof head);
    const vox_status status = vox_source_read_at(w->source, head, n, 0, err);
    if (status != VOX_OK)
        return status;
    if (memmem(head, (size_t)n, magic, sizeof magic))
        return vox_fail(err, VOX_ERR_WEIGHTS,
                        "%s: in torch.save's format of before version 1.6, which is not read: "
                        "torch.save(torch.load(FILE), NEW_FILE) makes one that is",
                        w->path);
    return vox_fail(err, VOX_ERR_WEIGHTS,
                    "%s: a bare pickle, which is not read: torch.save(model.state_dict(), FILE) "
                    "makes a file that is",
                    w->path);
}

static vox_status refuse_script(const vox_weights *w, vox_error *err) {
    return vox_fail(err, VOX_ERR_WEIGHTS,
                    "%s: a TorchScript archive, whose code is not run: "
                    "torch.save(torch.jit.load(FILE).state_dict(), NEW_FILE) makes a file that is "
                    "read",
                    w->path);
}

/* ---- Members ---- */

int64_t vox_torch_find(const vox_weights *w, const char *name) {
    const vox_torch_file *s = w->state;
    char member[1024];
    if (snprintf(member, sizeof member, "%s%s", s->folder, name) >= (int)sizeof member)
        return -1;
    return vox_archive_find(w->archive, member);
}

/* A whole member of at most `most` bytes; the caller frees it. */
static vox_status read_member(vox_weights *w, int64_t member, int64_t most, unsigned char **bytes,
                              int64_t *length, vox_error *err) {
    char label[600];
    snprintf(label, sizeof label, "%.300s: %.250s", w->path, vox_archive_name(w->archive, member));
    vox_bytes b = {.label = label};
    vox_status status = vox_archive_start(w->archive, member, &b, err);
    if (status != VOX_OK)
        return status;
    *length = b.length;
    if (b.length > most)
        status = vox_fail(err, VOX_ERR_WEIGHTS, "%s: %lld bytes: more than %lld", label,
                          (long long)b.length, (long long)most);
    else if (!(*bytes = vox_alloc_uncleared(b.length, 1, label, err)))
        status = VOX_ERR_RESOURCE;
    if (status == VOX_OK)
        status = b.read(&b, *bytes, b.length, err);
    if (status == VOX_OK)
        status = vox_archive_check_end(&b, err);
    vox_archive_stop(&b);
    return status;
}

static vox_status read_byteorder(vox_weights *w, vox_error *err) {
    vox_torch_file *s = w->state;
    int64_t length;
    const int64_t member = vox_torch_find(w, "byteorder");
    if (member < 0) /* torch before 2.0 wrote none */
        return VOX_OK;
    unsigned char *order = NULL;
    vox_status status = read_member(w, member, 16, &order, &length, err);
    if (status == VOX_OK) {
        s->big_endian = length == 3 && memcmp(order, "big", 3) == 0;
        if (!s->big_endian && !(length == 6 && memcmp(order, "little", 6) == 0))
            status =
                vox_fail(err, VOX_ERR_WEIGHTS, "%s: byteorder: neither little nor big", w->path);
    }
    free(order);
    return status;
}

/* ---- The list of names ---- */

/* One way through the dictionaries. The first counts and checks, the second fills in names. */
typedef struct walk {
    vox_weights *w;
    bool fill;
    int64_t count, work;
    uint32_t path[MOST_DEPTH]; /* the containers that we are in */
    char name[MOST_NAME + 1];
    vox_error *err;
} walk;

static vox_status walk_value(walk *k, uint32_t index, int depth, size_t length);

static vox_status found_tensor(walk *k, uint32_t index, size_t length) {
    vox_weights *w = k->w;
    vox_torch_file *s = w->state;
    vox_torch_view v;
    k->work -= WORK_PER_NAME + (int64_t)length;
    if (!k->fill) {
        k->count++;
        return vox_torch_view_read(w, k->name, index, &v, k->err);
    }
    s->tensor[k->count] = index;
    if (w->names && !(w->names[k->count] = vox_strdup(k->name, k->err)))
        return VOX_ERR_RESOURCE;
    k->count++;
    return VOX_OK;
}

/* Puts a part of a name behind what there is: a dictionary's text or number, a list's index. */
static vox_status add_key(walk *k, const vox_pickle_value *key, uint32_t i, size_t *length) {
    const vox_torch_file *s = k->w->state;
    char *at = k->name + *length;
    const size_t room = sizeof k->name - *length;
    const char *dot = *length ? "." : "";
    int n;
    if (!key) {
        n = snprintf(at, room, "%s%u", dot, i);
    } else if (key->kind == VOX_PICKLE_INT) {
        n = snprintf(at, room, "%s%lld", dot, (long long)key->integer);
    } else if (key->kind == VOX_PICKLE_TEXT) {
        const char *text = vox_pickle_text(s->pickle, key);
        if (key->text.length == 0 || memchr(text, 0, key->text.length))
            return vox_fail(k->err, VOX_ERR_WEIGHTS,
                            "%s: %s: byte %u: a key that is empty or has a NUL byte in it",
                            k->w->path, VOX_TORCH_PICKLE, key->at);
        n = key->text.length > MOST_NAME
                ? MOST_NAME + 1
                : snprintf(at, room, "%s%.*s", dot, (int)key->text.length, text);
    } else {
        return vox_fail(k->err, VOX_ERR_WEIGHTS,
                        "%s: %s: byte %u: a key that is neither a text nor a number", k->w->path,
                        VOX_TORCH_PICKLE, key->at);
    }
    if ((size_t)n >= room)
        return vox_fail(k->err, VOX_ERR_WEIGHTS, "%s: %s: '%.60s...': a name of over %d bytes",
                        k->w->path, VOX_TORCH_PICKLE, k->name, MOST_NAME);
    *length += (size_t)n;
    return VOX_OK;
}

static vox_status walk_container(walk *k, uint32_t index, int depth, size_t length) {
    const vox_pickle *p = ((const vox_torch_file *)k->w->state)->pickle;
    const vox_pickle_value *v = vox_pickle_at(p, index);
    const uint32_t step = v->kind == VOX_PICKLE_DICT ? 2 : 1;
    for (int i = 0; i < depth; i++)
        if (k->path[i] == index)
            return vox_fail(k->err, VOX_ERR_WEIGHTS, "%s: %s: byte %u: '%.200s' contains itself",
                            k->w->path, VOX_TORCH_PICKLE, v->at, k->name);
    if (depth == MOST_DEPTH)
        return vox_fail(k->err, VOX_ERR_WEIGHTS, "%s: %s: byte %u: nested more than %d deep",
                        k->w->path, VOX_TORCH_PICKLE, v->at, MOST_DEPTH);
    k->path[depth] = index;
    k->work -= WORK_PER_CONTAINER;
    for (uint32_t i = 0; i < v->items.count; i += step) {
        const uint32_t content = vox_pickle_item(p, v, i + step - 1);
        const vox_pickle_kind kind = vox_pickle_at(p, content)->kind;
        size_t longer = length;
        vox_status status = VOX_OK;
        if (--k->work < 0)
            return vox_fail(k->err, VOX_ERR_WEIGHTS,
                            "%s: %s: the same containers stand in too many places", k->w->path,
                            VOX_TORCH_PICKLE);
        if (kind != VOX_PICKLE_CALL && kind != VOX_PICKLE_DICT && kind != VOX_PICKLE_LIST &&
            kind != VOX_PICKLE_TUPLE)
            continue;
        status =
            add_key(k, step == 2 ? vox_pickle_at(p, vox_pickle_item(p, v, i)) : NULL, i, &longer);
        if (status == VOX_OK)
            status = walk_value(k, content, depth + 1, longer);
        if (status != VOX_OK)
            return status;
        k->name[length] = 0;
    }
    return VOX_OK;
}

/* Numbers, texts and the like are passed over. */
static vox_status walk_value(walk *k, uint32_t index, int depth, size_t length) {
    const vox_pickle *p = ((const vox_torch_file *)k->w->state)->pickle;
    switch (vox_pickle_at(p, index)->kind) {
    case VOX_PICKLE_CALL:
        return found_tensor(k, index, length);
    case VOX_PICKLE_DICT:
    case VOX_PICKLE_LIST:
    case VOX_PICKLE_TUPLE:
        return walk_container(k, index, depth, length);
    default:
        return VOX_OK;
    }
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static vox_status check_names(const vox_weights *w, vox_error *err) {
    vox_status status = VOX_OK;
    const char **order = vox_alloc(w->count, sizeof *order, w->path, err);
    if (!order)
        return VOX_ERR_RESOURCE;
    for (int i = 0; i < w->count; i++)
        order[i] = w->names[i];
    qsort(order, (size_t)w->count, sizeof *order, by_name);
    for (int i = 1; i < w->count && status == VOX_OK; i++)
        if (strcmp(order[i - 1], order[i]) == 0)
            status = vox_fail(err, VOX_ERR_WEIGHTS, "%s: %s: tensor '%.200s': there twice", w->path,
                              VOX_TORCH_PICKLE, order[i]);
    free(order);
    return status;
}

static vox_status list_tensors(vox_weights *w, int64_t length, vox_error *err) {
    vox_torch_file *s = w->state;
    const uint32_t root = vox_pickle_root(s->pickle);
    walk k = {.w = w, .work = WORK_PER_BYTE * length, .err = err};
    vox_status status = walk_value(&k, root, 0, 0);
    if (status != VOX_OK)
        return status;
    if (k.count == 0)
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: %s: no tensors in it", w->path,
                        VOX_TORCH_PICKLE);
    s->tensor = vox_alloc(k.count, sizeof *s->tensor, w->path, err);
    if (!s->tensor)
        return VOX_ERR_RESOURCE;
    /* A file that is a tensor and no dictionary holds one nameless array. */
    if (vox_pickle_at(s->pickle, root)->kind == VOX_PICKLE_CALL)
        w->count = 1;
    else
        status = vox_weights_make_names(w, k.count, err);
    if (status != VOX_OK)
        return status;
    k = (walk){.w = w, .fill = true, .work = WORK_PER_BYTE * length, .err = err};
    status = walk_value(&k, root, 0, 0);
    return status == VOX_OK && w->names ? check_names(w, err) : status;
}

static vox_status open_file(vox_weights *w, vox_error *err) {
    if (!w->archive)
        return refuse_bare_pickle(w, err);
    vox_torch_file *s = w->state = calloc(1, sizeof *s);
    if (!s)
        return vox_fail(err, VOX_ERR_RESOURCE, "%s: out of memory", w->path);
    const int64_t member = find_pickle(w->archive); /* is there: see claims() */
    const char *name = vox_archive_name(w->archive, member);
    s->folder = vox_strdup(name, err);
    if (!s->folder)
        return VOX_ERR_RESOURCE;
    s->folder[strlen(name) - strlen(VOX_TORCH_PICKLE)] = 0;
    if (vox_torch_find(w, "constants.pkl") >= 0)
        return refuse_script(w, err);
    vox_status status = read_byteorder(w, err);
    if (status != VOX_OK)
        return status;
    /* Compressed, it could be longer than the file, and memory with it. */
    int64_t length;
    status = read_member(w, member, w->bytes, &s->bytes, &length, err);
    if (status != VOX_OK)
        return status;
    char label[600];
    snprintf(label, sizeof label, "%.300s: %.250s", w->path, VOX_TORCH_PICKLE);
    status = vox_pickle_read(label, s->bytes, length, vox_torch_globals, vox_torch_global_count,
                             &s->pickle, err);
    return status == VOX_OK ? list_tensors(w, length, err) : status;
}

static void close_file(vox_weights *w) {
    vox_torch_file *s = w->state;
    if (!s)
        return;
    vox_pickle_free(s->pickle);
    free(s->bytes);
    free(s->folder);
    free(s->tensor);
    free(s);
}

static vox_tensor *get(vox_weights *w, int i, vox_error *err) {
    const vox_torch_file *s = w->state;
    const char *name = vox_weights_name(w, i);
    vox_torch_view v;
    if (vox_torch_view_read(w, name, s->tensor[i], &v, err) != VOX_OK)
        return NULL;
    vox_tensor *t = vox_tensor_new(v.rank, v.shape, err);
    if (t && vox_torch_view_values(w, name, &v, t->data, err) != VOX_OK) {
        vox_tensor_free(t);
        t = NULL;
    }
    return t;
}

const vox_format vox_format_torch = {.name = "torch's .pt",
                                     .endings = ".pt .pth ",
                                     .sniff = sniff,
                                     .claims = claims,
                                     .open = open_file,
                                     .get = get,
                                     .close = close_file};
