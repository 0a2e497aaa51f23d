/* moments.h - mean and spread of many numbers, block by block.
 *
 * Joins the moments of a block to those so far (Chan, Golub and LeVeque, "Updating formulae and a
 * pairwise algorithm for computing sample variances", 1979): no cancellation, whatever the mean. */
#ifndef VOX_MOMENTS_H
#define VOX_MOMENTS_H

#include <stdint.h>

typedef struct vox_moments {
    int64_t n;
    double mean, squares; /* squares: sum of (x - mean)^2 */
} vox_moments;

static inline void vox_moments_join(vox_moments *all, const vox_moments *block) {
    if (block->n == 0)
        return;
    const double n = (double)all->n + (double)block->n, delta = block->mean - all->mean;
    all->mean += delta * ((double)block->n / n);
    all->squares += block->squares + delta * delta * ((double)all->n * ((double)block->n / n));
    all->n += block->n;
}

#endif
