/* npz.c - numpy's .npz: a zip archive whose members are .npy files.
 *
 * An array's name is its member's without ".npy", as numpy.load shows it; other members are passed
 * over. libzip checks the archive's structure and, at the end of a member, its CRC and length. What
 * it does not check, whether a member can be as long as it claims, is checked here before memory is
 * taken.
 */
#include "weights/weights.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

typedef struct state {
    zip_t *zip;
    zip_uint64_t *member; /* [count] index in the archive */
} state;

/* What libzip could not do. It does not always say that memory was short, and finds fault with the
 * archive; malloc says so in errno, which is 0 before a call of libzip. */
static vox_status fail_zip(vox_error *err, vox_status status, const char *label,
                           const char *reason) {
    if (errno == ENOMEM)
        return vox_fail(err, VOX_ERR_RESOURCE, "%s: zip archive: out of memory", label);
    if (errno == EMFILE || errno == ENFILE)
        status = VOX_ERR_RESOURCE;
    return vox_fail(err, status, "%s: %s", label, reason);
}

static bool sniff(const unsigned char *head, int64_t bytes) {
    return bytes >= 4 && (memcmp(head, "PK\3\4", 4) == 0 || memcmp(head, "PK\5\6", 4) == 0);
}

static void close_archive(vox_weights *w) {
    state *s = w->state;
    if (!s)
        return;
    if (s->zip)
        zip_discard(s->zip);
    free(s->member);
    free(s);
}

static bool is_array(const char *name) {
    size_t n = strlen(name);
    return n > 4 && strcmp(name + n - 4, ".npy") == 0;
}

/* Fills names and members; numpy shows the members in the archive's order too. */
static vox_status list_arrays(vox_weights *w, state *s, int64_t entries, vox_error *err) {
    int64_t arrays = 0;
    errno = 0;
    for (int64_t i = 0; i < entries; i++) {
        const char *name = zip_get_name(s->zip, (zip_uint64_t)i, ZIP_FL_ENC_GUESS);
        if (!name)
            return fail_zip(err, VOX_ERR_WEIGHTS, w->path, "zip archive: a name cannot be read");
        arrays += is_array(name);
    }
    if (!arrays)
        return vox_fail(err, VOX_ERR_WEIGHTS,
                        "%s: a zip archive without .npy members (a .pt file? save its state_dict "
                        "as .safetensors or .npz)",
                        w->path);
    vox_status status = vox_weights_make_names(w, arrays, err);
    if (status != VOX_OK)
        return status;
    s->member = vox_alloc(arrays, sizeof *s->member, w->path, err);
    if (!s->member)
        return VOX_ERR_RESOURCE;
    for (int64_t i = 0, a = 0; i < entries; i++) {
        errno = 0;
        const char *name = zip_get_name(s->zip, (zip_uint64_t)i, ZIP_FL_ENC_GUESS);
        if (name && !is_array(name))
            continue;
        const int64_t found = name ? zip_name_locate(s->zip, name, ZIP_FL_ENC_GUESS) : -1;
        if (found < 0)
            return fail_zip(err, VOX_ERR_WEIGHTS, w->path, "zip archive: a name cannot be read");
        if (found != i)
            return vox_fail(err, VOX_ERR_WEIGHTS, "%s: member '%s': in the archive twice", w->path,
                            name);
        w->names[a] = vox_strdup(name, err);
        if (!w->names[a])
            return VOX_ERR_RESOURCE;
        w->names[a][strlen(name) - 4] = 0;
        s->member[a++] = (zip_uint64_t)i;
    }
    return VOX_OK;
}

static vox_status open_archive(vox_weights *w, vox_error *err) {
    state *s = w->state = calloc(1, sizeof *s);
    if (!s)
        return vox_fail(err, VOX_ERR_RESOURCE, "%s: out of memory", w->path);
    int code;
    errno = 0;
    s->zip = zip_open(w->path, ZIP_RDONLY, &code);
    if (!s->zip) {
        zip_error_t e;
        char reason[200];
        zip_error_init_with_code(&e, code);
        snprintf(reason, sizeof reason, "zip archive: %s", zip_error_strerror(&e));
        zip_error_fini(&e);
        return fail_zip(err, VOX_ERR_WEIGHTS, w->path, reason);
    }
    return list_arrays(w, s, zip_get_num_entries(s->zip, 0), err);
}

/* ---- Reading a member ---- */

static vox_status fail_member(vox_error *err, const char *label, const char *what) {
    char reason[200];
    snprintf(reason, sizeof reason, "zip member: %s", what);
    return fail_zip(err, VOX_ERR_WEIGHTS, label, reason);
}

static vox_status read_member(vox_bytes *b, void *buf, int64_t bytes, vox_error *err) {
    zip_file_t *file = b->context;
    errno = 0;
    for (int64_t got = 0; got < bytes;) {
        zip_int64_t n = zip_fread(file, (char *)buf + got, (zip_uint64_t)(bytes - got));
        if (n <= 0)
            return fail_member(err, b->label,
                               n < 0 ? zip_file_strerror(file) : "shorter than the archive says");
        got += n;
        b->at += n;
    }
    return VOX_OK;
}

/* A member that ends where it should and whose CRC fits: libzip looks when it meets the end. */
static vox_status check_end(vox_bytes *b, vox_error *err) {
    char more;
    errno = 0;
    zip_int64_t n = zip_fread(b->context, &more, 1);
    if (n < 0)
        return fail_member(err, b->label, zip_file_strerror(b->context));
    if (n > 0)
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: zip member: longer than the archive says",
                        b->label);
    return VOX_OK;
}

/* The length that the archive gives a member, if it can be true. */
static vox_status member_length(vox_weights *w, const char *label, zip_uint64_t index,
                                int64_t *length, vox_error *err) {
    state *s = w->state;
    zip_stat_t st;
    const zip_uint64_t wanted =
        ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    errno = 0;
    if (zip_stat_index(s->zip, index, 0, &st) != 0 || (st.valid & wanted) != wanted)
        return fail_member(err, label, "its directory entry is incomplete");
    if (st.encryption_method != ZIP_EM_NONE)
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: zip member: encrypted", label);
    if (st.comp_method != ZIP_CM_STORE && st.comp_method != ZIP_CM_DEFLATE)
        return vox_fail(err, VOX_ERR_WEIGHTS,
                        "%s: zip member: compression method=%d: stored (0) and deflated (8) are "
                        "known",
                        label, st.comp_method);
    /* Deflate makes at most 258 bytes of 2 bits (RFC 1951), so 1032 of a byte. */
    const uint64_t growth = st.comp_method == ZIP_CM_DEFLATE ? 1032 : 1;
    if (st.comp_size > (uint64_t)w->bytes || st.size > INT64_MAX || st.size / growth > st.comp_size)
        return vox_fail(err, VOX_ERR_WEIGHTS,
                        "%s: zip member: size=%llu from %llu compressed bytes in a file of %lld: "
                        "not possible",
                        label, (unsigned long long)st.size, (unsigned long long)st.comp_size,
                        (long long)w->bytes);
    *length = (int64_t)st.size;
    return VOX_OK;
}

static vox_tensor *get(vox_weights *w, int i, vox_error *err) {
    state *s = w->state;
    char label[600];
    snprintf(label, sizeof label, "%.300s: array '%.250s'", w->path, w->names[i]);
    vox_bytes b = {.label = label, .read = read_member};
    if (member_length(w, label, s->member[i], &b.length, err) != VOX_OK)
        return NULL;
    errno = 0;
    zip_file_t *file = zip_fopen_index(s->zip, s->member[i], 0);
    if (!file) {
        fail_member(err, label, zip_strerror(s->zip));
        return NULL;
    }
    b.context = file;
    vox_tensor *t = vox_npy_read(&b, err);
    if (t && check_end(&b, err) != VOX_OK) {
        vox_tensor_free(t);
        t = NULL;
    }
    zip_fclose(file);
    return t;
}

/* ---- Writing ---- */

/* Adds one stored member. `data` stays the caller's until the archive is closed: where libzip is
 * given it and fails, it may have freed it or not. A fixed date keeps the bytes reproducible. */
static bool add_member(zip_t *zip, const char *name, const unsigned char *data, int64_t bytes) {
    char member[600];
    const zip_uint16_t midnight = 0, first_of_1980 = 1 << 5 | 1;
    zip_source_t *from = zip_source_buffer(zip, data, (zip_uint64_t)bytes, 0);
    if (!from)
        return false;
    if (snprintf(member, sizeof member, "%s.npy", name) >= (int)sizeof member) {
        zip_source_free(from);
        return false;
    }
    zip_int64_t index = zip_file_add(zip, member, from, ZIP_FL_ENC_UTF_8);
    if (index < 0) {
        zip_source_free(from);
        return false;
    }
    return zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_STORE, 0) == 0 &&
           zip_file_set_dostime(zip, (zip_uint64_t)index, midnight, first_of_1980, 0) == 0;
}

/* The finished archive, out of the memory that it was written to. */
static vox_status publish(const char *path, zip_source_t *memory, bool force, vox_error *err) {
    zip_stat_t st;
    errno = 0;
    if (zip_source_stat(memory, &st) != 0 || zip_source_open(memory) != 0)
        return fail_zip(err, VOX_ERR_OUTPUT, path, "zip archive: cannot be read back");
    vox_status status = VOX_ERR_RESOURCE;
    unsigned char *buf = vox_alloc((int64_t)st.size, 1, path, err);
    if (buf) {
        if (zip_source_read(memory, buf, st.size) == (zip_int64_t)st.size)
            status = vox_weights_publish(path, buf, (int64_t)st.size, force, err);
        else
            status = fail_zip(err, VOX_ERR_OUTPUT, path, "zip archive: cannot be read back");
        free(buf);
    }
    zip_source_close(memory);
    return status;
}

static vox_status save(const char *path, int count, const char *const *names,
                       const vox_tensor *const *tensors, bool force, vox_error *err) {
    vox_status status = VOX_OK;
    zip_t *zip = NULL;
    zip_error_t e;
    unsigned char **data = vox_alloc(count, sizeof *data, path, err);
    if (!data)
        return VOX_ERR_RESOURCE;
    zip_error_init(&e);
    zip_source_t *memory = zip_source_buffer_create(NULL, 0, 0, &e);
    if (memory)
        zip = zip_open_from_source(memory, ZIP_TRUNCATE, &e);
    if (!zip) {
        status =
            vox_fail(err, VOX_ERR_RESOURCE, "%s: zip archive: %s", path, zip_error_strerror(&e));
        zip_source_free(memory);
        memory = NULL;
        goto out;
    }
    zip_source_keep(memory);
    for (int i = 0; i < count; i++) {
        int64_t bytes;
        data[i] = vox_npy_encode(tensors[i], &bytes, err);
        if (!data[i]) {
            status = VOX_ERR_RESOURCE;
            goto out;
        }
        errno = 0;
        if (!add_member(zip, names[i], data[i], bytes)) {
            char reason[400];
            snprintf(reason, sizeof reason, "array '%.250s': not a name for a zip member: %s",
                     names[i], zip_strerror(zip));
            status = fail_zip(err, VOX_ERR_USAGE, path, reason);
            goto out;
        }
    }
    errno = 0;
    if (zip_close(zip) != 0) {
        status = fail_zip(err, VOX_ERR_OUTPUT, path, "zip archive: cannot be put together");
        goto out;
    }
    zip = NULL;
    status = publish(path, memory, force, err);
out:
    if (zip)
        zip_discard(zip);
    zip_source_free(memory);
    zip_error_fini(&e);
    for (int i = 0; i < count; i++)
        free(data[i]);
    free(data);
    return status;
}

const vox_format vox_format_npz = {.name = ".npz",
                                   .endings = ".npz ",
                                   .sniff = sniff,
                                   .open = open_archive,
                                   .get = get,
                                   .close = close_archive,
                                   .save = save};
