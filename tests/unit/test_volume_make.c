/* test_volume_make.c - the byte writer behind the tests of volume, and helpers to read and write
 * whole files. */
#include "test_volume_make.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

/* ---- A folder a test ---- */

static char folder[64];

void volume_test_setup(void) {
    strcpy(folder, "/tmp/voxconv-volume-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    unsetenv("FSLOUTPUTTYPE");
}

void volume_test_teardown(void) {
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.' || e->d_name[1] > '.')
            unlink(volume_test_path(e->d_name));
    if (d)
        closedir(d);
    rmdir(folder);
}

const char *volume_test_path(const char *name) {
    static char path[32][400];
    static int next;
    next = (next + 1) % 32;
    snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
    return path[next];
}

/* ---- Fields: name, and for each version type and offset (comments of nifti1.h and nifti2.h) ----
 */

typedef struct field {
    const char *name;
    char type1; /* b: 8 bit, s: 16, i: 32, l: 64, f: float, d: double */
    int offset1;
    char type2;
    int offset2;
} field;

static const field fields[] = {
    {"sizeof_hdr", 'i', 0, 'i', 0},      {"dim_info", 'b', 39, 'b', 524},
    {"dim", 's', 40, 'l', 16},           {"intent_p1", 'f', 56, 'd', 80},
    {"intent_p2", 'f', 60, 'd', 88},     {"intent_p3", 'f', 64, 'd', 96},
    {"intent_code", 's', 68, 'i', 504},  {"datatype", 's', 70, 's', 12},
    {"bitpix", 's', 72, 's', 14},        {"slice_start", 's', 74, 'l', 224},
    {"pixdim", 'f', 76, 'd', 104},       {"vox_offset", 'f', 108, 'l', 168},
    {"scl_slope", 'f', 112, 'd', 176},   {"scl_inter", 'f', 116, 'd', 184},
    {"slice_end", 's', 120, 'l', 232},   {"slice_code", 'b', 122, 'i', 496},
    {"xyzt_units", 'b', 123, 'i', 500},  {"cal_max", 'f', 124, 'd', 192},
    {"cal_min", 'f', 128, 'd', 200},     {"slice_duration", 'f', 132, 'd', 208},
    {"toffset", 'f', 136, 'd', 216},     {"descrip", 'b', 148, 'b', 240},
    {"aux_file", 'b', 228, 'b', 320},    {"qform_code", 's', 252, 'i', 344},
    {"sform_code", 's', 254, 'i', 348},  {"quatern_b", 'f', 256, 'd', 352},
    {"quatern_c", 'f', 260, 'd', 360},   {"quatern_d", 'f', 264, 'd', 368},
    {"qoffset_x", 'f', 268, 'd', 376},   {"qoffset_y", 'f', 272, 'd', 384},
    {"qoffset_z", 'f', 276, 'd', 392},   {"srow_x", 'f', 280, 'd', 400},
    {"srow_y", 'f', 296, 'd', 432},      {"srow_z", 'f', 312, 'd', 464},
    {"intent_name", 'b', 328, 'b', 508}, {"magic", 'b', 344, 'b', 4},
};

static int type_bytes(char type) {
    return type == 'b' ? 1 : type == 's' ? 2 : type == 'i' || type == 'f' ? 4 : 8;
}

/* Type and offset of "name" or "name[i]". */
static int find_field(const nifti_maker *m, const char *name, char *type) {
    const size_t length = strcspn(name, "[");
    const int index = name[length] ? atoi(name + length + 1) : 0;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (strlen(fields[i].name) == length && strncmp(fields[i].name, name, length) == 0) {
            *type = m->version == 1 ? fields[i].type1 : fields[i].type2;
            return (m->version == 1 ? fields[i].offset1 : fields[i].offset2) +
                   index * type_bytes(*type);
        }
    cr_assert_fail("no field %s", name);
    return 0;
}

/* The low `size` bytes of a number, in the file's order. */
static void put(nifti_maker *m, int64_t at, uint64_t bits, int size) {
    for (int i = 0; i < size; i++)
        m->bytes[at + (m->big_endian ? size - 1 - i : i)] = (unsigned char)(bits >> (8 * i));
}

void make_field(nifti_maker *m, const char *name, double value) {
    char type = 0;
    const int at = find_field(m, name, &type);
    const float single = (float)value;
    uint64_t bits;
    uint32_t word;
    memcpy(&bits, &value, sizeof bits);
    memcpy(&word, &single, sizeof word);
    if (type == 'f')
        bits = word;
    else if (type != 'd')
        bits = (uint64_t)(int64_t)value;
    put(m, at, bits, type_bytes(type));
}

void make_text(nifti_maker *m, const char *name, const char *text, int bytes) {
    char type = 0;
    memcpy(m->bytes + find_field(m, name, &type), text, (size_t)bytes);
}

void make_dims(nifti_maker *m, int rank, const int64_t *dim) {
    char name[16];
    make_field(m, "dim[0]", rank);
    for (int i = 1; i <= 7; i++) {
        snprintf(name, sizeof name, "dim[%d]", i);
        make_field(m, name, i <= rank ? (double)dim[i - 1] : 1);
    }
}

void make_datatype(nifti_maker *m, int datatype, int bitpix) {
    make_field(m, "datatype", datatype);
    make_field(m, "bitpix", bitpix);
}

void make_header(nifti_maker *m, int version, bool big_endian) {
    static const int64_t dim[3] = {4, 3, 2};
    memset(m, 0, sizeof *m);
    m->version = version;
    m->big_endian = big_endian;
    m->size = (version == 1 ? 348 : 540) + 4;
    make_field(m, "sizeof_hdr", version == 1 ? 348 : 540);
    if (version == 1)
        make_text(m, "magic", "n+1", 4);
    else
        make_text(m, "magic", "n+2\0\r\n\032\n", 8);
    make_dims(m, 3, dim);
    make_datatype(m, 16, 32);
    make_field(m, "pixdim[0]", 1);
    make_field(m, "pixdim[1]", 1);
    make_field(m, "pixdim[2]", 1);
    make_field(m, "pixdim[3]", 1);
    make_data_here(m);
}

void make_extension(nifti_maker *m, int32_t ecode, const void *edata, int32_t bytes) {
    m->bytes[m->version == 1 ? 348 : 540] = 1;
    put(m, m->size, (uint64_t)(bytes + 8), 4);
    put(m, m->size + 4, (uint64_t)ecode, 4);
    memcpy(m->bytes + m->size + 8, edata, (size_t)bytes);
    m->size += bytes + 8;
}

void make_append(nifti_maker *m, const void *values, int size, int64_t count) {
    for (int64_t i = 0; i < count; i++, m->size += size) {
        const unsigned char *v = (const unsigned char *)values + i * size;
        uint64_t bits = 0;
        uint32_t word;
        uint16_t half;
        if (size == 1)
            bits = *v;
        else if (size == 2)
            memcpy(&half, v, 2), bits = half;
        else if (size == 4)
            memcpy(&word, v, 4), bits = word;
        else
            memcpy(&bits, v, 8);
        put(m, m->size, bits, size);
    }
}

void make_data_here(nifti_maker *m) {
    make_field(m, "vox_offset", (double)m->size);
}

/* ---- Files ---- */

const char *make_bytes(const char *name, const void *bytes, int64_t size) {
    const char *path = volume_test_path(name);
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(bytes, 1, (size_t)size, f), (size_t)size);
    cr_assert_eq(fclose(f), 0);
    return path;
}

const char *make_gzip(const char *name, const void *bytes, int64_t size) {
    const char *path = volume_test_path(name);
    gzFile f = gzopen(path, "wb");
    cr_assert_not_null(f);
    cr_assert_eq(gzwrite(f, bytes, (unsigned)size), (int)size);
    cr_assert_eq(gzclose(f), Z_OK);
    return path;
}

const char *make_file(const nifti_maker *m, const char *name) {
    return make_bytes(name, m->bytes, m->size);
}

unsigned char *slurp(const char *path, int64_t *size) {
    gzFile f = gzopen(path, "rb");
    cr_assert_not_null(f, "%s is missing", path);
    unsigned char *bytes = malloc(1 << 20);
    *size = gzread(f, bytes, 1 << 20);
    gzclose(f);
    return bytes;
}

/* ---- Whole volumes ---- */

vox_input *open_one(const char *path) {
    vox_error err = {0};
    vox_input *in = vox_input_open(&path, 1, &err);
    cr_assert_not_null(in, "%s", err.message);
    return in;
}

/* A ring of slab + 1 slots with padding everywhere, so that a wrong stride is seen. */
static vox_planes make_ring(int64_t channels, const int64_t size[3], int64_t slab) {
    vox_planes p = {.slots = slab + 1, .channels = channels, .rows = size[1], .columns = size[2]};
    p.row_stride = size[2] + 3;
    p.channel_stride = p.row_stride * (size[1] + 1);
    p.slot_stride = p.channel_stride * channels + 5;
    p.data = calloc((size_t)(p.slots * p.slot_stride), sizeof(float));
    return p;
}

/* Between the ring and plane d of (C, D, H, W). */
static void copy_plane(const vox_planes *p, float *volume, const int64_t size[3], int64_t d,
                       bool to_ring) {
    for (int64_t c = 0; c < p->channels; c++)
        for (int64_t h = 0; h < size[1]; h++) {
            float *row = vox_plane_row(p, c, d, h);
            float *at = volume + ((c * size[0] + d) * size[1] + h) * size[2];
            memcpy(to_ring ? row : at, to_ring ? at : row, (size_t)size[2] * sizeof(float));
        }
}

float *read_everything(vox_input *in, const vox_layout *l, int64_t slab) {
    vox_error err = {0};
    vox_reader *r = vox_reader_new(in, l, slab, false, &err);
    cr_assert_not_null(r, "%s", err.message);
    vox_planes ring = make_ring(l->channels, l->size, slab);
    const int64_t frame = l->channels * l->size[0] * l->size[1] * l->size[2];
    float *all = malloc((size_t)(l->batch * frame) * sizeof(float));
    for (int64_t n = 0; n < l->batch; n++)
        for (int64_t d = 0; d < l->size[0]; d += slab) {
            const int64_t count = vox_min(slab, l->size[0] - d);
            cr_assert_eq(vox_reader_planes(r, n, d, count, &ring, 2, &err), VOX_OK, "%s",
                         err.message);
            for (int64_t i = 0; i < count; i++)
                copy_plane(&ring, all + n * frame, l->size, d + i, false);
        }
    cr_assert_eq(vox_reader_finish(r, NULL, NULL, &err), VOX_OK, "%s", err.message);
    vox_reader_free(r);
    free(ring.data);
    return all;
}

vox_status write_everything(const vox_input *in, vox_output *o, const float *values, int64_t batch,
                            vox_error *err) {
    vox_writer *w = vox_writer_new(in, o, err);
    if (!w)
        return err->status;
    vox_planes ring = make_ring(o->channels, o->size, o->slab_planes);
    const int64_t frame = o->channels * o->size[0] * o->size[1] * o->size[2];
    float *copy = malloc((size_t)frame * sizeof(float));
    vox_status status = VOX_OK;
    for (int64_t n = 0; n < batch; n++) {
        memcpy(copy, values + n * frame, (size_t)frame * sizeof(float));
        for (int64_t d = 0; !status && d < o->size[0]; d += o->slab_planes) {
            const int64_t count = vox_min(o->slab_planes, o->size[0] - d);
            for (int64_t i = 0; i < count; i++)
                copy_plane(&ring, copy, o->size, d + i, true);
            status = vox_writer_planes(w, n, d, count, &ring, err);
        }
    }
    if (!status)
        status = vox_writer_finish(w, err);
    vox_writer_free(w);
    free(copy);
    free(ring.data);
    return status;
}
