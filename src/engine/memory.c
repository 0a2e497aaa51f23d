/* memory.c - see memory.h. */
#include "engine/memory.h"

#include "base/base.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The first number of a one-line file; -1 where there is none ("max", no such file). */
static int64_t read_number(const char *path) {
    int64_t value = -1;
    FILE *f = fopen(path, "re");
    if (!f)
        return -1;
    if (fscanf(f, "%" SCNd64, &value) != 1)
        value = -1;
    fclose(f);
    return value;
}

static int64_t available(void) {
    char line[256];
    long long kilobytes = -1;
    FILE *f = fopen("/proc/meminfo", "re");
    if (!f)
        return -1;
    while (kilobytes < 0 && fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %lld kB", &kilobytes) != 1)
            kilobytes = -1;
    fclose(f);
    return kilobytes < 0 ? -1 : (int64_t)kilobytes * 1024;
}

static void lower(int64_t *cap, int64_t limit) {
    if (limit > 0 && (*cap <= 0 || limit < *cap))
        *cap = limit;
}

/* A group's limit and those of its parents: /sys/fs/cgroup + folder + /a/b/c + file, then /a/b, ...
 */
static void lower_by_group(int64_t *cap, const char *folder, char *group, const char *file) {
    for (;;) {
        char path[4096 + 256];
        snprintf(path, sizeof path, "/sys/fs/cgroup%s%s/%s", folder, group, file);
        lower(cap, read_number(path));
        char *slash = strrchr(group, '/');
        if (!slash)
            break;
        *slash = '\0';
    }
}

int64_t vox_memory_default_cap(void) {
    int64_t cap = available();
    if (cap > 0)
        cap = cap / 10 * 8;
    char line[4096];
    FILE *f = fopen("/proc/self/cgroup", "re");
    while (f && fgets(line, sizeof line, f)) { /* "0::/group" or "7:memory:/group" */
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'),
             *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        if (strcmp(line, "0:") == 0)
            lower_by_group(&cap, "", group, "memory.max");
        else if (strcmp(controllers + 1, "memory") == 0)
            lower_by_group(&cap, "/memory", group, "memory.limit_in_bytes");
    }
    if (f)
        fclose(f);
    return cap > 0 ? cap : 0;
}
