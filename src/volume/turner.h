/* turner.h - files rewritten with their voxels in other places: flipped, turned by 90 degrees, and
 * where asked for with other values.
 *
 * Unless values change, stored elements are moved as they are, so that every bit of an int32 or a
 * float64 arrives. A slab of the output's planes is held at a time. Where a turn needs the input's
 * planes in another order and the file has no positions (gzip, pipe), a frame waits in a spool,
 * unless the slab is the whole frame.
 */
#ifndef VOX_VOLUME_TURNER_H
#define VOX_VOLUME_TURNER_H

#include "volume/turn.h"

typedef struct vox_turner vox_turner;

/* Changes `count` values that follow those of the call before, in the order of the output file. */
typedef void vox_value_change(void *user, float *values, int64_t count);

typedef struct vox_turned {
    const char *path; /* as in vox_output */
    vox_turn turn;
    bool keep_affine;
    int datatype;             /* as in vox_output; voxels of several values keep their type */
    vox_value_change *change; /* of values as float32; NULL: none */
    void *user;
    int compression;
    bool force;
    int threads;
} vox_turned;

/* Output planes that are best held at a time. */
int64_t vox_turner_good_slab(const vox_input *in, const vox_turned *o);

/* What a file takes: while it is open, and more while it is worked through. */
typedef struct vox_turner_need {
    int64_t source_bytes, output_bytes, slab_bytes;
    int64_t spool_bytes; /* of disk */
} vox_turner_need;

/* Errors: those of the output's name and type. */
vox_status vox_turner_memory(const vox_input *in, const vox_turned *o, int64_t slab_planes,
                             vox_turner_need *need, vox_error *err);

/* `in` has one file and stays the caller's. Opens the output and writes its header. */
vox_turner *vox_turner_new(vox_input *in, const vox_turned *o, int64_t slab_planes, vox_error *err);
/* Works through all voxels, and leaves the output complete and on disk under a temporary name.
 * `step`, which may be NULL, hears how many voxels were written. Errors: as of reader and writer.
 */
vox_status vox_turner_run(vox_turner *r, void (*step)(void *user, int64_t voxels),
                          void (*warn)(void *user, const char *message), void *user,
                          vox_error *err);
/* Values that did not fit the output's type. */
int64_t vox_turner_clamped(const vox_turner *r);
/* Gives the outputs of all their names, or none of them. */
vox_status vox_turner_publish(vox_turner *const *turners, int count, vox_error *err);
/* Removes what was not published. */
void vox_turner_free(vox_turner *r);

#endif
