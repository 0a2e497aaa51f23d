/* label_count.c - see label_count.h. Every thread counts for itself, and sums of whole numbers are
 * the same in any order. Voxels of a label lie side by side, so a row is counted run by run. */
#include "engine/label_count.h"

#include "base/spread.h"

#include <stdlib.h>
#include <string.h>

struct vox_label_count {
    int64_t labels, stride; /* of the threads' counts */
    int threads;
    int64_t *count; /* [threads][stride] */
};

/* No two threads write to one cache line. */
static int64_t thread_stride(int64_t labels) {
    return vox_round_up(labels, VOX_ALIGN / (int64_t)sizeof(int64_t));
}

vox_label_count *vox_label_count_new(int64_t labels, int threads, vox_error *err) {
    vox_label_count *c = vox_alloc(1, sizeof *c, "label counts", err);
    if (!c)
        return NULL;
    *c = (vox_label_count){.labels = labels, .stride = thread_stride(labels), .threads = threads};
    c->count = vox_alloc(c->stride, (size_t)threads * sizeof *c->count, "label counts", err);
    if (c->count)
        return c;
    vox_label_count_free(c);
    return NULL;
}

void vox_label_count_free(vox_label_count *c) {
    if (!c)
        return;
    free(c->count);
    free(c);
}

int64_t vox_label_count_bytes(int64_t labels, int threads, int64_t frames) {
    int64_t own, all, bytes;
    const bool fits = vox_mul(thread_stride(labels), threads, &own) &&
                      vox_mul(labels, frames, &all) && vox_add(own, all, &bytes) &&
                      vox_mul(bytes, sizeof(int64_t), &bytes);
    return fits ? bytes : INT64_MAX;
}

typedef struct work {
    const vox_label_count *counts;
    const vox_planes *planes;
    int64_t d;
} work;

static void add_run(const vox_label_count *c, int thread, float value, int64_t voxels) {
    if (!(value >= 0 && value < (float)c->labels)) /* NaN is neither */
        return;
    const int64_t label = (int64_t)value;
    if ((float)label == value)
        c->count[thread * c->stride + label] += voxels;
}

static void count_row(void *user, int64_t unit, int thread) {
    const work *w = user;
    const int64_t rows = w->planes->rows, columns = w->planes->columns;
    const float *row = vox_plane_row(w->planes, 0, w->d + unit / rows, unit % rows);
    for (int64_t i = 0, from = 0; i < columns; from = i) {
        while (i < columns && row[i] == row[from])
            i++;
        i = vox_max(i, from + 1); /* NaN is not equal to itself */
        add_run(w->counts, thread, row[from], i - from);
    }
}

void vox_label_count_planes(vox_label_count *c, int64_t d, int64_t count,
                            const vox_planes *planes) {
    work w = {c, planes, d};
    vox_spread(c->threads, count * planes->rows, count_row, &w);
}

void vox_label_count_take(vox_label_count *c, int64_t *voxels) {
    for (int t = 0; t < c->threads; t++)
        for (int64_t i = 0; i < c->labels; i++)
            voxels[i] += c->count[t * c->stride + i];
    memset(c->count, 0, (size_t)(c->stride * c->threads) * sizeof *c->count);
}
