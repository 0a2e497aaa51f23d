/* kernel.h - the convolution kernel as the layers see it: one job, one function, several instruction sets.
 *
 * A job is a run of output rows of one output plane for one block of output channels. The input is padded
 * already, so the kernel only ever computes "valid". What stride, dilation and phase splitting mean is
 * folded into offsets by the caller; the kernel adds offsets and multiplies.
 *
 * The arithmetic of every variant is the same, to the bit: an output starts at its bias and takes one fused
 * multiply-add per tap in the order in_channel, kd, kh, kw.
 */
#ifndef VOX_KERNEL_H
#define VOX_KERNEL_H

#include "base/base.h"

enum {
    VOX_KERNEL_MAX_BLOCK = 8,  /* output channels of a block, over all variants */
    VOX_KERNEL_MAX_VECTOR = 16, /* floats of a vector, over all variants */
};

typedef struct vox_kernel_job {
    const float *const *planes;   /* [kD] the padded plane under each kd, row 0 and column 0 of the padded
                                     channel 0; NULL: a plane of zero padding, which is skipped */
    int64_t in_offset;            /* added to every plane: first channel of the group, first row */
    int64_t in_channel_stride;    /* floats */
    int64_t in_row_step;          /* floats between the inputs of successive output rows */
    const int64_t *row_offset;    /* [kH] floats from the row's input to that of tap kh */
    const int64_t *column_offset; /* [kW] floats to that of tap kw */
    int64_t in_channels;          /* of the group */
    int64_t kernel_size[3];
    int block;           /* output channels, 1 to max_block */
    const float *weight; /* [in_channels][kD][kH][kW][block] */
    const float *bias;   /* [block] */
    float *out;          /* the block's first channel, first row */
    int64_t out_channel_stride, out_row_stride;
    int64_t rows, columns; /* of output; the kernel may read up to VOX_KERNEL_MAX_VECTOR - 1 floats past
                              the input of the last column, and writes exactly `columns` */
} vox_kernel_job;

typedef struct vox_kernel {
    const char *name;
    int max_block;
    void (*run)(const vox_kernel_job *job);
    /* row[i] = row[i]*scale + shift, rounded once, for `columns` values. */
    void (*scale_row)(float *row, int64_t columns, float scale, float shift);
} vox_kernel;

/* The variant in use. NULL with VOX_ERR_UNSUPPORTED or VOX_ERR_USAGE where VOXCONV_ISA names one that the
 * machine lacks or nobody knows. */
const vox_kernel *vox_kernel_active(vox_error *err);

#endif
