/* prepare.h - what is done to a frame before a network sees it, and to its output behind it.
 *
 * Stands between reader and pipeline, and between pipeline and writer. Where the network's grid is
 * the file's, planes pass through, and only their values change; the frame is looked through
 * beforehand where statistics are asked for. Else the frame is brought to the network's grid first
 * and waits there as a whole, and so does the output on the file's grid.
 */
#ifndef VOX_PREPARE_H
#define VOX_PREPARE_H

#include "engine/intensity.h"
#include "engine/pipeline.h"
#include "volume/grid.h"
#include "volume/volume.h"

/* What is known before anything is held. */
typedef struct vox_preparing {
    vox_prepare how;
    vox_layout layout;    /* of the input */
    vox_grid grid;        /* the network's */
    int64_t out_channels; /* of what comes back onto the input's grid; 0: nothing does */
    bool spooled;         /* volumes wait in temporary files */
    int threads;
} vox_preparing;

/* Errors: VOX_ERR_USAGE, VOX_ERR_INPUT. Leaves out_channels 0. */
vox_status vox_preparing_make(const vox_input *in, const vox_prepare *how, const vox_layout *layout,
                              int threads, vox_preparing *p, vox_error *err);
/* Whether the reader's planes are asked for more than once, as with patches. */
bool vox_preparing_rereads(const vox_preparing *p);
/* Passes over the values of a frame, the one of the run included. */
int vox_preparing_passes(const vox_preparing *p);
/* Bytes that vox_preparation_new will take, by part: calls part(user, name, bytes) for each; adds
 * what waits in files. */
void vox_preparing_memory(const vox_preparing *p,
                          void (*part)(void *user, const char *name, int64_t bytes), void *user,
                          int64_t *input_spool_bytes, int64_t *output_spool_bytes);
/* The share of the input's voxels that lie in the network's grid. */
double vox_preparing_covered(const vox_preparing *p);

typedef struct vox_preparation vox_preparation;

/* Errors: VOX_ERR_RESOURCE. */
vox_preparation *vox_preparation_new(const vox_preparing *what, vox_error *err);
void vox_preparation_free(vox_preparation *p);

/* Before the planes of frame n are asked for. */
vox_status vox_preparation_begin(vox_preparation *p, vox_reader *r, int64_t n, vox_error *err);
/* Planes [d, d+count) of the frame, or with patches of the reader's part, as the network wants
 * them. */
vox_status vox_preparation_planes(vox_preparation *p, vox_reader *r, int64_t n, int64_t d,
                                  int64_t count, const vox_planes *to, vox_error *err);
/* Takes planes [d, d+count) of the network's output, in ascending order, and gives to `sink` what
 * they make of the output's planes: them, or when the last has come all of the file's grid. */
vox_status vox_preparation_put(vox_preparation *p, int64_t d, int64_t count, const vox_planes *from,
                               vox_pipeline_sink *sink, void *user, vox_error *err);

#endif
