/* phantom DIR - writes the sample volumes ct.nii.gz, mri.nii.gz and frames.nii.gz, bit for bit the
 * same on every little-endian machine.
 *
 * A head of ellipsoids after Shepp and Logan ("The Fourier reconstruction of a head section", IEEE
 * Trans. Nucl. Sci. 21, 1974; our own numbers, in three dimensions) is sampled with eight points a
 * voxel, so that edges have partial volumes, and gets noise. All of it is integer arithmetic with a
 * generator of our own, so no libm and no rounding mode has a say; the gzip stream is written as
 * stored blocks, so no version of zlib has one either.
 */
#include <nifti1.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* ---- The head: lengths in tenths of a millimetre ---- */

/* Centre, half-axes {x, y, z} and what it sets the tissue to. Turned in the x-y plane by the angle
 * whose sine and cosine are sine/25 and cosine/25 (7, 24 are about 16 degrees). Later ones lie over
 * earlier ones. */
typedef struct ellipsoid {
    int centre[3], half[3];
    int sine, cosine;
    int hu, mri; /* CT value in Hounsfield units, MRI grey value */
} ellipsoid;

static const ellipsoid head[] = {
    {{0, 0, 0}, {720, 920, 820}, 0, 25, 40, 170},         /* scalp */
    {{0, 0, 0}, {680, 880, 780}, 0, 25, 1100, 18},        /* skull */
    {{0, -10, -5}, {625, 825, 725}, 0, 25, 12, 25},       /* fluid round the brain */
    {{0, -10, -5}, {600, 795, 700}, 0, 25, 38, 105},      /* grey matter */
    {{-270, 0, 40}, {250, 560, 430}, -7, 24, 29, 150},    /* white matter, right */
    {{270, 0, 40}, {250, 560, 430}, 7, 24, 29, 150},      /* white matter, left */
    {{-110, 60, 80}, {60, 290, 150}, -7, 24, 8, 30},      /* ventricle, right */
    {{110, 60, 80}, {60, 290, 150}, 7, 24, 8, 30},        /* ventricle, left */
    {{-180, 40, -60}, {110, 170, 120}, 0, 25, 41, 115},   /* thalamus, right */
    {{180, 40, -60}, {110, 170, 120}, 0, 25, 41, 115},    /* thalamus, left */
    {{0, -560, -420}, {420, 230, 210}, 0, 25, 36, 122},   /* cerebellum */
    {{0, -60, -480}, {120, 140, 330}, 0, 25, 33, 138},    /* brain stem */
    {{330, 330, 60}, {95, 95, 95}, 0, 25, 72, 205},       /* a lesion that takes up contrast */
    {{320, 340, 65}, {45, 45, 45}, 0, 25, 18, 60},        /* and its core */
    {{0, 640, -560}, {140, 170, 150}, 0, 25, -1000, 4},   /* a sinus full of air */
    {{-300, 690, -390}, {125, 125, 125}, 0, 25, 14, 190}, /* eyes */
    {{300, 690, -390}, {125, 125, 125}, 0, 25, 14, 190},
};
enum { ELLIPSOIDS = sizeof head / sizeof *head, LESION = 12 };

static bool inside(const ellipsoid *e, const int at[3]) {
    int64_t x = at[0] - e->centre[0], y = at[1] - e->centre[1], z = at[2] - e->centre[2];
    int64_t u = (e->cosine * x + e->sine * y) / 25, v = (e->cosine * y - e->sine * x) / 25;
    int64_t a = e->half[0], b = e->half[1], c = e->half[2];
    if (llabs(u) > a || llabs(v) > b || llabs(z) > c)
        return false;
    /* Half-axes stay under 1000, so each product stays under 10^18. */
    return u * u * b * b * c * c + v * v * a * a * c * c + z * z * a * a * b * b <=
           a * a * b * b * c * c;
}

/* The uppermost tissue at a point, -1 in the air around the head. */
static int tissue_at(const int at[3]) {
    for (int i = ELLIPSOIDS - 1; i >= 0; i--)
        if (inside(&head[i], at))
            return i;
    return -1;
}

/* ---- Noise ---- */

/* Marsaglia's xorshift64* ("Xorshift RNGs", J. Stat. Soft. 8, 2003; multiplier from Vigna). */
static uint64_t draw(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

/* About normal with mean 0 and a standard deviation of `sigma`: the sum of twelve values that are
 * even over 1024 steps has a variance of 1024^2. */
static int noise(uint64_t *state, int sigma) {
    int sum = 0;
    for (int i = 0; i < 12; i++)
        sum += (int)(draw(state) >> 54);
    return (sum - 6 * 1023) * sigma / 1024;
}

/* ---- Scans ---- */

/* What one scan looks at: extents, voxel size in tenths of a millimetre, and how a tissue looks. */
typedef struct scan {
    int size[3], voxel[3], frames, sigma;
    int (*value)(int tissue, const int at[3], int frame);
    void (*store)(unsigned char *to, int value);
    int bytes;
    uint64_t seed;
} scan;

static int ct_value(int tissue, const int at[3], int frame) {
    (void)at;
    (void)frame;
    return tissue < 0 ? -1000 : head[tissue].hu;
}

/* A surface coil's shading: brighter towards the front, by up to a quarter. */
static int mri_value(int tissue, const int at[3], int frame) {
    (void)frame;
    return tissue < 0 ? 3 : head[tissue].mri * (4000 + at[1]) / 4000;
}

/* Contrast agent arrives in the lesion and leaves again. */
static int frames_value(int tissue, const int at[3], int frame) {
    static const int uptake[] = {100, 110, 180, 150, 125};
    int value = 8 * mri_value(tissue, at, frame);
    return tissue == LESION ? value * uptake[frame] / 100 : value;
}

/* Little-endian, whatever the machine is. */
static void store_16(unsigned char *to, int value) {
    to[0] = (unsigned char)(value & 255);
    to[1] = (unsigned char)(value >> 8 & 255);
}

static void store_8(unsigned char *to, int value) {
    to[0] = (unsigned char)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* The CT's file values v stand for 0.5*v - 1024 Hounsfield units. */
static void store_ct(unsigned char *to, int value) {
    store_16(to, (value + 1024) * 2);
}

/* Eight points a voxel, at a quarter and three quarters of each edge. */
static int sample(const scan *s, const int voxel[3], int frame) {
    int sum = 0;
    for (int point = 0; point < 8; point++) {
        int at[3];
        for (int a = 0; a < 3; a++) {
            int quarters = 4 * voxel[a] - 2 * s->size[a] + (point >> a & 1 ? 3 : 1);
            at[a] = quarters * s->voxel[a] / 4;
        }
        sum += s->value(tissue_at(at), at, frame);
    }
    return sum / 8;
}

static void draw_scan(const scan *s, unsigned char *to) {
    uint64_t state = s->seed;
    int v[3];
    for (int frame = 0; frame < s->frames; frame++)
        for (v[2] = 0; v[2] < s->size[2]; v[2]++)
            for (v[1] = 0; v[1] < s->size[1]; v[1]++)
                for (v[0] = 0; v[0] < s->size[0]; v[0]++, to += s->bytes)
                    s->store(to, sample(s, v, frame) + noise(&state, s->sigma));
}

/* ---- Headers ---- */

static void common_header(nifti_1_header *h, const scan *s, int datatype, const char *descrip) {
    memset(h, 0, sizeof *h);
    h->sizeof_hdr = 348;
    h->regular = 'r';
    h->dim[0] = s->frames > 1 ? 4 : 3;
    for (int a = 0; a < 7; a++)
        h->dim[a + 1] = 1;
    for (int a = 0; a < 3; a++) {
        h->dim[a + 1] = (short)s->size[a];
        h->pixdim[a + 1] = (float)s->voxel[a] / 10.0f;
    }
    h->dim[4] = (short)s->frames;
    h->pixdim[0] = 1.0f;
    h->datatype = (short)datatype;
    h->bitpix = (short)(8 * s->bytes);
    h->vox_offset = 352.0f;
    h->scl_slope = 1.0f;
    h->xyzt_units = NIFTI_UNITS_MM;
    snprintf(h->descrip, sizeof h->descrip, "%s", descrip);
    memcpy(h->magic, "n+1", 4);
}

/* Gives the header a qform: the rotation of the unit quaternion (a, b, c, d)/29 and an offset that
 * puts the middle of the volume near the scanner's centre. NIfTI keeps b, c and d. */
static void set_qform(nifti_1_header *h, const int quatern[4], double r[3][3]) {
    double a = quatern[0] / 29.0, b = quatern[1] / 29.0, c = quatern[2] / 29.0;
    double d = quatern[3] / 29.0;
    const double rotation[3][3] = {
        {a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)},
        {2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)},
        {2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b},
    };
    double offset[3] = {0.0, 0.0, 0.0};
    for (int row = 0; row < 3; row++)
        for (int axis = 0; axis < 3; axis++) {
            r[row][axis] = rotation[row][axis] * h->pixdim[axis + 1];
            offset[row] -= r[row][axis] * (h->dim[axis + 1] - 1) / 2.0;
        }
    h->qform_code = NIFTI_XFORM_SCANNER_ANAT;
    h->quatern_b = (float)b;
    h->quatern_c = (float)c;
    h->quatern_d = (float)d;
    h->qoffset_x = (float)offset[0];
    h->qoffset_y = (float)offset[1];
    h->qoffset_z = (float)offset[2];
}

/* The same affine once more as sform. */
static void set_sform(nifti_1_header *h, double r[3][3]) {
    float *rows[3] = {h->srow_x, h->srow_y, h->srow_z};
    const float offset[3] = {h->qoffset_x, h->qoffset_y, h->qoffset_z};
    h->sform_code = NIFTI_XFORM_SCANNER_ANAT;
    for (int row = 0; row < 3; row++) {
        for (int axis = 0; axis < 3; axis++)
            rows[row][axis] = (float)r[row][axis];
        rows[row][3] = offset[row];
    }
}

/* ---- Files ---- */

static void put_32(unsigned char *to, uint32_t v) {
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)(v >> 8 * i & 255);
}

/* A gzip member (RFC 1952) of stored blocks (RFC 1951, 3.2.4). */
static bool write_stored_gzip(FILE *f, const unsigned char *data, size_t bytes) {
    static const unsigned char start[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
    unsigned char end[8];
    bool good = fwrite(start, 1, sizeof start, f) == sizeof start;
    for (size_t at = 0; at < bytes && good;) {
        unsigned length = bytes - at < 65535 ? (unsigned)(bytes - at) : 65535;
        unsigned char block[5] = {at + length == bytes};
        store_16(block + 1, (int)length);
        store_16(block + 3, (int)~length);
        good = fwrite(block, 1, sizeof block, f) == sizeof block &&
               fwrite(data + at, 1, length, f) == length;
        at += length;
    }
    put_32(end, (uint32_t)crc32_z(0, data, bytes));
    put_32(end + 4, (uint32_t)bytes);
    return good && fwrite(end, 1, sizeof end, f) == sizeof end;
}

static bool write_scan(const char *folder, const char *name, const nifti_1_header *h,
                       const scan *s) {
    enum { VOXELS_AT = 352 };
    size_t voxels = (size_t)s->size[0] * (size_t)s->size[1] * (size_t)s->size[2];
    size_t bytes = VOXELS_AT + voxels * (size_t)s->frames * (size_t)s->bytes;
    char path[4096];
    bool good = false;
    FILE *f = NULL;
    unsigned char *data = calloc(bytes, 1);
    if (!data)
        goto out;
    memcpy(data, h, sizeof *h);
    draw_scan(s, data + VOXELS_AT);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "wb");
    good = f && write_stored_gzip(f, data, bytes);
out:
    if (f && fclose(f) != 0)
        good = false;
    if (!good)
        fprintf(stderr, "phantom: %s/%s: cannot be written\n", folder, name);
    free(data);
    return good;
}

/* The CT lies oblique in the scanner: turned by 30 degrees about an axis near (1, 1, 1). */
static bool write_ct(const char *folder) {
    const scan s = {{72, 92, 30}, {22, 22, 58}, 1, 9, ct_value, store_ct, 2, 20261};
    const int quatern[4] = {28, 4, 4, 5}; /* 784 + 16 + 16 + 25 = 841 = 29^2 */
    nifti_1_header h;
    double r[3][3];
    common_header(&h, &s, DT_INT16, "voxconv phantom, CT-like, HU = 0.5*v - 1024");
    h.scl_slope = 0.5f;
    h.scl_inter = -1024.0f;
    h.cal_min = -160.0f;
    h.cal_max = 240.0f;
    set_qform(&h, quatern, r);
    set_sform(&h, r);
    return write_scan(folder, "ct.nii.gz", &h, &s);
}

static bool write_mri(const char *folder) {
    const scan s = {{80, 100, 36}, {20, 20, 48}, 1, 5, mri_value, store_8, 1, 20262};
    const int quatern[4] = {29, 0, 0, 0};
    nifti_1_header h;
    double r[3][3];
    common_header(&h, &s, DT_UINT8, "voxconv phantom, T1-like");
    set_qform(&h, quatern, r);
    return write_scan(folder, "mri.nii.gz", &h, &s);
}

static bool write_frames(const char *folder) {
    const scan s = {{36, 46, 14}, {44, 44, 120}, 5, 30, frames_value, store_16, 2, 20263};
    const int quatern[4] = {29, 0, 0, 0};
    nifti_1_header h;
    double r[3][3];
    common_header(&h, &s, DT_INT16, "voxconv phantom, five frames of a contrast study");
    h.pixdim[4] = 2.5f;
    h.xyzt_units = NIFTI_UNITS_MM | NIFTI_UNITS_SEC;
    set_qform(&h, quatern, r);
    set_sform(&h, r);
    return write_scan(folder, "frames.nii.gz", &h, &s);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: phantom DIR\n");
        return 2;
    }
    return write_ct(argv[1]) && write_mri(argv[1]) && write_frames(argv[1]) ? 0 : 1;
}
