/* source.c - files and stdin as streams of bytes, gunzipped where they are gzip.
 *
 * A plain regular file is read where it is asked for. Everything else - gzip, pipes, devices - goes
 * through an inlet and a read-ahead thread.
 */
#include "stream/stream.h"

#include "stream/file.h"
#include "stream/gunzip.h"
#include "stream/readahead.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

struct vox_source {
    char *path;
    bool is_stdin;
    vox_inlet inlet;
    /* A plain regular file: it starts at byte `start` of the descriptor and is read at `position`.
     */
    bool positioned;
    int64_t start, bytes, position;
    vox_gunzip *gunzip;       /* NULL where it is not gzip */
    vox_readahead *readahead; /* NULL where positioned */
};

static vox_status fail_errno(const vox_source *s, const char *what, int number, vox_error *err) {
    return vox_fail(err, s->inlet.kind, "%s: %s: %s", s->inlet.name, what, strerror(number));
}

/* Opens the descriptor and learns what it is. */
static vox_status open_descriptor(vox_source *s, struct stat *st, vox_error *err) {
    s->inlet.fd = s->is_stdin ? STDIN_FILENO : vox_fd_open(s->path, O_RDONLY, 0);
    if (s->inlet.fd < 0) {
        bool ours = errno == EMFILE || errno == ENFILE || errno == ENOMEM;
        return vox_fail(err, ours ? VOX_ERR_RESOURCE : s->inlet.kind, "%s: cannot be opened: %s",
                        s->inlet.name, strerror(errno));
    }
    if (fstat(s->inlet.fd, st) != 0)
        return fail_errno(s, "cannot be read", errno, err);
    if (S_ISDIR(st->st_mode))
        return vox_fail(err, s->inlet.kind, "%s: is a directory", s->inlet.name);
    return VOX_OK;
}

/* Reads the first bytes to see whether there are any and whether they are gzip's magic. */
static vox_status sniff(vox_source *s, const struct stat *st, bool *gzip, vox_error *err) {
    vox_inlet *f = &s->inlet;
    /* Files of /proc are regular, have a size of 0 and bytes all the same: they are streams. */
    if (S_ISREG(st->st_mode) && st->st_size > 0) {
        off_t start = lseek(f->fd, 0, SEEK_CUR);
        int64_t got;
        s->positioned = true;
        s->start = start > 0 ? start : 0;
        s->bytes = vox_max(st->st_size - s->start, 0);
        int failed = vox_fd_read_at(f->fd, f->head, 2, s->start, &got);
        if (failed)
            return fail_errno(s, "cannot be read", failed, err);
        f->head_bytes = (size_t)got;
    } else {
        uint8_t first[2];
        size_t made = 1, have = 0;
        while (have < 2 && made > 0) {
            vox_status status = vox_inlet_read(f, first + have, 2 - have, &made, err);
            if (status != VOX_OK)
                return status;
            have += made;
        }
        memcpy(f->head, first, have);
        f->head_bytes = have;
    }
    if (f->head_bytes == 0)
        return vox_fail(err, f->kind, "%s: is empty", f->name);
    *gzip = f->head_bytes == 2 && f->head[0] == 0x1f && f->head[1] == 0x8b;
    return VOX_OK;
}

static vox_status fill_plain(void *user, uint8_t *buf, size_t room, size_t *made, vox_error *err) {
    vox_source *s = user;
    return vox_inlet_read(&s->inlet, buf, room, made, err);
}

static vox_status fill_gunzipped(void *user, uint8_t *buf, size_t room, size_t *made,
                                 vox_error *err) {
    vox_source *s = user;
    return vox_gunzip_read(s->gunzip, buf, room, made, err);
}

static vox_status begin(vox_source *s, vox_error *err) {
    struct stat st = {0};
    bool gzip = false;
    s->inlet.wake = eventfd(0, EFD_CLOEXEC);
    if (s->inlet.wake < 0)
        return vox_fail(err, VOX_ERR_RESOURCE, "%s: no eventfd: %s", s->inlet.name,
                        strerror(errno));
    vox_status status = open_descriptor(s, &st, err);
    if (status == VOX_OK)
        status = sniff(s, &st, &gzip, err);
    if (status != VOX_OK)
        return status;
    if (gzip) {
        s->gunzip = vox_gunzip_new(&s->inlet, vox_codec_choose(), err);
        if (!s->gunzip)
            return VOX_ERR_RESOURCE;
        if (s->positioned)
            s->inlet.head_bytes = 0; /* they were looked at, not taken */
        s->positioned = false;
    }
    if (s->positioned)
        return VOX_OK;
    s->readahead = vox_readahead_start(gzip ? fill_gunzipped : fill_plain, s, err);
    return s->readahead ? VOX_OK : VOX_ERR_RESOURCE;
}

vox_source *vox_source_open(const char *path, vox_status kind, vox_error *err) {
    vox_source *s = vox_alloc(1, sizeof *s, path, err);
    if (!s)
        return NULL;
    s->inlet.kind = kind;
    s->inlet.fd = s->inlet.wake = -1;
    s->path = vox_strdup(path, err);
    if (!s->path)
        goto out;
    s->is_stdin = strcmp(path, "-") == 0;
    s->inlet.name = s->is_stdin ? "stdin" : s->path;
    if (begin(s, err) == VOX_OK)
        return s;
out:
    vox_source_free(s);
    return NULL;
}

void vox_source_free(vox_source *s) {
    if (!s)
        return;
    if (s->readahead)
        vox_inlet_cancel(&s->inlet);
    vox_readahead_stop(s->readahead);
    vox_gunzip_free(s->gunzip);
    if (s->inlet.wake >= 0)
        close(s->inlet.wake);
    if (s->inlet.fd >= 0 && !s->is_stdin)
        close(s->inlet.fd);
    free(s->path);
    free(s);
}

const char *vox_source_path(const vox_source *s) {
    return s->path;
}

bool vox_source_is_gzip(const vox_source *s) {
    return s->gunzip != NULL;
}

bool vox_source_positioned(const vox_source *s) {
    return s->positioned;
}

int64_t vox_source_bytes(const vox_source *s) {
    return s->positioned ? s->bytes : -1;
}

/* Both kinds of reading of a plain file. */
static vox_status read_plain(vox_source *s, void *buf, int64_t bytes, int64_t offset, int64_t *got,
                             vox_error *err) {
    int64_t at;
    *got = 0;
    if (!vox_add(s->start, offset, &at))
        return vox_fail(err, s->inlet.kind, "%s: offset %" PRId64 " is out of range", s->inlet.name,
                        offset);
    int failed = vox_fd_read_at(s->inlet.fd, buf, bytes, at, got);
    return failed ? fail_errno(s, "cannot be read", failed, err) : VOX_OK;
}

vox_status vox_source_read(vox_source *s, void *buf, int64_t want, int64_t *got, vox_error *err) {
    if (!s->positioned)
        return vox_readahead_read(s->readahead, buf, want, got, err);
    vox_status status = read_plain(s, buf, want, s->position, got, err);
    s->position += *got;
    return status;
}

vox_status vox_source_read_at(vox_source *s, void *buf, int64_t bytes, int64_t offset,
                              vox_error *err) {
    assert(s->positioned);
    int64_t got;
    vox_status status = read_plain(s, buf, bytes, offset, &got, err);
    if (status != VOX_OK || got == bytes)
        return status;
    return vox_fail(err, s->inlet.kind,
                    "%s: ends at byte %" PRId64 ", %" PRId64
                    " bytes were to follow; it was cut short",
                    s->inlet.name, offset + got, bytes - got);
}

vox_status vox_source_finish(vox_source *s, int64_t *trailing_bytes, vox_error *err) {
    *trailing_bytes = 0;
    if (s->positioned) {
        struct stat st;
        if (fstat(s->inlet.fd, &st) != 0)
            return fail_errno(s, "cannot be read", errno, err);
        *trailing_bytes = vox_max(st.st_size - s->start - s->position, 0);
        return VOX_OK;
    }
    /* Only gzip has something to check at the end; of other streams one byte tells enough. */
    vox_status status =
        vox_readahead_read(s->readahead, NULL, s->gunzip ? INT64_MAX : 1, trailing_bytes, err);
    if (status == VOX_OK && s->gunzip)
        *trailing_bytes += vox_gunzip_trailing(s->gunzip);
    return status;
}

int64_t vox_source_memory(bool gzip) {
    return (int64_t)sizeof(vox_source) + vox_readahead_memory() + (gzip ? vox_gunzip_memory() : 0);
}
