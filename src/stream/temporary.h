/* temporary.h - files under a temporary name, and their removal when the process is told to end.
 *
 * A signal handler can neither lock nor allocate. The names of all temporary files stand in a fixed
 * table of atomic pointers, from before the file is there until it is gone or has its own name.
 * Whoever has taken a pointer out of the table is the one to free the name, or to leave it there.
 *
 * Nothing can clean up behind a process that is killed, so the next one that writes to the same
 * target does. That a file's process no longer lives is proved by a lock (flock(2)) that every
 * temporary file has until it is published or removed: the system gives it up with the process, and
 * it holds between machines that share a folder, where a process number would mean nothing. A file
 * system without locks keeps such files.
 */
#ifndef VOX_STREAM_TEMPORARY_H
#define VOX_STREAM_TEMPORARY_H

#include "base/base.h"

/* The most temporary files that one process may have at once. */
enum { VOX_TEMPORARIES_MAX = 1024 };

typedef struct vox_temporary {
    char *path; /* NULL once released */
    int slot;
    int fd;   /* the caller's to close, with vox_temporary_close */
    int lock; /* holds the lock once fd is closed; -1 before */
} vox_temporary;

/* Creates FOLDER/.NAME.voxconv-XXXXXX for the target FOLDER/NAME with `mode` less the umask, open
 * for writing and locked, and removes those of the same target whose processes have died. A NAME
 * too long for its folder is cut. 0, or errno (EMFILE where the table is full). */
int vox_temporary_new(const char *target, unsigned mode, vox_temporary *t);
/* Closes fd and keeps the lock. 0, or errno. */
int vox_temporary_close(vox_temporary *t);
/* Takes the name out of the table, removes the file where asked to, and then gives up the lock,
 * unless fd is still open. */
void vox_temporary_release(vox_temporary *t, bool remove_file);

#endif
