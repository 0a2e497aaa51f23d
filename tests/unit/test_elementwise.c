/* test_elementwise.c - the activations over the whole range of float, against libm's doubles with
 * torch's definitions (tests/reference), within the bounds that are derived there; and every
 * instruction set against the portable variant, bit for bit. */
#include "cases.h"
#include "kernel/kernel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 4096, STEP = 4099 /* of 2^32 bit patterns; odd, so that all mantissas come */ };

static const vox_elementwise *elementwise_of(const char *isa) {
    vox_error err = {0};
    cr_assert_eq(vox_isa_select(isa, &err), VOX_OK, "%s", err.message);
    return vox_kernel_active(&err)->elementwise;
}

/* Floats that stand at the edges of something, before those that are spread over all. */
static void fill(float x[CHUNK], uint64_t *next) {
    static const float edges[] = {0.0f,      -0.0f,     INFINITY,  -INFINITY, NAN,      -NAN,
                                  0x1p-149f, -0x1p-149, 0x1p-126f, -0x1p-126, 1.0f,     -1.0f,
                                  3.0f,      -3.0f,     6.0f,      88.72284f, 88.7229f, -87.336f,
                                  -103.97f,  -104.1f,   20.0f,     0x1p-24f,  0x1p64f,  -0x1p64f};
    enum { EDGES = sizeof edges / sizeof *edges };
    int i = 0;
    if (*next == 0)
        for (; i < EDGES; i++)
            x[i] = edges[i];
    for (; i < CHUNK; i++, *next += STEP) {
        const uint32_t bits = (uint32_t)*next;
        memcpy(&x[i], &bits, sizeof bits);
    }
}

/* An infinity counts as 2^128, so that a rounding over the edge of float's range is one of u. */
static double in_range(double y) {
    return fmax(fmin(y, 0x1p128), -0x1p128);
}

static void check(ref_act kind, const double parameter[2], float x, float y, double expected) {
    const float machine_nan = vox_machine_nan();
    if (isnan(expected)) {
        cr_assert_eq(memcmp(&y, &machine_nan, sizeof y), 0, "kind %d of %a: %a", kind, (double)x,
                     (double)y);
        return;
    }
    const double e = in_range(expected),
                 bound = ref_activation_bound(kind, parameter, in_range(x), e);
    cr_assert(fabs(in_range(y) - e) <= bound, "kind %d of %a: %a, not %a within %a", kind,
              (double)x, (double)y, expected, bound);
    cr_assert(x != 0 || expected != 0 || !signbit(y) == !signbit(expected),
              "kind %d of %a: %a, not %a", kind, (double)x, (double)y, expected);
}

typedef struct function {
    vox_activation kind;
    double parameter[2]; /* floats, so that the naive version computes with the same */
} function;

/* torch's defaults, and others. softplus's beta is a power of two: on which side of the threshold
 * a value stands does not hang on a rounding. */
static function functions[] = {
    {VOX_ACT_RELU, {0}},
    {VOX_ACT_LEAKY_RELU, {0.01f}},
    {VOX_ACT_LEAKY_RELU, {-1.25}},
    {VOX_ACT_ELU, {1}},
    {VOX_ACT_ELU, {0.3f}},
    {VOX_ACT_SELU, {1.6732632423543772, 1.0507009873554805}},
    {VOX_ACT_GELU, {0}},
    {VOX_ACT_GELU_TANH, {0}},
    {VOX_ACT_SIGMOID, {0}},
    {VOX_ACT_HARDSIGMOID, {1.0 / 6, 0.5}},
    {VOX_ACT_HARDSIGMOID, {0.2, 0.5}},
    {VOX_ACT_HARDSWISH, {0}},
    {VOX_ACT_SILU, {0}},
    {VOX_ACT_TANH, {0}},
    {VOX_ACT_SOFTPLUS, {1, 20}},
    {VOX_ACT_SOFTPLUS, {0.5, INFINITY}},
    {VOX_ACT_SOFTPLUS, {4, 2}},
    {VOX_ACT_MISH, {0}},
    {VOX_ACT_SOFTSIGN, {0}},
    {VOX_ACT_CLIP, {0, 6}},
    {VOX_ACT_CLIP, {-INFINITY, -1.5}},
    {VOX_ACT_ERF, {0}},
    {VOX_ACT_EXP, {0}},
    {VOX_ACT_LOG, {0}},
    {VOX_ACT_SQRT, {0}},
    {VOX_ACT_ABS, {0}},
    {VOX_ACT_NEG, {0}},
    {VOX_ACT_RECIPROCAL, {0}},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

ParameterizedTestParameters(elementwise, functions_are_torchs) {
    return cr_make_param_array(function, functions, FUNCTIONS);
}

ParameterizedTest(function *f, elementwise, functions_are_torchs, .timeout = 300) {
    static float x[CHUNK], y[CHUNK], other[CHUNK];
    static double expected[CHUNK];
    const float parameter[2] = {(float)f->parameter[0], (float)f->parameter[1]};
    const vox_elementwise *portable = elementwise_of("portable");
    for (uint64_t next = 0; next < (uint64_t)1 << 32;) {
        fill(x, &next);
        memcpy(y, x, sizeof y);
        portable->map_row(y, CHUNK, f->kind, parameter);
        ref_activation((ref_act)f->kind, f->parameter, 1, 1, CHUNK, x, expected);
        for (int i = 0; i < CHUNK; i++)
            check((ref_act)f->kind, f->parameter, x[i], y[i], expected[i]);
        for (const char *const *isa = vox_isa_available(); *isa; isa++) {
            memcpy(other, x, sizeof other);
            elementwise_of(*isa)->map_row(other, CHUNK, f->kind, parameter);
            cr_assert_eq(memcmp(other, y, sizeof y), 0, "%s differs: kind %d", *isa, f->kind);
        }
    }
}

/* Rows of any length and any number of channels; the padding between the channels stays. */
Test(elementwise, softmax_is_torchs) {
    enum { CHANNELS = 9, GAP = 3, LONGEST = 70 };
    static float x[CHANNELS * (LONGEST + GAP)], y[CHANNELS * (LONGEST + GAP)];
    static float values[CHANNELS * LONGEST];
    static double expected[CHANNELS * LONGEST];
    for (int64_t n = 1; n <= LONGEST; n++)
        for (int logarithm = 0; logarithm < 2; logarithm++) {
            dice d = dice_new((uint64_t)n);
            const ref_act kind = logarithm ? REF_LOG_SOFTMAX : REF_SOFTMAX;
            const int64_t channels = 1 + n % CHANNELS, stride = n + GAP;
            const float scale = ldexpf(1, (int)dice_between(&d, -10, 8));
            for (int64_t i = 0; i < channels * stride; i++) {
                x[i] = dice_value(&d) * scale;
                if (i % stride < n)
                    values[i / stride * n + i % stride] = x[i];
            }
            ref_activation(kind, (double[2]){0}, 1, channels, n, values, expected);
            for (const char *const *isa = vox_isa_available(); *isa; isa++) {
                static float first[CHANNELS * (LONGEST + GAP)];
                memcpy(y, x, sizeof y);
                elementwise_of(*isa)->softmax_row(y, stride, channels, n, logarithm);
                if (isa == vox_isa_available())
                    memcpy(first, y, sizeof y);
                cr_assert_eq(memcmp(y, first, sizeof y), 0, "%s differs", *isa);
            }
            for (int64_t i = 0; i < channels * stride; i++) {
                const int64_t c = i / stride, column = i % stride;
                if (column >= n) {
                    cr_assert_eq(y[i], x[i]);
                    continue;
                }
                float most = -INFINITY;
                for (int64_t k = 0; k < channels; k++)
                    most = fmaxf(most, values[k * n + column]);
                const double e = expected[c * n + column],
                             bound = ref_softmax_bound(kind, channels, (double)most - x[i], e);
                cr_assert(fabs(y[i] - e) <= bound, "%a, not %a within %a", (double)y[i], e, bound);
            }
        }
}

/* torch: a column with NaN, or with plus infinity, or of minus infinities alone, is all NaN. */
Test(elementwise, softmax_of_what_is_not_finite) {
    static const float column[][3] = {{1, NAN, 2},
                                      {NAN, 1, 2},
                                      {1, 2, -NAN},
                                      {1, INFINITY, 2},
                                      {-INFINITY, -INFINITY, -INFINITY}};
    const float machine_nan = vox_machine_nan();
    for (const char *const *isa = vox_isa_available(); *isa; isa++)
        for (int logarithm = 0; logarithm < 2; logarithm++) {
            for (size_t i = 0; i < sizeof column / sizeof *column; i++) {
                float y[3];
                memcpy(y, column[i], sizeof y);
                elementwise_of(*isa)->softmax_row(y, 1, 3, 1, logarithm);
                for (int c = 0; c < 3; c++)
                    cr_assert_eq(memcmp(&y[c], &machine_nan, sizeof machine_nan), 0);
            }
            float y[3] = {0, -INFINITY, -INFINITY};
            elementwise_of(*isa)->softmax_row(y, 1, 3, 1, logarithm);
            cr_assert_eq(y[0], logarithm ? 0 : 1);
            cr_assert_eq(y[1], logarithm ? -INFINITY : 0);
        }
}
