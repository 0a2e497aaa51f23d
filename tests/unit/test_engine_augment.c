/* test_engine_augment.c - what is drawn, noise in pieces, normal numbers.
 *
 * Draws are torch's (torch.manual_seed(seed); torch.rand(6)); noise in pieces has to be the whole;
 * normal numbers are compared with the Box-Muller formula through the C library. */
#include "dice.h"
#include "engine/noise.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

Test(engine_augment, draws_are_torch_s) {
    static const struct {
        uint64_t seed;
        double u[6]; /* torch 1.13, to four digits */
    } rows[] = {{0, {0.4963, 0.7682, 0.0885, 0.1320, 0.3074, 0.6341}},
                {3, {0.0043, 0.1056, 0.2858, 0.0270, 0.4716, 0.0601}},
                {5, {0.8303, 0.1261, 0.9075, 0.8199, 0.9201, 0.1166}},
                {4294967295, {0.9938, 0.5713, 0.5700, 0.0495, 0.9930, 0.7383}}};
    for (int i = 0; i < 4; i++)
        for (double nudge = -1e-4; nudge < 2e-4; nudge += 2e-4) { /* just below and just above */
            const double *u = rows[i].u;
            vox_augment_options o;
            vox_augment_drawn drawn;
            vox_augment_defaults(&o);
            o.seed = rows[i].seed;
            for (int a = 0; a < 3; a++)
                o.flip[a] = u[a] + nudge;
            o.rot90 = u[3] + nudge;
            o.noise = u[5] + nudge;
            cr_assert_eq(vox_augment_draw(&o, &drawn, NULL), VOX_OK);
            for (int a = 0; a < 3; a++)
                cr_expect_eq(drawn.flip[a], nudge > 0, "seed %d, axis %d", (int)o.seed, a);
            cr_expect_eq(drawn.k, nudge > 0 ? 1 + (int)(3 * u[4]) : 0);
            cr_expect_eq(drawn.noise, nudge > 0);
        }
}

Test(engine_augment, options_that_make_no_sense) {
    vox_augment_options good, o;
    vox_augment_drawn drawn;
    vox_error err = {0};
    vox_augment_defaults(&good);
    cr_expect_eq(vox_augment_draw(&good, &drawn, &err), VOX_OK);
    o = good;
    o.flip[1] = NAN;
    cr_expect_eq(vox_augment_draw(&o, &drawn, &err), VOX_ERR_USAGE);
    o = good;
    o.rot90 = 1.5;
    cr_expect_eq(vox_augment_draw(&o, &drawn, &err), VOX_ERR_USAGE);
    cr_expect_not_null(strstr(err.message, "rot90=1.5"), "%s", err.message);
    o = good;
    o.plane[1] = o.plane[0];
    cr_expect_eq(vox_augment_draw(&o, &drawn, &err), VOX_ERR_USAGE);
    o = good;
    o.noise = 0.5;
    o.sigma = -1;
    cr_expect_eq(vox_augment_draw(&o, &drawn, &err), VOX_ERR_USAGE);
    o = good;
    cr_expect_eq(vox_augment(NULL, 0, &o, NULL, &err), VOX_ERR_USAGE);
}

Test(engine_augment, noise_in_pieces_is_the_whole) {
    static const int64_t counts[] = {1,    15,   16,    17,    31,    4095,  4096,  4097,  8191,
                                     8192, 8193, 12287, 12288, 12289, 12300, 16384, 20001, 33};
    vox_noise *n = malloc(sizeof *n);
    float *want = malloc(20001 * sizeof *want), *got = malloc(20001 * sizeof *got);
    vox_random random;
    dice d = dice_new(4);
    cr_assert(n && want && got);
    vox_random_seed(&random, 5);
    vox_random_seed(&n->random, 5);
    n->sigma = 2.5;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) { /* one tensor after the other */
        const int64_t count = counts[i];
        vox_random_normal(&random, 2.5, want, count);
        memset(got, 0, (size_t)count * sizeof *got);
        vox_noise_begin(n, count);
        for (int64_t at = 0, run; at < count; at += run) {
            run = vox_min(dice_between(&d, 1, 5000), count - at);
            vox_noise_add(n, got + at, run);
        }
        for (int64_t k = 0; k < count; k++)
            cr_assert_eq(got[k], want[k], "%d of %d", (int)k, (int)count);
    }
    free(n);
    free(want);
    free(got);
}

/* ATen's normal_fill: of sixteen uniform numbers j and j+8 make a pair. The C library's functions
 * are within an ulp of a double, so the floats are the same but for the rounding of a last bit. */
Test(engine_augment, normal_numbers_are_box_and_muller_s) {
    enum { COUNT = 1 << 20 };
    float *got = malloc(COUNT * sizeof *got), *u = malloc(COUNT * sizeof *u);
    vox_random random;
    cr_assert(got && u);
    vox_random_seed(&random, 6);
    vox_random_normal(&random, 3, got, COUNT);
    vox_random_seed(&random, 6);
    vox_random_uniform(&random, 0, 1, u, COUNT);
    const float two_pi = (float)(2 * M_PI);
    for (int i = 0; i < COUNT; i++) {
        const int j = i / 16 * 16 + i % 8;
        const double radius = sqrt(-2 * log(1 - (double)u[j]));
        const double angle = (double)(two_pi * u[j + 8]);
        const double want = radius * (i % 16 < 8 ? cos(angle) : sin(angle)) * 3;
        cr_assert_float_eq((double)got[i], want, fabs(want) * (0x1p-24 + 0x1p-48), "%d", i);
    }
    free(got);
    free(u);
}
