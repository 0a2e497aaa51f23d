/* pipeline.c - see pipeline.h. */
#include "engine/pipeline.h"

#include "engine/stage.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

struct vox_pipeline {
    int64_t stage_count;
    vox_stage **stage; /* [stage_count], the sink last */
    vox_box in;
};

int vox_thread_count(int threads) {
    /* OpenMP's library ends the process where it cannot start as many as OMP_NUM_THREADS says. */
    const int most = 4096;
    return (int)vox_min(threads > 0 ? threads : omp_get_max_threads(), most);
}

int64_t vox_pipeline_good_slab(const vox_network *network, const int64_t in[4], int threads) {
    /* For each thread: of the rings, so that the second-level caches (of 1 to 2 MB, today) hold
     * what is read again beside what only passes; and of the output, to bound memory. */
    const int64_t ring_bytes = 768 << 10, out_bytes = 4 << 20;
    int64_t shape[4], out[4], slab = in[1];
    memcpy(shape, in, sizeof shape);
    for (const vox_layer *l = network->first; l; l = l->next) {
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

/* One layer and the part of its output that is wanted. */
typedef struct level {
    const vox_layer *layer;
    int64_t channels; /* of the output */
    vox_axis axis[3]; /* window layers: the part's */
    vox_box out;      /* in the coordinates of the layer's whole output */
} level;

/* The levels of a network: whole axes on the way down, the parts of them that are needed on the way
 * back, up to *wanted, that of the input. NULL with an error. Freed with free(). */
static level *make_levels(const vox_network *network, const int64_t in[4], const vox_box *part,
                          vox_box *wanted, vox_error *err) {
    level *levels = vox_alloc(network->count + 1, sizeof *levels, "pipeline", err), *l = levels;
    if (!levels)
        return NULL;
    int64_t shape[4], out[4];
    memcpy(shape, in, sizeof shape);
    for (const vox_layer *layer = network->first; layer; layer = layer->next, l++) {
        if (layer->class->shape(layer, shape, out, l->axis, err)) {
            free(levels);
            return NULL;
        }
        l->layer = layer;
        l->channels = out[0];
        memcpy(shape, out, sizeof shape);
    }
    *wanted = part ? *part : (vox_box){.to = {shape[1], shape[2], shape[3]}};
    for (int k = network->count; k-- > 0;) {
        l = &levels[k];
        l->out = *wanted;
        for (int i = 0; i < 3 && l->layer->class->window; i++) {
            wanted->from[i] = 0; /* the whole takes all of its input, also what no window meets */
            if (part)
                l->axis[i] =
                    vox_axis_part(&l->axis[i], l->out.from[i], l->out.to[i], &wanted->from[i]);
            wanted->to[i] = wanted->from[i] + l->axis[i].in;
        }
    }
    return levels;
}

vox_status vox_pipeline_need(const vox_network *network, const int64_t in[4], const vox_box *part,
                             vox_need *need, vox_error *err) {
    vox_error local = {0};
    level *levels = make_levels(network, in, part, &need->in, &local);
    if (!levels)
        return vox_fail(err, local.status, "%s", local.message);
    need->multiply_adds = 0;
    for (const level *l = levels; l < levels + network->count; l++) {
        int64_t macs;
        if (!vox_mul(vox_box_voxels(&l->out), l->channels, &macs) ||
            !vox_mul(macs, l->layer->macs_per_output, &macs) ||
            !vox_add(need->multiply_adds, macs, &need->multiply_adds))
            need->multiply_adds = INT64_MAX;
    }
    free(levels);
    return VOX_OK;
}

static void box_shape(int64_t channels, const vox_box *box, int64_t shape[4]) {
    shape[0] = channels;
    for (int i = 0; i < 3; i++)
        shape[1 + i] = vox_box_extent(box, i);
}

static vox_status add_stage(vox_pipeline *p, const vox_layer *rows, const level *l,
                            const int64_t in[4], int64_t *slab, int threads, vox_error *err) {
    int64_t out[4];
    memcpy(out, in, sizeof out);
    if (l)
        box_shape(l->channels, &l->out, out);
    vox_stage *s =
        vox_stage_new(rows, l ? l->layer : NULL, in, out, l ? l->axis : NULL, *slab, threads, err);
    if (!s)
        return VOX_ERR_RESOURCE;
    p->stage[p->stage_count++] = s;
    if (p->stage_count > 1)
        p->stage[p->stage_count - 2]->next = s;
    *slab = s->out_slab;
    return VOX_OK;
}

vox_pipeline *vox_pipeline_new(const vox_network *network, const int64_t in[4], const vox_box *part,
                               int64_t slab, int threads, vox_error *err) {
    vox_pipeline *p = vox_alloc(1, sizeof *p, "pipeline", err);
    level *levels = NULL;
    if (!p)
        return NULL;
    p->stage = vox_alloc(network->count + 1, sizeof *p->stage, "pipeline", err);
    if (!p->stage || !(levels = make_levels(network, in, part, &p->in, err)))
        goto fail;
    int64_t shape[4];
    box_shape(in[0], &p->in, shape);
    const vox_layer *rows = network->first;
    for (int i = 0; i < network->count; i++) {
        if (!levels[i].layer->class->window)
            continue; /* stays in [rows, ...), for the stage that its planes arrive at */
        if (add_stage(p, rows, &levels[i], shape, &slab, threads, err))
            goto fail;
        box_shape(levels[i].channels, &levels[i].out, shape);
        rows = levels[i].layer->next;
    }
    if (add_stage(p, rows, NULL, shape, &slab, threads, err))
        goto fail;
    free(levels);
    return p;
fail:
    free(levels);
    vox_pipeline_free(p);
    return NULL;
}

vox_box vox_pipeline_input_box(const vox_pipeline *p) {
    return p->in;
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

static void add_bytes(void *user, const char *name, int64_t bytes) {
    int64_t *total = user;
    (void)name;
    if (!vox_add(*total, bytes, total))
        *total = INT64_MAX;
}

int64_t vox_pipeline_bytes(const vox_pipeline *p) {
    int64_t total = 0;
    vox_pipeline_memory(p, add_bytes, &total);
    return total;
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
