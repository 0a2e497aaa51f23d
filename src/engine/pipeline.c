/* pipeline.c - see pipeline.h. */
#include "engine/pipeline.h"

#include "engine/stage.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

struct vox_pipeline {
    int64_t stage_count;
    vox_stage **stage; /* [stage_count], the sink last */
};

int vox_thread_count(int threads) {
    /* OpenMP's library ends the process where it cannot start as many as OMP_NUM_THREADS says. */
    const int most = 4096;
    return (int)vox_min(threads > 0 ? threads : omp_get_max_threads(), most);
}

int64_t vox_pipeline_good_slab(const vox_chain *chain, const int64_t in[4], int threads) {
    /* For each thread: of the rings, so that the second-level caches (of 1 to 2 MB, today) hold
     * what is read again beside what only passes; and of the output, to bound memory. */
    const int64_t ring_bytes = 768 << 10, out_bytes = 4 << 20;
    int64_t shape[4], out[4], slab = in[1];
    memcpy(shape, in, sizeof shape);
    for (const vox_layer *l = chain->first; l; l = l->next) {
        vox_axis axis[3];
        if (l->class->shape(l, shape, out, axis, NULL))
            return 1;
        if (l->class->window) {
            const int64_t plane = shape[0] * shape[2] * shape[3] * (int64_t)sizeof(float);
            const int64_t span = vox_axis_span(&axis[0]);
            /* Where the span alone is too large, at least not plane by plane. */
            slab = vox_min(slab, vox_max(ring_bytes * threads / plane - span + 1, 2));
        }
        memcpy(shape, out, sizeof shape);
    }
    const int64_t out_plane = shape[0] * shape[2] * shape[3] * (int64_t)sizeof(float);
    return vox_max(vox_min(slab, out_bytes * threads / out_plane), 1);
}

vox_pipeline *vox_pipeline_new(const vox_chain *chain, const int64_t in[4], int64_t slab,
                               int threads, vox_error *err) {
    vox_pipeline *p = vox_alloc(1, sizeof *p, "pipeline", err);
    if (!p)
        return NULL;
    p->stage = vox_alloc(chain->count + 1, sizeof *p->stage, "pipeline", err);
    if (!p->stage)
        goto fail;
    int64_t shape[4];
    memcpy(shape, in, sizeof shape);
    const vox_layer *rows = chain->first, *l = chain->first;
    for (;; l = l->next) {
        if (l && !l->class->window) {
            int64_t out[4];
            if (l->class->shape(l, shape, out, NULL, err))
                goto fail;
            continue; /* stays in [rows, l), for the stage that its planes arrive at */
        }
        vox_stage *s = vox_stage_new(rows, l, shape, slab, threads, err);
        if (!s)
            goto fail;
        p->stage[p->stage_count++] = s;
        if (p->stage_count > 1)
            p->stage[p->stage_count - 2]->next = s;
        if (!l)
            return p;
        memcpy(shape, s->out, sizeof shape);
        slab = s->out_slab;
        rows = l->next;
    }
fail:
    vox_pipeline_free(p);
    return NULL;
}

void vox_pipeline_memory(const vox_pipeline *p,
                         void (*part)(void *user, const char *name, int64_t bytes), void *user) {
    for (int64_t i = 0; i < p->stage_count; i++) {
        const vox_stage *s = p->stage[i];
        char name[48];
        snprintf(name, sizeof name, "%lld: %s ring", (long long)i + 1,
                 s->window ? s->window->class->name : "output");
        part(user, name, vox_stage_ring_bytes(s));
        if (s->window) {
            snprintf(name, sizeof name, "%lld: %s tables and weights", (long long)i + 1,
                     s->window->class->name);
            part(user, name, vox_stage_table_bytes(s));
        }
    }
}

int64_t vox_pipeline_out_slab(const vox_pipeline *p) {
    return p->stage[p->stage_count - 1]->ring.slots;
}

void vox_pipeline_set_output(vox_pipeline *p, const vox_planes *output) {
    vox_stage *last = p->stage[p->stage_count - 1];
    last->ring = *output;
    last->external = true;
}

vox_status vox_pipeline_start(vox_pipeline *p, vox_pipeline_sink *sink, void *user,
                              vox_error *err) {
    vox_stage *last = p->stage[p->stage_count - 1];
    last->sink = sink;
    last->sink_user = user;
    for (int64_t i = 0; i < p->stage_count; i++) {
        vox_status status = vox_stage_start(p->stage[i], err);
        if (status)
            return status;
    }
    return VOX_OK;
}

const vox_planes *vox_pipeline_input(const vox_pipeline *p) {
    return &p->stage[0]->ring;
}

vox_status vox_pipeline_push(vox_pipeline *p, int64_t count, const vox_dense *x, vox_error *err) {
    vox_status status = vox_stage_push(p->stage[0], count, x, err);
    if (!status && p->stage[0]->received == p->stage[0]->in[1])
        for (int64_t i = 0; i < p->stage_count; i++)
            vox_stage_rewind(p->stage[i]);
    return status;
}

void vox_pipeline_free(vox_pipeline *p) {
    if (!p)
        return;
    for (int64_t i = 0; i < p->stage_count; i++)
        vox_stage_free(
            p->stage[i]); /* NOLINT(clang-analyzer-core.NullDereference): no stages, no count */
    free(p->stage);
    free(p);
}
