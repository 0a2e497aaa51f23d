/* reference_bounds.c - how far an activation in float32 may be from its exact value.
 *
 * The standard model: an operation is off by a factor of 1 + d, |d| <= u = 2^-24, a function of
 * SLEEF by 1 ulp of its value, which is at most 2u (u10), or by 3.5 ulp, at most 7u (u35). Relative
 * errors are added to first order; the factor SECOND_ORDER covers the products of them. Below
 * float's normal range errors are counted in its smallest step, 2^-149; SLEEF's erf was found two
 * steps off there, the others one. */
#include "reference.h"

#include <math.h>

#define U 0x1p-24
#define STEP 0x1p-149
#define SECOND_ORDER (1 + 0x1p-16)

static double bound(ref_act kind, const double p[2], double x, double y) {
    const double ax = fabs(x), ay = fabs(y);
    switch (kind) {
    case REF_RELU:
    case REF_CLIP:
    case REF_ABS:
    case REF_NEG:
        return 0;
    case REF_LEAKY_RELU:
    case REF_SQRT:
    case REF_RECIPROCAL:
        return U * ay + STEP;
    case REF_ELU: /* tanh by 7u, 2t/(1 - t) by no more (it has the slope 1/(1 - t) <= 1, relative to
                     both), the difference, the quotient, the product */
        return 10 * U * ay + (1 + 2 * fabs(p[0])) * STEP;
    case REF_SELU: /* alpha and scale as floats, a product more */
        return 13 * U * ay + 5 * STEP;
    case REF_SIGMOID: /* exp, the sum, the quotient */
        return 4 * U * ay + 2 * STEP;
    case REF_SILU:
        return 5 * U * ay + (2 * ax + 1) * STEP;
    case REF_GELU: /* The argument of erf is off by 2u, so erf (x erf'(x) <= erf(x)) by 2u + 2u of
                      at most 1; the sum, at most 2, by u; half of that; the product. */
        return 4 * U * ax + STEP;
    case REF_GELU_TANH: /* The argument w of the sigmoid s is off by 4u; |w| s'(w) < 0.23; then the
                           sigmoid's 4u and the product. */
        return 6 * U * ax + STEP;
    case REF_HARDSIGMOID: /* alpha and beta as floats, the sum: |alpha x| <= 1 + |beta| inside */
        return (2 + 2 * fabs(p[1])) * U + STEP;
    case REF_HARDSWISH:
        return 3 * U * ax + U * ay + STEP;
    case REF_SOFTPLUS: { /* z = beta*x is off by u|z|, exp(-|z|) by 2u + u|z|, log1p by 2u more; the
                            sum, the quotient. For positive z, |z| log1p(exp(-z)) is at most 0.6 of
                            the sum, which is log(2) or more. */
        const double z = p[0] * x;
        return (8 + fmax(-z, 0)) * U * ay + (2 / fabs(p[0]) + 1) * STEP;
    }
    case REF_MISH: /* Negative x: e by 2u, e*e + 2e by 4u at most, the quotient n/(n + 2) by 6u, the
                      product. Positive: 1 + 2e by 2.4u, 2e*e by 5u and at most 2/5 of the sum. */
        return 7 * U * ay + (4 * ax + 1) * STEP;
    case REF_SOFTSIGN:
        return 2 * U * ay + STEP;
    case REF_TANH:
    case REF_ERF:
    case REF_EXP:
    case REF_LOG:
        return 2 * U * ay + 2 * STEP;
    case REF_SOFTMAX:
    case REF_LOG_SOFTMAX:
        break;
    }
    return NAN;
}

double ref_activation_bound(ref_act kind, const double parameter[2], double x, double exact) {
    return bound(kind, parameter, x, exact) * SECOND_ORDER;
}

/* x - max = -below is off by u*below, its exponential e by (below + 2)u. As below*exp(-below) <
 * 0.37, the sum of e, which is 1 or more, is off by (0.37*channels + 2)u and its channels - 1
 * additions. */
double ref_softmax_bound(ref_act kind, int64_t channels, double below, double exact) {
    const double sum = 1.37 * (double)channels + 1;
    const double error = kind == REF_SOFTMAX
                             ? (below + 2 + sum + 1) * U * exact + 2 * STEP
                             : (below + sum + 2 * log((double)channels) + fabs(exact)) * U;
    return error * SECOND_ORDER;
}
