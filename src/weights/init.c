/* init.c - the weights that a fresh torch Conv3d would have.
 *
 * Source: torch/nn/init.py (calculate_gain, kaiming_uniform_, kaiming_normal_) and
 * torch/nn/modules/conv.py (_ConvNd.reset_parameters), torch 1.13. The bounds are Python floats
 * there, so they are doubles here, computed by the same operations in the same order.
 */
#include "weights/weights.h"

#include <math.h>
#include <string.h>

/* calculate_gain('leaky_relu', a). */
static double gain(double a) {
    return sqrt(2.0 / (1 + a * a));
}

static double uniform_bound(double a, double fan_in) {
    double stddev = gain(a) / sqrt(fan_in);
    return sqrt(3.0) * stddev;
}

static vox_status check(const vox_tensor *weight, const vox_tensor *bias, vox_error *err) {
    char text[VOX_SHAPE_TEXT];
    if (weight->rank != 5 || weight->count == 0)
        return vox_fail(err, VOX_ERR_USAGE,
                        "init: weight shape=%s: must be (out_channels, in_channels/groups, kD, kH, "
                        "kW), none of them 0",
                        vox_shape_text(weight->rank, weight->shape, text));
    if (bias && (bias->rank != 1 || bias->shape[0] != weight->shape[0]))
        return vox_fail(err, VOX_ERR_USAGE,
                        "init: bias shape=%s: must be (%lld,), the out_channels",
                        vox_shape_text(bias->rank, bias->shape, text), (long long)weight->shape[0]);
    return VOX_OK;
}

void vox_init_reset_parameters(vox_random *r, double fan_in, float *weight, int64_t count,
                               float *bias, int64_t bias_count) {
    const double bound = uniform_bound(sqrt(5), fan_in);
    vox_random_uniform(r, -bound, bound, weight, count);
    if (bias)
        vox_random_uniform(r, -1 / sqrt(fan_in), 1 / sqrt(fan_in), bias, bias_count);
}

vox_status vox_init_conv3d(vox_init scheme, uint64_t seed, vox_tensor *weight, vox_tensor *bias,
                           vox_error *err) {
    vox_status status = check(weight, bias, err);
    if (status != VOX_OK)
        return status;
    const double fan_in = (double)(weight->count / weight->shape[0]);
    vox_random r;
    vox_random_seed(&r, seed);
    if (bias)
        memset(bias->data, 0, (size_t)bias->count * sizeof *bias->data);
    switch (scheme) {
    case VOX_INIT_KAIMING_UNIFORM: {
        double bound = uniform_bound(0, fan_in);
        vox_random_uniform(&r, -bound, bound, weight->data, weight->count);
        return VOX_OK;
    }
    case VOX_INIT_KAIMING_NORMAL:
        vox_random_normal(&r, gain(0) / sqrt(fan_in), weight->data, weight->count);
        return VOX_OK;
    case VOX_INIT_TORCH:
        vox_init_reset_parameters(&r, fan_in, weight->data, weight->count, bias ? bias->data : NULL,
                                  bias ? bias->count : 0);
        return VOX_OK;
    }
    return vox_fail(err, VOX_ERR_USAGE, "init: scheme=%d: unknown", (int)scheme);
}
