/* test_volume_write.c - files that are written: names, headers, the order of the planes.
 *
 * Expected files are made byte by byte by test_volume_make.c from nifti1.h's and nifti2.h's
 * offsets. */
#include "test_volume_make.h"
#include "volume/output_name.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(volume_write, .init = volume_test_setup, .fini = volume_test_teardown);

/* An output of the input's own grid and channels. */
static vox_output plain_output(const char *path, const vox_layout *l) {
    return (vox_output){
        .path = path,
        .layout = *l,
        .channels = l->channels,
        .size = {l->size[0], l->size[1], l->size[2]},
        .stride = {1, 1, 1},
        .datatype = 16,
        .compression = -1,
        .threads = 2,
        .slab_planes = 1,
    };
}

static vox_layout layout_of(const vox_input *in, int64_t in_channels, vox_time time) {
    vox_layout l;
    vox_error err = {0};
    cr_assert_eq(vox_input_layout(in, in_channels, time, &l, &err), VOX_OK, "%s", err.message);
    return l;
}

/* Reads `from` and writes it as `to`; datatype as in vox_output. */
static void copy_volume(const char *from, const char *to, int datatype) {
    vox_input *in = open_one(from);
    const vox_layout l = layout_of(in, 0, VOX_TIME_AUTO);
    float *all = read_everything(in, &l, 2);
    vox_output o = plain_output(to, &l);
    vox_error err = {0};
    o.datatype = datatype;
    cr_expect_eq(write_everything(in, &o, all, l.batch, &err), VOX_OK, "%s", err.message);
    free(all);
    vox_input_free(in);
}

static void expect_bytes(const char *path, const unsigned char *expected, int64_t size) {
    int64_t got;
    unsigned char *bytes = slurp(path, &got);
    cr_expect_eq(got, size, "%s: %lld bytes, not %lld", path, (long long)got, (long long)size);
    for (int64_t i = 0; i < vox_min(got, size); i++)
        if (bytes[i] != expected[i]) {
            cr_expect_fail("%s: byte %lld is %d, not %d", path, (long long)i, bytes[i],
                           expected[i]);
            break;
        }
    free(bytes);
}

/* ---- The identity ---- */

/* A scan of int16 with everything in its header that a filter has no business with. */
static void make_scan(nifti_maker *m, int version, bool big_endian, int datatype, bool scaled) {
    make_header(m, version, big_endian);
    make_datatype(m, datatype, datatype == 4 ? 16 : 32);
    if (scaled) {
        make_field(m, "scl_slope", 0.5);
        make_field(m, "scl_inter", -100);
    }
    make_field(m, "qform_code", 1);
    make_field(m, "quatern_b", 0.1f);
    make_field(m, "qoffset_x", -90.3f);
    make_field(m, "sform_code", 4);
    make_field(m, "srow_x[0]", 0.7f);
    make_field(m, "srow_y[1]", 1.3f);
    make_field(m, "srow_z[2]", 3.3f);
    make_field(m, "pixdim[2]", 1.3f);
    make_field(m, "pixdim[4]", 2.5);
    make_field(m, "dim[5]", 77); /* beyond the rank: means nothing, stays */
    make_field(m, "slice_code", 3);
    make_field(m, "slice_end", 1);
    make_field(m, "slice_duration", 0.07f);
    make_field(m, "dim_info", 0x39);
    make_field(m, "xyzt_units", 10);
    make_field(m, "cal_max", 1000);
    make_field(m, "intent_code", 1001);
    make_text(m, "intent_name", "name", 4);
    make_text(m, "descrip", "made for a test", 15);
    m->bytes[version == 1 ? 20 : 530] = 0x7e; /* unused bytes */
    make_extension(m, 6, "some text that is 24 B..", 24);
    make_extension(m, 4, "01234567", 8);
    make_data_here(m);
}

static void append_values(nifti_maker *m, int datatype, int64_t count, double slope, double inter) {
    for (int64_t i = 0; i < count; i++) {
        const int16_t stored = (int16_t)(i * 1237 % 4001 - 1000);
        const float value = (float)((double)stored * slope + inter);
        make_append(m, datatype == 4 ? (const void *)&stored : &value, datatype == 4 ? 2 : 4, 1);
    }
}

Test(volume_write, own_type_is_the_file_itself) {
    static nifti_maker m, expected;
    const uint16_t one = 1;
    const bool machine_is_big = *(const unsigned char *)&one == 0;
    for (int version = 1; version <= 2; version++)
        for (int big = 0; big <= 1; big++) {
            make_scan(&m, version, big, 4, true);
            append_values(&m, 4, 24, 1, 0);
            make_scan(&expected, version, machine_is_big, 4, true);
            append_values(&expected, 4, 24, 1, 0);
            copy_volume(make_file(&m, "in.nii"), volume_test_path("out.nii"), VOX_DATATYPE_INPUT);
            expect_bytes(volume_test_path("out.nii"), expected.bytes, expected.size);
            copy_volume(volume_test_path("in.nii"), volume_test_path("out.nii.gz"),
                        VOX_DATATYPE_INPUT);
            expect_bytes(volume_test_path("out.nii.gz"), expected.bytes, expected.size);
            unlink(volume_test_path("out.nii"));
            unlink(volume_test_path("out.nii.gz"));
        }
}

Test(volume_write, float32_changes_type_and_scaling_only) {
    static nifti_maker m, expected;
    for (int version = 1; version <= 2; version++) {
        make_scan(&m, version, false, 4, true);
        append_values(&m, 4, 24, 1, 0);
        make_scan(&expected, version, false, 16, false);
        make_field(&expected, "scl_slope", 1);
        append_values(&expected, 16, 24, 0.5, -100);
        copy_volume(make_file(&m, "in.nii"), volume_test_path("out.nii"), 16);
        expect_bytes(volume_test_path("out.nii"), expected.bytes, expected.size);
        unlink(volume_test_path("out.nii"));
    }
}

Test(volume_write, scaling_that_was_not_in_effect_stays) {
    static const struct {
        double slope, inter, out_slope, out_inter;
    } cases[] = {{0, 5, 0, 5}, {1, 0, 1, 0}, {NAN, 0, 1, 0}, {NAN, NAN, 1, 0}, {2, 0, 1, 0}};
    for (int i = 0; i < 5; i++) {
        static nifti_maker m;
        make_scan(&m, 1, false, 16, false);
        append_values(&m, 16, 24, 1, 0);
        make_field(&m, "scl_slope", cases[i].slope);
        make_field(&m, "scl_inter", cases[i].inter);
        copy_volume(make_file(&m, "in.nii"), volume_test_path("out.nii"), 16);
        vox_input *in = open_one(volume_test_path("out.nii"));
        cr_expect_eq(vox_input_info(in, 0)->scl_slope, cases[i].out_slope, "case %d", i);
        cr_expect_eq(vox_input_info(in, 0)->scl_inter, cases[i].out_inter, "case %d", i);
        vox_input_free(in);
        unlink(volume_test_path("out.nii"));
    }
}

Test(volume_write, pairs_and_single_files) {
    static nifti_maker m, expected;
    const int64_t header = 348 + 4 + 32 + 16;
    make_scan(&m, 1, false, 16, false);
    append_values(&m, 16, 24, 1, 0);
    memcpy(&expected, &m, sizeof m);
    make_text(&expected, "magic", "ni1", 4);
    make_field(&expected, "vox_offset", 0);
    make_file(&m, "in.nii");
    const char *const names[][2] = {{"a.hdr", "a.img"}, {"b.hdr.gz", "b.img.gz"}};
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++) {
            copy_volume(volume_test_path("in.nii"), volume_test_path(names[i][k]), 16);
            expect_bytes(volume_test_path(names[i][0]), expected.bytes, header);
            expect_bytes(volume_test_path(names[i][1]), expected.bytes + header, 96);
            if (k == 0) { /* and back: the file that it came from */
                copy_volume(volume_test_path(names[i][1]), volume_test_path("back.nii"), 16);
                expect_bytes(volume_test_path("back.nii"), m.bytes, m.size);
                unlink(volume_test_path("back.nii"));
            }
            unlink(volume_test_path(names[i][0]));
            unlink(volume_test_path(names[i][1]));
        }
}

Test(volume_write, padding_is_dropped_and_the_offset_follows) {
    static nifti_maker m, expected;
    make_header(&m, 1, false);
    make_append(&m, "not an extension", 1, 16);
    make_data_here(&m);
    append_values(&m, 16, 24, 1, 0);
    make_header(&expected, 1, false);
    append_values(&expected, 16, 24, 1, 0);
    copy_volume(make_file(&m, "in.nii"), volume_test_path("out.nii"), 16);
    expect_bytes(volume_test_path("out.nii"), expected.bytes, expected.size);
}

/* ---- Several output channels ---- */

typedef struct channel_case {
    int rank;
    int64_t dim[7]; /* of the input, float32 */
    int64_t in_channels;
    int64_t channels; /* of the output */
    int out_rank;
    int64_t out_dim[7];
} channel_case;

static const channel_case channel_cases[] = {
    {3, {4, 3, 2}, 1, 1, 3, {4, 3, 2}},
    {3, {4, 3, 2}, 1, 5, 4, {4, 3, 2, 5}},
    {2, {4, 3}, 1, 5, 4, {4, 3, 1, 5}},
    {4, {4, 3, 2, 1}, 1, 5, 4, {4, 3, 2, 5}},
    {4, {4, 3, 2, 3}, 1, 1, 4, {4, 3, 2, 3}},
    {4, {4, 3, 2, 3}, 1, 2, 5, {4, 3, 2, 3, 2}},
    {4, {4, 3, 2, 3}, 3, 1, 4, {4, 3, 2, 1}},
    {4, {4, 3, 2, 3}, 3, 5, 4, {4, 3, 2, 5}},
    {5, {4, 3, 2, 1, 3}, 3, 2, 5, {4, 3, 2, 1, 2}},
    {5, {4, 3, 2, 2, 3}, 3, 4, 5, {4, 3, 2, 2, 4}},
    {5, {4, 3, 2, 2, 3}, 3, 1, 5, {4, 3, 2, 2, 1}},
    {7, {2, 3, 2, 2, 1, 2, 2}, 1, 3, 7, {2, 3, 2, 2, 3, 2, 2}},
    {7, {2, 3, 2, 2, 1, 2, 2}, 2, 3, 7, {2, 3, 2, 3, 1, 2, 2}},
};

/* The element of (N, C, D*H*W) that belongs at a place of the file's axes: channels are the axis
 * that the case changed (t or u), everything else is batch, t fastest. */
static float expected_at(const channel_case *c, const int64_t at[8], int axis, int64_t inner) {
    const int64_t T = c->out_rank >= 4 && axis != 4 ? c->out_dim[3] : 1;
    const int64_t V = c->out_rank >= 6 ? c->out_dim[5] : 1;
    const int64_t t = axis == 4 ? 0 : at[4], channel = axis ? at[axis] : 0;
    const int64_t n = (at[7] * V + at[6]) * T + t;
    return (float)((n * c->channels + channel) * 1000 + inner);
}

static int channel_axis(const channel_case *c) {
    if (c->channels == 1)
        return 0;
    return c->out_rank >= 5 && c->out_dim[4] == c->channels ? 5 : 4;
}

static void append_expected(nifti_maker *m, const channel_case *c) {
    int64_t d[8] = {0}, at[8] = {0}, plane = 1;
    for (int i = 1; i <= 7; i++)
        d[i] = i <= c->out_rank ? c->out_dim[i - 1] : 1;
    plane = d[1] * d[2] * d[3];
    for (at[7] = 0; at[7] < d[7]; at[7]++)
        for (at[6] = 0; at[6] < d[6]; at[6]++)
            for (at[5] = 0; at[5] < d[5]; at[5]++)
                for (at[4] = 0; at[4] < d[4]; at[4]++)
                    for (int64_t i = 0; i < plane; i++) {
                        const float v = expected_at(c, at, channel_axis(c), i);
                        make_append(m, &v, 4, 1);
                    }
}

static void make_input(nifti_maker *m, const channel_case *c) {
    int64_t voxels = 1;
    const float zero = 0;
    make_header(m, 1, false);
    make_dims(m, c->rank, c->dim);
    make_field(m, "pixdim[4]", 2.5);
    for (int i = 0; i < c->rank; i++)
        voxels *= c->dim[i];
    for (int64_t i = 0; i < voxels; i++)
        make_append(m, &zero, 4, 1);
}

static float *make_result(const vox_layout *l, int64_t channels) {
    const int64_t inner = l->size[0] * l->size[1] * l->size[2];
    float *y = malloc((size_t)(l->batch * channels * inner) * sizeof *y);
    for (int64_t i = 0; i < l->batch * channels * inner; i++)
        y[i] = (float)(i / inner * 1000 + i % inner);
    return y;
}

Test(volume_write, channels_find_their_axis_by_position_and_by_spool) {
    for (size_t i = 0; i < sizeof channel_cases / sizeof channel_cases[0]; i++)
        for (int64_t slab = 1; slab <= 2; slab++)
            for (int gzip = 0; gzip <= 1; gzip++) {
                static nifti_maker m, expected;
                const channel_case *c = &channel_cases[i];
                make_input(&m, c);
                make_header(&expected, 1, false);
                make_dims(&expected, c->out_rank, c->out_dim);
                make_field(&expected, "pixdim[4]",
                           c->out_rank >= 4 && c->rank < 4 ? 1 : 2.5); /* 1: a new axis */
                if (c->out_rank >= 5 && c->rank < 5)
                    make_field(&expected, "pixdim[5]", 1);
                append_expected(&expected, c);

                vox_input *in = open_one(make_file(&m, "in.nii"));
                const vox_layout l = layout_of(in, c->in_channels, VOX_TIME_AUTO);
                float *y = make_result(&l, c->channels);
                vox_output o = plain_output(volume_test_path(gzip ? "out.nii.gz" : "out.nii"), &l);
                vox_error err = {0};
                int64_t memory = 0, spool = 0;
                o.channels = c->channels;
                o.slab_planes = slab;
                o.force = true;
                cr_assert_eq(vox_writer_memory(in, &o, &memory, &spool, &err), VOX_OK);
                cr_expect_eq(spool > 0, gzip && c->channels > 1, "case %zu", i);
                cr_assert_eq(write_everything(in, &o, y, l.batch, &err), VOX_OK, "%s", err.message);
                expect_bytes(o.path, expected.bytes, expected.size);
                free(y);
                vox_input_free(in);
            }
}

Test(volume_write, a_file_per_channel) {
    static const channel_case c = {3, {4, 3, 2}, 1, 3, 3, {4, 3, 2}};
    static nifti_maker m, expected;
    make_input(&m, &c);
    vox_input *in = open_one(make_file(&m, "in.nii"));
    const vox_layout l = layout_of(in, 1, VOX_TIME_AUTO);
    float *y = make_result(&l, 3);
    const char *const names[] = {"out_0000.nii.gz", "out_0001.nii.gz", "out_0002.nii.gz"};
    vox_output o = plain_output(volume_test_path("out"), &l);
    vox_error err = {0};
    o.channels = 3;
    o.split = true;
    cr_assert_eq(write_everything(in, &o, y, 1, &err), VOX_OK, "%s", err.message);
    for (int i = 0; i < 3; i++) {
        make_header(&expected, 1, false);
        make_field(&expected, "pixdim[4]", 2.5);
        make_append(&expected, y + i * 24, 4, 24);
        expect_bytes(volume_test_path(names[i]), expected.bytes, expected.size);
    }
    free(y);
    vox_input_free(in);
}

Test(volume_write, interleaved_types_take_their_channels) {
    static nifti_maker m;
    make_header(&m, 1, false);
    make_datatype(&m, 128, 24);
    for (int i = 0; i < 72; i++) {
        const uint8_t v = (uint8_t)(i * 3);
        make_append(&m, &v, 1, 1);
    }
    copy_volume(make_file(&m, "rgb.nii"), volume_test_path("out.nii"), VOX_DATATYPE_INPUT);
    expect_bytes(volume_test_path("out.nii"), m.bytes, m.size);
    copy_volume(volume_test_path("rgb.nii"), volume_test_path("named.nii.gz"), 128);
    expect_bytes(volume_test_path("named.nii.gz"), m.bytes, m.size);

    vox_input *in = open_one(volume_test_path("rgb.nii"));
    const vox_layout l = layout_of(in, 3, VOX_TIME_AUTO);
    vox_output o = plain_output(volume_test_path("no.nii"), &l);
    vox_error err = {0};
    o.channels = 1;
    o.datatype = VOX_DATATYPE_INPUT;
    cr_expect_null(vox_writer_new(in, &o, &err));
    cr_expect_eq(err.status, VOX_ERR_USAGE);
    cr_expect_not_null(strstr(err.message, "rgb24: holds 3 channels a voxel, the output has 1"));
    o.datatype = 1536;
    cr_expect_null(vox_writer_new(in, &o, &err));
    cr_expect_eq(err.status, VOX_ERR_UNSUPPORTED);
    cr_expect_neq(access(volume_test_path("no.nii"), F_OK), 0);
    vox_input_free(in);
}

/* ---- Other grids ---- */

Test(volume_write, a_new_grid_in_the_header) {
    static nifti_maker m, expected;
    float values[2 * 2 * 2] = {1, 2, 3, NAN, INFINITY, 300, -1, 2.5f};
    const uint8_t stored[8] = {1, 2, 3, 0, 255, 255, 0, 2}; /* 4 clamped: NaN, Inf, 300, -1 */
    make_header(&m, 1, false);
    make_field(&m, "sform_code", 1);
    make_field(&m, "srow_x[0]", 2);
    make_field(&m, "srow_y[1]", 3);
    make_field(&m, "srow_z[2]", 4);
    make_field(&m, "slice_end", 1);
    make_field(&m, "slice_code", 1);
    make_field(&m, "slice_duration", 0.5);
    memcpy(&expected, &m, sizeof m);
    append_values(&m, 16, 24, 1, 0);

    make_dims(&expected, 3, (const int64_t[]){2, 2, 2});
    make_datatype(&expected, 2, 8);
    make_field(&expected, "srow_x[0]", 4); /* stride 2, origin 1 along x */
    make_field(&expected, "srow_x[3]", 2);
    make_field(&expected, "srow_z[3]", -2); /* origin -0.5 along z, so the slices moved */
    make_field(&expected, "pixdim[1]", 2);
    make_field(&expected, "slice_end", 0);
    make_field(&expected, "slice_code", 0);
    make_field(&expected, "slice_duration", 0);
    make_append(&expected, stored, 1, 8);

    vox_input *in = open_one(make_file(&m, "in.nii"));
    const vox_layout l = layout_of(in, 1, VOX_TIME_AUTO);
    vox_error err = {0};
    vox_output o = plain_output(volume_test_path("out.nii"), &l);
    o.size[0] = o.size[1] = o.size[2] = 2;
    o.stride[2] = 2;
    o.origin[2] = 1;
    o.origin[0] = -0.5;
    o.datatype = 2;
    o.slab_planes = 2;
    vox_writer *w = vox_writer_new(in, &o, &err);
    cr_assert_not_null(w, "%s", err.message);
    const vox_planes p = vox_dense_planes(values, (int64_t[]){1, 2, 2, 2});
    cr_expect_eq(vox_writer_planes(w, 0, 0, 2, &p, &err), VOX_OK);
    cr_expect_eq(vox_writer_finish(w, &err), VOX_OK);
    int64_t nans, infs, clamped;
    vox_writer_counts(w, &nans, &infs, &clamped);
    cr_expect(nans == 1 && infs == 1 && clamped == 4);
    vox_writer_free(w);
    vox_input_free(in);
    expect_bytes(o.path, expected.bytes, expected.size);
}

Test(volume_write, an_axis_beyond_int16_moves_to_nifti_2) {
    static nifti_maker m;
    const float zero = 0;
    make_header(&m, 1, false);
    make_dims(&m, 3, (const int64_t[]){1, 1, 1});
    make_field(&m, "sform_code", 3);
    make_field(&m, "srow_x[3]", -90.3f);
    make_text(&m, "descrip", "kept", 4);
    make_extension(&m, 6, "01234567", 8);
    make_data_here(&m);
    make_append(&m, &zero, 4, 1);
    vox_input *in = open_one(make_file(&m, "in.nii"));
    const vox_layout l = layout_of(in, 1, VOX_TIME_AUTO);
    float *y = calloc(32768, sizeof *y);
    for (int large = 0; large <= 1; large++) {
        vox_error err = {0};
        vox_output o = plain_output(volume_test_path(large ? "2.nii" : "1.nii"), &l);
        o.size[2] = large ? 32768 : 32767;
        cr_assert_eq(write_everything(in, &o, y, 1, &err), VOX_OK, "%s", err.message);
        vox_input *out = open_one(o.path);
        const vox_volume_info *v = vox_input_info(out, 0);
        cr_expect_eq(v->nifti_version, 1 + large);
        cr_expect_eq(v->dim[1], o.size[2]);
        cr_expect(v->sform_code == 3 && v->srow[0][3] == (double)-90.3f);
        cr_expect_str_eq(v->descrip, "kept");
        cr_expect_eq(v->extension_count, 1);
        vox_input_free(out);
        int64_t size;
        unsigned char *bytes = slurp(o.path, &size);
        if (large)
            cr_expect_eq(memcmp(bytes + 4, "n+2\0\r\n\032\n", 8), 0);
        cr_expect_eq(memcmp(bytes + (large ? 544 : 352) + 8, "01234567", 8), 0);
        free(bytes);
    }
    free(y);
    vox_input_free(in);
}

Test(volume_write, an_abandoned_writer_leaves_nothing) {
    static nifti_maker m;
    make_scan(&m, 1, false, 16, false);
    append_values(&m, 16, 24, 1, 0);
    vox_input *in = open_one(make_file(&m, "in.nii"));
    const vox_layout l = layout_of(in, 1, VOX_TIME_AUTO);
    vox_error err = {0};
    vox_output o = plain_output(volume_test_path("out.nii"), &l);
    vox_writer *w = vox_writer_new(in, &o, &err);
    cr_assert_not_null(w);
    vox_writer_free(w);
    cr_expect_neq(access(o.path, F_OK), 0);
    make_bytes("out.nii", "old", 3);
    cr_expect_null(vox_writer_new(in, &o, &err));
    cr_expect_eq(err.status, VOX_ERR_OUTPUT);
    expect_bytes(o.path, (const unsigned char *)"old", 3);
    vox_input_free(in);
}

/* ---- Names ---- */

static void expect_name(const char *path, int compression, int64_t channel, const char *header,
                        const char *data, bool gzip) {
    vox_output_name n;
    vox_error err = {0};
    cr_expect_eq(vox_output_name_resolve(path, compression, channel, &n, &err), VOX_OK, "%s",
                 err.message);
    cr_expect_str_eq(n.header, header);
    cr_expect_eq(n.pair, data != NULL);
    if (data && n.data)
        cr_expect_str_eq(n.data, data);
    cr_expect_eq(n.gzip, gzip, "%s", path);
    vox_output_name_clear(&n);
}

static void expect_no_name(const char *path, int64_t channel) {
    vox_output_name n;
    vox_error err = {0};
    cr_expect_eq(vox_output_name_resolve(path, -1, channel, &n, &err), VOX_ERR_USAGE, "%s", path);
    vox_output_name_clear(&n);
}

Test(volume_write, a_folder_is_no_name) {
    static const char *const folders[] = {"", "d/", ".", "..", "d/.", "d/.."};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        expect_no_name(folders[i], -1);
}

Test(volume_write, names) {
    expect_name("a.nii", 9, -1, "a.nii", NULL, false);
    expect_name("a.nii.gz", 0, -1, "a.nii.gz", NULL, true);
    expect_name("A.NII.GZ", -1, -1, "A.NII.GZ", NULL, true);
    expect_name("d/a.hdr", -1, -1, "d/a.hdr", "d/a.img", false);
    expect_name("a.img", -1, -1, "a.hdr", "a.img", false);
    expect_name("a.img.gz", -1, -1, "a.hdr.gz", "a.img.gz", true);
    expect_name("A.IMG", -1, -1, "A.HDR", "A.IMG", false);
    expect_name("a", -1, -1, "a.nii.gz", NULL, true);
    expect_name("a.gz", -1, -1, "a.gz.nii.gz", NULL, true);
    expect_name("d/.nii", -1, -1, "d/.nii.nii.gz", NULL, true);
    expect_name("-", -1, -1, "-", NULL, false);
    expect_name("-", 0, -1, "-", NULL, false);
    expect_name("-", 1, -1, "-", NULL, true);
    expect_name("/dev/null", -1, -1, "/dev/null", NULL, false);
    expect_name("/dev/null", 6, -1, "/dev/null", NULL, true);
    expect_name("a.nii", -1, 7, "a_0007.nii", NULL, false);
    expect_name("a.img.gz", -1, 12345, "a_12345.hdr.gz", "a_12345.img.gz", true);
    expect_name("a", -1, 0, "a_0000.nii.gz", NULL, true);
    expect_no_name("-", 0);
    expect_no_name("/dev/null", 0);
}

Test(volume_write, names_by_fsloutputtype) {
    setenv("FSLOUTPUTTYPE", "NIFTI", 1);
    expect_name("a", -1, -1, "a.nii", NULL, false);
    setenv("FSLOUTPUTTYPE", "NIFTI_GZ", 1);
    expect_name("a", -1, -1, "a.nii.gz", NULL, true);
    setenv("FSLOUTPUTTYPE", "NIFTI_PAIR", 1);
    expect_name("a", -1, -1, "a.hdr", "a.img", false);
    setenv("FSLOUTPUTTYPE", "NIFTI_PAIR_GZ", 1);
    expect_name("a", -1, 1, "a_0001.hdr.gz", "a_0001.img.gz", true);
    expect_name("a.nii", -1, -1, "a.nii", NULL, false);
    setenv("FSLOUTPUTTYPE", "MINC", 1);
    expect_no_name("a", -1);
    expect_name("a.nii", -1, -1, "a.nii", NULL, false);
}
