/* vec_portable.h - the vector vocabulary in plain C, for any machine and as the reference of the
 * others.
 *
 * Four lanes through the compiler's vector extensions. Where the target has a fused multiply-add
 * the compiler is asked for it; elsewhere it is computed exactly: the product of two floats is
 * exact in double, the sum is rounded to odd (Boldo and Melquiond, "Emulation of a FMA and
 * correctly rounded sums", IEEE Trans. Computers 57, 2008), and with 53 >= 24 + 2 bits the last
 * rounding to float is then the only one. So this variant gives the bits of the hardware's
 * instruction, only slower. */
#ifndef VOX_VEC_H
#define VOX_VEC_H

#include <stdint.h>
#include <string.h>

enum { VEC_WIDTH = 4, VEC_ACCUMULATORS = 8, VEC_REGISTERS = 32 };

typedef float vec __attribute__((vector_size(16)));

static inline vec vec_load(const float *p) {
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

#include "kernel/vec_masked.h"

static inline void vec_store(float *p, vec v) {
    memcpy(p, &v, sizeof v);
}

/* The first n (0 to VEC_WIDTH) lanes. */
static inline void vec_store_part(float *p, vec v, int n) {
    for (int i = 0; i < n; i++)
        p[i] = v[i];
}

static inline vec vec_broadcast(float x) {
    return (vec){x, x, x, x};
}

/* Moved by one lane: the last of a and b's but the last; a's but the first and the first of b. */
static inline vec vec_last_and(vec a, vec b) {
    return (vec){a[3], b[0], b[1], b[2]};
}

static inline vec vec_and_first(vec a, vec b) {
    return (vec){a[1], a[2], a[3], b[0]};
}

/* The first halves of a and b, and the second ones. */
static inline vec vec_low_halves(vec a, vec b) {
    return (vec){a[0], a[1], b[0], b[1]};
}

static inline vec vec_high_halves(vec a, vec b) {
    return (vec){a[2], a[3], b[2], b[3]};
}

/* Lane by lane: v, or where that is NaN other. */
static inline vec vec_unless_nan(vec v, vec other) {
    for (int i = 0; i < VEC_WIDTH; i++)
        v[i] = v[i] == v[i] ? v[i] : other[i];
    return v;
}

static inline vec vec_add(vec a, vec b) {
    return a + b;
}

/* v with every zero +0 and every NaN `nan`, the machine's. */
static inline vec vec_clean(vec v, vec nan) {
    return vec_unless_nan(vec_add(v, vec_broadcast(0.0f)), nan);
}

#ifndef __FP_FAST_FMAF
/* The next function where the machine has none. Not inlined: thousands of copies take minutes to
 * compile. */
static __attribute__((noinline)) vec vec_emulated_fmadd(vec a, vec b, vec c) {
    typedef double wide __attribute__((vector_size(32)));
    typedef int64_t bits __attribute__((vector_size(32)));
    wide product = __builtin_convertvector(a, wide) * __builtin_convertvector(b, wide);
    wide addend = __builtin_convertvector(c, wide);
    wide sum = product + addend;
    /* Knuth's TwoSum: what the sum lost. It is NaN where the sum is not finite. */
    wide part = sum - product;
    wide lost = (product - (sum - part)) + (addend - part);
    /* To odd: an inexact sum with an even last bit moves one step towards what it lost. */
    bits raw;
    memcpy(&raw, &sum, sizeof raw);
    bits lost_raw;
    memcpy(&lost_raw, &lost, sizeof lost_raw);
    bits inexact = (lost < 0.0) | (lost > 0.0);
    bits step = ((raw ^ lost_raw) >> 63) | 1; /* +1 where the signs agree, else -1 */
    raw += step & inexact & ((raw & 1) - 1);
    memcpy(&sum, &raw, sizeof sum);
    return __builtin_convertvector(sum, vec);
}
#endif

/* a*b + c, rounded once. */
static inline vec vec_fmadd(vec a, vec b, vec c) {
#ifdef __FP_FAST_FMAF
    vec r;
    for (int i = 0; i < VEC_WIDTH; i++)
        r[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return r;
#else
    return vec_emulated_fmadd(a, b, c);
#endif
}

#include "kernel/vec_cached.h"

#endif
