/* inlet.h - the bytes of a descriptor, in order, in a way that another thread can call off.
 *
 * A pipe whose producer stalls would hold a reading thread for ever; an inlet waits for the pipe
 * and for its own wake-up at once.
 */
#ifndef VOX_STREAM_INLET_H
#define VOX_STREAM_INLET_H

#include "base/base.h"

typedef struct vox_inlet {
    const char *name; /* for messages; the owner's */
    vox_status kind;  /* of errors */
    int fd, wake;     /* wake: an eventfd; both are the owner's to close */
    /* Bytes that were read from fd to see what it is, given out first. */
    uint8_t head[2];
    size_t head_bytes;
} vox_inlet;

/* Up to `room` bytes (at least 2 in the first call) as soon as there are any; *made = 0 at the end
 * of the stream. After vox_inlet_cancel an error that nobody reads. */
vox_status vox_inlet_read(vox_inlet *f, uint8_t *buf, size_t room, size_t *made, vox_error *err);
/* Ends a read that is waiting and all later ones. Called from another thread. */
void vox_inlet_cancel(vox_inlet *f);

#endif
