/* output_name.c - the table of endings, and the names of a pair's halves and of a file per channel.
 */
#include "volume/output_name.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

typedef struct ending {
    const char *text;
    bool pair, gzip, npy;
} ending;

static const ending endings[] = {
    {".nii.gz", .gzip = true},
    {".hdr.gz", .pair = true, .gzip = true},
    {".img.gz", .pair = true, .gzip = true},
    {".npy.gz", .npy = true, .gzip = true},
    {".nii", .pair = false},
    {".hdr", .pair = true},
    {".img", .pair = true},
    {".npy", .npy = true},
};

static const struct {
    const char *type;
    ending ending;
} fsl_types[] = {
    {"NIFTI_GZ", {".nii.gz", .gzip = true}},
    {"NIFTI", {".nii", .pair = false}},
    {"NIFTI_PAIR", {".hdr", .pair = true}},
    {"NIFTI_PAIR_GZ", {".hdr.gz", .pair = true, .gzip = true}},
};

static const ending *ending_of(const char *path) {
    const size_t n = strlen(path);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        const size_t m = strlen(endings[i].text);
        if (n > m && path[n - m - 1] != '/' && strcasecmp(path + n - m, endings[i].text) == 0)
            return &endings[i];
    }
    return NULL;
}

static const ending *default_ending(const char *path, vox_error *err) {
    const char *type = getenv("FSLOUTPUTTYPE");
    if (!type || !*type)
        return &fsl_types[0].ending;
    for (size_t i = 0; i < sizeof fsl_types / sizeof fsl_types[0]; i++)
        if (strcmp(type, fsl_types[i].type) == 0)
            return &fsl_types[i].ending;
    vox_fail(
        err, VOX_ERR_USAGE,
        "%s: FSLOUTPUTTYPE=%s: not one of NIFTI, NIFTI_GZ, NIFTI_PAIR, NIFTI_PAIR_GZ (a name that "
        "ends in .nii.gz does without it)",
        path, type);
    return NULL;
}

/* The path's first `stem` bytes, the channel's number and an ending. */
static char *compose(const char *path, size_t stem, int64_t channel, const char *tail,
                     vox_error *err) {
    char number[24] = "";
    if (channel >= 0)
        snprintf(number, sizeof number, "_%04lld", (long long)channel);
    const size_t room = stem + strlen(number) + strlen(tail) + 1;
    char *name = vox_alloc((int64_t)room, 1, path, err);
    if (name)
        snprintf(name, room, "%.*s%s%s", (int)stem, path, number, tail);
    return name;
}

/* Names of a pair: the ending as it was given, and its other half with "hdr" and "img" exchanged.
 */
static vox_status name_files(const char *path, size_t stem, int64_t channel, const char *tail,
                             vox_output_name *name, vox_error *err) {
    name->header = compose(path, stem, channel, tail, err);
    if (!name->header)
        return VOX_ERR_RESOURCE;
    if (!name->pair)
        return VOX_OK;
    name->data = compose(path, stem, channel, tail, err);
    if (!name->data)
        return VOX_ERR_RESOURCE;
    const size_t at = strlen(name->header) - strlen(tail) + 1;
    const bool capital = name->header[at] < 'a';
    memcpy(name->header + at, capital ? "HDR" : "hdr", 3);
    memcpy(name->data + at, capital ? "IMG" : "img", 3);
    return VOX_OK;
}

/* The shell's names of standard output. What is behind them may be a regular file that exists, and
 * no name gets an ending or a temporary file there. */
static bool is_stdout_name(const char *path) {
    static const char *const names[] = {"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(path, names[i]) == 0)
            return true;
    return false;
}

vox_status vox_output_name_resolve(const char *path, int compression, int64_t channel,
                                   vox_output_name *name, vox_error *err) {
    memset(name, 0, sizeof *name);
    const size_t length = strlen(path);
    const bool is_stdout = is_stdout_name(path);
    const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
    if (!*last || strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
        return vox_fail(err, VOX_ERR_USAGE, "%s: the output's name is missing", path);
    struct stat st;
    const bool exists = !is_stdout && stat(path, &st) == 0;
    const ending *e = ending_of(path);
    name->device = is_stdout || (exists && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode));
    if (name->device && channel >= 0)
        return vox_fail(err, VOX_ERR_USAGE, "%s: a file per channel needs the name of a file",
                        is_stdout ? "stdout" : path);
    if (e) {
        name->pair = e->pair;
        name->gzip = e->gzip;
        name->npy = e->npy;
        const size_t stem = length - strlen(e->text);
        return name_files(path, stem, channel, path + stem, name, err);
    }
    if (name->device) {
        name->stream = true;
        name->gzip = compression >= 1;
        if (is_stdout)
            return name_files("-", 1, -1, "", name, err);
        return name_files(path, length, -1, "", name, err);
    }
    e = default_ending(path, err);
    if (!e)
        return VOX_ERR_USAGE;
    name->pair = e->pair;
    name->gzip = e->gzip;
    return name_files(path, length, channel, e->text, name, err);
}

void vox_output_name_clear(vox_output_name *name) {
    free(name->header);
    free(name->data);
    memset(name, 0, sizeof *name);
}
