/* files.c - volumes from files and pipes to files and pipes: the read-ahead thread, the packers of
 * gzip, spools, patches. Each case with several numbers of threads, against a plain file read by
 * one thread in slabs of one whole plane. */
#include "tsan/scenarios.h"

#include <stdio.h>
#include <string.h>

typedef enum way { PLAIN, GZIP, PIPE, GZIP_PIPE } way;

typedef struct file_case {
    const char *name;
    way from;
    const char *out; /* in the case's folder */
    bool out_pipe;
    bool frames; /* frames.nii instead of volume.nii */
    vox_time time;
    int out_channels;
    bool split;
    int64_t patch[3], slab;
    int datatype; /* 0: float32 */
} file_case;

enum { INT16 = 4, FRAMES = 5 };

static const file_case cases[] = {
    {.name = "gzip to gzip", .from = GZIP, .out = "o.nii.gz", .out_channels = 1},
    {.name = "gzip to a gzip that is spooled", .from = GZIP, .out = "o.nii.gz", .out_channels = 3},
    {.name = "gzipped pipe to pipe",
     .from = GZIP_PIPE,
     .out = "o.nii",
     .out_pipe = true,
     .out_channels = 1,
     .datatype = INT16},
    {.name = "patches of a gzip to split gzips",
     .from = GZIP,
     .out = "o.nii.gz",
     .out_channels = 2,
     .split = true,
     .patch = {9, 37, 50}},
    {.name = "gzipped frames as channels",
     .from = GZIP,
     .out = "o.nii.gz",
     .frames = true,
     .time = VOX_TIME_CHANNELS,
     .out_channels = 2},
    {.name = "plain to plain by position", .from = PLAIN, .out = "o.nii", .out_channels = 4},
    {.name = "plain to plain in patches",
     .from = PLAIN,
     .out = "o.nii",
     .out_channels = 2,
     .patch = {5, 23, 112}},
    {.name = "piped frames as a batch to gzip",
     .from = PIPE,
     .out = "o.nii.gz",
     .frames = true,
     .time = VOX_TIME_BATCH,
     .out_channels = 2},
    {.name = "pipe to a gzipped pipe",
     .from = PIPE,
     .out = "o.nii.gz",
     .out_pipe = true,
     .out_channels = 2},
    {.name = "gzip to split pairs",
     .from = GZIP,
     .out = "o.img.gz",
     .out_channels = 3,
     .split = true,
     .slab = 7},
    {.name = "gzip to a plain pair of int16",
     .from = GZIP,
     .out = "o.img",
     .out_channels = 1,
     .datatype = INT16,
     .slab = 1000},
    {.name = "gzipped frames in patches",
     .from = GZIP_PIPE,
     .out = "o.nii",
     .frames = true,
     .time = VOX_TIME_CHANNELS,
     .out_channels = 1,
     .patch = {3, 11, 13}},
};

static vox_filter_options options_of(const file_case *c, int threads) {
    vox_filter_options o;
    vox_filter_defaults(&o);
    o.threads = threads;
    o.time = c->time;
    o.in_channels = c->time == VOX_TIME_CHANNELS ? FRAMES : 1;
    o.split = c->split;
    o.compression = strstr(c->out, ".gz") ? 1 : 0;
    if (c->datatype)
        o.datatype = c->datatype;
    return o;
}

static bool is_piped(const file_case *c) {
    return c->from == PIPE || c->from == GZIP_PIPE;
}

/* Runs the case as it is described and leaves what it wrote in `got`. */
static vox_status run_case(const file_case *c, const vox_network *network, int threads,
                           bytes *got) {
    char in[64], out[64];
    feeder f;
    collector r;
    bytes data = {0};
    vox_filter_options o = options_of(c, threads);
    memcpy(o.patch_size, c->patch, sizeof o.patch_size);
    o.slab_planes = c->slab;
    empty_folder("got");
    snprintf(in, sizeof in, "%s.nii%s", c->frames ? "frames" : "volume",
             c->from == GZIP || c->from == GZIP_PIPE ? ".gz" : "");
    snprintf(out, sizeof out, "got/%s", c->out);
    if (is_piped(c)) {
        make_fifo("in.fifo");
        bytes_of_file(in, &data);
        feeder_start(&f, "in.fifo", &data, data.count, false);
    }
    if (c->out_pipe) {
        make_fifo(out);
        collector_start(&r, out, SIZE_MAX);
    }
    vox_status status = filter_file(is_piped(c) ? "in.fifo" : in, network, out, &o);
    if (is_piped(c))
        feeder_end(&f);
    if (c->out_pipe) { /* as bytes_of_folder has it */
        collector_end(&r);
        bytes_add(got, c->out, strlen(c->out) + 1);
        bytes_add(got, r.got.data, r.got.count);
        bytes_free(&r.got);
    } else
        bytes_of_folder("got", got);
    bytes_free(&data);
    return status;
}

static void run_file_case(const file_case *c, const int *threads) {
    char out[64];
    vox_network *network =
        small_network(c->time == VOX_TIME_CHANNELS ? FRAMES : 1, c->out_channels);
    bytes want = {0};
    vox_filter_options o = options_of(c, 1);
    o.slab_planes = 1;
    empty_folder("want");
    snprintf(out, sizeof out, "want/%s", c->out);
    if (filter_file(c->frames ? "frames.nii" : "volume.nii", network, out, &o))
        give_up(c->name);
    bytes_of_folder("want", &want);
    for (; *threads; threads++) {
        bytes got = {0};
        vox_status status = run_case(c, network, *threads, &got);
        ran(status == VOX_OK && bytes_equal(&got, &want), "files: %s, %d threads", c->name,
            *threads);
        bytes_free(&got);
    }
    bytes_free(&want);
    vox_network_free(network);
}

void run_files(bool long_form) {
    static const int short_threads[] = {3, 8, 0}, long_threads[] = {1, 2, 3, 4, 6, 8, 0};
    /* More than the rings of read-ahead and gzip hold: both go round. */
    write_volume("volume.nii", 112, 100, 72, 1);
    write_volume("frames.nii", 40, 36, 30, FRAMES);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        run_file_case(&cases[i], long_form ? long_threads : short_threads);
}
