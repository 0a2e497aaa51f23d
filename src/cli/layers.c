/* layers.c - options and weights as a network: convolution, batch normalisation, activation,
 * pooling.
 */
#include "cli/layers.h"

#include "cli/arrays.h"
#include "cli/cli.h"

#include <inttypes.h>
#include <string.h>

/* The parameters of part `i`. The 1-D parts of a separable kernel stride and pad along their own
 * axis, so that together they stride and pad once. */
static void describe(vox_conv3d *conv, const filter_weights *f, const conv_options *o, int i) {
    vox_conv3d_defaults(conv);
    conv->in_channels = f->in_channels;
    conv->out_channels = f->out_channels;
    conv->groups = f->groups;
    conv->padding = o->padding.padding;
    conv->padding_mode = o->kernel ? VOX_PAD_REPLICATE : VOX_PAD_ZEROS;
    if (o->padding_mode != NOT_GIVEN)
        conv->padding_mode = (vox_padding_mode)o->padding_mode;
    for (int axis = 0; axis < 3; axis++) {
        const bool own = f->part_count == 1 || axis == i;
        conv->kernel_size[axis] = f->part[i]->shape[2 + axis];
        conv->dilation[axis] = own ? o->dilation[axis] : 1;
        conv->stride[axis] = own ? o->stride[axis] : 1;
        conv->padding_before[axis] = conv->padding_after[axis] = own ? o->padding.size[axis] : 0;
    }
}

/* A named kernel without --padding keeps the size, as `same` does; given as numbers, because
 * torch's `same` has no stride, and `same` followed by every s-th voxel is what a strided filter is
 * expected to be. */
static void pad_same(vox_conv3d *conv) {
    for (int axis = 0; axis < 3; axis++) {
        const int64_t total = conv->dilation[axis] * (conv->kernel_size[axis] - 1);
        conv->padding_before[axis] = total / 2;
        conv->padding_after[axis] = total - total / 2;
    }
}

static vox_status add_convolution(vox_network *network, const filter_weights *f,
                                  const conv_options *o, vox_error *err) {
    vox_status status = VOX_OK;
    for (int i = 0; !status && i < f->part_count; i++) {
        vox_conv3d conv;
        describe(&conv, f, o, i);
        if (o->kernel && !o->padding.given)
            pad_same(&conv);
        const bool last = i == f->part_count - 1;
        status = vox_network_conv3d(network, &conv, f->part[i]->data,
                                    last && f->bias ? f->bias->data : NULL, err);
    }
    return status;
}

/* torch's BatchNorm3d from its state_dict names, and eps, which torch does not save. */
static vox_status add_batchnorm(vox_network *network, int64_t channels, const conv_options *o,
                                vox_error *err) {
    static const char *const names[] = {"running_mean", "running_var", "weight", "bias", "eps"};
    enum { MEAN, VARIANCE, WEIGHT, BIAS, EPS, COUNT };
    vox_tensor *t[COUNT] = {NULL};
    char shape[200];
    arrays a;
    vox_status status = arrays_open(&a, o->batchnorm, names[MEAN], false, err);
    for (int i = 0; !status && i < COUNT; i++) {
        status = arrays_get(&a, names[i], i >= WEIGHT, &t[i], err);
        const int64_t expected = i == EPS ? 1 : channels;
        if (!status && t[i] && t[i]->count != expected)
            status =
                cli_fail(err, VOX_ERR_WEIGHTS,
                         "%s: %s of shape %s has %" PRId64 " values instead of %" PRId64 "%s",
                         arrays_path(&a), names[i], shape_text(t[i], shape), t[i]->count, expected,
                         i == EPS ? "" : ", one for each channel of the convolution");
    }
    if (!status) {
        double eps = 1e-5;
        if (o->batchnorm_eps != NOT_GIVEN)
            eps = o->batchnorm_eps;
        else if (t[EPS])
            eps = t[EPS]->data[0];
        status = vox_network_batchnorm3d(network, channels, t[MEAN]->data, t[VARIANCE]->data,
                                         t[WEIGHT] ? t[WEIGHT]->data : NULL,
                                         t[BIAS] ? t[BIAS]->data : NULL, eps, err);
        if (status == VOX_ERR_USAGE) { /* the numbers are the file's */
            const vox_error refused = *err;
            status = cli_fail(err, VOX_ERR_WEIGHTS, "%s: %s", arrays_path(&a), refused.message);
        }
    }
    for (int i = 0; i < COUNT; i++)
        vox_tensor_free(t[i]);
    arrays_close(&a);
    return status;
}

vox_network *layers_build(const filter_weights *f, const conv_options *o, vox_error *err) {
    vox_network *network = vox_network_new(err);
    if (!network)
        return NULL;
    vox_status status = add_convolution(network, f, o, err);
    if (!status && o->batchnorm)
        status = add_batchnorm(network, f->out_channels, o, err);
    if (!status && o->activation.given)
        status = vox_network_activation(network, o->activation.kind, o->activation.parameter, err);
    if (!status && (o->max_pool.given || o->avg_pool.given))
        status = vox_network_pool3d(network,
                                    o->max_pool.given ? &o->max_pool.pool : &o->avg_pool.pool, err);
    if (status) {
        vox_network_free(network);
        network = NULL;
    }
    return network;
}
