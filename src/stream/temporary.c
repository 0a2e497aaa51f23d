/* temporary.c - files under a temporary name, and their removal when the process is told to end. */
#include "stream/temporary.h"

#include "stream/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
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

static const char letter[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

static void fill_random(char *to) {
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

/* ---- Locks ---- */

/* 0, or errno: EWOULDBLOCK where somebody else has it. */
static int try_lock(int fd) {
    int r;
    do
        r = flock(fd, LOCK_EX | LOCK_NB);
    while (r != 0 && errno == EINTR);
    return r == 0 ? 0 : errno;
}

/* Whether the descriptor's file still has that name. */
static bool has_name(int fd, int folder, const char *name) {
    struct stat open_file, named;
    return fstat(fd, &open_file) == 0 && fstatat(folder, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino;
}

/* The lock of a file that this process has just made. Between its making and its locking it looks
 * abandoned; somebody who cleans up may have taken the lock or have removed it already, and then
 * this one is lost. Where there are no locks nobody cleans up either. */
static bool lock_own(const vox_temporary *t) {
    int failed = try_lock(t->fd);
    return failed != EWOULDBLOCK && (failed || has_name(t->fd, AT_FDCWD, t->path));
}

/* ---- What dead processes left ---- */

/* Removes the file unless a process has it locked. Who makes or renames a temporary file has the
 * lock, so while we have it the name cannot change its meaning between the look and the removal. */
static void remove_abandoned(int folder, const char *name) {
    const int flags = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    struct stat st;
    /* For writing, because NFS has no exclusive lock for a descriptor that only reads. */
    int fd = openat(folder, name, O_WRONLY | flags);
    if (fd < 0 && errno == EACCES)
        fd = openat(folder, name, O_RDONLY | flags);
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && try_lock(fd) == 0 &&
        has_name(fd, folder, name))
        unlinkat(folder, name, 0);
    close(fd);
}

/* Whether `entry` is the name of a temporary file of the target's `name`. */
static bool is_temporary(const char *entry, const char *name) {
    const size_t n = (size_t)name_that_fits(name), mark = sizeof MARK - 1;
    return entry[0] == '.' && strncmp(entry + 1, name, n) == 0 &&
           strncmp(entry + 1 + n, MARK, mark) == 0 &&
           strspn(entry + 1 + n + mark, letter) == RANDOM_CHARS &&
           entry[1 + n + mark + RANDOM_CHARS] == '\0';
}

/* Of this target alone: those of others are theirs to clean up, and a folder that is shared without
 * shared locks then stays safe between runs that do not write to one name. A folder that cannot be
 * read is left as it is. */
static void remove_all_abandoned(const char *target, const char *name) {
    char *path = NULL;
    if (name > target && asprintf(&path, "%.*s", (int)(name - target), target) < 0)
        return;
    DIR *d = opendir(path ? path : ".");
    free(path);
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));)
        if (is_temporary(e->d_name, name))
            remove_abandoned(dirfd(d), e->d_name);
    closedir(d);
}

/* ---- Temporary files ---- */

/* One try, under a name of its own. 0 or errno; EEXIST: another name may do. */
static int make(const char *target, const char *name, unsigned mode, vox_temporary *t) {
    char suffix[RANDOM_CHARS + 1] = "";
    fill_random(suffix);
    *t = (vox_temporary){.fd = -1, .lock = -1};
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
    if (t->fd >= 0 && lock_own(t))
        return 0;
    const int failed = t->fd < 0 ? errno : EEXIST;
    vox_temporary_release(t, t->fd >= 0);
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
    return failed;
}

int vox_temporary_new(const char *target, unsigned mode, vox_temporary *t) {
    const char *slash = strrchr(target, '/');
    const char *name = slash ? slash + 1 : target;
    int failed = EEXIST;
    remove_all_abandoned(target, name);
    for (int i = 0; i < TRIES && failed == EEXIST; i++)
        failed = make(target, name, mode, t);
    return failed;
}

/* The lock belongs to what both descriptors share, and closing the one that wrote still tells the
 * errors that closing can have. Where no second one is to be had the first stays open. */
int vox_temporary_close(vox_temporary *t) {
    t->lock = fcntl(t->fd, F_DUPFD_CLOEXEC, 0);
    int failed = 0;
    if (t->lock < 0)
        t->lock = t->fd;
    else if (close(t->fd) != 0)
        failed = errno;
    t->fd = -1;
    return failed;
}

void vox_temporary_release(vox_temporary *t, bool remove_file) {
    if (!t->path)
        return;
    /* The name leaves the table after the file is gone: no signal can come between. Where a handler
     * removes it as well, one of the two finds nothing. */
    if (remove_file)
        unlink(t->path);
    if (leave_slot(t))
        free(t->path);
    t->path = NULL;
    if (t->lock >= 0)
        close(t->lock);
    t->lock = -1;
}
