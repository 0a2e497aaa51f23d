/* argmax.c - the number of the largest channel of every voxel, torch.argmax(x, 1): the first of
 * several that are equal; a NaN is larger than any number. */
#include "base/spread.h"
#include "layer/layer.h"

#include <stdlib.h>

static vox_status argmax_shape(const vox_layer *l, const int64_t *in, int64_t out[4],
                               vox_axis axis[3], vox_error *err) {
    (void)l;
    if (in[0] > 1 << 24)
        return vox_fail(err, VOX_ERR_USAGE, "argmax: %lld channels: more than float32 can number",
                        (long long)in[0]);
    out[0] = 1;
    for (int i = 0; i < 3; i++) {
        out[1 + i] = in[1 + i];
        axis[i] =
            (vox_axis){.in = in[1 + i], .out = in[1 + i], .kernel = 1, .stride = 1, .dilation = 1};
    }
    return VOX_OK;
}

/* Row r of plane d. The largest value so far lives in `best`, a piece of the row at a time: the
 * numbers may take the place of channel 0. */
static void argmax_unit(void *user, int64_t unit, int thread) {
    enum { PIECE = 256 };
    const vox_window *w = user;
    const int64_t d = w->first + unit % w->count, r = unit / w->count;
    (void)thread;
    for (int64_t i = 0; i < w->from->columns; i += PIECE) {
        const int64_t n = vox_min(PIECE, w->from->columns - i);
        float best[PIECE], *number = vox_plane_row(w->to, 0, d, r) + i;
        const float *x = vox_plane_row(w->from, 0, d, r) + i;
        for (int64_t k = 0; k < n; k++) {
            best[k] = x[k];
            number[k] = 0;
        }
        for (int64_t c = 1; c < w->from->channels; c++) {
            x = vox_plane_row(w->from, c, d, r) + i;
            for (int64_t k = 0; k < n; k++) {
                const bool larger = best[k] == best[k] && !(x[k] <= best[k]);
                best[k] = larger ? x[k] : best[k];
                number[k] = larger ? (float)c : number[k];
            }
        }
    }
}

static void argmax_window(const vox_layer *l, void *prepared, const vox_window *w) {
    vox_window work = *w;
    (void)l, (void)prepared;
    vox_spread(w->threads, w->count * w->from->rows, argmax_unit, &work);
}

void vox_argmax_planes(const vox_planes *planes, int64_t d, int64_t count, int threads) {
    const vox_window w = {
        .from = planes, .to = planes, .first = d, .count = count, .threads = threads};
    argmax_window(NULL, NULL, &w);
}

static void argmax_free(vox_layer *l) {
    free(l);
}

static const vox_layer_class argmax_class = {
    .name = "argmax",
    .shape = argmax_shape,
    .window = argmax_window,
    .free = argmax_free,
};

bool vox_network_before_argmax(const vox_network *n, vox_network *scores) {
    const vox_layer *last = n->current > 0 ? n->layer[n->current - 1] : NULL;
    *scores = *n;
    if (!last || last->class != &argmax_class)
        return false;
    scores->current = last->input[0];
    return true;
}

vox_status vox_network_argmax(vox_network *n, vox_error *err) {
    vox_layer *l = vox_alloc(1, sizeof *l, "argmax", err);
    if (!l)
        return VOX_ERR_RESOURCE;
    l->class = &argmax_class;
    return vox_network_append(n, l, 1, NULL, err);
}
