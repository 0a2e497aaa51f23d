/* math_avx512.h - what elementwise functions need beyond vec_avx512.h.
 *
 * Each math_NAME.h has the same words: sub, mul, div, sqrt, abs; if_less (lane by lane: a < b ?
 * then : otherwise, so NaN takes `otherwise`); and VEC_SLEEF(exp, exp, u10), which defines vec_exp
 * by SLEEF's function exp of the bound u10 (1 ulp; u35: 3.5). Only these headers know SLEEF. */
#ifndef VOX_MATH_H
#define VOX_MATH_H

#include "kernel/vec_avx512.h"

#include <sleef.h>

static inline vec vec_sub(vec a, vec b) {
    return _mm512_sub_ps(a, b);
}

static inline vec vec_mul(vec a, vec b) {
    return _mm512_mul_ps(a, b);
}

static inline vec vec_div(vec a, vec b) {
    return _mm512_div_ps(a, b);
}

static inline vec vec_sqrt(vec x) {
    return _mm512_sqrt_ps(x);
}

static inline vec vec_abs(vec x) {
    return _mm512_abs_ps(x);
}

static inline vec vec_if_less(vec a, vec b, vec then, vec otherwise) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), otherwise, then);
}

#define VEC_SLEEF(word, name, bound)                                                               \
    static inline vec vec_##word(vec x) {                                                          \
        return Sleef_cinz_##name##f16_##bound##avx512fnofma(x);                                    \
    }

#endif
