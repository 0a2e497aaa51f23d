/* feed.h - planes on their way to a stage: a ring that holds those that it still needs, padded as
 * its layer wants them. */
#ifndef VOX_FEED_H
#define VOX_FEED_H

#include "engine/pool.h"
#include "engine/schedule.h"
#include "kernel/kernel.h"
#include "layer/layer.h"

typedef struct vox_feed {
    int64_t in[4];           /* (C, D, H, W) of the planes */
    int64_t out;             /* planes of the reader's result */
    vox_axis axis[3];        /* of the reader's window */
    const vox_layer *window; /* that reads it, or NULL */
    void *prepared;          /* by that layer */
    vox_schedule schedule;   /* of the planes of axis[0] */
    int threads;
    const vox_kernel *kernel;

    vox_plane_layout layout; /* of the padded planes */
    vox_pool *pool;          /* that their slots come from */
    vox_planes ring;         /* the window on their interior */
    float **slot;            /* [ring.slots] the slots in turn */
    float *scratch;          /* [threads][padded_columns, rounded up]; for phases */

    bool by_channel;         /* a thread has written a share of the channels, not of the rows */
    int64_t received;        /* planes so far */
    int64_t taken, given;    /* planes so far that have been given a slot, and that have lost it */
    int64_t held;            /* planes with a slot, at most */
    const int64_t *produced; /* planes of output that the reader has made */
} vox_feed;

/* For planes (C, D, H, W) `in`, of which the reader makes `out`. window NULL: the reader takes the
 * voxels one by one, from index -axis.before on or, where there is but one, always that. The pool
 * is the caller's to set then; after a simulated run vox_feed_start takes what that has needed.
 * Released with vox_feed_free, after a failure also. */
vox_status vox_feed_init(vox_feed *f, const vox_layer *window, const int64_t in[4],
                         const vox_axis *axis, int64_t out, int threads, vox_error *err);
/* Without the planes, which are the pool's. */
int64_t vox_feed_bytes(const vox_feed *f);
vox_status vox_feed_start(vox_feed *f, vox_error *err);
void vox_feed_free(vox_feed *f);

/* Whether output plane o of the reader has all that it needs of these planes. */
bool vox_feed_ready(const vox_feed *f, int64_t o);
/* Slots for planes up to `end`. */
void vox_feed_take(vox_feed *f, int64_t end);
/* Gives the slots of planes that have come and are not needed any more back. */
void vox_feed_give(vox_feed *f);
/* Before the first plane of a volume; all slots have been given back. */
void vox_feed_rewind(vox_feed *f);

/* Row r of plane d of the reader's result, in channel 0; where the reader has no window. */
float *vox_feed_row(const vox_feed *f, int64_t d, int64_t r);
/* Padded row 0 of channel 0 of plane d; row 0 where the planes are somebody else's and have no
 * padding. */
float *vox_feed_plane(const vox_feed *f, int64_t d);
/* Pads rows [r, end) of channel c in plane d, once their interior is there, or takes that from
 * `from` and what lies from_stride floats behind it, row by row, where that is not NULL. */
void vox_feed_pad_rows(const vox_feed *f, int64_t c, int64_t d, int64_t r, int64_t end,
                       const float *from, int64_t from_stride, int thread);
/* Lets the reader look at planes [d, d+count), which are here and padded. */
void vox_feed_gather(const vox_feed *f, int64_t d, int64_t count);
/* Pads planes [d, d+count) above and below their interior. */
void vox_feed_pad_planes(const vox_feed *f, int64_t d, int64_t count);

#endif
