/* test_stream_sink.c - where output goes: a file appears complete or not at all, what was there
 * before stays until then, and every way in which writing can fail is reported. */
#include "test_stream.h"

#include "stream/file.h"
#include "stream/temporary.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>

static const vox_sink_options plain = {0}, replace = {.force = true};

static vox_sink *open_sink(const char *path, const vox_sink_options *o) {
    vox_error err = {0};
    vox_sink *s = vox_sink_open(path, o, &err);
    cr_assert_not_null(s, "%s", err.message);
    return s;
}

static void write_text(vox_sink *s, const char *text) {
    vox_error err;
    cr_assert_eq(vox_sink_write(s, text, (int64_t)strlen(text), &err), VOX_OK, "%s", err.message);
}

static void close_and_publish(vox_sink *s) {
    vox_error err;
    cr_assert_eq(vox_sink_close(s, &err), VOX_OK, "%s", err.message);
    cr_assert_eq(vox_sink_publish(s, &err), VOX_OK, "%s", err.message);
    vox_sink_free(s);
}

static void expect_content(const char *path, const char *text) {
    bytes b = file_read(path);
    cr_assert(b.n == strlen(text) && memcmp(b.p, text, b.n) == 0, "%s", path);
    free(b.p);
}

static void expect_refused(const char *path, const vox_sink_options *o, const char *part) {
    vox_error err = {0};
    cr_assert_null(vox_sink_open(path, o, &err));
    cr_assert_eq(err.status, VOX_ERR_OUTPUT);
    cr_assert_not_null(strstr(err.message, part), "%s", err.message);
    cr_assert_eq(strncmp(err.message, path, strlen(path)), 0, "%s", err.message);
}

/* ---- Files ---- */

Test(stream, sink_file_appears_when_published, .init = scratch_make, .fini = scratch_remove) {
    struct stat st;
    umask(027);
    vox_sink *s = open_sink(in_scratch("out.nii"), &plain);
    cr_assert_str_eq(vox_sink_path(s), in_scratch("out.nii"));
    write_text(s, "some ");
    write_text(s, "bytes");
    cr_assert_eq(access(in_scratch("out.nii"), F_OK), -1);
    vox_error err;
    cr_assert_eq(vox_sink_close(s, &err), VOX_OK);
    cr_assert_eq(access(in_scratch("out.nii"), F_OK), -1);
    cr_assert_eq(vox_sink_publish(s, &err), VOX_OK);
    vox_sink_free(s);
    expect_content(in_scratch("out.nii"), "some bytes");
    cr_assert_eq(stat(in_scratch("out.nii"), &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0640);
    cr_assert_eq(scratch_entries(), 1);
}

/* The length of the one name in the folder that begins with `start`. */
static size_t length_of_temporary(const char *start) {
    size_t length = 0;
    int found = 0;
    DIR *d = opendir(scratch);
    for (struct dirent *e; (e = readdir(d));)
        if (strncmp(e->d_name, start, strlen(start)) == 0) {
            length = strlen(e->d_name);
            found++;
        }
    closedir(d);
    cr_assert_eq(found, 1);
    return length;
}

Test(stream, sink_temporary_is_recognisable, .init = scratch_make, .fini = scratch_remove) {
    vox_sink *s = open_sink(in_scratch("out.nii"), &plain);
    cr_assert_eq(length_of_temporary(".out.nii.voxconv-"), 17 + 6);
    vox_sink_free(s);
}

Test(stream, sink_abandoned_leaves_what_was_there, .init = scratch_make, .fini = scratch_remove) {
    vox_error err;
    file_write(in_scratch("out.nii"), "before", 6);
    for (int closed = 0; closed < 2; closed++) {
        vox_sink *s = open_sink(in_scratch("out.nii"), &replace);
        write_text(s, "after");
        if (closed)
            cr_assert_eq(vox_sink_close(s, &err), VOX_OK);
        vox_sink_free(s);
        expect_content(in_scratch("out.nii"), "before");
        cr_assert_eq(scratch_entries(), 1);
    }
}

Test(stream, sink_replaces_with_force_only, .init = scratch_make, .fini = scratch_remove) {
    struct stat st;
    file_write(in_scratch("out.nii"), "before", 6);
    cr_assert_eq(chmod(in_scratch("out.nii"), 0666), 0);
    umask(077);
    expect_refused(in_scratch("out.nii"), &plain, ": exists already");
    expect_content(in_scratch("out.nii"), "before");
    vox_sink *s = open_sink(in_scratch("out.nii"), &replace);
    write_text(s, "after");
    close_and_publish(s);
    expect_content(in_scratch("out.nii"), "after");
    cr_assert_eq(stat(in_scratch("out.nii"), &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0666, "the old file's permissions");
    cr_assert_eq(scratch_entries(), 1);
}

/* Another process was faster. */
Test(stream, sink_publish_does_not_replace_a_newcomer, .init = scratch_make,
     .fini = scratch_remove) {
    vox_error err = {0};
    vox_sink *s = open_sink(in_scratch("out.nii"), &plain);
    write_text(s, "ours");
    cr_assert_eq(vox_sink_close(s, &err), VOX_OK);
    file_write(in_scratch("out.nii"), "theirs", 6);
    cr_assert_eq(vox_sink_publish(s, &err), VOX_ERR_OUTPUT);
    cr_assert_not_null(strstr(err.message, ": exists already"));
    vox_sink_free(s);
    expect_content(in_scratch("out.nii"), "theirs");
    cr_assert_eq(scratch_entries(), 1);
}

/* The two ways of renaming without replacing keep the same promise. */
Test(stream, rename_and_link_never_replace, .init = scratch_make, .fini = scratch_remove) {
    int (*const way[])(const char *, const char *) = {vox_rename_new, vox_link_new};
    for (int i = 0; i < 2; i++) {
        file_write(in_scratch("from"), "from", 4);
        file_write(in_scratch("to"), "to", 2);
        cr_assert_eq(way[i](in_scratch("from"), in_scratch("to")), EEXIST);
        expect_content(in_scratch("to"), "to");
        expect_content(in_scratch("from"), "from");
        cr_assert_eq(unlink(in_scratch("to")), 0);
        cr_assert_eq(way[i](in_scratch("from"), in_scratch("to")), 0);
        expect_content(in_scratch("to"), "from");
        cr_assert_eq(scratch_entries(), 1);
        cr_assert_eq(way[i](in_scratch("gone"), in_scratch("new")), ENOENT);
    }
}

/* Both ways of replacing leave the old file under the other name. */
Test(stream, rename_over_and_link_over_keep_the_old, .init = scratch_make, .fini = scratch_remove) {
    int (*const way[])(const char *, const char *, vox_before *) = {vox_rename_over, vox_link_over};
    for (int i = 0; i < 2; i++) {
        vox_before before = VOX_BEFORE_GONE;
        file_write(in_scratch("from"), "from", 4);
        cr_assert_eq(way[i](in_scratch("from"), in_scratch("to"), &before), 0);
        cr_assert_eq(before, VOX_BEFORE_NOTHING);
        expect_content(in_scratch("to"), "from");
        cr_assert_eq(scratch_entries(), 1);
        file_write(in_scratch("from"), "newer", 5);
        cr_assert_eq(way[i](in_scratch("from"), in_scratch("to"), &before), 0);
        cr_assert_eq(before, VOX_BEFORE_KEPT);
        expect_content(in_scratch("to"), "newer");
        expect_content(in_scratch("from"), "from");
        cr_assert_eq(scratch_entries(), 2);
        cr_assert_eq(way[i](in_scratch("gone"), in_scratch("to"), &before), ENOENT);
        expect_content(in_scratch("to"), "newer");
        cr_assert_eq(unlink(in_scratch("from")) + unlink(in_scratch("to")), 0);
    }
}

/* Of files that belong together, the second cannot get its name: the first does not keep its own.
 */
static void publish_two(const vox_sink_options *o, void (*come)(const char *path)) {
    vox_error err = {0};
    vox_sink *two[] = {open_sink(in_scratch("first"), o), open_sink(in_scratch("second"), o)};
    for (int i = 0; i < 2; i++) {
        write_text(two[i], "new");
        cr_assert_eq(vox_sink_close(two[i], &err), VOX_OK);
    }
    come(in_scratch("second"));
    cr_assert_eq(vox_sink_publish_all(two, 2, &err), VOX_ERR_OUTPUT);
    vox_sink_free(two[0]);
    vox_sink_free(two[1]);
}

static void file_comes(const char *path) {
    file_write(path, "theirs", 6);
}

static void folder_comes(const char *path) {
    cr_assert_eq(mkdir(path, 0755), 0);
}

Test(stream, sinks_are_published_all_or_none, .init = scratch_make, .fini = scratch_remove) {
    publish_two(&plain, file_comes);
    expect_content(in_scratch("second"), "theirs");
    cr_assert_eq(scratch_entries(), 1);
}

Test(stream, sinks_bring_back_what_they_replaced, .init = scratch_make, .fini = scratch_remove) {
    file_write(in_scratch("first"), "before", 6);
    publish_two(&replace, folder_comes);
    expect_content(in_scratch("first"), "before");
    cr_assert_eq(scratch_entries(), 2);
    cr_assert_eq(rmdir(in_scratch("second")), 0);
}

Test(stream, sink_replaces_what_a_link_points_to, .init = scratch_make, .fini = scratch_remove) {
    struct stat st;
    file_write(in_scratch("real"), "before", 6);
    cr_assert_eq(symlink("second", in_scratch("first")), 0); /* relative to the link */
    cr_assert_eq(symlink(in_scratch("real"), in_scratch("second")), 0);
    expect_refused(in_scratch("first"), &plain, ": exists already");
    vox_sink *s = open_sink(in_scratch("first"), &replace);
    write_text(s, "after");
    close_and_publish(s);
    expect_content(in_scratch("real"), "after");
    cr_assert(lstat(in_scratch("first"), &st) == 0 && S_ISLNK(st.st_mode));
    cr_assert(lstat(in_scratch("second"), &st) == 0 && S_ISLNK(st.st_mode));
    /* A link to nothing yet: the file appears where it points. */
    cr_assert_eq(unlink(in_scratch("real")), 0);
    s = open_sink(in_scratch("first"), &plain);
    write_text(s, "new");
    close_and_publish(s);
    expect_content(in_scratch("real"), "new");
    cr_assert_eq(symlink("ring", in_scratch("ring")), 0);
    expect_refused(in_scratch("ring"), &replace, strerror(ELOOP));
}

Test(stream, sink_takes_a_name_as_long_as_names_get, .init = scratch_make, .fini = scratch_remove) {
    char name[300] = "";
    for (int i = 0; i < 127; i++)
        strcat(name, "\xc3\xa4"); /* two bytes of UTF-8, so that a cut may fall within one */
    strcat(name, "x");
    cr_assert_eq(strlen(name), 255);
    vox_sink *s = open_sink(in_scratch(name), &plain);
    /* 239 bytes would fit beside ".", ".voxconv-" and 6 letters; 238 are whole characters. */
    cr_assert_eq(length_of_temporary(".\xc3\xa4"), 1 + 238 + 9 + 6);
    write_text(s, "long");
    close_and_publish(s);
    expect_content(in_scratch(name), "long");
    strcat(name, "y");
    expect_refused(in_scratch(name), &plain, strerror(ENAMETOOLONG));
}

Test(stream, sink_refuses_impossible_places, .init = scratch_make, .fini = scratch_remove) {
    file_write(in_scratch("file"), "x", 1);
    expect_refused(in_scratch("no/out.nii"), &plain, strerror(ENOENT));
    expect_refused(in_scratch("file/out.nii"), &plain, strerror(ENOTDIR));
    expect_refused(scratch, &replace, "is a directory");
    vox_error err = {0};
    cr_assert_null(vox_sink_open("", &plain, &err));
    cr_assert_eq(err.status, VOX_ERR_OUTPUT);
    uid_t before = geteuid();
    cr_assert_eq(chmod(scratch, 0555), 0);
    if (before == 0) /* root may write everywhere */
        cr_assert_eq(seteuid(65534), 0);
    expect_refused(in_scratch("out.nii"), &plain, strerror(EACCES));
    cr_assert_eq(seteuid(before), 0);
    cr_assert_eq(chmod(scratch, 0755), 0);
}

Test(stream, sink_writes_by_position, .init = scratch_make, .fini = scratch_remove) {
    vox_error err;
    vox_sink *s = open_sink(in_scratch("out.nii"), &plain);
    cr_assert(vox_sink_positioned(s));
    write_text(s, "head");
    cr_assert_eq(vox_sink_write_at(s, "last", 4, 12, &err), VOX_OK);
    cr_assert_eq(vox_sink_write_at(s, "body", 4, 4, &err), VOX_OK);
    cr_assert_eq(vox_sink_write_at(s, "more", 4, 8, &err), VOX_OK);
    close_and_publish(s);
    expect_content(in_scratch("out.nii"), "headbodymorelast");
}

/* ---- Things that are no files ---- */

Test(stream, sink_writes_devices_directly) {
    const vox_sink_options gzip = {.gzip = true, .level = -1};
    vox_sink *s = open_sink("/dev/null", &plain);
    cr_assert_not(vox_sink_positioned(s));
    write_text(s, "gone");
    close_and_publish(s);
    struct stat st;
    cr_assert(stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode));
    vox_error err = {0};
    s = open_sink("/dev/full", &plain);
    cr_assert_eq(vox_sink_write(s, "x", 1, &err), VOX_ERR_OUTPUT);
    cr_assert_str_eq(err.message, "/dev/full: cannot be written: No space left on device");
    vox_sink_free(s);
    s = open_sink("/dev/full", &gzip);
    write_text(s, "x"); /* is still in a block */
    cr_assert_eq(vox_sink_close(s, &err), VOX_ERR_OUTPUT);
    vox_sink_free(s);
}

static sem_t alarms;

static void on_alarm(int number) {
    (void)number;
    sem_post(&alarms);
}

typedef struct consumer {
    const char *path;
    bytes data;
} consumer;

static void *consume(void *argument) {
    consumer *c = argument;
    int fd = open(c->path, O_RDONLY);
    ssize_t n;
    /* The first signal ends a write that filled the pipe, the next come while nothing can be
     * written. */
    for (int i = 0; i < 4; i++)
        while (sem_wait(&alarms) != 0)
            continue;
    for (size_t at = 0; (n = read(fd, c->data.p + at, 1013)) > 0; at += (size_t)n)
        c->data.n = at + (size_t)n;
    close(fd);
    return NULL;
}

/* Signals cut writes short while a reader is slow to begin. */
Test(stream, sink_writes_a_fifo_through_interruptions, .init = scratch_make, .fini = scratch_remove,
     .timeout = 60) {
    const struct sigaction action = {.sa_handler = on_alarm}; /* without SA_RESTART */
    const struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
    bytes data = bytes_mixed(3000000);
    sigset_t alarm_only, before;
    consumer c = {in_scratch("fifo"), bytes_new(data.n + 2000)};
    c.data.n = 0;
    pthread_t thread;
    cr_assert_eq(mkfifo(c.path, 0600), 0);
    cr_assert_eq(sem_init(&alarms, 0, 0), 0);
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm_only, &before); /* for the consumer, which inherits it */
    cr_assert_eq(pthread_create(&thread, NULL, consume, &c), 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    vox_sink *s = open_sink(c.path, &plain);
    cr_assert_eq(sigaction(SIGALRM, &action, NULL), 0);
    cr_assert_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
    vox_error err;
    cr_assert_eq(vox_sink_write(s, data.p, (int64_t)data.n, &err), VOX_OK, "%s", err.message);
    setitimer(ITIMER_REAL, &never, NULL);
    close_and_publish(s);
    pthread_join(thread, NULL);
    cr_assert(bytes_equal(c.data, data));
    cr_assert_eq(scratch_entries(), 1);
    free(c.data.p);
    free(data.p);
}

/* What /dev/stdout is: a link whose text names no file. */
Test(stream, sink_writes_a_descriptor_by_its_path) {
    int end[2];
    char path[64], buf[5];
    cr_assert_eq(pipe(end), 0);
    snprintf(path, sizeof path, "/dev/fd/%d", end[1]);
    vox_sink *s = open_sink(path, &plain);
    write_text(s, "bytes");
    close_and_publish(s);
    cr_assert(read(end[0], buf, 5) == 5 && memcmp(buf, "bytes", 5) == 0);
}

Test(stream, sink_tells_when_the_reader_has_gone) {
    int end[2];
    cr_assert_eq(pipe(end), 0);
    cr_assert_eq(dup2(end[1], 1), 1);
    close(end[1]);
    signal(SIGPIPE, SIG_IGN); /* as the command does */
    vox_sink *s = open_sink("-", &plain);
    write_text(s, "bytes");
    char buf[5];
    cr_assert(read(end[0], buf, 5) == 5 && memcmp(buf, "bytes", 5) == 0);
    close(end[0]);
    vox_error err = {0};
    cr_assert_eq(vox_sink_write(s, "more", 4, &err), VOX_ERR_PIPE);
    cr_assert_eq(err.status, VOX_ERR_PIPE);
    vox_sink_free(s);
    cr_assert_neq(fcntl(1, F_GETFD), -1, "stdout stays open");
}

Test(stream, sink_refuses_a_terminal) {
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal < 0)
        cr_skip("this machine gives no pseudo-terminal");
    cr_assert(grantpt(terminal) == 0 && unlockpt(terminal) == 0);
    int slave = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    cr_assert_geq(slave, 0);
    expect_refused(ptsname(terminal), &plain, "is a terminal");
    cr_assert_eq(dup2(slave, 1), 1);
    vox_error err = {0};
    cr_assert_null(vox_sink_open("-", &plain, &err));
    cr_assert_eq(err.status, VOX_ERR_OUTPUT);
    cr_assert_eq(strncmp(err.message, "stdout: is a terminal", 21), 0, "%s", err.message);
}

/* ---- When things end badly ---- */

/* A limit on file sizes stands for a disk that fills up on the way. */
Test(stream, sink_that_fails_on_the_way_leaves_nothing, .init = scratch_make,
     .fini = scratch_remove) {
    const struct rlimit limit = {100000, 100000};
    bytes noise = bytes_mixed(3000000);
    file_write(in_scratch("out"), "before", 6);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (int gzip = 0; gzip < 2; gzip++) {
        const vox_sink_options o = {.gzip = gzip, .level = -1, .threads = 1, .force = true};
        vox_error err = {0};
        vox_sink *s = open_sink(in_scratch("out"), &o);
        cr_assert_eq(vox_sink_write(s, noise.p, (int64_t)noise.n, &err), VOX_ERR_OUTPUT);
        cr_assert_not_null(strstr(err.message, strerror(EFBIG)), "%s", err.message);
        vox_sink_free(s);
        expect_content(in_scratch("out"), "before");
        cr_assert_eq(scratch_entries(), 1);
    }
    free(noise.p);
}

static void on_term(int number) {
    vox_remove_temporaries();
    _exit(128 + number);
}

Test(stream, sink_temporaries_go_with_a_signal, .init = scratch_make, .fini = scratch_remove) {
    file_write(in_scratch("b"), "before", 6);
    pid_t child = fork();
    if (child == 0) {
        vox_sink *a = open_sink(in_scratch("a"), &plain), *b = open_sink(in_scratch("b"), &replace);
        write_text(a, "a");
        write_text(b, "b");
        vox_sink *published = open_sink(in_scratch("c"), &plain);
        write_text(published, "c");
        close_and_publish(published);
        signal(SIGTERM, on_term);
        raise(SIGTERM);
        _exit(0);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGTERM);
    cr_assert_eq(access(in_scratch("a"), F_OK), -1);
    expect_content(in_scratch("b"), "before");
    expect_content(in_scratch("c"), "c");
    cr_assert_eq(scratch_entries(), 2);
}

/* A program that goes on after the removal: its sinks can be freed, and publishing says that it
 * failed. */
Test(stream, sink_outlives_its_removed_temporary, .init = scratch_make, .fini = scratch_remove) {
    vox_error err = {0};
    vox_sink *s = open_sink(in_scratch("out"), &plain);
    vox_remove_temporaries();
    cr_assert_eq(scratch_entries(), 0);
    cr_assert_eq(vox_sink_close(s, &err), VOX_OK);
    cr_assert_eq(vox_sink_publish(s, &err), VOX_ERR_OUTPUT);
    vox_sink_free(s);
    s = open_sink(in_scratch("out"), &plain);
    close_and_publish(s);
    cr_assert_eq(scratch_entries(), 1);
}

/* ---- What killed processes leave ---- */

Test(stream, sink_removes_what_dead_runs_left, .init = scratch_make, .fini = scratch_remove) {
    static const char *const others[] = {".other.nii.voxconv-aB3dE6", ".out.nii.voxconv-aB3dE",
                                         ".out.nii.voxconv-aB3dE67",  ".out.nii.voxconv-aB3dE6.gz",
                                         ".out.nii.voxconv-aB3d.6",   "out.nii.voxconv-aB3dE6",
                                         ".out.nii.gz.voxconv-aB3dE6"};
    const int count = sizeof others / sizeof *others;
    for (int i = 0; i < count; i++)
        file_write(in_scratch(others[i]), "other", 5);
    /* A folder and a link of such a name are nobody's temporary files. */
    cr_assert_eq(mkdir(in_scratch(".out.nii.voxconv-folder"), 0700), 0);
    cr_assert_eq(symlink(others[0], in_scratch(".out.nii.voxconv-alinks")), 0);
    file_write(in_scratch(".out.nii.voxconv-aB3dE6"), "left", 4);
    file_write(in_scratch(".out.nii.voxconv-000000"), "left", 4);
    cr_assert_eq(chmod(in_scratch(".out.nii.voxconv-000000"), 0444), 0);
    vox_sink *s = open_sink(in_scratch("out.nii"), &plain);
    cr_assert_eq(access(in_scratch(".out.nii.voxconv-aB3dE6"), F_OK), -1);
    cr_assert_eq(access(in_scratch(".out.nii.voxconv-000000"), F_OK), -1);
    write_text(s, "new");
    close_and_publish(s);
    expect_content(in_scratch("out.nii"), "new");
    for (int i = 0; i < count; i++)
        expect_content(in_scratch(others[i]), "other");
    cr_assert_eq(scratch_entries(), count + 3);
}

/* In a folder that is named by nothing, and under a name that was cut. */
Test(stream, sink_removes_what_was_left_wherever_it_writes, .init = scratch_make,
     .fini = scratch_remove) {
    char name[256] = "", left[256];
    memset(name, 'n', 255);
    snprintf(left, sizeof left, ".%.239s.voxconv-aB3dE6", name);
    cr_assert_eq(chdir(scratch), 0);
    file_write(".out.voxconv-aB3dE6", "left", 4);
    file_write(left, "left", 4);
    vox_sink_free(open_sink("out", &plain));
    vox_sink_free(open_sink(name, &plain));
    cr_assert_eq(scratch_entries(), 0);
}

/* A process with two sinks of one target, one of them closed; it waits until it is killed. */
static pid_t start_writer(const char *path) {
    int ready[2];
    char c;
    cr_assert_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        vox_error err;
        vox_sink *a = open_sink(path, &plain), *b = open_sink(path, &plain);
        write_text(a, "a");
        write_text(b, "b");
        if (vox_sink_close(b, &err) != VOX_OK || write(ready[1], "r", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    cr_assert_eq(read(ready[0], &c, 1), 1);
    close(ready[0]);
    return child;
}

Test(stream, sink_leaves_what_living_runs_write, .init = scratch_make, .fini = scratch_remove) {
    const char *path = in_scratch("out.nii");
    pid_t child = start_writer(path);
    const int theirs = scratch_entries();
    vox_sink *ours = open_sink(path, &plain);
    const int together = scratch_entries();
    cr_assert_eq(kill(child, SIGKILL), 0);
    cr_assert_eq(waitpid(child, NULL, 0), child);
    cr_assert_eq(theirs, 2);
    cr_assert_eq(together, 3, "a living process keeps its files");
    cr_assert_eq(scratch_entries(), 3);
    vox_sink *next = open_sink(path, &plain);
    cr_assert_eq(scratch_entries(), 2, "our own stay, those of the dead go");
    write_text(next, "next");
    close_and_publish(next);
    vox_sink_free(ours);
    expect_content(path, "next");
    cr_assert_eq(scratch_entries(), 1);
}

/* How many of `rounds` temporary files were taken away from this process. */
static int count_lost(const char *path, int rounds) {
    int lost = 0;
    for (int i = 0; i < rounds; i++) {
        vox_temporary t;
        if (vox_temporary_new(path, 0666, &t) != 0) {
            lost++;
            continue;
        }
        lost += access(t.path, F_OK) != 0 || vox_temporary_close(&t) != 0;
        lost += access(t.path, F_OK) != 0;
        vox_temporary_release(&t, true);
    }
    return lost;
}

/* Each of them cleans up behind the others all the time, and none may take a living one's file. */
Test(stream, sink_runs_side_by_side_keep_their_files, .init = scratch_make, .fini = scratch_remove,
     .timeout = 120) {
    enum { RUNS = 4, ROUNDS = 3000 };
    const char *path = in_scratch("out");
    for (int i = 0; i < RUNS; i++)
        if (fork() == 0)
            _exit((int)vox_min(count_lost(path, ROUNDS), 100));
    for (int i = 0; i < RUNS; i++) {
        int status;
        cr_assert_gt(wait(&status), 0);
        cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%d", status);
    }
    cr_assert_eq(scratch_entries(), 0);
}
