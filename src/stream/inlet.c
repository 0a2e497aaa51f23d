/* inlet.c - the bytes of a descriptor, in order, in a way that another thread can call off. */
#include "stream/inlet.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

vox_status vox_inlet_read(vox_inlet *f, uint8_t *buf, size_t room, size_t *made, vox_error *err) {
    *made = 0;
    if (f->head_bytes) {
        memcpy(buf, f->head, f->head_bytes);
        *made = f->head_bytes;
        f->head_bytes = 0;
        return VOX_OK;
    }
    for (;;) {
        struct pollfd ready[2] = {{.fd = f->fd, .events = POLLIN},
                                  {.fd = f->wake, .events = POLLIN}};
        ssize_t n = poll(ready, 2, -1);
        if (n > 0 && ready[1].revents)
            return vox_fail(err, VOX_ERR_INTERNAL, "%s: reading was called off", f->name);
        if (n > 0)
            n = read(f->fd, buf, room);
        if (n >= 0) {
            *made = (size_t)n;
            return VOX_OK;
        }
        /* EAGAIN: someone gave us a descriptor that does not wait; poll does. */
        if (errno != EINTR && errno != EAGAIN)
            return vox_fail(err, f->kind, "%s: cannot be read: %s", f->name, strerror(errno));
    }
}

void vox_inlet_cancel(vox_inlet *f) {
    const uint64_t one = 1;
    ssize_t n = write(f->wake, &one, sizeof one);
    (void)n; /* an eventfd that starts at 0 takes a 1 */
}
