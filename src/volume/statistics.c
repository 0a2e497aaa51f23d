/* statistics.c - count, range, mean and spread of a file's values in one pass, in double precision.
 */
#include "base/moments.h"
#include "volume/input.h"

#include <math.h>
#include <stdlib.h>

enum { BLOCK = 4096 };

static void take_block(const double *x, int64_t n, vox_statistics *s, vox_moments *all) {
    vox_moments block = {0};
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) {
            *(isnan(x[i]) ? &s->nan_count : &s->inf_count) += 1;
            continue;
        }
        if (x[i] < s->min)
            s->min = x[i];
        if (x[i] > s->max)
            s->max = x[i];
        block.n++;
        block.mean += (x[i] - block.mean) / (double)block.n;
    }
    for (int64_t i = 0; i < n; i++)
        if (isfinite(x[i]))
            sum += (x[i] - block.mean) * (x[i] - block.mean);
    block.squares = sum;
    vox_moments_join(all, &block);
}

vox_status vox_input_statistics(vox_input *in, int i, vox_statistics *s, vox_error *err) {
    vox_file *f = &in->file[i];
    const vox_header *h = &f->header;
    const int64_t voxels = h->data_bytes / h->type->bytes;
    int64_t trailing;
    vox_moments all = {0};
    *s = (vox_statistics){.min = INFINITY, .max = -INFINITY};
    vox_status status = vox_file_begin(f, err);
    if (status)
        return status;
    double *values = vox_alloc(BLOCK, sizeof *values, "statistics", err);
    unsigned char *stored = vox_alloc(BLOCK, (size_t)h->type->bytes, "statistics", err);
    if (!values || !stored) {
        status = VOX_ERR_RESOURCE;
        goto out;
    }
    for (int64_t at = 0; at < voxels; at += BLOCK) {
        const int64_t n = vox_min(BLOCK, voxels - at);
        if ((status = vox_file_read(f, stored, n * h->type->bytes, err)))
            goto out;
        for (int k = 0; k < h->type->components; k++) {
            vox_row_load_double(h->type, h->swapped, &h->scaling, stored, k, n, values);
            take_block(values, n, s, &all);
        }
    }
    s->count = voxels * h->type->components;
    s->mean = all.n ? all.mean : NAN;
    s->stddev = all.n ? sqrt(all.squares / (double)all.n) : NAN;
    if (!all.n)
        s->min = s->max = NAN;
    status = vox_source_finish(f->data, &trailing, err);
out:
    free(stored);
    free(values);
    return status;
}
