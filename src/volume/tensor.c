/* tensor.c - NIfTI volumes as small arrays: a kernel that was drawn or computed elsewhere. */
#include "volume/volume.h"

#include "volume/input.h"
#include "volume/output_name.h"

#include <stdlib.h>
#include <string.h>

/* Bounds what a short compressed file can make us allocate; 2^28 taps are no kernel. */
enum { MOST_VALUES = 1 << 28 };

/* A volume's faults are a weights file's faults here. */
static void as_weights_error(vox_error *err) {
    if (err && err->status != VOX_ERR_RESOURCE)
        err->status = VOX_ERR_WEIGHTS;
}

static vox_tensor *read_tensor(vox_file *f, vox_error *err) {
    const vox_header *h = &f->header;
    const int rank = (int)h->dim[0];
    int64_t shape[VOX_MAX_RANK];
    if (h->tensor_axes) {
        vox_fail(err, VOX_ERR_WEIGHTS,
                 "%s: a compressed .npy file: weights are read from plain ones", vox_file_name(f));
        return NULL;
    }
    if (h->type->components > 1) {
        vox_fail(err, VOX_ERR_WEIGHTS, "%s: datatype=%s: weights have one number a voxel",
                 vox_file_name(f), h->type->name);
        return NULL;
    }
    if (h->data_bytes / h->type->bytes > MOST_VALUES) {
        vox_fail(err, VOX_ERR_WEIGHTS, "%s: %lld values: too many for weights in a volume",
                 vox_file_name(f), (long long)(h->data_bytes / h->type->bytes));
        return NULL;
    }
    for (int i = 0; i < rank; i++)
        shape[i] = h->dim[rank - i];
    vox_tensor *t = vox_tensor_new(rank, shape, err);
    const int64_t width = h->dim[1];
    unsigned char *row = t ? vox_alloc(width, (size_t)h->type->bytes, "weights", err) : NULL;
    bool good = row != NULL;
    for (int64_t at = 0; good && at < t->count; at += width) {
        good = vox_file_read(f, row, width * h->type->bytes, err) == VOX_OK;
        if (good)
            vox_row_load(h->type, h->swapped, &h->scaling, row, 0, width, t->data + at);
    }
    int64_t trailing;
    good = good && vox_source_finish(f->data, &trailing, err) == VOX_OK;
    free(row);
    if (!good) {
        vox_tensor_free(t);
        return NULL;
    }
    return t;
}

vox_tensor *vox_volume_load_tensor(const char *path, vox_error *err) {
    vox_input *in = vox_input_open(&path, 1, err);
    vox_tensor *t = in ? read_tensor(&in->file[0], err) : NULL;
    if (!t)
        as_weights_error(err);
    vox_input_free(in);
    return t;
}

/* A header of a plain float32 array; version 2 where an axis does not fit version 1. */
static vox_status make_header(const char *path, const vox_tensor *t, bool pair,
                              unsigned char bytes[VOX_NIFTI2_BYTES], int64_t *header_bytes,
                              vox_error *err) {
    nifti_1_header zero, raw;
    nifti_2_header none, w;
    int64_t dim[8];
    bool large = false;
    if (t->rank < 1 || t->rank > 7)
        return vox_fail(err, VOX_ERR_USAGE, "%s: a volume has 1 to 7 axes, the array has %d", path,
                        t->rank);
    for (int i = 1; i <= t->rank; i++) {
        dim[i] = t->shape[t->rank - i];
        large |= dim[i] > INT16_MAX;
        if (dim[i] < 1)
            return vox_fail(err, VOX_ERR_USAGE, "%s: a volume cannot hold an empty array", path);
    }
    memset(&zero, 0, sizeof zero);
    raw = zero;
    vox_header_widen(&zero, &none);
    vox_header_plain(&w, t->rank, dim, vox_datatype_find(NIFTI_TYPE_FLOAT32));
    *header_bytes = large ? VOX_NIFTI2_BYTES : VOX_NIFTI1_BYTES;
    w.vox_offset = pair ? 0 : *header_bytes + VOX_EXTENDER_BYTES;
    w.magic[1] = pair ? 'i' : '+';
    vox_header_narrow(&none, &w, &raw);
    raw.sizeof_hdr = VOX_NIFTI1_BYTES;
    memcpy(raw.magic, pair ? "ni1" : "n+1", sizeof raw.magic);
    memcpy(bytes, large ? (const void *)&w : &raw, (size_t)*header_bytes);
    return VOX_OK;
}

vox_status vox_volume_save_tensor(const char *path, const vox_tensor *t, bool force,
                                  vox_error *err) {
    vox_output_name name;
    unsigned char bytes[VOX_NIFTI2_BYTES];
    const unsigned char extender[VOX_EXTENDER_BYTES] = {0};
    int64_t header_bytes = 0;
    vox_sink *header = NULL, *data = NULL;
    vox_error local = {.status = VOX_OK};
    vox_status status = vox_output_name_resolve(path, -1, -1, &name, &local);
    if (status || (status = make_header(path, t, name.pair, bytes, &header_bytes, &local)))
        goto out;
    const vox_sink_options options = {.gzip = name.gzip, .level = -1, .force = force};
    data = vox_sink_open(name.pair ? name.data : name.header, &options, &local);
    if (data && name.pair)
        header = vox_sink_open(name.header, &options, &local);
    if ((status = local.status))
        goto out;
    vox_sink *first = header ? header : data;
    if ((status = vox_sink_write(first, bytes, header_bytes, &local)) ||
        (status = vox_sink_write(first, extender, sizeof extender, &local)) ||
        (status = vox_sink_write(data, t->data, t->count * (int64_t)sizeof(float), &local)) ||
        (status = vox_sink_close(data, &local)) ||
        (header && (status = vox_sink_close(header, &local))))
        goto out;
    status = vox_sink_publish_all((vox_sink *[]){data, header}, header ? 2 : 1, &local);
out:
    if (status)
        vox_fail(err, status, "%s", local.message);
    vox_sink_free(header);
    vox_sink_free(data);
    vox_output_name_clear(&name);
    return status;
}
