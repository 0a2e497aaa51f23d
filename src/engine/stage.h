/* stage.h - one window layer at work on its ring of planes (or the sink, which has none). */
#ifndef VOX_STAGE_H
#define VOX_STAGE_H

#include "engine/pipeline.h"
#include "engine/schedule.h"
#include "kernel/kernel.h"
#include "layer/layer.h"

typedef struct vox_stage vox_stage;

struct vox_stage {
    const vox_layer *rows, *rows_end; /* row layers [rows, rows_end) for planes that arrive */
    const vox_layer *window;          /* NULL: this is the sink */
    int64_t in[4], out[4];            /* (C, D, H, W) */
    vox_axis axis[3];
    int64_t out_slab; /* planes that are pushed on at a time */
    int threads;
    const vox_kernel *kernel;

    /* The ring. Its slots hold padded planes; `ring` is the window on their interior. Where the
     * stride along W is s, a padded row is kept as s phases of phase_length floats, so that the
     * inputs of successive outputs lie side by side at every tap. */
    vox_planes ring;
    bool external; /* the sink's: somebody else's memory */
    float *memory;
    int64_t padded_rows, padded_columns, phases, phase_length;
    int64_t lead;   /* floats of the memory before its first row */
    float *scratch; /* [threads][padded_columns, rounded up]; for phases */

    vox_schedule schedule; /* window layers: of the planes of axis[0] */
    const float **planes;  /* [next ring's slots][kD], as in vox_window */
    int64_t *row_offset, *column_offset;
    void *prepared;

    int64_t received, produced; /* planes so far */
    vox_stage *next;
    vox_pipeline_sink *sink; /* NULL: nobody to tell */
    void *sink_user;
};

/* `window` (NULL: the sink) over planes of (C, D, H, W) `in`, which rows [rows, window) change as
 * they arrive in slabs of up to in_slab; `axis` is the window's, of the volume or of a part. */
vox_stage *vox_stage_new(const vox_layer *rows, const vox_layer *window, const int64_t in[4],
                         const int64_t out[4], const vox_axis axis[3], int64_t in_slab, int threads,
                         vox_error *err);
int64_t vox_stage_ring_bytes(const vox_stage *s);
int64_t vox_stage_table_bytes(const vox_stage *s);
vox_status vox_stage_start(vox_stage *s, vox_error *err);
vox_status vox_stage_push(vox_stage *s, int64_t count, const vox_dense *x, vox_error *err);
void vox_stage_rewind(vox_stage *s);
void vox_stage_free(vox_stage *s);

#endif
