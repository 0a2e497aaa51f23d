/* random.c - mt19937 and torch's ways from its words to floats. */
#include "base/random.h"

#include <math.h>
#include <sleef.h>

void vox_random_seed(vox_random *r, uint64_t seed) {
    uint32_t x = (uint32_t)seed;
    for (int i = 0; i < VOX_MT_STATE; i++) {
        r->state[i] = x;
        x = 1812433253u * (x ^ x >> 30) + (uint32_t)i + 1;
    }
    r->next = VOX_MT_STATE;
    r->spare_full = false;
    r->spare = 0;
}

static void renew(uint32_t s[VOX_MT_STATE]) {
    enum { MIDDLE = 397 };
    for (int i = 0; i < VOX_MT_STATE; i++) {
        uint32_t y = (s[i] & 0x80000000u) | (s[(i + 1) % VOX_MT_STATE] & 0x7fffffffu);
        s[i] = s[(i + MIDDLE) % VOX_MT_STATE] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    }
}

uint32_t vox_random_u32(vox_random *r) {
    if (r->next == VOX_MT_STATE) {
        renew(r->state);
        r->next = 0;
    }
    uint32_t y = r->state[r->next++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

/* [0, 1) in steps of 2^-24: every value is a float. */
static float unit_float(vox_random *r) {
    return (float)(vox_random_u32(r) & 0xffffff) * 0x1p-24f;
}

/* [0, 1) in steps of 2^-53, from two words, the first one high. */
static double unit_double(vox_random *r) {
    uint64_t high = vox_random_u32(r);
    uint64_t word = high << 32 | vox_random_u32(r);
    return (double)(word & ((UINT64_C(1) << 53) - 1)) * 0x1p-53;
}

void vox_random_uniform(vox_random *r, double from, double to, float *out, int64_t count) {
    const float low = (float)from, range = (float)to - low;
    for (int64_t i = 0; i < count; i++)
        out[i] = fmaf(unit_float(r), range, low);
}

/* SLEEF's logarithm, sine and cosine have the same bits on every machine; those of a C library may
 * differ in the last one from one machine to the next. */

/* Sixteen uniform values become sixteen normal ones: value j gives the radius of the pair (j, j+8),
 * value j+8 its angle. The angle is rounded to float where torch rounds it. */
static void normal_block(vox_random *r, float stddev, float *out) {
    const float two_pi = (float)(2 * M_PI);
    for (int j = 0; j < 16; j++)
        out[j] = unit_float(r);
    for (int j = 0; j < 8; j++) {
        const double radius = sqrt(-2 * Sleef_cinz_logd1_u10purec(1 - (double)out[j]));
        const Sleef_double_2 turn = Sleef_cinz_sincosd1_u10purec((double)(two_pi * out[j + 8]));
        out[j] = (float)(radius * turn.y * stddev);
        out[j + 8] = (float)(radius * turn.x * stddev);
    }
}

static double normal_double(vox_random *r) {
    if (r->spare_full) {
        r->spare_full = false;
        return r->spare;
    }
    const Sleef_double_2 turn = Sleef_cinz_sincosd1_u10purec(2 * M_PI * unit_double(r));
    const double radius = sqrt(-2 * Sleef_cinz_logd1_u10purec(1 - unit_double(r)));
    r->spare = radius * turn.x;
    r->spare_full = true;
    return radius * turn.y;
}

void vox_random_normal(vox_random *r, double stddev, float *out, int64_t count) {
    if (count < 16) {
        for (int64_t i = 0; i < count; i++)
            out[i] = (float)(normal_double(r) * stddev);
        return;
    }
    /* torch draws all uniform values first and then turns them into normal ones in place, so the
     * words behind the last whole block are used up before the last sixteen values are drawn again.
     */
    int64_t whole = count / 16 * 16;
    for (int64_t i = 0; i < whole; i += 16)
        normal_block(r, (float)stddev, out + i);
    if (whole < count) {
        for (int64_t i = whole; i < count; i++)
            vox_random_u32(r);
        normal_block(r, (float)stddev, out + count - 16);
    }
}
