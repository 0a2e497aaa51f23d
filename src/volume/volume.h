/* volume.h - NIfTI files as windows of float planes, and back.
 *
 * Only this folder knows nifticlib. The engine asks a reader for the planes [d, d+count) of frame
 * n, all channels, and gives them to a writer; which byte of which file that is, and how it is
 * scaled, is known here alone.
 */
#ifndef VOX_VOLUME_H
#define VOX_VOLUME_H

#include "base/base.h"

/* ---- Reading ---- */

typedef struct vox_reader vox_reader;

/* Prepares one pass over the input as `layout` sees it, in slabs of up to slab_planes. Where
 * channels lie one after the other and the file cannot be read by position (gzip, pipe), the file
 * is spooled when the first plane is asked for; likewise where planes are asked for in `patches`.
 * The input stays the caller's. */
vox_reader *vox_reader_new(vox_input *in, const vox_layout *layout, int64_t slab_planes,
                           bool patches, vox_error *err);
void vox_reader_free(vox_reader *r);
/* Which part of each frame vox_reader_planes gives from now on, and which part of that
 * vox_reader_counts looks at (parts may overlap): at first all. */
void vox_reader_part(vox_reader *r, const vox_box *part, const vox_box *counted);
/* Writes planes [d, d+count), count <= slab_planes, of the part of frame n, all channels, as
 * float32 through scl_slope and scl_inter into `to` (plane d at slot d % to->slots). Frames and
 * planes are asked for in ascending order, and without patches each once. Rows are converted in
 * parallel with `threads`. */
vox_status vox_reader_planes(vox_reader *r, int64_t n, int64_t d, int64_t count,
                             const vox_planes *to, int threads, vox_error *err);
/* After the last plane: checks gzip trailers and what follows the data; warns through `warn`. */
vox_status vox_reader_finish(vox_reader *r, void (*warn)(void *user, const char *message),
                             void *user, vox_error *err);
/* NaN and infinite values seen so far. */
void vox_reader_counts(const vox_reader *r, int64_t *nan_count, int64_t *inf_count);
/* For the plan: bytes held while reading, and bytes spooled to disk. */
vox_status vox_reader_memory(const vox_input *in, const vox_layout *layout, int64_t slab_planes,
                             bool patches, int64_t *memory_bytes, int64_t *spool_bytes,
                             vox_error *err);

/* ---- Writing ---- */

typedef struct vox_writer vox_writer;

/* What a writer is to write: the input's first header, changed as told here. */
typedef struct vox_output {
    const char
        *path; /* .nii, .nii.gz, .hdr/.img, "-", or any other name: .nii.gz or FSLOUTPUTTYPE's */
    vox_layout layout;           /* of the input, for the axis that channels go to */
    int64_t channels, size[3];   /* of the output */
    double stride[3], origin[3]; /* output voxel o is at input index o*stride + origin, {D, H, W} */
    int datatype;    /* NIfTI code, or VOX_DATATYPE_INPUT: the input's type with its scaling */
    int compression; /* 0 to 9, -1: default (stdout: uncompressed) */
    bool split, force;
    bool patches; /* planes come in parts */
    int threads;
    int64_t slab_planes; /* the most planes that come in one call */
} vox_output;

/* Builds and checks the header and opens the sinks; writes the header. */
vox_writer *vox_writer_new(const vox_input *in, const vox_output *o, vox_error *err);
/* Which part of each frame comes from now on: at first all of it. A frame's parts cover it once,
 * the last one ends where it ends. */
void vox_writer_part(vox_writer *w, const vox_box *part);
/* Takes planes [d, d+count), count <= slab_planes, of the part of frame n, all channels, in
 * ascending order. */
vox_status vox_writer_planes(vox_writer *w, int64_t n, int64_t d, int64_t count,
                             const vox_planes *from, vox_error *err);
/* Ends, syncs and publishes all files. */
vox_status vox_writer_finish(vox_writer *w, vox_error *err);
/* NaN and infinite values seen, and values clamped to the range of an integer type (NaN included).
 */
void vox_writer_counts(const vox_writer *w, int64_t *nan_count, int64_t *inf_count,
                       int64_t *clamped);
/* As in vox_report. */
double vox_writer_voxel_mm3(const vox_writer *w);
/* Abandons what was not finished. */
void vox_writer_free(vox_writer *w);
vox_status vox_writer_memory(const vox_input *in, const vox_output *o, int64_t *memory_bytes,
                             int64_t *spool_bytes, vox_error *err);

/* ---- Volumes as small arrays: a kernel in a .nii ---- */

/* The voxels of a NIfTI file as a tensor of rank dim[0], slowest axis first (x is the last index).
 * Errors of kind VOX_ERR_WEIGHTS. */
vox_tensor *vox_volume_load_tensor(const char *path, vox_error *err);
/* A tensor of rank 1 to 7 as a float32 NIfTI-1 file with unit voxels. */
vox_status vox_volume_save_tensor(const char *path, const vox_tensor *t, bool force,
                                  vox_error *err);

#endif
