/* test_reference.c - the naive reference of tests/reference against values that torch computed.
 *
 * The golden values come from tests/oracle/golden_torch/make_golden.py. Convolutions there have
 * small integer data, so their sums are exact and are compared for equality; max pooling picks a
 * value and is exact too. Averages, normalisation and activations are compared to a few units in
 * the last place of a double, the freedom of torch's own float64 functions. */
#include "../reference/reference.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdlib.h>

typedef struct golden_conv {
    int64_t batch, in[3], out[3];
    ref_conv conv;
    const float *x, *w, *b;
    const double *y, *magnitude;
} golden_conv;

typedef struct golden_pool {
    int64_t in[3], out[3];
    ref_pool pool;
    const float *x;
    const double *y;
} golden_pool;

typedef struct golden_activation {
    ref_act kind;
    double parameter[2];
    const double *y;
} golden_activation;

#include "../oracle/golden_torch/golden.h"

enum { POINT_COUNT = 2 * 3 * 4 };

static void check_close(const double *got, const double *want, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        double slack = 16 * 0x1p-53 * fmax(1.0, fabs(want[i]));
        bool close = fabs(got[i] - want[i]) <= slack || got[i] == want[i];
        cr_expect(close || (isnan(got[i]) && isnan(want[i])), "value %d: %.17g, torch has %.17g",
                  (int)i, got[i], want[i]);
    }
}

static void check_equal(const double *got, const double *want, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        cr_expect(got[i] == want[i], "value %d: %.17g, torch has %.17g", (int)i, got[i], want[i]);
}

/* Criterion hands parameters to another process, so they are indices and not the tables' pointers.
 */
#define INDICES(table)                                                                             \
    size_t count = sizeof(table) / sizeof *(table);                                                \
    int *index = cr_malloc(count * sizeof *index);                                                 \
    for (size_t i = 0; i < count; i++)                                                             \
        index[i] = (int)i;                                                                         \
    return cr_make_param_array(int, index, count, free_indices)

static void free_indices(struct criterion_test_params *params) {
    cr_free(params->params);
}

ParameterizedTestParameters(reference, conv3d_is_torchs) {
    INDICES(convs);
}

ParameterizedTest(int *index, reference, conv3d_is_torchs) {
    const golden_conv *g = &convs[*index];
    int64_t out[3];
    ref_conv_size(&g->conv, g->in, out);
    for (int a = 0; a < 3; a++)
        cr_assert_eq(out[a], g->out[a]);
    int64_t count = g->batch * g->conv.out_channels * out[0] * out[1] * out[2];
    double *y = calloc((size_t)count, sizeof *y);
    double *magnitude = calloc((size_t)count, sizeof *magnitude);
    ref_conv3d(&g->conv, g->batch, g->in, g->x, g->w, g->b, y, magnitude);
    check_equal(y, g->y, count);
    check_equal(magnitude, g->magnitude, count);
    free(magnitude);
    free(y);
}

/* Sums of small integers are exact in float as well, so the fused form has to give the same
 * numbers. */
ParameterizedTestParameters(reference, fused_conv3d_is_torchs) {
    INDICES(convs);
}

ParameterizedTest(int *index, reference, fused_conv3d_is_torchs) {
    const golden_conv *g = &convs[*index];
    int64_t count = g->batch * g->conv.out_channels * g->out[0] * g->out[1] * g->out[2];
    float *y = calloc((size_t)count, sizeof *y);
    ref_conv3d_fused(&g->conv, g->batch, g->in, g->x, g->w, g->b, y);
    for (int64_t i = 0; i < count; i++)
        cr_expect(y[i] == g->y[i], "value %d: %g, torch has %g", (int)i, (double)y[i], g->y[i]);
    free(y);
}

/* One rounding a tap: 1 + 2^-12 squared is 1 + 2^-11 + 2^-24, which a product rounded to float
 * loses and a fused one keeps when the bias takes the rest away. */
Test(reference, fused_conv3d_rounds_once) {
    const ref_conv c = {.in_channels = 1,
                        .out_channels = 1,
                        .groups = 1,
                        .kernel = {1, 1, 1},
                        .stride = {1, 1, 1},
                        .dilation = {1, 1, 1}};
    const int64_t one[3] = {1, 1, 1};
    const float x = 1.0f + 0x1p-12f, b = -(1.0f + 0x1p-11f);
    float y = 0.0f;
    ref_conv3d_fused(&c, 1, one, &x, &x, &b, &y);
    cr_expect(y == 0x1p-24f, "%a", (double)y);
}

/* gamma_2 with u = 2^-24, from the formula: a single tap and its bias. */
Test(reference, bound_of_one_tap) {
    const ref_conv c = {.in_channels = 1, .groups = 1, .kernel = {1, 1, 1}};
    double want = 0x1p-23 / (1.0 - 0x1p-23) * 3.0;
    cr_expect(fabs(ref_conv_bound(&c, 3.0) - want) <= 0x1p-70);
}

ParameterizedTestParameters(reference, pool3d_is_torchs) {
    INDICES(pools);
}

ParameterizedTest(int *index, reference, pool3d_is_torchs) {
    const golden_pool *g = &pools[*index];
    int64_t out[3];
    ref_pool_size(&g->pool, g->in, out);
    for (int a = 0; a < 3; a++)
        cr_assert_eq(out[a], g->out[a]);
    int64_t count = out[0] * out[1] * out[2];
    double *y = calloc((size_t)count, sizeof *y);
    ref_pool3d(&g->pool, 1, 1, g->in, g->x, y);
    if (g->pool.average)
        check_close(y, g->y, count);
    else
        check_equal(y, g->y, count);
    free(y);
}

/* torch.nn.MaxPool3d hands a NaN on. */
Test(reference, max_pool3d_keeps_nan) {
    const ref_pool p = {.kernel = {1, 1, 2}, .stride = {1, 1, 2}, .dilation = {1, 1, 1}};
    const int64_t in[3] = {1, 1, 4};
    const float x[4] = {NAN, 2.0f, 3.0f, 4.0f};
    double y[2];
    ref_pool3d(&p, 1, 1, in, x, y);
    cr_expect(isnan(y[0]));
    cr_expect(y[1] == 4.0);
}

Test(reference, batchnorm_is_torchs) {
    double y[POINT_COUNT];
    ref_batchnorm(2, 3, 4, point_x, norm_mean, norm_var, norm_weight, norm_bias, 1e-5, y);
    check_close(y, norm_y, POINT_COUNT);
    ref_batchnorm(2, 3, 4, point_x, norm_mean, norm_var, NULL, NULL, 1e-3, y);
    check_close(y, norm_plain_y, POINT_COUNT);
}

ParameterizedTestParameters(reference, activation_is_torchs) {
    INDICES(activations);
}

ParameterizedTest(int *index, reference, activation_is_torchs) {
    const golden_activation *g = &activations[*index];
    double y[POINT_COUNT];
    ref_activation(g->kind, g->parameter, 2, 3, 4, point_x, y);
    check_close(y, g->y, POINT_COUNT);
}
