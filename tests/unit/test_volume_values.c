/* test_volume_values.c - statistics, counts and warnings of a pass, and kernels as volumes. */
#include "test_volume_make.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

TestSuite(volume_values, .init = volume_test_setup, .fini = volume_test_teardown);

static vox_statistics statistics_of(const nifti_maker *m, bool gzip) {
    vox_input *in =
        open_one(gzip ? make_gzip("s.nii.gz", m->bytes, m->size) : make_file(m, "s.nii"));
    vox_statistics s;
    vox_error err = {0};
    cr_assert_eq(vox_input_statistics(in, 0, &s, &err), VOX_OK, "%s", err.message);
    vox_input_free(in);
    return s;
}

Test(volume_values, statistics_by_the_sum_of_squares) {
    /* Stored 0..n-1 and scaled by 0.5*x + 1e6: mean and variance of an arithmetic sequence are
     * (n-1)/2 and (n^2-1)/12. The large offset would cost a sum of squares all its digits. */
    static nifti_maker m;
    const int n = 100 * 100;
    make_header(&m, 1, true);
    make_dims(&m, 3, (const int64_t[]){100, 100, 1});
    make_datatype(&m, 4, 16);
    make_field(&m, "scl_slope", 0.5);
    make_field(&m, "scl_inter", 1e6);
    for (int i = 0; i < n; i++) {
        const int16_t v = (int16_t)(i * 7919 % n); /* 7919 is prime to n: a permutation */
        make_append(&m, &v, 2, 1);
    }
    for (int gzip = 0; gzip <= 1; gzip++) {
        const vox_statistics s = statistics_of(&m, gzip);
        cr_expect(s.count == n && s.nan_count == 0 && s.inf_count == 0);
        cr_expect(s.min == 1e6 && s.max == 1e6 + 0.5 * (n - 1));
        cr_expect_float_eq(s.mean, 1e6 + 0.25 * (n - 1), 1e-7);
        cr_expect_float_eq(s.stddev, 0.5 * sqrt(((double)n * n - 1) / 12), 1e-7);
    }
}

Test(volume_values, statistics_leave_out_what_is_not_finite) {
    static nifti_maker m;
    const float v[6] = {NAN, 1, INFINITY, 3, -INFINITY, NAN},
                none[6] = {NAN, NAN, NAN, NAN, NAN, NAN};
    make_header(&m, 2, false);
    make_dims(&m, 2, (const int64_t[]){3, 2});
    const int64_t start = m.size;
    make_append(&m, v, 4, 6);
    vox_statistics s = statistics_of(&m, false);
    cr_expect(s.count == 6 && s.nan_count == 2 && s.inf_count == 2);
    cr_expect(s.min == 1 && s.max == 3 && s.mean == 2 && s.stddev == 1);
    m.size = start;
    make_append(&m, none, 4, 6);
    s = statistics_of(&m, false);
    cr_expect(s.nan_count == 6 && isnan(s.min) && isnan(s.max) && isnan(s.mean) && isnan(s.stddev));
}

Test(volume_values, statistics_count_components) {
    static nifti_maker m;
    const uint8_t v[6] = {0, 10, 20, 30, 40, 50};
    make_header(&m, 1, false);
    make_dims(&m, 1, (const int64_t[]){2});
    make_datatype(&m, 128, 24);
    make_append(&m, v, 1, 6);
    const vox_statistics s = statistics_of(&m, false);
    cr_expect(s.count == 6 && s.min == 0 && s.max == 50 && s.mean == 25);
}

/* ---- What a pass reports ---- */

static char warned[2][1200];
static int warnings;

static void remember(void *user, const char *message) {
    (void)user;
    cr_assert_lt(warnings, 2);
    snprintf(warned[warnings++], sizeof warned[0], "%s", message);
}

static void read_and_finish(const char *path, int64_t *nans, int64_t *infs) {
    vox_input *in = open_one(path);
    vox_layout l;
    vox_error err = {0};
    float values[24];
    const vox_planes p = vox_dense_planes(values, (int64_t[]){1, 2, 3, 4});
    warnings = 0;
    cr_assert_eq(vox_input_layout(in, 1, VOX_TIME_AUTO, &l, &err), VOX_OK);
    vox_reader *r = vox_reader_new(in, &l, 2, false, &err);
    cr_assert_eq(vox_reader_planes(r, 0, 0, 2, &p, 0, &err), VOX_OK);
    cr_expect_eq(vox_reader_finish(r, remember, NULL, &err), VOX_OK);
    vox_reader_counts(r, nans, infs);
    vox_reader_free(r);
    vox_input_free(in);
}

Test(volume_values, trailing_bytes_are_a_warning) {
    static nifti_maker m;
    static const float data[30] = {[3] = NAN, [7] = INFINITY, [9] = -INFINITY, [25] = NAN};
    int64_t nans, infs;
    make_header(&m, 1, false);
    make_append(&m, data, 4, 24);
    read_and_finish(make_file(&m, "exact.nii"), &nans, &infs);
    cr_expect_eq(warnings, 0);
    cr_expect(nans == 1 && infs == 2); /* data[25] is behind the voxels */
    read_and_finish(make_gzip("exact.nii.gz", m.bytes, m.size), &nans, &infs);
    cr_expect_eq(warnings, 0);
    make_append(&m, data, 1, 17);
    for (int gzip = 0; gzip <= 1; gzip++) {
        read_and_finish(gzip ? make_gzip("long.nii.gz", m.bytes, m.size)
                             : make_file(&m, "long.nii"),
                        &nans, &infs);
        cr_expect_eq(warnings, 1);
        cr_expect_not_null(strstr(warned[0], ": 17 bytes after the voxels are ignored"), "%s",
                           warned[0]);
    }
}

Test(volume_values, a_stream_that_ends_early) {
    static nifti_maker m;
    static const float data[24];
    make_header(&m, 1, false);
    make_dims(&m, 4, (const int64_t[]){4, 3, 1, 2});
    make_append(&m, data, 4, 20);
    const vox_time times[] = {VOX_TIME_BATCH, VOX_TIME_CHANNELS}; /* streamed, and spooled */
    for (int k = 0; k < 2; k++) {
        vox_input *in = open_one(make_gzip("short.nii.gz", m.bytes, m.size));
        vox_layout l;
        vox_error err = {0};
        float values[24];
        vox_status status = vox_input_layout(in, 0, times[k], &l, &err);
        const vox_planes p = vox_dense_planes(values, (int64_t[]){l.channels, 1, 3, 4});
        vox_reader *r = vox_reader_new(in, &l, 1, false, &err);
        for (int64_t n = 0; !status && n < l.batch; n++)
            status = vox_reader_planes(r, n, 0, 1, &p, 1, &err);
        cr_expect_eq(status, VOX_ERR_INPUT);
        cr_expect_not_null(strstr(err.message, "after 80 bytes of voxels, the header promises 96"),
                           "%s", err.message);
        vox_reader_free(r);
        vox_input_free(in);
    }
}

/* ---- Kernels ---- */

Test(volume_values, a_tensor_there_and_back) {
    const char *const names[] = {"k.nii", "k.nii.gz", "k.hdr"};
    vox_error err = {0};
    for (int rank = 1; rank <= 7; rank++)
        for (int k = 0; k < 3; k++) {
            const int64_t shape[7] = {2, 3, 1, 2, 2, 1, 3};
            vox_tensor *t = vox_tensor_new(rank, shape, &err);
            cr_assert_not_null(t);
            for (int64_t i = 0; i < t->count; i++)
                t->data[i] = (float)i - 0.25f;
            const char *path = volume_test_path(names[k]);
            cr_assert_eq(vox_volume_save_tensor(path, t, true, &err), VOX_OK, "%s", err.message);
            vox_tensor *back = vox_volume_load_tensor(path, &err);
            cr_assert_not_null(back, "%s", err.message);
            cr_expect_eq(back->rank, rank);
            cr_expect_eq(memcmp(back->shape, shape, (size_t)rank * sizeof *shape), 0);
            cr_expect_eq(memcmp(back->data, t->data, (size_t)t->count * sizeof(float)), 0);
            cr_expect_eq(vox_volume_save_tensor(path, t, false, &err), VOX_ERR_OUTPUT);
            vox_tensor_free(back);
            vox_tensor_free(t);
        }
}

Test(volume_values, a_saved_tensor_is_a_plain_volume) {
    static nifti_maker m;
    vox_error err = {0};
    const int64_t shape[3] = {2, 3, 4};
    vox_tensor *t = vox_tensor_new(3, shape, &err);
    for (int64_t i = 0; i < 24; i++)
        t->data[i] = (float)i;
    cr_assert_eq(vox_volume_save_tensor(volume_test_path("k.nii"), t, false, &err), VOX_OK);
    make_header(&m, 1, false); /* 4 x 3 x 2 of float32 */
    make_field(&m, "scl_slope", 1);
    for (int i = 4; i <= 7; i++) {
        char field[16];
        snprintf(field, sizeof field, "pixdim[%d]", i);
        make_field(&m, field, 1);
    }
    make_append(&m, t->data, 4, 24);
    int64_t size;
    unsigned char *bytes = slurp(volume_test_path("k.nii"), &size);
    cr_expect_eq(size, m.size);
    cr_expect_eq(memcmp(bytes, m.bytes, (size_t)m.size), 0);
    free(bytes);
    vox_tensor_free(t);
}

Test(volume_values, a_scaled_kernel_in_the_other_byte_order) {
    static nifti_maker m;
    vox_error err = {0};
    const int16_t v[6] = {-1, 0, 1, -2, 0, 2};
    make_header(&m, 2, true);
    make_dims(&m, 3, (const int64_t[]){3, 2, 1});
    make_datatype(&m, 4, 16);
    make_field(&m, "scl_slope", 0.125);
    make_append(&m, v, 2, 6);
    vox_tensor *t = vox_volume_load_tensor(make_file(&m, "sobel.nii"), &err);
    cr_assert_not_null(t, "%s", err.message);
    cr_expect(t->rank == 3 && t->shape[0] == 1 && t->shape[1] == 2 && t->shape[2] == 3);
    for (int i = 0; i < 6; i++)
        cr_expect_eq(t->data[i], v[i] * 0.125f);
    vox_tensor_free(t);
}

Test(volume_values, bad_kernels_are_bad_weights) {
    static nifti_maker m;
    static const float data[24];
    vox_error err = {0};
    make_header(&m, 1, false);
    make_field(&m, "dim[0]", 0);
    cr_expect_null(vox_volume_load_tensor(make_file(&m, "k.nii"), &err));
    cr_expect_eq(err.status, VOX_ERR_WEIGHTS);
    cr_expect_null(vox_volume_load_tensor(volume_test_path("missing.nii"), &err));
    cr_expect_eq(err.status, VOX_ERR_WEIGHTS);
    make_header(&m, 1, false);
    make_datatype(&m, 2304, 32);
    make_append(&m, data, 4, 24);
    cr_expect_null(vox_volume_load_tensor(make_file(&m, "k.nii"), &err));
    cr_expect_eq(err.status, VOX_ERR_WEIGHTS);
    make_header(&m, 2, false);
    make_dims(&m, 3, (const int64_t[]){1 << 20, 1 << 20, 1 << 10});
    cr_expect_null(vox_volume_load_tensor(make_gzip("k.nii.gz", m.bytes, m.size), &err));
    cr_expect_eq(err.status, VOX_ERR_WEIGHTS);
    cr_expect_not_null(strstr(err.message, "1125899906842624 values"), "%s", err.message);
}
