/* pipeline.c - see pipeline.h. */
#include "engine/pipeline.h"

#include "engine/stage.h"

#include <assert.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

struct vox_pipeline {
    int stage_count;
    vox_stage **stage; /* [stage_count], a stage behind those that it reads; the source first, the
                          sink last */
    int pool_count, pool_room;
    vox_pool **pool;
    vox_box in;
    int64_t slab;
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
    vox_value *values = vox_network_values(network, in, NULL);
    int64_t slab = in[1];
    if (!values)
        return 1;
    for (int v = 1; v <= network->count; v++) {
        const vox_layer *l = network->layer[v - 1];
        if (values[v].reads == 0 || !l->class->window)
            continue;
        const int64_t *shape = values[l->input[0]].shape;
        const int64_t plane = shape[0] * shape[2] * shape[3] * (int64_t)sizeof(float);
        const int64_t span = vox_axis_span(&values[v].axis[0]);
        /* Where the span alone is too large, at least not plane by plane. */
        slab = vox_min(slab, vox_max(ring_bytes * threads / plane - span + 1, 2));
    }
    const int64_t *shape = values[network->current].shape;
    const int64_t out_plane = shape[0] * shape[2] * shape[3] * (int64_t)sizeof(float);
    free(values);
    return vox_max(vox_min(slab, out_bytes * threads / out_plane), 1);
}

/* Whether layer l can read the planes of somebody else. */
static bool reads_bare(const vox_layer *l, const vox_axis axis[3]) {
    return l && l->class->reads_bare && l->class->reads_bare(l, axis);
}

int64_t vox_pipeline_lent_slab(const vox_network *network, const int64_t in[4], int threads) {
    int64_t slab = vox_pipeline_good_slab(network, in, threads);
    vox_value *values = vox_network_values(network, in, NULL);
    /* One layer that holds no plane has no use for slabs. */
    if (values && network->count == 1 && network->current == 1 &&
        reads_bare(network->layer[0], values[1].axis))
        slab = in[1];
    free(values);
    return slab;
}

/* ---- Levels: what is needed of every value ---- */

/* A value, and the part of it that is wanted. */
typedef struct level {
    vox_value value; /* its axes are the part's, over the parts of the inputs */
    vox_box box;     /* in the coordinates of the whole value; empty: not needed */
    int64_t shape[4];
} level;

static vox_box whole(const int64_t shape[4]) {
    return (vox_box){.to = {shape[1], shape[2], shape[3]}};
}

static void include(vox_box *box, const vox_box *more) {
    const bool empty = vox_box_voxels(box) == 0;
    for (int i = 0; i < 3; i++) {
        box->from[i] = empty ? more->from[i] : vox_min(box->from[i], more->from[i]);
        box->to[i] = empty ? more->to[i] : vox_max(box->to[i], more->to[i]);
    }
}

/* The box of input k of layer l that box `out` of its result needs. */
static vox_box needed(const vox_layer *l, const level *result, const level *input) {
    vox_box box = result->box;
    const int64_t *n = input->value.shape;
    if (l->class->reach)
        return whole(n);
    if (l->class->window) {
        for (int i = 0; i < 3; i++) {
            const vox_axis part = vox_axis_part(&result->value.axis[i], result->box.from[i],
                                                result->box.to[i], &box.from[i]);
            box.to[i] = box.from[i] + part.in;
        }
        return box;
    }
    /* One voxel for all of them, in a join. */
    return memcmp(n + 1, result->value.shape + 1, 3 * sizeof *n) == 0 ? box : whole(n);
}

/* The axes of a window layer's part of the result, over the part of the input that is there: it may
 * be more than this layer needs. */
static void cut_axes(level *result, const level *input) {
    for (int i = 0; i < 3; i++) {
        vox_axis *a = &result->value.axis[i];
        int64_t from;
        *a = vox_axis_part(a, result->box.from[i], result->box.to[i], &from);
        a->before -= from - input->box.from[i];
        a->in = vox_box_extent(&input->box, i);
    }
}

/* A level for every value of the network, and behind them one for what is wanted of the last:
 * layers with a reach make all of it. part NULL: everything is wanted. NULL with an error. Freed
 * with free(). */
static level *make_levels(const vox_network *network, const int64_t in[4], const vox_box *part,
                          vox_error *err) {
    const int count = network->count;
    level *levels = vox_alloc(count + 2, sizeof *levels, "pipeline", err);
    vox_value *values = levels ? vox_network_values(network, in, err) : NULL;
    if (!values) {
        free(levels);
        return NULL;
    }
    for (int v = 0; v <= count; v++) {
        levels[v].value = values[v];
        if (!part && values[v].reads > 0)
            levels[v].box = whole(values[v].shape);
    }
    free(values);
    if (part)
        levels[network->current].box = *part;
    for (int v = count; v > 0 && part; v--) {
        const vox_layer *l = network->layer[v - 1];
        if (l->class->reach && levels[v].value.reads > 0)
            levels[v].box = whole(levels[v].value.shape);
        for (int k = 0; k < l->input_count && levels[v].value.reads > 0; k++) {
            const vox_box box = needed(l, &levels[v], &levels[l->input[k]]);
            include(&levels[l->input[k]].box, &box);
        }
    }
    levels[count + 1] = levels[network->current];
    if (part)
        levels[count + 1].box = *part;
    for (int v = 0; v <= count + 1; v++) {
        const vox_layer *l = v > 0 && v <= count ? network->layer[v - 1] : NULL;
        if (part && l && l->class->window && !l->class->reach && levels[v].value.reads > 0)
            cut_axes(&levels[v], &levels[l->input[0]]);
        levels[v].shape[0] = levels[v].value.shape[0];
        for (int i = 0; i < 3; i++)
            levels[v].shape[1 + i] = vox_box_extent(&levels[v].box, i);
    }
    return levels;
}

vox_status vox_pipeline_need(const vox_network *network, const int64_t in[4], const vox_box *part,
                             vox_need *need, vox_error *err) {
    vox_error local = {0};
    level *levels = make_levels(network, in, part, &local);
    if (!levels)
        return vox_fail(err, local.status, "%s", local.message);
    need->in = levels[0].box;
    need->multiply_adds = 0;
    for (int v = 1; v <= network->count; v++) {
        int64_t macs;
        if (levels[v].value.reads > 0 &&
            (!vox_product(levels[v].shape, 4, &macs) ||
             !vox_mul(macs, network->layer[v - 1]->macs_per_output, &macs) ||
             !vox_add(need->multiply_adds, macs, &need->multiply_adds)))
            need->multiply_adds = INT64_MAX;
    }
    free(levels);
    return VOX_OK;
}

/* ---- Stages ---- */

/* A pipeline in the making. */
typedef struct builder {
    vox_pipeline *p;
    const vox_network *network;
    level *levels;
    vox_stage **of; /* [count + 2] the stage that makes a value, or what is wanted of the last */
    int threads;
    vox_error *err;
} builder;

/* `feed` reads `value` for `result`: through a window, or voxel by voxel. */
static vox_status connect(builder *b, vox_stage *reader, vox_feed *feed, const vox_layer *window,
                          int value, int result) {
    const level *in = &b->levels[value], *out = &b->levels[result];
    vox_axis axis[3];
    for (int i = 0; i < 3; i++) {
        const bool one = in->value.shape[1 + i] == 1; /* for all voxels of the result */
        axis[i] = window ? out->value.axis[i]
                         : (vox_axis){.in = in->shape[1 + i],
                                      .out = i == 0 || !one ? out->shape[1 + i] : 1,
                                      .kernel = 1,
                                      .stride = 1,
                                      .dilation = 1,
                                      .before = one ? 0 : in->box.from[i] - out->box.from[i],
                                      .mode = VOX_PAD_REPLICATE};
    }
    vox_status status =
        vox_feed_init(feed, window, in->shape, axis, out->shape[1], b->threads, b->err);
    feed->produced = &reader->produced;
    return status ? status : vox_stage_add_reader(b->of[value], feed, b->err);
}

/* A stage that makes value `result` from `value`; window NULL: passes it on. */
static vox_stage *add_stage(builder *b, const vox_layer *window, int value, int result) {
    vox_pipeline *p = b->p;
    vox_stage *s = vox_alloc(1, sizeof *s, "stage", b->err);
    if (!s)
        return NULL;
    s->window = window;
    s->threads = b->threads;
    p->stage[p->stage_count++] = s;
    s->source = p->stage_count == 1;
    memcpy(s->out, b->levels[result].shape, sizeof s->out);
    s->channels = window ? s->out[0] : b->levels[value].shape[0];
    if (s->source) {
        s->slab = p->slab;
        return s;
    }
    const int64_t slab = b->of[value]->slab, depth = b->levels[value].shape[1];
    const bool reach = window && window->class->reach;
    int64_t planes;
    s->slab = window ? slab / b->levels[result].value.axis[0].stride : slab;
    if (reach) /* as many times more or fewer as the whole has */
        s->slab = vox_mul(slab, s->out[1], &planes) ? planes / depth : slab;
    s->slab = vox_max(s->slab, 1);
    return connect(b, s, &s->main, window, value, result) ? NULL : s;
}

static int stage_index(const builder *b, int value) {
    int i = 0;
    while (b->p->stage[i] != b->of[value])
        i++;
    return i;
}

/* Whether value `in` of a layer has the extents of its result: all, or D, H and W. */
static bool full(const builder *b, const vox_layer *l, int in, int result) {
    const int64_t *n = b->levels[in].value.shape, *out = b->levels[result].value.shape;
    const int skip = l->class->concat ? 1 : 0;
    return memcmp(n + skip, out + skip, (size_t)(4 - skip) * sizeof *n) == 0;
}

static bool same_part(const builder *b, int in, int result) {
    return memcmp(&b->levels[in].box, &b->levels[result].box, sizeof(vox_box)) == 0;
}

/* Which of a layer's inputs becomes its result where it lies: one that nobody else reads, of the
 * stage that comes last; -1 where there is none such. An input of which more is made than is wanted
 * here is not one. */
static int choose_main(const builder *b, const vox_layer *l, int result) {
    int best = -1;
    for (int k = 0; k < l->input_count; k++)
        if (b->levels[l->input[k]].value.reads == 1 && full(b, l, l->input[k], result) &&
            same_part(b, l->input[k], result) &&
            (best < 0 || stage_index(b, l->input[k]) > stage_index(b, l->input[best])))
            best = k;
    return best;
}

static int first_full(const builder *b, const vox_layer *l, int result) {
    int k = 0;
    while (!full(b, l, l->input[k], result))
        k++;
    return k;
}

/* Gives stage s operand k of join l (or NULL: no operand) in channels [from, from + channels). */
static vox_status add_op(builder *b, vox_stage *s, const vox_layer *l, int result, int main, int k,
                         int64_t from, int64_t channels) {
    vox_op op = {.layer = l, .main = main, .from = from, .channels = channels};
    if (k >= 0 && !(op.side = vox_alloc(1, sizeof *op.side, "stage", b->err)))
        return VOX_ERR_RESOURCE;
    vox_status status = vox_stage_add_op(s, &op, b->err);
    if (status) {
        free(op.side);
        return status;
    }
    if (k < 0)
        return VOX_OK;
    return connect(b, s, op.side, NULL, l->input[k], result);
}

/* A concat whose operand `main` is what stage s has made so far. */
static vox_status add_concat(builder *b, vox_stage *s, const vox_layer *l, int result, int main) {
    int64_t before = 0, from = 0;
    vox_status status = VOX_OK;
    for (int k = 0; k < main; k++)
        before += b->levels[l->input[k]].shape[0];
    s->at += before;
    for (int i = 0; i < s->op_count; i++)
        s->op[i].from += before;
    for (int k = 0; k < l->input_count && !status; k++) {
        const int64_t channels = b->levels[l->input[k]].shape[0];
        if (k != main)
            status = add_op(b, s, l, result, main, k, from, channels);
        from += channels;
    }
    return status;
}

/* A row layer or a join: behind the stage that makes its main input, or a stage of its own that
 * passes that on. */
static vox_status append(builder *b, const vox_layer *l, int result) {
    int main = choose_main(b, l, result);
    const bool own = main < 0;
    if (own)
        main = first_full(b, l, result);
    vox_stage *s = own ? add_stage(b, NULL, l->input[main], result) : b->of[l->input[main]];
    if (!s)
        return VOX_ERR_RESOURCE;
    b->of[result] = s;
    s->out[0] = b->levels[result].shape[0];
    if (l->class->concat)
        return add_concat(b, s, l, result, main);
    return add_op(b, s, l, result, main, l->class->join ? 1 - main : -1, 0, s->out[0]);
}

static vox_status build(builder *b) {
    const vox_network *n = b->network;
    if (!(b->of[0] = add_stage(b, NULL, 0, 0)))
        return VOX_ERR_RESOURCE;
    for (int v = 1; v <= n->count; v++) {
        const vox_layer *l = n->layer[v - 1];
        if (b->levels[v].value.reads == 0)
            continue;
        if (!l->class->window) {
            if (append(b, l, v))
                return VOX_ERR_RESOURCE;
        } else if (!(b->of[v] = add_stage(b, l, l->input[0], v))) {
            return VOX_ERR_RESOURCE;
        }
    }
    int last = n->current;
    if (!same_part(b, last, n->count + 1)) {
        last = n->count + 1;
        if (!(b->of[last] = add_stage(b, NULL, n->current, last)))
            return VOX_ERR_RESOURCE;
    }
    return add_stage(b, NULL, last, last) ? VOX_OK : VOX_ERR_RESOURCE;
}

/* ---- Pools ---- */

/* A pool for the planes of a feed: one whose planes are laid out alike, or where `own` one that
 * nobody else takes from.
 */
static vox_status find_pool(vox_pipeline *p, vox_feed *f, bool own, vox_error *err) {
    for (int i = 0; i < p->pool_count && !own && !f->pool; i++)
        if (!p->pool[i]->own && vox_pool_fits(p->pool[i], &f->layout))
            f->pool = p->pool[i];
    if (!f->pool) {
        vox_pool **list =
            vox_grow(p->pool, p->pool_count, &p->pool_room, sizeof(vox_pool *), "pipeline", err);
        if (!list)
            return VOX_ERR_RESOURCE;
        p->pool = list;
        f->pool = vox_alloc(1, sizeof *f->pool, "pipeline", err);
        if (!f->pool)
            return VOX_ERR_RESOURCE;
        f->pool->layout = f->layout;
        f->pool->own = own;
        f->pool->threads = f->threads;
        p->pool[p->pool_count++] = f->pool;
    }
    if (f->window && f->window->needs_zero_planes)
        f->pool->zero_plane = true;
    return VOX_OK;
}

static vox_status share_slots(vox_pipeline *p, vox_error *err) {
    vox_status status = VOX_OK;
    for (int i = 1; i < p->stage_count && !status; i++) {
        vox_stage *s = p->stage[i];
        /* What goes in and what comes out may be somebody else's. */
        const bool end = i == p->stage_count - 1 || &s->main == p->stage[0]->to[0];
        status = find_pool(p, &s->main, end, err);
        for (int k = 0; k < s->op_count && !status; k++)
            if (s->op[k].side)
                status = find_pool(p, s->op[k].side, false, err);
    }
    return status;
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
    builder b = {.p = p, .network = network, .threads = threads, .err = err};
    b.of = vox_alloc(network->count + 2, sizeof(vox_stage *), "pipeline", err);
    p->stage = vox_alloc(network->count + 3, sizeof(vox_stage *), "pipeline", err);
    b.levels = b.of && p->stage ? make_levels(network, in, part, err) : NULL;
    bool built = false;
    if (b.levels) {
        p->in = b.levels[0].box;
        p->slab = vox_min(slab, vox_box_extent(&p->in, 0));
        built = build(&b) == VOX_OK && share_slots(p, err) == VOX_OK &&
                simulate(p, find_period(p), err) == VOX_OK;
    }
    free(b.of);
    free(b.levels);
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
        tables += vox_stage_table_bytes(s) + vox_feed_bytes(&s->main);
        for (int k = 0; k < s->op_count; k++)
            if (s->op[k].side)
                tables += vox_feed_bytes(s->op[k].side);
    }
    part(user, "weights and tables", tables);
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
    if (!status && source(p)->produced == source(p)->out[1])
        rewind_stages(p);
    return status;
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
