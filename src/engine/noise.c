/* noise.c - see noise.h. */
#include "engine/noise.h"

#include <assert.h>

void vox_noise_begin(vox_noise *n, int64_t count) {
    n->left = count;
    n->next = n->drawn = 0;
}

/* The last piece is the longest: torch draws the last 16 numbers in one go, so 16 or more must be
 * left for it. */
static void draw(vox_noise *n) {
    const int64_t count = n->left < 2 * VOX_NOISE_PIECE ? n->left : VOX_NOISE_PIECE;
    vox_random_normal(&n->random, n->sigma, n->values, count);
    n->left -= count;
    n->next = 0;
    n->drawn = count;
}

void vox_noise_add(vox_noise *n, float *values, int64_t count) {
    while (count > 0) {
        if (n->next == n->drawn)
            draw(n);
        assert(n->drawn > 0);
        const int64_t run = vox_min(count, n->drawn - n->next);
        const float *noise = n->values + n->next;
        for (int64_t i = 0; i < run; i++)
            values[i] += noise[i];
        n->next += run;
        values += run;
        count -= run;
    }
}
