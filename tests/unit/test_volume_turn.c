/* test_volume_turn.c - flips and turns by 90 degrees: where elements go, and where their header
 * says that they are.
 *
 * Elements are compared with loops over torch's definitions: flip(x)[i] = x[n-1-i], and a turn by
 * 90 degrees from a towards b, y[a=i, b=j] = x[a=j, b=n-1-i]. Headers are checked by the property
 * that defines them: every voxel stays where it was. */
#include "dice.h"
#include "test_volume_make.h"
#include "volume/geometry.h"
#include "volume/turner.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Independent of turn.c: one step at a time, over index arrays ---- */

/* A volume of the numbers of the voxels that it was made from. */
typedef struct numbers {
    int64_t size[3], of[8 * 8 * 8];
} numbers;

static int64_t at(const numbers *x, const int64_t i[3]) {
    return x->of[(i[0] * x->size[1] + i[1]) * x->size[2] + i[2]];
}

static numbers count_up(const int64_t size[3]) {
    numbers x = {.size = {size[0], size[1], size[2]}};
    for (int64_t i = 0; i < size[0] * size[1] * size[2]; i++)
        x.of[i] = i;
    return x;
}

static void naive_flip(numbers *x, int axis) {
    const numbers from = *x;
    int64_t i[3];
    for (i[0] = 0; i[0] < x->size[0]; i[0]++)
        for (i[1] = 0; i[1] < x->size[1]; i[1]++)
            for (i[2] = 0; i[2] < x->size[2]; i[2]++) {
                int64_t j[3] = {i[0], i[1], i[2]};
                j[axis] = x->size[axis] - 1 - i[axis];
                x->of[(i[0] * x->size[1] + i[1]) * x->size[2] + i[2]] = at(&from, j);
            }
}

static void naive_quarter(numbers *x, int a, int b) {
    const numbers from = *x;
    int64_t i[3];
    x->size[a] = from.size[b];
    x->size[b] = from.size[a];
    for (i[0] = 0; i[0] < x->size[0]; i[0]++)
        for (i[1] = 0; i[1] < x->size[1]; i[1]++)
            for (i[2] = 0; i[2] < x->size[2]; i[2]++) {
                int64_t j[3] = {i[0], i[1], i[2]};
                j[a] = i[b];
                j[b] = from.size[b] - 1 - i[a];
                x->of[(i[0] * x->size[1] + i[1]) * x->size[2] + i[2]] = at(&from, j);
            }
}

/* Random flips and a random turn of both. */
static vox_turn random_turn(dice *d, numbers *x) {
    vox_turn t = vox_turn_none();
    for (int a = 0; a < 3; a++)
        if (dice_between(d, 0, 1)) {
            vox_turn_flip(&t, a);
            naive_flip(x, a);
        }
    const int from = (int)dice_between(d, 0, 2), k = (int)dice_between(d, 0, 3);
    const int to = (from + (int)dice_between(d, 1, 2)) % 3;
    vox_turn_rot90(&t, k, from, to);
    for (int i = 0; i < k; i++)
        naive_quarter(x, from, to);
    return t;
}

static void random_size(dice *d, int64_t size[3]) {
    for (int a = 0; a < 3; a++)
        size[a] = dice_between(d, 1, 8);
}

Test(volume_turn, elements_of_any_size_in_any_slabs) {
    static const int64_t sizes[] = {1, 2, 3, 4, 8, 16};
    dice d = dice_new(1);
    for (int round = 0; round < 600; round++) {
        int64_t size[3], out[3];
        random_size(&d, size);
        numbers want = count_up(size);
        const vox_turn t = random_turn(&d, &want);
        vox_turn_size(&t, size, out);
        for (int a = 0; a < 3; a++)
            cr_assert_eq(out[a], want.size[a]);
        const int64_t bytes = sizes[round % 6], slab = dice_between(&d, 1, out[0]);
        static unsigned char from[8 * 8 * 8 * 16], to[8 * 8 * 8 * 16];
        for (size_t i = 0; i < sizeof from; i++)
            from[i] = (unsigned char)dice_roll(&d);
        for (int64_t z = 0; z < out[0]; z += slab) {
            const int64_t count = vox_min(slab, out[0] - z);
            const vox_box part = vox_turn_source(&t, size, z, count);
            cr_assert_eq(vox_box_voxels(&part), count * out[1] * out[2]);
            for (int64_t p = part.from[0]; p < part.to[0]; p++)
                vox_turn_plane(&t, size, &part, p,
                               from + (p * size[1] + part.from[1]) * size[2] * bytes, z,
                               to + z * out[1] * out[2] * bytes, bytes, 2);
        }
        for (int64_t i = 0; i < size[0] * size[1] * size[2]; i++)
            cr_assert_eq(memcmp(to + i * bytes, from + want.of[i] * bytes, (size_t)bytes), 0,
                         "round %d, element %d", round, (int)i);
    }
}

Test(volume_turn, half_a_turn_is_two_flips) {
    vox_turn t = vox_turn_none();
    vox_turn_rot90(&t, 2, 0, 2);
    cr_expect(!vox_turn_is_none(&t));
    vox_turn_flip(&t, 0);
    vox_turn_flip(&t, 2);
    cr_expect(vox_turn_is_none(&t));
}

/* ---- Headers ---- */

static void random_quaternion(dice *d, nifti_2_header *h) {
    double q[4], length = 0;
    do {
        for (int i = 0; i < 4; i++)
            q[i] = (double)dice_value(d);
        length = sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]);
    } while (length < 0.1);
    const double sign = q[0] < 0 ? -1 : 1;
    h->quatern_b = sign * q[1] / length;
    h->quatern_c = sign * q[2] / length;
    h->quatern_d = sign * q[3] / length;
}

/* forms: 1 qform, 2 sform, 3 both, 0 neither. The sform is sheared. */
static nifti_2_header random_header(dice *d, const int64_t size[3], int forms) {
    nifti_2_header h = {.dim = {3, size[2], size[1], size[0], 1, 1, 1, 1}};
    h.pixdim[0] = dice_between(d, 0, 1) ? 1 : -1;
    for (int i = 1; i <= 3; i++)
        h.pixdim[i] = 1.5 + (double)dice_value(d);
    if (forms & 1) {
        h.qform_code = 1;
        random_quaternion(d, &h);
        h.qoffset_x = 100 * (double)dice_value(d);
        h.qoffset_y = 100 * (double)dice_value(d);
        h.qoffset_z = 100 * (double)dice_value(d);
    }
    if (forms & 2) {
        h.sform_code = 4;
        for (int i = 0; i < 4; i++) {
            h.srow_x[i] = 3 * (double)dice_value(d);
            h.srow_y[i] = 3 * (double)dice_value(d);
            h.srow_z[i] = 3 * (double)dice_value(d);
        }
    }
    return h;
}

/* Voxel i of the output was voxel want->of[i] of the input: both affines give it one place. */
static void expect_places(const nifti_2_header *before, const nifti_2_header *after,
                          const int64_t size[3], const numbers *want, double tolerance) {
    double a[3][4], b[3][4];
    vox_geometry_affine(before, a);
    vox_geometry_affine(after, b);
    const int64_t *out = want->size;
    for (int64_t i = 0; i < size[0] * size[1] * size[2]; i++) {
        const int64_t n = want->of[i];
        const double old[3] = {(double)(n % size[2]), (double)(n / size[2] % size[1]),
                               (double)(n / size[2] / size[1])};
        const double new[3] = {(double)(i % out[2]), (double)(i / out[2] % out[1]),
                               (double)(i / out[2] / out[1])};
        for (int r = 0; r < 3; r++) {
            double p = a[r][3], q = b[r][3];
            for (int c = 0; c < 3; c++) {
                p += a[r][c] * old[c];
                q += b[r][c] * new[c];
            }
            cr_assert_float_eq(p, q, tolerance, "voxel %d, row %d: %.17g, not %.17g", (int)i, r, q,
                               p);
        }
    }
}

/* Tolerances: sums of a few products of numbers up to 100 in double; a qform's first number is the
 * root of 1 - b^2 - c^2 - d^2, and 0 where that is below 1e-7 (nifticlib), so a half turn may be
 * off by 2 * sqrt(1e-7) radian, over less than 8 voxels of 2.5 mm along each axis. */
Test(volume_turn, every_voxel_stays_where_it_was) {
    dice d = dice_new(2);
    for (int round = 0; round < 4000; round++) {
        int64_t size[3];
        random_size(&d, size);
        numbers want = count_up(size);
        const vox_turn t = random_turn(&d, &want);
        nifti_2_header before = random_header(&d, size, round % 4), after = before;
        vox_geometry_turn(&after, &t, size);
        const double first = 1 - after.quatern_b * after.quatern_b -
                             after.quatern_c * after.quatern_c - after.quatern_d * after.quatern_d;
        const double qform = first < 1e-6 ? 7e-4 * 8 * 2.5 * 3 : 1e-9;
        if (round % 4 == 1) {
            expect_places(&before, &after, size, &want, qform);
            cr_expect_eq(after.sform_code, 0);
        } else
            expect_places(&before, &after, size, &want, 1e-11);
        if (round % 4 == 3) { /* and by the other form */
            before.sform_code = after.sform_code = 0;
            expect_places(&before, &after, size, &want, qform);
        }
        if (round % 4 == 0 && !vox_turn_is_none(&t))
            cr_expect_eq(after.sform_code, NIFTI_XFORM_ALIGNED_ANAT);
    }
}

/* A scan along the axes has 0, 1 and square roots of 1/2 in its quaternion: a turn and its opposite
 * give it back. */
Test(volume_turn, there_and_back) {
    const int64_t size[3] = {3, 4, 5}, between[3] = {3, 5, 4};
    nifti_2_header h = {.qform_code = 1, .quatern_b = 1, .qoffset_x = -7, .pixdim = {-1, 2, 3, 4}};
    const nifti_2_header before = h;
    vox_turn quarter = vox_turn_none(), back = vox_turn_none();
    vox_turn_rot90(&quarter, 1, 1, 2);
    vox_turn_rot90(&back, 3, 1, 2);
    vox_geometry_turn(&h, &quarter, size);
    cr_expect(h.pixdim[1] == 3 && h.pixdim[2] == 2 && h.pixdim[3] == 4 && h.pixdim[0] == -1);
    vox_geometry_turn(&h, &back, between);
    cr_expect_float_eq(fabs(h.quatern_b), 1, 1e-12);
    cr_expect_float_eq(h.quatern_c, before.quatern_c, 1e-12);
    cr_expect_float_eq(h.quatern_d, before.quatern_d, 1e-12);
    cr_expect_float_eq(h.qoffset_x, -7, 1e-12);
    cr_expect(h.pixdim[1] == 2 && h.pixdim[2] == 3 && h.pixdim[0] == -1);
}

/* nifti1.h's dim_info and slice_code by hand: slices along z (5 of them, all taken), alternating
 * upwards, frequency x, phase y. */
Test(volume_turn, slices_and_dim_info_follow) {
    const int64_t size[3] = {5, 6, 7};
    const nifti_2_header scan = {.dim_info = 1 | 2 << 2 | 3 << 4,
                                 .slice_code = NIFTI_SLICE_ALT_INC2,
                                 .slice_start = 1,
                                 .slice_end = 4,
                                 .slice_duration = 0.1};
    vox_turn flip = vox_turn_none(), turn = vox_turn_none();
    vox_turn_flip(&flip, 0);
    nifti_2_header h = scan;
    vox_geometry_turn(&h, &flip, size);
    cr_expect(h.slice_code == NIFTI_SLICE_ALT_DEC2 && h.slice_start == 0 && h.slice_end == 3);
    cr_expect(h.dim_info == scan.dim_info && h.slice_duration == 0.1);

    vox_turn_rot90(&turn, 1, 0, 2); /* y[d, w] = x[w, n-1-d]: slices along x, upwards */
    h = scan;
    vox_geometry_turn(&h, &turn, size);
    cr_expect_eq(h.dim_info, 3 | 2 << 2 | 1 << 4);
    cr_expect(h.slice_code == NIFTI_SLICE_ALT_INC2 && h.slice_start == 1 && h.slice_end == 4);

    h = scan;
    h.dim_info = 0; /* slices along z, as always where none is named: along x now, and named */
    vox_geometry_turn(&h, &turn, size);
    cr_expect_eq(h.dim_info, 1 << 4);

    const nifti_2_header empty = {.dim_info = 0};
    h = empty;
    vox_geometry_turn(&h, &turn, size);
    cr_expect(h.dim_info == 0 && h.slice_code == 0);
    for (int code = 1; code <= 6; code++) { /* 1 and 2, 3 and 4, 5 and 6 are each other's */
        h = scan;
        h.slice_code = code;
        vox_geometry_turn(&h, &flip, size);
        cr_expect_eq(h.slice_code, ((code - 1) ^ 1) + 1);
    }
}

/* ---- Files ---- */

TestSuite(volume_turner, .init = volume_test_setup, .fini = volume_test_teardown);

/* Numbers that no float32 holds, in either byte order, flipped along W. */
Test(volume_turner, wide_integers_and_doubles_keep_their_bits) {
    static const struct {
        int datatype, bytes;
    } types[] = {{1024, 8} /* int64 */,
                 {64, 8} /* float64 */,
                 {8, 4} /* int32 */,
                 {1792, 16} /* complex128, of two float64 */};
    static nifti_maker m;
    dice d = dice_new(3);
    for (int i = 0; i < 8; i++) {
        const int bytes = types[i / 2].bytes, part = bytes == 16 ? 8 : bytes;
        unsigned char value[24][16], *got;
        int64_t got_bytes;
        make_header(&m, 1, i % 2);
        make_datatype(&m, types[i / 2].datatype, 8 * bytes);
        make_data_here(&m);
        for (int k = 0; k < 24; k++) {
            for (int b = 0; b < bytes; b++)
                value[k][b] = (unsigned char)dice_roll(&d);
            make_append(&m, value[k], part, bytes / part);
        }
        vox_input *in = open_one(make_file(&m, "in.nii"));
        vox_turned o = {.path = volume_test_path("out.nii"),
                        .turn = vox_turn_none(),
                        .datatype = VOX_DATATYPE_INPUT,
                        .compression = -1,
                        .force = true,
                        .threads = 1};
        vox_error err = {0};
        vox_turn_flip(&o.turn, 2);
        vox_turner *r = vox_turner_new(in, &o, 1, &err);
        cr_assert_not_null(r, "%s", err.message);
        cr_expect_eq(vox_turner_run(r, NULL, NULL, NULL, &err), VOX_OK, "%s", err.message);
        cr_expect_eq(vox_turner_publish(&r, 1, &err), VOX_OK, "%s", err.message);
        vox_turner_free(r);
        vox_input_free(in);
        got = slurp(o.path, &got_bytes);
        cr_assert_eq(got_bytes, 352 + 24 * bytes);
        for (int k = 0; k < 24; k++) /* rows of 4 */
            cr_expect_eq(memcmp(got + 352 + k * bytes, value[k / 4 * 4 + 3 - k % 4], (size_t)bytes),
                         0, "type %d, voxel %d", types[i / 2].datatype, k);
        free(got);
    }
}
