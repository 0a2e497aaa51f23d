/* spool.c - unlinked temporary files for bytes that arrive in one order and are wanted in another.
 */
#include "stream/stream.h"

#include "stream/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct vox_spool {
    char *folder; /* for messages */
    int fd;
    int64_t bytes;
};

static vox_status fail_spool(const vox_spool *s, const char *what, int number, vox_error *err) {
    return vox_fail(err, VOX_ERR_RESOURCE, "%s: temporary file: %s: %s (TMPDIR chooses the folder)",
                    s->folder, what, strerror(number));
}

/* A file without a name, or at once without its name. -1 with errno. */
static int open_unlinked(const char *folder) {
    int fd = vox_fd_open(folder, O_TMPFILE | O_RDWR, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
        return fd;
    char *path;
    if (asprintf(&path, "%s/voxconv-XXXXXX", folder) < 0) {
        errno = ENOMEM;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    free(path);
    return fd;
}

static vox_status fail_space(const vox_spool *s, int64_t free_bytes, vox_error *err) {
    char needed[32], there[32];
    return vox_fail(err, VOX_ERR_RESOURCE,
                    "%s: temporary file: %s (%" PRId64 " bytes) needed, %s (%" PRId64
                    " bytes) free (TMPDIR chooses the folder)",
                    s->folder, vox_bytes_text(s->bytes, needed), s->bytes,
                    vox_bytes_text(free_bytes, there), free_bytes);
}

static vox_status reserve(vox_spool *s, vox_error *err) {
    struct statvfs v;
    if (fstatvfs(s->fd, &v) != 0)
        return fail_spool(s, "cannot be looked at", errno, err);
    int64_t unit = (int64_t)v.f_frsize, free_bytes;
    if (!vox_mul((int64_t)v.f_bavail, unit, &free_bytes))
        free_bytes = INT64_MAX;
    if (s->bytes > free_bytes)
        return fail_space(s, free_bytes, err);
    int r;
    do
        r = ftruncate(s->fd, s->bytes);
    while (r != 0 && errno == EINTR);
    if (r != 0)
        return fail_spool(s, "cannot be made that long", errno, err);
    do
        r = s->bytes ? fallocate(s->fd, 0, 0, s->bytes) : 0;
    while (r != 0 && errno == EINTR);
    if (r != 0 && errno == ENOSPC)
        return fail_space(s, free_bytes, err);
    if (r != 0 && errno != EOPNOTSUPP && errno != ENOSYS)
        return fail_spool(s, "no space could be reserved", errno, err);
    return VOX_OK;
}

vox_spool *vox_spool_new(int64_t bytes, vox_error *err) {
    assert(bytes >= 0);
    const char *folder = getenv("TMPDIR");
    if (!folder || !*folder)
        folder = "/tmp";
    vox_spool *s = vox_alloc(1, sizeof *s, "temporary file", err);
    if (!s)
        return NULL;
    s->bytes = bytes;
    s->fd = -1;
    s->folder = vox_strdup(folder, err);
    if (!s->folder)
        goto out;
    s->fd = open_unlinked(folder);
    if (s->fd < 0) {
        fail_spool(s, "cannot be created", errno, err);
        goto out;
    }
    if (reserve(s, err) == VOX_OK)
        return s;
out:
    vox_spool_free(s);
    return NULL;
}

vox_status vox_spool_write_at(vox_spool *s, const void *buf, int64_t bytes, int64_t offset,
                              vox_error *err) {
    assert(bytes >= 0 && offset >= 0 && offset <= s->bytes - bytes);
    int failed = vox_fd_write_at(s->fd, buf, bytes, offset);
    return failed ? fail_spool(s, "cannot be written", failed, err) : VOX_OK;
}

vox_status vox_spool_read_at(vox_spool *s, void *buf, int64_t bytes, int64_t offset,
                             vox_error *err) {
    assert(bytes >= 0 && offset >= 0 && offset <= s->bytes - bytes);
    int64_t got;
    int failed = vox_fd_read_at(s->fd, buf, bytes, offset, &got);
    if (!failed && got < bytes)
        failed = EIO; /* it was made long enough, so somebody cut it */
    return failed ? fail_spool(s, "cannot be read", failed, err) : VOX_OK;
}

void vox_spool_free(vox_spool *s) {
    if (!s)
        return;
    if (s->fd >= 0)
        close(s->fd);
    free(s->folder);
    free(s);
}
