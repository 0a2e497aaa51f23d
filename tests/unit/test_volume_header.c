/* test_volume_header.c - every field of a header is read, and every malformed one gets its
 * sentence.
 *
 * The files come from test_volume_make.c, so the expected values are the numbers that were put in
 * at the standard's offsets; what counts as malformed is nifti1.h's and nifti2.h's text. */
#include "test_volume_make.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

TestSuite(volume_header, .init = volume_test_setup, .fini = volume_test_teardown);

static const float zeros[24];

static vox_status open_status(const char *path, vox_error *err) {
    *err = (vox_error){.status = VOX_OK};
    vox_input *in = vox_input_open(&path, 1, err);
    const vox_status status = in ? VOX_OK : err->status;
    vox_input_free(in);
    return status;
}

/* One line, naming the file and each of the pieces. */
static void expect_failure(const char *path, vox_status status, const char *piece) {
    vox_error err;
    cr_expect_eq(open_status(path, &err), status, "%s: %s", piece, err.message);
    cr_expect_not_null(strstr(err.message, piece), "\"%s\" lacks \"%s\"", err.message, piece);
    cr_expect_eq(strncmp(err.message, path, strlen(path)), 0, "\"%s\" starts with another file",
                 err.message);
}

/* ---- Good headers ---- */

typedef struct form {
    int version;
    bool big_endian;
} form;

static form forms[] = {{1, false}, {1, true}, {2, false}, {2, true}};

ParameterizedTestParameters(volume_header, fields) {
    return cr_make_param_array(form, forms, 4);
}

ParameterizedTest(form *f, volume_header, fields) {
    nifti_maker m;
    make_header(&m, f->version, f->big_endian);
    const struct {
        const char *name;
        double value;
    } set[] = {
        {"dim_info", 0x39},       {"intent_p1", 1.5},    {"intent_p2", -2.5}, {"intent_p3", 3.25},
        {"intent_code", 1007},    {"slice_start", 1},    {"slice_end", 7},    {"slice_code", 3},
        {"slice_duration", 0.25}, {"pixdim[0]", -1},     {"pixdim[1]", 0.5},  {"pixdim[2]", 0.75},
        {"pixdim[3]", 2},         {"pixdim[4]", 2.5},    {"scl_slope", 2},    {"scl_inter", -1024},
        {"cal_max", 100},         {"cal_min", -100},     {"toffset", 12.5},   {"xyzt_units", 10},
        {"qform_code", 1},        {"quatern_b", 0.25},   {"quatern_c", 0.5},  {"quatern_d", -0.25},
        {"qoffset_x", 10},        {"qoffset_y", -20},    {"qoffset_z", 30},   {"sform_code", 2},
        {"srow_x[0]", -0.5},      {"srow_x[3]", 90},     {"srow_y[1]", 0.75}, {"srow_y[3]", -126},
        {"srow_z[2]", 2},         {"srow_z[3]", -72.125}};
    for (size_t i = 0; i < sizeof set / sizeof set[0]; i++)
        make_field(&m, set[i].name, set[i].value);
    make_text(&m, "descrip", "a scan", 7);
    make_text(&m, "aux_file", "full twenty-four bytes..", 24);
    make_text(&m, "intent_name", "velocity", 9);
    make_extension(&m, 6, "a comment", 8);
    make_extension(&m, 44, "0123456789abcdef01234567", 24);
    make_data_here(&m);
    make_append(&m, zeros, 4, 24);

    vox_input *in = open_one(make_file(&m, "scan.nii"));
    const vox_volume_info *v = vox_input_info(in, 0);
    cr_expect_str_eq(v->path, volume_test_path("scan.nii"));
    cr_expect_eq(v->nifti_version, f->version);
    const uint16_t one = 1;
    const bool machine_is_big = *(const unsigned char *)&one == 0;
    cr_expect_eq(v->swapped, f->big_endian != machine_is_big);
    cr_expect(!v->gzip && !v->pair);
    cr_expect(v->dim[0] == 3 && v->dim[1] == 4 && v->dim[2] == 3 && v->dim[3] == 2);
    cr_expect(v->pixdim[0] == -1 && v->pixdim[1] == 0.5 && v->pixdim[2] == 0.75);
    cr_expect(v->pixdim[3] == 2 && v->pixdim[4] == 2.5);
    cr_expect(v->datatype == 16 && v->bitpix == 32);
    cr_expect_str_eq(v->datatype_name, "float32");
    cr_expect(v->scl_slope == 2 && v->scl_inter == -1024);
    cr_expect(v->cal_min == -100 && v->cal_max == 100 && v->toffset == 12.5);
    cr_expect(v->slice_duration == 0.25 && v->slice_start == 1 && v->slice_end == 7);
    cr_expect(v->slice_code == 3 && v->dim_info == 0x39 && v->xyzt_units == 10);
    cr_expect(v->intent_code == 1007 && v->qform_code == 1 && v->sform_code == 2);
    cr_expect(v->intent_p[0] == 1.5 && v->intent_p[1] == -2.5 && v->intent_p[2] == 3.25);
    cr_expect(v->quatern[0] == 0.25 && v->quatern[1] == 0.5 && v->quatern[2] == -0.25);
    cr_expect(v->qoffset[0] == 10 && v->qoffset[1] == -20 && v->qoffset[2] == 30);
    cr_expect(v->srow[0][0] == -0.5 && v->srow[1][3] == -126 && v->srow[2][3] == -72.125);
    cr_expect_str_eq(v->affine_source, "sform");
    cr_expect_eq(memcmp(v->affine, v->srow, sizeof v->affine), 0);
    cr_expect_str_eq(v->orientation, "LAS"); /* srow_x[0] < 0: i grows to the left */
    cr_expect_str_eq(v->descrip, "a scan");
    cr_expect_str_eq(v->aux_file, "full twenty-four bytes..");
    cr_expect_str_eq(v->intent_name, "velocity");
    cr_expect_eq(v->vox_offset, m.size - 96);
    cr_expect_eq(v->data_bytes, 96);
    cr_expect_eq(v->extension_count, 2);
    cr_expect(v->extension_code[0] == 6 && v->extension_bytes[0] == 16);
    cr_expect(v->extension_code[1] == 44 && v->extension_bytes[1] == 32);
    vox_input_free(in);
}

/* What is not in use, or padding, is no reason to refuse a file. */
static const struct {
    const char *field;
    double value;
} harmless[] = {
    {"srow_y[1]", NAN}, {"quatern_b", INFINITY}, {"scl_slope", NAN}, {"scl_slope", INFINITY},
    {"scl_inter", NAN}, {"pixdim[5]", NAN},      {"dim[4]", 0},      {"dim[7]", -3},
    {"qform_code", -1}, {"cal_max", NAN},        {"toffset", NAN},   {"pixdim[1]", 0},
};

Test(volume_header, unused_fields_may_be_anything) {
    for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++)
        for (int version = 1; version <= 2; version++) {
            nifti_maker m;
            vox_error err;
            make_header(&m, version, false);
            make_field(&m, harmless[i].field, harmless[i].value);
            make_append(&m, zeros, 4, 24);
            cr_expect_eq(open_status(make_file(&m, "scan.nii"), &err), VOX_OK, "%s: %s",
                         harmless[i].field, err.message);
        }
}

Test(volume_header, content_decides_whatever_the_name) {
    nifti_maker m;
    make_header(&m, 1, false);
    make_append(&m, zeros, 4, 24);
    vox_input *in = open_one(make_gzip("zipped.nii", m.bytes, m.size));
    cr_expect(vox_input_info(in, 0)->gzip);
    vox_input_free(in);
    in = open_one(make_file(&m, "plain.nii.gz"));
    cr_expect(!vox_input_info(in, 0)->gzip);
    vox_input_free(in);
    in = open_one(make_file(&m, "lone.img")); /* no lone.hdr: the file speaks for itself */
    cr_expect(!vox_input_info(in, 0)->pair);
    vox_input_free(in);
}

/* ---- Malformed headers ---- */

typedef struct bad_field {
    int version; /* 0: both */
    struct {
        const char *field;
        double value;
    } set[3];
    vox_status status;
    const char *message;
} bad_field;

static const bad_field bad_fields[] = {
    {0, {{"sizeof_hdr", 349}}, VOX_ERR_INPUT, "348 or 540"},
    {0, {{"sizeof_hdr", 0}}, VOX_ERR_INPUT, "sizeof_hdr=0"},
    {0, {{"dim[0]", 0}}, VOX_ERR_INPUT, "dim[0]=0"},
    {0, {{"dim[0]", 8}}, VOX_ERR_INPUT, "dim[0]=8"},
    {0, {{"dim[0]", -1}}, VOX_ERR_INPUT, "dim[0]=-1"},
    {0, {{"dim[2]", 0}}, VOX_ERR_INPUT, "dim[2]=0"},
    {0, {{"dim[3]", -5}}, VOX_ERR_INPUT, "dim[3]=-5"},
    {2, {{"dim[1]", 0x1p40}, {"dim[2]", 0x1p40}}, VOX_ERR_INPUT, "dim[2]=1099511627776"},
    {2, {{"dim[1]", 0x1p60}}, VOX_ERR_INPUT, "dim[2]=3"}, /* 2^60 * 4 bytes fit, times 3 do not */
    {2, {{"dim[1]", 0x1p62}}, VOX_ERR_INPUT, "dim[1]=4611686018427387904"},
    {1, {{"vox_offset", NAN}}, VOX_ERR_INPUT, "vox_offset=nan"},
    {1, {{"vox_offset", INFINITY}}, VOX_ERR_INPUT, "vox_offset=inf"},
    {1, {{"vox_offset", -INFINITY}}, VOX_ERR_INPUT, "vox_offset=-inf"},
    {0, {{"vox_offset", -16}}, VOX_ERR_INPUT, "vox_offset=-16"},
    {1, {{"vox_offset", 352.5}}, VOX_ERR_INPUT, "vox_offset=352.5: not a whole number"},
    {1, {{"vox_offset", 1e30}}, VOX_ERR_INPUT, "vox_offset=1e+30"},
    {0, {{"vox_offset", 0}}, VOX_ERR_INPUT, "vox_offset=0: inside the header"},
    {1, {{"vox_offset", 348}}, VOX_ERR_INPUT, "vox_offset=348: inside the header"},
    {2, {{"vox_offset", 540}}, VOX_ERR_INPUT, "vox_offset=540: inside the header"},
    {0, {{"vox_offset", 100000}}, VOX_ERR_INPUT, "vox_offset=100000: past the end"},
    {2, {{"vox_offset", 0x1.fffffffffffffp62}}, VOX_ERR_INPUT, "vox_offset=92233720368547"},
    {1, {{"vox_offset", 368}}, VOX_ERR_INPUT, "too short, the header promises 464 bytes"},
    {2, {{"vox_offset", 560}}, VOX_ERR_INPUT, "too short, the header promises 656 bytes"},
    {0, {{"bitpix", 16}}, VOX_ERR_INPUT, "bitpix=16"},
    {0, {{"bitpix", 0}}, VOX_ERR_INPUT, "bitpix=0"},
    {0, {{"datatype", 0}}, VOX_ERR_INPUT, "datatype=0"},
    {0, {{"datatype", 3}}, VOX_ERR_INPUT, "datatype=3"},
    {0, {{"datatype", -16}}, VOX_ERR_INPUT, "datatype=-16"},
    {0, {{"datatype", 1}, {"bitpix", 1}}, VOX_ERR_UNSUPPORTED, "datatype=1: binary"},
    {0, {{"datatype", 1536}, {"bitpix", 128}}, VOX_ERR_UNSUPPORTED, "datatype=1536: float128"},
    {0, {{"datatype", 2048}, {"bitpix", 256}}, VOX_ERR_UNSUPPORTED, "datatype=2048: complex256"},
    {0, {{"scl_slope", 2}, {"scl_inter", NAN}}, VOX_ERR_INPUT, "scl_inter=nan"},
    {0, {{"sform_code", 1}, {"srow_y[2]", NAN}}, VOX_ERR_INPUT, "srow_y=nan"},
    {0, {{"sform_code", 4}, {"srow_z[3]", INFINITY}}, VOX_ERR_INPUT, "srow_z=inf"},
    {0, {{"qform_code", 1}, {"quatern_c", NAN}}, VOX_ERR_INPUT, "quatern_c=nan"},
    {0, {{"qform_code", 1}, {"qoffset_z", -INFINITY}}, VOX_ERR_INPUT, "qoffset_z=-inf"},
    {0, {{"qform_code", 1}, {"pixdim[0]", NAN}}, VOX_ERR_INPUT, "pixdim[0]=nan"},
    {0, {{"qform_code", 1}, {"pixdim[2]", NAN}}, VOX_ERR_INPUT, "pixdim[2]=nan"},
    {0, {{"pixdim[3]", INFINITY}}, VOX_ERR_INPUT, "pixdim[3]=inf"},
};

Test(volume_header, malformed_fields) {
    for (size_t i = 0; i < sizeof bad_fields / sizeof bad_fields[0]; i++)
        for (int k = 0; k < 4; k++) {
            const bad_field *b = &bad_fields[i];
            nifti_maker m;
            if (b->version && b->version != forms[k].version)
                continue;
            make_header(&m, forms[k].version, forms[k].big_endian);
            for (int j = 0; j < 3 && b->set[j].field; j++)
                make_field(&m, b->set[j].field, b->set[j].value);
            make_append(&m, zeros, 4, 24);
            expect_failure(make_file(&m, "bad.nii"), b->status, b->message);
        }
}

Test(volume_header, magic) {
    nifti_maker m;
    make_header(&m, 1, false);
    make_append(&m, zeros, 4, 24);
    make_text(&m, "magic", "n+3", 4);
    expect_failure(make_file(&m, "bad.nii"), VOX_ERR_INPUT, "magic=\"n+3\"");
    make_text(&m, "magic", "XXXX", 4);
    expect_failure(make_file(&m, "bad.nii"), VOX_ERR_INPUT, "magic=\"XXXX\"");
    make_text(&m, "magic", "\0\0\0\0", 4);
    expect_failure(make_file(&m, "bad.nii"), VOX_ERR_UNSUPPORTED, "ANALYZE");
    make_header(&m, 2, true);
    make_append(&m, zeros, 4, 24);
    make_text(&m, "magic", "n+1", 4);
    expect_failure(make_file(&m, "bad.nii"), VOX_ERR_INPUT, "magic=\"n+1\"");
    make_text(&m, "magic", "n+2\0\n\032\n\0", 8); /* \r\n lost its \r on the way */
    expect_failure(make_file(&m, "bad.nii"), VOX_ERR_INPUT, "magic=0a 1a 0a 00");
}

Test(volume_header, shorter_than_the_header) {
    for (int k = 0; k < 4; k++) {
        nifti_maker m;
        make_header(&m, forms[k].version, forms[k].big_endian);
        const int64_t header = forms[k].version == 1 ? 348 : 540;
        const int64_t sizes[] = {1, 3, 4, 347, header - 1};
        for (int i = 0; i < 5; i++) {
            char piece[32];
            snprintf(piece, sizeof piece, "size=%lld:", (long long)sizes[i]);
            expect_failure(make_bytes("bad.nii", m.bytes, sizes[i]), VOX_ERR_INPUT, piece);
            expect_failure(make_gzip("bad.nii.gz", m.bytes, sizes[i]), VOX_ERR_INPUT, piece);
        }
        expect_failure(make_bytes("bad.nii", m.bytes, header), VOX_ERR_INPUT, "past the end");
        expect_failure(make_gzip("bad.nii.gz", m.bytes, header + 2), VOX_ERR_INPUT, "past the end");
    }
}

Test(volume_header, data_shorter_than_promised) {
    nifti_maker m;
    make_header(&m, 1, false);
    make_append(&m, zeros, 4, 24);
    expect_failure(make_bytes("bad.nii", m.bytes, m.size - 1), VOX_ERR_INPUT,
                   "size=447: too short, the header promises 448 bytes");
    /* A stream tells only when it is read. */
    vox_input *in = open_one(make_gzip("bad.nii.gz", m.bytes, m.size - 1));
    vox_statistics s;
    vox_error err;
    cr_expect_eq(vox_input_statistics(in, 0, &s, &err), VOX_ERR_INPUT);
    cr_expect_not_null(strstr(err.message, "after 95 bytes of voxels, the header promises 96"),
                       "%s", err.message);
    vox_input_free(in);
}

/* ---- Extensions ---- */

static const struct {
    int32_t esize, ecode;
    int area; /* bytes between the extender and vox_offset */
    const char *message;
} bad_extensions[] = {
    {0, 6, 16, "esize=0"},
    {8, 6, 16, "esize=8: an extension has at least 16"},
    {-16, 6, 16, "esize=-16"},
    {20, 6, 32, "esize=20: not a multiple of 16"},
    {48, 6, 32, "esize=48: reaches past"},
    {0x7ffffff0, 6, 32, "esize=2147483632: reaches past"},
    {16, 6, 20, "4 bytes are left"},
    {16, 6, 4, "4 bytes are left"},
    {0, 0, 16, "esize=0"},
};

Test(volume_header, malformed_extensions) {
    for (size_t i = 0; i < sizeof bad_extensions / sizeof bad_extensions[0]; i++)
        for (int k = 0; k < 4; k++) {
            nifti_maker m;
            unsigned char fill[64];
            make_header(&m, forms[k].version, forms[k].big_endian);
            const int64_t start = m.size;
            const int32_t head[2] = {bad_extensions[i].esize, bad_extensions[i].ecode};
            memset(fill, 0x11, sizeof fill);
            m.bytes[start - 4] = 1;
            make_append(&m, head, 4, 2);
            make_append(&m, fill, 1, bad_extensions[i].ecode ? 56 : 8);
            m.size = start + bad_extensions[i].area;
            make_data_here(&m);
            make_append(&m, zeros, 4, 24);
            expect_failure(make_file(&m, "bad.nii"), VOX_ERR_INPUT, bad_extensions[i].message);
        }
}

Test(volume_header, padding_is_no_extension) {
    nifti_maker m;
    unsigned char fill[32];
    memset(fill, 0x11, sizeof fill);
    make_header(&m, 1, false);
    make_append(&m, fill, 1, 32); /* the extender says that there is none */
    make_data_here(&m);
    make_append(&m, zeros, 4, 24);
    vox_input *in = open_one(make_file(&m, "scan.nii"));
    cr_expect_eq(vox_input_info(in, 0)->extension_count, 0);
    vox_input_free(in);

    make_header(&m, 1, false);
    make_extension(&m, 4, "12345678", 8);
    make_append(&m, zeros, 4, 4); /* zeros up to an aligned vox_offset */
    make_data_here(&m);
    make_append(&m, zeros, 4, 24);
    in = open_one(make_file(&m, "scan.nii"));
    cr_expect_eq(vox_input_info(in, 0)->extension_count, 1);
    vox_input_free(in);

    make_header(&m, 1, false);
    m.bytes[348] = 1; /* flagged, but there is no room for one */
    make_append(&m, zeros, 4, 24);
    in = open_one(make_file(&m, "scan.nii"));
    cr_expect_eq(vox_input_info(in, 0)->extension_count, 0);
    vox_input_free(in);
}

/* ---- Pairs ---- */

static void make_pair(nifti_maker *m, int version) {
    make_header(m, version, false);
    make_text(m, "magic", version == 1 ? "ni1" : "ni2", 4);
    make_field(m, "vox_offset", 0);
}

Test(volume_header, pairs_from_either_name) {
    for (int packed = 0; packed < 4; packed++)
        for (int version = 1; version <= 2; version++) {
            nifti_maker m;
            make_pair(&m, version);
            if (packed == 0)
                m.size -= 4; /* a pair's header needs no extender */
            const char *hdr = packed & 1 ? make_gzip("scan.hdr.gz", m.bytes, m.size)
                                         : make_bytes("scan.hdr", m.bytes, m.size);
            const char *img = packed & 2 ? make_gzip("scan.img.gz", zeros, 96)
                                         : make_bytes("scan.img", zeros, 96);
            const char *names[] = {hdr, img};
            for (int i = 0; i < 2; i++) {
                vox_input *in = open_one(names[i]);
                const vox_volume_info *v = vox_input_info(in, 0);
                cr_expect(v->pair);
                cr_expect_str_eq(v->path, names[i]);
                cr_expect_eq(v->gzip, (packed & 2) != 0);
                vox_input_free(in);
            }
            unlink(hdr);
            unlink(img);
        }
}

Test(volume_header, pairs_with_faults) {
    nifti_maker m;
    make_pair(&m, 1);
    const char *hdr = make_file(&m, "scan.hdr");
    expect_failure(hdr, VOX_ERR_INPUT, volume_test_path("scan.img"));
    const char *img = make_bytes("scan.img", zeros, 95);
    expect_failure(img, VOX_ERR_INPUT, "size=95: too short, the header promises 96 bytes");
    expect_failure(make_file(&m, "scan.nii"), VOX_ERR_INPUT, "NAME.hdr and NAME.img");
    unlink(hdr);
    expect_failure(img, VOX_ERR_INPUT, "sizeof_hdr"); /* 95 bytes of voxels are no header */

    make_pair(&m, 1);
    make_extension(&m, 6, "01234567", 8);
    m.bytes[352] = 64; /* esize: past the end of the header file */
    make_bytes("scan.img", zeros, 96);
    expect_failure(make_file(&m, "scan.hdr"), VOX_ERR_INPUT, "esize=64: reaches past");
    make_header(&m, 1, false);
    make_append(&m, zeros, 4, 24);
    make_file(&m, "scan.hdr");
    vox_error err;
    cr_expect_eq(open_status(volume_test_path("scan.hdr"), &err), VOX_OK); /* a single file */
    cr_expect_eq(open_status(volume_test_path("scan.img"), &err), VOX_ERR_INPUT);
    cr_expect_not_null(strstr(err.message, "scan.hdr: magic=\"n+1\""), "%s", err.message);
}
