/* test_engine_intensity.c - scaled intensities against naive ones.
 *
 * Expected values come from the definitions: percentiles from all values sorted (numpy's "linear"
 * method), mean and spread in long double over all values at once. */
#include "dice.h"
#include "engine/intensity.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { C = 3, D = 4, H = 5, W = 7, PLANE = H * W, ALL = D * PLANE };

/* Values of several kinds; channel 1 has few different ones, channel 2 large and small ones. */
static void make(dice *d, float *x) {
    for (int i = 0; i < C * ALL; i++) {
        const float v = dice_value(d);
        x[i] = i < ALL ? v : i < 2 * ALL ? roundf(2 * v) : ldexpf(v, (int)dice_between(d, -60, 60));
        if (dice_between(d, 0, 15) == 0)
            x[i] = NAN;
    }
}

/* All passes and the change, in pieces of `step` planes. */
static void run(const vox_prepare *p, float *x, int64_t step, int threads) {
    const vox_planes planes = vox_dense_planes(x, (const int64_t[4]){C, D, H, W});
    vox_intensity_state *s = vox_intensity_new(p, C, threads, NULL);
    cr_assert_not_null(s);
    for (int pass = 0; pass < vox_intensity_passes(p); pass++) {
        vox_intensity_begin(s, pass);
        for (int64_t d = 0; d < D; d += step)
            vox_intensity_take(s, pass, &planes, d, vox_min(step, D - d));
        vox_intensity_end(s, pass);
    }
    for (int64_t d = 0; d < D; d += step)
        vox_intensity_apply(s, &planes, d, vox_min(step, D - d));
    vox_intensity_free(s);
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(const double *sorted, int n, double q) {
    const double position = q / 100 * (n - 1);
    const int i = (int)position;
    return sorted[i] + (sorted[i + (i + 1 < n)] - sorted[i]) * (position - i);
}

/* What x should become, among the values of its channel. */
static double expected(const vox_prepare *p, const float *channel, float x) {
    double sorted[ALL], low, high;
    long double sum = 0, squares = 0;
    int n = 0;
    for (int i = 0; i < ALL; i++)
        if (isfinite(channel[i]) && !(p->nonzero && channel[i] == 0))
            sorted[n++] = (double)channel[i];
    if (p->intensity == VOX_INTENSITY_ZSCORE) {
        for (int i = 0; i < n; i++)
            sum += (long double)sorted[i];
        for (int i = 0; i < n; i++)
            squares += ((long double)sorted[i] - sum / n) * ((long double)sorted[i] - sum / n);
        return p->nonzero && x == 0 ? 0 : (double)((x - sum / n) / sqrtl(squares / n));
    }
    qsort(sorted, (size_t)n, sizeof *sorted, ascending);
    low = sorted[0];
    high = sorted[n - 1];
    if (p->intensity == VOX_INTENSITY_PERCENTILE) {
        low = percentile(sorted, n, p->parameter[0]);
        high = percentile(sorted, n, p->parameter[1]);
    } else if (p->intensity == VOX_INTENSITY_WINDOW) {
        low = p->parameter[0] - p->parameter[1] / 2;
        high = p->parameter[0] + p->parameter[1] / 2;
    }
    return high > low ? (fmin(fmax((double)x, low), high) - low) / (high - low) : 0;
}

static const char *const kinds[] = {"minmax",           "percentile:0,100", "percentile:1,99",
                                    "percentile:37,38", "percentile:5,60",  "zscore",
                                    "zscore:nonzero",   "window:0.25,1.5"};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* One rounding to float32, and in double those of sums of at most 140 numbers and of what follows:
 * less than 200 * 2^-53 of values that are, mean and shift included, at most 12 deviations. */
Test(engine_intensity, equals_the_definition) {
    dice d = dice_new(1);
    for (int k = 0; k < KINDS; k++)
        for (int round = 0; round < 20; round++) {
            vox_prepare p = {0};
            float x[C * ALL], y[C * ALL];
            cr_assert_eq(vox_prepare_intensity(&p, kinds[k], NULL), VOX_OK);
            make(&d, x);
            memcpy(y, x, sizeof y);
            run(&p, y, 1 + round % D, 1 + round % 3);
            for (int i = 0; i < C * ALL; i++) {
                if (isnan(x[i])) {
                    cr_assert(isnan(y[i]));
                    continue;
                }
                const double want = expected(&p, x + i / ALL * ALL, x[i]);
                cr_assert(fabs((double)y[i] - want) <= 0x1p-23 * fabs(want) + 0x1p-40,
                          "%s: %.9g becomes %.9g, should be %.9g", kinds[k], (double)x[i],
                          (double)y[i], want);
            }
        }
}

Test(engine_intensity, neither_threads_nor_pieces_are_seen) {
    dice d = dice_new(2);
    float x[C * ALL], one[C * ALL], y[C * ALL];
    make(&d, x);
    for (int k = 0; k < KINDS; k++) {
        vox_prepare p = {0};
        vox_prepare_intensity(&p, kinds[k], NULL);
        memcpy(one, x, sizeof x);
        run(&p, one, 1, 1);
        for (int step = 2; step <= D; step++) {
            memcpy(y, x, sizeof x);
            run(&p, y, step, step);
            cr_expect_arr_eq(y, one, sizeof y, "%s in pieces of %d", kinds[k], step);
        }
    }
}

/* Of one value, of infinite ones, of none: no division by zero. */
Test(engine_intensity, channels_without_a_spread_become_zero) {
    for (int k = 0; k < KINDS - 1; k++) {
        vox_prepare p = {0};
        float x[C * ALL];
        vox_prepare_intensity(&p, kinds[k], NULL);
        for (int i = 0; i < C * ALL; i++)
            x[i] = i < ALL ? 37.5f : i < 2 * ALL ? (float)NAN : -INFINITY;
        x[0] = NAN;
        run(&p, x, 2, 2);
        for (int i = 0; i < C * ALL; i++)
            if (i == 0 || (i >= ALL && i < 2 * ALL))
                cr_expect(isnan(x[i]), "%s", kinds[k]);
            else
                cr_expect_eq(x[i], 0, "%s: %g at %d", kinds[k], (double)x[i], i);
    }
}

Test(engine_intensity, words) {
    static const char *const bad[] = {"",
                                      "max",
                                      "minmax ",
                                      "percentile",
                                      "window:40",
                                      "window:40,0",
                                      "window:nan,1",
                                      "window:1,inf",
                                      "zscore:",
                                      "percentile:1,",
                                      "percentile:1,1",
                                      "percentile:-1,9",
                                      "window:1,2,3",
                                      "percentile:1,101"};
    vox_prepare p = {.intensity = VOX_INTENSITY_ZSCORE, .nonzero = true};
    vox_error err;
    for (int i = 0; i < (int)(sizeof bad / sizeof *bad); i++) {
        cr_expect_eq(vox_prepare_intensity(&p, bad[i], &err), VOX_ERR_USAGE, "%s", bad[i]);
        cr_expect(p.intensity == VOX_INTENSITY_ZSCORE && p.nonzero);
    }
    cr_assert_eq(vox_prepare_intensity(&p, "window:-600,1500", &err), VOX_OK);
    cr_expect(p.intensity == VOX_INTENSITY_WINDOW && !p.nonzero);
    cr_expect(p.parameter[0] == -600 && p.parameter[1] == 1500);
}
