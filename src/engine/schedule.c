/* schedule.c - which input planes an output plane waits for, and which may go. */
#include "engine/schedule.h"

#include <stdlib.h>

static int64_t edges(const vox_schedule *s) {
    return s->inside + s->axis.out - s->inside_end;
}

/* The output that an entry of the lists is about. */
static int64_t edge_output(const vox_schedule *s, int64_t edge) {
    return edge < s->inside ? edge : edge - s->inside + s->inside_end;
}

static int64_t window_begin(const vox_axis *a, int64_t o) {
    return o * a->stride - a->before;
}

/* Outputs whose windows begin before position `limit`. */
static int64_t begin_before(const vox_axis *a, int64_t limit) {
    const int64_t room = limit + a->before;
    return room <= 0 ? 0 : vox_min(vox_ceil_div(room, a->stride), a->out);
}

/* The planes of one output, from the definition. */
static void look_at(const vox_axis *a, int64_t o, int64_t *ready, int64_t *keep) {
    for (int64_t k = 0; k < a->kernel; k++) {
        const int64_t d = vox_axis_source(a, window_begin(a, o) + k * a->dilation);
        if (d < 0)
            continue;
        *ready = vox_max(*ready, d);
        *keep = vox_min(*keep, d);
    }
}

vox_status vox_schedule_init(vox_schedule *s, const vox_axis *axis, const vox_layer *layer,
                             int64_t out, vox_error *err) {
    *s = (vox_schedule){.axis = *axis};
    vox_axis *a = &s->axis;
    const bool regular = !layer || !layer->class->reach;
    if (regular) {
        s->inside = begin_before(a, 0);
        s->inside_end = vox_max(begin_before(a, a->in - vox_axis_span(a) + 1), s->inside);
    } else {
        a->out = s->inside = s->inside_end = out;
    }
    const int64_t n = edges(s);
    s->ready = vox_alloc(n, sizeof *s->ready, "schedule", err);
    s->keep = vox_alloc(n, sizeof *s->keep, "schedule", err);
    if (!s->ready || !s->keep)
        return VOX_ERR_RESOURCE;
    for (int64_t e = 0; e < n; e++) {
        s->ready[e] = -1;
        s->keep[e] = a->in;
        if (regular) {
            look_at(a, edge_output(s, e), &s->ready[e], &s->keep[e]);
        } else {
            layer->class->reach(layer, a->in, e, &s->keep[e], &s->ready[e]);
            s->ready[e]--;
        }
    }
    /* Outputs come in their order: what one waits for, the next ones have; what one still needs,
     * those before it leave. */
    for (int64_t e = 1; e < n; e++)
        s->ready[e] = vox_max(s->ready[e], s->ready[e - 1]);
    for (int64_t e = n - 1; e-- > 0;)
        s->keep[e] = vox_min(s->keep[e], s->keep[e + 1]);
    return VOX_OK;
}

void vox_schedule_free(vox_schedule *s) {
    free(s->ready);
    free(s->keep);
}

/* Entries in front of output o, that is the one to look up where o is an edge itself. */
static int64_t edges_before(const vox_schedule *s, int64_t o) {
    return o < s->inside ? o : s->inside + vox_max(o - s->inside_end, 0);
}

static bool is_inside(const vox_schedule *s, int64_t o) {
    return o >= s->inside && o < s->inside_end;
}

/* The last plane that windows inside need, up to output o's. */
static int64_t inside_ready(const vox_schedule *s, int64_t o) {
    if (s->inside == s->inside_end || o < s->inside)
        return -1;
    return window_begin(&s->axis, vox_min(o, s->inside_end - 1)) + vox_axis_span(&s->axis) - 1;
}

/* The first plane that windows inside need, from output o's. */
static int64_t inside_keep(const vox_schedule *s, int64_t o) {
    return o < s->inside_end && s->inside < s->inside_end
               ? window_begin(&s->axis, vox_max(o, s->inside))
               : s->axis.in;
}

int64_t vox_schedule_ready(const vox_schedule *s, int64_t o) {
    const int64_t e = edges_before(s, o) - is_inside(s, o);
    return vox_max(inside_ready(s, o), e < 0 ? -1 : s->ready[e]);
}

int64_t vox_schedule_keep(const vox_schedule *s, int64_t o) {
    const int64_t e = edges_before(s, o);
    return vox_min(inside_keep(s, o), e < edges(s) ? s->keep[e] : s->axis.in);
}

static int64_t held(const vox_schedule *s, int64_t o) {
    return vox_schedule_ready(s, o) + 1 - vox_schedule_keep(s, o);
}

/* From one window inside to the next, `ready` and `keep` are the larger and the smaller of a
 * constant and of what grows by the stride: their difference is convex, so the first or the last
 * one holds the most. */
int64_t vox_schedule_slots(const vox_schedule *s) {
    int64_t most = 1;
    for (int64_t e = 0; e < edges(s); e++)
        most = vox_max(most, held(s, edge_output(s, e)));
    if (s->inside < s->inside_end)
        most = vox_max(most, vox_max(held(s, s->inside), held(s, s->inside_end - 1)));
    return most;
}

int64_t vox_schedule_bytes(const vox_schedule *s) {
    return 2 * edges(s) * (int64_t)sizeof *s->ready;
}
