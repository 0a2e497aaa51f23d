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
