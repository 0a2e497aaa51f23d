/* dice.h - a small generator of random numbers (xorshift64*, Vigna 2016), so that what a test
 * draws is the same on every machine. */
#ifndef DICE_H
#define DICE_H

#include <stdint.h>

typedef struct dice {
    uint64_t state;
} dice;

static inline dice dice_new(uint64_t seed) {
    return (dice){seed * 0x9e3779b97f4a7c15u + 0x1234567u};
}

static inline uint64_t dice_roll(dice *d) {
    d->state ^= d->state >> 12;
    d->state ^= d->state << 25;
    d->state ^= d->state >> 27;
    return d->state * 0x2545f4914f6cdd1du;
}

/* Both included. */
static inline int64_t dice_between(dice *d, int64_t least, int64_t most) {
    return least + (int64_t)(dice_roll(d) >> 33) % (most - least + 1);
}

/* In [-1, 1), some of them 0. */
static inline float dice_value(dice *d) {
    const uint64_t r = dice_roll(d);
    return r % 16 == 0 ? 0.0f : (float)(int64_t)(r >> 40) * 0x1p-23f - 1.0f;
}

#endif
