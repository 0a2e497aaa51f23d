/* scenarios.h - what the scenarios under ThreadSanitizer share: dice, files, comparing, counting.
 *
 * A scenario does something with several threads that it has done with one before, and compares the
 * results: to the bit the same. Criterion is not used here: it forks, and brings threads of its
 * own.
 */
#ifndef TSAN_SCENARIOS_H
#define TSAN_SCENARIOS_H

#include "dice.h"
#include "voxconv.h"

#include <pthread.h>

/* Ends the program: for what is no part of a scenario (memory, files of our own). */
_Noreturn void give_up(const char *what);
void *get_memory(int64_t bytes);
float *dice_values(dice *d, int64_t count);

/* One scenario: `ran` counts it and prints its name where `ok` is false. */
void ran(bool ok, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A random network of one to four layers with its input, reproducible from `seed`. */
typedef struct layers {
    vox_network *network;
    int64_t in[5], out_count;
    float *x;
} layers;
layers layers_new(uint64_t seed);
void layers_free(layers *l);
/* The result; the caller frees it. */
float *layers_run(const layers *l, int threads);

/* Bytes that grow. */
typedef struct bytes {
    char *data;
    size_t count, room;
} bytes;
void bytes_add(bytes *b, const void *data, size_t count);
bool bytes_equal(const bytes *a, const bytes *b);
void bytes_free(bytes *b);
void bytes_of_file(const char *path, bytes *b);
/* Name and content of every file of a folder, names sorted: also what should not be there. */
void bytes_of_folder(const char *path, bytes *b);
/* An empty folder, removed with its files first where it is there. */
void empty_folder(const char *path);

/* A float32 NIfTI-1 file of smooth noise, plain and with .gz; frames > 1 makes it 4-D. */
void write_volume(const char *path, int width, int height, int depth, int frames);
/* conv3d 3x3x3 with padding 1 from `in` to `out` channels, then ReLU. */
vox_network *small_network(int in, int out);

/* ---- Pipes: threads at the other end of a fifo ---- */

/* Writes the first `most` bytes of `data`, in pieces of odd sizes, and then closes the fifo; where
 * it holds, not before feeder_end. */
typedef struct feeder {
    const char *fifo;
    const bytes *data;
    size_t most;
    bool holds, released; /* released: under the lock */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t release;
} feeder;
void feeder_start(feeder *f, const char *fifo, const bytes *data, size_t most, bool holds);
void feeder_end(feeder *f); /* waits for the thread */

/* Reads up to `most` bytes of a fifo and closes it. */
typedef struct collector {
    const char *fifo;
    size_t most;
    bytes got;
    pthread_t thread;
} collector;
void collector_start(collector *c, const char *fifo, size_t most);
void collector_end(collector *c); /* waits for the thread; c->got is the caller's to free */

/* Makes a fifo where there is none yet. */
void make_fifo(const char *path);

/* Opens, filters, frees. The progress is counted by the calling thread without a lock: it has to be
 * the one that reports. */
vox_status filter_file(const char *in, const vox_network *network, const char *out,
                       const vox_filter_options *o);

/* The scenarios, a file each. `long_form` runs more of them. */
void run_layers(bool long_form);
void run_files(bool long_form);
void run_aborts(bool long_form);
void run_handles(bool long_form);
void run_temporaries(bool long_form);

#endif
