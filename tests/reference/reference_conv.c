/* reference_conv.c - Conv3d and its rounding bound as plain loops; see reference.h. */
#include "reference.h"

#include <math.h>
#include <stddef.h>

void ref_conv_size(const ref_conv *c, const int64_t in[3], int64_t out[3]) {
    for (int a = 0; a < 3; a++) {
        int64_t reach = c->dilation[a] * (c->kernel[a] - 1) + 1;
        out[a] = (in[a] + c->before[a] + c->after[a] - reach) / c->stride[a] + 1;
    }
}

/* The input index that padded index i (0 is the first real voxel) reads, or -1 where it reads a
 * zero. */
static int64_t source_index(ref_mode mode, int64_t i, int64_t n) {
    if (i >= 0 && i < n)
        return i;
    switch (mode) {
    case REF_REFLECT:
        return i < 0 ? -i : 2 * (n - 1) - i;
    case REF_REPLICATE:
        return i < 0 ? 0 : n - 1;
    case REF_CIRCULAR:
        return i < 0 ? i + n : i - n;
    case REF_ZEROS:
        break;
    }
    return -1;
}

/* One window: where it starts in x and which weights go over it. */
typedef struct window {
    const ref_conv *c;
    const int64_t *in;
    const float *x; /* the first input channel of the group, [channels of a group, in] */
    const float *w; /* the weights of one output channel */
    int64_t at[3];  /* output index */
} window;

/* The voxel under a tap, 0 in the zero padding. */
static float voxel_under(const window *v, int64_t channel, const int64_t tap[3]) {
    int64_t offset = channel;
    for (int a = 0; a < 3; a++) {
        int64_t i = v->at[a] * v->c->stride[a] - v->c->before[a] + tap[a] * v->c->dilation[a];
        i = source_index(v->c->mode, i, v->in[a]);
        if (i < 0)
            return 0.0f;
        offset = offset * v->in[a] + i;
    }
    return v->x[offset];
}

/* Calls take(state, x, w) for every tap in the order in_channel, kd, kh, kw. */
static void each_tap(const window *v, void (*take)(void *state, float x, float w), void *state) {
    const int64_t *k = v->c->kernel;
    const float *w = v->w;
    int64_t tap[3];
    for (int64_t channel = 0; channel < v->c->in_channels / v->c->groups; channel++)
        for (tap[0] = 0; tap[0] < k[0]; tap[0]++)
            for (tap[1] = 0; tap[1] < k[1]; tap[1]++)
                for (tap[2] = 0; tap[2] < k[2]; tap[2]++)
                    take(state, voxel_under(v, channel, tap), *w++);
}

/* Calls each(state, output offset, output channel, window) for every output voxel. */
static void each_window(const ref_conv *c, int64_t batch, const int64_t in[3], const float *x,
                        const float *w,
                        void (*each)(void *state, int64_t o, int64_t oc, const window *v),
                        void *state) {
    int64_t out[3], voxels = in[0] * in[1] * in[2], o = 0;
    int64_t group_in = c->in_channels / c->groups, group_out = c->out_channels / c->groups;
    int64_t filter = group_in * c->kernel[0] * c->kernel[1] * c->kernel[2];
    ref_conv_size(c, in, out);
    for (int64_t n = 0; n < batch; n++)
        for (int64_t oc = 0; oc < c->out_channels; oc++) {
            int64_t first = n * c->in_channels + oc / group_out * group_in;
            window v = {c, in, x + first * voxels, w + oc * filter, {0, 0, 0}};
            for (v.at[0] = 0; v.at[0] < out[0]; v.at[0]++)
                for (v.at[1] = 0; v.at[1] < out[1]; v.at[1]++)
                    for (v.at[2] = 0; v.at[2] < out[2]; v.at[2]++)
                        each(state, o++, oc, &v);
        }
}

typedef struct exact {
    double sum, magnitude;
    const float *b;
    double *y, *magnitudes;
} exact;

static void take_exact(void *state, float x, float w) {
    exact *e = state;
    e->sum += (double)x * w;
    e->magnitude += fabs((double)x * w);
}

static void each_exact(void *state, int64_t o, int64_t oc, const window *v) {
    exact *e = state;
    e->sum = e->b ? e->b[oc] : 0.0;
    e->magnitude = fabs(e->sum);
    each_tap(v, take_exact, e);
    e->y[o] = e->sum;
    if (e->magnitudes)
        e->magnitudes[o] = e->magnitude;
}

void ref_conv3d(const ref_conv *c, int64_t batch, const int64_t in[3], const float *x,
                const float *w, const float *b, double *y, double *magnitude) {
    exact e = {0.0, 0.0, b, y, magnitude};
    each_window(c, batch, in, x, w, each_exact, &e);
}

typedef struct fused {
    float sum;
    const float *b;
    float *y;
} fused;

static void take_fused(void *state, float x, float w) {
    fused *f = state;
    f->sum = fmaf(x, w, f->sum);
}

static void each_fused(void *state, int64_t o, int64_t oc, const window *v) {
    fused *f = state;
    f->sum = f->b ? f->b[oc] : 0.0f;
    each_tap(v, take_fused, f);
    f->y[o] = f->sum;
}

void ref_conv3d_fused(const ref_conv *c, int64_t batch, const int64_t in[3], const float *x,
                      const float *w, const float *b, float *y) {
    fused f = {0.0f, b, y};
    each_window(c, batch, in, x, w, each_fused, &f);
}

double ref_conv_bound(const ref_conv *c, double magnitude) {
    double taps = (double)(c->kernel[0] * c->kernel[1] * c->kernel[2]);
    double n = taps * (double)(c->in_channels / c->groups) + 1.0;
    double u = 0x1p-24;
    return n * u / (1.0 - n * u) * magnitude;
}
