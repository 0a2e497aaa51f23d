/* elementwise.c - functions of single values over a row, and softmax. Compiled once per instruction
 * set like tile.c, with VOX_MATH_HEADER naming the vocabulary.
 *
 * exp, log, tanh and their like are SLEEF's. Of each it has a form that multiplies and adds without
 * fusing (its names with "cinz"), and that form gives the same bits at every vector length and on
 * every machine, with or without FMA; those are taken, in all variants. Everything else here is one
 * IEEE operation after the other. So all variants agree to the bit.
 *
 * The forms are chosen such that nothing overflows or cancels that the function itself does not:
 * exponentials are taken of -|x| only. Errors, with u = 2^-24: a SLEEF function of bound u10 is
 * within 1 ulp, that is 2u of its value, u35 within 7u, every operation within u. Together: 10u for
 * elu, 13u for selu, 4u for sigmoid, 5u for silu, 7u for mish, (8 + |x|)u for softplus, 2u for
 * tanh, erf, exp, log and softsign, u for the rest, of the result; for gelu 4u, gelu_tanh 6u,
 * hardswish 3u of |x|, for hardsigmoid 3u. tests/reference/reference_bounds.c has the sums. Results
 * below float's normal range may be off by a few of its smallest steps besides.
 */
#include VOX_MATH_HEADER
#include "kernel/elementwise.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define INLINE static inline __attribute__((always_inline))

VEC_SLEEF(exp, exp, u10)
VEC_SLEEF(log, log, u10)
VEC_SLEEF(log1p, log1p, u10)
VEC_SLEEF(tanh, tanh, u10)
VEC_SLEEF(quick_tanh, tanh, u35)
VEC_SLEEF(erf, erf, u10)

/* ---- Functions of one value; a and b are the kind's parameters ---- */

typedef vec function(vec x, vec a, vec b);

INLINE vec constant(double x) {
    return vec_broadcast((float)x);
}

INLINE vec negative(vec x) {
    return vec_mul(x, constant(-1));
}

/* Both keep a NaN in x. */
INLINE vec at_least(vec x, vec least) {
    return vec_if_less(x, least, least, x);
}

INLINE vec at_most(vec x, vec most) {
    return vec_if_less(most, x, most, x);
}

INLINE vec clip(vec x, vec a, vec b) {
    return at_most(at_least(x, a), b);
}

INLINE vec relu(vec x, vec a, vec b) {
    (void)a, (void)b;
    return at_least(x, constant(0));
}

INLINE vec leaky_relu(vec x, vec a, vec b) {
    (void)b;
    return vec_if_less(x, constant(0), vec_mul(a, x), x);
}

/* exp(x) - 1 = 2t/(1 - t), t = tanh(x/2), for negative x: 1 - t adds. SLEEF's expm1 is within 1 ulp
 * instead of a few, and takes 2 to 2.6 times as long. */
INLINE vec elu(vec x, vec a, vec b) {
    (void)b;
    const vec t = vec_quick_tanh(vec_mul(x, constant(0.5)));
    const vec y = vec_div(vec_add(t, t), vec_sub(constant(1), t));
    return vec_if_less(x, constant(0), vec_mul(a, y), x);
}

INLINE vec selu(vec x, vec a, vec b) {
    return vec_mul(b, elu(x, a, b));
}

/* exp(x)/(1 + exp(x)) for negative x, 1/(1 + exp(-x)) else. */
INLINE vec sigmoid(vec x, vec a, vec b) {
    (void)a, (void)b;
    const vec one = constant(1), e = vec_exp(negative(vec_abs(x)));
    return vec_div(vec_if_less(x, constant(0), e, one), vec_add(one, e));
}

INLINE vec silu(vec x, vec a, vec b) {
    return vec_mul(x, sigmoid(x, a, b));
}

INLINE vec gelu(vec x, vec a, vec b) {
    (void)a, (void)b;
    const vec root_half = constant(0.70710678118654752440), half = constant(0.5);
    return vec_mul(x, vec_mul(half, vec_add(constant(1), vec_erf(vec_mul(x, root_half)))));
}

/* (1 + tanh(z))/2 = sigmoid(2z), with 2z = x*(c + 0.044715*c*x*x) and c = 2*sqrt(2/pi). */
INLINE vec gelu_tanh(vec x, vec a, vec b) {
    const vec first = constant(1.5957691216057308), third = constant(0.07135481627260025);
    return vec_mul(x, sigmoid(vec_mul(x, vec_fmadd(vec_mul(x, x), third, first)), a, b));
}

INLINE vec hardsigmoid(vec x, vec a, vec b) {
    return clip(vec_fmadd(x, a, b), constant(0), constant(1));
}

INLINE vec hardswish(vec x, vec a, vec b) {
    (void)a, (void)b;
    return vec_mul(x, hardsigmoid(x, constant(1.0 / 6), constant(0.5)));
}

/* log(1 + exp(z)) = max(z, 0) + log1p(exp(-|z|)). */
INLINE vec softplus(vec x, vec a, vec b) {
    const vec z = vec_mul(a, x), rest = vec_log1p(vec_exp(negative(vec_abs(z))));
    return vec_if_less(b, z, x, vec_div(vec_add(at_least(z, constant(0)), rest), a));
}

/* tanh(log(1 + exp(x))) = n/(n + 2) with n = exp(x)*(exp(x) + 2); for positive x both are divided
 * by exp(x)*exp(x). */
INLINE vec mish(vec x, vec a, vec b) {
    (void)a, (void)b;
    const vec zero = constant(0), one = constant(1), two = constant(2);
    const vec e = vec_exp(negative(vec_abs(x))), e2 = vec_mul(two, e);
    const vec n = vec_if_less(x, zero, vec_fmadd(e, e, e2), vec_add(one, e2));
    const vec rest = vec_if_less(x, zero, two, vec_mul(e, e2));
    return vec_mul(x, vec_div(n, vec_add(n, rest)));
}

INLINE vec softsign(vec x, vec a, vec b) {
    (void)a, (void)b;
    return vec_div(x, vec_add(constant(1), vec_abs(x)));
}

INLINE vec reciprocal(vec x, vec a, vec b) {
    (void)a, (void)b;
    return vec_div(constant(1), x);
}

/* With the two parameters that `function` has and these do not need. */
#define PLAIN(name, expression)                                                                    \
    INLINE vec plain_##name(vec x, vec a, vec b) {                                                 \
        (void)a, (void)b;                                                                          \
        return expression;                                                                         \
    }
PLAIN(tanh, vec_tanh(x))
PLAIN(erf, vec_erf(x))
PLAIN(exp, vec_exp(x))
PLAIN(log, vec_log(x))
PLAIN(sqrt, vec_sqrt(x))
PLAIN(abs, vec_abs(x))
PLAIN(neg, negative(x))

/* ---- Rows ---- */

/* The last columns of a row go through a vector of their own, with zeros behind them. */
INLINE vec load_part(const float *p, int64_t n) {
    float part[VEC_WIDTH] = {0};
    for (int64_t i = 0; i < n; i++)
        part[i] = p[i];
    return vec_load(part);
}

INLINE void map(function *f, float *row, int64_t columns, const float parameter[2]) {
    const vec a = vec_broadcast(parameter[0]), b = vec_broadcast(parameter[1]);
    const vec nan = vec_broadcast(vox_machine_nan());
    int64_t i = 0;
    for (; i + VEC_WIDTH <= columns; i += VEC_WIDTH)
        vec_store(row + i, vec_unless_nan(f(vec_load(row + i), a, b), nan));
    if (i < columns) {
        const vec y = f(load_part(row + i, columns - i), a, b);
        vec_store_part(row + i, vec_unless_nan(y, nan), (int)(columns - i));
    }
}

static void map_row(float *row, int64_t columns, vox_activation kind, const float parameter[2]) {
    switch (kind) {
#define CASE(KIND, function)                                                                       \
    case VOX_ACT_##KIND:                                                                           \
        map(function, row, columns, parameter);                                                    \
        break;
        CASE(RELU, relu)
        CASE(LEAKY_RELU, leaky_relu)
        CASE(ELU, elu)
        CASE(SELU, selu)
        CASE(GELU, gelu)
        CASE(GELU_TANH, gelu_tanh)
        CASE(SIGMOID, sigmoid)
        CASE(HARDSIGMOID, hardsigmoid)
        CASE(HARDSWISH, hardswish)
        CASE(SILU, silu)
        CASE(TANH, plain_tanh)
        CASE(SOFTPLUS, softplus)
        CASE(MISH, mish)
        CASE(SOFTSIGN, softsign)
        CASE(CLIP, clip)
        CASE(ERF, plain_erf)
        CASE(EXP, plain_exp)
        CASE(LOG, plain_log)
        CASE(SQRT, plain_sqrt)
        CASE(ABS, plain_abs)
        CASE(NEG, plain_neg)
        CASE(RECIPROCAL, reciprocal)
#undef CASE
    case VOX_ACT_SOFTMAX: /* not of one value */
    case VOX_ACT_LOG_SOFTMAX:
        break;
    }
}

/* A vector of columns, all channels of it, of which the first n columns exist. Where one value of a
 * column is NaN, so is the sum, and with it every result of the column. */
INLINE void softmax(float *x, int64_t stride, int64_t channels, int64_t n, bool logarithm) {
#define LOAD(c) (n == VEC_WIDTH ? vec_load(x + (c)*stride) : load_part(x + (c)*stride, n))
#define STORE(c, y)                                                                                \
    (n == VEC_WIDTH ? vec_store(x + (c)*stride, y) : vec_store_part(x + (c)*stride, y, (int)n))
    const vec nan = vec_broadcast(vox_machine_nan());
    vec most = LOAD(0), sum = constant(0);
    for (int64_t c = 1; c < channels; c++)
        most = at_least(most, LOAD(c));
    for (int64_t c = 0; c < channels; c++) {
        const vec e = vec_exp(vec_sub(LOAD(c), most));
        sum = vec_add(sum, e);
        if (!logarithm)
            STORE(c, e);
    }
    const vec log_sum = logarithm ? vec_log(sum) : sum;
    for (int64_t c = 0; c < channels; c++) {
        const vec y = logarithm ? vec_sub(vec_sub(LOAD(c), most), log_sum) : vec_div(LOAD(c), sum);
        STORE(c, vec_unless_nan(y, nan));
    }
#undef LOAD
#undef STORE
}

static void softmax_row(float *row, int64_t channel_stride, int64_t channels, int64_t columns,
                        bool logarithm) {
    int64_t i = 0;
    for (; i + VEC_WIDTH <= columns; i += VEC_WIDTH)
        softmax(row + i, channel_stride, channels, VEC_WIDTH, logarithm);
    if (i < columns)
        softmax(row + i, channel_stride, channels, columns - i, logarithm);
}

extern const vox_elementwise JOIN(vox_elementwise_, VOX_ISA);
const vox_elementwise JOIN(vox_elementwise_, VOX_ISA) = {map_row, softmax_row};
