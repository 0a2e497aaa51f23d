/* test_layer_graph.c - argmax against a loop, and what joins and slices refuse. That joins and
 * slices compute what they should is tested in test_network.c. */
#include "cases.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* torch.argmax: the first of the largest values; a NaN is larger than any number. */
static float naive_argmax(const float *x, int64_t channels, int64_t step) {
    int64_t best = 0;
    for (int64_t c = 1; c < channels; c++) {
        const float largest = x[best * step], value = x[c * step];
        if (!isnan(largest) && (isnan(value) || value > largest))
            best = c;
    }
    return (float)best;
}

/* Few different values, so that many are equal; NaN, infinities and both zeros among them. */
static float tied_value(dice *d) {
    static const float values[] = {-INFINITY, -1, -0.0f, 0, 1, 2, INFINITY};
    const int64_t i = dice_between(d, 0, 14);
    return i < 7 ? values[i] : i == 7 ? NAN : (float)dice_between(d, 0, 2);
}

Test(layer, argmax_is_the_first_of_the_largest) {
    for (uint64_t seed = 0; seed < 60; seed++) {
        dice d = dice_new(seed);
        /* Rows of up to three of the layer's pieces of 256. */
        const int64_t in[5] = {dice_between(&d, 1, 2), dice_between(&d, 1, 9),
                               dice_between(&d, 1, 3), dice_between(&d, 1, 3),
                               dice_between(&d, 1, seed % 2 ? 600 : 20)};
        const int64_t n = product(in + 2, 3);
        float *x = malloc((size_t)product(in, 5) * sizeof *x);
        float *y = malloc((size_t)(in[0] * n) * sizeof *y);
        for (int64_t i = 0; i < product(in, 5); i++)
            x[i] = seed % 3 ? tied_value(&d) : dice_value(&d);
        vox_network *network = vox_network_new(NULL);
        cr_assert_eq(vox_network_argmax(network, NULL), VOX_OK);
        cr_assert_eq(vox_network_run(network, x, in, y, (int)dice_between(&d, 1, 3), NULL), VOX_OK);
        for (int64_t frame = 0; frame < in[0]; frame++)
            for (int64_t v = 0; v < n; v++)
                cr_assert_eq(y[frame * n + v], naive_argmax(x + frame * in[1] * n + v, in[1], n),
                             "seed %d, voxel %d", (int)seed, (int)v);
        vox_network_free(network);
        free(x);
        free(y);
    }
}

Test(layer, argmax_gives_one_channel_and_keeps_the_size) {
    vox_network *network = vox_network_new(NULL);
    int64_t out[4];
    vox_error err = {0};
    cr_assert_eq(vox_network_argmax(network, NULL), VOX_OK);
    cr_assert_eq(vox_network_shape(network, (int64_t[]){104, 5, 6, 7}, out, NULL), VOX_OK);
    cr_assert_arr_eq(out, ((int64_t[]){1, 5, 6, 7}), sizeof out);
    /* float32 holds the whole numbers up to 2^24. */
    cr_assert_eq(vox_network_shape(network, (int64_t[]){1 << 24, 1, 1, 1}, out, &err), VOX_OK);
    cr_assert_eq(vox_network_shape(network, (int64_t[]){(1 << 24) + 1, 1, 1, 1}, out, &err),
                 VOX_ERR_USAGE);
    cr_assert(strstr(err.message, "16777217"), "%s", err.message);
    vox_network_free(network);
}

/* Two values beside the input: two channels, and half the size. */
static vox_network *three_values(void) {
    static const float weight[2] = {1, 2};
    vox_network *n = vox_network_new(NULL);
    vox_conv3d conv;
    vox_pool3d pool;
    vox_conv3d_defaults(&conv);
    vox_pool3d_defaults(&pool);
    conv.out_channels = 2;
    cr_assert_eq(vox_network_conv3d(n, &conv, weight, NULL, NULL), VOX_OK);
    cr_assert_eq(vox_network_pool3d(n, &pool, NULL), VOX_OK);
    cr_assert_eq(vox_network_value(n), 2);
    return n;
}

/* What is refused leaves the network as it was. */
static void refused(vox_network *n, vox_status status, const vox_error *err, const char *text) {
    int64_t out[4];
    cr_assert_eq(status, VOX_ERR_USAGE);
    cr_assert_eq(err->status, VOX_ERR_USAGE);
    cr_assert(strstr(err->message, text), "'%s' in '%s'", text, err->message);
    cr_assert_eq(vox_network_value(n), 2);
    cr_assert_eq(vox_network_shape(n, (int64_t[]){1, 4, 4, 4}, out, NULL), VOX_OK);
    cr_assert_arr_eq(out, ((int64_t[]){2, 2, 2, 2}), sizeof out);
}

Test(layer, joins_and_concats_of_values_that_are_not_there_are_refused) {
    vox_network *n = three_values();
    vox_error err = {0};
    refused(n, vox_network_join(n, VOX_JOIN_ADD, 1, 3, &err), &err, "value=3");
    refused(n, vox_network_join(n, VOX_JOIN_ADD, -1, 1, &err), &err, "value=-1");
    refused(n, vox_network_join(n, (vox_join)4, 1, 1, &err), &err, "op=4");
    refused(n, vox_network_join(n, (vox_join)-1, 1, 1, &err), &err, "op=-1");
    refused(n, vox_network_concat(n, 2, (int[]){0, 3}, &err), &err, "value=3");
    refused(n, vox_network_concat(n, 0, (int[]){0}, &err), &err, "count=0");
    refused(n, vox_network_concat(n, -1, (int[]){0}, &err), &err, "count=-1");
    refused(n, vox_network_select(n, 3, &err), &err, "value=3");
    vox_network_free(n);
}

/* Whether two values fit is known with the input's size. */
static void does_not_fit(vox_network *n, const char *text) {
    vox_error err = {0};
    int64_t out[4];
    cr_assert_eq(vox_network_shape(n, (int64_t[]){1, 4, 4, 4}, out, &err), VOX_ERR_USAGE);
    cr_assert(strstr(err.message, text), "'%s' in '%s'", text, err.message);
    vox_network_free(n);
}

Test(layer, values_whose_shapes_do_not_match_are_refused_with_both) {
    vox_network *n = three_values();
    cr_assert_eq(vox_network_join(n, VOX_JOIN_MUL, 1, 2, NULL), VOX_OK);
    does_not_fit(n, "mul: values of 2x4x4x4 and 2x2x2x2");
    n = three_values();
    cr_assert_eq(vox_network_concat(n, 2, (int[]){0, 2}, NULL), VOX_OK);
    does_not_fit(n, "concat: values of size 4 and 2 along D");
    n = three_values();
    cr_assert_eq(vox_network_concat(n, 3, (int[]){1, 0, 1}, NULL), VOX_OK);
    cr_assert_eq(vox_network_join(n, VOX_JOIN_SUB, 1, 3, NULL), VOX_OK);
    does_not_fit(n, "sub: values of 2x4x4x4 and 5x4x4x4");
    /* One channel, or one voxel, fits any number. */
    n = three_values();
    int64_t out[4];
    cr_assert_eq(vox_network_join(n, VOX_JOIN_DIV, 0, 1, NULL), VOX_OK);
    cr_assert_eq(vox_network_join(n, VOX_JOIN_ADD, 3, 2, NULL), VOX_OK);
    cr_assert_eq(vox_network_shape(n, (int64_t[]){1, 2, 2, 2}, out, NULL), VOX_OK);
    cr_assert_arr_eq(out, ((int64_t[]){2, 2, 2, 2}), sizeof out);
    vox_network_free(n);
}

static void bad_slice(vox_slice s, const char *text) {
    vox_network *n = three_values();
    vox_error err = {0};
    refused(n, vox_network_slice(n, &s, &err), &err, text);
    vox_network_free(n);
}

Test(layer, slices_without_extent_or_out_of_range_are_refused) {
    const vox_slice good = {.from = {0, -1, 0, 1}, .step = {1, 1, 2, 1}, .count = {1, 4, 1, 1}};
    const int64_t cap = INT64_C(1) << 31;
    for (int i = 0; i < 4; i++) {
        const char axis[] = {"CDHW"[i], '\0'};
        char text[16];
        snprintf(text, sizeof text, "along %s", axis);
        for (int64_t wrong = -1; wrong < 2; wrong++) {
            vox_slice s = good;
            s.step[i] = wrong < 1 ? wrong : cap + 1;
            bad_slice(s, text);
            s = good;
            s.count[i] = wrong < 1 ? wrong : INT64_MAX;
            bad_slice(s, text);
        }
        vox_slice s = good;
        s.from[i] = cap + 1;
        bad_slice(s, text);
        s.from[i] = INT64_MIN;
        bad_slice(s, text);
    }
    vox_slice s = good;
    s.from[0] = -1; /* channels are not padded */
    bad_slice(s, "along C");
}

Test(layer, slices_of_what_is_not_there_are_refused) {
    vox_network *n = three_values();
    vox_slice s = {.from = {1, 0, 0, 0}, .step = {1, 1, 1, 1}, .count = {2, 1, 1, 1}};
    cr_assert_eq(vox_network_slice(n, &s, NULL), VOX_OK);
    does_not_fit(n, "the value has 2 channels");
    /* torch: reflect padding must be less than the size, which is 2 here. */
    n = three_values();
    s = (vox_slice){.from = {0, -2, 0, 0},
                    .step = {1, 1, 1, 1},
                    .count = {1, 4, 1, 1},
                    .mode = VOX_PAD_REFLECT};
    cr_assert_eq(vox_network_slice(n, &s, NULL), VOX_OK);
    does_not_fit(n, "along D");
    n = three_values();
    s.from[1] = -1;
    cr_assert_eq(vox_network_slice(n, &s, NULL), VOX_OK);
    int64_t out[4];
    cr_assert_eq(vox_network_shape(n, (int64_t[]){1, 4, 4, 4}, out, NULL), VOX_OK);
    vox_network_free(n);
}
