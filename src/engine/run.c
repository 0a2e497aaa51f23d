/* run.c - a network over an array in memory: the first stage takes its planes from there, and the
 * last one writes the result where it belongs. */
#include "engine/pipeline.h"

#include <string.h>

vox_status vox_network_run(const vox_network *c, const float *x, const int64_t in[5], float *y,
                           int threads, vox_error *err) {
    const int64_t *n = in + 1;
    int64_t count, out[4];
    for (int i = 0; i < 5; i++)
        if (in[i] < 1 || !vox_product(in, 5, &count))
            return vox_fail(err, VOX_ERR_USAGE,
                            "shape[%d]=%lld: must be positive, and the whole fit memory", i,
                            (long long)in[i]);
    vox_status status = vox_network_shape(c, n, out, err);
    if (status)
        return status;
    threads = vox_thread_count(threads);
    int64_t slab;
    status = vox_pipeline_lent_slab(c, n, threads, &slab, err);
    if (status)
        return status;
    vox_error local = {0};
    vox_pipeline *p = vox_pipeline_new(c, n, NULL, slab, threads, &local);
    if (!p)
        return vox_fail(err, local.status, "%s", local.message);
    vox_planes from = vox_dense_planes(x, n), to = vox_dense_planes(y, out);
    vox_pipeline_lend_input(p, &from);
    vox_pipeline_set_output(p, &to);
    status = vox_pipeline_start(p, NULL, NULL, err);
    for (int64_t f = 0; f < in[0] && !status; f++) {
        for (int64_t d = 0; d < n[1] && !status; d += slab)
            status = vox_pipeline_push(p, vox_min(slab, n[1] - d), &from, err);
        from.data += n[0] * n[1] * n[2] * n[3];
        vox_pipeline_lend_input(p, &from);
        to.data += out[0] * out[1] * out[2] * out[3];
        vox_pipeline_set_output(p, &to);
    }
    vox_pipeline_free(p);
    return status;
}
