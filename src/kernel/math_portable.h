/* math_portable.h - what elementwise functions need beyond vec_portable.h, in plain C and SLEEF.
 * See math_avx512.h for the words. */
#ifndef VOX_MATH_H
#define VOX_MATH_H

#include "kernel/vec_portable.h"

#include <sleef.h>

static inline vec vec_sub(vec a, vec b) {
    return a - b;
}

static inline vec vec_mul(vec a, vec b) {
    return a * b;
}

static inline vec vec_div(vec a, vec b) {
    return a / b;
}

static inline vec vec_sqrt(vec x) {
    for (int i = 0; i < VEC_WIDTH; i++)
        x[i] = __builtin_sqrtf(x[i]);
    return x;
}

static inline vec vec_abs(vec x) {
    for (int i = 0; i < VEC_WIDTH; i++)
        x[i] = __builtin_fabsf(x[i]);
    return x;
}

static inline vec vec_if_less(vec a, vec b, vec then, vec otherwise) {
    for (int i = 0; i < VEC_WIDTH; i++)
        then[i] = a[i] < b[i] ? then[i] : otherwise[i];
    return then;
}

/* Every x86-64 has SSE2; elsewhere lane by lane. */
#ifdef __SSE2__
#define VEC_SLEEF(word, name, bound)                                                               \
    static inline vec vec_##word(vec x) {                                                          \
        return Sleef_cinz_##name##f4_##bound##sse2(x);                                             \
    }
#else
#define VEC_SLEEF(word, name, bound)                                                               \
    static inline vec vec_##word(vec x) {                                                          \
        for (int i = 0; i < VEC_WIDTH; i++)                                                        \
            x[i] = Sleef_cinz_##name##f1_##bound##purec(x[i]);                                     \
        return x;                                                                                  \
    }
#endif

#endif
