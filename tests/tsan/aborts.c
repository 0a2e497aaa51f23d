/* aborts.c - runs that end early: the other side closes, stalls or lies, the disk is full. Each has
 * to come back, with the status of what happened, and leave nothing behind. */
#include "tsan/scenarios.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { FILE_LIMIT = 1 << 20 }; /* volume.nii and what is made of it are longer */

typedef struct abort_case {
    const char *name;
    bool gzip_in, gzip_out;
    /* Input: a pipe that ends (or stalls) behind that share of the bytes; 0: the file. */
    double fed;
    bool stalls;
    const char *out;  /* NULL: a pipe */
    size_t collected; /* bytes that the pipe's reader takes before it closes */
    vox_status want;
} abort_case;

static const abort_case cases[] = {
    {"full device", true, false, 0, false, "/dev/full", 0, VOX_ERR_OUTPUT},
    {"full device, gzip", true, true, 0, false, "/dev/full", 0, VOX_ERR_OUTPUT},
    {"reader closes at once", true, false, 0, false, NULL, 1, VOX_ERR_PIPE},
    {"reader closes midway", true, false, 0, false, NULL, 1000000, VOX_ERR_PIPE},
    {"reader of gzip closes midway", true, true, 0, false, NULL, 500000, VOX_ERR_PIPE},
    {"input ends midway", false, true, 0.5, false, "left/o.nii.gz", 0, VOX_ERR_INPUT},
    {"gzipped input ends midway", true, true, 0.5, false, "left/o.nii.gz", 0, VOX_ERR_INPUT},
    {"full device while the input stalls", false, false, 0.6, true, "/dev/full", 0, VOX_ERR_OUTPUT},
    {"reader closes while the input stalls", false, false, 0.6, true, NULL, 100000, VOX_ERR_PIPE},
    {"reader closes while gzipped input stalls", true, false, 0.6, true, NULL, 100000,
     VOX_ERR_PIPE},
};

static bool nothing_left(void) {
    bytes b = {0};
    bytes_of_folder("left", &b);
    const bool nothing = b.count == 0;
    bytes_free(&b);
    return nothing;
}

static vox_status run_case(const abort_case *c, const vox_network *network, int threads) {
    const char *in = c->gzip_in ? "volume.nii.gz" : "volume.nii";
    feeder f;
    collector r;
    bytes data = {0};
    vox_filter_options o;
    vox_filter_defaults(&o);
    o.threads = threads;
    o.compression = c->gzip_out ? 1 : 0;
    o.slab_planes = 2; /* the first output comes before the input stalls */
    if (c->fed > 0) {
        bytes_of_file(in, &data);
        feeder_start(&f, "in.fifo", &data, (size_t)((double)data.count * c->fed), c->stalls);
    }
    if (!c->out)
        collector_start(&r, "out.fifo", c->collected);
    vox_status status =
        filter_file(c->fed > 0 ? "in.fifo" : in, network, c->out ? c->out : "out.fifo", &o);
    if (!c->out) {
        collector_end(&r);
        bytes_free(&r.got);
    }
    if (c->fed > 0)
        feeder_end(&f);
    bytes_free(&data);
    return status;
}

/* Opened, and freed while the read-ahead thread works, waits for room or waits for the producer. */
static void run_unread(bool gzip, double fed) {
    const char *fifo = "in.fifo";
    bytes data = {0};
    feeder f;
    bytes_of_file(gzip ? "volume.nii.gz" : "volume.nii", &data);
    feeder_start(&f, fifo, &data, (size_t)((double)data.count * fed), true);
    vox_input *input = vox_input_open(&fifo, 1, NULL);
    ran(input != NULL, "aborts: input freed unread, %s, %g", gzip ? "gzip" : "plain", fed);
    vox_input_free(input);
    feeder_end(&f);
    bytes_free(&data);
}

/* A gzip file with one byte changed in its middle: found by its checksum at the latest. */
static void run_damaged(const vox_network *network, int threads) {
    bytes data = {0};
    vox_filter_options o;
    vox_filter_defaults(&o);
    o.threads = threads;
    bytes_of_file("volume.nii.gz", &data);
    data.data[data.count / 2] ^= 0x55;
    FILE *file = fopen("damaged.nii.gz", "wb");
    if (!file || fwrite(data.data, 1, data.count, file) != data.count || fclose(file))
        give_up("damaged.nii.gz");
    bytes_free(&data);
    vox_status status = filter_file("damaged.nii.gz", network, "left/o.nii.gz", &o);
    ran(status == VOX_ERR_INPUT && nothing_left(), "aborts: damaged gzip, %d threads", threads);
}

/* The disk ends midway: a limit of the file's size stands for it. */
static void run_short_disk(const vox_network *network, const char *out, int threads) {
    struct rlimit before, now;
    vox_filter_options o;
    vox_filter_defaults(&o);
    o.threads = threads;
    if (getrlimit(RLIMIT_FSIZE, &before))
        give_up("getrlimit");
    now = before;
    now.rlim_cur = FILE_LIMIT;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &now);
    vox_status status = filter_file("volume.nii.gz", network, out, &o);
    setrlimit(RLIMIT_FSIZE, &before);
    ran(status == VOX_ERR_OUTPUT && nothing_left(), "aborts: no room for %s, %d threads", out,
        threads);
}

void run_aborts(bool long_form) {
    static const int short_threads[] = {1, 3, 0}, long_threads[] = {1, 2, 3, 5, 8, 0};
    vox_network *network = small_network(1, 1);
    empty_folder("left");
    make_fifo("in.fifo");
    make_fifo("out.fifo");
    for (const int *t = long_form ? long_threads : short_threads; *t; t++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            vox_status status = run_case(&cases[i], network, *t);
            ran(status == cases[i].want && nothing_left(), "aborts: %s, %d threads: status %d",
                cases[i].name, *t, (int)status);
        }
        run_damaged(network, *t);
        run_short_disk(network, "left/o.nii", *t);
        run_short_disk(network, "left/o.nii.gz", *t);
    }
    for (int i = 0; i < (long_form ? 8 : 2); i++) {
        run_unread(i % 2, 0.01);
        run_unread(i % 2, 1);
    }
    vox_network_free(network);
}
