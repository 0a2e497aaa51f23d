/* stage.h - a window layer at work on its feed, and the row layers and joins that follow it. */
#ifndef VOX_STAGE_H
#define VOX_STAGE_H

#include "engine/feed.h"
#include "engine/pipeline.h"

/* A row layer, or one operand of a join, behind the window: changes channels [from, from +
 * channels) of the stage's result. */
typedef struct vox_op {
    const vox_layer *layer;
    int64_t from, channels;
    int main;       /* joins: which operand the rows are */
    vox_feed *side; /* joins: the other operand; concat: what comes into these channels */
} vox_op;

typedef struct vox_stage vox_stage;
struct vox_stage {
    const vox_layer *window; /* NULL: planes are passed on as they come */
    bool source;             /* planes come from outside, and not from `main` */
    vox_feed main;
    int op_count, op_room;
    vox_op *op;
    int64_t at, channels; /* of the result that are the window's, or what is passed on */
    int64_t out[4];       /* (C, D, H, W) of the result */
    int to_count, to_room;
    vox_feed **to; /* whoever reads the result; none: the sink does */
    vox_pipeline_sink *sink;
    void *sink_user;
    int threads;
    int64_t slab;     /* planes made at a time, at most */
    int64_t produced; /* planes so far */

    const float **planes; /* [slab][kD], as in vox_window */
    int64_t *row_offset, *column_offset;
};

void vox_stage_free(vox_stage *s);
vox_status vox_stage_add_op(vox_stage *s, const vox_op *op, vox_error *err);
vox_status vox_stage_add_reader(vox_stage *s, vox_feed *reader, vox_error *err);
int64_t vox_stage_table_bytes(const vox_stage *s);
vox_status vox_stage_start(vox_stage *s, vox_error *err);

/* Planes that can be made now, because their input is here. */
int64_t vox_stage_ready(const vox_stage *s);
/* Has memory for the next `count` planes. */
void vox_stage_take(vox_stage *s, int64_t count);
/* Makes `count` planes; those of a source come from x, or are in the first reader's ring already
 * where x is NULL. Fails only where the sink fails. */
vox_status vox_stage_make(vox_stage *s, int64_t count, const vox_planes *x, vox_error *err);
/* Counts `count` planes as made, whether they are or not: slots are taken for them, and what nobody
 * needs any more is given back. */
void vox_stage_count(vox_stage *s, int64_t count);
void vox_stage_rewind(vox_stage *s);

#endif
