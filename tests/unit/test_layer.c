/* test_layer.c - shapes, limits and geometry of the layers. Expected shapes are torch 1.13's for
 * the same parameters, or follow from the formula that the test names. */
#include "cases.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static vox_network *chain_of(const vox_conv3d *c) {
    vox_error err = {0};
    int64_t count = c->out_channels * c->in_channels / c->groups * product(c->kernel_size, 3);
    float *w = calloc((size_t)count, sizeof *w);
    vox_network *network = vox_network_new(&err);
    cr_assert_eq(vox_network_conv3d(network, c, w, NULL, &err), VOX_OK, "%s", err.message);
    free(w);
    return network;
}

/* ceil(n/s) outputs: Keras's definition of 'same'. */
Test(layer, same_upper_gives_ceil_of_n_over_stride) {
    for (int64_t n = 1; n < 12; n++)
        for (int64_t s = 1; s < 5; s++)
            for (int64_t k = 1; k < 6; k++)
                for (int64_t d = 1; d < 3; d++) {
                    vox_conv3d c;
                    vox_conv3d_defaults(&c);
                    c.padding = VOX_PADDING_SAME_UPPER;
                    for (int i = 0; i < 3; i++) {
                        c.kernel_size[i] = k;
                        c.stride[i] = s;
                        c.dilation[i] = d;
                    }
                    vox_network *network = chain_of(&c);
                    int64_t out[4];
                    cr_assert_eq(vox_network_shape(network, (int64_t[]){1, n, n, n}, out, NULL),
                                 VOX_OK);
                    for (int i = 1; i < 4; i++)
                        cr_assert_eq(out[i], (n + s - 1) / s);
                    vox_network_free(network);
                }
}

/* Output o is centred on o*stride - before + dilation*(kernel-1)/2; two layers compose. */
Test(layer, geometry_composes) {
    vox_conv3d c;
    vox_conv3d_defaults(&c);
    c.kernel_size[0] = 2; /* even: centred half a voxel on */
    c.kernel_size[2] = 3;
    c.stride[2] = 2;
    c.padding_before[2] = c.padding_after[2] = 1;
    vox_network *network = chain_of(&c);
    vox_pool3d p;
    vox_pool3d_defaults(&p); /* 2 by 2: stride 2, centred on +0.5 */
    cr_assert_eq(vox_network_pool3d(network, &p, NULL), VOX_OK);
    double stride[3], origin[3];
    cr_assert_eq(vox_network_geometry(network, (int64_t[]){1, 9, 8, 8}, stride, origin, NULL),
                 VOX_OK);
    const double expected_stride[] = {2, 2, 4}, expected_origin[] = {1, 0.5, 1};
    for (int i = 0; i < 3; i++) {
        cr_assert_float_eq(stride[i], expected_stride[i], 0);
        cr_assert_float_eq(origin[i], expected_origin[i], 0);
    }
    vox_network_free(network);
}

/* What torch.nn.Conv3d and its forward refuse is refused, and the message has the numbers. */
Test(layer, limits_are_torchs) {
    const struct {
        const char *field;
        vox_conv3d c;
        const char *words[3];
    } bad[] = {
        {"groups",
         {.in_channels = 3, .out_channels = 4, .groups = 2},
         {"groups=2", "in_channels=3", "4"}},
        {"stride", {.stride = {0, 1, 1}}, {"stride=0", "D", ""}},
        {"kernel", {.kernel_size = {1, 0, 1}}, {"kernel_size=0", "H", ""}},
        {"dilation", {.dilation = {1, 1, -1}}, {"dilation=-1", "W", ""}},
        {"padding", {.padding_before = {-1, 0, 0}}, {"padding=-1", "D", ""}},
        {"same with stride",
         {.stride = {1, 2, 1}, .padding = VOX_PADDING_SAME},
         {"stride=2", "same", "H"}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        vox_conv3d c = bad[i].c, d;
        vox_conv3d_defaults(&d);
        if (!c.in_channels) {
            c.in_channels = c.out_channels = c.groups = 1;
        }
        for (int a = 0; a < 3; a++) {
            bool own = strcmp(bad[i].field, "kernel") == 0;
            c.kernel_size[a] = own ? c.kernel_size[a] : 1;
            own = strncmp(bad[i].field, "stride", 6) == 0 || strstr(bad[i].field, "with stride");
            c.stride[a] = own ? c.stride[a] : 1;
            own = strcmp(bad[i].field, "dilation") == 0;
            c.dilation[a] = own ? c.dilation[a] : 1;
        }
        vox_error err = {0};
        vox_network *network = vox_network_new(NULL);
        float w[64] = {0};
        cr_assert_eq(vox_network_conv3d(network, &c, w, NULL, &err), VOX_ERR_USAGE, "%s",
                     bad[i].field);
        for (int k = 0; k < 3; k++)
            cr_assert_not_null(strstr(err.message, bad[i].words[k]), "'%s' not in: %s",
                               bad[i].words[k], err.message);
        vox_network_free(network);
    }
}

Test(layer, layers_that_do_not_fit_the_input_are_named) {
    const struct {
        vox_padding_mode mode;
        int64_t kernel, padding, channels;
        const char *words[2];
    } bad[] = {
        {VOX_PAD_ZEROS, 6, 0, 1, {"kernel_size=6", "5"}},
        {VOX_PAD_REFLECT, 3, 5, 1, {"padding=5", "reflect"}},
        {VOX_PAD_CIRCULAR, 3, 6, 1, {"padding=6", "circular"}},
        {VOX_PAD_ZEROS, 3, 1, 2, {"in_channels=1", "2 channels"}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        vox_conv3d c;
        vox_conv3d_defaults(&c);
        c.kernel_size[1] = bad[i].kernel;
        c.padding_before[1] = c.padding_after[1] = bad[i].padding;
        c.padding_mode = bad[i].mode;
        vox_network *network = chain_of(&c);
        int64_t out[4];
        vox_error err = {0};
        cr_assert_eq(vox_network_shape(network, (int64_t[]){bad[i].channels, 5, 5, 5}, out, &err),
                     VOX_ERR_USAGE);
        for (int k = 0; k < 2; k++)
            cr_assert_not_null(strstr(err.message, bad[i].words[k]), "%s", err.message);
        vox_network_free(network);
    }
}

/* A weight of infinity meets the zeros of the padding: 0*inf is NaN, as in torch, and no plane may
 * be skipped. The exact rule is IEEE 754's. */
Test(layer, infinite_weights_see_zero_padding) {
    vox_conv3d c;
    vox_conv3d_defaults(&c);
    c.kernel_size[0] = 3;
    c.padding_before[0] = c.padding_after[0] = 1;
    const float w[3] = {INFINITY, 1, 1}, x[2] = {1, 1};
    float y[2];
    vox_network *network = vox_network_new(NULL);
    cr_assert_eq(vox_network_conv3d(network, &c, w, NULL, NULL), VOX_OK);
    cr_assert_eq(vox_network_run(network, x, (int64_t[]){1, 1, 2, 1, 1}, y, 1, NULL), VOX_OK);
    cr_assert(isnan(y[0]), "0*inf + 1 + 1 at the border");
    cr_assert(isinf(y[1]), "1*inf + 1 + 0 inside");
    vox_network_free(network);
}

/* Products too small for a float leave -0 behind, padding adds +0, and skipped padding adds
 * nothing: the result is +0 all the same, whatever instruction set and slab decided what was
 * skipped. */
Test(layer, zero_has_no_sign) {
    vox_conv3d c;
    vox_conv3d_defaults(&c);
    c.kernel_size[1] = 3;
    c.padding_before[1] = c.padding_after[1] = 2;
    const float w[3] = {1e-8f, 1e-8f, 1e-8f};
    enum { D = 3, H = 50, W = 7 };
    static float x[D * H * W], y[D * (H + 2) * W];
    for (int i = 0; i < D * H * W; i++)
        x[i] = -1e-40f;
    for (const char *const *isa = vox_isa_available(); *isa; isa++) {
        cr_assert_eq(vox_isa_select(*isa, NULL), VOX_OK);
        vox_network *network = vox_network_new(NULL);
        cr_assert_eq(vox_network_conv3d(network, &c, w, NULL, NULL), VOX_OK);
        cr_assert_eq(vox_network_run(network, x, (int64_t[]){1, 1, D, H, W}, y, 2, NULL), VOX_OK);
        for (int i = 0; i < D * (H + 2) * W; i++)
            cr_assert(y[i] == 0 && !signbit(y[i]), "%s: value %d is %g", *isa, i, (double)y[i]);
        vox_network_free(network);
    }
}

/* PReLU multiplies by the slope of the channel, in float32: exact but for one rounding. */
Test(layer, prelu_has_a_slope_for_each_channel) {
    enum { C = 3, V = 41 };
    const int64_t in[5] = {2, C, 1, 1, V}, n = 2 * C * V;
    const float slope[C] = {0.25f, -1.5f, 1.1f};
    dice d = dice_new(4);
    float *x = random_values(&d, n), y[2 * C * V];
    for (int channels = 1; channels <= C; channels += C - 1) {
        vox_network *network = vox_network_new(NULL);
        cr_assert_eq(vox_network_prelu(network, channels, slope, NULL), VOX_OK);
        cr_assert_eq(vox_network_run(network, x, in, y, 2, NULL), VOX_OK);
        for (int64_t i = 0; i < n; i++)
            cr_assert_eq(y[i], x[i] < 0 ? x[i] * slope[channels == 1 ? 0 : i / V % C] : x[i]);
        vox_network_free(network);
    }
    vox_network *network = vox_network_new(NULL);
    vox_error err = {0};
    cr_assert_eq(vox_network_prelu(network, C - 1, slope, NULL), VOX_OK);
    cr_assert_eq(vox_network_run(network, x, in, y, 1, &err), VOX_ERR_USAGE);
    cr_assert_not_null(strstr(err.message, "num_parameters=2"), "%s", err.message);
    cr_assert_eq(vox_network_prelu(network, 0, slope, &err), VOX_ERR_USAGE);
    vox_network_free(network);
    free(x);
}

/* A parameter that would make nothing but infinities or NaN is refused by its name. */
Test(layer, activation_parameters_are_checked) {
    static const struct {
        vox_activation kind;
        double parameter[2];
        const char *message; /* NULL: taken */
    } cases[] = {
        {VOX_ACT_ELU, {1.5, NAN}, NULL}, /* has one parameter */
        {VOX_ACT_ELU, {INFINITY}, "elu: alpha=inf"},
        {VOX_ACT_SELU, {1, 1e39}, "selu: scale=1e+39"},
        {VOX_ACT_LEAKY_RELU, {NAN}, "leaky_relu: negative_slope=nan"},
        {VOX_ACT_SOFTPLUS, {0, 20}, "softplus: beta=0"},
        {VOX_ACT_SOFTPLUS, {1, INFINITY}, NULL},
        {VOX_ACT_CLIP, {-INFINITY, 6}, NULL},
        {VOX_ACT_CLIP, {NAN, 6}, "clip: min=nan"},
        {(vox_activation)(VOX_ACT_LOG_SOFTMAX + 1), {0}, "activation: kind=24"},
        {(vox_activation)-1, {0}, "activation: kind=-1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vox_error err = {0};
        vox_network *network = vox_network_new(NULL);
        vox_status status =
            vox_network_activation(network, cases[i].kind, cases[i].parameter, &err);
        cr_expect_eq(status, cases[i].message ? VOX_ERR_USAGE : VOX_OK, "case %zu", i);
        cr_expect(!cases[i].message || strstr(err.message, cases[i].message), "%s", err.message);
        vox_network_free(network);
    }
}

/* Batch normalisation against the naive double version. It rounds alpha, beta and the sum: 3u of
 * (|x*alpha| + |beta|). */
Test(layer, batchnorm_equals_reference) {
    enum { C = 5, V = 37 };
    const int64_t in[5] = {2, C, 1, 1, V}, n = 2 * C * V;
    dice d = dice_new(9);
    float *x = random_values(&d, n), y[2 * C * V];
    double expected[2 * C * V];
    for (int64_t i = 0; i < n; i++)
        x[i] *= 20;
    float *p = random_values(&d, 4 * C);
    for (int c = 0; c < C; c++)
        p[C + c] = fabsf(p[C + c]) + 0.1f; /* running_var */
    vox_network *network = vox_network_new(NULL);
    cr_assert_eq(vox_network_batchnorm3d(network, C, p, p + C, p + 2 * C, p + 3 * C, 1e-5, NULL),
                 VOX_OK);
    cr_assert_eq(vox_network_run(network, x, in, y, 1, NULL), VOX_OK);
    ref_batchnorm(2, C, V, x, p, p + C, p + 2 * C, p + 3 * C, 1e-5, expected);
    for (int64_t i = 0; i < n; i++) {
        int64_t c = i / V % C;
        double alpha = p[2 * C + c] / sqrt(p[C + c] + 1e-5), beta = p[3 * C + c] - p[c] * alpha;
        cr_assert(fabs(y[i] - expected[i]) <=
                  3 * 0x1p-24 * (fabs(x[i] * alpha) + fabs(beta)) + 1e-300);
    }
    vox_network_free(network);
    free(x);
    free(p);
}

/* Pooling against the naive version: the maximum is exact, the mean of n values carries gamma_n. */
Test(layer, pooling_equals_reference) {
    for (uint64_t seed = 0; seed < 200; seed++) {
        dice d = dice_new(seed);
        vox_pool3d p;
        vox_pool3d_defaults(&p);
        ref_pool r = {.average = dice_between(&d, 0, 1)};
        int64_t in[5] = {1, dice_between(&d, 1, 3)}, out[5] = {1, in[1]}, shape[4], taps = 1;
        p.average = r.average;
        p.ceil_mode = r.ceil_mode = dice_between(&d, 0, 1);
        p.count_include_pad = r.count_include_pad = dice_between(&d, 0, 1);
        for (int i = 0; i < 3; i++) {
            r.kernel[i] = p.kernel_size[i] = dice_between(&d, 1, 4);
            r.stride[i] = p.stride[i] = dice_between(&d, 1, 3);
            r.padding[i] = p.padding_before[i] = dice_between(&d, 0, r.kernel[i] / 2);
            r.after[i] = p.padding_after[i] = dice_between(&d, 0, r.kernel[i] / 2);
            r.dilation[i] = p.dilation[i] = r.average ? 1 : dice_between(&d, 1, 2);
            in[2 + i] = dice_between(&d, 1, 14) + r.dilation[i] * (r.kernel[i] - 1);
            taps *= r.kernel[i];
        }
        float *x = random_values(&d, product(in, 5));
        vox_network *network = vox_network_new(NULL);
        cr_assert_eq(vox_network_pool3d(network, &p, NULL), VOX_OK);
        cr_assert_eq(vox_network_shape(network, in + 1, shape, NULL), VOX_OK);
        ref_pool_size(&r, in + 2, out + 2);
        cr_assert_arr_eq(shape, out + 1, sizeof shape);
        int64_t n = product(out, 5);
        float *y = malloc((size_t)n * sizeof *y);
        double *expected = malloc((size_t)n * sizeof *expected);
        cr_assert_eq(vox_network_run(network, x, in, y, 2, NULL), VOX_OK);
        ref_pool3d(&r, 1, in[1], in + 2, x, expected);
        for (int64_t i = 0; i < n; i++) /* values are below 1 in size */
            cr_assert(fabs(y[i] - expected[i]) <= (r.average ? (double)taps * 0x1p-23 : 0));
        vox_network_free(network);
        free(x);
        free(y);
        free(expected);
    }
}
