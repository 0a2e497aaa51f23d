/* replay TARGET FOLDER - gives every file of a folder to a fuzz target once, as TAP.
 *
 * Each file gets a process of its own, so that one that crashes, hangs or leaks is one failed test.
 */
#include "fuzz/common.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* FUZZ_TARGETS, from make: TARGET(npy) TARGET(npz) ... */
typedef int target_function(const uint8_t *data, size_t size);
#define TARGET(name) target_function fuzz_target_##name;
FUZZ_TARGETS
#undef TARGET
#define TARGET(name) {#name, fuzz_target_##name},
static const struct target {
    const char *name;
    target_function *run;
} targets[] = {FUZZ_TARGETS};

static target_function *find(const char *name) {
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        if (strcmp(targets[i].name, name) == 0)
            return targets[i].run;
    return NULL;
}

/* A run takes milliseconds, under sanitizers some more; whoever waits this long hangs. */
enum { MOST_SECONDS = 60 };

static void run(target_function *target, const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0)
        _exit(2);
    const long size = ftell(f);
    rewind(f);
    /* Of just this size, so that a sanitizer sees what is read behind it. */
    uint8_t *data = malloc((size_t)size);
    if (!data || fread(data, 1, (size_t)size, f) != (size_t)size)
        _exit(2);
    fclose(f);
    alarm(MOST_SECONDS);
    target(data, (size_t)size);
    free(data);
    exit(0); /* looks for leaks */
}

static int is_input(const struct dirent *e) {
    return e->d_name[0] != '.';
}

int main(int argc, char **argv) {
    struct dirent **entry;
    target_function *target = argc == 3 ? find(argv[1]) : NULL;
    const int count = target ? scandir(argv[2], &entry, is_input, alphasort) : -1;
    if (count < 1) {
        fprintf(stderr, "replay TARGET FOLDER: %s\n",
                argc != 3 ? "two words"
                : target  ? "no inputs there"
                          : "no such target");
        return 2;
    }
    int failed = 0;
    printf("1..%d\n", count);
    for (int i = 0; i < count; i++) {
        char path[4096];
        int status = 0;
        snprintf(path, sizeof path, "%s/%s", argv[2], entry[i]->d_name);
        fflush(stdout);
        const pid_t child = fork();
        if (child == 0)
            run(target, path);
        const bool good = child > 0 && waitpid(child, &status, 0) == child && status == 0;
        printf("%s %d - fuzz/%s: %s\n", good ? "ok" : "not ok", i + 1, argv[1], entry[i]->d_name);
        if (!good)
            printf("# ended with %s %d\n", WIFSIGNALED(status) ? "signal" : "status",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        failed += !good;
        free(entry[i]);
    }
    free(entry);
    return failed > 0;
}
