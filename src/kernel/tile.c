/* tile.c - direct convolution in registers. Compiled once per instruction set (see Makefile), with
 * VOX_VEC_HEADER naming the vector vocabulary and VOX_ISA the suffix of the one symbol it exports.
 *
 * A tile is [block] output channels x [vectors] vectors along W. Its accumulators live in registers through
 * all input channels and taps, and each output is written once:
 *
 *                     vector 0   vector 1   vector 2      one tap (ic, kd, kh, kw):
 *        channel 0     acc 0,0    acc 0,1    acc 0,2        load `vectors` inputs once,
 *        channel 1     acc 1,0    acc 1,1    acc 1,2        broadcast `block` weights,
 *        ...                                                block*vectors fused multiply-adds
 *
 * A vocabulary says how many accumulators its register file holds (VEC_ACCUMULATORS); a block of b channels
 * then takes up to VEC_ACCUMULATORS/b vectors. The last vector of a row is stored in part.
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
#define UNROLL _Pragma("GCC unroll 8")
#endif
#define INLINE static inline __attribute__((always_inline))

enum { MAX_VECTORS = 8 };

/* One tile: `in` is the input under its first column and tap (0, 0) of any plane, relative to the plane;
 * `last` is how many columns of its last vector exist. block and vectors are constants of each call. */
INLINE void tile(const vox_kernel_job *job, int64_t in, float *out, int last, const int block,
                 const int vectors) {
    if (block > VEC_MAX_BLOCK || block * vectors > VEC_ACCUMULATORS)
        return; /* an instance that this instruction set never asks for: compiles to nothing */
    vec acc[VOX_KERNEL_MAX_BLOCK][MAX_VECTORS];
    UNROLL for (int m = 0; m < block; m++) {
        vec bias = vec_broadcast(job->bias[m]);
        UNROLL for (int n = 0; n < vectors; n++) acc[m][n] = bias;
    }
    const float *weight = job->weight;
    const int64_t kd = job->kernel_size[0], kh = job->kernel_size[1], kw = job->kernel_size[2];
    for (int64_t c = 0; c < job->in_channels; c++, in += job->in_channel_stride)
        for (int64_t d = 0; d < kd; d++) {
            if (!job->planes[d]) {
                weight += kh * kw * block;
                continue;
            }
            const float *plane = job->planes[d] + in;
            for (int64_t h = 0; h < kh; h++) {
                const float *row = plane + job->row_offset[h];
                for (int64_t w = 0; w < kw; w++, weight += block) {
                    const float *x = row + job->column_offset[w];
                    vec input[MAX_VECTORS];
                    UNROLL for (int n = 0; n < vectors; n++) input[n] = vec_load(x + n * VEC_WIDTH);
                    UNROLL for (int m = 0; m < block; m++) {
                        vec tap = vec_broadcast(weight[m]);
                        UNROLL for (int n = 0; n < vectors; n++) acc[m][n] =
                            vec_fmadd(input[n], tap, acc[m][n]);
                    }
                }
            }
        }
    UNROLL for (int m = 0; m < block; m++) {
        float *row = out + m * job->out_channel_stride;
        UNROLL for (int n = 0; n < vectors - 1; n++) vec_store(row + n * VEC_WIDTH, acc[m][n]);
        if (last == VEC_WIDTH)
            vec_store(row + (vectors - 1) * VEC_WIDTH, acc[m][vectors - 1]);
        else
            vec_store_part(row + (vectors - 1) * VEC_WIDTH, acc[m][vectors - 1], last);
    }
}

typedef void tile_function(const vox_kernel_job *job, int64_t in, float *out, int last);

#define TILE(b, v)                                                                                 \
    static void tile_##b##_##v(const vox_kernel_job *job, int64_t in, float *out, int last) {      \
        tile(job, in, out, last, b, v);                                                            \
    }
#define TILES(b) TILE(b, 1) TILE(b, 2) TILE(b, 3) TILE(b, 4) TILE(b, 5) TILE(b, 6) TILE(b, 7) TILE(b, 8)
#define NAMES(b)                                                                                   \
    {tile_##b##_1, tile_##b##_2, tile_##b##_3, tile_##b##_4,                                       \
     tile_##b##_5, tile_##b##_6, tile_##b##_7, tile_##b##_8}

TILES(1)
TILES(2)
TILES(3)
TILES(4)
TILES(5)
TILES(6)
TILES(7)
TILES(8)

/* [block - 1][vectors - 1] */
static tile_function *const tiles[VOX_KERNEL_MAX_BLOCK][MAX_VECTORS] = {
    NAMES(1), NAMES(2), NAMES(3), NAMES(4), NAMES(5), NAMES(6), NAMES(7), NAMES(8)};

/* Cuts each row into tiles of nearly equal numbers of vectors. */
static void run(const vox_kernel_job *job) {
    int64_t vectors = (job->columns + VEC_WIDTH - 1) / VEC_WIDTH;
    int64_t most = vox_min(VEC_ACCUMULATORS / job->block, MAX_VECTORS);
    int64_t tile_count = (vectors + most - 1) / most;
    for (int64_t r = 0; r < job->rows; r++) {
        int64_t in = job->in_offset + r * job->in_row_step;
        float *out = job->out + r * job->out_row_stride;
        for (int64_t t = 0; t < tile_count; t++) {
            int64_t first = vectors * t / tile_count, end = vectors * (t + 1) / tile_count;
            int64_t last = vox_min(job->columns - (end - 1) * VEC_WIDTH, VEC_WIDTH);
            tiles[job->block - 1][end - first - 1](job, in + first * VEC_WIDTH,
                                                   out + first * VEC_WIDTH, (int)last);
        }
    }
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
const vox_kernel JOIN(vox_kernel_, VOX_ISA) = {TEXT(VOX_ISA), VEC_MAX_BLOCK, run,
                                              scale_row};
