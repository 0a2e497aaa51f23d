/* weights.c - the table of formats, and the public functions that look things up in it. */
#include "weights/archive.h"

#include <stdlib.h>
#include <string.h>

/* Asked in this order. safetensors comes before NIfTI: a header of 348 bytes begins like a NIfTI-1
 * file but for the brace. The last one takes what nobody else claims. */
static const vox_format *const formats[] = {
    &vox_format_npy,   &vox_format_npz,   &vox_format_safetensors,
    &vox_format_nifti, &vox_format_torch, &vox_format_text,
};
enum { FORMATS = sizeof formats / sizeof *formats };

/* The format whose endings the name has, the longest ending if several fit; NULL where none does.
 */
static const vox_format *format_by_name(const char *path) {
    for (int i = 0; i < FORMATS; i++)
        for (const char *e = formats[i]->endings; *e; e += strcspn(e, " ") + 1) {
            size_t n = strcspn(e, " "), all = strlen(path);
            if (all > n && strncasecmp(path + all - n, e, n) == 0)
                return formats[i];
        }
    return NULL;
}

/* Of a zip archive the members decide; .npz says of one without any that it is none. NULL on error.
 */
static const vox_format *find_archive_format(vox_weights *w, vox_error *err) {
    w->archive = vox_archive_open(w->path, w->bytes, err);
    if (!w->archive)
        return NULL;
    for (int i = 0; i < FORMATS; i++)
        if (formats[i]->claims && formats[i]->claims(w->archive))
            return formats[i];
    return &vox_format_npz;
}

/* Content decides; a name only helps where the content says nothing, so that a damaged .npy is
 * called that and not a bad text file. NULL on error. */
static const vox_format *find_format(vox_weights *w, vox_error *err) {
    unsigned char head[VOX_SNIFF_BYTES];
    const int64_t n = vox_min(w->bytes, VOX_SNIFF_BYTES);
    if (vox_source_is_gzip(w->source))
        return &vox_format_nifti;
    if (!vox_source_positioned(w->source)) {
        vox_fail(err, VOX_ERR_WEIGHTS, "%s: not a regular file: weights are read by position",
                 w->path);
        return NULL;
    }
    if (vox_source_read_at(w->source, head, n, 0, err) != VOX_OK)
        return NULL;
    if (vox_archive_sniff(head, n))
        return find_archive_format(w, err);
    for (int i = 0; i < FORMATS; i++)
        if (formats[i]->sniff && formats[i]->sniff(head, n))
            return formats[i];
    const vox_format *named = format_by_name(w->path);
    if (named && named->claims) /* a damaged archive, which libzip says more about */
        return find_archive_format(w, err);
    return named ? named : &vox_format_text;
}

vox_weights *vox_weights_open(const char *path, vox_error *err) {
    vox_weights *w = calloc(1, sizeof *w);
    if (!w) {
        vox_fail(err, VOX_ERR_RESOURCE, "%s: out of memory", path);
        return NULL;
    }
    w->path = vox_strdup(path, err);
    if (w->path)
        w->source = vox_source_open(path, VOX_ERR_WEIGHTS, err);
    if (!w->source)
        goto failed;
    w->bytes = vox_source_bytes(w->source);
    w->format = find_format(w, err);
    if (!w->format)
        goto failed;
    if (w->format->open) {
        if (w->format->open(w, err) != VOX_OK)
            goto failed;
    } else {
        w->count = 1;
    }
    return w;
failed:
    vox_weights_free(w);
    return NULL;
}

void vox_weights_free(vox_weights *w) {
    if (!w)
        return;
    if (w->format && w->format->close)
        w->format->close(w);
    for (int i = 0; w->names && i < w->count; i++)
        free(w->names[i]);
    free(w->names);
    vox_archive_free(w->archive);
    vox_source_free(w->source);
    free(w->path);
    free(w);
}

vox_status vox_weights_make_names(vox_weights *w, int64_t count, vox_error *err) {
    if (count > INT32_MAX)
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: %lld arrays are too many", w->path,
                        (long long)count);
    w->names = vox_alloc(count, sizeof *w->names, w->path, err);
    if (!w->names)
        return VOX_ERR_RESOURCE;
    w->count = (int)count;
    return VOX_OK;
}

const char *vox_weights_path(const vox_weights *w) {
    return w->path;
}

int vox_weights_count(const vox_weights *w) {
    return w->count;
}

const char *vox_weights_name(const vox_weights *w, int i) {
    return w->names ? w->names[i] : "";
}

static int find(const vox_weights *w, const char *name) {
    for (int i = 0; i < w->count; i++)
        if (strcmp(vox_weights_name(w, i), name) == 0)
            return i;
    return -1;
}

bool vox_weights_has(const vox_weights *w, const char *name) {
    return find(w, name) >= 0;
}

/* "it has a, b, c and 5 more": as many names as fit into a sentence. */
static const char *names_text(const vox_weights *w, char text[512]) {
    int at = snprintf(text, 512, w->count ? "it has " : "it has no array");
    for (int i = 0; i < w->count; i++) {
        const char *name = vox_weights_name(w, i);
        if (at + strlen(name) > 460) {
            snprintf(text + at, (size_t)(512 - at), "%s%d more", i ? " and " : "", w->count - i);
            break;
        }
        at += snprintf(text + at, (size_t)(512 - at), "%s%s", i ? ", " : "",
                       *name ? name : "one nameless array");
    }
    return text;
}

vox_tensor *vox_weights_get(vox_weights *w, const char *name, vox_error *err) {
    char text[512];
    int i = 0;
    if (name && *name) {
        i = find(w, name);
        if (i < 0) {
            vox_fail(err, VOX_ERR_WEIGHTS, "%s: array '%.200s': not in the file, %s", w->path, name,
                     names_text(w, text));
            return NULL;
        }
    } else if (w->count != 1) {
        vox_fail(err, VOX_ERR_WEIGHTS, "%s: which array? %s", w->path, names_text(w, text));
        return NULL;
    }
    return w->format->get(w, i, err);
}

vox_status vox_weights_publish(const char *path, const void *buf, int64_t bytes, bool force,
                               vox_error *err) {
    const vox_sink_options options = {.gzip = false, .level = -1, .threads = 1, .force = force};
    vox_error local = {.status = VOX_OK};
    vox_sink *sink = vox_sink_open(path, &options, &local);
    vox_status status = local.status;
    if (status == VOX_OK)
        status = vox_sink_write(sink, buf, bytes, &local);
    if (status == VOX_OK)
        status = vox_sink_close(sink, &local);
    if (status == VOX_OK)
        status = vox_sink_publish(sink, &local);
    vox_sink_free(sink);
    return status == VOX_OK ? VOX_OK : vox_fail(err, status, "%s", local.message);
}

/* Names as a file with several arrays needs them: there, and each once. */
static vox_status check_names(const char *path, int count, const char *const *names,
                              vox_error *err) {
    for (int i = 0; i < count; i++)
        for (int j = 0; j < i; j++)
            if (strcmp(names[i], names[j]) == 0)
                return vox_fail(err, VOX_ERR_USAGE, "%s: array '%s': given twice", path, names[i]);
    return VOX_OK;
}

vox_status vox_weights_save(const char *path, int count, const char *const *names,
                            const vox_tensor *const *tensors, bool force, vox_error *err) {
    const vox_format *f = strcmp(path, "-") == 0 ? &vox_format_npy : format_by_name(path);
    if (!f || !f->save)
        return vox_fail(err, VOX_ERR_USAGE,
                        "%s: unknown ending: .npy, .npz, .safetensors, .txt, .nii and .nii.gz are "
                        "known",
                        path);
    if (count < 1 || (f->most && count > f->most))
        return vox_fail(err, VOX_ERR_USAGE,
                        "%s: %d arrays: %s holds one; .npz and .safetensors hold many", path, count,
                        f->name);
    if (f->most)
        return f->save(path, count, names, tensors, force, err);
    const char **given = vox_alloc(count, sizeof *given, path, err);
    if (!given)
        return VOX_ERR_RESOURCE;
    for (int i = 0; i < count; i++)
        given[i] = names && names[i] && *names[i] ? names[i] : "weight";
    vox_status status = check_names(path, count, given, err);
    if (status == VOX_OK)
        status = f->save(path, count, given, tensors, force, err);
    free(given);
    return status;
}
