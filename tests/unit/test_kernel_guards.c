/* test_kernel_guards.c - the kernel by itself, every variant: every size of block, row and kernel
 * that chooses another tile, with padding in memory or without (bare). Inputs, weights, biases and
 * outputs lie between pages that may not be touched, once against the one behind and once against
 * the one in front. The expected values are those of kernel.h's definition, by libm's fmaf. */
#include "cases.h"
#include "kernel/kernel.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Instrumented, a case takes ten times as long. */
#ifdef __SANITIZE_ADDRESS__
enum { CASES = 200 };
#else
enum { CASES = 1200 };
#endif
enum { PLANES = 3, MAX_ROWS = 14, MAX_SPAN = 7 };
static const float UNTOUCHED = 12345.5f;

/* ---- Memory between guard pages ---- */

typedef struct guarded {
    char *map;
    size_t mapped;
    float *data;
} guarded;

static guarded guarded_new(int64_t count, bool at_end) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = (size_t)count * sizeof(float);
    const size_t inner = (bytes + page - 1) / page * page;
    guarded g = {.mapped = inner + 2 * page};
    g.map = mmap(NULL, g.mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(g.map != MAP_FAILED);
    cr_assert_eq(mprotect(g.map + page, inner, PROT_READ | PROT_WRITE), 0);
    g.data = (float *)(void *)(g.map + page + (at_end ? inner - bytes : 0));
    return g;
}

static guarded guarded_values(dice *d, int64_t count, int64_t slack, bool at_end) {
    guarded g = guarded_new(count + slack, at_end);
    for (int64_t i = 0; i < count; i++)
        g.data[i] = dice_value(d);
    return g;
}

static void guarded_free(guarded *g) {
    munmap(g->map, g->mapped);
}

/* ---- A job ---- */

typedef struct problem {
    int64_t in_channels, out_channels, kernel[3], row_stride, dilation[2]; /* H, W */
    int64_t rows, columns, blocks;
    bool bare;
    int64_t before[2]; /* padding in front that is not in memory, H and W */
    int64_t row_length, plane_rows;
    bool present[PLANES], zero_first, zero_last; /* the first and the last column of every row */
} problem;

static int64_t taps(const problem *p) {
    return p->in_channels * product(p->kernel, 3);
}

static vox_kernel_shape shape_of(const problem *p, int64_t block) {
    return (vox_kernel_shape){
        .block = (int)block,
        .in_channels = p->in_channels,
        .kernel_size = {p->kernel[0], p->kernel[1], p->kernel[2]},
        .rows = p->rows,
        .columns = p->columns,
        .skip_first = p->zero_first,
        .skip_last = p->zero_last,
        .shares_rows = p->row_stride == p->dilation[0],
        .bare = p->bare,
        .in_columns = p->row_length,
        .column_origin = -p->before[1],
        .column_dilation = p->dilation[1],
    };
}

/* Takes some padding out of memory, where the kernel can do without. */
static void take_padding(dice *d, problem *p, const vox_kernel *kernel) {
    const problem padded = *p;
    int64_t span[2] = {(p->kernel[1] - 1) * p->dilation[0], (p->kernel[2] - 1) * p->dilation[1]};
    const bool half = dice_between(d, 0, 1); /* as layers mostly have it */
    int64_t after[2];
    for (int i = 0; i < 2; i++) {
        p->before[i] = half ? span[i] / 2 : dice_between(d, 0, (int)span[i] + 1);
        after[i] = half ? span[i] / 2 : dice_between(d, 0, (int)span[i] + 1);
    }
    p->bare = true;
    p->plane_rows = vox_max(p->plane_rows - p->before[0] - after[0], 1);
    p->row_length = vox_max(p->row_length - p->before[1] - after[1], 1);
    p->zero_first = p->before[1] > 0;
    p->zero_last = p->columns - 1 - p->before[1] + span[1] >= p->row_length;
    const vox_kernel_shape shape = shape_of(p, 0);
    const int64_t blocks = kernel->block_count(p->out_channels, &shape);
    const vox_kernel_shape small = shape_of(p, p->out_channels / blocks);
    const vox_kernel_shape large = shape_of(p, vox_ceil_div(p->out_channels, blocks));
    if (!kernel->reads_bare(&small) || !kernel->reads_bare(&large))
        *p = padded;
}

static problem problem_new(dice *d, const vox_kernel *kernel) {
    static const int64_t extent[] = {1, 2, 3, 3, 3, 5, 7};
    const bool deep = dice_between(d, 0, 2) == 0; /* many channels, short rows */
    problem p = {.in_channels = deep ? dice_between(d, 4, 20) : dice_between(d, 1, 3),
                 .out_channels = deep                    ? dice_between(d, 8, 60)
                                 : dice_between(d, 0, 2) ? dice_between(d, 1, 30)
                                                         : 1,
                 .kernel = {dice_between(d, 1, PLANES), extent[dice_between(d, 0, 6)],
                            extent[dice_between(d, 0, 6)]},
                 .row_stride = dice_between(d, 1, 2),
                 .dilation = {dice_between(d, 1, 2), dice_between(d, 1, 3)},
                 .rows = dice_between(d, 1, MAX_ROWS),
                 .columns = dice_between(d, 1, deep ? 30 : 100),
                 .zero_first = dice_between(d, 0, 1) > 0,
                 .zero_last = dice_between(d, 0, 1) > 0};
    if (deep)
        p.rows = vox_min(p.rows, 4);
    p.row_length = p.columns + (p.kernel[2] - 1) * p.dilation[1];
    p.plane_rows = (p.rows - 1) * p.row_stride + (p.kernel[1] - 1) * p.dilation[0] + 1;
    if (dice_between(d, 0, 1))
        take_padding(d, &p, kernel);
    const vox_kernel_shape shape = shape_of(&p, 0);
    p.blocks = kernel->block_count(p.out_channels, &shape);
    for (int i = 0; i < PLANES; i++)
        p.present[i] = dice_between(d, 0, 4) > 0;
    return p;
}

/* Index of weight (tap, channel o) as kernel.h packs them. */
static int64_t packed(const problem *p, int64_t tap, int64_t o) {
    int64_t b = 0;
    while (p->out_channels * (b + 1) / p->blocks <= o)
        b++;
    const int64_t first = p->out_channels * b / p->blocks;
    const int64_t block = p->out_channels * (b + 1) / p->blocks - first;
    return first * taps(p) + tap * block + o - first;
}

static float expected(const problem *p, const guarded plane[PLANES], const float *w, float sum,
                      int64_t o, int64_t row, int64_t column) {
    int64_t tap = 0;
    for (int64_t c = 0; c < p->in_channels; c++)
        for (int64_t d = 0; d < p->kernel[0]; d++)
            for (int64_t h = 0; h < p->kernel[1]; h++)
                for (int64_t k = 0; k < p->kernel[2]; k++, tap++) {
                    const int64_t q = row * p->row_stride + h * p->dilation[0] - p->before[0];
                    const int64_t x = column + k * p->dilation[1] - p->before[1];
                    const int64_t i = (c * p->plane_rows + q) * p->row_length + x;
                    if (p->present[d] && q >= 0 && q < p->plane_rows && x >= 0 && x < p->row_length)
                        sum = fmaf(plane[d].data[i], w[packed(p, tap, o)], sum);
                }
    return sum;
}

static void run_and_compare(const vox_kernel *kernel, uint64_t seed, bool at_end) {
    dice d = dice_new(seed);
    const problem p = problem_new(&d, kernel);
    const int64_t plane_count = p.in_channels * p.plane_rows * p.row_length;
    guarded plane[PLANES];
    const float *planes[PLANES];
    /* What the kernel may read beyond the last input: kernel.h, `columns`. */
    for (int i = 0; i < PLANES; i++) {
        plane[i] = guarded_values(&d, plane_count, p.bare ? 0 : VOX_KERNEL_MAX_VECTOR - 1, at_end);
        planes[i] = p.present[i] ? plane[i].data : NULL;
        for (int64_t k = 0; k < plane_count; k += p.row_length) {
            if (p.zero_first && !p.bare)
                plane[i].data[k] = 0;
            if (p.zero_last && !p.bare)
                plane[i].data[k + p.row_length - 1] = 0;
        }
    }
    if (p.bare && seed % 8 == 0) { /* of other bits than any machine makes */
        const uint32_t bits = 0x7fc12345;
        memcpy(&plane[0].data[plane_count / 2], &bits, sizeof bits);
    }
    guarded w = guarded_values(&d, p.out_channels * taps(&p), VOX_KERNEL_MAX_VECTOR - 1, at_end);
    guarded bias = guarded_values(&d, p.out_channels, 0, at_end);
    /* Every third one may go past the caches, on their borders; a row then ends with floats that
     * are nobody's. */
    const bool bypass = seed % 3 == 0;
    const int64_t out_row = bypass ? vox_round_up(p.columns, VOX_KERNEL_MAX_VECTOR) : p.columns;
    guarded out = guarded_new(p.out_channels * p.rows * out_row, at_end);
    for (int64_t i = 0; i < p.out_channels * p.rows * out_row; i++)
        out.data[i] = UNTOUCHED;
    vox_row_tap row_taps[PLANES * MAX_SPAN];
    int64_t row_offset[MAX_SPAN], column_offset[MAX_SPAN];
    for (int64_t k = 0; k < MAX_SPAN; k++) {
        row_offset[k] = (k * p.dilation[0] - p.before[0]) * p.row_length;
        column_offset[k] = k * p.dilation[1] - p.before[1];
    }
    for (int64_t b = 0; b < p.blocks; b++) {
        const int64_t first = p.out_channels * b / p.blocks;
        const vox_kernel_shape shape = shape_of(&p, p.out_channels * (b + 1) / p.blocks - first);
        const vox_kernel_plan plan = kernel->plan(&shape);
        const vox_kernel_job job = {
            .plan = &plan,
            .planes = planes,
            .in_channel_stride = p.plane_rows * p.row_length,
            .in_row_step = p.row_stride * p.row_length,
            .row_offset = row_offset,
            .column_offset = column_offset,
            .row_origin = -p.before[0],
            .row_stride = p.row_stride,
            .row_dilation = p.dilation[0],
            .row_count = p.bare ? p.plane_rows : 0,
            .weight = w.data + first * taps(&p),
            .bias = bias.data + first,
            .out = out.data + first * p.rows * out_row,
            .out_channel_stride = p.rows * out_row,
            .out_row_stride = out_row,
            .bypass = bypass,
            .row_taps = row_taps,
        };
        kernel->run(&job);
    }
    const float nan = vox_machine_nan();
    for (int64_t o = 0; o < p.out_channels; o++)
        for (int64_t r = 0; r < p.rows; r++)
            for (int64_t k = 0; k < out_row; k++) {
                const float y = out.data[(o * p.rows + r) * out_row + k];
                if (k >= p.columns) {
                    cr_assert_eq(y, UNTOUCHED);
                    continue;
                }
                const float e = expected(&p, plane, w.data, bias.data[o], o, r, k);
                cr_assert(isnan(e) ? memcmp(&y, &nan, sizeof y) == 0 : y == e,
                          "%s, seed %d, channel %d, row %d, column %d: %a instead of %a",
                          kernel->name, (int)seed, (int)o, (int)r, (int)k, (double)y, (double)e);
            }
    for (int i = 0; i < PLANES; i++)
        guarded_free(&plane[i]);
    guarded_free(&w);
    guarded_free(&bias);
    guarded_free(&out);
}

ParameterizedTestParameters(kernel, stays_within_its_buffers) {
    return isa_params();
}

ParameterizedTest(isa_name *isa, kernel, stays_within_its_buffers, .timeout = 300) {
    vox_error err = {0};
    cr_assert_eq(vox_isa_select(isa->text, &err), VOX_OK, "%s", err.message);
    const vox_kernel *kernel = vox_kernel_active(&err);
    cr_assert_not_null(kernel);
    for (uint64_t seed = 0; seed < CASES; seed++)
        run_and_compare(kernel, seed, seed % 2);
}

/* ---- Woven rows ---- */

static int64_t half_vector(const char *isa) {
    return strcmp(isa, "avx512") == 0 ? 8 : strcmp(isa, "avx2") == 0 ? 4 : 2;
}

/* Two rows of output, one a twin of the other: in each channel a row of a plane that does not end
 * before its last column, woven with a row of another plane. */
static void run_woven_and_compare(const vox_kernel *kernel, uint64_t seed, bool at_end) {
    dice d = dice_new(seed);
    const int64_t half = half_vector(kernel->name);
    const bool bypass = seed % 3 == 0;
    const int64_t columns = half * (bypass ? 4 * dice_between(&d, 1, 5) : dice_between(&d, 3, 20));
    problem p = {.in_channels = dice_between(&d, 1, 4),
                 .out_channels = dice_between(&d, 2, 30),
                 .kernel = {dice_between(&d, 1, PLANES), dice_between(&d, 1, 3), 3},
                 .row_stride = 1,
                 .dilation = {1, half},
                 .rows = dice_between(&d, 1, 5),
                 .columns = columns,
                 .bare = true,
                 .before = {0, half},
                 .row_length = columns,
                 .present = {true, true, true}};
    p.before[0] = dice_between(&d, 0, (int)p.kernel[1] - 1);
    p.plane_rows = vox_max(p.rows - dice_between(&d, 0, 1), 1);
    const vox_kernel_shape any = shape_of(&p, 0);
    p.blocks = kernel->block_count(p.out_channels, &any);
    const int64_t plane_count = p.in_channels * p.plane_rows * columns;
    guarded plane[2][PLANES], woven[PLANES];
    const float *planes[PLANES];
    for (int i = 0; i < PLANES; i++) {
        woven[i] = guarded_new(2 * plane_count, at_end);
        planes[i] = woven[i].data;
        for (int twin = 0; twin < 2; twin++)
            plane[twin][i] = guarded_values(&d, plane_count, 0, at_end);
        for (int64_t k = 0; k < plane_count; k += columns)
            kernel->weave_rows(woven[i].data + 2 * k, plane[0][i].data + k, plane[1][i].data + k,
                               columns);
    }
    guarded w = guarded_values(&d, p.out_channels * taps(&p), VOX_KERNEL_MAX_VECTOR - 1, at_end);
    guarded bias = guarded_values(&d, p.out_channels, 0, at_end);
    const int64_t twin_count = p.out_channels * p.rows * columns;
    guarded out = guarded_new(2 * twin_count, at_end);
    vox_row_tap row_taps[PLANES * MAX_SPAN];
    int64_t row_offset[3], column_offset[3];
    for (int64_t k = 0; k < 3; k++) {
        row_offset[k] = (k - p.before[0]) * 2 * columns;
        column_offset[k] = (k - 1) * 2 * half;
    }
    for (int64_t b = 0; b < p.blocks; b++) {
        const int64_t first = p.out_channels * b / p.blocks;
        vox_kernel_shape shape = shape_of(&p, p.out_channels * (b + 1) / p.blocks - first);
        if (!kernel->weaves(&shape))
            goto out;
        shape.columns *= 2;
        shape.in_columns *= 2;
        shape.column_origin *= 2;
        shape.column_dilation *= 2;
        shape.woven = true;
        const vox_kernel_plan plan = kernel->plan(&shape);
        const vox_kernel_job job = {
            .plan = &plan,
            .planes = planes,
            .in_channel_stride = p.plane_rows * 2 * columns,
            .in_row_step = 2 * columns,
            .row_offset = row_offset,
            .column_offset = column_offset,
            .row_origin = -p.before[0],
            .row_stride = 1,
            .row_dilation = 1,
            .row_count = p.plane_rows,
            .weight = w.data + first * taps(&p),
            .bias = bias.data + first,
            .out = out.data + first * p.rows * columns,
            .out_channel_stride = p.rows * columns,
            .out_row_stride = columns,
            .twin_stride = twin_count,
            .bypass = bypass,
            .row_taps = row_taps,
        };
        kernel->run(&job);
    }
    for (int64_t i = 0; i < 2 * twin_count; i++) {
        const int64_t k = i % columns, r = i / columns % p.rows,
                      o = i / columns / p.rows % p.out_channels;
        const float e = expected(&p, plane[i / twin_count], w.data, bias.data[o], o, r, k);
        cr_assert_eq(out.data[i], e,
                     "%s, seed %d, twin %d, channel %d, row %d, column %d: %a, not %a",
                     kernel->name, (int)seed, (int)(i / twin_count), (int)o, (int)r, (int)k,
                     (double)out.data[i], (double)e);
    }
out:
    for (int i = 0; i < PLANES; i++) {
        guarded_free(&woven[i]);
        guarded_free(&plane[0][i]);
        guarded_free(&plane[1][i]);
    }
    guarded_free(&w);
    guarded_free(&bias);
    guarded_free(&out);
}

ParameterizedTestParameters(kernel, woven_rows_stay_within_their_buffers) {
    return isa_params();
}

ParameterizedTest(isa_name *isa, kernel, woven_rows_stay_within_their_buffers, .timeout = 300) {
    vox_error err = {0};
    cr_assert_eq(vox_isa_select(isa->text, &err), VOX_OK, "%s", err.message);
    const vox_kernel *kernel = vox_kernel_active(&err);
    cr_assert_not_null(kernel);
    for (uint64_t seed = 0; seed < CASES / 4; seed++)
        run_woven_and_compare(kernel, seed, seed % 2);
}

/* Row copies and row scalings, which have loops of their own for the rest of a row. */
ParameterizedTestParameters(kernel, rows_stay_within_their_buffers) {
    return isa_params();
}

ParameterizedTest(isa_name *isa, kernel, rows_stay_within_their_buffers) {
    vox_error err = {0};
    cr_assert_eq(vox_isa_select(isa->text, &err), VOX_OK, "%s", err.message);
    const vox_kernel *kernel = vox_kernel_active(&err);
    for (int64_t n = 1; n <= 70; n++)
        for (int at_end = 0; at_end < 2; at_end++) {
            dice d = dice_new((uint64_t)n);
            guarded from = guarded_values(&d, n, 0, at_end), to = guarded_new(n, at_end);
            from.data[n / 2] = -NAN;
            kernel->copy_row(to.data, from.data, n);
            for (int64_t i = 0; i < n; i++)
                cr_assert(i == n / 2 ? isnan(to.data[i]) : to.data[i] == from.data[i]);
            const float machine_nan = vox_machine_nan();
            cr_assert_eq(memcmp(&to.data[n / 2], &machine_nan, sizeof machine_nan), 0);
            from.data[n / 2] = 2;
            kernel->copy_row(to.data, from.data, n);
            const int64_t half = half_vector(kernel->name);
            if (n % (2 * half) == 0) { /* the row's two halves woven */
                kernel->weave_rows(to.data, from.data, from.data + n / 2, n / 2);
                for (int64_t i = 0; i < n; i++)
                    cr_assert_eq(
                        to.data[i],
                        from.data[i / half % 2 * (n / 2) + i / (2 * half) * half + i % half]);
                kernel->copy_row(to.data, from.data, n);
            }
            kernel->scale_row(to.data, to.data, n, 1.5f, -0.25f);
            for (int64_t i = 0; i < n; i++)
                cr_assert_eq(to.data[i], fmaf(from.data[i], 1.5f, -0.25f));
            guarded_free(&from);
            guarded_free(&to);
        }
}

/* Sums and largest values of rows, against their definitions. */
ParameterizedTestParameters(kernel, sums_stay_within_their_rows) {
    return isa_params();
}

ParameterizedTest(isa_name *isa, kernel, sums_stay_within_their_rows) {
    vox_error err = {0};
    cr_assert_eq(vox_isa_select(isa->text, &err), VOX_OK, "%s", err.message);
    const vox_rows *rows = vox_kernel_active(&err)->rows;
    for (int64_t n = 1; n <= 70; n++)
        for (int at_end = 0; at_end < 2; at_end++) {
            dice d = dice_new((uint64_t)n);
            guarded x = guarded_values(&d, n, 0, at_end), to = guarded_values(&d, n, 0, at_end);
            double sum[VOX_LANES] = {0}, squares[VOX_LANES] = {0}, expect[2][VOX_LANES] = {{0}};
            for (int64_t i = 0; i < n; i++) {
                const double apart = (double)x.data[i] - 0.375;
                expect[0][i % VOX_LANES] += (double)x.data[i];
                expect[1][i % VOX_LANES] += apart * apart;
            }
            rows->sum(sum, x.data, n);
            rows->sum_squares(squares, x.data, n, 0.375);
            cr_assert_eq(memcmp(sum, expect[0], sizeof sum), 0);
            cr_assert_eq(memcmp(squares, expect[1], sizeof squares), 0);
            const float before = to.data[n - 1], added = before + x.data[n - 1];
            rows->add(to.data, x.data, n);
            cr_assert_eq(to.data[n - 1], added);
            rows->max(to.data, x.data, n);
            cr_assert_eq(to.data[n - 1], fmaxf(added, x.data[n - 1]));
            x.data[0] = NAN;
            rows->max(to.data, x.data, n);
            cr_assert(isnan(to.data[0]));
            x.data[0] = 1;
            rows->max(to.data, x.data, n);
            cr_assert(isnan(to.data[0]));
            guarded_free(&x);
            guarded_free(&to);
        }
}

/* Elementwise functions and softmax, in place: no value outside the row is touched, and each comes
 * out as it does alone, bit for bit, wherever in the row it stands. */
ParameterizedTestParameters(kernel, functions_stay_within_their_rows) {
    return isa_params();
}

ParameterizedTest(isa_name *isa, kernel, functions_stay_within_their_rows) {
    vox_error err = {0};
    cr_assert_eq(vox_isa_select(isa->text, &err), VOX_OK, "%s", err.message);
    const vox_elementwise *elementwise = vox_kernel_active(&err)->elementwise;
    const float parameter[2] = {0.25f, 0.5f};
    for (int64_t n = 1; n <= 70; n++)
        for (int at_end = 0; at_end < 2; at_end++) {
            dice d = dice_new((uint64_t)n);
            guarded x = guarded_values(&d, n, 0, at_end), y = guarded_new(n, at_end);
            for (int kind = VOX_ACT_RELU; kind < VOX_ACT_SOFTMAX; kind++) {
                memcpy(y.data, x.data, (size_t)n * sizeof(float));
                elementwise->map_row(y.data, n, (vox_activation)kind, parameter);
                for (int64_t i = 0; i < n; i++) {
                    float alone = x.data[i];
                    elementwise->map_row(&alone, 1, (vox_activation)kind, parameter);
                    cr_assert_eq(memcmp(&alone, &y.data[i], sizeof alone), 0, "kind %d", kind);
                }
            }
            /* Two channels of one row: the one's end and the other's beginning are n/2 apart. */
            for (int logarithm = 0; n >= 2 && logarithm < 2; logarithm++) {
                const int64_t stride = n / 2, columns = n - stride;
                const bool apart = stride >= columns; /* else the channels overlap */
                memcpy(y.data, x.data, (size_t)n * sizeof(float));
                if (apart)
                    elementwise->softmax_row(y.data, stride, 2, columns, logarithm);
                for (int64_t i = 0; apart && i < columns; i++) {
                    float alone[2] = {x.data[i], x.data[i + stride]};
                    elementwise->softmax_row(alone, 1, 2, 1, logarithm);
                    cr_assert_eq(memcmp(&alone[0], &y.data[i], sizeof(float)), 0);
                    cr_assert_eq(memcmp(&alone[1], &y.data[i + stride], sizeof(float)), 0);
                }
            }
            guarded_free(&x);
            guarded_free(&y);
        }
}
