/* job.h - one run, planned: plan.c makes it, filter.c does it. */
#ifndef VOX_JOB_H
#define VOX_JOB_H

#include "engine/blend.h"
#include "engine/pipeline.h"
#include "engine/prepare.h"
#include "volume/volume.h"

/* As far as header, network and options settle it. */
typedef struct vox_job {
    const vox_network *network;
    vox_layout layout;
    vox_preparing prepare;
    int64_t in[4], out[4];
    int threads;
    vox_output output;
    int64_t labels;               /* that are counted, or 0 */
    int64_t patch[2], patches[2]; /* H and W of an output patch; their number along H and W */
    vox_blender *blender;         /* instead of such patches, or NULL */
    vox_plan plan;
    bool refused; /* it takes more memory than there is */
} vox_job;

/* The network, the input and the options stay the caller's. j->blender is to be freed, after a
 * failure also. */
vox_status vox_job_make(vox_job *j, const vox_input *in, const vox_network *network,
                        const char *output, const vox_filter_options *o, vox_error *err);
int64_t vox_job_patches(const vox_job *j);
/* Patch p of the output, all D planes of it. */
vox_box vox_job_patch(const vox_job *j, int64_t p);
/* Whether the reader's planes are asked for in parts, or more than once. */
bool vox_job_any_order(const vox_job *j);
/* The pipeline that makes it, and what that needs. */
vox_pipeline *vox_job_pipeline(const vox_job *j, int64_t p, int64_t slab, vox_error *err);
vox_status vox_job_need(const vox_job *j, int64_t p, vox_need *need, vox_error *err);

#endif
