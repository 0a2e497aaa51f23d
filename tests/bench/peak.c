/* peak.c - see peak.h. */
#include "peak.h"

#include <omp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Twelve independent networks hide the latency of four or five cycles on two ports, and fit 16
 * registers beside their constant. `volatile` inputs and a used result keep the compiler from
 * working it out. */
enum { CHAINS = 12, ROUNDS = 20000 };

#define PEAK_BODY(vec, splat, fmadd, first)                                                        \
    volatile float seed = 1e-7f;                                                                   \
    vec x = splat(seed), acc[CHAINS];                                                              \
    for (int i = 0; i < CHAINS; i++)                                                               \
        acc[i] = splat(seed + (float)i);                                                           \
    for (int r = 0; r < ROUNDS; r++) {                                                             \
        _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) acc[i] = fmadd(acc[i], x, x);    \
    }                                                                                              \
    float sum = 0;                                                                                 \
    for (int i = 0; i < CHAINS; i++)                                                               \
        sum += first(acc[i]);                                                                      \
    return sum;

#if defined(__x86_64__)
#include <immintrin.h>
__attribute__((target("avx512f"))) static float spin_avx512(void) {
    PEAK_BODY(__m512, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_cvtss_f32)
}
__attribute__((target("avx2,fma"))) static float spin_avx2(void) {
    PEAK_BODY(__m256, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_cvtss_f32)
}
#endif

/* Four lanes of multiply and add: where there is no better. */
typedef float four __attribute__((vector_size(16)));
static four splat4(float x) {
    return (four){x, x, x, x};
}
static four fmadd4(four a, four b, four c) {
    return a * b + c;
}
static float first4(four v) {
    return v[0];
}
static float spin_portable(void) {
    PEAK_BODY(four, splat4, fmadd4, first4)
}

double peak_gflops(const char *isa, int threads, double seconds) {
    float (*spin)(void) = spin_portable;
    int lanes = 4;
#if defined(__x86_64__)
    if (strcmp(isa, "avx512") == 0) {
        spin = spin_avx512;
        lanes = 16;
    } else if (strcmp(isa, "avx2") == 0) {
        spin = spin_avx2;
        lanes = 8;
    }
#else
    (void)isa;
#endif
    volatile float sink = 0;
    double spins = 0;
    const double start = seconds_now();
#pragma omp parallel num_threads(threads) reduction(+ : spins)
    {
        float sum = 0;
        do {
            sum += spin();
            spins++;
        } while (seconds_now() - start < seconds);
#pragma omp critical
        sink += sum;
    }
    return 2.0 * lanes * CHAINS * ROUNDS * spins / (seconds_now() - start) * 1e-9;
}

double copy_bandwidth(int threads) {
    const size_t bytes = (size_t)256 << 20, part = bytes / (size_t)threads;
    static char *from, *to; /* used again by the next call */
    if (!from && (from = malloc(bytes)) && (to = malloc(bytes))) {
        memset(from, 1, bytes);
        memset(to, 2, bytes);
    }
    if (!from || !to)
        return 0;
    const double start = seconds_now();
#pragma omp parallel num_threads(threads)
    {
        size_t at = part * (size_t)omp_get_thread_num();
        memcpy(to + at, from + at, part);
    }
    return 2.0 * (double)(part * (size_t)threads) / (seconds_now() - start) * 1e-9;
}
