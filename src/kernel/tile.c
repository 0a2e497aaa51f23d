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
 * register file holds (VEC_ACCUMULATORS), and how many registers that is (VEC_REGISTERS). The last
 * vector of a row is stored in part.
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
 * free. And NaN, whose bits a bare input may have brought in, become the machine's. */
INLINE vec result(const vox_kernel_job *job, vec v) {
    return vec_clean(v, vec_broadcast(job->plan->nan));
}

/* The first and the last vector of a tile in a bare row meet columns that do not exist. Those are
 * not read: the masks of the lanes that are, for each tap along W. A vector between them never
 * meets an end (reads_bare). A load with a mask takes the place of a multiply-add besides its own;
 * in most rows, of three taps the first vector needs one at the first alone, and the last vector at
 * the last. */
typedef struct edges {
    vec_mask first[3], last[3];
    bool few;                  /* of three taps, as said above */
    bool none;                 /* is needed at all */
    bool row_begins, row_ends; /* with this tile */
} edges;

/* Where a tile is: everything about it that is not a constant of the code. */
typedef struct place {
    int64_t in; /* of its first column and tap (0, 0), relative to a plane */
    float *out;
    const vox_row_tap *taps, *taps_end; /* the rows of taps that meet the input */
    int kh, kh_end;                     /* shared tiles: taps along H that do */
    int last;                           /* columns of the last vector of a row that exist */
    bool skip_first, skip_last; /* deep tiles: the first tap of the first column and the last tap of
                                   the last one meet padding */
    const edges *edges;         /* at the ends of a bare row */
    bool bypass;                /* outputs go past the caches, and can: they are on their borders */
} place;

/* A whole vector of outputs. */
INLINE void put(float *out, vec v, bool bypass) {
    if (bypass)
        vec_store_bypass(out, v);
    else
        vec_store(out, v);
}

/* Keeps the compiler from making an address of each column that a tile loads from, for which there
 * are not registers enough. */
INLINE const float *one_address(const float *p) {
    __asm__("" : "+r"(p));
    return p;
}

/* Vector n of `count` at tap k. e NULL: none needs a mask. few is a constant. */
INLINE vec load_between(const float *x, const edges *e, const bool few, const int k, const int n,
                        const int count) {
    if (e && n == 0 && (!few || k == 0 || (count == 1 && k == 2)))
        return vec_load_masked(x, &e->first[k]);
    if (e && n == count - 1 && (!few || k == 2))
        return vec_load_masked(x + n * VEC_WIDTH, &e->last[k]);
    return vec_load(x + n * VEC_WIDTH);
}

/* One tap: every input vector against every weight of the block. e, few, k: load_between. */
INLINE void tap(const float *x, int64_t row_step, const float *weight, const int block,
                const int across, const int down, const edges *e, const bool few, const int k,
                vec acc[MAX_BLOCK][MAX_VECTORS]) {
    vec input[MAX_VECTORS];
    UNROLL for (int d = 0; d < down; d++, x += row_step) {
        x = one_address(x);
        UNROLL for (int a = 0; a < across; a++) input[d * across + a] =
            load_between(x, e, few, k, a, across);
    }
    UNROLL for (int m = 0; m < block; m++) {
        vec w = vec_broadcast(weight[m]);
        UNROLL for (int n = 0; n < across * down; n++) acc[m][n] =
            vec_fmadd(input[n], w, acc[m][n]);
    }
}

/* One tap of a woven row: where the row begins the first vector meets padding at tap 0, in all
 * lanes, and where it ends the last one at tap 2. e NULL: neither. */
INLINE void woven_tap(const float *x, const float *weight, const int block, const int across,
                      const edges *e, const int k, vec acc[MAX_BLOCK][MAX_VECTORS]) {
    const int end = e && k == 0 ? 0 : e && k == 2 ? across - 1 : -1; /* may be skipped */
    vec input[MAX_VECTORS];
    x = one_address(x);
    UNROLL for (int n = 0; n < across; n++) {
        if (n != end)
            input[n] = vec_load(x + n * VEC_WIDTH);
    }
    UNROLL for (int m = 0; m < block; m++) {
        vec w = vec_broadcast(weight[m]);
        UNROLL for (int n = 0; n < across; n++) {
            if (n != end)
                acc[m][n] = vec_fmadd(input[n], w, acc[m][n]);
        }
    }
    if (!e || end < 0 || (k == 0 ? e->row_begins : e->row_ends))
        return;
    weight = one_address(weight); /* or they would be kept from above, in registers that there are
                                     not */
    const vec last = vec_load(x + end * VEC_WIDTH);
    UNROLL for (int m = 0; m < block; m++) acc[m][end] =
        vec_fmadd(last, vec_broadcast(weight[m]), acc[m][end]);
}

/* Rows of input that are wanted soon and that no prefetcher of the hardware sees coming: it follows
 * a few long runs, and tiles go through many short ones. The last of `several` taps is `reach`
 * columns from the first, in a dilated layer a line or two. */
INLINE void prefetch(const float *x, int64_t row_step, const int across, const int down,
                     const bool several, int64_t reach) {
    enum { LINE = 16 }; /* floats */
    UNROLL for (int d = 0; d < down; d++, x += row_step) {
        UNROLL for (int i = 0; i <= across * VEC_WIDTH; i += LINE) __builtin_prefetch(x + i);
        if (several) {
            __builtin_prefetch(x + reach + across * VEC_WIDTH - LINE);
            __builtin_prefetch(x + reach + across * VEC_WIDTH);
        }
    }
}

/* A row of kw taps, a constant: no branch between them. */
INLINE void tap_row(const vox_kernel_job *job, const float *row, const float *weight, const int kw,
                    const int block, const int across, const int down, const edges *e,
                    const bool few, const bool woven, vec acc[MAX_BLOCK][MAX_VECTORS]) {
    const int64_t *const column = job->column_offset, row_step = job->in_row_step;
    prefetch(row + job->in_channel_stride, row_step, across, down, kw > 1, column[kw - 1]);
    UNROLL for (int w = 0; w < kw; w++) {
        if (woven)
            woven_tap(row + column[w], weight + w * block, block, across, e, w, acc);
        else
            tap(row + column[w], row_step, weight + w * block, block, across, down, e, few, w, acc);
    }
}

/* A kernel of one voxel, or a larger one of which only one tap meets the input. There are few
 * multiply-adds between one channel and the next, and what a loop does besides takes ports from
 * them: this one, which does next to nothing, runs at 96 % of the peak from the first-level cache,
 * and the loop over rows of taps at 65 %. */
INLINE void one_tap(const vox_kernel_job *job, const float *x, const float *weight,
                    int64_t channel_weights, const int block, const int across, const int down,
                    const edges *e, vec acc[MAX_BLOCK][MAX_VECTORS]) {
    const int64_t row_step = job->in_row_step, step = job->in_channel_stride;
    x = one_address(x);
    weight = one_address(weight);
    for (int64_t c = job->plan->shape.in_channels; c > 0; c--) {
        prefetch(x + step, row_step, across, down, false, 0);
        tap(x, row_step, weight, block, across, down, e, false, 0, acc);
        x += step;
        weight += channel_weights;
    }
}

/* All channels, rows of taps and taps. block, across, down, kw_constant (0: kw is any number), few
 * and woven are constants of each call: a loop that chose at each row of taps would want more
 * registers than there are. */
INLINE void all_taps(const vox_kernel_job *job, const place *at, int64_t kw,
                     int64_t channel_weights, const int block, const int across, const int down,
                     const int kw_constant, const edges *e, const bool few, const bool woven,
                     vec acc[MAX_BLOCK][MAX_VECTORS]) {
    const int64_t *const column = job->column_offset, row_step = job->in_row_step;
    int64_t in = at->in, weights = 0;
    for (int64_t c = job->plan->shape.in_channels; c > 0; c--) {
        for (const vox_row_tap *t = at->taps; t < at->taps_end; t++) {
            const float *row = one_address(t->row + in);
            const float *weight = one_address(t->weight + weights);
            if (kw_constant)
                tap_row(job, row, weight, kw_constant, block, across, down, e, few, woven, acc);
            else if (kw == 1)
                tap_row(job, row, weight, 1, block, across, down, NULL, false, false, acc);
            else if (kw == 5)
                tap_row(job, row, weight, 5, block, across, down, NULL, false, false, acc);
            else
                for (int64_t w = 0; w < kw; w++, weight += block)
                    tap(row + column[w], row_step, weight, block, across, down, NULL, false, 0,
                        acc);
        }
        in += job->in_channel_stride;
        weights += channel_weights;
    }
}

/* Woven rows come apart again: of two vectors the first halves are one row's, the second halves the
 * other's. across is a constant. */
INLINE void store_woven(const vox_kernel_job *job, float *out, const int across, bool bypass,
                        const vec acc[MAX_VECTORS]) {
    float *const twin = out + job->twin_stride;
    UNROLL for (int n = 0; n < across; n += 2) {
        const vec a = result(job, acc[n]), b = n + 1 < across ? result(job, acc[n + 1]) : a;
        const int column = n * VEC_WIDTH / 2;
        if (n + 1 < across) {
            put(out + column, vec_low_halves(a, b), bypass);
            put(twin + column, vec_high_halves(a, b), bypass);
        } else {
            vec_store_part(out + column, a, VEC_WIDTH / 2);
            vec_store_part(twin + column, vec_high_halves(a, a), VEC_WIDTH / 2);
        }
    }
}

/* block, across, down, kw_constant (0: as the job says), bare and woven (3, true) are constants of
 * each call. */
INLINE void tile(const vox_kernel_job *job, const place *at, const int block, const int across,
                 const int down, const int kw_constant, const bool bare, const bool woven) {
    if (block * across * down > VEC_ACCUMULATORS)
        return; /* an instance that this instruction set never asks for: compiles to nothing */
    vec acc[MAX_BLOCK][MAX_VECTORS];
    UNROLL for (int m = 0; m < block; m++) {
        vec bias = vec_broadcast(job->bias[m]);
        UNROLL for (int n = 0; n < across * down; n++) acc[m][n] = bias;
    }
    const edges ends = bare ? *at->edges : (edges){0};
    const edges *const e = bare ? &ends : NULL;
    const int64_t kw = kw_constant ? kw_constant : job->plan->shape.kernel_size[2];
    const int64_t channel_weights =
        job->plan->shape.kernel_size[0] * job->plan->shape.kernel_size[1] * kw * block;
    if (woven)
        all_taps(job, at, kw, channel_weights, block, across, down, kw_constant, e, false, true,
                 acc);
    else if (kw_constant != 3 && kw == 1 && at->taps_end - at->taps == 1)
        one_tap(job, at->taps->row + at->in + job->column_offset[0], at->taps->weight,
                channel_weights, block, across, down, e, acc);
    else if (bare && ends.few)
        all_taps(job, at, kw, channel_weights, block, across, down, kw_constant, e, true, false,
                 acc);
    else
        all_taps(job, at, kw, channel_weights, block, across, down, kw_constant, e, false, false,
                 acc);
    const int64_t channel_stride = job->out_channel_stride, row_stride = job->out_row_stride;
    float *channel = at->out; /* not read again behind each store, which might have changed them */
    const int last = at->last;
    const bool bypass = at->bypass;
    UNROLL for (int m = 0; m < block; m++, channel += channel_stride) {
        if (woven) {
            store_woven(job, channel, across, bypass, acc[m]);
            continue;
        }
        UNROLL for (int n = 0; n < across * down; n++) {
            float *out = channel + n / across * row_stride + n % across * VEC_WIDTH;
            const vec sum = result(job, acc[m][n]);
            if (n % across == across - 1 && last < VEC_WIDTH)
                vec_store_part(out, sum, last);
            else
                put(out, sum, bypass);
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

enum {
    MAX_SHARED_ROWS = 6,
    SHARED_ROWS = VEC_ACCUMULATORS < 24 ? 4 : MAX_SHARED_ROWS,
    SHARED_VECTORS = VEC_ACCUMULATORS / SHARED_ROWS,
};

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
                       vec acc[SHARED_ROWS][MAX_VECTORS]) {
    const int64_t kw = job->plan->shape.kernel_size[2];
    weight = one_address(weight);
    for (int64_t w = 0; w < kw; w++)
        shared_tap(row + job->column_offset[w], weight + w, kw, low, high, rows, vectors, acc);
}

/* rows and vectors are constants of each call; acc has MAX_VECTORS columns. */
INLINE void store_rows(const vox_kernel_job *job, const place *at, const int rows,
                       const int vectors, vec acc[][MAX_VECTORS]) {
    const int64_t row_stride = job->out_row_stride;
    float *out = at->out;
    const int last = at->last; /* as in tile() */
    const bool bypass = at->bypass;
    UNROLL for (int r = 0; r < rows; r++, out += row_stride) {
        UNROLL for (int n = 0; n < vectors; n++) {
            const vec sum = result(job, acc[r][n]);
            if (n == vectors - 1 && last < VEC_WIDTH)
                vec_store_part(out + n * VEC_WIDTH, sum, last);
            else
                put(out + n * VEC_WIDTH, sum, bypass);
        }
    }
}

/* rows, vectors and kh_constant (0: as the job says) are constants of each call; at->kh and
 * at->kh_end bound q, and do not where kh is a constant. */
INLINE void shared(const vox_kernel_job *job, const place *at, const int rows, const int vectors,
                   const int kh_constant) {
    const vox_kernel_shape *s = &job->plan->shape;
    vec acc[SHARED_ROWS][MAX_VECTORS];
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int n = 0; n < vectors; n++) acc[r][n] = vec_broadcast(job->bias[0]);
    }
    const int kh = kh_constant ? kh_constant : (int)s->kernel_size[1];
    const int64_t kw = s->kernel_size[2], step = job->in_row_step;
    const float *weight = job->weight; /* of the plane */
    int64_t in = at->in;
    for (int64_t c = 0; c < s->in_channels; c++, in += job->in_channel_stride)
        for (int64_t d = 0; d < s->kernel_size[0]; d++, weight += kh * kw) {
            if (!job->planes[d])
                continue;
            const float *row = job->planes[d] + in + job->row_offset[0];
            if (kh_constant) {
                UNROLL for (int q = 0; q < rows + kh_constant - 1; q++, row += step)
                    shared_row(job, one_address(row), weight + q * kw,
                               q < kh_constant ? 0 : q - kh_constant + 1, q < rows ? q + 1 : rows,
                               rows, vectors, acc);
            } else {
                for (int q = at->kh; q < at->kh_end; q++)
                    shared_row(job, row + q * step, weight + q * kw, q - kh + 1, q + 1, rows,
                               vectors, acc);
            }
        }
    store_rows(job, at, rows, vectors, acc);
}

/* Kernels of 3 x 3, the commonest. Of 32 registers the nine weights of a plane take nine, which
 * leaves 21 for accumulators and two for inputs. Of 16 registers, 12 hold accumulators, three the
 * weights that a row meets at one tap along W, loaded once for all of its vectors, and one an
 * input. */

enum {
    HOLDS_WEIGHTS = VEC_ACCUMULATORS >= 16,
    HELD_ROWS = 8,
    HELD_ACCUMULATORS = HOLDS_WEIGHTS ? 21 : VEC_ACCUMULATORS,
};

static int64_t held_rows(int64_t vectors) {
    return vox_min(HELD_ACCUMULATORS / vectors, HELD_ROWS);
}

/* One plane. rows, vectors, bare and few are constants of each call. */
INLINE void held_plane(const vox_kernel_job *job, const place *at, const float *row,
                       const float *weight, const int rows, const int vectors, const edges *e,
                       const bool few, vec acc[HELD_ROWS][MAX_VECTORS]) {
    const int64_t *const column = job->column_offset, step = job->in_row_step;
    vec w[9];
    UNROLL for (int i = 0; HOLDS_WEIGHTS && i < 9; i++) w[i] = vec_broadcast(weight[i]);
    UNROLL for (int q = 0; q < rows + 2; q++, row += step) {
        if (e && (q < at->kh || q >= at->kh_end))
            continue;
        if (q >= 2)
            prefetch(row + rows * step, step, vectors, 1, false, 0); /* of the next band */
        UNROLL for (int k = 0; k < 3; k++) {
            const float *x = one_address(row + column[k]);
            if (!HOLDS_WEIGHTS) {
                weight = one_address(weight); /* or all nine would be kept, in memory */
                UNROLL for (int h = 0; h < 3; h++) w[h * 3 + k] = vec_broadcast(weight[h * 3 + k]);
            }
            UNROLL for (int n = 0; n < vectors; n++) {
                const vec input = load_between(x, e, few, k, n, vectors);
                UNROLL for (int h = 2; h >= 0; h--) { /* row q at tap 0, q-1 at 1, ... */
                    if (q - h >= 0 && q - h < rows)
                        acc[q - h][n] = vec_fmadd(input, w[h * 3 + k], acc[q - h][n]);
                }
            }
        }
    }
}

/* One plane whose bare rows have a column of padding at either end. Of the vectors under the three
 * taps two lie across lines; where no register is wanting they are made from the third, and so is
 * the padding. rows and vectors are constants of each call. */
INLINE void slid_plane(const vox_kernel_job *job, const place *at, const float *row,
                       const float *weight, const int rows, const int vectors,
                       vec acc[HELD_ROWS][MAX_VECTORS]) {
    static const float zeros[VEC_WIDTH] = {0};
    const int64_t step = job->in_row_step;
    const edges *const e = at->edges;
    vec w[9];
    UNROLL for (int i = 0; i < 9; i++) w[i] = vec_broadcast(weight[i]);
    UNROLL for (int q = 0; q < rows + 2; q++, row += step) {
        if (q < at->kh || q >= at->kh_end)
            continue;
        if (q >= 2)
            prefetch(row + rows * step, step, vectors, 1, false, 0); /* of the next band */
        const float *const x = one_address(row);
        vec left = vec_load(e->row_begins ? zeros : x - VEC_WIDTH), here = left, right;
        UNROLL for (int n = 0; n <= vectors; n++, left = here, here = right) {
            if (n == vectors) /* is whole: of several tiles in a row each has two vectors or more */
                right = vec_load(e->row_ends ? zeros : x + vectors * VEC_WIDTH);
            else if (n == vectors - 1) /* may be the last of the row, and not whole */
                right = vec_load_masked(x + n * VEC_WIDTH, &e->last[1]);
            else
                right = vec_load(x + n * VEC_WIDTH);
            if (n == 0)
                continue;
            const vec under[3] = {vec_last_and(left, here), here, vec_and_first(here, right)};
            UNROLL for (int k = 0; k < 3; k++) {
                UNROLL for (int h = 2; h >= 0; h--) { /* row q at tap 0, q-1 at 1, ... */
                    if (q - h >= 0 && q - h < rows)
                        acc[q - h][n - 1] = vec_fmadd(under[k], w[h * 3 + k], acc[q - h][n - 1]);
                }
            }
        }
    }
}

/* rows, vectors, bare and slid are constants of each call. */
INLINE void held(const vox_kernel_job *job, const place *at, const int rows, const int vectors,
                 const bool bare, const bool slid) {
    const vox_kernel_shape *s = &job->plan->shape;
    const edges ends = bare ? *at->edges : (edges){0};
    const edges *const e = bare ? &ends : NULL;
    vec acc[HELD_ROWS][MAX_VECTORS];
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int n = 0; n < vectors; n++) acc[r][n] = vec_broadcast(job->bias[0]);
    }
    const float *weight = job->weight;
    int64_t in = at->in;
    for (int64_t c = 0; c < s->in_channels; c++, in += job->in_channel_stride)
        for (int64_t d = 0; d < s->kernel_size[0]; d++, weight += 9) {
            if (!job->planes[d])
                continue;
            const float *row = job->planes[d] + in + job->row_offset[0];
            if (slid)
                slid_plane(job, at, row + job->column_offset[1], weight, rows, vectors, acc);
            else if (bare && ends.few)
                held_plane(job, at, row, weight, rows, vectors, e, true, acc);
            else
                held_plane(job, at, row, weight, rows, vectors, e, false, acc);
        }
    store_rows(job, at, rows, vectors, acc);
}

typedef void tile_function(const vox_kernel_job *job, const place *at);

#define TILE(b, a, d)                                                                              \
    static void tile_##b##_##a##x##d(const vox_kernel_job *job, const place *at) {                 \
        tile(job, at, b, a, d, 0, false, false);                                                   \
    }                                                                                              \
    static void tile3_##b##_##a##x##d(const vox_kernel_job *job, const place *at) {                \
        tile(job, at, b, a, d, 3, false, false);                                                   \
    }                                                                                              \
    static void bare1_##b##_##a##x##d(const vox_kernel_job *job, const place *at) {                \
        tile(job, at, b, a, d, 1, true, false);                                                    \
    }                                                                                              \
    static void bare3_##b##_##a##x##d(const vox_kernel_job *job, const place *at) {                \
        tile(job, at, b, a, d, 3, true, false);                                                    \
    }
#define WOVEN(b, a)                                                                                \
    static void woven_##b##_##a(const vox_kernel_job *job, const place *at) {                      \
        tile(job, at, b, a, 1, 3, false, true);                                                    \
    }                                                                                              \
    static void end_woven_##b##_##a(const vox_kernel_job *job, const place *at) {                  \
        tile(job, at, b, a, 1, 3, true, true);                                                     \
    }
#define TILES(b)                                                                                   \
    WOVEN(b, 1)                                                                                    \
    WOVEN(b, 2)                                                                                    \
    WOVEN(b, 3)                                                                                    \
    WOVEN(b, 4)                                                                                    \
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
/* Those that meet the end of a bare row: [a kernel of 3 columns, not of one]... */
static tile_function *const bare_tiles[2][MAX_BLOCK][MAX_VECTORS][MAX_VECTORS] = {TABLE(bare1_),
                                                                                  TABLE(bare3_)};

#define WOVEN_NAMES(t, b)                                                                          \
    { t##b##_1, t##b##_2, t##b##_3, t##b##_4 }
#define WOVEN_TABLE(t)                                                                             \
    {                                                                                              \
        WOVEN_NAMES(t, 1), WOVEN_NAMES(t, 2), WOVEN_NAMES(t, 3), WOVEN_NAMES(t, 4),                \
            WOVEN_NAMES(t, 5), WOVEN_NAMES(t, 6), WOVEN_NAMES(t, 7), WOVEN_NAMES(t, 8),            \
            WOVEN_NAMES(t, 9), WOVEN_NAMES(t, 10), WOVEN_NAMES(t, 11), WOVEN_NAMES(t, 12)          \
    }
/* [at the end of a row][block - 1][across - 1] */
static tile_function *const woven_tiles[2][MAX_BLOCK][MAX_VECTORS] = {WOVEN_TABLE(woven_),
                                                                      WOVEN_TABLE(end_woven_)};

/* Kernels of any size, of 5 and of 7 rows. */
#define SHARED(r, v)                                                                               \
    static void shared_##r##_##v(const vox_kernel_job *job, const place *at) {                     \
        if (r <= SHARED_ROWS && v <= SHARED_VECTORS)                                               \
            shared(job, at, r, v, 0);                                                              \
    }                                                                                              \
    static void shared5_##r##_##v(const vox_kernel_job *job, const place *at) {                    \
        if (r <= SHARED_ROWS && v <= SHARED_VECTORS)                                               \
            shared(job, at, r, v, 5);                                                              \
    }                                                                                              \
    static void shared7_##r##_##v(const vox_kernel_job *job, const place *at) {                    \
        if (r <= SHARED_ROWS && v <= SHARED_VECTORS)                                               \
            shared(job, at, r, v, 7);                                                              \
    }
#define SHAREDS(r) SHARED(r, 1) SHARED(r, 2) SHARED(r, 3) SHARED(r, 4)
#define SHARED_NAME(r, v)                                                                          \
    { shared_##r##_##v, shared5_##r##_##v, shared7_##r##_##v }
#define SHARED_NAMES(r)                                                                            \
    { SHARED_NAME(r, 1), SHARED_NAME(r, 2), SHARED_NAME(r, 3), SHARED_NAME(r, 4) }

SHAREDS(1)
SHAREDS(2)
SHAREDS(3)
SHAREDS(4)
SHAREDS(5)
SHAREDS(6)

/* [rows - 1][vectors - 1][kernel of any size, 5 rows, 7 rows] */
static tile_function *const shared_tiles[MAX_SHARED_ROWS][MAX_VECTORS][3] = {
    SHARED_NAMES(1), SHARED_NAMES(2), SHARED_NAMES(3),
    SHARED_NAMES(4), SHARED_NAMES(5), SHARED_NAMES(6)};

#define HELD(r, v)                                                                                 \
    static void held_##r##_##v(const vox_kernel_job *job, const place *at) {                       \
        if (r * v <= HELD_ACCUMULATORS)                                                            \
            held(job, at, r, v, false, false);                                                     \
    }                                                                                              \
    static void bare_held_##r##_##v(const vox_kernel_job *job, const place *at) {                  \
        if (r * v <= HELD_ACCUMULATORS)                                                            \
            held(job, at, r, v, true, false);                                                      \
    }                                                                                              \
    static void slid_##r##_##v(const vox_kernel_job *job, const place *at) {                       \
        if (HOLDS_WEIGHTS && r * v <= HELD_ACCUMULATORS)                                           \
            held(job, at, r, v, false, true);                                                      \
    }
#define HELDS(r) HELD(r, 1) HELD(r, 2) HELD(r, 3) HELD(r, 4)

HELDS(1)
HELDS(2)
HELDS(3)
HELDS(4)
HELDS(5)
HELDS(6)
HELDS(7)
HELDS(8)

#define HELD_NAME(t, r)                                                                            \
    { t##r##_1, t##r##_2, t##r##_3, t##r##_4 }
#define HELD_NAMES(t)                                                                              \
    {                                                                                              \
        HELD_NAME(t, 1), HELD_NAME(t, 2), HELD_NAME(t, 3), HELD_NAME(t, 4), HELD_NAME(t, 5),       \
            HELD_NAME(t, 6), HELD_NAME(t, 7), HELD_NAME(t, 8)                                      \
    }

/* [at the end of a bare row or plane][rows - 1][vectors - 1] */
static tile_function *const held_tiles[2][HELD_ROWS][MAX_VECTORS] = {HELD_NAMES(held_),
                                                                     HELD_NAMES(bare_held_)};
static tile_function *const slid_tiles[HELD_ROWS][MAX_VECTORS] = HELD_NAMES(slid_);

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
    for (int m = 0; m < job->plan->shape.block; m++)
        value[0][m] = job->bias[m];
    UNROLL for (int v = 0; v < vectors; v++) {
        acc[0][v] = vec_load(&value[0][v * VEC_WIDTH]);
        UNROLL for (int i = 1; i < columns; i++) acc[i][v] = acc[0][v];
    }
    const int64_t block = job->plan->shape.block,
                  kw = kw_constant ? kw_constant : job->plan->shape.kernel_size[2];
    const int64_t *const column = job->column_offset;
    const int64_t channel_weights =
        job->plan->shape.kernel_size[0] * job->plan->shape.kernel_size[1] * kw * block;
    int64_t in = at->in, weights = 0;
    for (int64_t c = 0; c < job->plan->shape.in_channels; c++) {
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
            vec_store(&value[i][v * VEC_WIDTH], result(job, acc[i][v]));
    }
    for (int m = 0; m < job->plan->shape.block; m++)
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

/* With a kernel of one voxel there is little to do until another channel is read, and from memory
 * short runs come slowly: 128->32 takes 1.3 times as long with two vectors of 16 floats as with
 * four. Narrower vectors multiply so much slower that nothing waits. */
enum { SHORT_RUN_COST = VEC_WIDTH < 16 ? 0 : 30 };

/* Time of a tap over a band of `down` rows of `vectors` vectors each, cut into `count` tiles of
 * nearly equal size; INT64_MAX where such tiles do not fit the registers. */
static int64_t band_cost(const vox_kernel_shape *s, int64_t down, int64_t vectors, int64_t count) {
    const int64_t block = s->block, small = vectors / count, large_count = vectors % count;
    const int64_t most = (small + (large_count > 0)) * down;
    if (most > MAX_VECTORS || most * block > VEC_ACCUMULATORS ||
        most * block + most + 1 > VEC_REGISTERS)
        return INT64_MAX;
    const bool short_runs = s->kernel_size[0] * s->kernel_size[1] * s->kernel_size[2] == 1 &&
                            2 * most <= vox_min(vectors, MAX_VECTORS);
    return (short_runs ? count * SHORT_RUN_COST : 0) +
           (count - large_count) * tap_cost(block, small * down) +
           large_count * tap_cost(block, (small + 1) * down) + count * (down - 1) * ROW_COST;
}

/* Into how many tiles a band is cut best; 0: it cannot be. */
static int64_t tile_count(const vox_kernel_shape *s, int64_t down, int64_t vectors, int64_t *cost) {
    int64_t best = 0;
    const int64_t fewest = vox_ceil_div(vectors * down, MAX_VECTORS);
    *cost = INT64_MAX;
    for (int64_t n = fewest; n <= vox_min(vectors, 4 * fewest); n++) {
        const int64_t c = band_cost(s, down, vectors, n);
        if (c < *cost) {
            *cost = c;
            best = n;
        }
    }
    return best;
}

/* The height of the bands that cover `rows` rows best. */
static int64_t band_height(const vox_kernel_shape *s, int64_t rows, int64_t vectors,
                           int64_t *cost) {
    int64_t best = 1;
    *cost = INT64_MAX;
    for (int64_t down = 1; down <= vox_min(rows, MAX_VECTORS); down++) {
        int64_t band, rest = 0;
        if (!tile_count(s, down, vectors, &band))
            continue;
        if (rows % down)
            tile_count(s, rows % down, vectors, &rest);
        if (rows / down * band + rest < *cost) {
            *cost = rows / down * band + rest;
            best = down;
        }
    }
    return best;
}

static int64_t vectors_in(int64_t floats) {
    return vox_ceil_div(floats, VEC_WIDTH);
}

/* Into how many deep tiles a row is cut. */
static int64_t deep_count(int64_t block, int64_t columns) {
    return vox_ceil_div(columns, vox_min(VEC_ACCUMULATORS / vectors_in(block), DEEP_COLUMNS));
}

/* Time of a tap of a deep tile, in the unit of tap_cost and measured likewise: multiply-adds and
 * weights that stream from the second-level cache, unless loads or the latency of a network of
 * multiply-adds take longer. */
static int64_t deep_tap_cost(int64_t columns, int64_t vectors) {
    return vox_max(5 * columns * vectors + 2 * vectors, vox_max(5 * (columns + vectors) + 10, 60));
}

/* Time of a tap over all rows in deep tiles. The outputs of a tile are turned from channels into
 * columns, once for all of its taps. */
static int64_t deep_cost(const vox_kernel_shape *s) {
    const int64_t vectors = vectors_in(s->block);
    if (vectors > DEEP_VECTORS)
        return INT64_MAX;
    const int64_t count = deep_count(s->block, s->columns),
                  row_taps = s->columns * s->kernel_size[2];
    const int64_t taps = s->in_channels * s->kernel_size[0] * s->kernel_size[1] * s->kernel_size[2];
    const int64_t small = s->columns / count, large_count = s->columns % count;
    int64_t cost = 12 * s->columns * s->block / taps;
    cost += (count - large_count) * deep_tap_cost(small, vectors);
    cost += large_count * deep_tap_cost(small + 1, vectors);
    return s->rows * cost * (row_taps - s->skip_first - s->skip_last) / row_taps;
}

/* Deep tiles skip the first tap of the first column and the last one of the last, and no more. */
static bool deep_reads_bare(const vox_kernel_shape *s) {
    const int64_t last =
        s->column_origin + s->columns - 1 + (s->kernel_size[2] - 1) * s->column_dilation;
    if (s->kernel_size[2] == 1)
        return s->column_origin == 0 && last < s->in_columns;
    return s->kernel_size[2] == 3 && s->column_dilation == 1 && s->column_origin >= -1 &&
           last <= s->in_columns;
}

/* Time of a tap over all rows in whichever tiles are faster; *deep: in deep ones. Where there are
 * none it is more than any, and small enough to be added up for 2^20 blocks. */
static int64_t shape_cost(const vox_kernel_shape *s, bool *deep) {
    const int64_t never = INT64_MAX >> 22;
    const int64_t in_lanes = s->bare && !deep_reads_bare(s) ? INT64_MAX : deep_cost(s);
    int64_t cost = INT64_MAX;
    if (s->block <= LARGEST_BLOCK)
        band_height(s, s->rows, vectors_in(s->columns), &cost);
    *deep = in_lanes < cost;
    return vox_min(vox_min(in_lanes, cost), never);
}

static int64_t block_count(int64_t out_channels, const vox_kernel_shape *shape) {
    const int64_t largest = vox_max(DEEP_VECTORS * VEC_WIDTH, LARGEST_BLOCK);
    const int64_t fewest = vox_ceil_div(out_channels, largest);
    const int64_t most = 3 * vox_ceil_div(out_channels, LARGEST_BLOCK);
    int64_t best = fewest, best_cost = INT64_MAX;
    for (int64_t n = fewest; n <= vox_min(out_channels, most); n++) {
        const int64_t large_count = out_channels % n;
        vox_kernel_shape s = *shape;
        bool deep;
        s.block = (int)(out_channels / n);
        int64_t cost = (n - large_count) * shape_cost(&s, &deep);
        if (large_count > 0) {
            s.block++;
            cost += large_count * shape_cost(&s, &deep);
        }
        if (cost < best_cost) {
            best_cost = cost;
            best = n;
        }
    }
    return best;
}

enum { PATH_TILES, PATH_WOVEN, PATH_SHARED, PATH_HELD, PATH_SLID, PATH_DEEP };

static bool shares(const vox_kernel_shape *s) {
    return s->block == 1 && s->shares_rows && s->kernel_size[1] > 1;
}

static bool holds(const vox_kernel_shape *s) {
    return shares(s) && s->kernel_size[1] == 3 && s->kernel_size[2] == 3;
}

static bool slides(const vox_kernel_shape *s) {
    return HOLDS_WEIGHTS && holds(s) && s->bare && s->column_origin == -1 &&
           s->column_dilation == 1 && s->in_columns == s->columns;
}

/* Only the first and the last vector of a row may meet columns that do not exist. */
static bool reads_bare(const vox_kernel_shape *s) {
    const int64_t kw = s->kernel_size[2],
                  last_tap = s->column_origin + (kw - 1) * s->column_dilation;
    if ((kw != 1 && kw != 3) || (shares(s) && !holds(s)))
        return false;
    if (s->block > LARGEST_BLOCK && !deep_reads_bare(s))
        return false;
    return s->column_origin >= -VEC_WIDTH &&
           (vectors_in(s->columns) - 1) * VEC_WIDTH + last_tap <= s->in_columns;
}

static bool weaves(const vox_kernel_shape *s) {
    return s->kernel_size[2] == 3 && s->block > 1 && s->block <= LARGEST_BLOCK &&
           2 * s->column_dilation == VEC_WIDTH && s->column_origin == -s->column_dilation &&
           s->columns == s->in_columns && s->columns % s->column_dilation == 0;
}

static vox_kernel_plan plan(const vox_kernel_shape *shape) {
    const int64_t vectors = vectors_in(shape->columns);
    vox_kernel_plan p = {.shape = *shape, .nan = vox_machine_nan()};
    int64_t cost;
    bool deep = false;
    if (shape->woven) {
        p.path = PATH_WOVEN;
        p.height = 1;
        p.across = tile_count(shape, 1, vectors, &cost);
        return p;
    }
    if (shares(shape)) {
        const bool three = holds(shape);
        p.path = slides(shape) ? PATH_SLID : three ? PATH_HELD : PATH_SHARED;
        p.across = p.across_lower = vox_ceil_div(vectors, three ? MAX_VECTORS : SHARED_VECTORS);
        const int64_t most = three ? held_rows(vox_ceil_div(vectors, p.across)) : SHARED_ROWS;
        p.height = vox_ceil_div(shape->rows, vox_ceil_div(shape->rows, most));
        return p;
    }
    shape_cost(shape, &deep);
    if (deep) { /* row by row, so that each skips its padding exactly */
        p.path = PATH_DEEP;
        p.height = 1;
        p.across = deep_count(shape->block, shape->columns);
        return p;
    }
    p.path = PATH_TILES;
    p.height = band_height(shape, shape->rows, vectors, &cost);
    p.across = tile_count(shape, p.height, vectors, &cost);
    if (shape->rows % p.height)
        p.across_lower = tile_count(shape, shape->rows % p.height, vectors, &cost);
    p.across_one = tile_count(shape, 1, vectors, &cost);
    return p;
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
    const vox_kernel_shape *s = &job->plan->shape;
    const int64_t row_weights = s->kernel_size[2] * s->block;
    vox_row_tap *t = job->row_taps;
    for (int64_t d = 0; d < s->kernel_size[0]; d++)
        for (int64_t h = at->kh; job->planes[d] && h < at->kh_end; h++)
            *t++ = (vox_row_tap){job->planes[d] + job->row_offset[h],
                                 job->weight + (d * s->kernel_size[1] + h) * row_weights};
    at->taps = job->row_taps;
    at->taps_end = t;
}

/* The taps for a band of `rows` output rows from `row` on. */
static void find_taps(const vox_kernel_job *job, int64_t row, int64_t rows, place *at) {
    const vox_kernel_shape *s = &job->plan->shape;
    const int64_t top = job->row_origin + row * job->row_stride;
    const int kh = at->kh, kh_end = at->kh_end;
    if (job->plan->path == PATH_HELD && !s->bare)
        return; /* a band that looks at every row is faster than one that asks */
    if (job->plan->path >= PATH_SHARED && job->plan->path <= PATH_SLID) {
        clip_taps(job, top, top, rows + s->kernel_size[1] - 1, job->row_stride, at);
        return;
    }
    clip_taps(job, top, top + (rows - 1) * job->row_stride, s->kernel_size[1], job->row_dilation,
              at);
    if (at->kh != kh || at->kh_end != kh_end)
        list_taps(job, at);
}

/* The rows of the band at row r. Where rows that do not exist may not be read, a band of several
 * rows meets them at none of its taps; rows that do, and what that leaves of a band, go alone. */
static int64_t band_rows(const vox_kernel_job *job, int64_t r) {
    const vox_kernel_plan *plan = job->plan;
    const vox_kernel_shape *s = &plan->shape;
    const int64_t rows = vox_min(plan->height, s->rows - r);
    if (plan->path != PATH_TILES || !s->bare)
        return rows;
    const int64_t top = job->row_origin + r * job->row_stride;
    const int64_t bottom =
        top + (rows - 1) * job->row_stride + (s->kernel_size[1] - 1) * job->row_dilation;
    const bool planned = rows == plan->height || rows == s->rows % plan->height;
    return planned && top >= 0 && bottom < job->row_count ? rows : 1;
}

static int64_t band_tiles(const vox_kernel_plan *plan, int64_t rows) {
    if (rows == plan->height || plan->path != PATH_TILES)
        return plan->across;
    return rows == 1 ? plan->across_one : plan->across_lower;
}

/* The tile of `rows` rows and `width` vectors, or columns where it is deep. at_end: it may meet the
 * end of a bare row or plane. */
static tile_function *choose(const vox_kernel_plan *plan, int64_t rows, int64_t width,
                             bool at_end) {
    const vox_kernel_shape *s = &plan->shape;
    const int64_t kh = s->kernel_size[1], kw = s->kernel_size[2];
    if (plan->path == PATH_WOVEN)
        return woven_tiles[at_end][s->block - 1][width - 1];
    if (plan->path == PATH_SHARED)
        return shared_tiles[rows - 1][width - 1][kh == 5 ? 1 : kh == 7 ? 2 : 0];
    if (plan->path == PATH_SLID)
        return slid_tiles[rows - 1][width - 1];
    if (plan->path == PATH_HELD)
        return held_tiles[at_end][rows - 1][width - 1];
    if (plan->path == PATH_DEEP)
        return deep_tiles[kw == 3][width - 1][vectors_in(s->block) - 1];
    return (at_end ? bare_tiles : tiles)[kw == 3][s->block - 1][width - 1][rows - 1];
}

/* The lanes of a vector at input column `first` that exist; *whole is left alone where all do. */
static vec_mask existing(const vox_kernel_shape *s, int64_t first, bool *whole) {
    const int64_t end = vox_max(vox_min(s->in_columns - first, VEC_WIDTH), 0);
    const int64_t from = vox_max(vox_min(-first, end), 0);
    *whole = *whole && from == 0 && end == VEC_WIDTH;
    return vec_lanes((int)from, (int)end);
}

/* Of a tile of `width` vectors at output column `column`. */
static void find_edges(const vox_kernel_shape *s, int64_t column, int64_t width, edges *e) {
    const int kw = (int)s->kernel_size[2];
    bool middle = true, ends = true; /* loads that have no mask where there are few, and others */
    for (int k = 0; k < kw; k++) {
        const int64_t first = s->column_origin + column + k * s->column_dilation;
        const bool both = width == 1; /* the one vector is the first and the last */
        e->first[k] = existing(s, first, k == 0 || (both && k == 2) ? &ends : &middle);
        e->last[k] = existing(s, first + (width - 1) * VEC_WIDTH,
                              k == 2 || (both && k == 0) ? &ends : &middle);
    }
    e->row_begins = column == 0;
    e->row_ends = column + width * VEC_WIDTH >= s->columns;
    e->few = middle && kw == 3;
    e->none = middle && ends;
}

/* The next lines of what jobs to come will read, into the second-level cache. */
static void ask_ahead(vox_kernel_ahead *a) {
    enum { LINE = 16, SECOND_LEVEL = 2 }; /* floats; __builtin_prefetch's locality */
    const float *x = a->x + a->channel * a->channel_stride;
    for (int64_t n = a->lines; n > 0 && a->channel < a->channels; n--) {
        __builtin_prefetch(x + a->column, 0, SECOND_LEVEL);
        a->column += LINE;
        if (a->column >= a->columns) {
            a->column = 0;
            a->channel++;
            x += a->channel_stride;
        }
    }
}

/* Whether vectors of output lie on their borders. */
static bool can_bypass(const vox_kernel_job *job) {
    return VEC_BYPASSES && job->bypass && (uintptr_t)job->out % sizeof(vec) == 0 &&
           job->out_channel_stride % VEC_WIDTH == 0 && job->out_row_stride % VEC_WIDTH == 0 &&
           job->twin_stride % VEC_WIDTH == 0;
}

/* Band by band, each cut across into tiles of nearly equal size. */
static void run(const vox_kernel_job *job) {
    const vox_kernel_plan *plan = job->plan;
    const vox_kernel_shape *s = &plan->shape;
    const int64_t unit = plan->path == PATH_DEEP ? 1 : VEC_WIDTH;
    const int64_t row_units = vox_ceil_div(s->columns, unit);
    /* Two woven vectors are one of each row. */
    const bool whole = !s->woven || row_units % (2 * plan->across) == 0;
    place at = {.kh_end = -1, .bypass = whole && can_bypass(job)};
    edges ends[3]; /* of the first, the last and any other of `known` tiles */
    int64_t known = 0;
    for (int64_t r = 0, rows; r < s->rows; r += rows) {
        rows = band_rows(job, r);
        const int64_t count = band_tiles(plan, rows);
        const int64_t width = row_units / count, wider = row_units % count;
        find_taps(job, r, rows, &at);
        const bool cut = plan->path == PATH_HELD && (at.kh > 0 || at.kh_end < rows + 2);
        at.in = job->in_offset + r * job->in_row_step;
        at.out = job->out + r * job->out_row_stride;
        at.last = VEC_WIDTH;
        at.skip_first = s->skip_first;
        at.skip_last = false;
        if (s->bare && plan->path != PATH_DEEP && known != count) {
            find_edges(s, 0, width + (wider > 0), &ends[0]);
            find_edges(s, (row_units - width) * unit, width, &ends[1]);
            for (int k = 0; k < 3; k++)
                ends[2].first[k] = ends[2].last[k] = vec_lanes(0, VEC_WIDTH);
            ends[2].row_begins = ends[2].row_ends = false;
            ends[2].few = ends[2].none = true;
            known = count;
        }
        for (int64_t t = 0; t < count; t++) {
            const int64_t w = width + (t < wider);
            if (t == count - 1) {
                at.last = (int)(s->columns - (row_units - 1) * unit);
                at.skip_last = s->skip_last;
            }
            at.edges = &ends[t == 0 ? 0 : t == count - 1 ? 1 : 2];
            choose(plan, rows, w,
                   s->bare && plan->path != PATH_DEEP && (cut || !at.edges->none))(job, &at);
            if (job->ahead)
                ask_ahead(job->ahead);
            at.in += w * unit;
            at.out += s->woven ? w * unit / 2 : w * unit;
            at.skip_first = false;
        }
    }
}

static void settle(void) {
    vec_bypass_end();
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

static void weave_rows(float *to, const float *a, const float *b, int64_t columns) {
    const float nan = vox_machine_nan();
    const vec one_nan = vec_broadcast(nan);
    int64_t i = 0;
    for (; i + VEC_WIDTH <= columns; i += VEC_WIDTH) {
        const vec x = vec_unless_nan(vec_load(a + i), one_nan);
        const vec y = vec_unless_nan(vec_load(b + i), one_nan);
        vec_store(to + 2 * i, vec_low_halves(x, y));
        vec_store(to + 2 * i + VEC_WIDTH, vec_high_halves(x, y));
    }
    if (i < columns) {
        copy_row(to + 2 * i, a + i, VEC_WIDTH / 2);
        copy_row(to + 2 * i + VEC_WIDTH / 2, b + i, VEC_WIDTH / 2);
    }
}

static void scale_row(float *to, const float *from, int64_t columns, float scale, float shift) {
    vec by = vec_broadcast(scale), plus = vec_broadcast(shift);
    int64_t i = 0;
    for (; i + VEC_WIDTH <= columns; i += VEC_WIDTH)
        vec_store(to + i, vec_fmadd(vec_load(from + i), by, plus));
    if (i < columns) {
        float rest[VEC_WIDTH] = {0};
        for (int64_t k = i; k < columns; k++)
            rest[k - i] = from[k];
        vec_store_part(to + i, vec_fmadd(vec_load(rest), by, plus), (int)(columns - i));
    }
}

extern const vox_elementwise JOIN(vox_elementwise_, VOX_ISA);
extern const vox_rows JOIN(vox_rows_, VOX_ISA);
extern const vox_kernel JOIN(vox_kernel_, VOX_ISA);
const vox_kernel JOIN(vox_kernel_, VOX_ISA) = {TEXT(VOX_ISA),
                                               block_count,
                                               reads_bare,
                                               weaves,
                                               plan,
                                               run,
                                               settle,
                                               copy_row,
                                               weave_rows,
                                               scale_row,
                                               &JOIN(vox_elementwise_, VOX_ISA),
                                               &JOIN(vox_rows_, VOX_ISA)};
