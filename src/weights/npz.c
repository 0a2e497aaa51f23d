/* npz.c - numpy's .npz: a zip archive whose members are .npy files.
 *
 * An array's name is its member's without ".npy", as numpy.load shows it; other members are passed
 * over.
 */
#include "weights/archive.h"

#include <stdlib.h>
#include <string.h>

static bool is_array(const char *name) {
    size_t n = strlen(name);
    return n > 4 && strcmp(name + n - 4, ".npy") == 0;
}

static bool claims(const vox_archive *a) {
    for (int64_t i = 0; i < vox_archive_count(a); i++)
        if (is_array(vox_archive_name(a, i)))
            return true;
    return false;
}

static void close_arrays(vox_weights *w) {
    free(w->state);
}

/* Fills names and, as the state, their members; numpy shows the archive's order too. */
static vox_status list_arrays(vox_weights *w, vox_error *err) {
    const int64_t members = vox_archive_count(w->archive);
    int64_t arrays = 0;
    for (int64_t i = 0; i < members; i++)
        arrays += is_array(vox_archive_name(w->archive, i));
    if (!arrays)
        return vox_fail(err, VOX_ERR_WEIGHTS,
                        "%s: a zip archive without .npy members, and none of torch.save", w->path);
    vox_status status = vox_weights_make_names(w, arrays, err);
    if (status != VOX_OK)
        return status;
    int64_t *member = w->state = vox_alloc(arrays, sizeof *member, w->path, err);
    if (!member)
        return VOX_ERR_RESOURCE;
    for (int64_t i = 0, a = 0; i < members; i++) {
        const char *name = vox_archive_name(w->archive, i);
        if (!is_array(name))
            continue;
        w->names[a] = vox_strdup(name, err);
        if (!w->names[a])
            return VOX_ERR_RESOURCE;
        w->names[a][strlen(name) - 4] = 0;
        member[a++] = i;
    }
    return VOX_OK;
}

static vox_tensor *get(vox_weights *w, int i, vox_error *err) {
    const int64_t *member = w->state;
    char label[600];
    snprintf(label, sizeof label, "%.300s: array '%.250s'", w->path, w->names[i]);
    vox_bytes b = {.label = label};
    if (vox_archive_start(w->archive, member[i], &b, err) != VOX_OK)
        return NULL;
    vox_tensor *t = vox_npy_read(&b, err);
    if (t && vox_archive_check_end(&b, err) != VOX_OK) {
        vox_tensor_free(t);
        t = NULL;
    }
    vox_archive_stop(&b);
    return t;
}

/* ---- Writing ---- */

/* The names and bytes of the members, each to be freed; those that were made where one fails. */
static vox_status encode(int count, const char *const *names, const vox_tensor *const *tensors,
                         char **members, unsigned char **data, int64_t *bytes, vox_error *err) {
    for (int i = 0; i < count; i++) {
        const size_t room = strlen(names[i]) + sizeof ".npy";
        members[i] = vox_alloc((int64_t)room, 1, names[i], err);
        if (!members[i])
            return VOX_ERR_RESOURCE;
        snprintf(members[i], room, "%s.npy", names[i]);
        data[i] = vox_npy_encode(tensors[i], &bytes[i], err);
        if (!data[i])
            return VOX_ERR_RESOURCE;
    }
    return VOX_OK;
}

static vox_status save(const char *path, int count, const char *const *names,
                       const vox_tensor *const *tensors, bool force, vox_error *err) {
    vox_status status = VOX_ERR_RESOURCE;
    char **members = vox_alloc(count, sizeof *members, path, err);
    unsigned char **data = vox_alloc(count, sizeof *data, path, err);
    int64_t *bytes = vox_alloc(count, sizeof *bytes, path, err);
    if (members && data && bytes)
        status = encode(count, names, tensors, members, data, bytes, err);
    if (status == VOX_OK)
        status = vox_archive_write(path, count, (const char *const *)members,
                                   (const unsigned char *const *)data, bytes, force, err);
    for (int i = 0; i < count; i++) {
        if (members)
            free(members[i]);
        if (data)
            free(data[i]);
    }
    free(members);
    free(data);
    free(bytes);
    return status;
}

const vox_format vox_format_npz = {.name = ".npz",
                                   .endings = ".npz ",
                                   .claims = claims,
                                   .open = list_arrays,
                                   .get = get,
                                   .close = close_arrays,
                                   .save = save};
