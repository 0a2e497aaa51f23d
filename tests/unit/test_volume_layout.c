/* test_volume_layout.c - which voxel becomes which element of (N, C, D, H, W).
 *
 * The expected place of each voxel is computed here from the rules of the design (t is N or C; u,
 * components and files are C; v and w are N) over plain nested loops in file order. */
#include "test_volume_make.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(volume_layout, .init = volume_test_setup, .fini = volume_test_teardown);

typedef struct layout_case {
    int rank;
    int64_t dim[7];
    int datatype, bitpix, components, files;
    int64_t in_channels;
    vox_time time;
    int64_t batch, channels; /* expected; channels 0: refused */
    bool time_is_channels;
    const char *message; /* of the refusal: what follows the file */
} layout_case;

#define AUTO VOX_TIME_AUTO
#define BATCH VOX_TIME_BATCH
#define CHANNELS VOX_TIME_CHANNELS

static const layout_case cases[] = {
    /* a scan */
    {3, {4, 3, 2}, 4, 16, 1, 1, 0, AUTO, 1, 1, false, NULL},
    {3, {4, 3, 2}, 4, 16, 1, 1, 1, AUTO, 1, 1, false, NULL},
    {2, {4, 3}, 4, 16, 1, 1, 1, AUTO, 1, 1, false, NULL},
    {1, {5}, 4, 16, 1, 1, 1, AUTO, 1, 1, false, NULL},
    {3, {4, 3, 2}, 4, 16, 1, 1, 2, AUTO, 0, 0, false, "has 1"},
    {3, {4, 3, 2}, 4, 16, 1, 1, 1, CHANNELS, 1, 1, true, NULL},
    /* frames */
    {4, {4, 3, 2, 5}, 4, 16, 1, 1, 0, AUTO, 5, 1, false, NULL},
    {4, {4, 3, 2, 5}, 4, 16, 1, 1, 1, AUTO, 5, 1, false, NULL},
    {4, {4, 3, 2, 5}, 4, 16, 1, 1, 5, AUTO, 1, 5, true, NULL},
    {4, {4, 3, 2, 5}, 4, 16, 1, 1, 0, CHANNELS, 1, 5, true, NULL},
    {4, {4, 3, 2, 5}, 4, 16, 1, 1, 1, CHANNELS, 0, 0, false, "has 5 (t=5 taken as channels)"},
    {4, {4, 3, 2, 5}, 4, 16, 1, 1, 5, BATCH, 0, 0, false, "has 1"},
    {4,
     {4, 3, 2, 5},
     4,
     16,
     1,
     1,
     2,
     AUTO,
     0,
     0,
     false,
     "has 1 (t=5 frames are filtered one by one; --time channels "
     "makes them channels)"},
    {7, {2, 2, 2, 3, 1, 2, 2}, 4, 16, 1, 1, 1, AUTO, 12, 1, false, NULL},
    {7, {2, 2, 2, 3, 1, 2, 2}, 4, 16, 1, 1, 3, AUTO, 4, 3, true, NULL},
    /* u */
    {5, {4, 3, 2, 1, 3}, 4, 16, 1, 1, 3, AUTO, 1, 3, false, NULL},
    {5, {4, 3, 2, 2, 3}, 4, 16, 1, 1, 3, AUTO, 2, 3, false, NULL},
    {5, {4, 3, 2, 2, 3}, 4, 16, 1, 1, 0, AUTO, 2, 3, false, NULL},
    {5, {4, 3, 2, 2, 3}, 4, 16, 1, 1, 6, CHANNELS, 1, 6, true, NULL},
    {5, {4, 3, 2, 2, 3}, 4, 16, 1, 1, 2, AUTO, 0, 0, false, "has 3"},
    {7, {2, 3, 2, 2, 3, 2, 2}, 4, 16, 1, 1, 3, AUTO, 8, 3, false, NULL},
    /* components */
    {3, {4, 3, 2}, 128, 24, 3, 1, 3, AUTO, 1, 3, false, NULL},
    {3, {4, 3, 2}, 2304, 32, 4, 1, 0, AUTO, 1, 4, false, NULL},
    {4, {4, 3, 2, 2}, 128, 24, 3, 1, 3, AUTO, 2, 3, false, NULL},
    {4, {4, 3, 2, 2}, 128, 24, 3, 1, 6, CHANNELS, 1, 6, true, NULL},
    {5, {4, 3, 2, 1, 2}, 128, 24, 3, 1, 6, AUTO, 1, 6, false, NULL},
    /* files */
    {3, {4, 3, 2}, 4, 16, 1, 3, 3, AUTO, 1, 3, false, NULL},
    {4, {4, 3, 2, 2}, 4, 16, 1, 3, 3, AUTO, 2, 3, false, NULL},
    {3, {4, 3, 2}, 4, 16, 1, 3, 2, AUTO, 0, 0, false, "and 2 more have 3"},
    {5, {2, 3, 2, 2, 2}, 4, 16, 1, 2, 4, AUTO, 2, 4, false, NULL},
    {3, {4, 3, 2}, 128, 24, 3, 2, 6, AUTO, 1, 6, false, NULL},
};

static const char *const file_name[] = {"a.nii", "b.nii", "c.nii"};

static int64_t extent(const layout_case *c, int axis) {
    return axis <= c->rank ? c->dim[axis - 1] : 1;
}

/* A number for each component of each voxel; small enough for uint8 where components are bytes. */
static int value_at(const layout_case *c, int file, int64_t index) {
    return (int)((index * 11 + file * 101) % (c->components > 1 ? 251 : 32003));
}

/* Files with known voxels; `gzip` decides how. */
static vox_input *make_inputs(const layout_case *c, bool gzip) {
    const char *paths[3];
    int64_t voxels = 1;
    for (int i = 1; i <= 7; i++)
        voxels *= extent(c, i);
    for (int f = 0; f < c->files; f++) {
        static nifti_maker m;
        make_header(&m, 1, false);
        make_dims(&m, c->rank, c->dim);
        make_datatype(&m, c->datatype, c->bitpix);
        for (int64_t i = 0; i < voxels * c->components; i++) {
            const int16_t s = (int16_t)value_at(c, f, i);
            const uint8_t b = (uint8_t)s;
            make_append(&m, c->components > 1 ? (const void *)&b : &s, c->components > 1 ? 1 : 2,
                        1);
        }
        paths[f] = gzip ? make_gzip(file_name[f], m.bytes, m.size) : make_file(&m, file_name[f]);
    }
    vox_error err = {0};
    vox_input *in = vox_input_open(paths, c->files, &err);
    cr_assert_not_null(in, "%s", err.message);
    return in;
}

/* Walks the file in its order and looks each value up where the design says that it belongs. */
static void check_places(const layout_case *c, const vox_layout *l, const float *all, size_t row) {
    int64_t T = extent(c, 4), U = extent(c, 5), V = extent(c, 6), index = 0, wrong = 0;
    for (int f = 0; f < c->files; f++, index = 0)
        for (int64_t w = 0; w < extent(c, 7); w++)
            for (int64_t v = 0; v < V; v++)
                for (int64_t u = 0; u < U; u++)
                    for (int64_t t = 0; t < T; t++)
                        for (int64_t i = 0; i < l->size[0] * l->size[1] * l->size[2]; i++)
                            for (int k = 0; k < c->components; k++, index++) {
                                const bool tc = c->time_is_channels;
                                const int64_t n = tc ? w * V + v : (w * V + v) * T + t;
                                const int64_t planar = tc ? (f * U + u) * T + t : f * U + u;
                                const int64_t ch = planar * c->components + k;
                                const int64_t plane = l->size[0] * l->size[1] * l->size[2];
                                wrong += all[(n * l->channels + ch) * plane + i] !=
                                         (float)value_at(c, f, index);
                            }
    cr_expect_eq(wrong, 0, "case %zu: %lld values in wrong places", row, (long long)wrong);
}

static void check_case(const layout_case *c, size_t row, bool gzip, int64_t slab) {
    vox_error err = {0};
    vox_layout l;
    vox_input *in = make_inputs(c, gzip);
    const vox_status status = vox_input_layout(in, c->in_channels, c->time, &l, &err);
    if (c->channels == 0) {
        char expected[600];
        snprintf(expected, sizeof expected, "the layer wants %lld input channels, %s %s",
                 (long long)c->in_channels, vox_input_info(in, 0)->path, c->message);
        cr_expect_eq(status, VOX_ERR_USAGE, "case %zu", row);
        cr_expect_not_null(strstr(err.message, expected), "case %zu: \"%s\" lacks \"%s\"", row,
                           err.message, expected);
    } else {
        cr_assert_eq(status, VOX_OK, "case %zu: %s", row, err.message);
        cr_expect(l.batch == c->batch && l.channels == c->channels &&
                      l.time_is_channels == c->time_is_channels,
                  "case %zu: N=%lld C=%lld", row, (long long)l.batch, (long long)l.channels);
        cr_expect(l.size[0] == extent(c, 3) && l.size[1] == extent(c, 2) &&
                  l.size[2] == extent(c, 1));
        int64_t memory = 0, spool = -1;
        cr_expect_eq(vox_reader_memory(in, &l, slab, false, &memory, &spool, &err), VOX_OK);
        const bool planar = extent(c, 5) > 1 || (c->time_is_channels && extent(c, 4) > 1);
        const int64_t bytes = c->files * vox_input_info(in, 0)->data_bytes;
        cr_expect_eq(spool, gzip && planar ? bytes : 0, "case %zu: spool", row);
        cr_expect_gt(memory, 0);
        float *all = read_everything(in, &l, slab);
        check_places(c, &l, all, row);
        free(all);
    }
    vox_input_free(in);
}

Test(volume_layout, every_voxel_in_its_place) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int64_t slab = 1; slab <= 3; slab++) {
            check_case(&cases[i], i, false, slab);
            check_case(&cases[i], i, true, slab);
        }
}

/* ---- Several files must lie on one grid ---- */

static const char *grid_file(const char *name, const char *field, double value) {
    static nifti_maker m;
    static const float data[24];
    make_header(&m, 1, false);
    make_field(&m, "sform_code", 1);
    make_field(&m, "srow_x[0]", 2);
    make_field(&m, "srow_y[1]", 2);
    make_field(&m, "srow_z[2]", 4);
    make_field(&m, "srow_x[3]", -90);
    make_append(&m, data, 4, 24);
    if (field)
        make_field(&m, field, value);
    return make_file(&m, name);
}

static void check_pair(const char *field, double value, const char *message) {
    const char *paths[2] = {grid_file("a.nii", NULL, 0), grid_file("b.nii", field, value)};
    vox_error err = {0};
    vox_input *in = vox_input_open(paths, 2, &err);
    if (!message) {
        cr_expect_not_null(in, "%s=%g: %s", field, value, err.message);
    } else {
        cr_expect_null(in);
        cr_expect_eq(err.status, VOX_ERR_INPUT);
        cr_expect(strstr(err.message, message) && strstr(err.message, paths[0]) &&
                      strstr(err.message, paths[1]),
                  "%s", err.message);
    }
    vox_input_free(in);
}

Test(volume_layout, files_share_one_grid) {
    check_pair(NULL, 0, NULL);
    check_pair("dim[1]", 3, "dim[1]=3");
    check_pair("dim[3]", 1, "dim[3]=1");
    check_pair("srow_x[3]", -90.0019, NULL); /* 1e-3 of the smallest voxel side, 2 mm */
    check_pair("srow_x[3]", -90.0021, "sform column 3");
    check_pair("srow_y[1]", 2.0021, "sform column 1");
    check_pair("srow_z[0]", -0.5, "sform column 0");
    check_pair("descrip", 'x', NULL);
}

Test(volume_layout, stdin_is_one_input) {
    const char *paths[2] = {"-", "-"};
    vox_error err = {0};
    FILE *f = freopen(grid_file("a.nii", NULL, 0), "rb", stdin);
    cr_assert_not_null(f);
    cr_expect_null(vox_input_open(paths, 2, &err));
    cr_expect_eq(err.status, VOX_ERR_USAGE);
    cr_expect_null(vox_input_open(paths, 0, &err));
}

Test(volume_layout, one_pass_only) {
    vox_input *in = open_one(grid_file("a.nii", NULL, 0));
    vox_statistics s;
    vox_error err = {0};
    cr_expect_eq(vox_input_statistics(in, 0, &s, &err), VOX_OK);
    cr_expect_eq(vox_input_statistics(in, 0, &s, &err), VOX_ERR_USAGE);
    vox_input_free(in);
}
