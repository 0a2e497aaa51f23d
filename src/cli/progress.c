/* progress.c - phase, percent, voxels a second and time left, on one line that rewrites itself.
 *
 * Plain text over a carriage return: no colour, no escape sequence.
 */
#include "cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const char *const progress_modes[] = {"auto", "always", "never", NULL};

static int shown_width; /* of the line on the screen; 0: none */

bool progress_wanted(progress_mode mode) {
    if (mode != PROGRESS_AUTO)
        return mode == PROGRESS_ALWAYS;
    const char *terminal = getenv("TERM");
    return isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb");
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void show(const char *line) {
    const int width = fprintf(stderr, "\r%s", line) - 1;
    if (shown_width > width)
        fprintf(stderr, "%*s", shown_width - width, "");
    fflush(stderr);
    shown_width = width;
}

void progress_update(void *user, const vox_progress *progress) {
    (void)user;
    static char phase[32];
    static double started, shown;
    const double time = now();
    if (strncmp(phase, progress->phase, sizeof phase - 1)) {
        snprintf(phase, sizeof phase, "%s", progress->phase);
        started = time;
        shown = 0;
    }
    if (progress->done < progress->total && time - shown < 0.1)
        return;
    shown = time;
    const double total = progress->total > 0 ? (double)progress->total : 1;
    const double done = (double)progress->done, elapsed = time - started;
    const double rate = elapsed > 0 ? done / elapsed : 0;
    char line[128];
    int used = snprintf(line, sizeof line, "voxconv: %s %3.0f%%", phase, 100 * done / total);
    if (rate > 0 && used > 0 && used < (int)sizeof line) {
        const long left = (long)((total - done) / rate + 0.5);
        snprintf(line + used, sizeof line - (size_t)used, "  %.3g Mvoxel/s  %ld:%02ld left",
                 rate / 1e6, left / 60, left % 60);
    }
    show(line);
}

void progress_clear(void) {
    if (!shown_width)
        return;
    show("");
    fputc('\r', stderr);
    fflush(stderr);
    shown_width = 0;
}
