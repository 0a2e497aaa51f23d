/* schedule.h - which input planes an output plane of a window layer waits for, and which may go. */
#ifndef VOX_SCHEDULE_H
#define VOX_SCHEDULE_H

#include "layer/layer.h"

/* Windows that lie inside the volume take turns in a row: output o needs the inputs from where its
 * window begins to where it ends. Just the outputs whose windows reach over a face, before and
 * after those, are listed; so a schedule is as small for a million planes as for a hundred. */
typedef struct vox_schedule {
    vox_axis axis;
    int64_t inside, inside_end; /* outputs [inside, inside_end) have their windows inside */
    int64_t *ready, *keep;      /* [edges]: of outputs [0, inside), then [inside_end, out) */
} vox_schedule;

/* `layer` (may be NULL): where it has a reach, that counts instead of the axis, and `out` outputs
 * are listed. Released with vox_schedule_free, after a failure also. */
vox_status vox_schedule_init(vox_schedule *s, const vox_axis *axis, const vox_layer *layer,
                             int64_t out, vox_error *err);
void vox_schedule_free(vox_schedule *s);
/* Outputs [0, o] need input planes up to this one. -1: none. */
int64_t vox_schedule_ready(const vox_schedule *s, int64_t o);
/* Outputs o and later need no input plane before this one. */
int64_t vox_schedule_keep(const vox_schedule *s, int64_t o);
/* Planes that must be held when they come one at a time; at least 1. */
int64_t vox_schedule_slots(const vox_schedule *s);
/* Of the lists. */
int64_t vox_schedule_bytes(const vox_schedule *s);

#endif
