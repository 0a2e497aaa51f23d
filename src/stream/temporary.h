/* temporary.h - files under a temporary name, and their removal when the process is told to end.
 *
 * A signal handler can neither lock nor allocate. The names of all temporary files stand in a fixed
 * table of atomic pointers; whoever has taken a pointer out of the table is the only one to use it.
 */
#ifndef VOX_STREAM_TEMPORARY_H
#define VOX_STREAM_TEMPORARY_H

#include "base/base.h"

/* The most temporary files that one process may have at once. */
enum { VOX_TEMPORARIES_MAX = 1024 };

typedef struct vox_temporary {
    char *path; /* NULL once released */
    int slot;
    int fd; /* the caller's to close */
} vox_temporary;

/* Creates FOLDER/.NAME.voxconv-XXXXXX for the target FOLDER/NAME with `mode` less the umask, open
 * for writing. A NAME too long for its folder is cut. 0, or errno (EMFILE where the table is full).
 */
int vox_temporary_new(const char *target, unsigned mode, vox_temporary *t);
/* Takes the name out of the table, and removes the file where asked to. */
void vox_temporary_release(vox_temporary *t, bool remove_file);

#endif
