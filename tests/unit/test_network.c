/* test_network.c - networks that are no chains: what comes out of the streaming engine is to the
 * bit what comes out when every layer is run alone, on whole arrays; joins and slices are loops
 * over those arrays here. That the layers alone are right is tested in test_kernel.c and
 * test_layer.c. */
#include "cases.h"
#include "engine/pipeline.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_VALUES = 16 };

/* A network, and all of its values computed one by one. */
typedef struct graph {
    vox_network *network;
    int count;
    int64_t shape[MOST_VALUES][4];
    float *value[MOST_VALUES];
} graph;

static int64_t voxels(const int64_t shape[4]) {
    return product(shape + 1, 3);
}

static float *new_value(graph *g, const int64_t shape[4]) {
    memcpy(g->shape[g->count], shape, sizeof g->shape[0]);
    g->value[g->count] = calloc((size_t)product(shape, 4), sizeof(float));
    cr_assert_not_null(g->value[g->count]);
    return g->value[g->count++];
}

/* Adds a layer to value `from` of the graph, and computes it by a network of its own. */
typedef vox_status add_layer(vox_network *n, const void *parameters);
static void add_alone(graph *g, int from, add_layer *add, const void *parameters) {
    vox_network *alone = vox_network_new(NULL);
    int64_t out[4];
    cr_assert_eq(add(alone, parameters), VOX_OK);
    if (vox_network_shape(alone, g->shape[from], out, NULL) == VOX_OK) {
        cr_assert_eq(vox_network_select(g->network, from, NULL), VOX_OK);
        cr_assert_eq(add(g->network, parameters), VOX_OK);
        const int64_t in[5] = {1, g->shape[from][0], g->shape[from][1], g->shape[from][2],
                               g->shape[from][3]};
        float *y = new_value(g, out);
        cr_assert_eq(vox_network_run(alone, g->value[from], in, y, 1, NULL), VOX_OK);
    }
    vox_network_free(alone);
}

typedef struct conv_parameters {
    vox_conv3d conv;
    float *weight, *bias;
} conv_parameters;

static vox_status add_conv(vox_network *n, const void *parameters) {
    const conv_parameters *p = parameters;
    return vox_network_conv3d(n, &p->conv, p->weight, p->bias, NULL);
}

static void random_conv(graph *g, dice *d, int from) {
    conv_parameters p;
    vox_conv3d_defaults(&p.conv);
    p.conv.in_channels = g->shape[from][0];
    p.conv.out_channels = dice_between(d, 1, 9);
    p.conv.padding_mode = (vox_padding_mode)(dice_between(d, 0, 2) ? 0 : dice_between(d, 0, 3));
    if (dice_between(d, 0, 2) == 0)
        p.conv.out_channels = p.conv.in_channels;
    const bool plain = dice_between(d, 0, 1);
    for (int i = 0; i < 3 && plain; i++) {
        p.conv.kernel_size[i] = 3;
        p.conv.padding_before[i] = p.conv.padding_after[i] = 1;
    }
    for (int i = 0; i < 3 && !plain; i++) {
        p.conv.kernel_size[i] = dice_between(d, 1, 3);
        p.conv.stride[i] = dice_between(d, 0, 3) ? 1 : 2;
        p.conv.dilation[i] = dice_between(d, 0, 3) ? 1 : 2;
        const int64_t reach = p.conv.dilation[i] * (p.conv.kernel_size[i] - 1);
        p.conv.padding_before[i] = dice_between(d, 0, 3) ? reach / 2 : dice_between(d, 0, reach);
        p.conv.padding_after[i] = reach - p.conv.padding_before[i];
    }
    const int64_t taps = p.conv.in_channels * product(p.conv.kernel_size, 3);
    p.weight = random_values(d, p.conv.out_channels * taps);
    p.bias = random_values(d, p.conv.out_channels);
    add_alone(g, from, add_conv, &p);
    free(p.weight);
    free(p.bias);
}

static vox_status add_pool(vox_network *n, const void *parameters) {
    return vox_network_pool3d(n, parameters, NULL);
}

/* Now and then one window over all, a voxel for every channel; or one that keeps the size. */
static void random_pool(graph *g, dice *d, int from) {
    vox_pool3d p;
    const bool all = dice_between(d, 0, 1), keeps = !all && dice_between(d, 0, 1);
    vox_pool3d_defaults(&p);
    p.average = all || dice_between(d, 0, 1);
    for (int i = 0; i < 3; i++) {
        p.kernel_size[i] = all ? g->shape[from][1 + i] : keeps ? 3 : dice_between(d, 1, 3);
        p.stride[i] = keeps ? 1 : dice_between(d, 1, 2);
        p.padding_before[i] = p.padding_after[i] = keeps ? 1 : 0;
    }
    add_alone(g, from, add_pool, &p);
}

static vox_status add_norm(vox_network *n, const void *parameters) {
    const int64_t *groups_and_channels = parameters;
    return vox_network_group_norm(n, groups_and_channels[0], groups_and_channels[1], NULL, NULL,
                                  1e-2, NULL);
}

static vox_status add_adaptive(vox_network *n, const void *parameters) {
    return vox_network_adaptive_pool3d(n, true, parameters, NULL);
}

static vox_status add_resize(vox_network *n, const void *parameters) {
    return vox_network_resize3d(n, parameters, NULL);
}

static vox_status add_transpose(vox_network *n, const void *parameters) {
    const int64_t channels = *(const int64_t *)parameters;
    vox_conv_transpose3d c;
    vox_conv_transpose3d_defaults(&c);
    c.in_channels = channels;
    c.out_channels = 3;
    for (int i = 0; i < 3; i++) {
        c.kernel_size[i] = 3;
        c.stride[i] = 2;
        c.padding_before[i] = c.padding_after[i] = 1;
    }
    dice d = dice_new((uint64_t)channels);
    float *weight = random_values(&d, channels * 3 * 27);
    vox_status status = vox_network_conv_transpose3d(n, &c, weight, weight, NULL);
    free(weight);
    return status;
}

/* A layer that looks at other planes than those of a window. */
static void random_reach(graph *g, dice *d, int from) {
    const int64_t *in = g->shape[from];
    int64_t numbers[3] = {dice_between(d, 0, 1) ? in[0] : 1, in[0]};
    vox_resize r;
    switch (dice_between(d, 0, 3)) {
    case 0:
        add_alone(g, from, add_norm, numbers);
        return;
    case 1:
        for (int i = 0; i < 3; i++)
            numbers[i] = dice_between(d, 1, in[1 + i]);
        add_alone(g, from, add_adaptive, numbers);
        return;
    case 2:
        vox_resize_defaults(&r);
        r.mode = dice_between(d, 0, 1) ? VOX_RESIZE_LINEAR : VOX_RESIZE_NEAREST;
        for (int i = 0; i < 3; i++)
            r.size[i] = dice_between(d, 1, 12);
        add_alone(g, from, add_resize, &r);
        return;
    default:
        if (voxels(in) < 500) /* it makes eight of one */
            add_alone(g, from, add_transpose, &in[0]);
    }
}

static vox_status add_relu(vox_network *n, const void *parameters) {
    const double slope = 0.25;
    (void)parameters;
    return vox_network_activation(n, VOX_ACT_LEAKY_RELU, &slope, NULL);
}

/* Index of (c, v) in a value whose extents may be 1, as in NumPy's broadcasting. */
static float at(const graph *g, int value, int64_t c, int64_t v) {
    const int64_t n = voxels(g->shape[value]);
    return g->value[value][(g->shape[value][0] > 1 ? c : 0) * n + (n > 1 ? v : 0)];
}

/* As torch broadcasts C alone, or D, H and W together. */
static bool repeats(const int64_t whole[4], const int64_t part[4]) {
    return (part[0] == whole[0] || part[0] == 1) &&
           (voxels(part) == 1 || memcmp(part + 1, whole + 1, 3 * sizeof *part) == 0);
}

static void random_join(graph *g, dice *d, int a, int b) {
    const vox_join op = (vox_join)dice_between(d, VOX_JOIN_ADD, VOX_JOIN_DIV);
    if (!repeats(g->shape[a], g->shape[b]) && !repeats(g->shape[b], g->shape[a]))
        return;
    cr_assert_eq(vox_network_join(g->network, op, a, b, NULL), VOX_OK);
    float *y = new_value(g, g->shape[repeats(g->shape[a], g->shape[b]) ? a : b]);
    const int64_t *shape = g->shape[g->count - 1], n = voxels(shape);
    for (int64_t c = 0; c < shape[0]; c++)
        for (int64_t v = 0; v < n; v++) {
            const float x = at(g, a, c, v), z = at(g, b, c, v);
            y[c * n + v] = op == VOX_JOIN_ADD   ? x + z
                           : op == VOX_JOIN_SUB ? x - z
                           : op == VOX_JOIN_MUL ? x * z
                                                : x / z;
        }
}

static void random_concat(graph *g, dice *d, int first) {
    int values[3] = {first}, count = 1;
    int64_t shape[4];
    memcpy(shape, g->shape[first], sizeof shape);
    while (count < 3) {
        const int v = (int)dice_between(d, 0, g->count - 1);
        if (memcmp(g->shape[v] + 1, shape + 1, 3 * sizeof *shape) != 0)
            break;
        shape[0] += g->shape[v][0];
        values[count++] = v;
    }
    cr_assert_eq(vox_network_concat(g->network, count, values, NULL), VOX_OK);
    float *y = new_value(g, shape);
    for (int i = 0; i < count; i++) {
        const int64_t n = product(g->shape[values[i]], 4);
        memcpy(y, g->value[values[i]], (size_t)n * sizeof *y);
        y += n;
    }
}

/* The value at index i of an axis of n, which may lie outside: torch.nn.functional.pad's modes
 * constant and replicate. -1: the constant. */
static int64_t clamp_index(int64_t i, int64_t n, bool replicate) {
    if (i >= 0 && i < n)
        return i;
    return !replicate ? -1 : i < 0 ? 0 : n - 1;
}

static void random_slice(graph *g, dice *d, int from) {
    const int64_t *in = g->shape[from];
    vox_slice s = {.mode = dice_between(d, 0, 1) ? VOX_PAD_ZEROS : VOX_PAD_REPLICATE, .fill = 0.5f};
    for (int i = 0; i < 4; i++) {
        s.step[i] = dice_between(d, 1, 2);
        s.from[i] = dice_between(d, i > 0 ? -2 : 0, vox_min(in[i] - 1, 2));
        const int64_t most = vox_ceil_div(in[i] - s.from[i], s.step[i]);
        s.count[i] = dice_between(d, vox_max(most - 2, 1), most + (i > 0 ? 2 : 0));
    }
    cr_assert_eq(vox_network_select(g->network, from, NULL), VOX_OK);
    cr_assert_eq(vox_network_slice(g->network, &s, NULL), VOX_OK);
    float *y = new_value(g, s.count);
    const bool copy = s.mode == VOX_PAD_REPLICATE;
    for (int64_t c = 0; c < s.count[0]; c++)
        for (int64_t z = 0; z < s.count[1]; z++)
            for (int64_t r = 0; r < s.count[2]; r++)
                for (int64_t i = 0; i < s.count[3]; i++) {
                    const int64_t at[3] = {clamp_index(s.from[1] + z * s.step[1], in[1], copy),
                                           clamp_index(s.from[2] + r * s.step[2], in[2], copy),
                                           clamp_index(s.from[3] + i * s.step[3], in[3], copy)};
                    const int64_t channel = s.from[0] + c * s.step[0];
                    *y++ =
                        at[0] < 0 || at[1] < 0 || at[2] < 0
                            ? s.fill
                            : g->value[from]
                                      [((channel * in[1] + at[0]) * in[2] + at[1]) * in[3] + at[2]];
                }
}

static graph random_graph(dice *d) {
    graph g = {.network = vox_network_new(NULL)};
    const int64_t in[4] = {dice_between(d, 1, 3), dice_between(d, 4, 14), dice_between(d, 4, 10),
                           dice_between(d, 4, 20)};
    float *x = new_value(&g, in);
    for (int64_t i = 0; i < product(in, 4); i++)
        x[i] = dice_value(d);
    const int layers = (int)dice_between(d, 1, MOST_VALUES - 1);
    for (int i = 0; i < layers; i++) {
        const int from =
            (int)(dice_between(d, 0, 1) ? g.count - 1 : dice_between(d, 0, g.count - 1));
        switch (dice_between(d, 0, 7)) {
        case 0:
        case 1:
            random_conv(&g, d, from);
            break;
        case 2:
            random_pool(&g, d, from);
            break;
        case 3:
            add_alone(&g, from, add_relu, NULL);
            break;
        case 4:
            random_concat(&g, d, from);
            break;
        case 5:
            random_slice(&g, d, from);
            break;
        case 6:
            random_reach(&g, d, from);
            break;
        default:
            random_join(&g, d, from, (int)dice_between(d, 0, g.count - 1));
        }
    }
    return g;
}

static void free_graph(graph *g) {
    vox_network_free(g->network);
    for (int i = 0; i < g->count; i++)
        free(g->value[i]);
}

/* NaN (0/0) equals NaN: every one of them is the machine's. */
static bool same(const float *a, const float *b, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (a[i] != b[i] && !(a[i] != a[i] && b[i] != b[i]))
            return false;
    return true;
}

typedef struct target {
    float *y;
    const int64_t *shape;
} target;

static vox_status collect(void *user, int64_t d, int64_t count, const vox_planes *planes,
                          vox_error *err) {
    const target *t = user;
    const vox_planes to = vox_dense_planes(t->y, t->shape);
    (void)err;
    vox_copy_planes(&to, planes, d, count);
    return VOX_OK;
}

/* Streams the input in slabs, twice over. */
static void stream(const graph *g, int value, int64_t slab, int threads, float *y) {
    target t = {y, g->shape[value]};
    const int64_t *in = g->shape[0];
    vox_pipeline *p = vox_pipeline_new(g->network, in, NULL, slab, threads, NULL);
    cr_assert_not_null(p);
    cr_assert_eq(vox_pipeline_start(p, collect, &t, NULL), VOX_OK);
    const vox_planes x = vox_dense_planes(g->value[0], in);
    for (int frame = 0; frame < 2; frame++) {
        memset(y, 0, (size_t)product(t.shape, 4) * sizeof *y);
        for (int64_t d = 0; d < in[1]; d += slab)
            cr_assert_eq(vox_pipeline_push(p, vox_min(slab, in[1] - d), &x, NULL), VOX_OK);
    }
    vox_pipeline_free(p);
}

Test(network, streams_what_its_layers_give_alone) {
    int joined = 0;
    for (uint64_t seed = 0; seed < 250; seed++) {
        dice d = dice_new(seed);
        graph g = random_graph(&d);
        const int value = vox_network_value(g.network);
        cr_assert_eq(value, g.count - 1);
        float *y = malloc((size_t)product(g.shape[value], 4) * sizeof *y);
        stream(&g, value, dice_between(&d, 1, 5), (int)dice_between(&d, 1, 3), y);
        cr_assert(same(y, g.value[value], product(g.shape[value], 4)), "seed %d", (int)seed);
        joined += g.count > 5;
        free(y);
        free_graph(&g);
    }
    cr_assert_gt(joined, 125);
}

/* Planes of one size behind each other, padded once as one mode says and once as another: what
 * one layer writes into its padding is not what the next one finds in its own. Along W in phases
 * too (stride 2 there, and behind it a layer that doubles W again). */
Test(network, padding_modes_do_not_meet_in_one_ring) {
    for (int k = 0; k < 2 * 4 * 4; k++) {
        const vox_padding_mode mode[3] = {(vox_padding_mode)(k / 4 % 4), (vox_padding_mode)(k % 4),
                                          (vox_padding_mode)(k / 4 % 4)};
        dice d = dice_new((uint64_t)k);
        graph g = {.network = vox_network_new(NULL)};
        float *x = new_value(&g, (const int64_t[4]){2, 9, 6, 10});
        for (int64_t i = 0; i < product(g.shape[0], 4); i++)
            x[i] = dice_value(&d);
        for (int i = 0; i < 3; i++) {
            conv_parameters p = {.weight = random_values(&d, 2 * 2 * 27)};
            vox_conv3d_defaults(&p.conv);
            p.conv.in_channels = p.conv.out_channels = 2;
            p.conv.padding_mode = mode[i];
            for (int a = 0; a < 3; a++) {
                p.conv.kernel_size[a] = 3;
                p.conv.padding_before[a] = p.conv.padding_after[a] = 1;
            }
            p.conv.stride[2] = k < 16 ? 1 : 2;
            add_alone(&g, g.count - 1, add_conv, &p);
            free(p.weight);
            vox_resize r;
            vox_resize_defaults(&r);
            memcpy(r.size, (const int64_t[3]){9, 6, 10}, sizeof r.size);
            if (k >= 16)
                add_alone(&g, g.count - 1, add_resize, &r);
        }
        const int value = vox_network_value(g.network);
        float *y = malloc((size_t)product(g.shape[value], 4) * sizeof *y);
        stream(&g, value, 1 + k % 3, 2, y);
        cr_assert(same(y, g.value[value], product(g.shape[value], 4)), "modes %d and %d, stride %d",
                  mode[0], mode[1], k < 16 ? 1 : 2);
        free(y);
        free_graph(&g);
    }
}

static vox_status add_plain_conv(vox_network *n, const void *parameters) {
    vox_conv3d c;
    vox_conv3d_defaults(&c);
    c.padding = VOX_PADDING_SAME;
    for (int i = 0; i < 3; i++)
        c.kernel_size[i] = 3;
    return vox_network_conv3d(n, &c, parameters, NULL, NULL);
}

/* ONNX's Pad copies its value, and -0 is another one than 0 (IEEE 754): it is not taken from the
 * zeros around the planes of a convolution, which lie alike. */
Test(network, padding_with_minus_zero_keeps_its_sign) {
    dice d = dice_new(1);
    graph g = {.network = vox_network_new(NULL)};
    new_value(&g, (const int64_t[4]){1, 5, 4, 6});
    for (int64_t i = 0; i < product(g.shape[0], 4); i++)
        g.value[0][i] = 1;
    float *weight = random_values(&d, 27);
    for (int i = 0; i < 3; i++)
        add_alone(&g, g.count - 1, add_plain_conv, weight);
    free(weight);
    vox_slice s = {.mode = VOX_PAD_ZEROS, .fill = -0.0f};
    for (int i = 0; i < 4; i++) {
        s.step[i] = 1;
        s.from[i] = i > 0 ? -1 : 0;
        s.count[i] = g.shape[0][i] + (i > 0 ? 2 : 0);
    }
    cr_assert_eq(vox_network_slice(g.network, &s, NULL), VOX_OK);
    new_value(&g, s.count);
    const int value = g.count - 1;
    float *y = g.value[value];
    stream(&g, value, 2, 2, y);
    for (int64_t z = 0; z < 7; z++)
        for (int64_t r = 0; r < 6; r++)
            for (int64_t i = 0; i < 8; i++)
                if (z % 6 == 0 || r % 5 == 0 || i % 7 == 0) {
                    const float got = y[(z * 6 + r) * 8 + i];
                    cr_assert(got == 0 && signbit(got), "plane %lld, row %lld, column %lld",
                              (long long)z, (long long)r, (long long)i);
                }
    free_graph(&g);
}

/* Parts of the output along H and W, as for planes that are too large. */
Test(network, parts_are_those_of_the_whole) {
    for (uint64_t seed = 0; seed < 120; seed++) {
        dice d = dice_new(seed);
        graph g = random_graph(&d);
        const int value = vox_network_value(g.network);
        const int64_t *out = g.shape[value], *in = g.shape[0];
        vox_box part = {.to = {out[1]}};
        int64_t shape[4] = {out[0], out[1]};
        for (int i = 1; i < 3; i++) {
            part.from[i] = dice_between(&d, 0, out[1 + i] - 1);
            part.to[i] = dice_between(&d, part.from[i] + 1, out[1 + i]);
            shape[1 + i] = vox_box_extent(&part, i);
        }
        float *y = malloc((size_t)product(shape, 4) * sizeof *y);
        target t = {y, shape};
        vox_pipeline *p = vox_pipeline_new(g.network, in, &part, 2, 2, NULL);
        cr_assert_not_null(p);
        cr_assert_eq(vox_pipeline_start(p, collect, &t, NULL), VOX_OK);
        const vox_box need = vox_pipeline_input_box(p);
        vox_planes x = vox_dense_planes(g.value[0], in);
        x.data = vox_plane_row(&x, 0, need.from[0], need.from[1]) + need.from[2];
        for (int64_t i = 0; i < vox_box_extent(&need, 0); i += 2)
            cr_assert_eq(vox_pipeline_push(p, vox_min(2, vox_box_extent(&need, 0) - i), &x, NULL),
                         VOX_OK);
        const vox_planes got = vox_dense_planes(y, shape),
                         whole = vox_dense_planes(g.value[value], out);
        for (int64_t c = 0; c < shape[0]; c++)
            for (int64_t z = 0; z < shape[1]; z++)
                for (int64_t r = 0; r < shape[2]; r++)
                    cr_assert(same(vox_plane_row(&got, c, z, r),
                                   vox_plane_row(&whole, c, z, part.from[1] + r) + part.from[2],
                                   shape[3]),
                              "seed %d", (int)seed);
        vox_pipeline_free(p);
        free(y);
        free_graph(&g);
    }
}

/* ---- Folding ---- */

enum { FOLD_IN = 3, FOLD_OUT = 4, FOLD_VOXELS = 6 };

/* A pointwise convolution, batch normalisation with eps 0 and mean 0, and where `twice` the
 * convolution's result added to that; run on x. */
static void run_folded(const float *weight, const float *bias, const float *var, const float *shift,
                       bool twice, bool fold, const float *x, float *y) {
    vox_network *n = vox_network_new(NULL);
    vox_conv3d conv;
    vox_conv3d_defaults(&conv);
    conv.in_channels = FOLD_IN;
    conv.out_channels = FOLD_OUT;
    const float mean[FOLD_OUT] = {0};
    cr_assert_eq(vox_network_conv3d(n, &conv, weight, bias, NULL), VOX_OK);
    cr_assert_eq(vox_network_batchnorm3d(n, FOLD_OUT, mean, var, NULL, shift, 0, NULL), VOX_OK);
    if (twice)
        cr_assert_eq(vox_network_join(n, VOX_JOIN_ADD, 1, 2, NULL), VOX_OK);
    if (fold)
        vox_network_fold(n);
    cr_assert_eq(vox_network_value(n), twice ? 3 : fold ? 1 : 2, "value 1 is the convolution's");
    const int64_t in[5] = {1, FOLD_IN, 1, 2, 3};
    cr_assert_eq(vox_network_run(n, x, in, y, 1, NULL), VOX_OK);
    vox_network_free(n);
}

/* The exact value is sum(w*x + b)/sqrt(var) + shift; a folded weight is rounded once, and so is the
 * bias, before the sum of four terms is: so at most gamma_6 of the terms' magnitudes, and the
 * shift's rounding with them. */
Test(network, folding_batch_normalisation_keeps_the_values) {
    dice d = dice_new(5);
    float *weight = random_values(&d, FOLD_OUT * FOLD_IN), *bias = random_values(&d, FOLD_OUT);
    float *shift = random_values(&d, FOLD_OUT), *x = random_values(&d, FOLD_IN * FOLD_VOXELS);
    const float var[FOLD_OUT] = {0.3f, 1, 7, 0.01f};
    float y[FOLD_OUT * FOLD_VOXELS];
    run_folded(weight, bias, var, shift, false, true, x, y);
    for (int c = 0; c < FOLD_OUT; c++)
        for (int i = 0; i < FOLD_VOXELS; i++) {
            const double scale = 1 / sqrt((double)var[c]);
            double exact = (double)bias[c] * scale + (double)shift[c];
            double size = fabs((double)bias[c]) * scale + fabs((double)shift[c]);
            for (int k = 0; k < FOLD_IN; k++) {
                const double term =
                    (double)weight[c * FOLD_IN + k] * (double)x[k * FOLD_VOXELS + i] * scale;
                exact += term;
                size += fabs(term);
            }
            const double u = ldexp(1, -24), bound = 6 * u / (1 - 6 * u) * size;
            cr_assert_leq(fabs((double)y[c * FOLD_VOXELS + i] - exact), bound);
        }
    free(weight);
    free(bias);
    free(shift);
    free(x);
}

/* Scaling by a power of two rounds nothing, so not a bit may change: whether it is folded, or not
 * because the convolution's own result is wanted as well. */
Test(network, folding_by_powers_of_two_changes_no_bit) {
    dice d = dice_new(6);
    float *weight = random_values(&d, FOLD_OUT * FOLD_IN), *bias = random_values(&d, FOLD_OUT);
    float *x = random_values(&d, FOLD_IN * FOLD_VOXELS);
    const float var[FOLD_OUT] = {0.25f, 1, 4, 64}, shift[FOLD_OUT] = {0};
    float as_it_is[FOLD_OUT * FOLD_VOXELS], folded[FOLD_OUT * FOLD_VOXELS];
    for (int twice = 0; twice < 2; twice++) {
        run_folded(weight, bias, var, shift, twice, false, x, as_it_is);
        run_folded(weight, bias, var, shift, twice, true, x, folded);
        cr_assert_eq(memcmp(as_it_is, folded, sizeof folded), 0);
    }
    free(weight);
    free(bias);
    free(x);
}
