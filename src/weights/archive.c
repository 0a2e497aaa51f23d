/* archive.c - see archive.h. */
#include "weights/archive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

struct vox_archive {
    zip_t *zip;
    int64_t bytes, count;
    const char **names; /* [count], in libzip's memory */
};

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

bool vox_archive_sniff(const unsigned char *head, int64_t bytes) {
    return bytes >= 4 && (memcmp(head, "PK\3\4", 4) == 0 || memcmp(head, "PK\5\6", 4) == 0);
}

/* ---- The directory ---- */

int64_t vox_archive_count(const vox_archive *a) {
    return a->count;
}

const char *vox_archive_name(const vox_archive *a, int64_t member) {
    return a->names[member];
}

int64_t vox_archive_find(const vox_archive *a, const char *name) {
    return zip_name_locate(a->zip, name, ZIP_FL_ENC_GUESS);
}

static vox_status list_names(vox_archive *a, const char *path, vox_error *err) {
    a->count = zip_get_num_entries(a->zip, 0);
    a->names = vox_alloc(a->count, sizeof *a->names, path, err);
    if (!a->names)
        return VOX_ERR_RESOURCE;
    for (int64_t i = 0; i < a->count; i++) {
        errno = 0;
        a->names[i] = zip_get_name(a->zip, (zip_uint64_t)i, ZIP_FL_ENC_GUESS);
        const int64_t found = a->names[i] ? vox_archive_find(a, a->names[i]) : -1;
        if (found < 0)
            return fail_zip(err, VOX_ERR_WEIGHTS, path, "zip archive: a name cannot be read");
        if (found != i)
            return vox_fail(err, VOX_ERR_WEIGHTS, "%s: member '%s': in the archive twice", path,
                            a->names[i]);
    }
    return VOX_OK;
}

vox_archive *vox_archive_open(const char *path, int64_t bytes, vox_error *err) {
    vox_archive *a = calloc(1, sizeof *a);
    if (!a) {
        vox_fail(err, VOX_ERR_RESOURCE, "%s: out of memory", path);
        return NULL;
    }
    a->bytes = bytes;
    int code;
    errno = 0;
    a->zip = zip_open(path, ZIP_RDONLY, &code);
    if (!a->zip) {
        zip_error_t e;
        char reason[200];
        zip_error_init_with_code(&e, code);
        snprintf(reason, sizeof reason, "zip archive: %s", zip_error_strerror(&e));
        zip_error_fini(&e);
        fail_zip(err, VOX_ERR_WEIGHTS, path, reason);
    }
    if (!a->zip || list_names(a, path, err) != VOX_OK) {
        vox_archive_free(a);
        return NULL;
    }
    return a;
}

void vox_archive_free(vox_archive *a) {
    if (!a)
        return;
    if (a->zip)
        zip_discard(a->zip);
    free(a->names);
    free(a);
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

vox_status vox_archive_length(const vox_archive *a, int64_t member, const char *label,
                              int64_t *length, vox_error *err) {
    zip_stat_t st;
    const zip_uint64_t wanted =
        ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    errno = 0;
    if (zip_stat_index(a->zip, (zip_uint64_t)member, 0, &st) != 0 || (st.valid & wanted) != wanted)
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
    if (st.comp_size > (uint64_t)a->bytes || st.size > INT64_MAX || st.size / growth > st.comp_size)
        return vox_fail(err, VOX_ERR_WEIGHTS,
                        "%s: zip member: size=%llu from %llu compressed bytes in a file of %lld: "
                        "not possible",
                        label, (unsigned long long)st.size, (unsigned long long)st.comp_size,
                        (long long)a->bytes);
    *length = (int64_t)st.size;
    return VOX_OK;
}

vox_status vox_archive_start(vox_archive *a, int64_t member, vox_bytes *b, vox_error *err) {
    const vox_status status = vox_archive_length(a, member, b->label, &b->length, err);
    if (status != VOX_OK)
        return status;
    errno = 0;
    b->at = 0;
    b->read = read_member;
    b->context = zip_fopen_index(a->zip, (zip_uint64_t)member, 0);
    return b->context ? VOX_OK : fail_member(err, b->label, zip_strerror(a->zip));
}

/* libzip looks at the CRC when it meets the end. */
vox_status vox_archive_check_end(vox_bytes *b, vox_error *err) {
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

void vox_archive_stop(vox_bytes *b) {
    if (b->context)
        zip_fclose(b->context);
    b->context = NULL;
}

/* ---- Writing ---- */

/* Adds one stored member. `data` stays the caller's until the archive is closed: where libzip is
 * given it and fails, it may have freed it or not. A fixed date keeps the bytes reproducible. */
static bool add_member(zip_t *zip, const char *name, const unsigned char *data, int64_t bytes) {
    const zip_uint16_t midnight = 0, first_of_1980 = 1 << 5 | 1;
    zip_source_t *from = zip_source_buffer(zip, data, (zip_uint64_t)bytes, 0);
    if (!from)
        return false;
    zip_int64_t index = zip_file_add(zip, name, from, ZIP_FL_ENC_UTF_8);
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

vox_status vox_archive_write(const char *path, int count, const char *const *names,
                             const unsigned char *const *data, const int64_t *bytes, bool force,
                             vox_error *err) {
    vox_status status = VOX_OK;
    zip_t *zip = NULL;
    zip_error_t e;
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
        errno = 0;
        if (!add_member(zip, names[i], data[i], bytes[i])) {
            char reason[400];
            snprintf(reason, sizeof reason, "'%.250s': not a name for a zip member: %s", names[i],
                     zip_strerror(zip));
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
    return status;
}
