/* header.c - reads a NIfTI header from a source and checks every field that anything depends on. */
#include "volume/header.h"

#include "volume/extensions.h"
#include "volume/geometry.h"
#include "volume/npy_header.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The fields that both versions have and that differ in type; vox_offset, a float in NIfTI-1, is
 * handled apart. */
#define COMMON_FIELDS(FIELD, ARRAY)                                                                \
    FIELD(datatype)                                                                                \
    FIELD(bitpix)                                                                                  \
    ARRAY(dim, 8)                                                                                  \
    FIELD(intent_p1)                                                                               \
    FIELD(intent_p2)                                                                               \
    FIELD(intent_p3)                                                                               \
    ARRAY(pixdim, 8)                                                                               \
    FIELD(scl_slope)                                                                               \
    FIELD(scl_inter)                                                                               \
    FIELD(cal_max)                                                                                 \
    FIELD(cal_min)                                                                                 \
    FIELD(slice_duration)                                                                          \
    FIELD(toffset)                                                                                 \
    FIELD(slice_start)                                                                             \
    FIELD(slice_end)                                                                               \
    ARRAY(descrip, 80)                                                                             \
    ARRAY(aux_file, 24)                                                                            \
    FIELD(qform_code)                                                                              \
    FIELD(sform_code)                                                                              \
    FIELD(quatern_b)                                                                               \
    FIELD(quatern_c)                                                                               \
    FIELD(quatern_d)                                                                               \
    FIELD(qoffset_x)                                                                               \
    FIELD(qoffset_y)                                                                               \
    FIELD(qoffset_z)                                                                               \
    ARRAY(srow_x, 4)                                                                               \
    ARRAY(srow_y, 4)                                                                               \
    ARRAY(srow_z, 4)                                                                               \
    FIELD(slice_code)                                                                              \
    FIELD(xyzt_units)                                                                              \
    FIELD(intent_code)                                                                             \
    ARRAY(intent_name, 16)                                                                         \
    FIELD(dim_info)

void vox_header_widen(const nifti_1_header *from, nifti_2_header *to) {
    memset(to, 0, sizeof *to);
#define WIDEN(f) to->f = from->f;
#define WIDEN_ARRAY(f, n)                                                                          \
    for (int i = 0; i < n; i++)                                                                    \
        to->f[i] = from->f[i];
    COMMON_FIELDS(WIDEN, WIDEN_ARRAY)
#undef WIDEN
#undef WIDEN_ARRAY
    if (from->vox_offset >= 0 && from->vox_offset < 0x1p63f)
        to->vox_offset = (int64_t)from->vox_offset;
    to->sizeof_hdr = VOX_NIFTI2_BYTES;
    memcpy(to->magic, "n+2\0\r\n\032\n", sizeof to->magic);
    to->magic[1] = from->magic[1];
}

void vox_header_narrow(const nifti_2_header *before, const nifti_2_header *after,
                       nifti_1_header *to) {
#define NARROW(f)                                                                                  \
    if (memcmp(&before->f, &after->f, sizeof after->f) != 0)                                       \
        to->f = after->f;
#define NARROW_ARRAY(f, n)                                                                         \
    for (int i = 0; i < n; i++)                                                                    \
    NARROW(f[i])
    COMMON_FIELDS(NARROW, NARROW_ARRAY)
    NARROW(vox_offset)
#undef NARROW
#undef NARROW_ARRAY
}

void vox_header_plain(nifti_2_header *w, int rank, const int64_t dim[8], const vox_datatype *type) {
    const nifti_1_header zero = {.sizeof_hdr = VOX_NIFTI1_BYTES};
    vox_header_widen(&zero, w);
    w->dim[0] = rank;
    w->pixdim[0] = 1;
    for (int i = 1; i <= 7; i++) {
        w->dim[i] = i <= rank ? dim[i] : 1;
        w->pixdim[i] = 1;
    }
    w->datatype = (int16_t)type->code;
    w->bitpix = (int16_t)(8 * type->bytes);
    w->scl_slope = 1;
}

void vox_header_clear(vox_header *h) {
    free(h->extensions);
    free(h->extension_code);
    free(h->extension_bytes);
    memset(h, 0, sizeof *h);
}

vox_status vox_header_check_size(const char *path, const vox_header *h, int64_t length,
                                 vox_error *err) {
    if (length < 0)
        return VOX_OK;
    if (h->vox_offset > length)
        return vox_fail(err, VOX_ERR_INPUT,
                        "%s: vox_offset=%lld: past the end of the file, which has %lld bytes", path,
                        (long long)h->vox_offset, (long long)length);
    if (h->vox_offset + h->data_bytes > length)
        return vox_fail(
            err, VOX_ERR_INPUT,
            "%s: size=%lld: too short, the header promises %lld bytes (vox_offset %lld and "
            "%lld of voxels)",
            path, (long long)length, (long long)(h->vox_offset + h->data_bytes),
            (long long)h->vox_offset, (long long)h->data_bytes);
    return VOX_OK;
}

/* ---- The bytes: which version, which byte order ---- */

static vox_status read_all(vox_source *s, void *buf, int64_t want, int64_t header_bytes,
                           int64_t before, vox_error *err) {
    int64_t got;
    vox_status status = vox_source_read(s, buf, want, &got, err);
    if (status)
        return status;
    if (got < want)
        return vox_fail(
            err, VOX_ERR_INPUT, "%s: size=%lld: shorter than a NIfTI header of %lld bytes",
            vox_path_text(vox_source_path(s)), (long long)(before + got), (long long)header_bytes);
    return VOX_OK;
}

static vox_status check_magic1(const char *path, vox_header *h, vox_error *err) {
    const char *m = h->raw1.magic;
    if (memcmp(m, "n+1", 4) == 0 || memcmp(m, "ni1", 4) == 0) {
        h->pair = m[1] == 'i';
        return VOX_OK;
    }
    /* ANALYZE has its `smin` here, mostly 0: no text. */
    if (m[0] < ' ' || m[0] > '~')
        return vox_fail(err, VOX_ERR_UNSUPPORTED,
                        "%s: magic is empty: an ANALYZE 7.5 header, not NIfTI; its orientation is "
                        "not defined, convert it first",
                        path);
    return vox_fail(err, VOX_ERR_INPUT, "%s: magic=\"%.4s\": NIfTI-1 has \"n+1\" or \"ni1\"", path,
                    m);
}

static vox_status check_magic2(const char *path, vox_header *h, vox_error *err) {
    const char *m = h->wide.magic;
    if (memcmp(m, "n+2", 4) != 0 && memcmp(m, "ni2", 4) != 0)
        return vox_fail(err, VOX_ERR_INPUT, "%s: magic=\"%.4s\": NIfTI-2 has \"n+2\" or \"ni2\"",
                        path, m);
    if (memcmp(m + 4, "\r\n\032\n", 4) != 0)
        return vox_fail(
            err, VOX_ERR_INPUT,
            "%s: magic=%02x %02x %02x %02x in bytes 8 to 11: NIfTI-2's signature is 0d 0a "
            "1a 0a; the file was damaged by a text-mode transfer",
            path, (unsigned char)m[4], (unsigned char)m[5], (unsigned char)m[6],
            (unsigned char)m[7]);
    h->pair = m[1] == 'i';
    return VOX_OK;
}

static vox_status read_raw(vox_source *s, const unsigned char start[4], vox_header *h,
                           vox_error *err) {
    const char *path = vox_path_text(vox_source_path(s));
    unsigned char buf[VOX_NIFTI2_BYTES];
    int32_t size;
    vox_status status;
    memcpy(buf, start, sizeof size);
    memcpy(&size, buf, sizeof size);
    const int32_t other = (int32_t)__builtin_bswap32((uint32_t)size);
    h->swapped = other == VOX_NIFTI1_BYTES || other == VOX_NIFTI2_BYTES;
    if (!h->swapped && size != VOX_NIFTI1_BYTES && size != VOX_NIFTI2_BYTES)
        return vox_fail(
            err, VOX_ERR_INPUT,
            "%s: sizeof_hdr=%d: no NIfTI file, which has 348 or 540 here in either byte "
            "order",
            path, (int)size);
    const int32_t bytes = h->swapped ? other : size;
    status = read_all(s, buf + sizeof size, bytes - (int64_t)sizeof size, bytes, sizeof size, err);
    if (status)
        return status;
    h->version = bytes == VOX_NIFTI1_BYTES ? 1 : 2;
    if (h->swapped)
        swap_nifti_header(buf, h->version);
    if (h->version == 2) {
        memcpy(&h->wide, buf, sizeof h->wide);
        return check_magic2(path, h, err);
    }
    memcpy(&h->raw1, buf, sizeof h->raw1);
    vox_header_widen(&h->raw1, &h->wide);
    return check_magic1(path, h, err);
}

/* ---- The fields ---- */

static vox_status check_type(const char *path, vox_header *h, vox_error *err) {
    const int code = h->wide.datatype;
    h->type = vox_datatype_find(code);
    if (!h->type && vox_datatype_not_served(code))
        return vox_fail(err, VOX_ERR_UNSUPPORTED, "%s: datatype=%d: %s voxels are not supported",
                        path, code, vox_datatype_not_served(code));
    if (!h->type)
        return vox_fail(err, VOX_ERR_INPUT, "%s: datatype=%d: no type that NIfTI defines", path,
                        code);
    if (h->wide.bitpix != 8 * h->type->bytes)
        return vox_fail(err, VOX_ERR_INPUT, "%s: bitpix=%d: %s (datatype=%d) has %d bits a voxel",
                        path, h->wide.bitpix, h->type->name, code, 8 * h->type->bytes);
    return VOX_OK;
}

static vox_status check_dims(const char *path, vox_header *h, vox_error *err) {
    const int64_t rank = h->wide.dim[0];
    if (rank < 1 || rank > 7)
        return vox_fail(err, VOX_ERR_INPUT, "%s: dim[0]=%lld: a volume has 1 to 7 axes", path,
                        (long long)rank);
    h->dim[0] = rank;
    h->data_bytes = h->type->bytes;
    for (int i = 1; i <= 7; i++) {
        h->dim[i] = i <= rank ? h->wide.dim[i] : 1;
        if (h->dim[i] <= 0)
            return vox_fail(err, VOX_ERR_INPUT, "%s: dim[%d]=%lld: an axis has at least 1 voxel",
                            path, i, (long long)h->dim[i]);
        if (!vox_mul(h->data_bytes, h->dim[i], &h->data_bytes))
            return vox_fail(err, VOX_ERR_INPUT,
                            "%s: dim[%d]=%lld: the volume would exceed 2^63 bytes", path, i,
                            (long long)h->dim[i]);
    }
    return VOX_OK;
}

static vox_status check_offset(const char *path, vox_header *h, vox_error *err) {
    if (h->version == 1) {
        const float v = h->raw1.vox_offset;
        const char *reason = !isfinite(v)     ? "not finite"
                             : v < 0          ? "negative"
                             : v != truncf(v) ? "not a whole number of bytes"
                             : v >= 0x1p63f   ? "beyond any file"
                                              : NULL;
        if (reason)
            return vox_fail(err, VOX_ERR_INPUT, "%s: vox_offset=%g: %s", path, (double)v, reason);
    }
    h->vox_offset = h->wide.vox_offset;
    if (h->vox_offset < 0)
        return vox_fail(err, VOX_ERR_INPUT, "%s: vox_offset=%lld: negative", path,
                        (long long)h->vox_offset);
    const int64_t least =
        h->pair ? 0 : VOX_EXTENDER_BYTES + (h->version == 1 ? VOX_NIFTI1_BYTES : VOX_NIFTI2_BYTES);
    if (h->vox_offset < least)
        return vox_fail(err, VOX_ERR_INPUT,
                        "%s: vox_offset=%lld: inside the header, which takes %lld bytes", path,
                        (long long)h->vox_offset, (long long)least);
    int64_t end;
    if (!vox_add(h->vox_offset, h->data_bytes, &end))
        return vox_fail(err, VOX_ERR_INPUT,
                        "%s: vox_offset=%lld: the voxels would exceed 2^63 bytes", path,
                        (long long)h->vox_offset);
    return VOX_OK;
}

static vox_status check_scaling(const char *path, vox_header *h, vox_error *err) {
    const double slope = h->wide.scl_slope, inter = h->wide.scl_inter;
    h->scaling = (vox_scaling){.slope = 1};
    if (!h->type->scalable || slope == 0 || !isfinite(slope) || (slope == 1 && inter == 0))
        return VOX_OK;
    if (!isfinite(inter))
        return vox_fail(err, VOX_ERR_INPUT,
                        "%s: scl_inter=%g: not finite while scl_slope=%g is in use", path, inter,
                        slope);
    h->scaling = (vox_scaling){.active = true, .slope = slope, .inter = inter};
    return VOX_OK;
}

static vox_status check_fields(const char *path, vox_header *h, vox_error *err) {
    vox_status status;
    double value = 0;
    if ((status = check_type(path, h, err)) || (status = check_dims(path, h, err)) ||
        (status = check_offset(path, h, err)) || (status = check_scaling(path, h, err)))
        return status;
    const char *bad = vox_geometry_bad_field(&h->wide, &value);
    if (bad)
        return vox_fail(err, VOX_ERR_INPUT,
                        "%s: %s=%g: not finite while in use (qform_code=%d, sform_code=%d)", path,
                        bad, value, (int)h->wide.qform_code, (int)h->wide.sform_code);
    return VOX_OK;
}

vox_status vox_header_read(vox_source *s, vox_header *h, vox_error *err) {
    const char *path = vox_path_text(vox_source_path(s));
    unsigned char start[4];
    memset(h, 0, sizeof *h);
    vox_status status = read_all(s, start, sizeof start, VOX_NIFTI1_BYTES, 0, err);
    if (status)
        return status;
    if (vox_npy_begins(start, sizeof start))
        return vox_header_read_npy(s, start, h, err);
    if ((status = read_raw(s, start, h, err)) || (status = check_fields(path, h, err)))
        return status;
    if (!h->pair && (status = vox_header_check_size(path, h, vox_source_bytes(s), err)))
        return status;
    return vox_extensions_read(s, h, err);
}
