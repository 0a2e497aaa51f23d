/* math_neon.h - what elementwise functions need beyond vec_neon.h. See math_avx512.h for the
 * words. */
#ifndef VOX_MATH_H
#define VOX_MATH_H

#include "kernel/vec_neon.h"

#include <sleef.h>

static inline vec vec_sub(vec a, vec b) {
    return vsubq_f32(a, b);
}

static inline vec vec_mul(vec a, vec b) {
    return vmulq_f32(a, b);
}

static inline vec vec_div(vec a, vec b) {
    return vdivq_f32(a, b);
}

static inline vec vec_sqrt(vec x) {
    return vsqrtq_f32(x);
}

static inline vec vec_abs(vec x) {
    return vabsq_f32(x);
}

static inline vec vec_if_less(vec a, vec b, vec then, vec otherwise) {
    return vbslq_f32(vcltq_f32(a, b), then, otherwise);
}

#define VEC_SLEEF(word, name, bound)                                                               \
    static inline vec vec_##word(vec x) {                                                          \
        return Sleef_cinz_##name##f4_##bound##advsimdnofma(x);                                     \
    }

#endif
