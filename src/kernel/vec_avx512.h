/* vec_avx512.h - the vector vocabulary on AVX-512F: 32 registers of 16 floats. */
#ifndef VOX_VEC_H
#define VOX_VEC_H

#include <immintrin.h>

/* 24 accumulators, up to 4 inputs, and a weight that is a memory operand of the multiply-add. */
enum { VEC_WIDTH = 16, VEC_ACCUMULATORS = 24 };

typedef __m512 vec;

static inline vec vec_load(const float *p) {
    return _mm512_loadu_ps(p);
}

static inline void vec_store(float *p, vec v) {
    _mm512_storeu_ps(p, v);
}

static inline void vec_store_part(float *p, vec v, int n) {
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), v);
}

static inline vec vec_broadcast(float x) {
    return _mm512_set1_ps(x);
}

static inline vec vec_unless_nan(vec v, vec other) {
    return _mm512_mask_mov_ps(v, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), other);
}

static inline vec vec_add(vec a, vec b) {
    return _mm512_add_ps(a, b);
}

static inline vec vec_fmadd(vec a, vec b, vec c) {
    return _mm512_fmadd_ps(a, b, c);
}

#endif
