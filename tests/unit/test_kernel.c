/* test_kernel.c - every variant of the kernel gives the bits of the one arithmetic: bias, then one
 * fused multiply-add per tap. The expected values are ref_conv3d_fused's, naive loops over libm's
 * fmaf, which share nothing with src/. */
#include "cases.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CASES = 60 };

ParameterizedTestParameters(kernel, equals_fused_reference) {
    return isa_params();
}

ParameterizedTest(isa_name *isa, kernel, equals_fused_reference) {
    vox_error err = {0};
    cr_assert_eq(vox_isa_select(isa->text, &err), VOX_OK, "%s", err.message);
    for (uint64_t seed = 0; seed < CASES; seed++) {
        conv_case c = conv_case_new(seed);
        vox_network *network = conv_case_network(&c);
        float *y = malloc((size_t)c.out_count * sizeof *y),
              *expected = malloc((size_t)c.out_count * sizeof *y);
        int threads = 1 + (int)(seed % 3);
        cr_assert_eq(vox_network_run(network, c.x, c.in, y, threads, &err), VOX_OK, "%s",
                     err.message);
        ref_conv3d_fused(&c.ref, c.in[0], c.in + 2, c.x, c.w, c.b, expected);
        for (int64_t i = 0; i < c.out_count; i++)
            cr_assert(y[i] == expected[i], "%s, seed %d, value %lld: %a instead of %a", isa->text,
                      (int)seed, (long long)i, (double)y[i], (double)expected[i]);
        vox_network_free(network);
        conv_case_free(&c);
        free(y);
        free(expected);
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
