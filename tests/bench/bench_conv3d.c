/* bench_conv3d.c - how long one Conv3d takes, and how far that is from what the machine can do.
 *
 *     bench_conv3d [--json] [--threads N] [--repeat N] PROBLEM...
 *
 * A problem is icN ocN kN sN pN dN gN in any order without blanks, then _DxHxW:
 * ic32oc64k3s2p1_64x64x64; three numbers as k3x5x5; what is left out is torch's default (ic1 oc1 k1
 * s1 p0 d1 g1). The layer is run through vox_network_run on dense NCDHW arrays, bias included. It
 * is verified first, on voxels drawn at random, bit for bit against a naive sum of fused
 * multiply-adds; then timed: one run to warm up, and the median of many.
 *
 * GFLOP/s count two operations for each tap that meets a voxel, not for those that meet padding.
 * peak_share is their share of the FMA peak; copy_share is the share of the time that copying the
 * input and output once would take. The peak is measured in alternation with the layer, for as long
 * as the layer ran, and its share is the median of the ratios: another program on the same cores
 * takes from the limit what it takes from the layer. Copies, which sweep the caches, are made
 * before and after. But a program on the other hardware thread of a core takes caches and issue
 * slots that the limits hardly need; so beside the shares stand those of the fastest run in the
 * highest limit.
 */
#include "peak.h"
#include "voxconv.h"

#include <ctype.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct problem {
    const char *text;
    vox_conv3d conv;
    int64_t in[5], out[5];
    double flops; /* on taps that meet a voxel */
    float *x, *w, *b, *y;
} problem;

static int64_t product(const int64_t *n, int count) {
    int64_t p = 1;
    for (int i = 0; i < count; i++)
        p *= n[i];
    return p;
}

/* ---- Problem strings ---- */

/* "3" or "3x5x5"; returns what follows, or NULL. */
static const char *read_triple(const char *s, int64_t to[3]) {
    int count = 0;
    do {
        char *end;
        if (count > 0)
            s++;
        if (!isdigit((unsigned char)*s) || count == 3)
            return NULL;
        to[count++] = strtoll(s, &end, 10);
        s = end;
    } while (*s == 'x');
    if (count == 2)
        return NULL;
    if (count == 1)
        to[1] = to[2] = to[0];
    return s;
}

static bool parse(const char *text, problem *p) {
    const char *s = text;
    int64_t n[3];
    *p = (problem){.text = text};
    vox_conv3d_defaults(&p->conv);
    while (s && *s && *s != '_') {
        const struct {
            const char *name;
            int64_t *scalar, *triple;
        } field[] = {{"ic", &p->conv.in_channels, NULL}, {"oc", &p->conv.out_channels, NULL},
                     {"g", &p->conv.groups, NULL},       {"k", NULL, p->conv.kernel_size},
                     {"s", NULL, p->conv.stride},        {"d", NULL, p->conv.dilation},
                     {"p", NULL, p->conv.padding_before}};
        size_t i = 0, fields = sizeof field / sizeof *field;
        while (i < fields && strncmp(s, field[i].name, strlen(field[i].name)) != 0)
            i++;
        if (i == fields || !(s = read_triple(s + strlen(field[i].name), n)))
            return false;
        if (field[i].scalar)
            *field[i].scalar = n[0];
        else
            memcpy(field[i].triple, n, sizeof n);
    }
    if (!s || *s != '_' || !(s = read_triple(s + 1, n)) || *s)
        return false;
    memcpy(p->conv.padding_after, p->conv.padding_before, sizeof n);
    p->in[0] = p->out[0] = 1;
    p->in[1] = p->conv.in_channels;
    memcpy(p->in + 2, n, sizeof n);
    return true;
}

/* ---- Data, verification ---- */

static uint64_t state = 88172645463325252u;
static uint64_t roll(void) { /* xorshift64 (Marsaglia 2003) */
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static float *random_values(int64_t count) {
    float *v = aligned_alloc(64, (size_t)(count * 4 + 63) / 64 * 64);
    for (int64_t i = 0; v && i < count; i++)
        v[i] = (float)(int64_t)(roll() >> 40) * 0x1p-23f - 1;
    return v;
}

/* The fused sum of one output voxel, from the definition. */
static float voxel(const problem *p, int64_t oc, const int64_t o[3]) {
    const vox_conv3d *c = &p->conv;
    int64_t group_in = c->in_channels / c->groups, group = oc / (c->out_channels / c->groups);
    const float *w = p->w + oc * group_in * product(c->kernel_size, 3);
    float sum = p->b[oc];
    for (int64_t ic = 0; ic < group_in; ic++)
        for (int64_t d = 0; d < c->kernel_size[0]; d++)
            for (int64_t h = 0; h < c->kernel_size[1]; h++)
                for (int64_t k = 0; k < c->kernel_size[2]; k++, w++) {
                    const int64_t at[3] = {d, h, k};
                    int64_t offset = group * group_in + ic;
                    bool inside = true;
                    for (int i = 0; i < 3; i++) {
                        int64_t q =
                            o[i] * c->stride[i] - c->padding_before[i] + at[i] * c->dilation[i];
                        inside = inside && q >= 0 && q < p->in[2 + i];
                        offset = offset * p->in[2 + i] + q;
                    }
                    if (inside)
                        sum = fmaf(p->x[offset], *w, sum);
                }
    return sum;
}

static bool verify(const problem *p) {
    for (int i = 0; i < 2000; i++) {
        int64_t oc = (int64_t)(roll() >> 1) % p->out[1], o[3], offset = oc;
        for (int a = 0; a < 3; a++) {
            o[a] = (int64_t)(roll() >> 1) % p->out[2 + a];
            offset = offset * p->out[2 + a] + o[a];
        }
        float expected = voxel(p, oc, o);
        if (p->y[offset] != expected) {
            fprintf(stderr, "%s: channel %lld, voxel %lld,%lld,%lld is %a and should be %a\n",
                    p->text, (long long)oc, (long long)o[0], (long long)o[1], (long long)o[2],
                    (double)p->y[offset], (double)expected);
            return false;
        }
    }
    return true;
}

/* Taps along one axis that meet a voxel, over all outputs. */
static double real_taps(const problem *p, int axis) {
    const vox_conv3d *c = &p->conv;
    double taps = 0;
    for (int64_t o = 0; o < p->out[2 + axis]; o++)
        for (int64_t k = 0; k < c->kernel_size[axis]; k++) {
            int64_t q = o * c->stride[axis] - c->padding_before[axis] + k * c->dilation[axis];
            taps += q >= 0 && q < p->in[2 + axis];
        }
    return taps;
}

/* ---- Timing ---- */

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int n) {
    qsort(values, (size_t)n, sizeof *values, ascending);
    return values[n / 2];
}

static bool bench(problem *p, int threads, int repeat, bool json) {
    vox_error err = {0};
    enum { MOST = 1000, WARM_UP = 5, COPIES = 3 };
    double ms[MOST], peak[MOST], peak_share[MOST], copy[2 * COPIES], total = 0;
    bool good = false;
    vox_network *network = vox_network_new(&err);
    p->x = random_values(product(p->in, 5));
    p->w = random_values(p->conv.out_channels * p->conv.in_channels / p->conv.groups *
                         product(p->conv.kernel_size, 3));
    p->b = random_values(p->conv.out_channels);
    if (!network || !p->x || !p->w || !p->b ||
        vox_network_conv3d(network, &p->conv, p->w, p->b, &err) ||
        vox_network_shape(network, p->in + 1, p->out + 1, &err))
        goto out;
    p->y = random_values(product(p->out, 5));
    if (!p->y || vox_network_run(network, p->x, p->in, p->y, threads, &err) || !verify(p))
        goto out;
    p->flops = 2.0 * (double)(p->conv.in_channels / p->conv.groups * p->conv.out_channels) *
               real_taps(p, 0) * real_taps(p, 1) * real_taps(p, 2);
    int n = 0;
    for (int i = 0; i < COPIES; i++)
        copy[i] = copy_bandwidth(threads);
    for (int i = 0; i < WARM_UP; i++)
        if (vox_network_run(network, p->x, p->in, p->y, threads, &err))
            goto out;
    while (n < MOST && (repeat ? n < repeat : n < 5 || total < 1000)) {
        const double start = seconds_now();
        if (vox_network_run(network, p->x, p->in, p->y, threads, &err))
            goto out;
        const double seconds = seconds_now() - start;
        peak[n] = peak_gflops(vox_isa(), threads, seconds);
        peak_share[n] = p->flops / seconds * 1e-9 / peak[n];
        ms[n] = 1e3 * seconds;
        total += ms[n++];
    }
    for (int i = 0; i < COPIES; i++)
        copy[COPIES + i] = copy_bandwidth(threads);
    const double middle = median(ms, n), gflops = p->flops / middle * 1e-6;
    const double peak_median = median(peak, n), copy_median = median(copy, 2 * COPIES); /* sort */
    const double gbytes = 4e-6 * (double)(product(p->in, 5) + product(p->out, 5));      /* and ms */
    const double peak_best = p->flops / ms[0] * 1e-6 / peak[n - 1],
                 copy_best = gbytes / ms[0] / copy[2 * COPIES - 1];
    if (json)
        printf("{\"problem\": \"%s\", \"threads\": %d, \"isa\": \"%s\", \"ms_median\": %.4f, "
               "\"ms_min\": %.4f, \"ms_max\": %.4f, \"runs\": %d, \"gflops\": %.2f, "
               "\"peak_share\": %.4f, \"copy_share\": %.4f, \"peak_best\": %.4f, "
               "\"copy_best\": %.4f, \"peak_gflops\": %.1f, \"copy_gbytes\": %.2f}\n",
               p->text, threads, vox_isa(), middle, ms[0], ms[n - 1], n, gflops,
               median(peak_share, n), gbytes / middle / copy_median, peak_best, copy_best,
               peak_median, copy_median);
    else
        printf("%-36s %9.3f %9.3f %9.3f %9.1f %6.1f%% %6.1f%% %6.1f%% %6.1f%% %9.0f %6.1f\n",
               p->text, middle, ms[0], ms[n - 1], gflops, 100 * median(peak_share, n),
               100 * peak_best, 100 * gbytes / middle / copy_median, 100 * copy_best, peak_median,
               copy_median);
    fflush(stdout);
    good = true;
out:
    if (!good)
        fprintf(stderr, "bench_conv3d: %s: %s\n", p->text, err.message);
    vox_network_free(network);
    free(p->x);
    free(p->w);
    free(p->b);
    free(p->y);
    return good;
}

int main(int argc, char **argv) {
    bool json = false;
    int threads = omp_get_max_threads(), repeat = 0, i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
            threads = atoi(argv[++i]);
        else if (strcmp(argv[i], "--repeat") == 0 && i + 1 < argc)
            repeat = atoi(argv[++i]);
        else
            i = argc;
    }
    if (i >= argc || threads < 1) {
        fprintf(stderr, "usage: bench_conv3d [--json] [--threads N] [--repeat N] PROBLEM...\n"
                        "a problem: ic32oc64k3s2p1d1g1_64x64x64, ic3oc32k3x5x5p1x2x2_16x112x112\n");
        return 2;
    }
    if (!json)
        printf("%d threads, %s\n%-36s %9s %9s %9s %9s %7s %7s %7s %7s %9s %6s\n", threads,
               vox_isa(), "problem", "ms median", "min", "max", "GFLOP/s", "of peak", "best",
               "of copy", "best", "FMA peak", "GB/s");
    for (; i < argc; i++) {
        problem p;
        if (!parse(argv[i], &p)) {
            fprintf(stderr, "bench_conv3d: %s: not a problem\n", argv[i]);
            return 2;
        }
        if (!bench(&p, threads, repeat, json))
            return 1;
    }
    return 0;
}
