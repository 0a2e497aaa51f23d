/* rows.h - what layers do to whole rows besides convolution: sums, largest values. In vectors, with
 * the same bits in every variant: each value has its own order of operations, which the width of a
 * vector does not touch.
 */
#ifndef VOX_ROWS_H
#define VOX_ROWS_H

#include <stdint.h>

/* Value i of a row is added to lane i % VOX_LANES, in double precision: so many chains of additions
 * that do not wait for each other. */
enum { VOX_LANES = 16 };

typedef struct vox_rows {
    /* lane[i % VOX_LANES] += x[i]. */
    void (*sum)(double lane[VOX_LANES], const float *x, int64_t columns);
    /* lane[i % VOX_LANES] += (x[i] - mean)^2. */
    void (*sum_squares)(double lane[VOX_LANES], const float *x, int64_t columns, double mean);
    /* to[i] += x[i]. */
    void (*add)(float *to, const float *x, int64_t columns);
    /* to[i] = the larger one of to[i] and x[i]; a NaN, once in, stays. */
    void (*max)(float *to, const float *x, int64_t columns);
} vox_rows;

static inline double vox_lane_sum(const double lane[VOX_LANES]) {
    double sum = 0;
    for (int k = 0; k < VOX_LANES; k++)
        sum += lane[k];
    return sum;
}

#endif
