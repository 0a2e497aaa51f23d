/* file.c - whole reads and writes of descriptors, and giving a file its final name. */
#include "stream/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Linux moves at most 0x7ffff000 bytes in one call; asking for less is the same everywhere. */
enum { MOST_AT_ONCE = 1 << 30 };

int vox_fd_write(int fd, const void *buf, int64_t bytes) {
    const char *p = buf;
    while (bytes > 0) {
        ssize_t n = write(fd, p, (size_t)vox_min(bytes, MOST_AT_ONCE));
        if (n < 0 && errno != EINTR)
            return errno;
        if (n > 0) {
            p += n;
            bytes -= n;
        }
    }
    return 0;
}

int vox_fd_write_at(int fd, const void *buf, int64_t bytes, int64_t offset) {
    const char *p = buf;
    while (bytes > 0) {
        ssize_t n = pwrite(fd, p, (size_t)vox_min(bytes, MOST_AT_ONCE), offset);
        if (n < 0 && errno != EINTR)
            return errno;
        if (n > 0) {
            p += n;
            offset += n;
            bytes -= n;
        }
    }
    return 0;
}

int vox_fd_read_at(int fd, void *buf, int64_t bytes, int64_t offset, int64_t *got) {
    char *p = buf;
    *got = 0;
    while (*got < bytes) {
        ssize_t n = pread(fd, p + *got, (size_t)vox_min(bytes - *got, MOST_AT_ONCE), offset + *got);
        if (n == 0)
            return 0;
        if (n > 0)
            *got += n;
        else if (errno != EINTR)
            return errno;
    }
    return 0;
}

int vox_fd_open(const char *path, int flags, unsigned mode) {
    int fd;
    do
        fd = open(path, flags | O_CLOEXEC, (mode_t)mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

void vox_fd_sync_begin(int fd, int64_t offset, int64_t bytes) {
    (void)!sync_file_range(fd, offset, bytes,
                           SYNC_FILE_RANGE_WRITE); /* an error comes again there */
}

int vox_fd_sync(int fd) {
    int r;
    do
        r = fsync(fd);
    while (r != 0 && errno == EINTR);
    /* EINVAL: pipes, devices, and folders on some network file systems have nothing to sync. */
    return r == 0 || errno == EINVAL || errno == ENOTSUP ? 0 : errno;
}

int vox_link_new(const char *from, const char *to) {
    if (link(from, to) == 0)
        return unlink(from) == 0 ? 0 : errno;
    if (errno != EPERM && errno != ENOTSUP && errno != ENOSYS)
        return errno;
    /* A file system without links (FAT): look, then rename, which is the best it can do. */
    struct stat st;
    if (lstat(to, &st) == 0)
        return EEXIST;
    return rename(from, to) == 0 ? 0 : errno;
}

int vox_rename_new(const char *from, const char *to) {
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    /* ENOSYS: an old kernel; EINVAL: a file system that does not know the flag. */
    return errno == ENOSYS || errno == EINVAL ? vox_link_new(from, to) : errno;
}

static int rename_plainly(const char *from, const char *to) {
    return rename(from, to) == 0 ? 0 : errno;
}

int vox_link_over(const char *from, const char *to, vox_before *before) {
    char *aside;
    int failed = 0;
    if (asprintf(&aside, "%s~", from) < 0)
        return ENOMEM;
    if (link(to, aside) != 0) {
        /* No links here (FAT), none to a file of somebody else's, or no room for a longer name. */
        const bool gone = errno == EPERM || errno == ENOTSUP || errno == ENOSYS ||
                          errno == EMLINK || errno == ENAMETOOLONG;
        *before = gone ? VOX_BEFORE_GONE : VOX_BEFORE_NOTHING;
        failed = gone || errno == ENOENT ? rename_plainly(from, to) : errno;
    } else if (rename(from, to) != 0) {
        failed = errno;
        unlink(aside);
    } else if (rename(aside, from) != 0) {
        failed = errno;
        rename(aside, to);
    } else {
        *before = VOX_BEFORE_KEPT;
    }
    free(aside);
    return failed;
}

int vox_rename_over(const char *from, const char *to, vox_before *before) {
    struct stat st;
    *before = VOX_BEFORE_NOTHING;
    /* Names are exchanged with anything, a folder that has just come included; rename refuses. */
    if (lstat(to, &st) != 0 || !S_ISREG(st.st_mode))
        return rename_plainly(from, to);
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) != 0)
        /* As in vox_rename_new; NFS is such a file system. */
        return errno == ENOSYS || errno == EINVAL ? vox_link_over(from, to, before) : errno;
    *before = VOX_BEFORE_KEPT;
    return 0;
}
