/* dispatch.c - which kernel variant runs. Built without any instruction-set flag, so that it runs
 * anywhere;
 * __builtin_cpu_supports also asks whether the operating system saves the registers (XGETBV). */
#include "kernel/kernel.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

extern const vox_kernel vox_kernel_portable;

static bool always(void) {
    return true;
}

#if defined(__x86_64__)
extern const vox_kernel vox_kernel_avx2, vox_kernel_avx512;

static bool has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#elif defined(__aarch64__)
extern const vox_kernel vox_kernel_neon;
#endif

/* All that this build knows, best first. */
static const struct {
    const vox_kernel *kernel;
    bool (*supported)(void);
} variant[] = {
#if defined(__x86_64__)
    {&vox_kernel_avx512, has_avx512},
    {&vox_kernel_avx2, has_avx2},
#elif defined(__aarch64__)
    {&vox_kernel_neon, always},
#endif
    {&vox_kernel_portable, always},
};

enum { VARIANTS = sizeof variant / sizeof variant[0] };

/* What vox_isa_select() chose; NULL: the environment or the best. */
static const vox_kernel *selected;

static const vox_kernel *find(const char *name, vox_error *err) {
    for (int i = 0; i < VARIANTS; i++) {
        bool any = strcmp(name, "auto") == 0 || !*name;
        if ((any || strcmp(name, variant[i].kernel->name) == 0) && variant[i].supported())
            return variant[i].kernel;
        if (!any && strcmp(name, variant[i].kernel->name) == 0) {
            vox_fail(err, VOX_ERR_UNSUPPORTED, "instruction set '%s': this machine lacks it", name);
            return NULL;
        }
    }
    vox_fail(err, VOX_ERR_USAGE, "instruction set '%s': unknown to this build", name);
    return NULL;
}

const vox_kernel *vox_kernel_active(vox_error *err) {
    const char *name = getenv("VOXCONV_ISA");
    return selected ? selected : find(name ? name : "auto", err);
}

vox_status vox_isa_select(const char *name, vox_error *err) {
    const vox_kernel *k = find(name, err);
    if (!k)
        return strcmp(name, "auto") == 0 ? VOX_ERR_INTERNAL
                                         : (err ? err->status : VOX_ERR_UNSUPPORTED);
    selected = strcmp(name, "auto") == 0 ? NULL : k;
    return VOX_OK;
}

const char *vox_isa(void) {
    const vox_kernel *k = vox_kernel_active(NULL);
    return k ? k->name : "none";
}

static const char *available[VARIANTS + 1]; /* filled once; NULL behind the last */

static void list_available(void) {
    int count = 0;
    for (int i = 0; i < VARIANTS; i++)
        if (variant[i].supported())
            available[count++] = variant[i].kernel->name;
}

const char *const *vox_isa_available(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, list_available);
    return available;
}
