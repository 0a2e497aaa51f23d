/* conv.h - a convolution as its files see it: conv3d.c, what the layer is; conv_pack.c, what a run
 * has besides the planes; conv_run.c, how planes are cut into jobs for the kernel; conv_tray.c and
 * conv_voxels.c, for layers whose input should be brought together first.
 */
#ifndef VOX_CONV_H
#define VOX_CONV_H

#include "kernel/kernel.h"
#include "layer/layer.h"

typedef struct conv_layer {
    vox_layer base;
    vox_conv3d conv;
    float *weight; /* [out_channels, in_channels/groups, kD, kH, kW] */
    float *bias;   /* [out_channels] */
} conv_layer;

/* Multiply-adds of one output value. */
int64_t vox_conv_taps(const vox_conv3d *c);
/* Zero padding meets finite weights and need not be looked at. */
bool vox_conv_skips_padding(const conv_layer *layer, const vox_axis axis[3]);
/* Outputs this far apart along an axis meet the same inputs at successive taps: what a dilated
 * layer computes there is as many layers without dilation, whose voxels alternate. */
int64_t vox_conv_phases(const vox_axis *a);
/* What the kernel is to compute for `block` channels and `rows` rows, `apart` rows apart, of an
 * output plane. */
vox_kernel_shape vox_conv_kernel_shape(const conv_layer *layer, const vox_axis axis[3],
                                       int64_t block, int64_t rows, int64_t apart, bool bare);
/* The same of rows that are woven with those of the next phase. */
vox_kernel_shape vox_conv_woven(vox_kernel_shape rows);
/* The class's functions. */
bool vox_conv_reads_bare(const vox_layer *l, const vox_axis axis[3]);
vox_status vox_conv_prepare(const vox_layer *l, const vox_axis axis[3], int threads,
                            void **prepared, vox_error *err);
int64_t vox_conv_bytes(const vox_layer *l, const vox_axis axis[3], int threads);
void vox_conv_window(const vox_layer *l, void *prepared, const vox_window *w);

/* ---- Trays ----
 *
 * All blocks of output channels pass over the same piece of input. Where the rows of that piece lie
 * far apart in memory, each on a page of its own and many on the same sets of the caches, every
 * pass has to bring them again. There a thread copies them into a tray, side by side, and all
 * passes read that. */

enum {
    CONV_TRAY_PLANES = 7,
    CONV_NEAR_FLOATS = 512 << 10, /* planes under all taps of an output plane that stay in a
                                     second-level cache, and can be read where they lie */
};

/* How a layer's trays are laid out, in floats. */
typedef struct conv_tray_shape {
    int64_t length; /* of output that a tray has the input of: rows, or voxels (conv_voxels.c);
                       0: the layer has no trays */
    int64_t row_stride, channel_stride, plane_stride; /* row_stride 0: voxels */
    int64_t floats;                                   /* of a tray */
    int twins; /* rows of output that are computed as one: 2 where those of two phases are woven
                  (kernel.h), else 1 */
} conv_tray_shape;

/* A thread's. */
typedef struct conv_tray {
    float *data;
    int64_t piece;                         /* of whose planes there are rows; -1: of none */
    const float *held[CONV_TRAY_PLANES];   /* planes of the window that it has rows of, or NULL */
    const float *planes[CONV_TRAY_PLANES]; /* [kD] for the kernel: under each tap */
    char apart[VOX_ALIGN];
} conv_tray;

conv_tray_shape vox_conv_tray_shape(const conv_layer *layer, const vox_axis axis[3]);

/* ---- Packed ---- */

/* Whether the kernel can do something with jobs of this shape, for all blocks of output channels,
 * whatever the planes turn out to be. */
bool vox_conv_all_blocks(const conv_layer *layer, const vox_axis axis[3], const vox_kernel *kernel,
                         vox_kernel_shape shape, bool (*can)(const vox_kernel_shape *shape));

/* What a run has besides the planes; one block, with all that it points at. */
typedef struct conv_packed {
    const vox_kernel *kernel;
    int64_t blocks; /* a group */
    float *weight; /* [out_channel block][in_channels/groups][kD][kH][kW][channel of the block], and
                      zeros for the kernel to read past the last */
    vox_row_tap *row_taps; /* [threads][kD*kH, rounded up] */
    conv_tray_shape tray_shape;
    conv_tray *tray;                     /* [threads] */
    int64_t *row_offset, *column_offset; /* [kH], [kW] of the taps in a tray */
} conv_packed;

/* Channels of a group's block b: from its first one on. */
static inline int64_t vox_conv_block_start(int64_t out_channels, int64_t blocks, int64_t b) {
    return out_channels * b / blocks;
}
/* Those of a thread. */
vox_row_tap *vox_conv_row_taps(const conv_packed *p, const vox_conv3d *c, int thread);

/* ---- Running ---- */

/* A job for block `block` of all groups, with all that follows from that: its weights and biases,
 * the plan for its size out of two (plan[1]: a channel more), and its first channel, *channel. */
vox_kernel_job vox_conv_job(const conv_layer *layer, const conv_packed *p, int64_t block,
                            const vox_kernel_plan plan[2], int thread, int64_t *channel);

/* A kernel of one voxel over arrays in memory is a product of matrices, and can forget about planes
 * and rows. False: not this one, and nothing has been done. */
bool vox_conv_voxels(const conv_layer *layer, const conv_packed *p, const vox_window *w);

#endif
