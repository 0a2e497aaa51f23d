/* file.h - whole reads and writes of descriptors, and giving a file its final name.
 *
 * The system may do half of what it was asked or be interrupted by a signal; these loops take up
 * again until the job is done, the stream has ended or the system has named a reason. They leave
 * the wording of the error to the caller: a failure is an errno value.
 */
#ifndef VOX_STREAM_FILE_H
#define VOX_STREAM_FILE_H

#include "base/base.h"

/* 0, or errno. */
int vox_fd_write(int fd, const void *buf, int64_t bytes);
int vox_fd_write_at(int fd, const void *buf, int64_t bytes, int64_t offset);
/* 0, or errno; *got < bytes where the file ends earlier. */
int vox_fd_read_at(int fd, void *buf, int64_t bytes, int64_t offset, int64_t *got);
/* open(2) with O_CLOEXEC; a descriptor, or -1 with errno. */
int vox_fd_open(const char *path, int flags, unsigned mode);
/* Asks the system to begin with what vox_fd_sync will wait for; does not wait. */
void vox_fd_sync_begin(int fd, int64_t offset, int64_t bytes);
/* fsync(2) where the descriptor is of a kind that can be synced. 0, or errno. */
int vox_fd_sync(int fd);

/* Renames `from` to `to` only where `to` does not exist (EEXIST otherwise). 0, or errno. */
int vox_rename_new(const char *from, const char *to);
/* The same through link(2) and unlink(2), for file systems that cannot rename that way. */
int vox_link_new(const char *from, const char *to);

/* What had a name before: nothing; a file that has the other name now; a file that is gone. */
typedef enum vox_before { VOX_BEFORE_NOTHING, VOX_BEFORE_KEPT, VOX_BEFORE_GONE } vox_before;
/* Renames `from` to `to` whatever is there. A regular file that is there gets the name `from`,
 * where the file system can do that, so that it can be brought back. 0, or errno. */
int vox_rename_over(const char *from, const char *to, vox_before *before);
/* The same through link(2), for file systems that cannot exchange names. */
int vox_link_over(const char *from, const char *to, vox_before *before);

#endif
