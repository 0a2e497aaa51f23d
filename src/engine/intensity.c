/* intensity.c - see intensity.h. */
#include "engine/intensity.h"

#include "base/moments.h"
#include "base/spread.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BINS = 1 << 16, /* of one half of a float's bits */
    RANKS = 4,      /* two percentiles, each between two values */
};

/* A value by its place in the sorted row of all. */
typedef struct ranked {
    int64_t rank; /* among all; behind the first pass, in its bin */
    uint32_t bin; /* the upper half of its key */
    float value;
} ranked;

typedef struct channel {
    float min, max;
    vox_moments moments; /* n: of the values that count */
    ranked ranked[RANKS];
    double weight[2]; /* how far each percentile is from the first of its values to the second */
    int64_t *bin;     /* [RANKS][BINS]; in the first pass [BINS] */
    double from, to;  /* clipped to */
    double shift, divisor;
} channel;

struct vox_intensity_state {
    vox_prepare prepare;
    int threads;
    int64_t channels;
    channel *channel;
    int64_t *bins;
};

/* ---- What is asked for ---- */

vox_status vox_prepare_intensity(vox_prepare *p, const char *text, vox_error *err) {
    vox_prepare made = *p;
    double *v = made.parameter;
    char rest;
    made.nonzero = !strcmp(text, "zscore:nonzero");
    if (!strcmp(text, "none"))
        made.intensity = VOX_INTENSITY_NONE;
    else if (!strcmp(text, "minmax"))
        made.intensity = VOX_INTENSITY_MINMAX;
    else if (!strcmp(text, "zscore") || made.nonzero)
        made.intensity = VOX_INTENSITY_ZSCORE;
    else if (sscanf(text, "percentile:%lf,%lf%c", &v[0], &v[1], &rest) == 2)
        made.intensity = VOX_INTENSITY_PERCENTILE;
    else if (sscanf(text, "window:%lf,%lf%c", &v[0], &v[1], &rest) == 2)
        made.intensity = VOX_INTENSITY_WINDOW;
    else
        return vox_fail(err, VOX_ERR_USAGE,
                        "must be none, minmax, percentile:LO,HI, zscore[:nonzero] or "
                        "window:LEVEL,WIDTH");
    const vox_status status = vox_intensity_check(&made, err);
    if (!status)
        *p = made;
    return status;
}

vox_status vox_intensity_check(const vox_prepare *p, vox_error *err) {
    const double *v = p->parameter;
    if ((int)p->intensity < VOX_INTENSITY_UNSET || p->intensity > VOX_INTENSITY_WINDOW)
        return vox_fail(err, VOX_ERR_USAGE, "intensity=%d: is none of them", (int)p->intensity);
    if (p->intensity == VOX_INTENSITY_PERCENTILE && !(v[0] >= 0 && v[0] < v[1] && v[1] <= 100))
        return vox_fail(err, VOX_ERR_USAGE,
                        "percentiles %g and %g: must be between 0 and 100, the lower one first",
                        v[0], v[1]);
    if (p->intensity == VOX_INTENSITY_WINDOW && !(isfinite(v[0]) && isfinite(v[1]) && v[1] > 0))
        return vox_fail(err, VOX_ERR_USAGE, "level %g, width %g: must be finite, the width above 0",
                        v[0], v[1]);
    return VOX_OK;
}

bool vox_intensity_changes(const vox_prepare *p) {
    return p->intensity > VOX_INTENSITY_NONE;
}

int vox_intensity_passes(const vox_prepare *p) {
    if (p->intensity == VOX_INTENSITY_PERCENTILE)
        return 2;
    return p->intensity == VOX_INTENSITY_MINMAX || p->intensity == VOX_INTENSITY_ZSCORE;
}

static int64_t bins_of(const vox_prepare *p) {
    return p->intensity == VOX_INTENSITY_PERCENTILE ? (int64_t)RANKS * BINS : 0;
}

int64_t vox_intensity_bytes(const vox_prepare *p, int64_t channels) {
    int64_t bytes;
    if (!vox_intensity_changes(p))
        return 0;
    const int64_t each = (int64_t)sizeof(channel) + bins_of(p) * (int64_t)sizeof(int64_t);
    if (!vox_mul(channels, each, &bytes) ||
        !vox_add(bytes, (int64_t)sizeof(vox_intensity_state) + 3 * VOX_ALIGN, &bytes))
        return INT64_MAX;
    return bytes;
}

/* ---- Life ---- */

vox_intensity_state *vox_intensity_new(const vox_prepare *p, int64_t channels, int threads,
                                       vox_error *err) {
    vox_intensity_state *s = vox_alloc(1, sizeof *s, "intensities", err);
    if (!s)
        return NULL;
    s->prepare = *p;
    s->threads = threads;
    s->channels = channels;
    s->channel = vox_alloc(channels, sizeof *s->channel, "intensities", err);
    if (s->channel && bins_of(p))
        s->bins = vox_alloc(channels, (size_t)bins_of(p) * sizeof *s->bins, "intensities", err);
    if (!s->channel || (bins_of(p) && !s->bins)) {
        vox_intensity_free(s);
        return NULL;
    }
    const double *v = p->parameter;
    const bool window = p->intensity == VOX_INTENSITY_WINDOW;
    for (int64_t c = 0; c < channels; c++)
        s->channel[c] = (channel){
            .bin = s->bins ? s->bins + c * bins_of(p) : NULL,
            .from = window ? v[0] - v[1] / 2 : -INFINITY,
            .to = window ? v[0] + v[1] / 2 : INFINITY,
            .shift = window ? v[0] - v[1] / 2 : 0,
            .divisor = window ? v[1] : 1,
        };
    return s;
}

void vox_intensity_free(vox_intensity_state *s) {
    if (!s)
        return;
    free(s->channel);
    free(s->bins);
    free(s);
}

/* ---- Statistics ---- */

/* Unsigned numbers in the order of the floats: the bits of positive ones above those of negative
 * ones, which run the other way. */
static uint32_t key_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits >> 31 ? ~bits : bits | 1u << 31;
}

static float value_of(uint32_t key) {
    const uint32_t bits = key >> 31 ? key & ~(1u << 31) : ~key;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void take_range(channel *c, const float *row, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(row[i]))
            continue;
        c->min = row[i] < c->min ? row[i] : c->min;
        c->max = row[i] > c->max ? row[i] : c->max;
        c->moments.n++;
    }
}

static void take_moments(channel *c, const float *row, int64_t n, bool nonzero) {
    vox_moments block = {0};
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        if (isfinite(row[i]) && !(nonzero && row[i] == 0)) {
            sum += (double)row[i];
            block.n++;
        }
    block.mean = block.n ? sum / (double)block.n : 0;
    for (int64_t i = 0; i < n; i++)
        if (isfinite(row[i]) && !(nonzero && row[i] == 0))
            block.squares += ((double)row[i] - block.mean) * ((double)row[i] - block.mean);
    vox_moments_join(&c->moments, &block);
}

static void take_upper_halves(channel *c, const float *row, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (isfinite(row[i])) {
            c->bin[key_of(row[i]) >> 16]++;
            c->moments.n++;
        }
}

static void take_lower_halves(channel *c, const float *row, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        const uint32_t key = key_of(row[i]);
        for (int k = 0; k < RANKS; k++)
            if (key >> 16 == c->ranked[k].bin)
                c->bin[k * BINS + (int64_t)(key & (BINS - 1))]++;
    }
}

void vox_intensity_begin(vox_intensity_state *s, int pass) {
    for (int64_t i = 0; i < s->channels; i++) {
        channel *c = &s->channel[i];
        if (pass == 0) {
            c->min = INFINITY;
            c->max = -INFINITY;
            c->moments = (vox_moments){0};
        }
        if (c->bin)
            memset(c->bin, 0, (size_t)RANKS * BINS * sizeof *c->bin);
    }
}

typedef struct planes_of {
    const vox_intensity_state *state;
    const vox_planes *planes;
    int64_t d, count;
    int pass;
} planes_of;

/* All rows of one channel: a thread's alone, so that they come in order. */
static void take_channel(void *user, int64_t i, int thread) {
    const planes_of *p = user;
    const vox_prepare *how = &p->state->prepare;
    channel *c = &p->state->channel[i];
    const int64_t n = p->planes->columns;
    (void)thread;
    for (int64_t d = p->d; d < p->d + p->count; d++)
        for (int64_t r = 0; r < p->planes->rows; r++) {
            const float *row = vox_plane_row(p->planes, i, d, r);
            if (how->intensity == VOX_INTENSITY_MINMAX)
                take_range(c, row, n);
            else if (how->intensity == VOX_INTENSITY_ZSCORE)
                take_moments(c, row, n, how->nonzero);
            else if (p->pass == 0)
                take_upper_halves(c, row, n);
            else
                take_lower_halves(c, row, n);
        }
}

void vox_intensity_take(vox_intensity_state *s, int pass, const vox_planes *planes, int64_t d,
                        int64_t count) {
    planes_of p = {s, planes, d, count, pass};
    vox_spread(s->threads, s->channels, take_channel, &p);
}

/* ---- What follows from them ---- */

/* The ranks that numpy's linear percentiles lie between: position q/100*(n - 1). */
static void choose_ranks(channel *c, const double percentile[2]) {
    const int64_t last = c->moments.n - 1;
    for (int i = 0; i < 2; i++) {
        const double position = percentile[i] / 100 * (double)last;
        const int64_t rank = vox_min((int64_t)position, last);
        c->weight[i] = position - (double)rank;
        c->ranked[2 * i].rank = rank;
        c->ranked[2 * i + 1].rank = vox_min(rank + 1, last);
    }
}

/* The bin that a rank falls into; the rank becomes that in the bin. */
static uint32_t find_bin(const int64_t *bin, int64_t *rank) {
    uint32_t i = 0;
    while (i < BINS - 1 && *rank >= bin[i])
        *rank -= bin[i++];
    return i;
}

/* As numpy does it, to the bit: from the nearer of the two. */
static double between(double a, double b, double t) {
    return t >= 0.5 ? b - (b - a) * (1 - t) : a + (b - a) * t;
}

static void end_percentiles(channel *c, const vox_prepare *how, int pass) {
    if (pass == 0) {
        choose_ranks(c, how->parameter);
        for (int k = 0; k < RANKS; k++)
            c->ranked[k].bin = find_bin(c->bin, &c->ranked[k].rank);
        return;
    }
    for (int k = 0; k < RANKS; k++) {
        ranked *r = &c->ranked[k];
        r->value = value_of(r->bin << 16 | find_bin(c->bin + k * BINS, &r->rank));
    }
    const ranked *r = c->ranked;
    c->from = c->shift = between((double)r[0].value, (double)r[1].value, c->weight[0]);
    c->to = between((double)r[2].value, (double)r[3].value, c->weight[1]);
    c->divisor = c->to - c->from;
}

void vox_intensity_end(vox_intensity_state *s, int pass) {
    for (int64_t i = 0; i < s->channels; i++) {
        channel *c = &s->channel[i];
        if (c->moments.n == 0) /* no value, or only zeros that stay */
            c->divisor = 0;
        else if (s->prepare.intensity == VOX_INTENSITY_MINMAX) {
            c->shift = (double)c->min;
            c->divisor = (double)c->max - (double)c->min;
        } else if (s->prepare.intensity == VOX_INTENSITY_ZSCORE) {
            c->shift = c->moments.mean;
            c->divisor = sqrt(c->moments.squares / (double)c->moments.n);
        } else
            end_percentiles(c, &s->prepare, pass);
    }
}

/* ---- The change ---- */

/* In double precision, rounded once: as numpy does it in float64. */
static void change_row(const channel *c, bool keep_zero, float *row, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        double x = (double)row[i];
        x = x < c->from ? c->from : x;
        x = x > c->to ? c->to : x;
        const double y = c->divisor > 0 ? (x - c->shift) / c->divisor : 0;
        const bool stays = isnan(row[i]) || (keep_zero && row[i] == 0);
        row[i] = stays ? row[i] : (float)y;
    }
}

static void change_rows(void *user, int64_t unit, int thread) {
    const planes_of *p = user;
    const vox_intensity_state *s = p->state;
    const int64_t row = unit % p->planes->rows, d = p->d + unit / p->planes->rows;
    (void)thread;
    for (int64_t c = 0; c < s->channels; c++)
        change_row(&s->channel[c], s->prepare.nonzero, vox_plane_row(p->planes, c, d, row),
                   p->planes->columns);
}

void vox_intensity_apply(const vox_intensity_state *s, const vox_planes *planes, int64_t d,
                         int64_t count) {
    planes_of p = {s, planes, d, count, 0};
    vox_spread(s->threads, count * planes->rows, change_rows, &p);
}
