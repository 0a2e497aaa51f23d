/* pipeline.c - see pipeline.h. */
#include "engine/pipeline.h"

#include "engine/builder.h"

#include <assert.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

int vox_thread_count(int threads) {
    /* OpenMP's library ends the process where it cannot start as many as OMP_NUM_THREADS says. */
    const int most = 4096;
    return (int)vox_min(threads > 0 ? threads : omp_get_max_threads(), most);
}

/* Bytes of a plane of all channels; INT64_MAX where it is more. */
static int64_t plane_bytes(const int64_t shape[4]) {
    const int64_t extent[] = {shape[0], shape[2], shape[3], (int64_t)sizeof(float)};
    int64_t bytes;
    return vox_product(extent, 4, &bytes) ? bytes : INT64_MAX;
}

vox_status vox_pipeline_good_slab(const vox_network *network, const int64_t in[4],
                                  const vox_box *part, int threads, int64_t *slab, vox_error *err) {
    /* For each thread: of the rings, so that the second-level caches (of 1 to 2 MB, today) hold
     * what is read again beside what only passes; and of the output, to bound memory. */
    const int64_t ring_bytes = 768 << 10, out_bytes = 4 << 20;
    vox_error local = {0};
    vox_level *levels = vox_levels_make(network, in, part, &local);
    if (!levels)
        return vox_fail(err, local.status, "%s", local.message);
    *slab = levels[0].shape[1];
    for (int v = 1; v <= network->count; v++) {
        const vox_layer *l = network->layer[v - 1];
        if (levels[v].value.reads == 0 || !l->class->window)
            continue;
        const int64_t plane = plane_bytes(levels[l->input[0]].shape);
        const int64_t span = vox_axis_span(&levels[v].value.axis[0]);
        /* Where the span alone is too large, each slab brings all of it again: then at least not
         * plane by plane, and four at a time where the planes are small and the kernel is deep. */
        const int64_t fit = ring_bytes * threads / plane;
        const int64_t least = fit > 2 && span > 2 * fit ? 4 : 2;
        *slab = vox_min(*slab, vox_max(fit - span + 1, least));
    }
    const int64_t out_plane = plane_bytes(levels[network->count + 1].shape);
    free(levels);
    *slab = vox_max(vox_min(*slab, out_bytes * threads / out_plane), 1);
    return VOX_OK;
}

/* Whether layer l can read the planes of somebody else. */
static bool reads_bare(const vox_layer *l, const vox_axis axis[3]) {
    return l && l->class->reads_bare && l->class->reads_bare(l, axis);
}

vox_status vox_pipeline_lent_slab(const vox_network *network, const int64_t in[4], int threads,
                                  int64_t *slab, vox_error *err) {
    vox_error local = {0};
    vox_value *values = vox_network_values(network, in, &local);
    if (!values)
        return vox_fail(err, local.status, "%s", local.message);
    /* One layer that holds no plane has no use for slabs. */
    const bool whole = network->count == 1 && network->current == 1 &&
                       reads_bare(network->layer[0], values[1].axis);
    free(values);
    *slab = in[1];
    return whole ? VOX_OK : vox_pipeline_good_slab(network, in, NULL, threads, slab, err);
}

/* ---- The run, with planes or with their numbers alone ---- */

static vox_stage *source(const vox_pipeline *p) {
    return p->stage[0];
}
static vox_stage *sink(const vox_pipeline *p) {
    return p->stage[p->stage_count - 1];
}

/* Lets the stages make what they can: always the one nearest to the sink, so that planes go on
 * before others come. `dry`: counts them and makes none. */
static vox_status advance(const vox_pipeline *p, bool dry, vox_error *err) {
    for (int i = p->stage_count - 1; i > 0;) {
        vox_stage *s = p->stage[i];
        const int64_t n = vox_stage_ready(s);
        if (n == 0) {
            i--;
            continue;
        }
        vox_status status = VOX_OK;
        if (dry)
            vox_stage_count(s, n);
        else
            status = vox_stage_make(s, n, NULL, err);
        if (status)
            return status;
        i = p->stage_count - 1;
    }
    return VOX_OK;
}

static void rewind_stages(const vox_pipeline *p) {
    for (int i = 0; i < p->stage_count; i++)
        vox_stage_rewind(p->stage[i]);
}

/* All counts of planes, gathered in `counts` or moved on by count - before, `times` times. Returns
 * how many there are; counts may be NULL. */
static int visit_counts(const vox_pipeline *p, int64_t *counts, const int64_t *before,
                        int64_t times) {
    int n = 0;
    for (int i = 0; i < p->stage_count; i++) {
        vox_stage *s = p->stage[i];
        for (int k = 0; k <= 3 * s->to_count; k++, n++) {
            vox_feed *f = k > 0 ? s->to[(k - 1) / 3] : NULL;
            int64_t *at = !f           ? &s->produced
                          : k % 3 == 0 ? &f->received
                          : k % 3 == 1 ? &f->taken
                                       : &f->given;
            if (counts && before)
                *at += times * (counts[n] - before[n]);
            else if (counts)
                counts[n] = *at;
        }
    }
    return n;
}

/* In the middle of a deep volume every period of planes is like the one before: where two have been
 * alike, leaves out those that would be, and comes out at the same place of a later one. Planes
 * near the end, as many as have passed before all was in its stride, are not left out. Returns the
 * planes left out. */
static int64_t leave_out(const vox_pipeline *p, int64_t done, int64_t period, int64_t *counts) {
    const int n = visit_counts(p, NULL, NULL, 0);
    int64_t *now = counts, *before = counts + n, *earlier = counts + (ptrdiff_t)2 * n;
    const int64_t left = vox_box_extent(&p->in, 0) - 2 * done;
    bool alike = left > 0;
    memcpy(earlier, before, (size_t)n * sizeof *now);
    memcpy(before, now, (size_t)n * sizeof *now);
    visit_counts(p, now, NULL, 0);
    for (int i = 0; i < n && alike; i++)
        alike = now[i] - before[i] == before[i] - earlier[i];
    if (!alike)
        return 0;
    visit_counts(p, now, before, left / period);
    return left / period * period;
}

/* Runs the numbers of planes that come slab by slab, so that each pool and feed knows what it
 * needs. */
static vox_status simulate(const vox_pipeline *p, int64_t period, vox_error *err) {
    const int64_t depth = vox_box_extent(&p->in, 0), settled = 64 * period;
    const int count = visit_counts(p, NULL, NULL, 0);
    int64_t *counts = vox_alloc(count, 3 * sizeof *counts, "pipeline", err);
    if (!counts)
        return VOX_ERR_RESOURCE;
    bool skipped = false;
    for (int64_t d = 0; d < depth;) {
        const int64_t n = vox_min(p->slab, depth - d);
        vox_stage_count(source(p), n);
        advance(p, true, NULL);
        d += n;
        if (d >= settled && d % period == 0 && !skipped) {
            const int64_t planes = leave_out(p, d, period, counts);
            skipped = planes > 0;
            d += planes;
        }
    }
    free(counts);
    rewind_stages(p);
    return VOX_OK;
}

/* After so many planes, each value is at the same place between two of its strides, and a slab
 * begins. */
static int64_t find_period(const vox_pipeline *p) {
    int64_t period = p->slab;
    for (int i = 1; i < p->stage_count; i++) {
        const vox_feed *f = &p->stage[i]->main;
        const bool reach = f->window && f->window->class->reach; /* may have none */
        if (reach || !vox_mul(period, f->axis[0].stride, &period))
            return INT64_MAX / 64;
    }
    return vox_min(period, INT64_MAX / 64);
}

vox_pipeline *vox_pipeline_new(const vox_network *network, const int64_t in[4], const vox_box *part,
                               int64_t slab, int threads, vox_error *err) {
    vox_pipeline *p = vox_alloc(1, sizeof *p, "pipeline", err);
    if (!p)
        return NULL;
    vox_level *levels = vox_levels_make(network, in, part, err);
    bool built = false;
    if (levels) {
        p->in = levels[0].box;
        p->slab = vox_min(slab, vox_box_extent(&p->in, 0));
        built = !vox_pipeline_build(p, network, levels, threads, err) &&
                !simulate(p, find_period(p), err);
    }
    free(levels);
    if (!built) {
        vox_pipeline_free(p);
        return NULL;
    }
    return p;
}

vox_box vox_pipeline_input_box(const vox_pipeline *p) {
    return p->in;
}

/* ---- Memory ---- */

/* "3: conv3d ring" for the first reader of a pool, and how many others there are. */
static void name_pool(const vox_pipeline *p, const vox_pool *pool, char *name, size_t room) {
    const char *reader = "";
    int number = 0, others = -1;
    for (int i = 1; i < p->stage_count; i++) {
        const vox_stage *s = p->stage[i];
        for (int k = -1; k < s->op_count; k++) {
            const vox_feed *f = k < 0 ? &s->main : s->op[k].side;
            if (!f || f->pool != pool || others++ >= 0)
                continue;
            number = i;
            reader = k >= 0         ? s->op[k].layer->class->name
                     : s->window    ? s->window->class->name
                     : s == sink(p) ? "output"
                                    : "copy";
        }
    }
    const int end = snprintf(name, room, "%d: %s ring", number, reader);
    if (others > 0)
        snprintf(name + end, room - (size_t)end, ", and %d more", others);
}

/* To an int64_t; INT64_MAX where that is more. */
static void add_bytes(void *user, const char *name, int64_t bytes) {
    int64_t *total = user;
    (void)name;
    if (!vox_add(*total, bytes, total))
        *total = INT64_MAX;
}

void vox_pipeline_memory(const vox_pipeline *p,
                         void (*part)(void *user, const char *name, int64_t bytes), void *user) {
    int64_t tables = 0;
    for (int i = 0; i < p->pool_count; i++) {
        char name[48];
        name_pool(p, p->pool[i], name, sizeof name);
        part(user, name, vox_pool_bytes(p->pool[i]));
    }
    for (int i = 1; i < p->stage_count; i++) {
        const vox_stage *s = p->stage[i];
        add_bytes(&tables, NULL, vox_stage_table_bytes(s));
        add_bytes(&tables, NULL, vox_feed_bytes(&s->main));
        for (int k = 0; k < s->op_count; k++)
            if (s->op[k].side)
                add_bytes(&tables, NULL, vox_feed_bytes(s->op[k].side));
    }
    part(user, "weights and tables", tables);
}

int64_t vox_pipeline_bytes(const vox_pipeline *p) {
    int64_t total = 0;
    vox_pipeline_memory(p, add_bytes, &total);
    return total;
}

int64_t vox_pipeline_out_slab(const vox_pipeline *p) {
    return sink(p)->main.held;
}

void vox_pipeline_set_output(vox_pipeline *p, const vox_planes *output) {
    sink(p)->main.ring = *output;
    sink(p)->main.pool->external = true;
}

void vox_pipeline_lend_input(vox_pipeline *p, const vox_planes *input) {
    const vox_stage *s = source(p);
    vox_feed *f = s->to[0];
    if (s->op_count > 0 || s->to_count != 1 || !reads_bare(f->window, f->axis))
        return;
    f->ring = *input;
    f->pool->external = true;
}

vox_status vox_pipeline_start(vox_pipeline *p, vox_pipeline_sink *to, void *user, vox_error *err) {
    sink(p)->sink = to;
    sink(p)->sink_user = user;
    vox_status status = VOX_OK;
    for (int i = 0; i < p->pool_count && !status; i++)
        status = vox_pool_start(p->pool[i], err);
    for (int i = 0; i < p->stage_count && !status; i++)
        status = vox_stage_start(p->stage[i], err);
    return status;
}

/* Planes that come with the next push. */
static int64_t next_slab(const vox_pipeline *p) {
    return vox_min(p->slab, source(p)->out[1] - source(p)->produced);
}

const vox_planes *vox_pipeline_input(vox_pipeline *p) {
    vox_stage_take(source(p), next_slab(p));
    return &source(p)->to[0]->ring;
}

vox_status vox_pipeline_push(vox_pipeline *p, int64_t count, const vox_planes *x, vox_error *err) {
    assert(count == next_slab(p));
    vox_status status = vox_stage_make(source(p), count, x, err);
    if (!status)
        status = advance(p, false, err);
    if (status || source(p)->produced < source(p)->out[1])
        return status;
    if (sink(p)->produced < sink(p)->out[1])
        return vox_fail(err, VOX_ERR_INTERNAL, "the pipeline has planes left when all have come");
    rewind_stages(p);
    return VOX_OK;
}

void vox_pipeline_free(vox_pipeline *p) {
    if (!p)
        return;
    for (int i = 0; i < p->stage_count; i++)
        vox_stage_free(p->stage[i]);
    for (int i = 0; i < p->pool_count; i++) {
        vox_pool_free(p->pool[i]);
        free(p->pool[i]);
    }
    free(p->pool);
    free(p->stage);
    free(p);
}
