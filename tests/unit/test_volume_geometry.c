/* test_volume_geometry.c - where voxels lie, before and after an operation that moves the grid.
 *
 * Affines are worked out by hand from nifti1.h's three methods; moved grids are checked by the
 * property that defines them: new voxel o lies where the old index o*stride + origin lay. */
#include "test_volume_make.h"
#include "volume/geometry.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static void expect_affine(const nifti_2_header *h, const char *source,
                          const double expected[3][4]) {
    double a[3][4];
    cr_expect_str_eq(vox_geometry_affine(h, a), source);
    for (int i = 0; i < 12; i++)
        cr_expect_float_eq(a[i / 4][i % 4], expected[i / 4][i % 4], 1e-12,
                           "%s [%d][%d]: %g, not %g", source, i / 4, i % 4, a[i / 4][i % 4],
                           expected[i / 4][i % 4]);
}

/* 90 degrees about z: i runs along +y, j along -x; qfac -1: k along -z. Spacing 2, 3, 4. */
static nifti_2_header turned(void) {
    nifti_2_header h = {.qform_code = 1,
                        .quatern_d = sqrt(0.5),
                        .qoffset_x = 10,
                        .qoffset_y = 20,
                        .qoffset_z = 30,
                        .pixdim = {-1, 2, 3, 4, 0, 0, 0, 0}};
    return h;
}

Test(volume_geometry, methods) {
    nifti_2_header h = turned();
    const double q[3][4] = {{0, -3, 0, 10}, {2, 0, 0, 20}, {0, 0, -4, 30}};
    expect_affine(&h, "qform", q);
    h.sform_code = 2;
    h.srow_x[0] = 5;
    h.srow_y[1] = 6;
    h.srow_z[2] = 7;
    h.srow_z[3] = -8;
    const double s[3][4] = {{5, 0, 0, 0}, {0, 6, 0, 0}, {0, 0, 7, -8}};
    expect_affine(&h, "sform", s);
    h.sform_code = h.qform_code = 0;
    h.pixdim[3] = 0; /* unset */
    const double p[3][4] = {{2, 0, 0, 0}, {0, 3, 0, 0}, {0, 0, 1, 0}};
    expect_affine(&h, "pixdim", p);
}

/* Spacing 2, 3, 4 in the three methods: 24; a shear keeps the volume; m and micrometres are 10^9
 * and 10^-9 mm^3. */
Test(volume_geometry, voxel_volume) {
    nifti_2_header h = turned();
    cr_expect_float_eq(vox_geometry_voxel_mm3(&h), 24, 1e-12);
    h.qform_code = 0;
    cr_expect_eq(vox_geometry_voxel_mm3(&h), 24);
    h.pixdim[1] = 0; /* unset: 1 */
    cr_expect_eq(vox_geometry_voxel_mm3(&h), 12);
    h.sform_code = 1;
    h.srow_x[0] = -2;
    h.srow_x[1] = 5; /* shear */
    h.srow_y[2] = 3;
    h.srow_z[1] = 0.5;
    cr_expect_eq(vox_geometry_voxel_mm3(&h), 3);
    h.xyzt_units = NIFTI_UNITS_METER | NIFTI_UNITS_MSEC;
    cr_expect_float_eq(vox_geometry_voxel_mm3(&h), 3e9, 1e-3);
    h.xyzt_units = NIFTI_UNITS_MICRON;
    cr_expect_float_eq(vox_geometry_voxel_mm3(&h), 3e-9, 1e-21);
    h.srow_z[1] = NAN;
    cr_expect_eq(vox_geometry_voxel_mm3(&h), 0);
}

Test(volume_geometry, orientation) {
    const struct {
        double a[3][4];
        const char *text;
    } cases[] = {{{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}, "RAS"},
                 {{{-1, 0, 0, 0}, {0, -1, 0, 0}, {0, 0, 1, 0}}, "LPS"},
                 {{{0, 0, 2, 0}, {-1, 0.1, 0, 0}, {0, -3, 0, 0}}, "PIR"},
                 {{{0, -3, 0, 10}, {2, 0, 0, 20}, {0, 0, -4, 30}}, "ALI"},
                 {{{0, 0, 0, 0}, {0, 0, 0, 0}, {0, 0, 0, 0}}, "???"}};
    for (int i = 0; i < 5; i++) {
        char text[4];
        vox_geometry_orientation(cases[i].a, text);
        cr_expect_str_eq(text, cases[i].text);
    }
}

/* new * o == old * (o*stride + origin) at a few o, {D, H, W} against i, j, k. */
static void expect_moved(const nifti_2_header *before, const nifti_2_header *after,
                         const double stride[3], const double origin[3]) {
    static const double points[4][3] = {{0, 0, 0}, {1, 2, 3}, {10, -4, 7}, {100, 50, 25}};
    double a[3][4], b[3][4];
    vox_geometry_affine(before, a);
    vox_geometry_affine(after, b);
    for (int p = 0; p < 4; p++)
        for (int r = 0; r < 3; r++) {
            double old = a[r][3], new = b[r][3];
            for (int c = 0; c < 3; c++) {
                old += a[r][c] * (points[p][c] * stride[2 - c] + origin[2 - c]);
                new += b[r][c] * points[p][c];
            }
            cr_expect_float_eq(old, new, 1e-9, "row %d of point %d: %g, not %g", r, p, new, old);
        }
}

Test(volume_geometry, moves_qform_sform_and_spacing_together) {
    const double stride[3] = {2, 1, 3}, origin[3] = {0.5, -1, 2};
    nifti_2_header h = turned();
    h.sform_code = 1;
    const double rows[12] = {-2, 0.1, 0.2, 90, 0.3, 2.5, -0.4, -126, 0.1, 0.7, 3, -72};
    memcpy(h.srow_x, rows, sizeof h.srow_x);
    memcpy(h.srow_y, rows + 4, sizeof h.srow_y);
    memcpy(h.srow_z, rows + 8, sizeof h.srow_z);
    nifti_2_header moved = h;
    vox_geometry_move(&moved, stride, origin);
    expect_moved(&h, &moved, stride, origin); /* by sform */
    h.sform_code = moved.sform_code = 0;
    expect_moved(&h, &moved, stride, origin); /* by qform */
    cr_expect(moved.pixdim[1] == 6 && moved.pixdim[2] == 3 && moved.pixdim[3] == 8);
    cr_expect(moved.pixdim[0] == -1 && moved.quatern_d == h.quatern_d);
    /* by hand: R*diag(2,3,4)*(2,-1,0.5) = (3, 4, -2) */
    cr_expect_float_eq(moved.qoffset_x, 13, 1e-12);
    cr_expect_float_eq(moved.qoffset_y, 24, 1e-12);
    cr_expect_float_eq(moved.qoffset_z, 28, 1e-12);
}

Test(volume_geometry, spacing_alone_follows_the_stride) {
    const double stride[3] = {2, 4, 1}, origin[3] = {1, 1, 1};
    nifti_2_header h = {.pixdim = {1, 0.5, 0, 3, 2, 0, 0, 0}};
    vox_geometry_move(&h, stride, origin);
    cr_expect(h.pixdim[1] == 0.5 && h.pixdim[2] == 4 && h.pixdim[3] == 6 && h.pixdim[4] == 2);
    cr_expect(h.qoffset_x == 0 && h.srow_x[3] == 0); /* empty forms stay empty */
}

Test(volume_geometry, nothing_moves_for_the_identity) {
    const double stride[3] = {1, 1, 1}, origin[3] = {0, 0, 0};
    nifti_2_header h = turned(), same;
    h.srow_x[0] = NAN;
    memcpy(&same, &h, sizeof h);
    vox_geometry_move(&h, stride, origin);
    cr_expect_eq(memcmp(&h, &same, sizeof h), 0);
}

Test(volume_geometry, unused_nan_stays_out_of_it) {
    const double stride[3] = {2, 2, 2}, origin[3] = {0, 0, 0};
    nifti_2_header h = turned();
    h.srow_y[1] = NAN;
    h.srow_x[0] = 3;
    vox_geometry_move(&h, stride, origin);
    cr_expect(h.srow_x[0] == 3 && isnan(h.srow_y[1]));
}
