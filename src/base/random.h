/* random.h - the pseudo-random numbers that torch draws on a CPU, for initial weights equal to its
 * own.
 *
 * The generator is mt19937 (Matsumoto and Nishimura, ACM TOMACS 8(1), 1998, with the 2002 seeding).
 * What is torch's is how draws become floats: ATen's TransformationHelper.h and
 * DistributionTemplates.h. A generator belongs to one thread at a time.
 */
#ifndef VOX_RANDOM_H
#define VOX_RANDOM_H

#include "base/base.h"

enum { VOX_MT_STATE = 624 };

typedef struct vox_random {
    uint32_t state[VOX_MT_STATE];
    int next;        /* index of the next word of `state`; VOX_MT_STATE: renew it first */
    bool spare_full; /* Box and Muller make two numbers at a time: the second waits here */
    double spare;
} vox_random;

/* As torch.manual_seed(seed): mt19937 takes the low 32 bits of it. */
void vox_random_seed(vox_random *r, uint64_t seed);

/* The next word of mt19937. */
uint32_t vox_random_u32(vox_random *r);

/* torch's tensor.uniform_(from, to) for float32, bit for bit: one word a value, its low 24 bits
 * times 2^-24 give x in [0, 1), and the value is fma(x, to-from, from). from and to are rounded to
 * float32 first, as torch does. */
void vox_random_uniform(vox_random *r, double from, double to, float *out, int64_t count);

/* torch's tensor.normal_(0, stddev) for float32: the same draws through the same Box-Muller steps.
 * From 16 values on, torch takes logarithm, sine and cosine from single-precision approximations
 * that depend on the machine; here they are computed in double, with the same bits everywhere, so
 * a value differs from torch's by a few roundings: at most 10 * 2^-24 * stddev *
 * sqrt(-2 ln 2^-24), about 3.5e-6 * stddev. Below 16 values torch computes in double and the
 * results are equal up to the last bits of a double before rounding.
 *
 * From 16 values on they may be drawn piece by piece: pieces of multiples of 16, the last one of 16
 * or more. */
void vox_random_normal(vox_random *r, double stddev, float *out, int64_t count);

#endif
