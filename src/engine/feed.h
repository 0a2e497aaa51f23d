/* feed.h - planes on their way to a stage: a ring that holds those that it still needs, padded as
 * its layer wants them. */
#ifndef VOX_FEED_H
#define VOX_FEED_H

#include "engine/schedule.h"
#include "kernel/kernel.h"
#include "layer/layer.h"

typedef struct vox_feed {
    int64_t in[4];           /* (C, D, H, W) of the planes */
    int64_t out;             /* planes of the reader's result */
    vox_axis axis[3];        /* of the reader's window */
    const vox_layer *window; /* that reads it, or NULL */
    vox_schedule schedule;   /* of the planes of axis[0] */
    int threads;
    const vox_kernel *kernel;

    /* The slots hold padded planes; `ring` is the window on their interior. Where the stride along
     * W is s, a padded row is kept as s phases of phase_length floats, so that the inputs of
     * successive outputs lie side by side at every tap. */
    vox_planes ring;
    bool external; /* somebody else's memory */
    float *memory;
    int64_t padded_rows, padded_columns, phases, phase_length;
    int64_t lead;   /* floats of the memory before its first row */
    float *scratch; /* [threads][padded_columns, rounded up]; for phases */

    bool by_channel;         /* a thread has written a share of the channels, not of the rows */
    int64_t received;        /* planes so far */
    int64_t held;            /* planes that came together or were needed at a time, at most */
    const int64_t *produced; /* planes of output that the reader has made */
} vox_feed;

/* For planes (C, D, H, W) `in`, of which the reader makes `out`. window NULL: the reader takes the
 * voxels one by one, from index -axis.before on or, where there is but one, always that. Nothing is
 * held yet, and ring.slots is the caller's to set before vox_feed_bytes and vox_feed_start.
 * Released with vox_feed_free, after a failure also. */
vox_status vox_feed_init(vox_feed *f, const vox_layer *window, const int64_t in[4],
                         const vox_axis *axis, int64_t out, int threads, vox_error *err);
int64_t vox_feed_bytes(const vox_feed *f);
vox_status vox_feed_start(vox_feed *f, vox_error *err);
void vox_feed_free(vox_feed *f);

/* Whether output plane o of the reader has all that it needs of these planes. */
bool vox_feed_ready(const vox_feed *f, int64_t o);
/* Planes that are here and still needed. */
int64_t vox_feed_holding(const vox_feed *f);

/* Row r of plane d of the reader's result, in channel 0; where the reader has no window. */
float *vox_feed_row(const vox_feed *f, int64_t d, int64_t r);
/* Padded row 0 of channel 0 in a slot. */
float *vox_feed_slot(const vox_feed *f, int64_t slot);
/* Whether the padding of a row stays as vox_feed_start made it. */
bool vox_feed_border_stays(const vox_feed *f);
/* Pads row r of channel c in plane d, once its interior is there, or takes that from `from` where
 * it is not NULL. */
void vox_feed_pad_row(const vox_feed *f, int64_t c, int64_t d, int64_t r, const float *from,
                      int thread);
/* Pads planes [d, d+count) above and below their interior. */
void vox_feed_pad_planes(const vox_feed *f, int64_t d, int64_t count);

#endif
