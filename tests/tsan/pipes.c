/* pipes.c - the other ends of fifos, and a whole run from a file to a file. */
#include "tsan/scenarios.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void *feed(void *argument) {
    feeder *f = argument;
    const int fd = open(f->fifo, O_WRONLY | O_CLOEXEC);
    for (size_t at = 0, piece = 1; fd >= 0 && at < f->most; piece = piece * 3 % 70001) {
        const size_t left = f->most - at;
        const ssize_t n = write(fd, f->data->data + at, piece < left ? piece : left);
        if (n < 0 && errno != EINTR)
            break; /* the reader went away */
        at += n > 0 ? (size_t)n : 0;
    }
    pthread_mutex_lock(&f->lock);
    while (f->holds && !f->released)
        pthread_cond_wait(&f->release, &f->lock);
    pthread_mutex_unlock(&f->lock);
    if (fd >= 0)
        close(fd);
    return NULL;
}

void feeder_start(feeder *f, const char *fifo, const bytes *data, size_t most, bool holds) {
    *f = (feeder){.fifo = fifo, .data = data, .most = most, .holds = holds};
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->release, NULL);
    if (pthread_create(&f->thread, NULL, feed, f))
        give_up("no thread");
}

void feeder_end(feeder *f) {
    pthread_mutex_lock(&f->lock);
    f->released = true;
    pthread_cond_signal(&f->release);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    pthread_cond_destroy(&f->release);
    pthread_mutex_destroy(&f->lock);
}

static void *collect(void *argument) {
    collector *c = argument;
    char buffer[30011];
    const int fd = open(c->fifo, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && c->got.count < c->most) {
        const size_t left = c->most - c->got.count;
        const ssize_t n = read(fd, buffer, left < sizeof buffer ? left : sizeof buffer);
        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        if (n > 0)
            bytes_add(&c->got, buffer, (size_t)n);
    }
    if (fd >= 0)
        close(fd);
    return NULL;
}

void collector_start(collector *c, const char *fifo, size_t most) {
    *c = (collector){.fifo = fifo, .most = most};
    if (pthread_create(&c->thread, NULL, collect, c))
        give_up("no thread");
}

void collector_end(collector *c) {
    pthread_join(c->thread, NULL);
}

void make_fifo(const char *path) {
    if (mkfifo(path, 0666) && errno != EEXIST)
        give_up(path);
}

static void count_progress(void *user, const vox_progress *progress) {
    *(int64_t *)user += progress->done;
}

vox_status filter_file(const char *in, const vox_network *network, const char *out,
                       const vox_filter_options *o) {
    int64_t seen = 0;
    vox_filter_options options = *o;
    options.progress = count_progress;
    options.user = &seen;
    vox_error err = {0};
    vox_input *input = vox_input_open(&in, 1, &err);
    vox_status status = input ? vox_filter(input, network, out, &options, NULL, &err) : err.status;
    vox_input_free(input);
    return status;
}
