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
    memcpy(h->srow_x, m[0], sizeof h->srow_x);
    memcpy(h->srow_y, m[1], sizeof h->srow_y);
    memcpy(h->srow_z, m[2], sizeof h->srow_z);
}

static void move_qform(nifti_2_header *h, const double origin[3]) {
    const double values[9] = {h->quatern_b, h->quatern_c, h->quatern_d, h->qoffset_x, h->qoffset_y,
                              h->qoffset_z, h->pixdim[1], h->pixdim[2], h->pixdim[3]};
    if (!filled(values, 9) || (h->qform_code <= 0 && !filled(values, 6)))
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
