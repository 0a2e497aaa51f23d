/* sink.c - files that appear under their name only when they are complete, and stdout. */
#include "stream/stream.h"

#include "stream/file.h"
#include "stream/gzip.h"
#include "stream/temporary.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LINKS_FOLLOWED_MOST = 40, /* as many as Linux follows */
    SYNC_BYTES = 8 << 20,     /* that the disk is asked to take at a time */
};

struct vox_sink {
    char *path;
    bool is_stdout;
    const char *name; /* for messages */
    char *target;     /* the path with symbolic links followed; NULL where written directly */
    bool force;
    vox_temporary temporary;  /* .path NULL: written directly, or published */
    bool named;               /* the file has its name, and may still lose it */
    vox_before before;        /* what had the name; VOX_BEFORE_KEPT: has the temporary one now */
    int fd;                   /* -1: closed */
    int64_t written, syncing; /* bytes so far; those that the disk has been asked to take */
    vox_gzip *gzip;           /* NULL: as it comes */
};

static vox_status fail_errno(const vox_sink *s, const char *what, int number, vox_error *err) {
    if (number == EPIPE)
        return vox_fail(err, VOX_ERR_PIPE, "%s: its reader has gone", s->name);
    if (number == ENOMEM)
        return vox_fail(err, VOX_ERR_RESOURCE, "%s: %s: %s", s->name, what, strerror(number));
    return vox_fail(err, VOX_ERR_OUTPUT, "%s: %s: %s", s->name, what, strerror(number));
}

/* ---- Opening ---- */

/* What a symbolic link at `path` points to, as a path from here; the caller frees it. NULL with
 * errno. */
static char *link_target(const char *path) {
    char to[PATH_MAX];
    char *result;
    ssize_t n = readlink(path, to, sizeof to - 1);
    if (n < 0)
        return NULL;
    to[n] = '\0';
    const char *slash = strrchr(path, '/');
    int folder = *to == '/' || !slash ? 0 : (int)(slash + 1 - path);
    if (asprintf(&result, "%.*s%s", folder, path, to) < 0) {
        errno = ENOMEM;
        return NULL;
    }
    return result;
}

/* Sets s->target; *st says what is there, st_mode 0 for nothing. realpath(3) would not do: the end
 * of the links need not exist yet. */
static vox_status resolve(vox_sink *s, struct stat *st, vox_error *err) {
    if (!*s->path)
        return vox_fail(err, VOX_ERR_OUTPUT, "output: the name is empty");
    s->target = vox_strdup(s->path, err);
    if (!s->target)
        return VOX_ERR_RESOURCE;
    for (int i = 0; i < LINKS_FOLLOWED_MOST; i++) {
        if (lstat(s->target, st) != 0) {
            st->st_mode = 0;
            return errno == ENOENT ? VOX_OK : fail_errno(s, "cannot be created", errno, err);
        }
        if (!S_ISLNK(st->st_mode))
            return VOX_OK;
        char *next = link_target(s->target);
        if (!next)
            return fail_errno(s, "its symbolic link cannot be followed", errno, err);
        free(s->target);
        s->target = next;
    }
    return fail_errno(s, "cannot be created", ELOOP, err);
}

static vox_status refuse_terminal(const vox_sink *s, vox_error *err) {
    if (!isatty(s->fd))
        return VOX_OK;
    return vox_fail(err, VOX_ERR_OUTPUT,
                    "%s: is a terminal: binary data is not written there; name a file or a pipe",
                    s->name);
}

static vox_status fail_exists(const vox_sink *s, vox_error *err) {
    return vox_fail(err, VOX_ERR_OUTPUT, "%s: exists already: it is replaced only with --force",
                    s->name);
}

static vox_status open_temporary(vox_sink *s, const struct stat *st, vox_error *err) {
    bool replaces = S_ISREG(st->st_mode);
    unsigned mode = replaces ? st->st_mode & 0777 : 0666;
    int failed = vox_temporary_new(s->target, mode, &s->temporary);
    if (failed == EMFILE || failed == ENFILE || failed == ENOMEM)
        return vox_fail(err, VOX_ERR_RESOURCE, "%s: too many files are open: %s", s->name,
                        strerror(failed));
    if (failed)
        return fail_errno(s, "cannot be created in its folder", failed, err);
    s->fd = s->temporary.fd;
    /* The umask took bits away that the old file had. EPERM: a file system without permissions
     * (FAT). */
    if (replaces && fchmod(s->fd, mode) != 0 && errno != EPERM)
        return fail_errno(s, "its permissions cannot be kept", errno, err);
    return VOX_OK;
}

static vox_status open_target(vox_sink *s, vox_error *err) {
    struct stat st;
    if (s->is_stdout) {
        s->fd = STDOUT_FILENO;
        return refuse_terminal(s, err);
    }
    /* By its own name: /dev/stdout is a link that cannot be followed by hand. */
    if (stat(s->path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
        s->fd = vox_fd_open(s->path, O_WRONLY | O_NOCTTY, 0);
        return s->fd < 0 ? fail_errno(s, "cannot be opened", errno, err) : refuse_terminal(s, err);
    }
    vox_status status = resolve(s, &st, err);
    if (status != VOX_OK)
        return status;
    if (st.st_mode == 0 || (S_ISREG(st.st_mode) && s->force))
        return open_temporary(s, &st, err);
    if (S_ISDIR(st.st_mode))
        return vox_fail(err, VOX_ERR_OUTPUT, "%s: is a directory", s->name);
    return fail_exists(s, err);
}

/* ---- Writing ---- */

static vox_status put(void *user, const void *buf, int64_t bytes, vox_error *err) {
    vox_sink *s = user;
    int failed = vox_fd_write(s->fd, buf, bytes);
    if (failed)
        return fail_errno(s, "cannot be written", failed, err);
    /* Closing waits for the disk: the more of it has happened by then, the better. */
    s->written += bytes;
    if (s->temporary.path && s->written - s->syncing >= SYNC_BYTES) {
        vox_fd_sync_begin(s->fd, s->syncing, s->written - s->syncing);
        s->syncing = s->written;
    }
    return VOX_OK;
}

vox_sink *vox_sink_open(const char *path, const vox_sink_options *o, vox_error *err) {
    vox_sink *s = vox_alloc(1, sizeof *s, path, err);
    if (!s)
        return NULL;
    s->fd = -1;
    s->force = o->force;
    s->path = vox_strdup(path, err);
    if (!s->path)
        goto out;
    s->is_stdout = strcmp(path, "-") == 0;
    s->name = s->is_stdout ? "stdout" : s->path;
    if (open_target(s, err) != VOX_OK)
        goto out;
    if (o->gzip && !(s->gzip = vox_gzip_new(o->level, o->threads, put, s, err)))
        goto out;
    return s;
out:
    vox_sink_free(s);
    return NULL;
}

const char *vox_sink_path(const vox_sink *s) {
    return s->path;
}

vox_status vox_sink_write(vox_sink *s, const void *buf, int64_t bytes, vox_error *err) {
    return s->gzip ? vox_gzip_write(s->gzip, buf, bytes, err) : put(s, buf, bytes, err);
}

bool vox_sink_positioned(const vox_sink *s) {
    return s->temporary.path && !s->gzip;
}

vox_status vox_sink_write_at(vox_sink *s, const void *buf, int64_t bytes, int64_t offset,
                             vox_error *err) {
    assert(vox_sink_positioned(s) && bytes >= 0 && offset >= 0);
    int failed = vox_fd_write_at(s->fd, buf, bytes, offset);
    return failed ? fail_errno(s, "cannot be written", failed, err) : VOX_OK;
}

/* ---- Ending ---- */

/* Errors of delayed writing come from fsync and close. EINTR: the descriptor is closed on Linux. */
static int sync_and_close(vox_sink *s) {
    int failed = vox_fd_sync(s->fd), at_close = 0;
    if (s->temporary.path)
        at_close = vox_temporary_close(&s->temporary);
    else if (!s->is_stdout && close(s->fd) != 0)
        at_close = errno;
    s->fd = -1;
    return failed || at_close == EINTR ? failed : at_close;
}

vox_status vox_sink_close(vox_sink *s, vox_error *err) {
    vox_status status = s->gzip ? vox_gzip_finish(s->gzip, err) : VOX_OK;
    if (status != VOX_OK)
        return status;
    int failed = sync_and_close(s);
    return failed ? fail_errno(s, "cannot be brought to disk", failed, err) : VOX_OK;
}

/* ---- Names ---- */

static vox_status give_name(vox_sink *s, vox_error *err) {
    assert(s->fd < 0);
    if (!s->temporary.path)
        return VOX_OK;
    int failed = s->force ? vox_rename_over(s->temporary.path, s->target, &s->before)
                          : vox_rename_new(s->temporary.path, s->target);
    if (failed == EEXIST && !s->force)
        return fail_exists(s, err);
    if (failed)
        return fail_errno(s, "cannot be given its name", failed, err);
    s->named = true;
    return VOX_OK;
}

/* The new name is on disk when its folder is. */
static vox_status sync_folder(const vox_sink *s, vox_error *err) {
    if (!s->named)
        return VOX_OK;
    const char *slash = strrchr(s->target, '/');
    char *folder = NULL;
    if (slash && asprintf(&folder, "%.*s", (int)(slash + 1 - s->target), s->target) < 0)
        return fail_errno(s, "its folder cannot be synced", ENOMEM, err);
    int fd = vox_fd_open(folder ? folder : ".", O_RDONLY | O_DIRECTORY, 0);
    int failed = fd >= 0 ? vox_fd_sync(fd) : 0; /* a folder may be writable and not readable */
    if (fd >= 0)
        close(fd);
    free(folder);
    return failed ? fail_errno(s, "its name cannot be brought to disk", failed, err) : VOX_OK;
}

static void keep_name(vox_sink *s) {
    if (s->named)
        vox_temporary_release(&s->temporary, s->before == VOX_BEFORE_KEPT);
    s->named = false;
}

/* What was there before is there again. Where it is gone, the new file stays: it is complete. */
static void take_name_back(vox_sink *s) {
    if (!s->named)
        return;
    if (s->before == VOX_BEFORE_KEPT)
        rename(s->temporary.path, s->target);
    else if (s->before == VOX_BEFORE_NOTHING)
        unlink(s->target);
    vox_temporary_release(&s->temporary, false);
    s->named = false;
}

static atomic_int publishing;
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "a signal handler needs lock-free integers");

bool vox_publishing(void) {
    return atomic_load(&publishing) > 0;
}

vox_status vox_sink_publish_all(vox_sink *const *sinks, int64_t count, vox_error *err) {
    vox_status status = VOX_OK;
    atomic_fetch_add(&publishing, 1);
    for (int64_t i = 0; i < count && !status; i++)
        status = give_name(sinks[i], err);
    for (int64_t i = 0; i < count && !status; i++)
        status = sync_folder(sinks[i], err);
    for (int64_t i = 0; i < count; i++)
        if (status)
            take_name_back(sinks[i]);
        else
            keep_name(sinks[i]);
    atomic_fetch_sub(&publishing, 1);
    return status;
}

vox_status vox_sink_publish(vox_sink *s, vox_error *err) {
    return vox_sink_publish_all(&s, 1, err);
}

void vox_sink_free(vox_sink *s) {
    if (!s)
        return;
    vox_gzip_free(s->gzip);
    if (s->fd >= 0 && !s->is_stdout)
        close(s->fd);
    vox_temporary_release(&s->temporary, true);
    free(s->target);
    free(s->path);
    free(s);
}

int64_t vox_sink_memory(const vox_sink_options *o) {
    return (int64_t)sizeof(vox_sink) + (o->gzip ? vox_gzip_memory(o->level, o->threads) : 0);
}
