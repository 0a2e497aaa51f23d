/* step.c - a preloaded library that sends the process a signal right before its STEP-th system call
 * of those that touch files, so that a run can be ended at each of them in turn. STRESS_STEP counts
 * from 1, STRESS_SIGNAL is the number of the signal. */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

int flock(int fd, int how);
int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags);
int rename(const char *from, const char *to);

static atomic_int count;

static void step(void) {
    const char *at = getenv("STRESS_STEP"), *number = getenv("STRESS_SIGNAL");
    if (at && number && atomic_fetch_add(&count, 1) + 1 == atoi(at))
        kill(getpid(), atoi(number));
}

#define NEXT(name, ...)                                                                            \
    static __typeof__(name) *next;                                                                 \
    if (!next)                                                                                     \
        *(void **)&next = dlsym(RTLD_NEXT, #name);                                                 \
    step();                                                                                        \
    return next(__VA_ARGS__)

int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    NEXT(open, path, flags, mode);
}

int close(int fd) {
    NEXT(close, fd);
}

int fsync(int fd) {
    NEXT(fsync, fd);
}

int flock(int fd, int how) {
    NEXT(flock, fd, how);
}

int unlink(const char *path) {
    NEXT(unlink, path);
}

int rename(const char *from, const char *to) {
    NEXT(rename, from, to);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    NEXT(renameat2, from_folder, from, to_folder, to, flags);
}

ssize_t write(int fd, const void *buf, size_t bytes) {
    NEXT(write, fd, buf, bytes);
}

ssize_t pwrite(int fd, const void *buf, size_t bytes, off_t at) {
    NEXT(pwrite, fd, buf, bytes, at);
}
