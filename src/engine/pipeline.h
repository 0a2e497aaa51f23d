/* pipeline.h - a network at work: planes go in at one end, filtered planes come out at the other.
 *
 * A pipeline is one *stage* for every window layer of the network, a source and a sink. A stage
 * reads a *feed*: a ring of padded planes, just as many as its outputs still need. Whoever makes
 * planes - the reader of a file, or the stage before - writes them straight into the feed of the
 * stage that wants them (vox_pipeline_input); then row layers and padding are applied to what has
 * arrived, and every stage makes the planes whose input is complete.
 *
 *     reader --planes--> [feed | conv3d] --planes--> [feed | pool] --planes--> [feed | sink] -->
 * writer
 *
 * A value that several layers read goes to a feed of each. A join - a residual sum, channels put
 * behind each other - is done where the last of its operands arrives, and the others wait for it in
 * feeds of their own: so a skip connection holds just the planes by which its two ways differ.
 *
 * How many planes a feed holds follows from one schedule each: for each output plane, the last
 * input plane that must have come and the first that must still be there. Zero, reflecting,
 * replicating and circular padding, stride, dilation and layers that need the whole volume differ
 * in that schedule alone. The pipeline is run once with the numbers of planes and without any, and
 * what the feeds held at most in that run is their memory. Feeds whose planes are laid out alike
 * share it (pool.h).
 */
#ifndef VOX_PIPELINE_H
#define VOX_PIPELINE_H

#include "base/base.h"

typedef struct vox_pipeline vox_pipeline;

/* Takes finished planes [d, d+count). */
typedef vox_status vox_pipeline_sink(void *user, int64_t d, int64_t count, const vox_planes *planes,
                                     vox_error *err);

/* Planes of an input (C, D, H, W) that make a good slab for `part` of the output (NULL: all):
 * enough to keep all threads busy, few enough to stay in the outer caches until they are used. */
vox_status vox_pipeline_good_slab(const vox_network *network, const int64_t in[4],
                                  const vox_box *part, int threads, int64_t *slab, vox_error *err);

/* The same for all of the output, where the input is lent (vox_pipeline_lend_input) and the output
 * the caller's. */
vox_status vox_pipeline_lent_slab(const vox_network *network, const int64_t in[4], int threads,
                                  int64_t *slab, vox_error *err);

/* What computing `part` of the output (NULL: all) takes for an input (C, D, H, W). */
typedef struct vox_need {
    vox_box in;            /* the part of the input */
    int64_t multiply_adds; /* of all layers, padding included; INT64_MAX where they are more */
} vox_need;
vox_status vox_pipeline_need(const vox_network *network, const int64_t in[4], const vox_box *part,
                             vox_need *need, vox_error *err);

/* Lays the stages out for an input (C, D, H, W) that arrives in slabs of up to `slab` planes; holds
 * no plane yet. The network stays the caller's and must live as long. Where `part` is given, just
 * that part of the output is computed, to the bit as it is in the whole: every layer computes what
 * the next one needs, from real neighbours, and pads at the volume's own faces alone. What goes in
 * are then the planes of vox_pipeline_input_box(). */
vox_pipeline *vox_pipeline_new(const vox_network *network, const int64_t in[4], const vox_box *part,
                               int64_t slab, int threads, vox_error *err);
/* The part of the input that is needed. */
vox_box vox_pipeline_input_box(const vox_pipeline *p);
/* Bytes that vox_pipeline_start will take, by part: calls part(user, name, bytes) for each. */
void vox_pipeline_memory(const vox_pipeline *p,
                         void (*part)(void *user, const char *name, int64_t bytes), void *user);
/* Their sum; INT64_MAX where it is more. */
int64_t vox_pipeline_bytes(const vox_pipeline *p);
/* Planes that the sink is handed at most at a time. */
int64_t vox_pipeline_out_slab(const vox_pipeline *p);
/* Makes the last planes go straight to `output`, which has a slot for every plane of the volume,
 * instead of a ring of the pipeline's own. Before vox_pipeline_start; and again between volumes, to
 * move on. */
void vox_pipeline_set_output(vox_pipeline *p, const vox_planes *output);
/* Tells where the planes that are pushed lie, all of them, as long as the pipeline works. Where the
 * network's first layer can read them there, they are not copied. Before vox_pipeline_start; and
 * again between volumes, to move on. */
void vox_pipeline_lend_input(vox_pipeline *p, const vox_planes *input);
/* Takes the memory, packs the weights. sink may be NULL where there is an output. */
vox_status vox_pipeline_start(vox_pipeline *p, vox_pipeline_sink *sink, void *user, vox_error *err);
/* Where the planes that are pushed next are to be written. */
const vox_planes *vox_pipeline_input(vox_pipeline *p);
/* The next `count` planes (as many as make a slab, or at the end as there are) are in place; or,
 * where x is given, are taken from it (which has a slot for every plane), and every NaN becomes the
 * machine's. When the last plane of the volume has come, everything is flushed and the pipeline is
 * ready for the next volume. Fails only where the sink fails. */
vox_status vox_pipeline_push(vox_pipeline *p, int64_t count, const vox_planes *x, vox_error *err);
void vox_pipeline_free(vox_pipeline *p);

/* threads, or where that is 0 what OpenMP would take. */
int vox_thread_count(int threads);

#endif
