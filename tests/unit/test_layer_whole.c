/* test_layer_whole.c - layers that look at the whole volume: group normalisation, linear. The
 * expected values are those of the naive double versions in tests/reference; each test names its
 * bound. */
#include "cases.h"
#include "ways.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void random_shape(dice *d, int64_t in[4]) {
    in[0] = dice_between(d, 1, 6);
    for (int i = 1; i < 4; i++)
        in[i] = dice_between(d, 1, i == 3 ? 40 : 9);
}

/* alpha, beta and the sum are rounded once each: 3u of (|x*alpha| + |beta|), as in batch
 * normalisation. alpha and beta themselves come from sums of n values in double, which are off by
 * less than n * 2^-50 of it where values are below 2 in size and the deviation above 2^-4. */
Test(layer_whole, group_norm_equals_reference) {
    for (uint64_t seed = 0; seed < 60; seed++) {
        dice d = dice_new(seed);
        int64_t in[4], out[4];
        random_shape(&d, in);
        const int64_t groups = dice_between(&d, 1, 3), voxels = product(in + 1, 3);
        in[0] *= groups;
        const int64_t n = product(in, 4);
        float *x = random_values(&d, n), *p = random_values(&d, 2 * in[0]);
        const float *weight = dice_between(&d, 0, 2) ? p : NULL;
        const float *bias = dice_between(&d, 0, 2) ? p + in[0] : NULL;
        const double eps = dice_between(&d, 0, 1) ? 1e-2 : 0.5;
        vox_network *network = vox_network_new(NULL);
        cr_assert_eq(vox_network_group_norm(network, groups, in[0], weight, bias, eps, NULL),
                     VOX_OK);
        float *y = run_every_way(network, in, x, out);
        cr_assert_arr_eq(out, in, sizeof in);
        double *expected = malloc((size_t)n * sizeof *expected);
        double *magnitude = malloc((size_t)n * sizeof *magnitude);
        ref_group_norm(1, groups, in[0], voxels, x, weight, bias, eps, expected, magnitude);
        for (int64_t i = 0; i < n; i++)
            cr_assert(fabs(y[i] - expected[i]) <= 3 * 0x1p-24 * magnitude[i] + (double)n * 0x1p-46,
                      "seed %d: %a, not %a", (int)seed, (double)y[i], expected[i]);
        vox_network_free(network);
        free(x);
        free(p);
        free(y);
        free(expected);
        free(magnitude);
    }
}

/* x = 1000000 + (0, 1, 2, 3, ...): a variance from sums of squares in float32 would be noise. The
 * expected ends are sqrt(3 (n-1)/(n+1)), those of n equally spaced values of deviation 1. */
Test(layer_whole, group_norm_stands_a_large_mean) {
    enum { N = 1000 };
    const int64_t in[5] = {1, 1, 10, 10, 10};
    float x[N], y[N];
    for (int i = 0; i < N; i++)
        x[i] = (float)(1000000 + i);
    vox_network *network = vox_network_new(NULL);
    cr_assert_eq(vox_network_group_norm(network, 1, 1, NULL, NULL, 0, NULL), VOX_OK);
    cr_assert_eq(vox_network_run(network, x, in, y, 2, NULL), VOX_OK);
    const double end = sqrt(3.0 * (N - 1) / (N + 1));
    const double bound =
        3 * 0x1p-24 * 2 * 1000999 / 288.6; /* |x*alpha| + |beta|, deviation 288.7 */
    cr_assert_float_eq(y[0], -end, bound);
    cr_assert_float_eq(y[N - 1], end, bound);
    vox_network_free(network);
}

/* One NaN makes its group NaN, and no other. */
Test(layer_whole, group_norm_keeps_nan_in_its_group) {
    const int64_t in[4] = {4, 3, 2, 5};
    int64_t out[4];
    dice d = dice_new(1);
    float *x = random_values(&d, 4 * 30);
    x[70] = NAN; /* channel 2 */
    vox_network *network = vox_network_new(NULL);
    cr_assert_eq(vox_network_group_norm(network, 2, 4, NULL, NULL, 1e-5, NULL), VOX_OK);
    float *y = run_every_way(network, in, x, out);
    for (int i = 0; i < 4 * 30; i++)
        cr_assert_eq(isnan(y[i]) != 0, i >= 60);
    vox_network_free(network);
    free(x);
    free(y);
}

Test(layer_whole, group_norm_refuses_what_does_not_fit) {
    vox_network *network = vox_network_new(NULL);
    vox_error err = {0};
    int64_t out[4];
    cr_assert_eq(vox_network_group_norm(network, 3, 4, NULL, NULL, 1e-5, &err), VOX_ERR_USAGE);
    cr_assert_not_null(strstr(err.message, "num_groups=3"));
    cr_assert_eq(vox_network_group_norm(network, 0, 4, NULL, NULL, 1e-5, NULL), VOX_ERR_USAGE);
    cr_assert_eq(vox_network_group_norm(network, 1, 1, NULL, NULL, -1, &err), VOX_ERR_USAGE);
    cr_assert_not_null(strstr(err.message, "eps=-1"));
    cr_assert_eq(vox_network_group_norm(network, 2, 4, NULL, NULL, 0, NULL), VOX_OK);
    cr_assert_eq(vox_network_shape(network, (int64_t[]){3, 1, 1, 1}, out, &err), VOX_ERR_USAGE);
    cr_assert_not_null(strstr(err.message, "num_channels=4"));
    vox_network_free(network);
}

/* Promise 1's bound with n = features + 1: a linear layer is a convolution. */
Test(layer_whole, linear_equals_reference) {
    for (uint64_t seed = 0; seed < 60; seed++) {
        dice d = dice_new(seed);
        int64_t in[4], out[4];
        random_shape(&d, in);
        const int64_t features = product(in, 4), outputs = dice_between(&d, 1, 150);
        float *x = random_values(&d, features), *w = random_values(&d, outputs * features);
        float *b = dice_between(&d, 0, 1) ? random_values(&d, outputs) : NULL;
        vox_network *network = vox_network_new(NULL);
        cr_assert_eq(vox_network_linear(network, features, outputs, w, b, NULL), VOX_OK);
        float *y = run_every_way(network, in, x, out);
        cr_assert_arr_eq(out, ((int64_t[]){outputs, 1, 1, 1}), sizeof out);
        double *expected = malloc((size_t)outputs * sizeof *expected);
        double *magnitude = malloc((size_t)outputs * sizeof *magnitude);
        ref_linear(features, outputs, x, w, b, expected, magnitude);
        const double n = (double)features + 1, gamma = n * 0x1p-24 / (1 - n * 0x1p-24);
        for (int64_t i = 0; i < outputs; i++)
            cr_assert(fabs(y[i] - expected[i]) <= gamma * magnitude[i], "seed %d: %a, not %a",
                      (int)seed, (double)y[i], expected[i]);
        vox_network_free(network);
        free(x);
        free(w);
        free(b);
        free(y);
        free(expected);
        free(magnitude);
    }
}

/* One arithmetic: it is to the bit the convolution with a kernel as large as the input. */
Test(layer_whole, linear_is_a_convolution) {
    const int64_t in[4] = {3, 4, 5, 6};
    int64_t out[4];
    enum { FEATURES = 360, OUTPUTS = 70 };
    dice d = dice_new(3);
    float *x = random_values(&d, FEATURES), *w = random_values(&d, (int64_t)OUTPUTS * FEATURES);
    vox_conv3d c;
    vox_conv3d_defaults(&c);
    c.in_channels = in[0];
    c.out_channels = OUTPUTS;
    for (int i = 0; i < 3; i++)
        c.kernel_size[i] = in[1 + i];
    vox_network *linear = vox_network_new(NULL), *conv = vox_network_new(NULL);
    cr_assert_eq(vox_network_linear(linear, FEATURES, OUTPUTS, w, x, NULL), VOX_OK);
    cr_assert_eq(vox_network_conv3d(conv, &c, w, x, NULL), VOX_OK);
    float *a = run_every_way(linear, in, x, out), *b = run_every_way(conv, in, x, out);
    cr_assert_arr_eq(a, b, OUTPUTS * sizeof *a);
    vox_network_free(linear);
    vox_network_free(conv);
    free(x);
    free(w);
    free(a);
    free(b);
}

Test(layer_whole, linear_refuses_what_does_not_fit) {
    vox_network *network = vox_network_new(NULL);
    vox_error err = {0};
    int64_t out[4];
    const float w[12] = {0};
    cr_assert_eq(vox_network_linear(network, 0, 1, w, NULL, &err), VOX_ERR_USAGE);
    cr_assert_not_null(strstr(err.message, "in_features=0"));
    cr_assert_eq(vox_network_linear(network, INT64_MAX / 2, 4, w, NULL, NULL), VOX_ERR_USAGE);
    cr_assert_eq(vox_network_linear(network, 12, 1, w, NULL, NULL), VOX_OK);
    cr_assert_eq(vox_network_shape(network, (int64_t[]){2, 1, 2, 2}, out, &err), VOX_ERR_USAGE);
    cr_assert_not_null(strstr(err.message, "in_features=12"));
    cr_assert_not_null(strstr(err.message, "2x1x2x2"));
    vox_network_free(network);
}
