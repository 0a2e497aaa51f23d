/* temporary.c - files under a temporary name, and their removal when the process is told to end. */
#include "stream/temporary.h"

#include "stream/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

_Static_assert(ATOMIC_POINTER_LOCK_FREE == 2, "a signal handler needs lock-free pointers");

static _Atomic(char *) table[VOX_TEMPORARIES_MAX];

static const char MARK[] = ".voxconv-";

enum { RANDOM_CHARS = 6, TRIES = 100 };

void vox_remove_temporaries(void) {
    int before = errno;
    for (int i = 0; i < VOX_TEMPORARIES_MAX; i++) {
        char *path = atomic_exchange(&table[i], NULL), *empty = NULL;
        if (!path)
            continue;
        unlink(path);
        /* Back for its owner to free. An owner that came by meanwhile has left it to us, and here
         * it stays: free is not for handlers. */
        atomic_compare_exchange_strong(&table[i], &empty, path);
    }
    errno = before;
}

/* How much of a name fits between "." and the mark, cut between characters of UTF-8. */
static int name_that_fits(const char *name) {
    size_t n = strlen(name);
    const size_t most = NAME_MAX - 1 - (sizeof MARK - 1) - RANDOM_CHARS;
    if (n > most)
        for (n = most; n > 0 && ((unsigned char)name[n] & 0xc0) == 0x80;)
            n--;
    return (int)n;
}

static void fill_random(char *to) {
    static const char letter[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    unsigned char r[RANDOM_CHARS] = {0};
    ssize_t n = getrandom(r, sizeof r, 0);
    (void)n; /* without random bytes O_EXCL still keeps names apart, and TRIES ends the search */
    for (int i = 0; i < RANDOM_CHARS; i++)
        to[i] = letter[r[i] % (sizeof letter - 1)];
}

static int take_slot(char *path) {
    for (int i = 0; i < VOX_TEMPORARIES_MAX; i++) {
        char *empty = NULL;
        if (atomic_compare_exchange_strong(&table[i], &empty, path))
            return i;
    }
    return -1;
}

/* False where a handler is busy with the name just now. */
static bool leave_slot(const vox_temporary *t) {
    char *mine = t->path;
    return atomic_compare_exchange_strong(&table[t->slot], &mine, NULL);
}

int vox_temporary_new(const char *target, unsigned mode, vox_temporary *t) {
    const char *slash = strrchr(target, '/');
    const char *name = slash ? slash + 1 : target;
    for (int i = 0; i < TRIES; i++) {
        char suffix[RANDOM_CHARS + 1] = "";
        fill_random(suffix);
        if (asprintf(&t->path, "%.*s.%.*s%s%s", (int)(name - target), target, name_that_fits(name),
                     name, MARK, suffix) < 0) {
            t->path = NULL;
            return ENOMEM;
        }
        /* The name is in the table before the file is there: no signal can come between. */
        t->slot = take_slot(t->path);
        if (t->slot < 0) {
            free(t->path);
            t->path = NULL;
            return EMFILE;
        }
        t->fd = vox_fd_open(t->path, O_WRONLY | O_CREAT | O_EXCL, mode);
        if (t->fd >= 0)
            return 0;
        int failed = errno;
        vox_temporary_release(t, false);
        if (failed != EEXIST)
            return failed;
    }
    return EEXIST;
}

void vox_temporary_release(vox_temporary *t, bool remove_file) {
    if (!t->path)
        return;
    if (leave_slot(t)) {
        if (remove_file)
            unlink(t->path);
        free(t->path);
    }
    t->path = NULL;
}
