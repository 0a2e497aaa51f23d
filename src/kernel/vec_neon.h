/* vec_neon.h - the vector vocabulary on AArch64's Advanced SIMD: 32 registers of 4 floats. */
#ifndef VOX_VEC_H
#define VOX_VEC_H

#include <arm_neon.h>

enum { VEC_WIDTH = 4, VEC_ACCUMULATORS = 24, VEC_REGISTERS = 32 };

typedef float32x4_t vec;

static inline vec vec_load(const float *p) {
    return vld1q_f32(p);
}

#include "kernel/vec_masked.h"

static inline void vec_store(float *p, vec v) {
    vst1q_f32(p, v);
}

static inline void vec_store_part(float *p, vec v, int n) {
    for (int i = 0; i < n; i++)
        p[i] = v[i];
}

static inline vec vec_broadcast(float x) {
    return vdupq_n_f32(x);
}

/* Moved by one lane: the last of a and b's but the last; a's but the first and the first of b. */
static inline vec vec_last_and(vec a, vec b) {
    return vextq_f32(a, b, 3);
}

static inline vec vec_and_first(vec a, vec b) {
    return vextq_f32(a, b, 1);
}

/* The first halves of a and b, and the second ones. */
static inline vec vec_low_halves(vec a, vec b) {
    return vcombine_f32(vget_low_f32(a), vget_low_f32(b));
}

static inline vec vec_high_halves(vec a, vec b) {
    return vcombine_f32(vget_high_f32(a), vget_high_f32(b));
}

static inline vec vec_unless_nan(vec v, vec other) {
    return vbslq_f32(vceqq_f32(v, v), v, other);
}

static inline vec vec_add(vec a, vec b) {
    return vaddq_f32(a, b);
}

/* v with every zero +0 and every NaN `nan`, the machine's. */
static inline vec vec_clean(vec v, vec nan) {
    return vec_unless_nan(vec_add(v, vec_broadcast(0.0f)), nan);
}

static inline vec vec_fmadd(vec a, vec b, vec c) {
    return vfmaq_f32(c, a, b);
}

#include "kernel/vec_cached.h"

#endif
