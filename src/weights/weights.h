/* weights.h - tensor files: one table of formats behind vox_weights_open, _get and _save.
 *
 * A new format is one file with a `const vox_format`, declared here, and one row of the table in
 * weights.c. The public functions (vox_tensor_*, vox_weights_*, vox_kernel_*, vox_init_conv3d) are
 * in voxconv.h.
 */
#ifndef VOX_WEIGHTS_H
#define VOX_WEIGHTS_H

#include "base/base.h"
#include "base/random.h"
#include "stream/stream.h"

/* ---- Formats ---- */

typedef struct vox_format vox_format;
typedef struct vox_archive vox_archive; /* archive.h */

/* An open file. The common part is filled by vox_weights_open; `count`, `names` and `state` are the
 * format's. */
struct vox_weights {
    char *path;
    const vox_format *format;
    vox_source *source;   /* read by position, except by a format that opens the path on its own */
    vox_archive *archive; /* where the file is a zip archive */
    int64_t bytes;        /* length of the file; -1: gzip */
    int count;
    char **names; /* [count], each owned; NULL: one nameless array */
    void *state;  /* owned by the format's close() */
};

enum { VOX_SNIFF_BYTES = 16 };

struct vox_format {
    const char *name;    /* as people call it */
    const char *endings; /* of file names, each followed by a space: ".nii .nii.gz " */
    int most;            /* arrays that a file can hold; 0: any number */
    /* Whether a file that starts with these bytes is one. NULL: known by its name only. */
    bool (*sniff)(const unsigned char *head, int64_t bytes);
    /* Whether a zip archive with these members is one. NULL: it is none. */
    bool (*claims)(const vox_archive *a);
    /* Lists the arrays. NULL: one nameless array, read by get(). */
    vox_status (*open)(vox_weights *w, vox_error *err);
    vox_tensor *(*get)(vox_weights *w, int i, vox_error *err);
    void (*close)(vox_weights *w); /* frees `state`; may be NULL */
    /* `names` are never NULL or empty where `most` is 0. */
    vox_status (*save)(const char *path, int count, const char *const *names,
                       const vox_tensor *const *tensors, bool force, vox_error *err);
};

extern const vox_format vox_format_npy, vox_format_npz, vox_format_safetensors, vox_format_nifti,
    vox_format_torch, vox_format_text;

/* Room for `count` names; fills w->names and w->count with NULLs. */
vox_status vox_weights_make_names(vox_weights *w, int64_t count, vox_error *err);

/* Writes a whole small file: sink, close, publish. "-" is stdout. */
vox_status vox_weights_publish(const char *path, const void *buf, int64_t bytes, bool force,
                               vox_error *err);

/* ---- Initial weights ---- */

/* reset_parameters of torch's Conv3d, ConvTranspose3d and Linear: the next draws of r for `count`
 * weights, then for the bias where there is one. */
void vox_init_reset_parameters(vox_random *r, double fan_in, float *weight, int64_t count,
                               float *bias, int64_t bias_count);

/* ---- Stored elements ---- */

/* How one number is stored. kind: 'f' IEEE float, 'g' bfloat16, 'i' signed, 'u' unsigned, 'b' bool.
 */
typedef struct vox_element {
    char kind;
    int bytes;
    bool big_endian;
} vox_element;

/* Converts n stored elements to float32: exact from 16 and 32 bits of float and small integers,
 * nearest even from the others. `from` needs no alignment. */
void vox_elements_to_float(vox_element e, const unsigned char *from, int64_t n, float *to);
/* The other way for what we write: n floats, little-endian. */
void vox_floats_to_bytes(const float *from, int64_t n, unsigned char *to);

/* ---- .npy, which .npz shares ---- */

/* Bytes in order, from a file or from a member of an archive. */
typedef struct vox_bytes {
    const char *label; /* for messages: "k.npy" or "k.npz: array 'weight'" */
    int64_t length;    /* of all bytes: what the container says, no more than it can hold */
    int64_t at;        /* how many were read; kept by read() */
    vox_status (*read)(struct vox_bytes *b, void *buf, int64_t bytes,
                       vox_error *err); /* all or error */
    void *context;
} vox_bytes;

/* Reads one .npy of exactly b->length bytes. Errors: VOX_ERR_WEIGHTS, VOX_ERR_RESOURCE. */
vox_tensor *vox_npy_read(vox_bytes *b, vox_error *err);
/* The bytes of t as .npy, version 1; freed with free(). */
unsigned char *vox_npy_encode(const vox_tensor *t, int64_t *bytes, vox_error *err);

/* ---- Numbers, whatever the locale ---- */

/* Between these two the thread reads and prints numbers as in C: a decimal point, no grouping. */
typedef struct vox_c_numbers {
    void *c, *before;
} vox_c_numbers;
vox_status vox_c_numbers_begin(vox_c_numbers *n, vox_error *err);
void vox_c_numbers_end(vox_c_numbers *n);

#endif
