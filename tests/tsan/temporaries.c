/* temporaries.c - vox_remove_temporaries while runs are under way: from another thread and from a
 * signal's handler. A run that loses its file fails as one of output; in the end every output is
 * complete or not there, and no temporary file is left. */
#include "tsan/scenarios.h"

#include <dirent.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WRITERS = 3 };

static atomic_bool finished;

typedef struct writer {
    int number, rounds;
    bool good;
    const bytes *want;
    pthread_t thread;
} writer;

static void on_signal(int number) {
    (void)number;
    vox_remove_temporaries();
}

static vox_filter_options frame_by_frame(int threads) {
    vox_filter_options o;
    vox_filter_defaults(&o);
    o.threads = threads;
    o.in_channels = 1;
    o.time = VOX_TIME_BATCH;
    return o;
}

/* Writes its file again and again. */
static void *write_files(void *argument) {
    writer *w = argument;
    char out[64];
    vox_network *network = small_network(1, 1);
    const vox_filter_options o = frame_by_frame(2);
    w->good = true;
    snprintf(out, sizeof out, "kept/%d.nii.gz", w->number);
    for (int i = 0; i < w->rounds && w->good; i++) {
        bytes got = {0};
        unlink(out);
        vox_status status = filter_file("frames.nii", network, out, &o);
        if (status == VOX_OK)
            bytes_of_file(out, &got);
        w->good = status == VOX_OK ? bytes_equal(&got, w->want)
                                   : status == VOX_ERR_OUTPUT && access(out, F_OK) != 0;
        bytes_free(&got);
    }
    vox_network_free(network);
    return NULL;
}

static void *remove_files(void *argument) {
    (void)argument;
    while (!atomic_load(&finished)) {
        vox_remove_temporaries();
        usleep(3000); /* so that some runs come through; what happens between is for chance */
    }
    return NULL;
}

static void *send_signals(void *argument) {
    (void)argument;
    while (!atomic_load(&finished)) {
        kill(getpid(), SIGUSR1);
        usleep(5000);
    }
    return NULL;
}

static bool any_temporary(void) {
    bool any = false;
    DIR *folder = opendir("kept");
    for (struct dirent *e; folder && (e = readdir(folder));)
        any = any || strstr(e->d_name, ".voxconv-");
    if (folder)
        closedir(folder);
    return any;
}

static void run_removal(const char *name, void *(*disturb)(void *), int rounds, const bytes *want) {
    writer w[WRITERS];
    pthread_t disturber;
    atomic_store(&finished, false);
    empty_folder("kept");
    if (pthread_create(&disturber, NULL, disturb, NULL))
        give_up("no thread");
    for (int i = 0; i < WRITERS; i++) {
        w[i] = (writer){.number = i, .rounds = rounds, .want = want};
        if (pthread_create(&w[i].thread, NULL, write_files, &w[i]))
            give_up("no thread");
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(w[i].thread, NULL);
    atomic_store(&finished, true);
    pthread_join(disturber, NULL);
    bool good = !any_temporary();
    for (int i = 0; i < WRITERS; i++)
        good = good && w[i].good;
    ran(good, "temporaries: removed by %s", name);
}

void run_temporaries(bool long_form) {
    bytes want = {0};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    vox_network *network = small_network(1, 1);
    const vox_filter_options o = frame_by_frame(1);
    empty_folder("kept");
    if (filter_file("frames.nii", network, "kept/want.nii.gz", &o))
        give_up("temporaries");
    bytes_of_file("kept/want.nii.gz", &want);
    sigaction(SIGUSR1, &action, NULL);
    for (int i = 0; i < (long_form ? 5 : 1); i++) {
        run_removal("a thread", remove_files, long_form ? 20 : 5, &want);
        run_removal("a signal", send_signals, long_form ? 20 : 5, &want);
    }
    bytes_free(&want);
    vox_network_free(network);
}
