/* test_stream_source.c - files, stdin and pipes as sources: what is refused, what is read, and that
 * slow or stalled producers neither delay nor hang anything. */
#include "test_stream.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

/* ---- What is refused ---- */

static void expect_refused(const char *path, vox_status kind, const char *end_of_message) {
    vox_error err = {0};
    char expected[1024];
    cr_assert_null(vox_source_open(path, kind, &err));
    cr_assert_eq(err.status, kind);
    snprintf(expected, sizeof expected, "%s: %s", path, end_of_message);
    cr_assert_str_eq(err.message, expected);
}

Test(stream, source_refuses_what_is_no_file, .init = scratch_make, .fini = scratch_remove) {
    file_write(in_scratch("empty"), "", 0);
    expect_refused(in_scratch("missing"), VOX_ERR_INPUT,
                   "cannot be opened: No such file or directory");
    expect_refused(in_scratch("missing"), VOX_ERR_WEIGHTS,
                   "cannot be opened: No such file or directory");
    expect_refused(scratch, VOX_ERR_INPUT, "is a directory");
    expect_refused(in_scratch("empty"), VOX_ERR_INPUT, "is empty");
    expect_refused("/dev/null", VOX_ERR_WEIGHTS, "is empty");
}

Test(stream, source_refuses_what_it_may_not_read, .init = scratch_make, .fini = scratch_remove) {
    file_write(in_scratch("secret"), "x", 1);
    cr_assert_eq(chmod(in_scratch("secret"), 0), 0);
    cr_assert_eq(chmod(scratch, 0755), 0);
    uid_t before = geteuid();
    if (before == 0) /* root may read everything */
        cr_assert_eq(seteuid(65534), 0);
    expect_refused(in_scratch("secret"), VOX_ERR_INPUT, "cannot be opened: Permission denied");
    cr_assert_eq(seteuid(before), 0);
}

/* ---- Plain files ---- */

Test(stream, source_reads_a_plain_file, .init = scratch_make, .fini = scratch_remove) {
    bytes data = bytes_mixed(100000);
    file_write(in_scratch("scan.nii"), data.p, data.n);
    vox_error err = {0};
    vox_source *s = vox_source_open(in_scratch("scan.nii"), VOX_ERR_INPUT, &err);
    cr_assert_not_null(s, "%s", err.message);
    cr_assert_str_eq(vox_source_path(s), in_scratch("scan.nii"));
    cr_assert(vox_source_positioned(s) && !vox_source_is_gzip(s));
    cr_assert_eq(vox_source_bytes(s), 100000);
    uint8_t buf[70000];
    int64_t got, trailing;
    cr_assert_eq(vox_source_read(s, buf, 70000, &got, &err), VOX_OK);
    cr_assert(got == 70000 && memcmp(buf, data.p, 70000) == 0);
    /* Positioned reading does not move the stream. */
    cr_assert_eq(vox_source_read_at(s, buf, 500, 99500, &err), VOX_OK);
    cr_assert_eq(memcmp(buf, data.p + 99500, 500), 0);
    cr_assert_eq(vox_source_finish(s, &trailing, &err), VOX_OK);
    cr_assert_eq(trailing, 30000);
    cr_assert_eq(vox_source_read(s, buf, 70000, &got, &err), VOX_OK);
    cr_assert(got == 30000 && memcmp(buf, data.p + 70000, 30000) == 0);
    cr_assert_eq(vox_source_finish(s, &trailing, &err), VOX_OK);
    cr_assert_eq(trailing, 0);

    cr_assert_eq(vox_source_read_at(s, buf, 500, 99700, &err), VOX_ERR_INPUT);
    cr_assert_not_null(strstr(err.message, "ends at byte 100000, 200 bytes were to follow"), "%s",
                       err.message);
    cr_assert_eq(vox_source_read_at(s, buf, 500, INT64_MAX - 3, &err), VOX_ERR_INPUT);
    vox_source_free(s);
    free(data.p);
}

/* The content decides: a name without .gz may be gzip (other tests), one with .gz need not. */
Test(stream, source_goes_by_content, .init = scratch_make, .fini = scratch_remove) {
    file_write(in_scratch("plain.gz"), "\x1f", 1);
    vox_error err;
    vox_source *s = vox_source_open(in_scratch("plain.gz"), VOX_ERR_INPUT, &err);
    cr_assert_not_null(s);
    cr_assert_not(vox_source_is_gzip(s));
    cr_assert_eq(vox_source_bytes(s), 1);
    vox_source_free(s);
}

Test(stream, source_takes_stdin_from_where_it_stands, .init = scratch_make,
     .fini = scratch_remove) {
    bytes data = bytes_mixed(5000), packed = zlib_gzip(data, 6, NULL);
    for (int gzip = 0; gzip < 2; gzip++) {
        bytes file = bytes_join((bytes){(uint8_t[3]){7, 7, 7}, 3}, gzip ? packed : data);
        file_write(in_scratch("in"), file.p, file.n);
        int fd = open(in_scratch("in"), O_RDONLY);
        cr_assert(fd >= 0 && dup2(fd, 0) == 0 && lseek(0, 3, SEEK_SET) == 3);
        close(fd);
        vox_error err;
        vox_source *s = vox_source_open("-", VOX_ERR_INPUT, &err);
        cr_assert_not_null(s, "%s", err.message);
        cr_assert_eq(vox_source_bytes(s), gzip ? -1 : 5000);
        uint8_t buf[5001];
        int64_t got;
        cr_assert_eq(vox_source_read(s, buf, 5001, &got, &err), VOX_OK);
        cr_assert(got == 5000 && memcmp(buf, data.p, 5000) == 0);
        vox_source_free(s);
        cr_assert_neq(fcntl(0, F_GETFD), -1, "stdin stays open");
        free(file.p);
    }
    free(data.p);
    free(packed.p);
}

Test(stream, source_names_stdin) {
    vox_error err = {0};
    int fd = open("/dev/null", O_RDONLY);
    cr_assert(fd >= 0 && dup2(fd, 0) == 0);
    cr_assert_null(vox_source_open("-", VOX_ERR_INPUT, &err));
    cr_assert_str_eq(err.message, "stdin: is empty");
}

/* ---- Pipes ---- */

/* Opens a source on a new pipe's read end as stdin; returns the write end. */
static int pipe_to_stdin(void) {
    int end[2];
    cr_assert_eq(pipe(end), 0);
    cr_assert_eq(dup2(end[0], 0), 0);
    close(end[0]);
    return end[1];
}

typedef struct producer {
    int fd;
    bytes data;
    size_t piece;
} producer;

static void *produce(void *argument) {
    const producer *p = argument;
    for (size_t i = 0; i < p->data.n; i += p->piece) {
        size_t n = p->data.n - i < p->piece ? p->data.n - i : p->piece;
        if (write(p->fd, p->data.p + i, n) != (ssize_t)n)
            break;
    }
    close(p->fd);
    return NULL;
}

static void expect_through_pipe(bytes data, size_t piece) {
    producer p = {pipe_to_stdin(), data, piece};
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, produce, &p), 0);
    vox_error err;
    vox_source *s = vox_source_open("-", VOX_ERR_INPUT, &err);
    cr_assert_not_null(s);
    cr_assert(!vox_source_positioned(s) && vox_source_bytes(s) == -1);
    bytes read = bytes_new(data.n + 1);
    int64_t got, trailing;
    cr_assert_eq(vox_source_read(s, read.p, 100, &got, &err), VOX_OK);
    cr_assert_eq(got, 100);
    cr_assert_eq(vox_source_read(s, read.p + 100, (int64_t)read.n - 100, &got, &err), VOX_OK);
    cr_assert_eq(got, (int64_t)data.n - 100);
    cr_assert_eq(memcmp(read.p, data.p, data.n), 0);
    cr_assert_eq(vox_source_finish(s, &trailing, &err), VOX_OK);
    cr_assert_eq(trailing, 0);
    vox_source_free(s);
    pthread_join(thread, NULL);
    free(read.p);
}

Test(stream, source_reads_pipes_of_any_pace, .timeout = 60) {
    bytes data = bytes_mixed(20000), large = bytes_mixed(9000000);
    expect_through_pipe(data, 1);
    expect_through_pipe(data, 777);
    expect_through_pipe(large, 1 << 20); /* several times round the ring */
    free(data.p);
    free(large.p);
}

/* The producer waits for an answer before it goes on; a reader that waited for full buffers would
 * hang. */
Test(stream, source_hands_over_what_has_come, .timeout = 30) {
    int to = pipe_to_stdin(), answer[2];
    cr_assert_eq(pipe(answer), 0);
    pid_t child = fork();
    if (child == 0) {
        char c;
        int failed =
            write(to, "header", 6) != 6 || read(answer[0], &c, 1) != 1 || write(to, "data", 4) != 4;
        _exit(failed);
    }
    close(to);
    vox_error err;
    vox_source *s = vox_source_open("-", VOX_ERR_INPUT, &err);
    char buf[10];
    int64_t got;
    cr_assert_eq(vox_source_read(s, buf, 6, &got, &err), VOX_OK);
    cr_assert_eq(memcmp(buf, "header", 6), 0);
    cr_assert_eq(write(answer[1], "!", 1), 1);
    cr_assert_eq(vox_source_read(s, buf, 10, &got, &err), VOX_OK);
    cr_assert(got == 4 && memcmp(buf, "data", 4) == 0);
    vox_source_free(s);
}

/* The same for gzip: all data of a member is there before its trailer has come. The zeros end
 * within the last byte or two, in one match or a few, behind the border of the pieces in which the
 * ring is filled: the library has taken all input in by then and holds output. */
Test(stream, source_hands_over_what_has_been_gunzipped, .timeout = 30) {
    const size_t size[] = {30000, (256 << 10) + 1, (256 << 10) + 400, (512 << 10) + 3000};
    for (int i = 0; i < 4 * CODECS; i++) {
        bytes data = {calloc(1, size[i % 4]), size[i % 4]}, read = bytes_new(data.n);
        bytes packed = zlib_gzip(data, 6, NULL);
        codec_use(i / 4);
        int to = pipe_to_stdin();
        cr_assert_eq(write(to, packed.p, packed.n - 8), (ssize_t)packed.n - 8);
        vox_error err;
        vox_source *s = vox_source_open("-", VOX_ERR_INPUT, &err);
        int64_t got, trailing;
        cr_assert_eq(vox_source_read(s, read.p, (int64_t)data.n, &got, &err), VOX_OK);
        cr_assert(bytes_equal(read, data));
        close(to);
        cr_assert_eq(vox_source_finish(s, &trailing, &err), VOX_ERR_INPUT);
        vox_source_free(s);
        free(data.p);
        free(packed.p);
        free(read.p);
    }
}

Test(stream, source_free_does_not_wait_for_a_stalled_producer, .timeout = 30) {
    for (int gzip = 0; gzip < 2; gzip++) {
        int to = pipe_to_stdin();
        cr_assert_eq(write(to, gzip ? "\x1f\x8b\x08\x08" : "ab", 2 + 2 * (size_t)gzip),
                     2 + 2 * gzip);
        vox_error err;
        vox_source *s = vox_source_open("-", VOX_ERR_INPUT, &err);
        cr_assert_not_null(s);
        vox_source_free(s);
        close(to);
    }
}

Test(stream, source_free_does_not_wait_for_an_endless_producer, .timeout = 30) {
    vox_error err;
    vox_source *s = vox_source_open("/dev/zero", VOX_ERR_INPUT, &err);
    cr_assert_not_null(s);
    char c = 1;
    int64_t got, trailing;
    cr_assert_eq(vox_source_read(s, &c, 1, &got, &err), VOX_OK);
    cr_assert_eq(c, 0);
    cr_assert_eq(vox_source_finish(s, &trailing, &err), VOX_OK);
    cr_assert_geq(trailing, 1);
    vox_source_free(s);
}

static void ignore(int number) {
    (void)number;
}

/* Signals arrive every 200 microseconds while the first bytes are waited for and later. */
Test(stream, source_takes_up_interrupted_reads, .timeout = 60) {
    const struct sigaction action = {.sa_handler = ignore}; /* without SA_RESTART */
    const struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
    cr_assert_eq(sigaction(SIGALRM, &action, NULL), 0);
    cr_assert_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
    bytes data = bytes_mixed(50000);
    int to = pipe_to_stdin();
    pid_t child = fork();
    if (child == 0) {
        usleep(20000); /* a pace, not an order: whatever its length, the same bytes are to come */
        for (size_t i = 0; i < data.n; i++)
            while (write(to, data.p + i, 1) != 1)
                if (errno != EINTR)
                    _exit(1);
        _exit(0);
    }
    close(to);
    vox_error err;
    vox_source *s = vox_source_open("-", VOX_ERR_INPUT, &err);
    cr_assert_not_null(s, "%s", err.message);
    bytes read = bytes_new(data.n);
    int64_t got;
    cr_assert_eq(vox_source_read(s, read.p, (int64_t)read.n, &got, &err), VOX_OK);
    cr_assert(bytes_equal(read, data));
    setitimer(ITIMER_REAL, &never, NULL);
    vox_source_free(s);
    free(data.p);
    free(read.p);
}
