/* vec_avx512.h - the vector vocabulary on AVX-512F: 32 registers of 16 floats. */
#ifndef VOX_VEC_H
#define VOX_VEC_H

#include <immintrin.h>

/* 24 accumulators, up to 4 inputs, and a weight that is a memory operand of the multiply-add. */
enum { VEC_WIDTH = 16, VEC_ACCUMULATORS = 24, VEC_REGISTERS = 32 };

typedef __m512 vec;

static inline vec vec_load(const float *p) {
    return _mm512_loadu_ps(p);
}

/* Lanes [from, to) of a vector; the others are neither read nor touch their memory, and are 0. */
typedef __mmask16 vec_mask;

static inline vec_mask vec_lanes(int from, int to) {
    return (vec_mask)((1u << to) - (1u << from));
}

/* GCC keeps masks in general registers when the intrinsic asks for them, and moves them each time
 * on a port that multiply-adds want. */
static inline vec vec_load_masked(const float *p, const vec_mask *m) {
#ifdef __clang__
    return _mm512_maskz_loadu_ps(*m, p);
#else
    vec v;
    __asm__("vmovups %1, %0 %{%2%}%{z%}" : "=v"(v) : "m"(*(const __m512_u *)p), "Yk"(*m));
    return v;
#endif
}

static inline void vec_store(float *p, vec v) {
    _mm512_storeu_ps(p, v);
}

/* Past the caches, on a border of 64 bytes: a store otherwise brings the line from memory first,
 * only to overwrite all of it. vec_bypass_end() before another thread may look. */
enum { VEC_BYPASSES = 1 };

static inline void vec_store_bypass(float *p, vec v) {
    _mm512_stream_ps(p, v);
}

static inline void vec_bypass_end(void) {
    _mm_sfence();
}

static inline void vec_store_part(float *p, vec v, int n) {
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), v);
}

static inline vec vec_broadcast(float x) {
    return _mm512_set1_ps(x);
}

/* Moved by one lane: the last of a and b's but the last; a's but the first and the first of b. */
static inline vec vec_last_and(vec a, vec b) {
    return _mm512_castsi512_ps(
        _mm512_alignr_epi32(_mm512_castps_si512(b), _mm512_castps_si512(a), 15));
}

static inline vec vec_and_first(vec a, vec b) {
    return _mm512_castsi512_ps(
        _mm512_alignr_epi32(_mm512_castps_si512(b), _mm512_castps_si512(a), 1));
}

/* The first halves of a and b, and the second ones. */
static inline vec vec_low_halves(vec a, vec b) {
    return _mm512_shuffle_f32x4(a, b, 0x44);
}

static inline vec vec_high_halves(vec a, vec b) {
    return _mm512_shuffle_f32x4(a, b, 0xee);
}

static inline vec vec_unless_nan(vec v, vec other) {
    return _mm512_mask_mov_ps(v, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), other);
}

/* v with every zero +0 and every NaN `nan`, the machine's, which the instruction knows: it goes by
 * the class of a value, four bits each, from quiet and signalling NaN (3: that NaN) and zeros (8:
 * +0) to what stays (1). */
static inline vec vec_clean(vec v, vec nan) {
    (void)nan;
    return _mm512_fixupimm_ps(v, v, _mm512_set1_epi32(0x11111833), 0);
}

static inline vec vec_add(vec a, vec b) {
    return _mm512_add_ps(a, b);
}

static inline vec vec_fmadd(vec a, vec b, vec c) {
    return _mm512_fmadd_ps(a, b, c);
}

#endif
