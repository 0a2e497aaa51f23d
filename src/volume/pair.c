/* pair.c - the two halves of a .hdr/.img pair find each other, each gzipped or not.
 *
 * Names matter here and nowhere else in reading: a pair's header does not say where its voxels are.
 */
#include "volume/input.h"

#include "volume/extensions.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* The length of `path` up to the ending ".EXT" or ".EXT.gz" in either case; 0 where it has another.
 */
static size_t stem_length(const char *path, const char *extension) {
    size_t n = strlen(path);
    if (n > 3 && strcasecmp(path + n - 3, ".gz") == 0)
        n -= 3;
    return n > 4 && strncasecmp(path + n - 4, extension, 4) == 0 ? n - 4 : 0;
}

/* STEM + ".hdr" or the like, in capitals where the partner's is, and then ".gz" or nothing. */
static char *partner_name(const char *path, size_t stem, const char *extension, bool gzip,
                          vox_error *err) {
    char *name = vox_alloc((int64_t)stem + 8, 1, path, err);
    if (!name)
        return NULL;
    memcpy(name, path, stem);
    memcpy(name + stem, extension, 4);
    if (path[stem + 1] >= 'A' && path[stem + 1] <= 'Z')
        for (char *c = name + stem; *c; c++)
            *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
    if (gzip)
        memcpy(name + stem + 4, ".gz", 4);
    return name;
}

/* The partner that exists, the one packed like `path` first; *found NULL where there is none. */
static vox_status find_partner(const char *path, size_t stem, const char *extension, char **found,
                               vox_error *err) {
    const bool gzip = path[stem + 4] != '\0';
    *found = NULL;
    for (int i = 0; i < 2; i++) {
        char *name = partner_name(path, stem, extension, gzip == (i == 0), err);
        if (!name)
            return VOX_ERR_RESOURCE;
        if (access(name, F_OK) == 0) {
            *found = name;
            return VOX_OK;
        }
        free(name);
    }
    return VOX_OK;
}

vox_status vox_pair_header_name(const char *path, char **header_path, vox_error *err) {
    *header_path = NULL;
    const size_t stem = stem_length(path, ".img");
    return stem ? find_partner(path, stem, ".hdr", header_path, err) : VOX_OK;
}

vox_status vox_pair_open_data(vox_file *f, const char *header_path, vox_error *err) {
    const size_t stem = stem_length(header_path, ".hdr");
    vox_status status;
    if (!stem)
        return vox_fail(
            err, VOX_ERR_INPUT,
            "%s: magic=\"%s\": the voxels are in a second file, which cannot be found from "
            "this name (a pair is called NAME.hdr and NAME.img)",
            vox_path_text(header_path), f->header.version == 1 ? "ni1" : "ni2");
    if ((status = find_partner(header_path, stem, ".img", &f->data_path, err)))
        return status;
    if (!f->data_path)
        return vox_fail(err, VOX_ERR_INPUT,
                        "%s: its voxels are in %.*s.img or %.*s.img.gz, and neither exists",
                        header_path, (int)stem, header_path, (int)stem, header_path);
    f->data = vox_source_open(f->data_path, VOX_ERR_INPUT, err);
    if (!f->data)
        return err ? err->status : VOX_ERR_INPUT;
    if ((status = vox_header_check_size(f->data_path, &f->header, vox_source_bytes(f->data), err)))
        return status;
    return vox_source_skip(f->data, f->header.vox_offset, err);
}
