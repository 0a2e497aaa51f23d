/* geometry.c - affine, orientation and regridding of a NIfTI header. */
#include "volume/geometry.h"

#include <math.h>
#include <string.h>

static nifti_dmat44 qform_matrix(const nifti_2_header *h) {
    return nifti_quatern_to_dmat44(h->quatern_b, h->quatern_c, h->quatern_d, h->qoffset_x,
                                   h->qoffset_y, h->qoffset_z, h->pixdim[1], h->pixdim[2],
                                   h->pixdim[3], h->pixdim[0]);
}

/* Copies of srow_x, srow_y and srow_z in one piece: the fields of a packed header have no
 * alignment. */
static void get_srow(const nifti_2_header *h, double m[3][4]) {
    memcpy(m[0], h->srow_x, sizeof h->srow_x);
    memcpy(m[1], h->srow_y, sizeof h->srow_y);
    memcpy(m[2], h->srow_z, sizeof h->srow_z);
}

static void set_srow(nifti_2_header *h, const double m[3][4]) {
    memcpy(h->srow_x, m[0], sizeof h->srow_x);
    memcpy(h->srow_y, m[1], sizeof h->srow_y);
    memcpy(h->srow_z, m[2], sizeof h->srow_z);
}

const char *vox_geometry_affine(const nifti_2_header *h, double affine[3][4]) {
    if (h->sform_code > 0) {
        get_srow(h, affine);
        return "sform";
    }
    if (h->qform_code > 0) {
        nifti_dmat44 m = qform_matrix(h);
        memcpy(affine, m.m, 3 * sizeof affine[0]);
        return "qform";
    }
    memset(affine, 0, 3 * sizeof affine[0]);
    for (int i = 0; i < 3; i++) /* an unset spacing counts as 1, as in nifticlib */
        affine[i][i] = h->pixdim[i + 1] != 0 ? h->pixdim[i + 1] : 1;
    return "pixdim";
}

double vox_geometry_unit_mm(const nifti_2_header *h) {
    const int unit = XYZT_TO_SPACE(h->xyzt_units);
    return unit == NIFTI_UNITS_METER ? 1e3 : unit == NIFTI_UNITS_MICRON ? 1e-3 : 1;
}

double vox_geometry_voxel_mm3(const nifti_2_header *h) {
    double a[3][4];
    vox_geometry_affine(h, a);
    const double mm = vox_geometry_unit_mm(h);
    const double volume = fabs(a[0][0] * (a[1][1] * a[2][2] - a[1][2] * a[2][1]) -
                               a[0][1] * (a[1][0] * a[2][2] - a[1][2] * a[2][0]) +
                               a[0][2] * (a[1][0] * a[2][1] - a[1][1] * a[2][0])) *
                          mm * mm * mm;
    return isfinite(volume) ? volume : 0;
}

void vox_geometry_orientation(const double affine[3][4], char text[4]) {
    static const char letter[] = "?RLAPSI"; /* by NIFTI_L2R = 1 ... NIFTI_S2I = 6 */
    nifti_dmat44 m = {.m[3][3] = 1};
    memcpy(m.m, affine, 3 * sizeof affine[0]);
    int code[3] = {0, 0, 0};
    nifti_dmat44_to_orientation(m, &code[0], &code[1], &code[2]);
    for (int i = 0; i < 3; i++)
        text[i] = letter[code[i] >= 1 && code[i] <= 6 ? code[i] : 0];
    text[3] = '\0';
}

/* True where all values are finite and at least one is not 0: the form says something. */
static bool filled(const double *v, int n) {
    bool any = false;
    for (int i = 0; i < n; i++) {
        if (!isfinite(v[i]))
            return false;
        any |= v[i] != 0;
    }
    return any;
}

static void move_sform(nifti_2_header *h, const double stride[3], const double origin[3]) {
    double m[3][4];
    get_srow(h, m);
    if (!filled(&m[0][0], 12))
        return;
    for (int r = 0; r < 3; r++) {
        m[r][3] += m[r][0] * origin[2] + m[r][1] * origin[1] + m[r][2] * origin[0];
        for (int c = 0; c < 3; c++)
            m[r][c] *= stride[2 - c];
    }
    set_srow(h, m);
}

static bool qform_filled(const nifti_2_header *h) {
    const double values[9] = {h->quatern_b, h->quatern_c, h->quatern_d, h->qoffset_x, h->qoffset_y,
                              h->qoffset_z, h->pixdim[1], h->pixdim[2], h->pixdim[3]};
    return filled(values, 9) && (h->qform_code > 0 || filled(values, 6));
}

static void move_qform(nifti_2_header *h, const double origin[3]) {
    if (!qform_filled(h))
        return;
    const nifti_dmat44 m = qform_matrix(h);
    double shift[3];
    for (int r = 0; r < 3; r++)
        shift[r] = m.m[r][0] * origin[2] + m.m[r][1] * origin[1] + m.m[r][2] * origin[0];
    h->qoffset_x += shift[0];
    h->qoffset_y += shift[1];
    h->qoffset_z += shift[2];
}

void vox_geometry_move(nifti_2_header *h, const double stride[3], const double origin[3]) {
    bool moved = false;
    for (int a = 0; a < 3; a++)
        moved |= stride[a] != 1 || origin[a] != 0;
    if (!moved)
        return;
    move_sform(h, stride, origin);
    move_qform(h, origin); /* with the old spacing */
    for (int i = 1; i <= 3; i++)
        if (stride[3 - i] != 1) /* an unset spacing counts as 1 */
            h->pixdim[i] = (h->pixdim[i] != 0 ? h->pixdim[i] : 1) * stride[3 - i];
}

/* ---- Turns ---- */

/* The columns of an affine (i, j, k: W, H, D) change places and signs, and where an axis runs from
 * the other end, the origin is that end. */
static void turn_affine(double m[3][4], const vox_turn *t, const int64_t size[3]) {
    double old[3][4];
    memcpy(old, m, sizeof old);
    for (int o = 0; o < 3; o++)
        for (int r = 0; r < 3; r++) {
            const double step = old[r][2 - t->axis[o]];
            m[r][2 - o] = t->reversed[o] ? -step : step;
            if (t->reversed[o])
                m[r][3] += step * (double)(size[t->axis[o]] - 1);
        }
}

/* A rotation's columns in another order and with other signs are a rotation again, or one with a
 * mirror, which is what qfac (pixdim[0]) is for. The spacing goes its own way. */
static void turn_qform(nifti_2_header *h, const vox_turn *t, const int64_t size[3]) {
    if (!qform_filled(h))
        return;
    nifti_dmat44 whole = qform_matrix(h);
    nifti_dmat44 rotation = nifti_quatern_to_dmat44(h->quatern_b, h->quatern_c, h->quatern_d, 0, 0,
                                                    0, 1, 1, 1, h->pixdim[0]);
    turn_affine(whole.m, t, size);
    turn_affine(rotation.m, t, (const int64_t[3]){1, 1, 1});
    double b, c, d, qfac;
    nifti_dmat44_to_quatern(rotation, &b, &c, &d, NULL, NULL, NULL, NULL, NULL, NULL, &qfac);
    h->quatern_b = b;
    h->quatern_c = c;
    h->quatern_d = d;
    h->pixdim[0] = qfac;
    h->qoffset_x = whole.m[0][3];
    h->qoffset_y = whole.m[1][3];
    h->qoffset_z = whole.m[2][3];
}

static void turn_sform(nifti_2_header *h, const vox_turn *t, const int64_t size[3]) {
    double m[3][4];
    if (h->sform_code <= 0 && h->qform_code <= 0) {
        vox_geometry_affine(h, m);
        h->sform_code = NIFTI_XFORM_ALIGNED_ANAT;
    } else
        get_srow(h, m);
    if (!filled(&m[0][0], 12))
        return;
    turn_affine(m, t, size);
    set_srow(h, m);
}

/* A spacing that is moved is set: where it was not, it counts as 1. */
static void turn_spacing(nifti_2_header *h, const vox_turn *t) {
    const double old[3] = {h->pixdim[3], h->pixdim[2], h->pixdim[1]};
    for (int o = 0; o < 3; o++)
        if (t->axis[o] != o)
            h->pixdim[3 - o] = old[t->axis[o]] != 0 ? old[t->axis[o]] : 1;
}

/* nifti1.h: bits 0-1, 2-3 and 4-5 of dim_info name the axes (1 to 3) of frequency, phase and
 * slices. */
static void turn_dim_info(nifti_2_header *h, const vox_turn *t) {
    int turned = h->dim_info & ~0x3f;
    for (int shift = 0; shift < 6; shift += 2) {
        const int named = h->dim_info >> shift & 3;
        if (named)
            turned |= (3 - vox_turn_where(t, 3 - named)) << shift;
    }
    h->dim_info = (char)turned;
}

/* The order in which slices were taken, told from the other end: n-1-s for slice s. Slices that are
 * not named are along z, and have to be named where they no longer are. */
static void turn_slices(nifti_2_header *h, const vox_turn *t, const int64_t size[3]) {
    static const int backwards[] = {[NIFTI_SLICE_SEQ_INC] = NIFTI_SLICE_SEQ_DEC,
                                    [NIFTI_SLICE_SEQ_DEC] = NIFTI_SLICE_SEQ_INC,
                                    [NIFTI_SLICE_ALT_INC] = NIFTI_SLICE_ALT_DEC,
                                    [NIFTI_SLICE_ALT_DEC] = NIFTI_SLICE_ALT_INC,
                                    [NIFTI_SLICE_ALT_INC2] = NIFTI_SLICE_ALT_DEC2,
                                    [NIFTI_SLICE_ALT_DEC2] = NIFTI_SLICE_ALT_INC2};
    const int named = h->dim_info >> 4 & 3, axis = 3 - (named ? named : 3);
    const bool used = h->slice_code != 0 || h->slice_duration != 0 || h->slice_end != 0;
    const int now = vox_turn_where(t, axis);
    if (!named && used && now != axis)
        h->dim_info = (char)(h->dim_info | 3 << 4); /* as before the turn */
    if (!t->reversed[now])
        return;
    if (h->slice_code > 0 && h->slice_code <= NIFTI_SLICE_ALT_DEC2)
        h->slice_code = backwards[h->slice_code];
    const int64_t first = h->slice_start, last = h->slice_end, n = size[axis];
    if (first >= 0 && first < last && last < n) { /* both 0: not filled in */
        h->slice_start = n - 1 - last;
        h->slice_end = n - 1 - first;
    }
}

void vox_geometry_turn(nifti_2_header *h, const vox_turn *t, const int64_t size[3]) {
    if (vox_turn_is_none(t))
        return;
    turn_sform(h, t, size);
    turn_qform(h, t, size); /* with the old spacing */
    turn_spacing(h, t);
    turn_slices(h, t, size);
    turn_dim_info(h, t);
}

const char *vox_geometry_bad_field(const nifti_2_header *h, double *value) {
    static const char *const srow_name[] = {"srow_x", "srow_y", "srow_z"};
    static const char *const q_name[] = {"quatern_b", "quatern_c", "quatern_d",
                                         "qoffset_x", "qoffset_y", "qoffset_z"};
    static const char *const pixdim_name[] = {"pixdim[0]", "pixdim[1]", "pixdim[2]", "pixdim[3]"};
    double srow[3][4];
    get_srow(h, srow);
    const double q[] = {h->quatern_b, h->quatern_c, h->quatern_d,
                        h->qoffset_x, h->qoffset_y, h->qoffset_z};
    if (h->sform_code > 0)
        for (int i = 0; i < 12; i++)
            if (!isfinite(srow[i / 4][i % 4])) {
                *value = srow[i / 4][i % 4];
                return srow_name[i / 4];
            }
    if (h->qform_code > 0)
        for (int i = 0; i < 6; i++)
            if (!isfinite(q[i])) {
                *value = q[i];
                return q_name[i];
            }
    if (h->qform_code > 0 || h->sform_code <= 0) /* pixdim[0] is the qform's handedness */
        for (int i = h->qform_code > 0 ? 0 : 1; i <= 3; i++)
            if (!isfinite(h->pixdim[i])) {
                *value = h->pixdim[i];
                return pixdim_name[i];
            }
    return NULL;
}
