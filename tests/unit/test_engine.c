/* test_engine.c - the pipeline gives the same bits for every slab height and thread count, and
 * holds no more than it said. What a single convolution must give is checked in test_kernel.c
 * against an independent version; here the property is that cutting changes nothing. */
#include "cases.h"
#include "engine/pipeline.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct collector {
    float *y;
    int64_t shape[4], next;
} collector;

static vox_status collect(void *user, int64_t d, int64_t count, const vox_planes *planes,
                          vox_error *err) {
    collector *c = user;
    (void)err;
    cr_assert_eq(d, c->next, "planes must come in order");
    c->next = d + count;
    for (int64_t ch = 0; ch < c->shape[0]; ch++)
        for (int64_t i = d; i < d + count; i++)
            for (int64_t r = 0; r < c->shape[2]; r++)
                memcpy(c->y + ((ch * c->shape[1] + i) * c->shape[2] + r) * c->shape[3],
                       vox_plane_row(planes, ch, i, r), (size_t)c->shape[3] * sizeof(float));
    return VOX_OK;
}

/* Pushes what the pipeline needs of frame x (C, D, H, W), in slabs. */
static void push_all(vox_pipeline *p, const float *x, const int64_t in[4], int64_t slab) {
    const vox_box box = vox_pipeline_input_box(p);
    const int64_t depth = box.to[0] - box.from[0];
    for (int64_t d = 0, count; d < depth; d += count) {
        count = vox_min(slab, depth - d);
        const vox_planes *to = vox_pipeline_input(p);
        cr_assert_eq(to->rows, box.to[1] - box.from[1]);
        cr_assert_eq(to->columns, box.to[2] - box.from[2]);
        for (int64_t c = 0; c < in[0]; c++)
            for (int64_t i = d; i < d + count; i++)
                for (int64_t r = 0; r < to->rows; r++)
                    memcpy(vox_plane_row(to, c, i, r),
                           x + ((c * in[1] + box.from[0] + i) * in[2] + box.from[1] + r) * in[3] +
                               box.from[2],
                           (size_t)to->columns * sizeof(float));
        cr_assert_eq(vox_pipeline_push(p, count, NULL, NULL), VOX_OK);
    }
}

/* conv, batch normalisation, activation, pooling, and a second convolution of another case. */
static vox_network *long_network(const conv_case *c, uint64_t seed) {
    dice d = dice_new(seed + 1000);
    vox_network *network = conv_case_network(c);
    int64_t channels = c->conv.out_channels;
    float *values = random_values(&d, 2 * channels);
    for (int64_t i = 0; i < channels; i++)
        values[i] = 1 + values[i] / 2;
    cr_assert_eq(vox_network_batchnorm3d(network, channels, values + channels, values, NULL, NULL,
                                         1e-5, NULL),
                 VOX_OK);
    cr_assert_eq(vox_network_activation(network, VOX_ACT_ELU, NULL, NULL), VOX_OK);
    free(values);
    vox_pool3d p;
    vox_pool3d_defaults(&p);
    p.ceil_mode = true;
    p.average = dice_between(&d, 0, 1);
    for (int i = 0; i < 3; i++) {
        p.stride[i] = dice_between(&d, 1, 3);
        p.kernel_size[i] = c->out[2 + i] < 2 ? 1 : 2;
    }
    cr_assert_eq(vox_network_pool3d(network, &p, NULL), VOX_OK);
    vox_conv3d second;
    vox_conv3d_defaults(&second);
    second.in_channels = channels;
    second.out_channels = 3;
    second.padding = VOX_PADDING_SAME;
    second.padding_mode = seed % 2 ? VOX_PAD_REPLICATE : VOX_PAD_ZEROS;
    for (int i = 0; i < 3; i++)
        second.kernel_size[i] = dice_between(&d, 1, 5);
    float *w = random_values(&d, 3 * channels * product(second.kernel_size, 3));
    cr_assert_eq(vox_network_conv3d(network, &second, w, NULL, NULL), VOX_OK);
    free(w);
    return network;
}

Test(engine, every_slab_and_thread_count_gives_the_same_bits) {
    for (uint64_t seed = 0; seed < 80; seed++) {
        conv_case c = conv_case_new(seed);
        const int64_t *in = c.in + 1;
        vox_network *network = seed % 2 ? conv_case_network(&c) : long_network(&c, seed);
        int64_t shape[4];
        vox_error err = {0};
        cr_assert_eq(vox_network_shape(network, in, shape, &err), VOX_OK, "%s", err.message);
        int64_t n = product(shape, 4);
        float *whole = NULL;
        const int64_t slabs[] = {in[1], 1, 2, 7};
        for (int i = 0; i < 4; i++) {
            collector to = {.y = calloc((size_t)n, sizeof(float))};
            memcpy(to.shape, shape, sizeof shape);
            vox_pipeline *p = vox_pipeline_new(network, in, NULL, slabs[i], 1 + i, &err);
            cr_assert_not_null(p, "%s", err.message);
            cr_assert_eq(vox_pipeline_start(p, collect, &to, &err), VOX_OK, "%s", err.message);
            for (int frame = 0; frame < 2;
                 frame++) { /* the second finds the first one's planes in the rings */
                to.next = 0;
                push_all(p, c.x, in, slabs[i]);
                cr_assert_eq(to.next, shape[1], "all planes must come");
            }
            vox_pipeline_free(p);
            if (whole)
                cr_assert_arr_eq(to.y, whole, (size_t)n * sizeof(float), "seed %d, slab %lld",
                                 (int)seed, (long long)slabs[i]);
            else
                whole = to.y;
            if (to.y != whole)
                free(to.y);
        }
        free(whole);
        vox_network_free(network);
        conv_case_free(&c);
    }
}

/* One part of the output, whose (C, D, H, W) are `shape`, against the same part of the whole. */
static void compare_part(const vox_network *network, const conv_case *c, const int64_t shape[4],
                         const float *whole, const vox_box *part, int64_t slab, int threads,
                         const char *what) {
    const int64_t n[4] = {shape[0], part->to[0] - part->from[0], part->to[1] - part->from[1],
                          part->to[2] - part->from[2]};
    vox_error err = {0};
    collector to = {.y = malloc((size_t)product(n, 4) * sizeof(float))};
    memcpy(to.shape, n, sizeof n);
    vox_pipeline *p = vox_pipeline_new(network, c->in + 1, part, slab, threads, &err);
    cr_assert_not_null(p, "%s: %s", what, err.message);
    cr_assert_eq(vox_pipeline_start(p, collect, &to, &err), VOX_OK, "%s", err.message);
    push_all(p, c->x, c->in + 1, slab);
    cr_assert_eq(to.next, n[1]);
    for (int64_t i = 0; i < n[0] * n[1] * n[2]; i++) {
        const int64_t row = i % n[2], d = i / n[2] % n[1], ch = i / n[2] / n[1];
        const int64_t at = (ch * shape[1] + part->from[0] + d) * shape[2] + part->from[1] + row;
        cr_assert_arr_eq(to.y + i * n[3], whole + at * shape[3] + part->from[2],
                         (size_t)n[3] * sizeof(float), "%s: channel %d, voxel %d,%d,%d+", what,
                         (int)ch, (int)(part->from[0] + d), (int)(part->from[1] + row),
                         (int)part->from[2]);
    }
    vox_pipeline_free(p);
    free(to.y);
}

/* Parts of one voxel, of primes, of the whole; anywhere, at the faces, in the padding. */
static vox_box random_part(dice *d, const int64_t shape[4]) {
    static const int64_t extent[] = {1, 1, 2, 3, 5, 7, 13, 31, 1000};
    vox_box b;
    for (int i = 0; i < 3; i++) {
        const int64_t n = vox_min(shape[1 + i], extent[dice_between(d, 0, 8)]);
        const int64_t room = shape[1 + i] - n, where = dice_between(d, 0, 3);
        b.from[i] = where == 0 ? 0 : where == 1 ? room : dice_between(d, 0, room);
        b.to[i] = b.from[i] + n;
    }
    return b;
}

ParameterizedTestParameters(engine, parts_are_those_of_the_whole) {
    return isa_params();
}

ParameterizedTest(isa_name *isa, engine, parts_are_those_of_the_whole, .timeout = 300) {
    vox_error err = {0};
    cr_assert_eq(vox_isa_select(isa->text, &err), VOX_OK, "%s", err.message);
    for (uint64_t seed = 0; seed < 200; seed++) {
        conv_case c = conv_case_new(seed);
        vox_network *network = seed % 3 ? conv_case_network(&c) : long_network(&c, seed);
        dice d = dice_new(seed + 5000);
        int64_t shape[4];
        cr_assert_eq(vox_network_shape(network, c.in + 1, shape, &err), VOX_OK, "%s", err.message);
        c.in[0] = 1;
        float *whole = malloc((size_t)product(shape, 4) * sizeof *whole);
        cr_assert_eq(vox_network_run(network, c.x, c.in, whole, 2, &err), VOX_OK);
        for (int i = 0; i < 4; i++) {
            const vox_box part = random_part(&d, shape);
            char what[64];
            snprintf(what, sizeof what, "%s, seed %d, part %d", isa->text, (int)seed, i);
            compare_part(network, &c, shape, whole, &part, dice_between(&d, 1, 5),
                         (int)dice_between(&d, 1, 3), what);
        }
        free(whole);
        vox_network_free(network);
        conv_case_free(&c);
    }
}

static void add(void *user, const char *name, int64_t bytes) {
    (void)name;
    *(int64_t *)user += bytes;
}

/* A 3x3x3 kernel over slabs of one plane holds three planes of input and one of output, and a
 * little on the borders of rows: the design's "one Conv3d holds kernel_size planes and not the
 * volume". */
Test(engine, a_convolution_holds_kernel_size_planes) {
    vox_conv3d conv;
    vox_conv3d_defaults(&conv);
    for (int i = 0; i < 3; i++) {
        conv.kernel_size[i] = 3;
        conv.padding_before[i] = conv.padding_after[i] = 1;
    }
    const float w[27] = {0};
    vox_network *network = vox_network_new(NULL);
    cr_assert_eq(vox_network_conv3d(network, &conv, w, NULL, NULL), VOX_OK);
    const int64_t in[4] = {1, 1000, 512, 512};
    vox_pipeline *p = vox_pipeline_new(network, in, NULL, 1, 1, NULL);
    int64_t bytes = 0;
    vox_pipeline_memory(p, add, &bytes);
    const int64_t plane = 512 * 512 * 4;
    cr_assert_geq(bytes, 4 * plane);
    cr_assert_leq(bytes, 4 * plane + 4 * plane / 8);
    vox_pipeline_free(p);
    vox_network_free(network);
}

static vox_status refuse(void *user, int64_t d, int64_t count, const vox_planes *planes,
                         vox_error *err) {
    (void)user, (void)count, (void)planes;
    return d < 2 ? VOX_OK : vox_fail(err, VOX_ERR_OUTPUT, "plane %d: no room", (int)d);
}

Test(engine, a_failing_sink_stops_the_push) {
    vox_network *network = vox_network_new(NULL);
    const int64_t in[4] = {1, 5, 2, 2};
    const float x[20] = {0};
    vox_pipeline *p = vox_pipeline_new(network, in, NULL, 1, 1, NULL);
    cr_assert_eq(vox_pipeline_start(p, refuse, NULL, NULL), VOX_OK);
    vox_error err = {0};
    vox_status status = VOX_OK;
    int64_t pushed = 0;
    while (!status && pushed < 5) {
        memcpy(vox_plane_row(vox_pipeline_input(p), 0, pushed, 0), x, 2 * sizeof(float));
        status = vox_pipeline_push(p, 1, NULL, &err);
        pushed++;
    }
    cr_assert_eq(status, VOX_ERR_OUTPUT);
    cr_assert_eq(pushed, 3);
    cr_assert_str_eq(err.message, "plane 2: no room");
    vox_pipeline_free(p);
    vox_network_free(network);
}

/* A plane of padding is zeros to its last column, whatever its memory held before: with an infinite
 * weight above it, 0 * infinity makes all of output plane 0 NaN (IEEE 754). 78 columns and an odd
 * number of rows leave no gap behind the last voxel of the plane. */
Test(engine, planes_of_padding_are_zeros_to_the_end) {
    const int64_t in[5] = {1, 1, 4, 5, 78}, count = 4 * 5 * 78;
    vox_conv3d conv;
    vox_conv3d_defaults(&conv);
    conv.kernel_size[0] = conv.kernel_size[2] = 3;
    conv.padding_before[0] = conv.padding_before[2] = 1;
    conv.padding_after[0] = conv.padding_after[2] = 1;
    float weight[9] = {0}, *x = malloc(count * sizeof *x), *y = malloc(count * sizeof *y);
    weight[1] = INFINITY; /* kd 0, the middle of kw: for output plane 0, in the padding */
    for (int64_t i = 0; i < count; i++)
        x[i] = 1;
    for (int run = 0; run < 3; run++) { /* later runs find the memory of earlier ones */
        vox_network *network = vox_network_new(NULL);
        cr_assert_eq(vox_network_conv3d(network, &conv, weight, NULL, NULL), VOX_OK);
        void *dirt = malloc(1 << 16);
        memset(dirt, 0x42, 1 << 16);
        free(dirt);
        cr_assert_eq(vox_network_run(network, x, in, y, 1, NULL), VOX_OK);
        for (int64_t i = 0; i < 5 * 78; i++)
            cr_assert(isnan(y[i]), "run %d, voxel %d: %g", run, (int)i, (double)y[i]);
        vox_network_free(network);
    }
    free(x);
    free(y);
}

/* Bytes of a pipeline of `count` times convolution and instance norm, each of which needs all that
 * comes before it. */
static int64_t bytes_of_norms(int count) {
    vox_network *network = vox_network_new(NULL);
    vox_conv3d conv;
    vox_conv3d_defaults(&conv);
    conv.in_channels = conv.out_channels = 4;
    for (int i = 0; i < 3; i++) {
        conv.kernel_size[i] = 3;
        conv.padding_before[i] = conv.padding_after[i] = 1;
    }
    const float weight[4 * 4 * 27] = {0};
    for (int i = 0; i < count; i++) {
        cr_assert_eq(vox_network_conv3d(network, &conv, weight, NULL, NULL), VOX_OK);
        cr_assert_eq(vox_network_group_norm(network, 4, 4, NULL, NULL, 1e-5, NULL), VOX_OK);
    }
    vox_pipeline *p = vox_pipeline_new(network, (int64_t[]){4, 32, 64, 64}, NULL, 1, 1, NULL);
    const int64_t bytes = vox_pipeline_bytes(p);
    vox_pipeline_free(p);
    vox_network_free(network);
    return bytes;
}

/* One ring fills as the one before it runs empty, so that more of them take no volume more. */
Test(engine, whole_volumes_one_after_the_other_share_memory) {
    const int64_t volume = 4 * 32 * 64 * 64 * (int64_t)sizeof(float);
    cr_assert_gt(bytes_of_norms(2), volume);
    cr_assert_lt(bytes_of_norms(5) - bytes_of_norms(2), volume / 8);
}
