/* batchnorm3d.c - torch.nn.BatchNorm3d in eval mode, as one multiply-add a voxel.
 * Definition: https://pytorch.org/docs/stable/generated/torch.nn.BatchNorm3d.html */
#include "kernel/kernel.h"
#include "layer/layer.h"

#include <math.h>
#include <stdlib.h>

typedef struct batchnorm_layer {
    vox_layer base;
    const vox_kernel *kernel;
    int64_t channels;
    float *alpha; /* [channels] weight / sqrt(running_var + eps) */
    float *beta;  /* [channels] bias - running_mean * alpha */
} batchnorm_layer;

static vox_status batchnorm_shape(const vox_layer *l, const int64_t in[4], int64_t out[4],
                                  vox_axis axis[3], vox_error *err) {
    const batchnorm_layer *b = (const batchnorm_layer *)l;
    (void)axis;
    if (in[0] != b->channels)
        return vox_fail(err, VOX_ERR_USAGE,
                        "batchnorm3d: num_features=%lld: the input has %lld channels",
                        (long long)b->channels, (long long)in[0]);
    for (int i = 0; i < 4; i++)
        out[i] = in[i];
    return VOX_OK;
}

static void batchnorm_row(const vox_layer *l, float *row, int64_t channel_stride, int64_t channels,
                          int64_t columns) {
    const batchnorm_layer *b = (const batchnorm_layer *)l;
    for (int64_t c = 0; c < channels; c++, row += channel_stride)
        b->kernel->scale_row(row, row, columns, b->alpha[c], b->beta[c]);
}

static int64_t batchnorm_affine(const vox_layer *l, const float **scale, const float **shift) {
    const batchnorm_layer *b = (const batchnorm_layer *)l;
    *scale = b->alpha;
    *shift = b->beta;
    return b->channels;
}

static void batchnorm_free(vox_layer *l) {
    batchnorm_layer *b = (batchnorm_layer *)l;
    free(b->alpha);
    free(b->beta);
    free(b);
}

static const vox_layer_class batchnorm_class = {
    .name = "batchnorm3d",
    .shape = batchnorm_shape,
    .row = batchnorm_row,
    .affine = batchnorm_affine,
    .free = batchnorm_free,
};

vox_status vox_network_batchnorm3d(vox_network *network, int64_t channels,
                                   const float *running_mean, const float *running_var,
                                   const float *weight, const float *bias, double eps,
                                   vox_error *err) {
    if (channels < 1 || !(eps >= 0) || !isfinite(eps))
        return vox_fail(
            err, VOX_ERR_USAGE,
            "batchnorm3d: num_features=%lld, eps=%g: must be positive, and eps not negative",
            (long long)channels, eps);
    for (int64_t c = 0; c < channels; c++)
        if (!(running_var[c] + eps > 0))
            return vox_fail(
                err, VOX_ERR_USAGE,
                "batchnorm3d: running_var[%lld]=%g: with eps=%g has no square root to divide by",
                (long long)c, (double)running_var[c], eps);
    vox_error local = {0};
    const vox_kernel *kernel = vox_kernel_active(&local);
    if (!kernel)
        return vox_fail(err, local.status, "%s", local.message);
    batchnorm_layer *b = vox_alloc(1, sizeof *b, "batchnorm3d", err);
    if (!b)
        return VOX_ERR_RESOURCE;
    b->base.class = &batchnorm_class;
    b->base.macs_per_output = 1;
    b->base.parameters = (weight ? channels : 0) + (bias ? channels : 0);
    b->kernel = kernel;
    b->channels = channels;
    b->alpha = vox_alloc(channels, sizeof(float), "batchnorm3d", err);
    b->beta = vox_alloc(channels, sizeof(float), "batchnorm3d", err);
    if (!b->alpha || !b->beta) {
        batchnorm_free(&b->base);
        return VOX_ERR_RESOURCE;
    }
    for (int64_t c = 0; c < channels; c++) {
        double alpha = (weight ? weight[c] : 1.0) / sqrt(running_var[c] + eps);
        b->alpha[c] = (float)alpha;
        b->beta[c] = (float)((bias ? bias[c] : 0.0) - running_mean[c] * alpha);
    }
    return vox_network_append(network, &b->base, 1, NULL, err);
}
