/* test_kernel.c - every variant of the kernel gives the bits of the one arithmetic: bias, then one
 * fused multiply-add per tap. The expected values are ref_conv3d_fused's, naive loops over libm's
 * fmaf, which share nothing with src/. */
#include "cases.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CASES = 60 };

static void expect_equal(const float *y, const float *expected, int64_t count, const char *isa,
                         const char *what) {
    for (int64_t i = 0; i < count; i++)
        if (y[i] != expected[i])
            cr_assert(false, "%s, %s, value %lld: %a instead of %a", isa, what, (long long)i,
                      (double)y[i], (double)expected[i]);
}

static void expect_fused(const char *isa, const conv_case *c, int threads, const char *what) {
    vox_error err = {0};
    vox_network *network = conv_case_network(c);
    float *y = aligned_alloc(64, ((size_t)c->out_count * sizeof *y + 63) / 64 * 64),
          *expected = malloc((size_t)c->out_count * sizeof *y);
    cr_assert_eq(vox_network_run(network, c->x, c->in, y, threads, &err), VOX_OK, "%s",
                 err.message);
    ref_conv3d_fused(&c->ref, c->in[0], c->in + 2, c->x, c->w, c->b, expected);
    expect_equal(y, expected, c->out_count, isa, what);
    vox_network_free(network);
    free(y);
    free(expected);
}

ParameterizedTestParameters(kernel, equals_fused_reference) {
    return isa_params();
}

ParameterizedTest(isa_name *isa, kernel, equals_fused_reference) {
    vox_error err = {0};
    cr_assert_eq(vox_isa_select(isa->text, &err), VOX_OK, "%s", err.message);
    for (uint64_t seed = 0; seed < CASES; seed++) {
        char what[32];
        snprintf(what, sizeof what, "seed %d", (int)seed);
        conv_case c = conv_case_new(seed);
        expect_fused(isa->text, &c, 1 + (int)(seed % 3), what);
        conv_case_free(&c);
    }
}

/* A layer that pads by half of what its kernel spans. */
static vox_conv3d dilated(int64_t in_channels, int64_t out_channels, const int64_t kernel[3],
                          const int64_t dilation[3]) {
    vox_conv3d conv;
    vox_conv3d_defaults(&conv);
    conv.in_channels = in_channels;
    conv.out_channels = out_channels;
    for (int i = 0; i < 3; i++) {
        conv.kernel_size[i] = kernel[i];
        conv.dilation[i] = dilation[i];
        conv.padding_before[i] = conv.padding_after[i] = dilation[i] * (kernel[i] - 1) / 2;
    }
    return conv;
}

/* Dilated layers whose planes are larger than a core's caches are computed phase by phase, rows and
 * planes; heights and depths that no phase count divides, in one run of rows a phase and several,
 * bare and padded, in wide tiles and with one channel. */
ParameterizedTestParameters(kernel, phases_of_dilated_layers_equal_fused_reference) {
    return isa_params();
}

ParameterizedTest(isa_name *isa, kernel, phases_of_dilated_layers_equal_fused_reference,
                  .timeout = 120) {
    static const struct {
        const char *what;
        int64_t in_channels, out_channels, kernel[3], dilation[3], in[3];
        vox_padding_mode mode;
    } rows[] = {
        {"one run", 6, 2, {3, 3, 1}, {2, 7, 1}, {5, 45, 720}, VOX_PAD_ZEROS},
        {"two runs", 6, 2, {3, 3, 1}, {3, 7, 1}, {2, 129, 1000}, VOX_PAD_ZEROS},
        {"few rows", 8, 1, {3, 2, 1}, {1, 19, 1}, {3, 25, 1000}, VOX_PAD_ZEROS},
        {"further than high", 8, 1, {3, 2, 1}, {1, 40, 1}, {3, 25, 1000}, VOX_PAD_ZEROS},
        {"padded", 6, 2, {3, 3, 1}, {2, 5, 1}, {5, 47, 700}, VOX_PAD_REFLECT},
        {"one channel", 1, 1, {3, 3, 3}, {1, 3, 2}, {3, 300, 720}, VOX_PAD_ZEROS},
        {"five rows", 1, 1, {3, 5, 1}, {1, 2, 1}, {3, 300, 720}, VOX_PAD_ZEROS},
        {"short rows", 64, 32, {3, 3, 3}, {2, 2, 2}, {8, 8, 8}, VOX_PAD_ZEROS},
        /* Half a vector of one instruction set or another: rows of two phases are woven. */
        {"woven by 8", 5, 7, {3, 3, 3}, {2, 4, 8}, {5, 64, 360}, VOX_PAD_ZEROS},
        {"woven by 4", 5, 13, {3, 3, 3}, {1, 2, 4}, {4, 66, 364}, VOX_PAD_ZEROS},
        {"woven by 2", 6, 3, {1, 3, 3}, {1, 2, 2}, {2, 128, 722}, VOX_PAD_ZEROS},
        {"not to be woven: a phase is longer",
         5,
         7,
         {3, 3, 3},
         {2, 4, 8},
         {5, 66, 360},
         VOX_PAD_ZEROS},
        {"not to be woven: half a phase more",
         5,
         7,
         {3, 3, 3},
         {2, 4, 8},
         {5, 64, 364},
         VOX_PAD_ZEROS},
        {"woven, past the caches",
         1,
         6,
         {3, 3, 3},
         {2, 2, 8},
         {8, 128, 704},
         VOX_PAD_ZEROS}, /* 17.3 MB */
    };
    vox_error err = {0};
    cr_assert_eq(vox_isa_select(isa->text, &err), VOX_OK, "%s", err.message);
    for (int i = 0; i < (int)(sizeof rows / sizeof *rows); i++) {
        vox_conv3d conv =
            dilated(rows[i].in_channels, rows[i].out_channels, rows[i].kernel, rows[i].dilation);
        conv.padding_mode = rows[i].mode;
        conv_case c = conv_case_of(&conv, rows[i].in, (uint64_t)i);
        expect_fused(isa->text, &c, 3, rows[i].what);
        conv_case_free(&c);
    }
}

/* Kernels of one voxel over arrays that are larger than a core's caches go from piece to piece of
 * the voxels; results of 16 MB and more go past the caches, in every kind of tile. */
ParameterizedTestParameters(kernel, large_arrays_equal_fused_reference) {
    return isa_params();
}

ParameterizedTest(isa_name *isa, kernel, large_arrays_equal_fused_reference, .timeout = 120) {
    static const struct {
        const char *what;
        int64_t in_channels, out_channels, kernel[3], in[3];
    } rows[] = {
        {"voxels", 9, 20, {1, 1, 1}, {5, 64, 672}}, /* 17.2 MB */
        {"voxels, an odd number", 9, 5, {1, 1, 1}, {3, 61, 701}},
        {"voxels, many channels", 700, 3, {1, 1, 1}, {1, 11, 40}},
        {"voxels, fewer than a piece for each thread", 40, 7, {1, 1, 1}, {2, 41, 43}},
        {"tiles", 1, 6, {1, 3, 3}, {6, 208, 672}},       /* 20.1 MB */
        {"one channel", 1, 1, {1, 3, 3}, {7, 800, 800}}, /* 17.9 MB */
        {"one channel, five rows", 1, 1, {1, 5, 5}, {7, 800, 800}},
    };
    vox_error err = {0};
    cr_assert_eq(vox_isa_select(isa->text, &err), VOX_OK, "%s", err.message);
    for (int i = 0; i < (int)(sizeof rows / sizeof *rows); i++) {
        const int64_t near[3] = {1, 1, 1};
        const vox_conv3d conv =
            dilated(rows[i].in_channels, rows[i].out_channels, rows[i].kernel, near);
        conv_case c = conv_case_of(&conv, rows[i].in, (uint64_t)i);
        expect_fused(isa->text, &c, 3, rows[i].what);
        conv_case_free(&c);
    }
}

/* A chain of layers with ReLU between them: what the first ones make lies in rings, with its
 * padding, and each row is handed to what follows. */
static void expect_chain_fused(const char *isa, const vox_conv3d *conv, int count,
                               const int64_t size[3], const char *what) {
    vox_error err = {0};
    vox_network *network = vox_network_new(&err);
    float *x = NULL, *y = NULL;
    int64_t voxels = product(size, 3), in[5] = {1, conv[0].in_channels, size[0], size[1], size[2]};
    conv_case first = {0};
    for (int i = 0; i < count; i++) {
        conv_case c = conv_case_of(&conv[i], size, (uint64_t)i + 1);
        float *made = malloc((size_t)(conv[i].out_channels * voxels) * sizeof *made);
        ref_conv3d_fused(&c.ref, 1, size, i ? x : c.x, c.w, c.b, made);
        cr_assert_eq(vox_network_conv3d(network, &conv[i], c.w, c.b, &err), VOX_OK);
        for (int64_t k = 0; i + 1 < count && k < conv[i].out_channels * voxels; k++)
            made[k] = made[k] > 0 ? made[k] : 0;
        if (i + 1 < count)
            cr_assert_eq(vox_network_activation(network, VOX_ACT_RELU, NULL, &err), VOX_OK);
        free(x);
        x = made;
        if (i == 0)
            first = c;
        else
            conv_case_free(&c);
    }
    const int64_t made = conv[count - 1].out_channels * voxels;
    y = malloc((size_t)made * sizeof *y);
    cr_assert_eq(vox_network_run(network, first.x, in, y, 3, &err), VOX_OK, "%s", err.message);
    expect_equal(y, x, made, isa, what);
    vox_network_free(network);
    conv_case_free(&first);
    free(x);
    free(y);
}

ParameterizedTestParameters(kernel, phases_are_followed_by_other_layers) {
    return isa_params();
}

ParameterizedTest(isa_name *isa, kernel, phases_are_followed_by_other_layers, .timeout = 120) {
    static const int64_t one[3] = {1, 1, 1}, flat[3] = {1, 3, 3}, cube[3] = {3, 3, 3};
    vox_error err = {0};
    cr_assert_eq(vox_isa_select(isa->text, &err), VOX_OK, "%s", err.message);
    const vox_conv3d bare[2] = {
        dilated(6, 3, (const int64_t[]){3, 3, 1}, (const int64_t[]){2, 7, 1}),
        dilated(3, 2, flat, one)};
    expect_chain_fused(isa->text, bare, 2, (const int64_t[]){5, 45, 720}, "in an array");
    for (int64_t d = 2; d <= 8; d *= 2) { /* is half a vector of one instruction set or another */
        const vox_conv3d ring[3] = {dilated(1, 8, one, one),
                                    dilated(8, 5, cube, (const int64_t[]){1, 8, d}),
                                    dilated(5, 2, flat, one)};
        expect_chain_fused(isa->text, ring, 3, (const int64_t[]){5, 80, 136}, "in a ring");
    }
}

/* A pointwise convolution with one channel is fma(x, w, b): the vector arithmetic meets libm's fmaf
 * on the numbers where an emulation would go wrong first: halfway cases, cancellation, subnormals,
 * overflow. */
ParameterizedTestParameters(kernel, multiply_add_is_fused) {
    return isa_params();
}

ParameterizedTest(isa_name *isa, kernel, multiply_add_is_fused) {
    static const float special[] = {0.0f,       -0.0f,         1.0f,
                                    -1.0f,      0x1.000002p0f, 0x1.fffffep0f,
                                    0x1p-24f,   0x1p-25f,      -0x1p-25f,
                                    0x1p-126f,  0x1p-149f,     -0x1p-149f,
                                    0x1.8p-75f, 0x1p-74f,      0x1.fffffep127f,
                                    0x1p127f,   0x1p64f,       -0x1p64f,
                                    3.0f,       1.0f / 3.0f,   0x1.000002p-12f,
                                    0x1p12f,    INFINITY,      -INFINITY};
    enum { N = sizeof special / sizeof *special };
    vox_error err = {0};
    cr_assert_eq(vox_isa_select(isa->text, &err), VOX_OK, "%s", err.message);
    vox_conv3d conv;
    vox_conv3d_defaults(&conv);
    const int64_t in[5] = {1, 1, 1, 1, N};
    for (int w = 0; w < N; w++)
        for (int b = 0; b < N; b++) {
            float y[N];
            vox_network *network = vox_network_new(NULL);
            cr_assert_eq(vox_network_conv3d(network, &conv, &special[w], &special[b], &err),
                         VOX_OK);
            cr_assert_eq(vox_network_run(network, special, in, y, 1, &err), VOX_OK);
            vox_network_free(network);
            for (int i = 0; i < N; i++) {
                /* a zero comes without its sign */
                float expected = fmaf(special[i], special[w], special[b]) + 0.0f;
                cr_assert((isnan(y[i]) && isnan(expected)) ||
                              memcmp(&y[i], &expected, sizeof expected) == 0,
                          "%s: fma(%a, %a, %a) = %a, not %a", isa->text, (double)special[i],
                          (double)special[w], (double)special[b], (double)y[i], (double)expected);
            }
        }
}

Test(kernel, unknown_and_missing_instruction_sets_are_errors) {
    vox_error err = {0};
    cr_assert_eq(vox_isa_select("mmx", &err), VOX_ERR_USAGE);
    cr_assert_not_null(strstr(err.message, "mmx"));
    cr_assert_eq(vox_isa_select("auto", &err), VOX_OK);
    setenv("VOXCONV_ISA", "altivec", 1);
    conv_case c = conv_case_new(1);
    vox_network *network = conv_case_network(&c);
    float *y = malloc((size_t)c.out_count * sizeof *y);
    cr_assert_eq(vox_network_run(network, c.x, c.in, y, 1, &err), VOX_ERR_USAGE);
    cr_assert_not_null(strstr(err.message, "altivec"));
    free(y);
    vox_network_free(network);
    conv_case_free(&c);
}
