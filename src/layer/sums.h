/* sums.h - sums of rows in double precision, in one order whatever runs them.
 *
 * Value i of a row goes to lane i % 8, and the lanes are added at the end: eight chains of
 * additions that do not wait for each other.
 */
#ifndef VOX_SUMS_H
#define VOX_SUMS_H

#include <stdint.h>

enum { VOX_LANES = 8 };

/* lane[i % 8] += x[i]. */
static inline void vox_add_row(double lane[VOX_LANES], const float *x, int64_t n) {
    int64_t i = 0;
    for (; i + VOX_LANES <= n; i += VOX_LANES)
#pragma omp simd
        for (int k = 0; k < VOX_LANES; k++)
            lane[k] += (double)x[i + k];
    for (int k = 0; i + k < n; k++)
        lane[k] += (double)x[i + k];
}

/* lane[i % 8] += (x[i] - mean)^2. */
static inline void vox_add_squares(double lane[VOX_LANES], const float *x, int64_t n, double mean) {
    int64_t i = 0;
    for (; i + VOX_LANES <= n; i += VOX_LANES)
#pragma omp simd
        for (int k = 0; k < VOX_LANES; k++)
            lane[k] += ((double)x[i + k] - mean) * ((double)x[i + k] - mean);
    for (int k = 0; i + k < n; k++)
        lane[k] += ((double)x[i + k] - mean) * ((double)x[i + k] - mean);
}

static inline double vox_lane_sum(const double lane[VOX_LANES]) {
    double sum = 0;
    for (int k = 0; k < VOX_LANES; k++)
        sum += lane[k];
    return sum;
}

#endif
