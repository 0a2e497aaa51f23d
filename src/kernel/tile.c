/* tile.c - direct convolution in registers. Compiled once per instruction set (see Makefile), with
 * VOX_VEC_HEADER naming the vector vocabulary and VOX_ISA the suffix of the one symbol it exports.
 *
 * A tile is [block] output channels x [vectors] vectors of one output plane. Its accumulators live
 * in registers through all input channels and taps, and each output is written once:
 *
 *                     vector 0   vector 1   vector 2      one tap (ic, kd, kh, kw):
 *        channel 0     acc 0,0    acc 0,1    acc 0,2        load `vectors` inputs once,
 *        channel 1     acc 1,0    acc 1,1    acc 1,2        broadcast `block` weights,
 *        ...                                                block*vectors fused multiply-adds
 *
 * The vectors lie side by side along W; where a whole row is only a vector or two, they are those
 * of several rows one below the other ("stacked"). A vocabulary says how many accumulators its
 * register file holds (VEC_ACCUMULATORS). The last vector of a row is stored in part.
 */
#include VOX_VEC_HEADER
#include "kernel/kernel.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 12")
#endif
#define INLINE static inline __attribute__((always_inline))

enum {
    MAX_BLOCK = 12,
    MAX_VECTORS = 4,
    LARGEST_BLOCK = VEC_ACCUMULATORS < MAX_BLOCK ? VEC_ACCUMULATORS : MAX_BLOCK,
};

/* -0 becomes +0. Whether a sum of nothing but zeros ends as +0 or -0 depends on whether products
 * with the zeros of the padding were added to it or skipped; with this it does not, and skipping is
 * free. */
INLINE vec positive_zero(vec v) {
    return vec_add(v, vec_broadcast(0.0f));
}

/* Where a tile is: everything about it that is not a constant of the code. */
typedef struct place {
    int64_t in; /* of its first column and tap (0, 0), relative to a plane */
    float *out;
    const vox_row_tap *taps, *taps_end; /* the rows of taps that meet the input */
    int kh, kh_end;                     /* shared tiles: taps along H that do */
    int last;                           /* columns of the last vector of a row that exist */
    bool skip_first, skip_last; /* deep tiles: the first tap of the first column and the last tap of
                                   the last one meet padding */
} place;

/* Keeps the compiler from making an address of each column that a tile loads from, for which there
 * are not registers enough. */
INLINE const float *one_address(const float *p) {
    __asm__("" : "+r"(p));
    return p;
}

/* One tap: every input vector against every weight of the block. */
INLINE void tap(const float *x, int64_t row_step, const float *weight, const int block,
                const int across, const int down, vec acc[MAX_BLOCK][MAX_VECTORS]) {
    vec input[MAX_VECTORS];
    UNROLL for (int d = 0; d < down; d++, x += row_step) {
        x = one_address(x);
        UNROLL for (int a = 0; a < across; a++) input[d * across + a] = vec_load(x + a * VEC_WIDTH);
    }
    UNROLL for (int m = 0; m < block; m++) {
        vec w = vec_broadcast(weight[m]);
        UNROLL for (int n = 0; n < across * down; n++) acc[m][n] =
            vec_fmadd(input[n], w, acc[m][n]);
    }
}

/* The same row of taps in the next channel: no prefetcher of the hardware sees it coming. */
INLINE void prefetch(const float *x, int64_t row_step, const int across, const int down) {
    UNROLL for (int d = 0; d < down; d++, x += row_step) {
        UNROLL for (int a = 0; a <= across; a++) __builtin_prefetch(x + a * VEC_WIDTH);
    }
}

/* block, across, down and kw_constant (0: as the job says) are constants of each call. */
INLINE void tile(const vox_kernel_job *job, const place *at, const int block, const int across,
                 const int down, const int kw_constant) {
    if (block * across * down > VEC_ACCUMULATORS)
        return; /* an instance that this instruction set never asks for: compiles to nothing */
    vec acc[MAX_BLOCK][MAX_VECTORS];
    UNROLL for (int m = 0; m < block; m++) {
        vec bias = vec_broadcast(job->bias[m]);
        UNROLL for (int n = 0; n < across * down; n++) acc[m][n] = bias;
    }
    const int64_t kw = kw_constant ? kw_constant : job->shape.kernel_size[2];
    const int64_t *const column = job->column_offset, row_step = job->in_row_step;
    const int64_t channel_weights =
        job->shape.kernel_size[0] * job->shape.kernel_size[1] * kw * block;
    int64_t in = at->in, weights = 0;
    for (int64_t c = 0; c < job->shape.in_channels; c++) {
        for (const vox_row_tap *t = at->taps; t < at->taps_end; t++) {
            const float *row = one_address(t->row + in);
            const float *weight = one_address(t->weight + weights);
            if (kw_constant) { /* no branch between the taps of a row */
                prefetch(row + job->in_channel_stride, row_step, across, down);
                UNROLL for (int w = 0; w < kw_constant; w++)
                    tap(row + column[w], row_step, weight + w * block, block, across, down, acc);
            } else {
                for (int64_t w = 0; w < kw; w++, weight += block)
                    tap(row + column[w], row_step, weight, block, across, down, acc);
            }
        }
        in += job->in_channel_stride;
        weights += channel_weights;
    }
    UNROLL for (int m = 0; m < block; m++) {
        UNROLL for (int n = 0; n < across * down; n++) {
            float *out = at->out + m * job->out_channel_stride + n / across * job->out_row_stride +
                         n % across * VEC_WIDTH;
            const vec sum = positive_zero(acc[m][n]);
            if (n % across == across - 1 && at->last < VEC_WIDTH)
                vec_store_part(out, sum, at->last);
            else
                vec_store(out, sum);
        }
    }
}

/* ---- One channel whose rows share their taps ----
 *
 * With one output channel there is a load for every multiply-add, and loads are what limits. But
 * where output rows one below the other meet the same input row at successive taps (stride equals
 * dilation), that row, loaded once, serves them all:
 *
 *        input row q, loaded once per kw  -->  output rows q at kh 0, q-1 at kh 1, q-2 at kh 2
 *
 * Each output still takes its taps in the order kd, kh, kw, for q only ascends. */

enum { SHARED_ROWS = 6, SHARED_VECTORS = VEC_ACCUMULATORS / SHARED_ROWS };

/* One input row at one tap along W into output rows [low, high), which meet it at successive taps
 * along H: `weight` is that of output row 0, the next row's lies kw in front of it. */
INLINE void shared_tap(const float *x, const float *weight, int64_t kw, const int low,
                       const int high, const int rows, const int vectors,
                       vec acc[SHARED_ROWS][MAX_VECTORS]) {
    vec input[MAX_VECTORS];
    x = one_address(x);
    UNROLL for (int n = 0; n < vectors; n++) input[n] = vec_load(x + n * VEC_WIDTH);
    UNROLL for (int r = 0; r < rows; r++) {
        if (r < low || r >= high)
            continue;
        vec tap = vec_broadcast(weight[-r * kw]);
        UNROLL for (int n = 0; n < vectors; n++) acc[r][n] = vec_fmadd(input[n], tap, acc[r][n]);
    }
}

INLINE void shared_row(const vox_kernel_job *job, const float *row, const float *weight,
                       const int low, const int high, const int rows, const int vectors,
                       const int kw_constant, vec acc[SHARED_ROWS][MAX_VECTORS]) {
    const int64_t *const column = job->column_offset;
    weight = one_address(weight);
    if (kw_constant) {
        UNROLL for (int w = 0; w < kw_constant; w++)
            shared_tap(row + column[w], weight + w, kw_constant, low, high, rows, vectors, acc);
    } else {
        for (int64_t w = 0; w < job->shape.kernel_size[2]; w++)
            shared_tap(row + column[w], weight + w, job->shape.kernel_size[2], low, high, rows,
                       vectors, acc);
    }
}

/* rows, vectors and the constants (0: as the job says) are constants of each call; at->kh and
 * at->kh_end bound q, and do not where kh is a constant. */
INLINE void shared(const vox_kernel_job *job, const place *at, const int rows, const int vectors,
                   const int kh_constant, const int kw_constant) {
    vec acc[SHARED_ROWS][MAX_VECTORS];
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int n = 0; n < vectors; n++) acc[r][n] = vec_broadcast(job->bias[0]);
    }
    const int kh = kh_constant ? kh_constant : (int)job->shape.kernel_size[1];
    const int64_t kw = job->shape.kernel_size[2], step = job->in_row_step;
    const float *weight = job->weight; /* of the plane */
    int64_t in = at->in;
    for (int64_t c = 0; c < job->shape.in_channels; c++, in += job->in_channel_stride)
        for (int64_t d = 0; d < job->shape.kernel_size[0]; d++, weight += kh * kw) {
            if (!job->planes[d])
                continue;
            const float *row = job->planes[d] + in;
            if (kh_constant) {
                UNROLL for (int q = 0; q < rows + kh_constant - 1; q++, row += step)
                    shared_row(job, one_address(row), weight + q * kw,
                               q < kh_constant ? 0 : q - kh_constant + 1, q < rows ? q + 1 : rows,
                               rows, vectors, kw_constant, acc);
            } else {
                for (int q = at->kh; q < at->kh_end; q++)
                    shared_row(job, row + q * step, weight + q * kw, q - kh + 1, q + 1, rows,
                               vectors, kw_constant, acc);
            }
        }
    UNROLL for (int r = 0; r < rows; r++) {
        float *out = at->out + r * job->out_row_stride;
        UNROLL for (int n = 0; n < vectors - 1; n++)
            vec_store(out + n * VEC_WIDTH, positive_zero(acc[r][n]));
        vec_store_part(out + (vectors - 1) * VEC_WIDTH, positive_zero(acc[r][vectors - 1]),
                       at->last);
    }
}

typedef void tile_function(const vox_kernel_job *job, const place *at);

#define TILE(b, a, d)                                                                              \
    static void tile_##b##_##a##x##d(const vox_kernel_job *job, const place *at) {                 \
        tile(job, at, b, a, d, 0);                                                                 \
    }                                                                                              \
    static void tile3_##b##_##a##x##d(const vox_kernel_job *job, const place *at) {                \
        tile(job, at, b, a, d, 3);                                                                 \
    }
#define TILES(b)                                                                                   \
    TILE(b, 1, 1)                                                                                  \
    TILE(b, 2, 1)                                                                                  \
    TILE(b, 3, 1) TILE(b, 4, 1) TILE(b, 1, 2) TILE(b, 1, 3) TILE(b, 1, 4) TILE(b, 2, 2)

TILES(1)
TILES(2)
TILES(3)
TILES(4)
TILES(5)
TILES(6)
TILES(7)
TILES(8)
TILES(9)
TILES(10)
TILES(11)
TILES(12)

/* [a kernel of 3 columns][block - 1][across - 1][down - 1] */
#define NAMES(t, b)                                                                                \
    {                                                                                              \
        {t##b##_1x1, t##b##_1x2, t##b##_1x3, t##b##_1x4}, {t##b##_2x1, t##b##_2x2}, {t##b##_3x1},  \
            {t##b##_4x1},                                                                          \
    }
#define TABLE(t)                                                                                   \
    {                                                                                              \
        NAMES(t, 1), NAMES(t, 2), NAMES(t, 3), NAMES(t, 4), NAMES(t, 5), NAMES(t, 6), NAMES(t, 7), \
            NAMES(t, 8), NAMES(t, 9), NAMES(t, 10), NAMES(t, 11), NAMES(t, 12)                     \
    }
static tile_function *const tiles[2][MAX_BLOCK][MAX_VECTORS][MAX_VECTORS] = {TABLE(tile_),
                                                                             TABLE(tile3_)};

/* Kernels of any size, and of 3x3, 5 and 7 rows. */
#define SHARED(r, v)                                                                               \
    static void shared_##r##_##v(const vox_kernel_job *job, const place *at) {                     \
        if (v <= SHARED_VECTORS)                                                                   \
            shared(job, at, r, v, 0, 0);                                                           \
    }                                                                                              \
    static void shared3_##r##_##v(const vox_kernel_job *job, const place *at) {                    \
        if (v <= SHARED_VECTORS)                                                                   \
            shared(job, at, r, v, 3, 3);                                                           \
    }                                                                                              \
    static void shared5_##r##_##v(const vox_kernel_job *job, const place *at) {                    \
        if (v <= SHARED_VECTORS)                                                                   \
            shared(job, at, r, v, 5, 0);                                                           \
    }                                                                                              \
    static void shared7_##r##_##v(const vox_kernel_job *job, const place *at) {                    \
        if (v <= SHARED_VECTORS)                                                                   \
            shared(job, at, r, v, 7, 0);                                                           \
    }
#define SHAREDS(r) SHARED(r, 1) SHARED(r, 2) SHARED(r, 3) SHARED(r, 4)
#define SHARED_NAME(r, v)                                                                          \
    { shared_##r##_##v, shared3_##r##_##v, shared5_##r##_##v, shared7_##r##_##v }
#define SHARED_NAMES(r)                                                                            \
    { SHARED_NAME(r, 1), SHARED_NAME(r, 2), SHARED_NAME(r, 3), SHARED_NAME(r, 4) }

SHAREDS(1)
SHAREDS(2)
SHAREDS(3)
SHAREDS(4)
SHAREDS(5)
SHAREDS(6)

/* [rows - 1][vectors - 1][kernel of any size, 3x3, 5 rows, 7 rows] */
static tile_function *const shared_tiles[SHARED_ROWS][4][4] = {SHARED_NAMES(1), SHARED_NAMES(2),
                                                               SHARED_NAMES(3), SHARED_NAMES(4),
                                                               SHARED_NAMES(5), SHARED_NAMES(6)};

/* ---- Output channels in the lanes ----
 *
 * Where rows are so short that vectors along W would hang over their ends, or meet the padding in
 * much of them, a vector is VEC_WIDTH output channels of one voxel. Weights are then loaded as
 * vectors, and inputs broadcast:
 *
 *                     channels 0..15   channels 16..31    one tap (ic, kd, kh, kw):
 *        column 0        acc 0,0          acc 0,1           load `vectors` vectors of weights,
 *        column 1        acc 1,0          acc 1,1           broadcast `columns` inputs,
 *        ...                                                columns*vectors fused multiply-adds
 */

enum { DEEP_COLUMNS = 12, DEEP_VECTORS = 3 };

/* One tap for columns [low, high). */
INLINE void deep_tap(const float *x, const float *weight, const int low, const int high,
                     const int vectors, vec acc[DEEP_COLUMNS][DEEP_VECTORS]) {
    vec w[DEEP_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) w[v] = vec_load(weight + v * VEC_WIDTH);
    UNROLL for (int i = low; i < high; i++) {
        vec input = vec_broadcast(x[i]);
        UNROLL for (int v = 0; v < vectors; v++) acc[i][v] = vec_fmadd(input, w[v], acc[i][v]);
    }
}

/* columns, vectors and kw_constant (0: as the job says) are constants of each call. */
INLINE void deep(const vox_kernel_job *job, const place *at, const int columns, const int vectors,
                 const int kw_constant) {
    if (columns * vectors > VEC_ACCUMULATORS)
        return; /* as in tile() */
    float value[DEEP_COLUMNS][DEEP_VECTORS * VEC_WIDTH] = {0};
    vec acc[DEEP_COLUMNS][DEEP_VECTORS];
    for (int m = 0; m < job->block; m++)
        value[0][m] = job->bias[m];
    UNROLL for (int v = 0; v < vectors; v++) {
        acc[0][v] = vec_load(&value[0][v * VEC_WIDTH]);
        UNROLL for (int i = 1; i < columns; i++) acc[i][v] = acc[0][v];
    }
    const int64_t block = job->block, kw = kw_constant ? kw_constant : job->shape.kernel_size[2];
    const int64_t *const column = job->column_offset;
    const int64_t channel_weights =
        job->shape.kernel_size[0] * job->shape.kernel_size[1] * kw * block;
    int64_t in = at->in, weights = 0;
    for (int64_t c = 0; c < job->shape.in_channels; c++) {
        for (const vox_row_tap *t = at->taps; t < at->taps_end; t++) {
            const float *row = one_address(t->row + in);
            const float *weight = one_address(t->weight + weights);
            if (kw_constant == 3) {
                __builtin_prefetch(row + job->in_channel_stride);
                deep_tap(row + column[0], weight, 1, columns, vectors, acc);
                if (!at->skip_first)
                    deep_tap(row + column[0], weight, 0, 1, vectors, acc);
                deep_tap(row + column[1], weight + block, 0, columns, vectors, acc);
                deep_tap(row + column[2], weight + 2 * block, 0, columns - 1, vectors, acc);
                if (!at->skip_last)
                    deep_tap(row + column[2], weight + 2 * block, columns - 1, columns, vectors,
                             acc);
            } else {
                for (int64_t w = 0; w < kw; w++, weight += block)
                    deep_tap(row + column[w], weight, 0, columns, vectors, acc);
            }
        }
        in += job->in_channel_stride;
        weights += channel_weights;
    }
    UNROLL for (int i = 0; i < columns; i++) {
        UNROLL for (int v = 0; v < vectors; v++)
            vec_store(&value[i][v * VEC_WIDTH], positive_zero(acc[i][v]));
    }
    for (int m = 0; m < job->block; m++)
        for (int i = 0; i < columns; i++)
            at->out[m * job->out_channel_stride + i] = value[i][m];
}

#define DEEP(c, v)                                                                                 \
    static void deep_##c##_##v(const vox_kernel_job *job, const place *at) {                       \
        deep(job, at, c, v, 0);                                                                    \
    }                                                                                              \
    static void deep3_##c##_##v(const vox_kernel_job *job, const place *at) {                      \
        deep(job, at, c, v, 3);                                                                    \
    }
#define DEEPS(c) DEEP(c, 1) DEEP(c, 2) DEEP(c, 3)
#define DEEP_NAMES(t, c)                                                                           \
    { t##c##_1, t##c##_2, t##c##_3 }
#define DEEP_TABLE(t)                                                                              \
    {                                                                                              \
        DEEP_NAMES(t, 1), DEEP_NAMES(t, 2), DEEP_NAMES(t, 3), DEEP_NAMES(t, 4), DEEP_NAMES(t, 5),  \
            DEEP_NAMES(t, 6), DEEP_NAMES(t, 7), DEEP_NAMES(t, 8), DEEP_NAMES(t, 9),                \
            DEEP_NAMES(t, 10), DEEP_NAMES(t, 11), DEEP_NAMES(t, 12)                                \
    }

DEEPS(1)
DEEPS(2)
DEEPS(3)
DEEPS(4)
DEEPS(5)
DEEPS(6)
DEEPS(7)
DEEPS(8)
DEEPS(9)
DEEPS(10)
DEEPS(11)
DEEPS(12)

/* [a kernel of 3 columns][columns - 1][vectors - 1] */
static tile_function *const deep_tiles[2][DEEP_COLUMNS][DEEP_VECTORS] = {DEEP_TABLE(deep_),
                                                                         DEEP_TABLE(deep3_)};

/* ---- Which tiles ---- */

/* Time of a tap in tenths of a cycle, measured on a Sapphire Rapids core: two multiply-adds a
 * cycle, unless loads or what surrounds the tap take longer. */
static int64_t tap_cost(int64_t block, int64_t vectors) {
    return vox_max(5 * block * vectors + 2, 25 + 3 * block + 5 * vectors);
}

/* Tiles of several rows take longer than their taps where the input comes from beyond the
 * second-level cache (prefetching likes long runs): up to 7 %, so they should win clearly. */
enum { ROW_COST = 1 };

/* Time of a tap over a band of `down` rows of `vectors` vectors each, cut into `count` tiles of
 * nearly equal size; INT64_MAX where such tiles do not fit the registers. */
static int64_t band_cost(int64_t block, int64_t down, int64_t vectors, int64_t count) {
    const int64_t small = vectors / count, large_count = vectors % count;
    const int64_t most = (small + (large_count > 0)) * down;
    if (most > MAX_VECTORS || most * block > VEC_ACCUMULATORS)
        return INT64_MAX;
    return (count - large_count) * tap_cost(block, small * down) +
           large_count * tap_cost(block, (small + 1) * down) + count * (down - 1) * ROW_COST;
}

/* Into how many tiles a band is cut best; 0: it cannot be. */
static int64_t tile_count(int64_t block, int64_t down, int64_t vectors, int64_t *cost) {
    int64_t best = 0;
    const int64_t fewest = (vectors * down + MAX_VECTORS - 1) / MAX_VECTORS;
    *cost = INT64_MAX;
    for (int64_t n = fewest; n <= vox_min(vectors, 4 * fewest); n++) {
        const int64_t c = band_cost(block, down, vectors, n);
        if (c < *cost) {
            *cost = c;
            best = n;
        }
    }
    return best;
}

/* The height of the bands that cover `rows` rows best. */
static int64_t band_height(int64_t block, int64_t rows, int64_t vectors, int64_t *cost) {
    int64_t best = 1;
    *cost = INT64_MAX;
    for (int64_t down = 1; down <= vox_min(rows, MAX_VECTORS); down++) {
        int64_t band, rest = 0;
        if (!tile_count(block, down, vectors, &band))
            continue;
        if (rows % down)
            tile_count(block, rows % down, vectors, &rest);
        if (rows / down * band + rest < *cost) {
            *cost = rows / down * band + rest;
            best = down;
        }
    }
    return best;
}

static int64_t vectors_in(int64_t floats) {
    return (floats + VEC_WIDTH - 1) / VEC_WIDTH;
}

/* The most columns of a deep tile of `block` channels, and into how many a row is cut. */
static int64_t deep_count(int64_t block, int64_t columns) {
    const int64_t most = vox_min(VEC_ACCUMULATORS / vectors_in(block), DEEP_COLUMNS);
    return (columns + most - 1) / most;
}

/* Time of a tap over `rows` rows in deep tiles, in the unit of tap_cost; measured likewise. Weights
 * stream from the second-level cache, and the outputs of a tile are turned from channels into
 * columns, once for all of its taps. */
static int64_t deep_cost(int64_t block, const vox_kernel_shape *shape) {
    const int64_t vectors = vectors_in(block), columns = shape->columns;
    if (vectors > DEEP_VECTORS)
        return INT64_MAX;
    const int64_t count = deep_count(block, columns), row_taps = columns * shape->kernel_size[2];
    const int64_t taps =
        shape->in_channels * shape->kernel_size[0] * shape->kernel_size[1] * shape->kernel_size[2];
    int64_t cost = 0;
    for (int64_t t = 0; t < count; t++) {
        const int64_t n = columns * (t + 1) / count - columns * t / count;
        cost += vox_max(5 * n * vectors + 2 * vectors, 40) + 12 * n * block / taps;
    }
    return shape->rows * cost * (row_taps - shape->skip_first - shape->skip_last) / row_taps;
}

/* Time of a tap over the rows of a block; *deep: in deep tiles. */
static int64_t block_cost(int64_t block, const vox_kernel_shape *shape, bool *deep) {
    const int64_t in_lanes = deep_cost(block, shape);
    int64_t cost = INT64_MAX;
    if (block <= LARGEST_BLOCK)
        band_height(block, shape->rows, vectors_in(shape->columns), &cost);
    *deep = in_lanes < cost;
    return vox_min(in_lanes, cost);
}

static int64_t block_count(int64_t out_channels, const vox_kernel_shape *shape) {
    const int64_t largest = DEEP_VECTORS * VEC_WIDTH;
    const int64_t fewest = (out_channels + largest - 1) / largest;
    const int64_t most = 3 * ((out_channels + LARGEST_BLOCK - 1) / LARGEST_BLOCK);
    int64_t best = fewest, best_cost = INT64_MAX;
    for (int64_t n = fewest; n <= vox_min(out_channels, most); n++) {
        const int64_t small = out_channels / n, large_count = out_channels % n;
        bool deep;
        int64_t cost = (n - large_count) * block_cost(small, shape, &deep);
        if (large_count > 0)
            cost += large_count * block_cost(small + 1, shape, &deep);
        if (cost < best_cost) {
            best_cost = cost;
            best = n;
        }
    }
    return best;
}

/* ---- The job ---- */

/* Sets at->kh and at->kh_end to those of `count` taps, `step` input rows apart, at which some
 * output row meets the input: `first` and `last` are the input rows under tap 0 of the first and
 * the last one. */
static void clip_taps(const vox_kernel_job *job, int64_t first, int64_t last, int64_t count,
                      int64_t step, place *at) {
    at->kh = 0;
    at->kh_end = (int)count;
    if (job->row_count == 0)
        return;
    while (at->kh < at->kh_end && last + at->kh * step < 0)
        at->kh++;
    while (at->kh < at->kh_end && first + (at->kh_end - 1) * step >= job->row_count)
        at->kh_end--;
}

/* The rows of taps that at->kh and at->kh_end leave, for the output row that planes and in_offset
 * of the job stand at. */
static void list_taps(const vox_kernel_job *job, place *at) {
    const int64_t row_weights = job->shape.kernel_size[2] * job->block;
    vox_row_tap *t = job->row_taps;
    for (int64_t d = 0; d < job->shape.kernel_size[0]; d++)
        for (int64_t h = at->kh; job->planes[d] && h < at->kh_end; h++)
            *t++ = (vox_row_tap){job->planes[d] + job->row_offset[h],
                                 job->weight + (d * job->shape.kernel_size[1] + h) * row_weights};
    at->taps = job->row_taps;
    at->taps_end = t;
}

static void run_tiles(const vox_kernel_job *job, int64_t vectors, int last) {
    const int three = job->shape.kernel_size[2] == 3;
    int64_t cost, count = 0, counted = 0; /* tiles of a band of `counted` rows */
    const int64_t height = band_height(job->block, job->shape.rows, vectors, &cost);
    place at = {.kh_end = -1};
    for (int64_t r = 0; r < job->shape.rows; r += height) {
        const int64_t rows = vox_min(height, job->shape.rows - r);
        const int64_t top = job->row_origin + r * job->row_stride;
        const int kh = at.kh, kh_end = at.kh_end;
        clip_taps(job, top, top + (rows - 1) * job->row_stride, job->shape.kernel_size[1],
                  job->row_dilation, &at);
        if (at.kh != kh || at.kh_end != kh_end)
            list_taps(job, &at);
        if (rows != counted)
            count = tile_count(job->block, counted = rows, vectors, &cost);
        for (int64_t t = 0; t < count; t++) {
            const int64_t first = vectors * t / count, end = vectors * (t + 1) / count;
            at.in = job->in_offset + r * job->in_row_step + first * VEC_WIDTH;
            at.out = job->out + r * job->out_row_stride + first * VEC_WIDTH;
            at.last = end == vectors ? last : VEC_WIDTH;
            tiles[three][job->block - 1][end - first - 1][rows - 1](job, &at);
        }
    }
}

/* Bands of rows that share their input, cut across into tiles of nearly equal size. */
static void run_shared(const vox_kernel_job *job, int64_t vectors, int last) {
    const int64_t count = (vectors + SHARED_VECTORS - 1) / SHARED_VECTORS;
    const int64_t kh = job->shape.kernel_size[1];
    const int sized = kh == 3 && job->shape.kernel_size[2] == 3 ? 1 : kh == 5 ? 2 : kh == 7 ? 3 : 0;
    for (int64_t r = 0; r < job->shape.rows; r += SHARED_ROWS) {
        const int64_t rows = vox_min(SHARED_ROWS, job->shape.rows - r);
        const int64_t top = job->row_origin + r * job->row_stride;
        place at = {0};
        if (!sized) /* a band that looks at every row is faster than one that asks */
            clip_taps(job, top, top, rows + kh - 1, job->row_stride, &at);
        for (int64_t t = 0; t < count; t++) {
            const int64_t first = vectors * t / count, end = vectors * (t + 1) / count;
            at.in = job->in_offset + r * job->in_row_step + first * VEC_WIDTH;
            at.out = job->out + r * job->out_row_stride + first * VEC_WIDTH;
            at.last = end == vectors ? last : VEC_WIDTH;
            shared_tiles[rows - 1][end - first - 1][sized](job, &at);
        }
    }
}

/* Row by row, so that each skips its padding exactly. */
static void run_deep(const vox_kernel_job *job) {
    const int vectors = (int)vectors_in(job->block), three = job->shape.kernel_size[2] == 3;
    const int64_t count = deep_count(job->block, job->shape.columns);
    place at = {.kh_end = -1};
    for (int64_t r = 0; r < job->shape.rows; r++) {
        const int64_t top = job->row_origin + r * job->row_stride;
        const int kh = at.kh, kh_end = at.kh_end;
        clip_taps(job, top, top, job->shape.kernel_size[1], job->row_dilation, &at);
        if (at.kh != kh || at.kh_end != kh_end)
            list_taps(job, &at);
        for (int64_t t = 0; t < count; t++) {
            const int64_t first = job->shape.columns * t / count,
                          end = job->shape.columns * (t + 1) / count;
            at.in = job->in_offset + r * job->in_row_step + first;
            at.out = job->out + r * job->out_row_stride + first;
            at.skip_first = job->shape.skip_first && first == 0;
            at.skip_last = job->shape.skip_last && end == job->shape.columns;
            deep_tiles[three][end - first - 1][vectors - 1](job, &at);
        }
    }
}

static void run(const vox_kernel_job *job) {
    const vox_kernel_shape *shape = &job->shape;
    const int64_t vectors = vectors_in(shape->columns);
    const int last = (int)(shape->columns - (vectors - 1) * VEC_WIDTH);
    bool deep;
    block_cost(job->block, shape, &deep);
    if (job->block == 1 && shape->kernel_size[1] > 1 && job->row_offset[1] == job->in_row_step)
        run_shared(job, vectors, last);
    else if (deep)
        run_deep(job);
    else
        run_tiles(job, vectors, last);
}

static void copy_row(float *to, const float *from, int64_t columns) {
    const float nan = vox_machine_nan();
    const vec one_nan = vec_broadcast(nan);
    int64_t i = 0;
    for (; i + VEC_WIDTH <= columns; i += VEC_WIDTH)
        vec_store(to + i, vec_unless_nan(vec_load(from + i), one_nan));
    for (; i < columns; i++)
        to[i] = from[i] == from[i] ? from[i] : nan;
}

static void scale_row(float *row, int64_t columns, float scale, float shift) {
    vec by = vec_broadcast(scale), plus = vec_broadcast(shift);
    int64_t i = 0;
    for (; i + VEC_WIDTH <= columns; i += VEC_WIDTH)
        vec_store(row + i, vec_fmadd(vec_load(row + i), by, plus));
    if (i < columns) {
        float rest[VEC_WIDTH] = {0};
        for (int64_t k = i; k < columns; k++)
            rest[k - i] = row[k];
        vec_store_part(row + i, vec_fmadd(vec_load(rest), by, plus), (int)(columns - i));
    }
}

extern const vox_kernel JOIN(vox_kernel_, VOX_ISA);
const vox_kernel JOIN(vox_kernel_, VOX_ISA) = {TEXT(VOX_ISA), block_count, run, copy_row,
                                               scale_row};
