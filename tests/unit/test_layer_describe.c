/* test_layer_describe.c - the table of a network's layers. What a voxel sees is found by trying: a
 * NaN in one voxel of the input makes NaN of every output voxel that depends on it, so that random
 * networks over a line of voxels show their receptive field themselves. Parameters and shapes are
 * worked out by hand from torch's definitions. */
#include "cases.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 96, MOST_LAYERS = 16 };

/* ---- What is seen, by trying ---- */

/* Inputs from the first to the last that an output of the line depends on, for the output with the
 * most of them. */
static int64_t tried_field(const vox_network *n, const int64_t in[5], int64_t outputs) {
    float *x = calloc((size_t)product(in, 5), sizeof *x), *y = calloc((size_t)outputs, sizeof *y);
    int64_t *first = malloc((size_t)outputs * sizeof *first), most = 0;
    for (int64_t o = 0; o < outputs; o++)
        first[o] = -1;
    for (int64_t i = 0; i < LINE; i++) {
        for (int64_t c = 0; c < in[1]; c++)
            x[c * LINE + i] = NAN;
        cr_assert_eq(vox_network_run(n, x, in, y, 1, NULL), VOX_OK);
        for (int64_t c = 0; c < in[1]; c++)
            x[c * LINE + i] = 0.5f;
        for (int64_t o = 0; o < outputs; o++) {
            if (!isnan(y[o]))
                continue;
            if (first[o] < 0)
                first[o] = i;
            most = i - first[o] + 1 > most ? i - first[o] + 1 : most;
        }
    }
    free(x);
    free(y);
    free(first);
    return most;
}

static void add_conv(vox_network *n, dice *d, int axis, int64_t channels, int64_t out_channels) {
    float weight[8 * 8 * 5];
    vox_conv3d c;
    vox_conv3d_defaults(&c);
    c.in_channels = channels;
    c.out_channels = out_channels;
    c.kernel_size[axis] = dice_between(d, 1, 5);
    c.dilation[axis] = dice_between(d, 1, 2);
    c.stride[axis] = dice_between(d, 0, 3) ? 1 : 2;
    c.padding_before[axis] = dice_between(d, 0, 3);
    c.padding_after[axis] = dice_between(d, 0, 3);
    for (size_t i = 0; i < sizeof weight / sizeof *weight; i++)
        weight[i] = 1;
    cr_assert_eq(vox_network_conv3d(n, &c, weight, NULL, NULL), VOX_OK);
}

static void add_transposed(vox_network *n, dice *d, int axis, int64_t channels) {
    float weight[8 * 8 * 4];
    vox_conv_transpose3d c;
    vox_conv_transpose3d_defaults(&c);
    c.in_channels = c.out_channels = channels;
    c.kernel_size[axis] = dice_between(d, 1, 4);
    c.stride[axis] = dice_between(d, 1, 2);
    c.dilation[axis] = dice_between(d, 1, 3);
    for (size_t i = 0; i < sizeof weight / sizeof *weight; i++)
        weight[i] = 1;
    cr_assert_eq(vox_network_conv_transpose3d(n, &c, weight, NULL, NULL), VOX_OK);
}

static void add_pool(vox_network *n, dice *d, int axis) {
    vox_pool3d p;
    vox_pool3d_defaults(&p);
    p.average = dice_between(d, 0, 1);
    for (int i = 0; i < 3; i++)
        p.kernel_size[i] = p.stride[i] = 1;
    p.kernel_size[axis] = dice_between(d, 1, 3);
    p.stride[axis] = dice_between(d, 1, 2);
    cr_assert_eq(vox_network_pool3d(n, &p, NULL), VOX_OK);
}

static void add_resize(vox_network *n, dice *d, int axis) {
    vox_resize r;
    vox_resize_defaults(&r);
    r.mode = dice_between(d, 0, 1) ? VOX_RESIZE_LINEAR : VOX_RESIZE_NEAREST;
    if (r.mode == VOX_RESIZE_LINEAR)
        r.coordinates = VOX_RESIZE_HALF_PIXEL;
    r.scale[axis] = 2;
    cr_assert_eq(vox_network_resize3d(n, &r, NULL), VOX_OK);
}

static void add_block(vox_network *n, dice *d, int axis) {
    const int from = vox_network_value(n);
    vox_conv3d c;
    const float weight[5] = {1, 1, 1, 1, 1};
    vox_conv3d_defaults(&c);
    c.kernel_size[axis] = 2 * dice_between(d, 0, 2) + 1;
    c.padding = VOX_PADDING_SAME;
    cr_assert_eq(vox_network_conv3d(n, &c, weight, NULL, NULL), VOX_OK);
    cr_assert_eq(vox_network_join(n, VOX_JOIN_ADD, from, vox_network_value(n), NULL), VOX_OK);
}

static void add_random(vox_network *n, dice *d, int axis) {
    const int64_t factor[3] = {axis == 0 ? 2 : 1, axis == 1 ? 2 : 1, axis == 2 ? 2 : 1};
    switch (dice_between(d, 0, 7)) {
    case 0:
        add_transposed(n, d, axis, 1);
        break;
    case 1:
        add_pool(n, d, axis);
        break;
    case 2:
        add_resize(n, d, axis);
        break;
    case 3:
        add_conv(n, d, axis, 1, 2);
        cr_assert_eq(vox_network_pixel_shuffle3d(n, factor, true, NULL), VOX_OK);
        break;
    case 4:
        add_block(n, d, axis);
        break;
    case 5:
        cr_assert_eq(vox_network_activation(n, VOX_ACT_ELU, NULL, NULL), VOX_OK);
        break;
    default:
        add_conv(n, d, axis, 1, 1);
    }
}

Test(layer, receptive_fields_are_what_a_nan_reaches) {
    int compared = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        dice d = dice_new(seed);
        const int axis = (int)(seed % 3);
        int64_t in[5] = {1, 1, 1, 1, 1}, out[4];
        vox_layer_info info[MOST_LAYERS];
        in[2 + axis] = LINE;
        vox_network *n = vox_network_new(NULL);
        for (int64_t layers = dice_between(&d, 1, 5); layers > 0; layers--)
            add_random(n, &d, axis);
        const int count = vox_network_layer_count(n);
        cr_assert_leq(count, MOST_LAYERS);
        if (!vox_network_shape(n, in + 1, out, NULL)) {
            cr_assert_eq(vox_network_layers(n, in + 1, info, NULL), VOX_OK);
            const int64_t *field = info[count - 1].receptive_field;
            /* Where the line is long enough for a voxel that sees no face. */
            if (field[axis] <= LINE / 3) {
                const int64_t tried = tried_field(n, in, product(out, 4));
                cr_expect_eq(field[axis], tried, "seed %d: %d, not %d", (int)seed, (int)field[axis],
                             (int)tried);
                cr_expect_eq(field[(axis + 1) % 3], 1, "seed %d: across", (int)seed);
                compared++;
            }
        }
        vox_network_free(n);
    }
    cr_expect_gt(compared, 150, "%d networks", compared);
}

/* ---- The rest, by hand ---- */

static void expect_layer(const vox_layer_info *l, const char *kind, const int64_t shape[4],
                         int64_t parameters, int64_t multiply_adds) {
    cr_expect_str_eq(l->kind, kind);
    cr_expect_arr_eq(l->shape, shape, sizeof l->shape, "%s: shape", kind);
    cr_expect_eq(l->parameters, parameters, "%s: %d parameters", kind, (int)l->parameters);
    cr_expect_eq(l->multiply_adds, multiply_adds, "%s: %d multiply-adds", kind,
                 (int)l->multiply_adds);
}

static void expect_waits(const vox_network *n, const int64_t in[4], int layer, const char *phrase) {
    vox_layer_info info[MOST_LAYERS];
    cr_assert_eq(vox_network_layers(n, in, info, NULL), VOX_OK);
    if (!phrase)
        cr_expect_null(info[layer].waits, "layer %d: %s", layer, info[layer].waits);
    else
        cr_expect(info[layer].waits && strstr(info[layer].waits, phrase), "layer %d: %s", layer,
                  info[layer].waits);
}

/* torch: numel() of conv3d (4,2,3,3,3) and its bias, batchnorm3d's two vectors, prelu, linear. */
Test(layer, layers_as_torch_counts_them) {
    static const float zeros[1024], ones[] = {1, 1, 1, 1};
    const int64_t in[4] = {2, 6, 7, 8};
    vox_layer_info info[MOST_LAYERS];
    vox_conv3d c;
    vox_conv3d_defaults(&c);
    c.in_channels = 2;
    c.out_channels = 4;
    for (int i = 0; i < 3; i++)
        c.kernel_size[i] = 3;
    vox_network *n = vox_network_new(NULL);
    cr_assert_eq(vox_network_conv3d(n, &c, zeros, zeros, NULL), VOX_OK);
    cr_assert_eq(vox_network_name(n, 1, "first", NULL), VOX_OK);
    cr_assert_eq(vox_network_batchnorm3d(n, 4, zeros, ones, ones, zeros, 0, NULL), VOX_OK);
    cr_assert_eq(vox_network_prelu(n, 4, ones, NULL), VOX_OK);
    cr_assert_eq(vox_network_activation(n, VOX_ACT_TANH, NULL, NULL), VOX_OK); /* not used */
    cr_assert_eq(vox_network_select(n, 3, NULL), VOX_OK);
    cr_assert_eq(vox_network_group_norm(n, 2, 4, NULL, NULL, 0, NULL), VOX_OK);
    cr_assert_eq(vox_network_adaptive_pool3d(n, true, (int64_t[]){1, 1, 1}, NULL), VOX_OK);
    cr_assert_eq(vox_network_linear(n, 4, 3, zeros, NULL, NULL), VOX_OK);
    cr_assert_eq(vox_network_layer_count(n), 7);
    cr_assert_eq(vox_network_layers(n, in, info, NULL), VOX_OK);
    const int64_t volume[4] = {4, 4, 5, 6}, voxels = 4 * 5 * 6;
    expect_layer(&info[0], "conv3d", volume, 4 * 2 * 27 + 4, 4 * voxels * 2 * 27);
    expect_layer(&info[1], "batchnorm3d", volume, 8, 4 * voxels);
    expect_layer(&info[2], "prelu", volume, 4, 0);
    cr_expect_not(info[3].used);
    cr_expect_str_eq(info[3].kind, "tanh");
    expect_layer(&info[4], "groupnorm", volume, 0, 3 * 4 * voxels);
    expect_layer(&info[6], "linear", (int64_t[]){3, 1, 1, 1}, 12, 12);
    cr_expect_str_eq(info[0].name, "first");
    cr_expect_str_eq(info[1].name, "");
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(info[2].receptive_field[i], 3);
        cr_expect_eq(info[4].receptive_field[i], 0);
        cr_expect_eq(info[6].receptive_field[i], 0);
    }
    expect_waits(n, in, 0, NULL);
    expect_waits(n, in, 1, NULL);
    expect_waits(n, in, 4, "mean and variance");
    expect_waits(n, in, 5, "window is the whole volume");
    expect_waits(n, in, 6, NULL); /* a plane is all that there is */
    vox_network_free(n);
}

/* An output of a linear layer over a volume, and of a kernel as deep as it, needs its last plane;
 * circular padding along D begins with it, and along W does not. */
Test(layer, layers_that_wait_for_the_whole_volume) {
    static const float zeros[1024];
    const int64_t in[4] = {1, 5, 4, 3};
    vox_network *n = vox_network_new(NULL);
    cr_assert_eq(vox_network_linear(n, 60, 2, zeros, NULL, NULL), VOX_OK);
    expect_waits(n, in, 0, "as deep as the volume");
    vox_network_free(n);
    for (int64_t depth = 4; depth <= 6; depth++) {
        vox_conv3d c;
        vox_conv3d_defaults(&c);
        c.kernel_size[0] = depth;
        c.padding_before[0] = c.padding_after[0] = 1;
        n = vox_network_new(NULL);
        cr_assert_eq(vox_network_conv3d(n, &c, zeros, NULL, NULL), VOX_OK);
        expect_waits(n, in, 0, depth < 6 ? NULL : "as deep as the volume");
        vox_network_free(n);
    }
    for (int axis = 0; axis < 3; axis++) {
        vox_conv3d c;
        vox_conv3d_defaults(&c);
        c.padding_mode = VOX_PAD_CIRCULAR;
        c.kernel_size[axis] = 3;
        c.padding = VOX_PADDING_SAME;
        n = vox_network_new(NULL);
        cr_assert_eq(vox_network_conv3d(n, &c, zeros, NULL, NULL), VOX_OK);
        expect_waits(n, in, 0, axis ? NULL : "circular padding along D");
        vox_network_free(n);
    }
}

Test(layer, what_vox_network_name_and_layers_refuse) {
    vox_error err = {0};
    vox_layer_info info[1];
    vox_network *n = vox_network_new(NULL);
    cr_expect_eq(vox_network_name(n, 0, "input", &err), VOX_ERR_USAGE);
    cr_expect_eq(vox_network_name(n, 1, "none", &err), VOX_ERR_USAGE);
    cr_assert_eq(vox_network_prelu(n, 2, (float[]){1, 2}, NULL), VOX_OK);
    cr_expect_eq(vox_network_layers(n, (int64_t[]){3, 1, 1, 1}, info, &err), VOX_ERR_USAGE);
    cr_expect(strstr(err.message, "prelu"), "%s", err.message);
    vox_network_free(n);
}
