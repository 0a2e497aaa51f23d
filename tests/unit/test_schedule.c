/* test_schedule.c - the schedule of a window layer against its definition, looked at plane by
 * plane. */
#include "dice.h"
#include "engine/schedule.h"

#include <criterion/criterion.h>

/* Whether output `o` of an axis needs input `d`. */
static bool needs(const vox_axis *a, int64_t o, int64_t d) {
    for (int64_t k = 0; k < a->kernel; k++)
        if (vox_axis_source(a, o * a->stride - a->before + k * a->dilation) == d)
            return true;
    return false;
}

static int64_t naive_ready(const vox_axis *a, int64_t o) {
    for (int64_t d = a->in; d-- > 0;)
        for (int64_t earlier = 0; earlier <= o; earlier++)
            if (needs(a, earlier, d))
                return d;
    return -1;
}

static int64_t naive_keep(const vox_axis *a, int64_t o) {
    for (int64_t d = 0; d < a->in; d++)
        for (int64_t later = o; later < a->out; later++)
            if (needs(a, later, d))
                return d;
    return a->in;
}

/* As torch takes it: reflected padding is smaller than the input, circular no larger. */
static vox_axis random_axis(dice *d) {
    vox_axis a = {.in = dice_between(d, 1, 12),
                  .kernel = dice_between(d, 1, 5),
                  .stride = dice_between(d, 1, 4),
                  .dilation = dice_between(d, 1, 3),
                  .mode = (vox_padding_mode)dice_between(d, 0, 3)};
    const int64_t most = a.mode == VOX_PAD_REFLECT    ? a.in - 1
                         : a.mode == VOX_PAD_CIRCULAR ? a.in
                                                      : 9;
    a.before = dice_between(d, 0, most);
    const int64_t room = a.in + a.before + dice_between(d, 0, most) - vox_axis_span(&a);
    a.out = room < 0 ? 0 : room / a.stride + 1;
    return a;
}

static void compare(const vox_axis *a, uint64_t seed) {
    vox_schedule s;
    int64_t slots = 1;
    cr_assert_eq(vox_schedule_init(&s, a, NULL, a->out, NULL), VOX_OK);
    for (int64_t o = 0; o < a->out; o++) {
        const int64_t ready = naive_ready(a, o), keep = naive_keep(a, o);
        cr_assert_eq(vox_schedule_ready(&s, o), ready, "ready, case %d, output %d", (int)seed,
                     (int)o);
        cr_assert_eq(vox_schedule_keep(&s, o), keep, "keep, case %d, output %d", (int)seed, (int)o);
        slots = vox_max(slots, ready + 1 - keep);
    }
    cr_assert_eq(vox_schedule_slots(&s), slots, "slots, case %d", (int)seed);
    vox_schedule_free(&s);
}

Test(schedule, as_looked_at_plane_by_plane) {
    int compared = 0;
    for (uint64_t seed = 0; seed < 5000; seed++) {
        dice d = dice_new(seed);
        vox_axis a = random_axis(&d), part = a;
        if (a.out < 1)
            continue;
        compare(&a, seed);
        int64_t in_from;
        const int64_t from = dice_between(&d, 0, a.out - 1);
        part = vox_axis_part(&a, from, dice_between(&d, from + 1, a.out), &in_from);
        compare(&part, seed);
        compared++;
    }
    cr_assert_gt(compared, 1000);
}

Test(schedule, is_small_for_any_number_of_planes) {
    const vox_axis a = {.in = INT64_C(1) << 40,
                        .out = INT64_C(1) << 40,
                        .kernel = 3,
                        .stride = 1,
                        .dilation = 1,
                        .before = 1,
                        .mode = VOX_PAD_REPLICATE};
    vox_schedule s;
    cr_assert_eq(vox_schedule_init(&s, &a, NULL, a.out, NULL), VOX_OK);
    cr_assert_eq(vox_schedule_slots(&s), 3);
    cr_assert_leq(vox_schedule_bytes(&s), 64);
    cr_assert_eq(vox_schedule_ready(&s, a.out / 2), a.out / 2 + 1);
    cr_assert_eq(vox_schedule_keep(&s, a.out / 2), a.out / 2 - 1);
    cr_assert_eq(vox_schedule_ready(&s, a.out - 1), a.in - 1);
    vox_schedule_free(&s);
}
