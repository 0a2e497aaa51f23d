/* noise.h - Gaussian noise as a stream: torch's numbers for tensors of any size, in pieces of any
 * size. */
#ifndef VOX_NOISE_H
#define VOX_NOISE_H

#include "base/random.h"

/* Numbers that are drawn at a time; a multiple of 16 (see vox_random_normal). */
enum { VOX_NOISE_PIECE = 4096 };

typedef struct vox_noise {
    vox_random random;
    double sigma;
    int64_t left; /* numbers of the current tensor that are not drawn yet */
    int64_t next, drawn;
    float values[2 * VOX_NOISE_PIECE];
} vox_noise;

/* Begins a tensor of `count` numbers: those that torch.normal(0, sigma, [count]) draws next. All of
 * them have to be taken before the next one begins. */
void vox_noise_begin(vox_noise *n, int64_t count);
/* Adds the tensor's next numbers to `values`. */
void vox_noise_add(vox_noise *n, float *values, int64_t count);

#endif
