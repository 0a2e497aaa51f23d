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

typedef struct transpose_case {
    vox_conv_transpose3d conv;
    ref_transpose ref;
    int64_t in[4], out[3];
} transpose_case;

static transpose_case random_transpose(dice *d) {
    transpose_case k;
    vox_conv_transpose3d *c = &k.conv;
    vox_conv_transpose3d_defaults(c);
    random_shape(d, k.in);
    c->groups = dice_between(d, 0, 2) ? 1 : dice_between(d, 2, 3);
    c->in_channels = k.in[0] *= c->groups;
    c->out_channels = c->groups * dice_between(d, 1, 19);
    const bool common = dice_between(d, 0, 2) == 0;
    for (int i = 0; i < 3; i++) {
        c->kernel_size[i] = common ? dice_between(d, 2, 4) : dice_between(d, 1, 5);
        c->stride[i] = common ? 2 : dice_between(d, 1, 4);
        c->dilation[i] = common ? 1 : dice_between(d, 1, 4);
        c->output_padding[i] = dice_between(d, 0, vox_max(c->stride[i], c->dilation[i]) - 1);
        c->padding_before[i] = dice_between(d, 0, 3);
        c->padding_after[i] = dice_between(d, 0, 3);
        k.ref.kernel[i] = c->kernel_size[i];
        k.ref.stride[i] = c->stride[i];
        k.ref.dilation[i] = c->dilation[i];
        k.ref.output_padding[i] = c->output_padding[i];
        k.ref.before[i] = c->padding_before[i];
        k.ref.after[i] = c->padding_after[i];
        while ((k.in[1 + i] - 1) * c->stride[i] - c->padding_before[i] - c->padding_after[i] +
                   c->dilation[i] * (c->kernel_size[i] - 1) + c->output_padding[i] <
               0)
            k.in[1 + i]++;
    }
    k.ref.in_channels = c->in_channels;
    k.ref.out_channels = c->out_channels;
    k.ref.groups = c->groups;
    ref_transpose_size(&k.ref, k.in + 1, k.out);
    return k;
}

/* Promise 1's bound, where n is the number of products in an output's own sum and the bias. */
Test(layer_resample, transposed_convolution_equals_reference) {
    for (uint64_t seed = 0; seed < 80; seed++) {
        dice d = dice_new(seed);
        const transpose_case k = random_transpose(&d);
        const int64_t filter = product(k.conv.kernel_size, 3);
        float *x = random_values(&d, product(k.in, 4));
        float *w = random_values(&d, k.in[0] * (k.conv.out_channels / k.conv.groups) * filter);
        float *b = dice_between(&d, 0, 1) ? random_values(&d, k.conv.out_channels) : NULL;
        vox_network *network = vox_network_new(NULL);
        vox_error err = {0};
        cr_assert_eq(vox_network_conv_transpose3d(network, &k.conv, w, b, &err), VOX_OK, "%s",
                     err.message);
        int64_t out[4];
        float *y = run_every_way(network, k.in, x, out);
        cr_assert_eq(out[0], k.conv.out_channels);
        cr_assert_arr_eq(out + 1, k.out, sizeof k.out);
        const int64_t n = product(out, 4);
        double *expected = malloc((size_t)n * sizeof *expected);
        double *magnitude = malloc((size_t)n * sizeof *magnitude);
        int64_t *taps = malloc((size_t)n * sizeof *taps);
        ref_transpose3d(&k.ref, k.in + 1, x, w, b, expected, magnitude, taps);
        for (int64_t i = 0; i < n; i++) {
            const double m = (double)(taps[i] + 1) * 0x1p-24, bound = m / (1 - m) * magnitude[i];
            cr_assert(fabs(y[i] - expected[i]) <= bound, "seed %d, value %d: %a, not %a", (int)seed,
                      (int)i, (double)y[i], expected[i]);
        }
        vox_network_free(network);
        free(x);
        free(w);
        free(b);
        free(y);
        free(expected);
        free(magnitude);
        free(taps);
    }
}

/* The adjoint of a convolution: <conv(x), y> = <x, transposed(y)>. With whole numbers below 2^24
 * both sums are exact. torch documents the layer so. */
Test(layer_resample, transposed_convolution_is_the_adjoint) {
    enum { IN = 3, OUT = 4, N = 9, K = 3 };
    const int64_t in[5] = {1, IN, N, N, N};
    int64_t small[4];
    dice d = dice_new(5);
    static float x[IN * N * N * N], w[OUT * IN * K * K * K], ax[OUT * N * N * N],
        aty[IN * N * N * N], y[OUT * N * N * N];
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = (float)dice_between(&d, -3, 3);
    for (size_t i = 0; i < sizeof w / sizeof *w; i++)
        w[i] = (float)dice_between(&d, -3, 3);
    vox_conv3d c;
    vox_conv3d_defaults(&c);
    c.in_channels = IN;
    c.out_channels = OUT;
    vox_conv_transpose3d t;
    vox_conv_transpose3d_defaults(&t);
    t.in_channels = OUT;
    t.out_channels = IN;
    for (int i = 0; i < 3; i++) {
        c.kernel_size[i] = t.kernel_size[i] = K;
        c.stride[i] = t.stride[i] = 2;
        c.padding_before[i] = c.padding_after[i] = 1;
        t.padding_before[i] = t.padding_after[i] = 1;
    }
    vox_network *a = vox_network_new(NULL), *at = vox_network_new(NULL);
    cr_assert_eq(vox_network_conv3d(a, &c, w, NULL, NULL), VOX_OK);
    cr_assert_eq(vox_network_conv_transpose3d(at, &t, w, NULL, NULL), VOX_OK);
    cr_assert_eq(vox_network_shape(a, in + 1, small, NULL), VOX_OK);
    const int64_t middle[5] = {1, small[0], small[1], small[2], small[3]};
    for (int64_t i = 0; i < product(small, 4); i++)
        y[i] = (float)dice_between(&d, -3, 3);
    cr_assert_eq(vox_network_run(a, x, in, ax, 2, NULL), VOX_OK);
    cr_assert_eq(vox_network_run(at, y, middle, aty, 2, NULL), VOX_OK);
    double left = 0, right = 0;
    for (int64_t i = 0; i < product(small, 4); i++)
        left += (double)ax[i] * y[i];
    for (int64_t i = 0; i < product(in, 5); i++)
        right += (double)x[i] * aty[i];
    cr_assert_float_eq(left, right, 0);
    vox_network_free(a);
    vox_network_free(at);
}

/* Kernel 2, stride 2: outputs 0 and 1 lie a quarter voxel before and behind input 0. */
Test(layer_resample, transposed_convolution_lies_between) {
    vox_conv_transpose3d c;
    vox_conv_transpose3d_defaults(&c);
    const float w[2] = {1, 1};
    double stride[3], origin[3];
    c.kernel_size[2] = c.stride[2] = 2;
    vox_network *network = vox_network_new(NULL);
    cr_assert_eq(vox_network_conv_transpose3d(network, &c, w, NULL, NULL), VOX_OK);
    cr_assert_eq(vox_network_geometry(network, (int64_t[]){1, 3, 3, 3}, stride, origin, NULL),
                 VOX_OK);
    cr_assert_float_eq(stride[2], 0.5, 0);
    cr_assert_float_eq(origin[2], -0.25, 0);
    cr_assert_float_eq(stride[0], 1, 0);
    cr_assert_float_eq(origin[0], 0, 0);
    vox_network_free(network);
}

/* What torch.nn.ConvTranspose3d refuses, and weights that are not finite. */
Test(layer_resample, transposed_convolution_refuses) {
    const struct {
        vox_conv_transpose3d c;
        const char *words;
    } bad[] = {
        {{.in_channels = 3, .out_channels = 4, .groups = 2}, "groups=2"},
        {{.stride = {0, 1, 1}}, "stride=0 along D"},
        {{.kernel_size = {1, -1, 1}}, "kernel_size=-1 along H"},
        {{.padding_after = {0, 0, -2}}, "padding=-2 along W"},
        {{.output_padding = {0, 1, 0}}, "output_padding=1 along H"},
    };
    const float w[64] = {0}, infinite = INFINITY;
    vox_error err = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        vox_conv_transpose3d c = bad[i].c;
        if (c.groups == 0)
            c.in_channels = c.out_channels = c.groups = 1;
        for (int a = 0; a < 3; a++) {
            c.kernel_size[a] = c.kernel_size[a] ? c.kernel_size[a] : 1;
            c.stride[a] = c.stride[a] || i == 1 ? c.stride[a] : 1;
            c.dilation[a] = 1;
        }
        vox_network *network = vox_network_new(NULL);
        cr_assert_eq(vox_network_conv_transpose3d(network, &c, w, NULL, &err), VOX_ERR_USAGE);
        cr_assert_not_null(strstr(err.message, bad[i].words), "%s", err.message);
        vox_network_free(network);
    }
    vox_conv_transpose3d c;
    int64_t out[4];
    vox_conv_transpose3d_defaults(&c);
    vox_network *network = vox_network_new(NULL);
    cr_assert_eq(vox_network_conv_transpose3d(network, &c, &infinite, NULL, &err),
                 VOX_ERR_UNSUPPORTED);
    c.padding_before[1] = 3;
    cr_assert_eq(vox_network_conv_transpose3d(network, &c, w, NULL, &err), VOX_OK);
    cr_assert_eq(vox_network_shape(network, (int64_t[]){1, 9, 3, 9}, out, &err), VOX_ERR_USAGE);
    cr_assert_not_null(strstr(err.message, "padding=3 and 0 along H"));
    const int64_t vast = INT64_MAX / 2;
    cr_assert_eq(vox_network_shape(network, (int64_t[]){1, 9, 9, vast}, out, &err), VOX_ERR_USAGE);
    cr_assert_not_null(strstr(err.message, "along W: makes more"));
    cr_assert_eq(vox_network_shape(network, (int64_t[]){2, 9, 9, 9}, out, &err), VOX_ERR_USAGE);
    cr_assert_not_null(strstr(err.message, "in_channels=1"));
    vox_network_free(network);
}

/* ONNX's coordinate transformations, in its words: length_original and length_resized. */
static double on_half_pixel(double o, double in, double out, double scale) {
    (void)in, (void)out;
    return (o + 0.5) / scale - 0.5;
}
static double on_asymmetric(double o, double in, double out, double scale) {
    (void)in, (void)out;
    return o / scale;
}
static double on_align_corners(double o, double in, double out, double scale) {
    (void)scale;
    return out == 1 ? 0 : o * (in - 1) / (out - 1);
}
static double on_pytorch_half_pixel(double o, double in, double out, double scale) {
    return out > 1 ? on_half_pixel(o, in, out, scale) : 0;
}
static double prefer_floor(double x) {
    return x - floor(x) > 0.5 ? floor(x) + 1 : floor(x);
}
static double prefer_ceil(double x) {
    return x - floor(x) >= 0.5 ? floor(x) + 1 : floor(x);
}

typedef double coordinate_function(double o, double in, double out, double scale);
static coordinate_function *const coordinates[] = {
    [VOX_RESIZE_HALF_PIXEL] = on_half_pixel,
    [VOX_RESIZE_ASYMMETRIC] = on_asymmetric,
    [VOX_RESIZE_ALIGN_CORNERS] = on_align_corners,
    [VOX_RESIZE_PYTORCH_HALF_PIXEL] = on_pytorch_half_pixel,
};
static double (*const roundings[])(double x) = {
    [VOX_RESIZE_ROUND_PREFER_FLOOR] = prefer_floor,
    [VOX_RESIZE_ROUND_PREFER_CEIL] = prefer_ceil,
    [VOX_RESIZE_FLOOR] = floor,
    [VOX_RESIZE_CEIL] = ceil,
};

/* Linear: the share, the product and the sum are rounded along each axis: gamma_9 of the sizes of
 * what a value is made of; the coordinates are good to 2^-44 of a voxel, which are at most 64 from
 * 0, and neighbours at most 2 apart. Nearest is exact where scales are powers of two, so that
 * coordinates are; where the nearest voxel hangs on the rounding of a coordinate, torch is the
 * judge (`make oracle`). */
Test(layer_resample, resizing_equals_reference) {
    for (uint64_t seed = 0; seed < 90; seed++) {
        dice d = dice_new(seed);
        int64_t in[4], out[4], size[3];
        vox_resize r;
        random_shape(&d, in);
        vox_resize_defaults(&r);
        r.mode = dice_between(&d, 0, 1) ? VOX_RESIZE_LINEAR : VOX_RESIZE_NEAREST;
        const bool linear = r.mode == VOX_RESIZE_LINEAR;
        r.coordinates = (vox_resize_coordinates)dice_between(&d, 0, linear ? 3 : 1);
        r.nearest = (vox_resize_nearest)dice_between(&d, 0, 3);
        double scale[3];
        for (int i = 0; i < 3; i++) {
            static const double power[] = {0.5, 1, 2, 4};
            const int64_t n = in[1 + i];
            if (linear && dice_between(&d, 0, 1)) {
                r.size[i] = size[i] = dice_between(&d, 1, 3 * n);
                scale[i] = (double)size[i] / (double)n;
            } else {
                scale[i] = linear ? (double)dice_between(&d, 3, 30) / 10
                                  : power[dice_between(&d, n > 1 ? 0 : 1, 3)];
                while (floor((double)n * scale[i]) < 1)
                    scale[i] += 1;
                r.scale[i] = scale[i];
                size[i] = (int64_t)floor((double)n * scale[i]);
                if (size[i] == n && r.coordinates == VOX_RESIZE_HALF_PIXEL) /* torch copies */
                    scale[i] = 1;
            }
        }
        float *x = random_values(&d, product(in, 4));
        vox_network *network = vox_network_new(NULL);
        cr_assert_eq(vox_network_resize3d(network, &r, NULL), VOX_OK);
        float *y = run_every_way(network, in, x, out);
        cr_assert_arr_eq(out + 1, size, sizeof size);
        const int64_t n = product(out, 4);
        double *expected = malloc((size_t)n * sizeof *expected);
        double *magnitude = malloc((size_t)n * sizeof *magnitude);
        ref_resize3d(coordinates[r.coordinates], linear ? NULL : roundings[r.nearest], in[0],
                     in + 1, size, scale, x, expected, magnitude);
        const double u = 0x1p-24, gamma = 9 * u / (1 - 9 * u);
        for (int64_t i = 0; i < n; i++)
            cr_assert(
                fabs(y[i] - expected[i]) <= (linear ? gamma * magnitude[i] + 3 * 2 * 0x1p-44 : 0),
                "seed %d, value %d: %a, not %a", (int)seed, (int)i, (double)y[i], expected[i]);
        vox_network_free(network);
        free(x);
        free(y);
        free(expected);
        free(magnitude);
    }
}

/* A voxel that has no share in a value is not asked: infinity is no NaN next to it. */
Test(layer_resample, resizing_keeps_infinity_where_it_is) {
    const int64_t in[4] = {1, 1, 1, 3};
    int64_t out[4];
    const float x[3] = {1, INFINITY, 2};
    vox_resize r;
    vox_resize_defaults(&r);
    r.mode = VOX_RESIZE_LINEAR;
    r.coordinates = VOX_RESIZE_ALIGN_CORNERS;
    r.size[2] = 5; /* at 0, 0.5, 1, 1.5, 2 */
    vox_network *network = vox_network_new(NULL);
    cr_assert_eq(vox_network_resize3d(network, &r, NULL), VOX_OK);
    float *y = run_every_way(network, in, x, out);
    const float expected[5] = {1, INFINITY, INFINITY, INFINITY, 2};
    cr_assert_arr_eq(y, expected, sizeof expected);
    vox_network_free(network);
    free(y);
}

/* Outputs o that show voxel i under torch's nearest with scale 2 are 2i and 2i+1: their middle lies
 * on the voxel, x = (o - 0.5)/2. The others as their coordinates say. */
Test(layer_resample, resizing_lies_where_its_coordinates_say) {
    const struct {
        vox_resize_mode mode;
        vox_resize_coordinates coordinates;
        double stride, origin;
    } cases[] = {
        {VOX_RESIZE_NEAREST, VOX_RESIZE_ASYMMETRIC, 0.5, -0.25},
        {VOX_RESIZE_LINEAR, VOX_RESIZE_ASYMMETRIC, 0.5, 0},
        {VOX_RESIZE_LINEAR, VOX_RESIZE_HALF_PIXEL, 0.5, -0.25},
        {VOX_RESIZE_LINEAR, VOX_RESIZE_ALIGN_CORNERS, 4.0 / 9, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vox_resize r;
        double stride[3], origin[3];
        vox_resize_defaults(&r);
        r.mode = cases[i].mode;
        r.coordinates = cases[i].coordinates;
        r.scale[1] = 2;
        vox_network *network = vox_network_new(NULL);
        cr_assert_eq(vox_network_resize3d(network, &r, NULL), VOX_OK);
        cr_assert_eq(vox_network_geometry(network, (int64_t[]){1, 5, 5, 5}, stride, origin, NULL),
                     VOX_OK);
        cr_assert_float_eq(stride[1], cases[i].stride, 0);
        cr_assert_float_eq(origin[1], cases[i].origin, 0);
        cr_assert_float_eq(stride[0], 1, 0);
        vox_network_free(network);
    }
}

/* One voxel has no corners that could lie 1/(out - 1) apart: a third of it for each of three, and
 * no spacing of 0, which no affine can have. */
Test(layer_resample, one_voxel_is_shared_by_what_it_is_resized_to) {
    vox_resize r;
    double stride[3], origin[3];
    vox_resize_defaults(&r);
    r.mode = VOX_RESIZE_LINEAR;
    r.coordinates = VOX_RESIZE_ALIGN_CORNERS;
    r.size[1] = 3;
    vox_network *network = vox_network_new(NULL);
    cr_assert_eq(vox_network_resize3d(network, &r, NULL), VOX_OK);
    cr_assert_eq(vox_network_geometry(network, (int64_t[]){1, 5, 1, 5}, stride, origin, NULL),
                 VOX_OK);
    cr_assert_float_eq(stride[1], 1.0 / 3, 0);
    vox_network_free(network);
}

Test(layer_resample, resizing_refuses_no_size) {
    vox_network *network = vox_network_new(NULL);
    vox_error err = {0};
    int64_t out[4];
    vox_resize r;
    vox_resize_defaults(&r);
    r.size[1] = -1;
    cr_assert_eq(vox_network_resize3d(network, &r, &err), VOX_ERR_USAGE);
    cr_assert_not_null(strstr(err.message, "size=-1 along H"));
    r.size[1] = 0;
    r.scale[1] = 0;
    cr_assert_eq(vox_network_resize3d(network, &r, &err), VOX_ERR_USAGE);
    cr_assert_not_null(strstr(err.message, "scale=0 along H"));
    r.scale[1] = 0.25;
    cr_assert_eq(vox_network_resize3d(network, &r, &err), VOX_OK);
    cr_assert_eq(vox_network_shape(network, (int64_t[]){1, 3, 3, 3}, out, &err), VOX_ERR_USAGE);
    cr_assert_not_null(strstr(err.message, "scale=0.25 along H"));
    r.coordinates = (vox_resize_coordinates)9;
    cr_assert_eq(vox_network_resize3d(network, &r, &err), VOX_ERR_USAGE);
    vox_network_free(network);
}

/* torch's documentation: (C*r0*r1*r2, D, H, W) viewed as (C, r0, r1, r2, D, H, W), its axes taken
 * in the order C, D, r0, H, r1, W, r2. ONNX's DCR begins with (r0, r1, r2, C, ...). */
Test(layer_resample, pixel_shuffling_is_its_definition) {
    for (uint64_t seed = 0; seed < 40; seed++) {
        dice d = dice_new(seed);
        int64_t in[4], out[4], n[3];
        random_shape(&d, in);
        for (int i = 0; i < 3; i++)
            n[i] = dice_between(&d, 1, 3);
        const int64_t channels = in[0];
        const bool crd = dice_between(&d, 0, 1);
        in[0] *= product(n, 3);
        float *x = random_values(&d, product(in, 4));
        vox_network *network = vox_network_new(NULL);
        cr_assert_eq(vox_network_pixel_shuffle3d(network, n, crd, NULL), VOX_OK);
        float *y = run_every_way(network, in, x, out);
        cr_assert_eq(out[0], channels);
        const float *v = y;
        for (int64_t c = 0; c < channels; c++)
            for (int64_t z = 0; z < in[1] * n[0]; z++)
                for (int64_t r = 0; r < in[2] * n[1]; r++)
                    for (int64_t i = 0; i < in[3] * n[2]; i++) {
                        const int64_t a = z % n[0], b = r % n[1], e = i % n[2];
                        const int64_t from = crd ? ((c * n[0] + a) * n[1] + b) * n[2] + e
                                                 : ((a * n[1] + b) * n[2] + e) * channels + c;
                        cr_assert_eq(
                            *v++,
                            x[((from * in[1] + z / n[0]) * in[2] + r / n[1]) * in[3] + i / n[2]]);
                    }
        vox_network_free(network);
        free(x);
        free(y);
    }
}

Test(layer_resample, pixel_shuffling_refuses_what_does_not_divide) {
    vox_network *network = vox_network_new(NULL);
    vox_error err = {0};
    int64_t out[4];
    double stride[3], origin[3];
    cr_assert_eq(vox_network_pixel_shuffle3d(network, (int64_t[]){1, 0, 1}, true, &err),
                 VOX_ERR_USAGE);
    cr_assert_not_null(strstr(err.message, "upscale_factor=0 along H"));
    cr_assert_eq(vox_network_pixel_shuffle3d(network, (int64_t[]){1, 2, 2}, true, &err), VOX_OK);
    cr_assert_eq(vox_network_shape(network, (int64_t[]){6, 3, 3, 3}, out, &err), VOX_ERR_USAGE);
    cr_assert_not_null(strstr(err.message, "6 channels are no multiple of 4"));
    cr_assert_eq(vox_network_geometry(network, (int64_t[]){4, 3, 3, 3}, stride, origin, NULL),
                 VOX_OK);
    cr_assert_float_eq(stride[1], 0.5, 0);
    cr_assert_float_eq(origin[1], -0.25, 0); /* a quarter before and a quarter behind */
    vox_network_free(network);
}
