/* layers.c - random networks over arrays in memory: every number of threads gives the bytes that
 * one thread gives with the portable instruction set. */
#include "tsan/scenarios.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_VALUES = 300000, MOST_LAYERS = 4 };

static vox_status add_conv(vox_network *network, dice *d, int64_t channels) {
    vox_conv3d c;
    vox_conv3d_defaults(&c);
    c.groups = dice_between(d, 0, 2) || channels % 2 ? 1 : channels;
    c.in_channels = channels;
    c.out_channels = c.groups * dice_between(d, 1, c.groups > 1 ? 3 : 19);
    c.padding_mode = (vox_padding_mode)dice_between(d, 0, 3);
    int64_t taps = c.in_channels / c.groups;
    for (int i = 0; i < 3; i++) {
        c.kernel_size[i] = dice_between(d, 0, 1) ? 3 : dice_between(d, 1, 5);
        c.stride[i] = dice_between(d, 0, 2) ? 1 : dice_between(d, 2, 3);
        c.dilation[i] = dice_between(d, 0, 2) ? 1 : dice_between(d, 2, 3);
        c.padding_before[i] = dice_between(d, 0, 3);
        c.padding_after[i] = dice_between(d, 0, 3);
        taps *= c.kernel_size[i];
    }
    float *w = dice_values(d, taps * c.out_channels), *b = dice_values(d, c.out_channels);
    vox_status status = vox_network_conv3d(network, &c, w, b, NULL);
    free(w);
    free(b);
    return status;
}

static vox_status add_pool(vox_network *network, dice *d) {
    vox_pool3d p;
    vox_pool3d_defaults(&p);
    p.average = dice_between(d, 0, 1);
    for (int i = 0; i < 3; i++) {
        p.kernel_size[i] = dice_between(d, 1, 3);
        p.stride[i] = dice_between(d, 1, 2);
        p.padding_before[i] = p.padding_after[i] = dice_between(d, 0, p.kernel_size[i] / 2);
    }
    return vox_network_pool3d(network, &p, NULL);
}

static vox_status add_batchnorm(vox_network *network, dice *d, int64_t channels) {
    float *mean = dice_values(d, channels), *variance = dice_values(d, channels);
    for (int64_t i = 0; i < channels; i++)
        variance[i] += 1.5f;
    vox_status status =
        vox_network_batchnorm3d(network, channels, mean, variance, NULL, NULL, 1e-5, NULL);
    free(mean);
    free(variance);
    return status;
}

/* A layer of any kind; false where it does not fit what there is. */
static bool add_layer(layers *l, dice *d, int64_t shape[4]) {
    const int kind = (int)dice_between(d, 0, 5);
    vox_status status =
        kind == 0   ? add_pool(l->network, d)
        : kind == 1 ? add_batchnorm(l->network, d, shape[0])
        : kind == 2
            ? vox_network_activation(
                  l->network, (vox_activation)dice_between(d, 0, VOX_ACT_LOG_SOFTMAX), NULL, NULL)
            : add_conv(l->network, d, shape[0]);
    return !status && !vox_network_shape(l->network, l->in + 1, shape, NULL) &&
           shape[0] * shape[1] * shape[2] * shape[3] <= MOST_VALUES;
}

static bool try_layers(layers *l, dice *d) {
    const int64_t in[5] = {dice_between(d, 1, 2), dice_between(d, 1, 6), dice_between(d, 1, 14),
                           dice_between(d, 1, 30), dice_between(d, 1, 70)};
    const int count = (int)dice_between(d, 1, MOST_LAYERS);
    int64_t shape[4];
    memcpy(l->in, in, sizeof in);
    memcpy(shape, in + 1, sizeof shape);
    l->network = vox_network_new(NULL);
    for (int i = 0; i < count; i++)
        if (!add_layer(l, d, shape)) {
            vox_network_free(l->network);
            return false;
        }
    l->out_count = in[0] * shape[0] * shape[1] * shape[2] * shape[3];
    l->x = dice_values(d, in[0] * in[1] * in[2] * in[3] * in[4]);
    return true;
}

layers layers_new(uint64_t seed) {
    layers l = {0};
    dice d = dice_new(seed);
    while (!try_layers(&l, &d)) {
    }
    return l;
}

void layers_free(layers *l) {
    vox_network_free(l->network);
    free(l->x);
}

float *layers_run(const layers *l, int threads) {
    vox_error err = {0};
    float *y = get_memory(l->out_count * (int64_t)sizeof *y);
    if (vox_network_run(l->network, l->x, l->in, y, threads, &err))
        give_up(err.message);
    return y;
}

static void compare(const layers *l, uint64_t seed, const char *isa, int threads,
                    const float *want) {
    vox_isa_select(isa, NULL);
    float *y = layers_run(l, threads);
    ran(memcmp(y, want, (size_t)l->out_count * sizeof *y) == 0, "layers: seed %llu, %s, %d threads",
        (unsigned long long)seed, isa, threads);
    free(y);
}

void run_layers(bool long_form) {
    /* 66: more than vox_spread has shares for. */
    static const int short_threads[] = {2, 5, 0}, long_threads[] = {2, 3, 4, 5, 6, 7, 8, 0};
    const uint64_t seeds = long_form ? 60 : 40;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        layers l = layers_new(seed);
        vox_isa_select("portable", NULL);
        float *want = layers_run(&l, 1);
        for (const char *const *isa = vox_isa_available(); *isa; isa++)
            for (const int *t = long_form ? long_threads : short_threads; *t; t++)
                compare(&l, seed, *isa, *t, want);
        if (seed <= (long_form ? 8 : 2))
            compare(&l, seed, "auto", 66, want);
        free(want);
        layers_free(&l);
    }
    vox_isa_select("auto", NULL);
}
