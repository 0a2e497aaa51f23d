/* test_engine_labels.c - labels are counted on their way: against a plain loop over all voxels, for
 * any number of threads and any order of slabs. */
#include "base/base.h"
#include "base/random.h"
#include "engine/label_count.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LABELS = 5, DEPTH = 9, ROWS = 7, COLUMNS = 33 };

/* Runs of labels, and now and then what is none: -1, 5, 0.5, NaN, infinity. */
static void fill(float *x, int64_t count) {
    static const float others[] = {-1, LABELS, 0.5F, NAN, INFINITY, NAN};
    vox_random random;
    vox_random_seed(&random, 11);
    for (int64_t i = 0; i < count;) {
        const uint32_t kind = vox_random_u32(&random) % 8, length = vox_random_u32(&random) % 40;
        const float value = kind < 6 ? (float)(kind % LABELS) : others[vox_random_u32(&random) % 6];
        for (uint32_t k = 0; k <= length && i < count; k++)
            x[i++] = value;
    }
}

Test(engine, labels_are_counted_as_a_loop_counts_them) {
    static float x[DEPTH * ROWS * COLUMNS];
    const int64_t shape[4] = {1, DEPTH, ROWS, COLUMNS}, count = DEPTH * ROWS * COLUMNS;
    int64_t want[LABELS] = {0};
    fill(x, count);
    for (int64_t i = 0; i < count; i++)
        for (int k = 0; k < LABELS; k++)
            want[k] += x[i] == (float)k;
    const vox_planes planes = vox_dense_planes(x, shape);
    for (int threads = 1; threads <= 4; threads++)
        for (int64_t slab = 1; slab <= DEPTH; slab += 2) {
            int64_t got[LABELS] = {0};
            vox_label_count *c = vox_label_count_new(LABELS, threads, NULL);
            cr_assert_not_null(c);
            for (int64_t d = 0; d < DEPTH; d += slab) {
                vox_label_count_planes(c, d, vox_min(slab, DEPTH - d), &planes);
                if (d % 2 == 0)
                    vox_label_count_take(c, got);
            }
            vox_label_count_take(c, got);
            vox_label_count_free(c);
            for (int k = 0; k < LABELS; k++)
                cr_expect_eq(got[k], want[k], "%d threads, slab %d: label %d: %d, not %d", threads,
                             (int)slab, k, (int)got[k], (int)want[k]);
        }
}

Test(engine, label_counts_that_nobody_can_hold_are_infinite_bytes) {
    cr_expect_eq(vox_label_count_bytes(3, 2, 1), (2 * 8 + 3) * 8); /* a cache line a thread */
    cr_expect_eq(vox_label_count_bytes(1 << 24, 4, INT64_MAX / 4), INT64_MAX);
}
