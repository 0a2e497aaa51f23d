/* builder.h - a network becomes stages, feeds and pools. */
#ifndef VOX_BUILDER_H
#define VOX_BUILDER_H

#include "engine/levels.h"
#include "engine/stage.h"

struct vox_pipeline {
    int stage_count;
    vox_stage **stage; /* [stage_count], a stage behind those that it reads; the source first, the
                          sink last */
    int pool_count, pool_room;
    vox_pool **pool;
    vox_box in;
    int64_t slab;
};

/* Lays out the stages of p, and the pools that their feeds take slots from. p->in and p->slab are
 * set; what it holds after a failure is vox_pipeline_free's as well. */
vox_status vox_pipeline_build(vox_pipeline *p, const vox_network *network, const vox_level *levels,
                              int threads, vox_error *err);

#endif
