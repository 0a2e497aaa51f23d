/* vec_avx2.h - the vector vocabulary on AVX2 and FMA3: 16 registers of 8 floats. */
#ifndef VOX_VEC_H
#define VOX_VEC_H

#include <immintrin.h>

/* 12 accumulators, and 3 inputs and 1 weight or the other way round: all 16 registers. */
enum { VEC_WIDTH = 8, VEC_ACCUMULATORS = 12, VEC_REGISTERS = 16 };

typedef __m256 vec;

static inline vec vec_load(const float *p) {
    return _mm256_loadu_ps(p);
}

/* Lanes [from, to) of a vector; the others are neither read nor touch their memory, and are 0. */
typedef __m256i vec_mask;

static inline vec_mask vec_lanes(int from, int to) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(from), lane),
                               _mm256_cmpgt_epi32(_mm256_set1_epi32(to), lane));
}

/* All 16 registers are taken where this is wanted, so the mask passes through the one that is
 * loaded; GCC would keep masks, and put accumulators into memory. */
static inline vec vec_load_masked(const float *p, const vec_mask *m) {
#ifdef __clang__
    return _mm256_maskload_ps(p, *m);
#else
    vec v;
    __asm__("vmovdqu %2, %0\n\tvmaskmovps %1, %0, %0"
            : "=&x"(v)
            : "m"(*(const __m256_u *)p), "m"(*m));
    return v;
#endif
}

static inline void vec_store(float *p, vec v) {
    _mm256_storeu_ps(p, v);
}

static inline void vec_store_part(float *p, vec v, int n) {
    __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_maskstore_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane), v);
}

static inline vec vec_broadcast(float x) {
    return _mm256_set1_ps(x);
}

/* Moved by one lane: the last of a and b's but the last; a's but the first and the first of b. */
static inline vec vec_last_and(vec a, vec b) {
    const vec middle = _mm256_permute2f128_ps(a, b, 0x21);
    return _mm256_castsi256_ps(
        _mm256_alignr_epi8(_mm256_castps_si256(b), _mm256_castps_si256(middle), 12));
}

static inline vec vec_and_first(vec a, vec b) {
    const vec middle = _mm256_permute2f128_ps(a, b, 0x21);
    return _mm256_castsi256_ps(
        _mm256_alignr_epi8(_mm256_castps_si256(middle), _mm256_castps_si256(a), 4));
}

/* The first halves of a and b, and the second ones. */
static inline vec vec_low_halves(vec a, vec b) {
    return _mm256_permute2f128_ps(a, b, 0x20);
}

static inline vec vec_high_halves(vec a, vec b) {
    return _mm256_permute2f128_ps(a, b, 0x31);
}

static inline vec vec_unless_nan(vec v, vec other) {
    return _mm256_blendv_ps(v, other, _mm256_cmp_ps(v, v, _CMP_UNORD_Q));
}

static inline vec vec_add(vec a, vec b) {
    return _mm256_add_ps(a, b);
}

/* v with every zero +0 and every NaN `nan`, the machine's. */
static inline vec vec_clean(vec v, vec nan) {
    return vec_unless_nan(vec_add(v, vec_broadcast(0.0f)), nan);
}

/* Into the register of c: with the intrinsic GCC lets accumulators change places, for which it
 * needs registers that there are not. */
static inline vec vec_fmadd(vec a, vec b, vec c) {
#ifdef __clang__
    return _mm256_fmadd_ps(a, b, c);
#else
    __asm__("vfmadd231ps %2, %1, %0" : "+x"(c) : "x"(a), "xm"(b));
    return c;
#endif
}

/* As in vec_avx512.h, in half lines: the two halves should follow each other closely. */
enum { VEC_BYPASSES = 1 };

static inline void vec_store_bypass(float *p, vec v) {
    _mm256_stream_ps(p, v);
}

static inline void vec_bypass_end(void) {
    _mm_sfence();
}

#endif
