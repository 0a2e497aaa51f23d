/* faulty.c - a library for LD_PRELOAD that makes one call of the system or of the C library fail.
 *
 * fault.py names a kind of call, a number and an error in the environment:
 *
 *     FAULTY_KIND=write FAULTY_AT=3 FAULTY_ERROR=28 FAULTY_REPORT=file   the third write: ENOSPC
 *     FAULTY_ERROR=0                                                      half of the bytes only
 *     FAULTY_BARE=1    besides, a file system without O_TMPFILE, fallocate and renameat2's flags
 *
 * The fault is written to the report before it happens, with the calling library and what the call
 * was about; no report means that the run had fewer calls of that kind. Calls are counted from
 * main's beginning to its end, those of libraries among them. What the C library calls within
 * itself cannot be seen from here, but for malloc; so fopen, fread, fgets, fflush and mkostemp are
 * calls of their own.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* The function of that name behind this library. */
#define NEXT(name)                                                                                 \
    static __typeof__(&(name)) next;                                                               \
    if (!next)                                                                                     \
    next = (__typeof__(next))dlsym(RTLD_NEXT, #name)
/* Whether this call is the one to fail. */
#define FIRES(kind, path, fd) fires(kind, __func__, __builtin_return_address(0), path, fd)
#define FAIL_IF(kind, path, fd)                                                                    \
    if (FIRES(kind, path, fd)) {                                                                   \
        errno = plan.error;                                                                        \
        return -1;                                                                                 \
    }

static struct {
    const char *kind, *report;
    long at;
    int error; /* 0: a short transfer */
    bool bare;
} plan;
static atomic_long calls;
static atomic_bool armed;

static void read_plan(void) {
    const char *at = getenv("FAULTY_AT"), *error = getenv("FAULTY_ERROR");
    plan.kind = getenv("FAULTY_KIND");
    plan.report = getenv("FAULTY_REPORT");
    plan.bare = getenv("FAULTY_BARE") != NULL;
    plan.at = at ? atol(at) : 0;
    plan.error = error ? atoi(error) : EIO;
}

/* "kind function library subject": the subject is a path, what a descriptor stands for, or "-". */
static void report(const char *kind, const char *function, const void *caller, const char *path,
                   int fd) {
    char line[2048], link[64], target[1024] = "-";
    Dl_info info;
    const char *library = dladdr(caller, &info) && info.dli_fname ? info.dli_fname : "?";
    const char *slash = strrchr(library, '/');
    if (fd >= 0 && fd <= STDERR_FILENO) {
        path = (const char *[]){"stdin", "stdout", "stderr"}[fd];
    } else if (fd >= 0) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        const long n = syscall(SYS_readlinkat, AT_FDCWD, link, target, sizeof target - 1);
        target[n > 0 ? n : 0] = '\0';
    }
    const int length = snprintf(line, sizeof line, "%s\t%s\t%s\t%s\n", kind, function,
                                slash ? slash + 1 : library, path ? path : target);
    const int to =
        (int)syscall(SYS_openat, AT_FDCWD, plan.report, O_WRONLY | O_CREAT | O_APPEND, 0600);
    (void)!syscall(SYS_write, to, line, (size_t)length);
    syscall(SYS_close, to);
}

static bool fires(const char *kind, const char *function, const void *caller, const char *path,
                  int fd) {
    if (!atomic_load(&armed) || !plan.kind || !plan.report || strcmp(kind, plan.kind) != 0)
        return false;
    if (atomic_fetch_add(&calls, 1) + 1 != plan.at)
        return false;
    report(kind, function, caller, path, fd);
    return true;
}

/* ---- From main's beginning to its end ---- */

static int (*program)(int, char **, char **);

static int armed_main(int argc, char **argv, char **envp) {
    read_plan();
    atomic_store(&armed, true);
    const int status = program(argc, argv, envp);
    atomic_store(&armed, false);
    return status;
}

int __libc_start_main(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void),
                      void (*)(void), void *);
int __libc_start_main(int (*run)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*loader_fini)(void), void *stack_end) {
    NEXT(__libc_start_main);
    program = run;
    return next(armed_main, argc, argv, init, fini, loader_fini, stack_end);
}

/* ---- Transfers ---- */

/* Half of what a transfer of `bytes` could move, of which `there` are there (-1: as many as asked
 * for); 0 where a half is nothing. */
static size_t half(size_t bytes, int64_t there) {
    if (there >= 0 && (uint64_t)there < bytes)
        bytes = (size_t)there;
    return bytes / 2;
}

static int64_t ahead(int fd) {
    int n = 0;
    return syscall(SYS_ioctl, fd, FIONREAD, &n) == 0 ? n : -1;
}

static int64_t behind(int fd, off_t offset) {
    const off_t now = (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
    const off_t end = (off_t)syscall(SYS_lseek, fd, 0, SEEK_END);
    syscall(SYS_lseek, fd, now, SEEK_SET);
    return end > offset ? end - offset : 0;
}

/* A transfer that fails, or moves `some` of `n` bytes, or all of them. Without a half there is no
 * short transfer to make, and the call is not counted. */
#define TRANSFER(kind, some, ...)                                                                  \
    const size_t part = plan.error ? n : (some);                                                   \
    if (part > 0 && FIRES(kind, NULL, fd)) {                                                       \
        if (plan.error) {                                                                          \
            errno = plan.error;                                                                    \
            return -1;                                                                             \
        }                                                                                          \
        n = part;                                                                                  \
    }                                                                                              \
    return next(__VA_ARGS__)

ssize_t read(int fd, void *buf, size_t n) {
    NEXT(read);
    TRANSFER("read", half(n, ahead(fd)), fd, buf, n);
}

ssize_t pread(int fd, void *buf, size_t n, off_t offset) {
    NEXT(pread);
    TRANSFER("read", half(n, behind(fd, offset)), fd, buf, n, offset);
}

ssize_t write(int fd, const void *buf, size_t n) {
    NEXT(write);
    TRANSFER("write", half(n, -1), fd, buf, n);
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t offset) {
    NEXT(pwrite);
    TRANSFER("write", half(n, -1), fd, buf, n, offset);
}

ssize_t writev(int fd, const struct iovec *iov, int count) {
    NEXT(writev);
    if (plan.error)
        FAIL_IF("write", NULL, fd);
    return next(fd, iov, count);
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset) {
    NEXT(pwritev);
    if (plan.error)
        FAIL_IF("write", NULL, fd);
    return next(fd, iov, count, offset);
}

ssize_t pread64(int, void *, size_t, off_t) __attribute__((alias("pread")));
ssize_t pwrite64(int, const void *, size_t, off_t) __attribute__((alias("pwrite")));

/* What a stream does with an error of its descriptor: glibc's flag _IO_ERR_SEEN. EINTR is not among
 * them: glibc hands it up, and no file gives it. */
static bool stream_fires(const char *kind, const char *function, const void *caller, FILE *f) {
    if (!plan.error || plan.error == EINTR || !fires(kind, function, caller, NULL, fileno(f)))
        return false;
    f->_flags |= 0x20;
    errno = plan.error;
    return true;
}

size_t fread(void *buf, size_t size, size_t count, FILE *f) {
    NEXT(fread);
    if (stream_fires("read", __func__, __builtin_return_address(0), f))
        return 0;
    return next(buf, size, count, f);
}

char *fgets(char *buf, int size, FILE *f) {
    NEXT(fgets);
    if (stream_fires("read", __func__, __builtin_return_address(0), f))
        return NULL;
    return next(buf, size, f);
}

int fflush(FILE *f) {
    NEXT(fflush);
    if (f && __fpending(f) > 0 && stream_fires("write", __func__, __builtin_return_address(0), f)) {
        __fpurge(f);
        return EOF;
    }
    return next(f);
}

/* ---- Files and their names ---- */

static unsigned open_mode(int flags, va_list arguments) {
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, unsigned) : 0;
}

int open(const char *path, int flags, ...) {
    NEXT(open);
    va_list arguments;
    va_start(arguments, flags);
    const unsigned mode = open_mode(flags, arguments);
    va_end(arguments);
    FAIL_IF("open", path, -1);
    if (plan.bare && (flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return next(path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
    NEXT(openat);
    va_list arguments;
    va_start(arguments, flags);
    const unsigned mode = open_mode(flags, arguments);
    va_end(arguments);
    FAIL_IF("open", path, -1);
    return next(folder, path, flags, mode);
}

FILE *fopen(const char *path, const char *mode) {
    NEXT(fopen);
    if (plan.error != EINTR && FIRES("open", path, -1)) {
        errno = plan.error;
        return NULL;
    }
    return next(path, mode);
}

int mkostemp(char *path, int flags) {
    NEXT(mkostemp);
    if (plan.error != EINTR)
        FAIL_IF("open", path, -1);
    return next(path, flags);
}

int open64(const char *, int, ...) __attribute__((alias("open")));
int openat64(int, const char *, int, ...) __attribute__((alias("openat")));
FILE *fopen64(const char *, const char *) __attribute__((alias("fopen")));
int mkostemp64(char *, int) __attribute__((alias("mkostemp")));

int eventfd(unsigned count, int flags) {
    NEXT(eventfd);
    FAIL_IF("eventfd", NULL, -1);
    return next(count, flags);
}

int fsync(int fd) {
    NEXT(fsync);
    FAIL_IF("sync", NULL, fd);
    return next(fd);
}

int fdatasync(int fd) {
    NEXT(fdatasync);
    FAIL_IF("sync", NULL, fd);
    return next(fd);
}

/* Linux closes the descriptor whatever it says. */
int close(int fd) {
    NEXT(close);
    if (FIRES("close", NULL, fd)) {
        next(fd);
        errno = plan.error;
        return -1;
    }
    return next(fd);
}

int rename(const char *from, const char *to) {
    NEXT(rename);
    FAIL_IF("rename", to, -1);
    return next(from, to);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    NEXT(renameat2);
    FAIL_IF("rename", to, -1);
    if (plan.bare && flags) {
        errno = EINVAL;
        return -1;
    }
    return next(from_folder, from, to_folder, to, flags);
}

int link(const char *from, const char *to) {
    NEXT(link);
    FAIL_IF("rename", to, -1);
    return next(from, to);
}

int ftruncate(int fd, off_t bytes) {
    NEXT(ftruncate);
    FAIL_IF("reserve", NULL, fd);
    return next(fd, bytes);
}

int fallocate(int fd, int mode, off_t offset, off_t bytes) {
    NEXT(fallocate);
    FAIL_IF("reserve", NULL, fd);
    if (plan.bare) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return next(fd, mode, offset, bytes);
}

int posix_fallocate(int fd, off_t offset, off_t bytes) {
    NEXT(posix_fallocate);
    return FIRES("reserve", NULL, fd) ? plan.error : next(fd, offset, bytes);
}

int ftruncate64(int, off_t) __attribute__((alias("ftruncate")));
int fallocate64(int, int, off_t, off_t) __attribute__((alias("fallocate")));
int posix_fallocate64(int, off_t, off_t) __attribute__((alias("posix_fallocate")));

int stat(const char *restrict path, struct stat *restrict st) {
    NEXT(stat);
    FAIL_IF("stat", path, -1);
    return next(path, st);
}

int lstat(const char *restrict path, struct stat *restrict st) {
    NEXT(lstat);
    FAIL_IF("stat", path, -1);
    return next(path, st);
}

int fstat(int fd, struct stat *st) {
    NEXT(fstat);
    FAIL_IF("stat", NULL, fd);
    return next(fd, st);
}

int fstatvfs(int fd, struct statvfs *v) {
    NEXT(fstatvfs);
    FAIL_IF("stat", NULL, fd);
    return next(fd, v);
}

int fchmod(int fd, mode_t mode) {
    NEXT(fchmod);
    FAIL_IF("stat", NULL, fd);
    return next(fd, mode);
}

int poll(struct pollfd *fds, nfds_t count, int timeout) {
    NEXT(poll);
    FAIL_IF("poll", NULL, count > 0 ? fds[0].fd : -1);
    return next(fds, count, timeout);
}

/* ---- Memory and threads ---- */

void *mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset) {
    NEXT(mmap);
    if (FIRES("mmap", NULL, fd)) {
        errno = plan.error;
        return MAP_FAILED;
    }
    return next(address, bytes, protection, flags, fd, offset);
}

void *mmap64(void *, size_t, int, int, int, off_t) __attribute__((alias("mmap")));

#define NO_MEMORY_IF_IT_FIRES                                                                      \
    if (FIRES("memory", NULL, -1)) {                                                               \
        errno = plan.error;                                                                        \
        return NULL;                                                                               \
    }

void *malloc(size_t bytes) {
    NEXT(malloc);
    NO_MEMORY_IF_IT_FIRES
    return next(bytes);
}

void *calloc(size_t count, size_t bytes) {
    NEXT(calloc);
    NO_MEMORY_IF_IT_FIRES
    return next(count, bytes);
}

void *realloc(void *p, size_t bytes) {
    NEXT(realloc);
    NO_MEMORY_IF_IT_FIRES
    return next(p, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes) {
    NEXT(aligned_alloc);
    NO_MEMORY_IF_IT_FIRES
    return next(alignment, bytes);
}

int posix_memalign(void **p, size_t alignment, size_t bytes) {
    NEXT(posix_memalign);
    return FIRES("memory", NULL, -1) ? plan.error : next(p, alignment, bytes);
}

/* AddressSanitizer's own do not come by malloc. */
static char *copy(const char *s, size_t n, const char *function, const void *caller) {
    NEXT(malloc);
    if (fires("memory", function, caller, NULL, -1)) {
        errno = plan.error;
        return NULL;
    }
    char *to = next(n + 1);
    if (to) {
        memcpy(to, s, n);
        to[n] = '\0';
    }
    return to;
}

char *strdup(const char *s) {
    return copy(s, strlen(s), __func__, __builtin_return_address(0));
}

char *strndup(const char *s, size_t most) {
    return copy(s, strnlen(s, most), __func__, __builtin_return_address(0));
}

int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
                   void *(*run)(void *), void *restrict argument) {
    NEXT(pthread_create);
    return FIRES("thread", NULL, -1) ? plan.error : next(thread, attributes, run, argument);
}
