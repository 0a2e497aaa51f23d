/* canary.c - programs whose answer is known, so that "no reports" means something.
 *
 *   canary openmp      a race between the threads of an OpenMP team
 *   canary pthread     a race between two pthreads
 *   canary vectors     one thread reads with the kernel's vectors what another writes with them
 *   canary part        two threads store part of a vector to one place
 *   canary clean       the same teams and threads with the order that they need
 *
 * All but the last have to be reported, that one must not be: it fails where Archer is not loaded,
 * which tells ThreadSanitizer what libomp's barriers order. VOXCONV_ISA chooses the vectors.
 */
#include "kernel/kernel.h"

#include <omp.h>
#include <pthread.h>
#include <string.h>

enum { ROUNDS = 1000, COLUMNS = 64, PART = 3 };

static int shared;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const vox_kernel *kernel;
static float row_a[COLUMNS], row_b[COLUMNS], row_c[COLUMNS];

static void *add(void *argument) {
    (void)argument;
    for (int i = 0; i < ROUNDS; i++)
        shared++;
    return NULL;
}

static void *add_locked(void *argument) {
    pthread_mutex_lock(&lock);
    add(argument);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void *read_a(void *argument) {
    (void)argument;
    kernel->copy_row(row_b, row_a, COLUMNS);
    return NULL;
}

static void *write_a(void *argument) {
    (void)argument;
    kernel->copy_row(row_a, row_c, COLUMNS);
    return NULL;
}

static void *scale_part(void *argument) {
    (void)argument;
    kernel->scale_row(row_a, row_a, PART, 0.5f, 1.0f);
    return NULL;
}

static void two_threads(void *(*one)(void *), void *(*other)(void *)) {
    pthread_t thread[2];
    if (pthread_create(&thread[0], NULL, one, NULL) ||
        pthread_create(&thread[1], NULL, other, NULL))
        return;
    pthread_join(thread[0], NULL);
    pthread_join(thread[1], NULL);
}

static void race_of_team(void) {
#pragma omp parallel num_threads(4)
    add(NULL);
}

/* Each value is written by one thread and read by another behind the barrier; then a reduction. */
static void clean_team(void) {
    static int value[ROUNDS];
    int sum = 0;
#pragma omp parallel num_threads(4)
    {
#pragma omp for
        for (int i = 0; i < ROUNDS; i++)
            value[i] = i;
#pragma omp for reduction(+ : sum)
        for (int i = 0; i < ROUNDS; i++)
            sum += value[ROUNDS - 1 - i];
    }
    shared = sum;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    kernel = vox_kernel_active(NULL);
    if (!kernel)
        return 2;
    if (strcmp(what, "openmp") == 0)
        race_of_team();
    else if (strcmp(what, "pthread") == 0)
        two_threads(add, add);
    else if (strcmp(what, "vectors") == 0)
        two_threads(read_a, write_a);
    else if (strcmp(what, "part") == 0)
        two_threads(scale_part, scale_part);
    else if (strcmp(what, "clean") == 0) {
        clean_team();
        two_threads(add_locked, add_locked);
    } else
        return 2;
    return 0;
}
