/* kernel.h - the convolution kernel as the layers see it: one job, one function, several
 * instruction sets.
 *
 * A job is a run of output rows of one output plane for one block of output channels. The input is
 * padded already, so the kernel only ever computes "valid". What stride, dilation and phase
 * splitting mean is folded into offsets by the caller; the kernel adds offsets and multiplies.
 *
 * The arithmetic of every variant is the same, to the bit: an output starts at its bias and takes
 * one fused multiply-add per tap in the order in_channel, kd, kh, kw.
 */
#ifndef VOX_KERNEL_H
#define VOX_KERNEL_H

#include "base/base.h"
#include "kernel/elementwise.h"
#include "kernel/rows.h"

enum {
    VOX_KERNEL_MAX_VECTOR = 16, /* floats of a vector, over all variants */
};

/* One row of taps, (kd, kh): where its input row and its weights begin. */
typedef struct vox_row_tap {
    const float *row, *weight;
} vox_row_tap;

/* The extents of a job. */
typedef struct vox_kernel_shape {
    int block;           /* output channels, as vox_kernel.block_count cuts them */
    int64_t in_channels; /* of the group */
    int64_t kernel_size[3];
    int64_t rows, columns;      /* of output */
    bool skip_first, skip_last; /* the first tap along W of the first column, the last one of the
                                   last column meet zero padding, and need not be looked at */
    bool shares_rows; /* the stride along H equals the dilation: output rows one below the other
                         meet the same input rows */
    /* The input has no padding: rows of in_columns floats lie in somebody's memory, and nothing
     * beside, above and below them may be read. It counts as zeros, and NaN of any bits among the
     * input become the machine's in the output. */
    bool bare;
    int64_t in_columns;
    int64_t column_origin, column_dilation; /* output column c meets column_origin + c +
                                               k*column_dilation at tap k, where it exists */
    /* Two rows are woven into one: the first half of each vector is of the one, the second half the
     * same columns of the other. Columns count twice then, in all of the above. */
    bool woven;
} vox_kernel_shape;

/* How jobs of one shape are cut into tiles. */
typedef struct vox_kernel_plan {
    vox_kernel_shape shape;
    int path;             /* the kernel's own number for the kind of tile */
    int64_t height;       /* rows of a band of tiles */
    int64_t across;       /* tiles side by side in a band */
    int64_t across_lower; /* in the last band, where it has fewer rows */
    int64_t across_one;   /* in a band of one row */
    float nan;            /* vox_machine_nan() */
} vox_kernel_plan;

/* Input of jobs to come: with each tile some lines more of it are asked for, so that they come from
 * memory while others are computed with. */
typedef struct vox_kernel_ahead {
    const float *x; /* channel 0 */
    int64_t channels, columns, channel_stride;
    int64_t lines;           /* of 64 bytes, for each tile */
    int64_t channel, column; /* the first that has not been asked for */
} vox_kernel_ahead;

typedef struct vox_kernel_job {
    const vox_kernel_plan *plan;
    /* [kD] the padded plane under each kd, row 0 and column 0 of the padded channel 0; NULL: a
     * plane of zero padding, which is skipped. Behind the input of the last column the kernel may
     * read up to VOX_KERNEL_MAX_VECTOR - 1 floats. Where the shape is bare, the plane as it is; the
     * offsets of taps may then be negative, row_count is not 0, and nothing else is read. */
    const float *const *planes;
    int64_t in_offset;            /* added to every plane: first channel of the group, first row */
    int64_t in_channel_stride;    /* floats */
    int64_t in_row_step;          /* floats between the inputs of successive output rows */
    const int64_t *row_offset;    /* [kH] floats from the row's input to that of tap kh */
    const int64_t *column_offset; /* [kW] floats to that of tap kw */
    /* Rows of zero padding that need not be looked at: output row r meets a row of the input at tap
     * kh where 0 <= row_origin + r*row_stride + kh*row_dilation < row_count. row_count 0: look at
     * all. */
    int64_t row_origin, row_stride, row_dilation, row_count;
    const float *weight; /* [in_channels][kD][kH][kW][block]; the kernel may read up to
                            VOX_KERNEL_MAX_VECTOR - 1 floats past the last */
    const float *bias;   /* [block] */
    float *out; /* the block's first channel, first row; exactly `columns` of a row are written, of
                   woven ones half as many of each */
    int64_t out_channel_stride, out_row_stride;
    int64_t twin_stride;     /* woven: from the output of the first row to that of the second */
    bool bypass;             /* the output may go to memory past the caches: settle() behind it */
    vox_kernel_ahead *ahead; /* or NULL; moves on */
    vox_row_tap *row_taps;   /* [kD*kH], for the kernel to write on */
} vox_kernel_job;

typedef struct vox_kernel {
    const char *name;
    /* Into how many blocks of nearly equal size the output channels of a group are cut best, for
     * jobs of this shape (whose block is not looked at). Block b of n covers channels
     * [out_channels*b/n, out_channels*(b+1)/n). */
    int64_t (*block_count)(int64_t out_channels, const vox_kernel_shape *shape);
    /* Whether jobs of this shape can be bare, however many rows they have. */
    bool (*reads_bare)(const vox_kernel_shape *shape);
    /* Whether rows of such jobs, two and two, can be woven: where a dilation is half a vector, half
     * of the first and of the last vector of a row meet padding at a tap; of woven rows whole
     * vectors do, and are skipped. The shape is that of rows as they are. */
    bool (*weaves)(const vox_kernel_shape *shape);
    vox_kernel_plan (*plan)(const vox_kernel_shape *shape);
    void (*run)(const vox_kernel_job *job);
    /* What the thread's jobs have put past the caches, other threads see from here on. */
    void (*settle)(void);
    /* to[i] = from[i], every NaN vox_machine_nan(), for `columns` values. */
    void (*copy_row)(float *to, const float *from, int64_t columns);
    /* Weaves two rows, of which `columns` are a whole number of half vectors, as copy_row. */
    void (*weave_rows)(float *to, const float *a, const float *b, int64_t columns);
    /* to[i] = from[i]*scale + shift, rounded once, for `columns` values; `to` may be `from`. */
    void (*scale_row)(float *to, const float *from, int64_t columns, float scale, float shift);
    const vox_elementwise *elementwise;
    const vox_rows *rows;
} vox_kernel;

/* The variant in use. NULL with VOX_ERR_UNSUPPORTED or VOX_ERR_USAGE where VOXCONV_ISA names one
 * that the machine lacks or nobody knows. */
const vox_kernel *vox_kernel_active(vox_error *err);

#endif
