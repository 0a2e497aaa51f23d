/* header_npy.c - a tensor in a .npy file as a volume: what its header says, in NIfTI's fields. */
#include "volume/header.h"
#include "volume/npy_header.h"

#include <string.h>

/* A source of which the first bytes were taken. */
typedef struct started {
    vox_source *source;
    const unsigned char *start;
    int64_t left; /* of them */
} started;

static vox_status read_part(vox_npy_source *s, const char *part, void *buf, int64_t bytes,
                            vox_error *err) {
    started *from = s->context;
    const int64_t early = vox_min(from->left, bytes);
    int64_t got;
    memcpy(buf, from->start, (size_t)early);
    from->start += early;
    from->left -= early;
    vox_status status =
        vox_source_read(from->source, (unsigned char *)buf + early, bytes - early, &got, err);
    if (!status && got < bytes - early)
        return vox_fail(err, VOX_ERR_INPUT, "%s: %s needs %lld bytes, %lld are left", s->label,
                        part, (long long)bytes, (long long)(early + got));
    return status;
}

/* The type's row in NIfTI's table; NULL where it has none. */
static const vox_datatype *find_type(const vox_npy_header *npy) {
    const char *kind = npy->kind == 'f' ? "float" : npy->kind == 'i' ? "int" : "uint";
    char name[16]; /* a bool is stored as a byte of 0 or 1 */
    snprintf(name, sizeof name, "%s%d", kind, 8 * npy->bytes);
    return vox_datatype_find(vox_datatype_from_name(name));
}

/* What can be streamed: planes of rows, in their order, of a type that NIfTI has. */
static vox_status check(const char *path, const vox_npy_header *npy, vox_header *h,
                        vox_error *err) {
    char shape[VOX_SHAPE_TEXT];
    vox_shape_text(npy->rank, npy->shape, shape);
    h->type = find_type(npy);
    if (!h->type)
        return vox_fail(err, VOX_ERR_UNSUPPORTED,
                        "%s: descr='%c%d': float16 is read as weights only; save it as float32",
                        path, npy->kind, npy->bytes);
    if (npy->fortran_order)
        return vox_fail(err, VOX_ERR_UNSUPPORTED,
                        "%s: fortran_order=True: W has to be the fastest axis; save "
                        "numpy.ascontiguousarray(x)",
                        path);
    if (npy->rank < 3 || npy->rank > 5)
        return vox_fail(err, VOX_ERR_INPUT,
                        "%s: shape=%s: a tensor has 3 to 5 axes: (D, H, W), (C, D, H, W) or (N, C, "
                        "D, H, W)",
                        path, shape);
    h->data_bytes = npy->bytes;
    for (int i = 0; i < npy->rank; i++) {
        if (npy->shape[i] == 0)
            return vox_fail(err, VOX_ERR_INPUT, "%s: shape=%s: an empty tensor", path, shape);
        if (!vox_mul(h->data_bytes, npy->shape[i], &h->data_bytes) ||
            h->data_bytes > INT64_MAX - h->vox_offset)
            return vox_fail(err, VOX_ERR_INPUT, "%s: shape=%s: more than 2^63 bytes", path, shape);
    }
    return VOX_OK;
}

/* dim and the header that a NIfTI output is made from. */
static void fill(vox_header *h, const vox_npy_header *npy) {
    const double identity[3][4] = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}};
    nifti_1_header none = {.sizeof_hdr = VOX_NIFTI1_BYTES};
    nifti_2_header zero;
    for (int i = 1; i <= 7; i++)
        h->dim[i] = 1;
    for (int i = 0; i < npy->rank; i++) /* W, H, D, then C and N past t */
        h->dim[i < 3 ? 1 + i : 2 + i] = npy->shape[npy->rank - 1 - i];
    h->dim[0] = h->dim[6] > 1 ? 6 : h->dim[5] > 1 ? 5 : 3;
    vox_header_plain(&h->wide, (int)h->dim[0], h->dim, h->type);
    h->wide.sform_code = NIFTI_XFORM_ALIGNED_ANAT;
    memcpy(h->wide.srow_x, identity[0], sizeof identity[0]);
    memcpy(h->wide.srow_y, identity[1], sizeof identity[1]);
    memcpy(h->wide.srow_z, identity[2], sizeof identity[2]);
    h->version = 1;
    for (int i = 1; i <= 6; i++)
        if (h->dim[i] > INT16_MAX)
            h->version = 2;
    vox_header_widen(&none, &zero);
    h->raw1 = none;
    if (h->version == 1)
        vox_header_narrow(&zero, &h->wide, &h->raw1);
}

const char *vox_header_shape_text(const vox_header *h, char text[VOX_SHAPE_TEXT]) {
    const int64_t shape[5] = {h->dim[6], h->dim[5], h->dim[3], h->dim[2], h->dim[1]};
    return vox_shape_text(h->tensor_axes, shape + 5 - h->tensor_axes, text);
}

vox_status vox_header_read_npy(vox_source *s, const unsigned char start[4], vox_header *h,
                               vox_error *err) {
    const char *path = vox_path_text(vox_source_path(s));
    const uint16_t probe = 1;
    started from = {.source = s, .start = start, .left = 4};
    vox_npy_source source = {
        .label = path, .kind = VOX_ERR_INPUT, .read = read_part, .context = &from};
    vox_npy_header npy;
    vox_status status = vox_npy_header_read(&source, &npy, err);
    if (status)
        return status;
    h->vox_offset = source.bytes;
    if ((status = check(path, &npy, h, err)))
        return status;
    h->tensor_axes = npy.rank;
    h->scaling = (vox_scaling){.slope = 1};
    h->swapped = npy.bytes > 1 && npy.big_endian != (*(const unsigned char *)&probe == 0);
    fill(h, &npy);
    return vox_header_check_size(path, h, vox_source_bytes(s), err);
}
