/* builder.c - see builder.h. */
#include "engine/builder.h"

#include <stdlib.h>
#include <string.h>

/* A pipeline in the making. */
typedef struct builder {
    vox_pipeline *p;
    const vox_network *network;
    const vox_level *levels;
    vox_stage **of; /* [count + 2] the stage that makes a value, or what is wanted of the last */
    int threads;
    vox_error *err;
} builder;

/* `feed` reads `value` for `result`: through a window, or voxel by voxel. */
static vox_status connect(builder *b, vox_stage *reader, vox_feed *feed, const vox_layer *window,
                          int value, int result) {
    const vox_level *in = &b->levels[value], *out = &b->levels[result];
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

vox_status vox_pipeline_build(vox_pipeline *p, const vox_network *network, const vox_level *levels,
                              int threads, vox_error *err) {
    builder b = {.p = p, .network = network, .levels = levels, .threads = threads, .err = err};
    b.of = vox_alloc(network->count + 2, sizeof(vox_stage *), "pipeline", err);
    p->stage = vox_alloc(network->count + 3, sizeof(vox_stage *), "pipeline", err);
    vox_status status = b.of && p->stage ? build(&b) : VOX_ERR_RESOURCE;
    free(b.of);
    return status ? status : share_slots(p, err);
}
