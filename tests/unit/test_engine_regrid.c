/* test_engine_regrid.c - volumes on another grid, against a naive version.
 *
 * The naive version computes each voxel of the new volume for itself, in double precision, from the
 * eight around its place. A resampled value is a mean along three axes, each of two products, a sum
 * and a weight rounded to float32: at most 4 roundings of values no larger than the largest. */
#include "dice.h"
#include "engine/regrid.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 9, CHANNELS = 2, VOLUME = MOST * MOST * 40 };

static const double steps[] = {1, -1, 0.5, -0.5, 0.7, -1.3, 2, 3.1, -0.05};

static vox_regridding random_regridding(dice *d) {
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    vox_regridding r = {.channels = dice_between(d, 1, CHANNELS), .threads = 1};
    memcpy(r.axis, orders[dice_between(d, 0, 5)], sizeof r.axis);
    const bool turned_only = dice_between(d, 0, 3) == 0;
    for (int a = 0; a < 3; a++) {
        const int b = r.axis[a];
        r.from[b] = dice_between(d, 1, MOST);
        r.to[a] = turned_only ? r.from[b] : dice_between(d, 1, a == 0 ? 40 : MOST);
        r.step[a] = steps[dice_between(d, 0, turned_only ? 1 : 8)];
        r.start[a] = r.step[a] < 0 ? (double)r.from[b] - 1 : 0;
        if (!turned_only)
            r.start[a] += (double)dice_between(d, -20, 20) / 8;
    }
    r.nearest = dice_between(d, 0, 2) == 0;
    r.to_the_edge = dice_between(d, 0, 1);
    return r;
}

/* The two voxels around a place and the weight of the second; false: outside. */
static bool around(const vox_regridding *r, int a, int64_t o, int64_t at[2], double *weight) {
    const double n = (double)r->from[r->axis[a]], reach = r->to_the_edge ? 0.5 : 0;
    double place = (double)o * r->step[a] + r->start[a];
    if (fabs(place - round(place)) < 1e-9)
        place = round(place);
    if (place < -reach || place > n - 1 + reach)
        return false;
    place = fmin(fmax(place, 0), n - 1);
    if (r->nearest)
        place = fmin(floor(place + 0.5), n - 1);
    at[0] = (int64_t)place;
    at[1] = vox_min(at[0] + 1, (int64_t)n - 1);
    *weight = place - floor(place);
    return true;
}

static double naive(const vox_regridding *r, const float *x, const int64_t o[3]) {
    int64_t at[3][2]; /* by the axes of x */
    double weight[3], sum = 0;
    for (int a = 0; a < 3; a++)
        if (!around(r, a, o[a], at[r->axis[a]], &weight[r->axis[a]]))
            return 0;
    for (int k = 0; k < 8; k++) {
        double w = 1;
        int64_t i = 0;
        for (int b = 0; b < 3; b++) {
            const int second = k >> b & 1;
            w *= second ? weight[b] : 1 - weight[b];
            i = i * r->from[b] + at[b][second];
        }
        sum += w > 0 ? w * (double)x[i] : 0;
    }
    return sum;
}

/* The new volume, with another one pushed before it. */
static void run(const vox_regridding *r, const float *x, float *y) {
    const int64_t shape[4] = {r->channels, r->from[0], r->from[1], r->from[2]};
    const int64_t out[4] = {r->channels, r->to[0], r->to[1], r->to[2]};
    const vox_planes from = vox_dense_planes(x, shape), to = vox_dense_planes(y, out);
    const vox_box all = {{0}, {r->to[0], r->to[1], r->to[2]}};
    vox_regrid *g = vox_regrid_new(r, NULL);
    cr_assert_not_null(g);
    for (int volume = 0; volume < 2; volume++)
        for (int64_t d = 0; d < r->from[0]; d++)
            cr_assert_eq(vox_regrid_push(g, &from, volume == 0 ? r->from[0] - 1 - d : d, NULL),
                         VOX_OK);
    cr_assert_eq(vox_store_planes(vox_regrid_result(g), &all, 0, r->to[0], &to, NULL), VOX_OK);
    vox_regrid_free(g);
}

Test(engine_regrid, equals_a_naive_version) {
    dice d = dice_new(1);
    static float x[CHANNELS * VOLUME], y[CHANNELS * VOLUME];
    for (int round = 0; round < 1500; round++) {
        const vox_regridding r = random_regridding(&d);
        const int64_t n = r.from[0] * r.from[1] * r.from[2], *to = r.to;
        for (int64_t i = 0; i < r.channels * n; i++)
            x[i] = dice_value(&d);
        run(&r, x, y);
        for (int64_t i = 0; i < r.channels * to[0] * to[1] * to[2]; i++) {
            const int64_t o[3] = {i / to[2] / to[1] % to[0], i / to[2] % to[1], i % to[2]};
            const double want = naive(&r, x + i / to[2] / to[1] / to[0] * n, o);
            cr_assert(fabs((double)y[i] - want) <= 12 * 0x1p-24,
                      "round %d: voxel (%d,%d,%d) is %.9g, should be %.9g", round, (int)o[0],
                      (int)o[1], (int)o[2], (double)y[i], want);
        }
    }
}

Test(engine_regrid, threads_and_files_change_no_bit) {
    dice d = dice_new(2);
    static float x[CHANNELS * VOLUME], y[CHANNELS * VOLUME], z[CHANNELS * VOLUME];
    for (int64_t i = 0; i < CHANNELS * VOLUME; i++)
        x[i] = dice_value(&d);
    for (int round = 0; round < 200; round++) {
        vox_regridding r = random_regridding(&d);
        run(&r, x, y);
        r.spooled = true;
        r.threads = (int)dice_between(&d, 1, 3);
        run(&r, x, z);
        cr_assert_arr_eq(y, z, (size_t)(r.channels * r.to[0] * r.to[1] * r.to[2]) * sizeof *y,
                         "round %d", round);
    }
}

/* A property: what is only turned comes back as it was, its bits too. */
Test(engine_regrid, there_and_back_is_the_identity_for_turns) {
    dice d = dice_new(3);
    static float x[CHANNELS * VOLUME], y[CHANNELS * VOLUME], z[CHANNELS * VOLUME];
    for (int64_t i = 0; i < CHANNELS * VOLUME; i++)
        x[i] = i % 7 ? dice_value(&d) : INFINITY;
    for (int round = 0; round < 200; round++) {
        const vox_regridding r = random_regridding(&d);
        vox_grid g = {.same = false};
        for (int a = 0; a < 3; a++) {
            g.axis[a] = r.axis[a];
            g.size[a] = r.from[r.axis[a]];
            g.step[a] = r.step[a] < 0 ? -1 : 1;
            g.start[a] = r.step[a] < 0 ? (double)g.size[a] - 1 : 0;
        }
        vox_regridding there = vox_regridding_there(&g, r.from);
        vox_regridding back = vox_regridding_back(&g, r.from);
        there.channels = back.channels = r.channels;
        there.threads = back.threads = 1;
        run(&there, x, y);
        run(&back, y, z);
        cr_assert_arr_eq(x, z, (size_t)(r.channels * r.from[0] * r.from[1] * r.from[2]) * sizeof *x,
                         "round %d", round);
    }
}
