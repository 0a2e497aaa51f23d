/* conv_pack.c - what a convolution has besides the planes: weights in the kernel's order, trays,
 * and tables; one block of memory, whose size the plan knows. */
#include "base/spread.h"
#include "layer/conv.h"

#include <string.h>

int64_t vox_conv_taps(const vox_conv3d *c) {
    return c->in_channels / c->groups * c->kernel_size[0] * c->kernel_size[1] * c->kernel_size[2];
}

static int64_t weight_floats(const vox_conv3d *c) {
    return c->out_channels * vox_conv_taps(c);
}

/* Each thread's list is on cache lines of its own (and their neighbours, which are fetched with
 * them): threads write them all the time. */
static int64_t row_tap_stride(const vox_conv3d *c) {
    const int64_t apart = 2 * VOX_ALIGN / (int64_t)sizeof(vox_row_tap);
    return vox_round_up(c->kernel_size[0] * c->kernel_size[1], apart) + apart;
}

vox_row_tap *vox_conv_row_taps(const conv_packed *p, const vox_conv3d *c, int thread) {
    return p->row_taps + thread * row_tap_stride(c);
}

/* ---- One block of memory ---- */

/* The parts of it in turn: `bytes` of the next one. base NULL: they are only added up. */
typedef struct carver {
    char *base;
    int64_t used;
} carver;

static void *carve(carver *c, int64_t bytes) {
    void *p = c->base ? c->base + c->used : NULL;
    c->used += vox_round_up(bytes, VOX_ALIGN);
    return p;
}

/* Lets everything but the numbers of p point into its memory; returns its bytes. */
static int64_t lay_out(conv_packed *p, char *base, const vox_conv3d *c, const conv_tray_shape *tray,
                       int threads) {
    const int64_t *k = c->kernel_size, slack = VOX_KERNEL_MAX_VECTOR;
    const int tray_count = tray->length > 0 ? threads : 0;
    carver memory = {base, 0};
    carve(&memory, sizeof *p);
    p->row_taps = carve(&memory, threads * row_tap_stride(c) * (int64_t)sizeof(vox_row_tap));
    p->row_offset = carve(&memory, k[1] * (int64_t)sizeof(int64_t));
    p->column_offset = carve(&memory, k[2] * (int64_t)sizeof(int64_t));
    p->weight = carve(&memory, (weight_floats(c) + slack) * (int64_t)sizeof(float));
    p->tray = carve(&memory, tray_count * (int64_t)sizeof(conv_tray));
    for (int t = 0; t < tray_count; t++) {
        float *data = carve(&memory, tray->floats * (int64_t)sizeof(float));
        if (base)
            p->tray[t].data = data;
    }
    return memory.used;
}

int64_t vox_conv_bytes(const vox_layer *l, const vox_axis axis[3], int threads) {
    const conv_layer *layer = (const conv_layer *)l;
    const vox_conv3d *c = &layer->conv;
    const conv_tray_shape tray = vox_conv_tray_shape(layer, axis);
    conv_packed p;
    return weight_floats(c) * (int64_t)sizeof(float) + lay_out(&p, NULL, c, &tray, threads);
}

/* ---- Packing ---- */

typedef struct packing {
    const conv_layer *layer;
    conv_packed *to;
} packing;

static void pack_block(void *user, int64_t block, int thread) {
    const packing *k = user;
    const vox_conv3d *c = &k->layer->conv;
    const int64_t taps = vox_conv_taps(c), group_out = c->out_channels / c->groups;
    const int64_t group = block / k->to->blocks * group_out, b = block % k->to->blocks;
    const int64_t from = group + vox_conv_block_start(group_out, k->to->blocks, b);
    const int64_t end = group + vox_conv_block_start(group_out, k->to->blocks, b + 1);
    float *to = k->to->weight + from * taps;
    (void)thread;
    for (int64_t t = 0; t < taps; t++)
        for (int64_t o = from; o < end; o++)
            *to++ = k->layer->weight[o * taps + t];
}

/* A group's output channels are cut into as many, whatever the planes turn out to be. */
static int64_t group_blocks(const conv_layer *layer, const vox_axis axis[3],
                            const vox_kernel *kernel) {
    const vox_kernel_shape plane = vox_conv_kernel_shape(layer, axis, 0, axis[1].out, 1, false);
    return kernel->block_count(layer->conv.out_channels / layer->conv.groups, &plane);
}

bool vox_conv_all_blocks(const conv_layer *layer, const vox_axis axis[3], const vox_kernel *kernel,
                         vox_kernel_shape shape, bool (*can)(const vox_kernel_shape *shape)) {
    const int64_t group_out = layer->conv.out_channels / layer->conv.groups;
    const int64_t blocks = group_blocks(layer, axis, kernel);
    shape.block = (int)(group_out / blocks);
    const bool small = can(&shape);
    shape.block = (int)vox_ceil_div(group_out, blocks);
    return small && can(&shape);
}

vox_status vox_conv_prepare(const vox_layer *l, const vox_axis axis[3], int threads,
                            void **prepared, vox_error *err) {
    const conv_layer *layer = (const conv_layer *)l;
    const vox_conv3d *c = &layer->conv;
    const conv_tray_shape tray = vox_conv_tray_shape(layer, axis);
    vox_error local = {0};
    const vox_kernel *kernel = vox_kernel_active(&local);
    if (!kernel)
        return vox_fail(err, local.status, "%s", local.message);
    conv_packed sizes;
    /* Not cleared: a thread is the first to write to its tray, and has it in its own cache. */
    conv_packed *p =
        vox_alloc_uncleared(lay_out(&sizes, NULL, c, &tray, threads), 1, "packed weights", err);
    if (!p)
        return VOX_ERR_RESOURCE;
    lay_out(p, (char *)p, c, &tray, threads);
    p->kernel = kernel;
    p->blocks = group_blocks(layer, axis, kernel);
    p->tray_shape = tray;
    for (int64_t k = 0; k < c->kernel_size[1]; k++)
        p->row_offset[k] = k * tray.row_stride;
    for (int64_t k = 0; k < c->kernel_size[2]; k++)
        p->column_offset[k] = tray.twins == 2 ? 2 * (k - 1) * c->dilation[2] : k * c->dilation[2];
    memset(p->weight + weight_floats(c), 0, VOX_KERNEL_MAX_VECTOR * sizeof(float));
    packing work = {layer, p};
    vox_spread(threads, c->groups * p->blocks, pack_block, &work);
    *prepared = p;
    return VOX_OK;
}

/* Rows of zero padding can be skipped, columns of it are counted as zeros; inputs that lie side by
 * side are wanted at every tap. */
bool vox_conv_reads_bare(const vox_layer *l, const vox_axis axis[3]) {
    const conv_layer *layer = (const conv_layer *)l;
    const vox_kernel *kernel = vox_kernel_active(NULL);
    if (!kernel || !vox_conv_skips_padding(layer, axis) || axis[2].stride != 1 ||
        axis[2].before < 0)
        return false;
    const vox_kernel_shape s =
        vox_conv_kernel_shape(layer, axis, 0, axis[1].out, vox_conv_phases(&axis[1]), true);
    return vox_conv_all_blocks(layer, axis, kernel, s, kernel->reads_bare);
}
