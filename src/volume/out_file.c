/* out_file.c - see out_file.h. */
#include "volume/out_file.h"

#include <stdlib.h>

static vox_status write_header(vox_sink *s, const vox_out_header *header, const vox_header *from,
                               vox_error *err) {
    if (header->npy)
        return vox_sink_write(s, header->bytes, header->header_bytes, err);
    vox_status status =
        vox_sink_write(s, header->bytes, header->header_bytes + VOX_EXTENDER_BYTES, err);
    if (!status && from->extensions_bytes > 0)
        status = vox_sink_write(s, from->extensions, from->extensions_bytes, err);
    return status;
}

vox_status vox_out_file_open(vox_out_file *f, const vox_output_name *name,
                             const vox_sink_options *o, const vox_out_header *header,
                             const vox_header *from, vox_error *err) {
    vox_error local = {.status = VOX_OK};
    f->data = vox_sink_open(name->pair ? name->data : name->header, o, &local);
    if (f->data && name->pair)
        f->header = vox_sink_open(name->header, o, &local);
    if (!local.status)
        write_header(name->pair ? f->header : f->data, header, from, &local);
    return local.status ? vox_fail(err, local.status, "%s", local.message) : VOX_OK;
}

vox_status vox_out_file_close(vox_out_file *f, vox_error *err) {
    vox_status status = vox_sink_close(f->data, err);
    if (!status && f->header)
        status = vox_sink_close(f->header, err);
    return status;
}

vox_status vox_out_files_publish(const vox_out_file *files, int64_t count, vox_error *err) {
    vox_sink **sinks = vox_alloc(2 * count, sizeof(vox_sink *), "writer", err);
    int64_t sink_count = 0;
    if (!sinks)
        return VOX_ERR_RESOURCE;
    for (int64_t i = 0; i < count; i++) {
        sinks[sink_count++] = files[i].data;
        if (files[i].header)
            sinks[sink_count++] = files[i].header;
    }
    const vox_status status = vox_sink_publish_all(sinks, sink_count, err);
    free(sinks);
    return status;
}

void vox_out_file_clear(vox_out_file *f) {
    vox_sink_free(f->data);
    vox_sink_free(f->header);
    *f = (vox_out_file){NULL, NULL};
}

int64_t vox_out_file_memory(const vox_output_name *name, const vox_sink_options *o) {
    return (int64_t)sizeof(vox_out_file) + (name->pair ? 2 : 1) * vox_sink_memory(o);
}
