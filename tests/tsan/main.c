/* main.c - runs the scenarios in a scratch folder: tsan_scenarios FOLDER [short]. The last line is
 * "N scenarios, N failed"; exit status 1 where one failed. ThreadSanitizer's reports are run.sh's
 * to count. */
#include "tsan/scenarios.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int count, failed;

void ran(bool ok, const char *format, ...) {
    char name[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    count++;
    if (ok)
        return;
    failed++;
    printf("failed: %s\n", name);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(bool long_form);
    } group[] = {
        {"layers", run_layers},           {"files", run_files},
        {"aborts", run_aborts},           {"handles", run_handles},
        {"temporaries", run_temporaries},
    };
    if (argc < 2 || chdir(argv[1]))
        give_up("tsan_scenarios FOLDER [short]");
    const bool long_form = argc < 3 || strcmp(argv[2], "short") != 0;
    signal(SIGPIPE, SIG_IGN); /* as the command does: EPIPE is an error of the write */
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < sizeof group / sizeof group[0]; i++) {
        const double start = now();
        const int before = count;
        group[i].run(long_form);
        printf("  %-12s %4d scenarios  %5.1f s\n", group[i].name, count - before, now() - start);
    }
    printf("%d scenarios, %d failed\n", count, failed);
    return failed > 0;
}
