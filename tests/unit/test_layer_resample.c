/* test_layer_resample.c - layers that change the size by other means than a stride: adaptive
 * pooling, transposed convolution, resizing, pixel shuffling. The expected values are those of the
 * naive double versions in tests/reference; each test names its bound. */
#include "cases.h"
#include "engine/schedule.h"
#include "ways.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void random_shape(dice *d, int64_t in[4]) {
    in[0] = dice_between(d, 1, 5);
    for (int i = 1; i < 4; i++)
        in[i] = dice_between(d, 1, i == 3 ? 40 : 9);
}

/* The maximum is exact. The mean is summed in double and rounded once: half an ulp, and the sum's
 * own error is below 2^-40 for the values in [-1, 1] here. */
Test(layer_resample, adaptive_pooling_equals_reference) {
    for (uint64_t seed = 0; seed < 80; seed++) {
        dice d = dice_new(seed);
        int64_t in[4], out[4], size[3];
        random_shape(&d, in);
        const bool average = dice_between(&d, 0, 1), global = dice_between(&d, 0, 3) == 0;
        for (int i = 0; i < 3; i++)
            size[i] = global ? 1 : dice_between(&d, 1, in[1 + i] + 3);
        float *x = random_values(&d, product(in, 4));
        vox_network *network = vox_network_new(NULL);
        cr_assert_eq(vox_network_adaptive_pool3d(network, average, size, NULL), VOX_OK);
        float *y = run_every_way(network, in, x, out);
        cr_assert_eq(out[0], in[0]);
        cr_assert_arr_eq(out + 1, size, sizeof size);
        const int64_t n = product(out, 4);
        double *expected = malloc((size_t)n * sizeof *expected);
        ref_adaptive_pool3d(average, in[0], in + 1, size, x, expected);
        for (int64_t i = 0; i < n; i++)
            cr_assert(fabs(y[i] - expected[i]) <=
                          (average ? 0x1p-24 * fabs(expected[i]) + 0x1p-40 : 0),
                      "seed %d: %a, not %a", (int)seed, (double)y[i], expected[i]);
        vox_network_free(network);
        free(x);
        free(y);
        free(expected);
    }
}

/* 12 planes to 4: three at a time, and a ring of no more; the windows' middles are 1, 4, 7, 10. */
Test(layer_resample, adaptive_pooling_holds_its_windows_alone) {
    vox_network *network = vox_network_new(NULL);
    const int64_t in[4] = {1, 12, 2, 2}, size[3] = {4, 1, 1};
    double stride[3], origin[3];
    cr_assert_eq(vox_network_adaptive_pool3d(network, true, size, NULL), VOX_OK);
    vox_value *values = vox_network_values(network, in, NULL);
    vox_schedule s;
    cr_assert_eq(vox_schedule_init(&s, values[1].axis, network->layer[0], 4, NULL), VOX_OK);
    cr_assert_eq(vox_schedule_slots(&s), 3);
    cr_assert_eq(vox_network_geometry(network, in, stride, origin, NULL), VOX_OK);
    cr_assert_float_eq(stride[0], 3, 0);
    cr_assert_float_eq(origin[0], 1, 0);
    cr_assert_float_eq(stride[2], 2, 0);
    cr_assert_float_eq(origin[2], 0.5, 0);
    vox_schedule_free(&s);
    free(values);
    vox_network_free(network);
}

Test(layer_resample, adaptive_pooling_refuses_no_size) {
    vox_network *network = vox_network_new(NULL);
    vox_error err = {0};
    cr_assert_eq(vox_network_adaptive_pool3d(network, false, (int64_t[]){1, 0, 1}, &err),
                 VOX_ERR_USAGE);
    cr_assert_not_null(strstr(err.message, "output_size=0 along H"));
    vox_network_free(network);
}
