/* rows.c - see rows.h. Compiled once per instruction set like tile.c; plain loops, for the compiler
 * to put into vectors.
 */
#include "kernel/rows.h"

#include <stdbool.h>
#include <string.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define INLINE static inline __attribute__((always_inline))

/* GCC's and clang's vectors, of whatever width the instruction set has: an array of lanes would go
 * through memory. */
typedef float eight __attribute__((vector_size(8 * sizeof(float))));
typedef double eight_sums __attribute__((vector_size(8 * sizeof(double))));

/* Adds up the differences from `mean`, or their squares. */
INLINE void sum_terms(double lane[VOX_LANES], const float *x, int64_t columns, double mean,
                      bool square) {
    eight_sums low, high;
    memcpy(&low, lane, sizeof low);
    memcpy(&high, lane + 8, sizeof high);
    int64_t i = 0;
    for (; i + VOX_LANES <= columns; i += VOX_LANES) {
        eight first, second;
        memcpy(&first, x + i, sizeof first);
        memcpy(&second, x + i + 8, sizeof second);
        const eight_sums a = __builtin_convertvector(first, eight_sums) - mean;
        const eight_sums b = __builtin_convertvector(second, eight_sums) - mean;
        low += square ? a * a : a;
        high += square ? b * b : b;
    }
    memcpy(lane, &low, sizeof low);
    memcpy(lane + 8, &high, sizeof high);
    for (int k = 0; i + k < columns; k++) {
        const double value = (double)x[i + k] - mean;
        lane[k] += square ? value * value : value;
    }
}

static void sum(double lane[VOX_LANES], const float *x, int64_t columns) {
    sum_terms(lane, x, columns, 0, false);
}

static void sum_squares(double lane[VOX_LANES], const float *x, int64_t columns, double mean) {
    sum_terms(lane, x, columns, mean, true);
}

static void add(float *to, const float *x, int64_t columns) {
#pragma omp simd
    for (int64_t i = 0; i < columns; i++)
        to[i] += x[i];
}

static void max(float *to, const float *x, int64_t columns) {
#pragma omp simd
    for (int64_t i = 0; i < columns; i++)
        to[i] = x[i] > to[i] || x[i] != x[i] ? x[i] : to[i];
}

extern const vox_rows JOIN(vox_rows_, VOX_ISA);
const vox_rows JOIN(vox_rows_, VOX_ISA) = {sum, sum_squares, add, max};
