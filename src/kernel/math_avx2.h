/* math_avx2.h - what elementwise functions need beyond vec_avx2.h. SLEEF has no variant for AVX2
 * without FMA; that for AVX gives the bits. See math_avx512.h for the words. */
#ifndef VOX_MATH_H
#define VOX_MATH_H

#include "kernel/vec_avx2.h"

#include <sleef.h>

static inline vec vec_sub(vec a, vec b) {
    return _mm256_sub_ps(a, b);
}

static inline vec vec_mul(vec a, vec b) {
    return _mm256_mul_ps(a, b);
}

static inline vec vec_div(vec a, vec b) {
    return _mm256_div_ps(a, b);
}

static inline vec vec_sqrt(vec x) {
    return _mm256_sqrt_ps(x);
}

static inline vec vec_abs(vec x) {
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}

static inline vec vec_if_less(vec a, vec b, vec then, vec otherwise) {
    return _mm256_blendv_ps(otherwise, then, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}

#define VEC_SLEEF(word, name, bound)                                                               \
    static inline vec vec_##word(vec x) {                                                          \
        return Sleef_cinz_##name##f8_##bound##avx(x);                                              \
    }

#endif
