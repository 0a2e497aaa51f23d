/* run.c - a chain over an array in memory: the pipeline between two copies. */
#include "engine/pipeline.h"

#include <string.h>

/* About this many bytes of the widest level make a slab: enough to keep all threads busy, few enough to stay
 * in the outer caches. */
enum { SLAB_BYTES = 8 << 20 };

typedef struct target {
    float *y;
    int64_t shape[4];
} target;

static vox_status copy_out(void *user, int64_t d, int64_t count, const vox_planes *planes,
                           vox_error *err) {
    const target *t = user;
    (void)err;
    const int64_t *n = t->shape;
    for (int64_t c = 0; c < n[0]; c++)
        for (int64_t i = d; i < d + count; i++)
            for (int64_t r = 0; r < n[2]; r++)
                memcpy(t->y + ((c * n[1] + i) * n[2] + r) * n[3], vox_plane_row(planes, c, i, r),
                       (size_t)n[3] * sizeof(float));
    return VOX_OK;
}

vox_status vox_chain_run(const vox_chain *c, const float *x, const int64_t in[5], float *y, int threads,
                         vox_error *err) {
    const int64_t *n = in + 1;
    int64_t count;
    for (int i = 0; i < 5; i++)
        if (in[i] < 1 || !vox_product(in, 5, &count))
            return vox_fail(err, VOX_ERR_USAGE, "shape[%d]=%lld: must be positive, and the whole fit memory",
                            i, (long long)in[i]);
    target t = {.y = y};
    vox_status status = vox_chain_shape(c, n, t.shape, err);
    if (status)
        return status;
    int64_t slab = SLAB_BYTES / (int64_t)sizeof(float) / (vox_max(n[0], t.shape[0]) * n[2] * n[3]);
    slab = vox_min(vox_max(slab, 1), n[1]);
    vox_error local = {0};
    vox_pipeline *p = vox_pipeline_new(c, n, slab, vox_thread_count(threads), &local);
    if (!p)
        return vox_fail(err, local.status, "%s", local.message);
    status = vox_pipeline_start(p, copy_out, &t, err);
    for (int64_t f = 0; f < in[0] && !status; f++) {
        for (int64_t d = 0; d < n[1] && !status; d += slab) {
            int64_t planes = vox_min(slab, n[1] - d);
            const vox_planes *to = vox_pipeline_input(p);
            for (int64_t ch = 0; ch < n[0]; ch++)
                for (int64_t i = d; i < d + planes; i++)
                    for (int64_t r = 0; r < n[2]; r++)
                        memcpy(vox_plane_row(to, ch, i, r), x + ((ch * n[1] + i) * n[2] + r) * n[3],
                               (size_t)n[3] * sizeof(float));
            status = vox_pipeline_push(p, planes, err);
        }
        x += n[0] * n[1] * n[2] * n[3];
        t.y += t.shape[0] * t.shape[1] * t.shape[2] * t.shape[3];
    }
    vox_pipeline_free(p);
    return status;
}
