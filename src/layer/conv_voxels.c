/* conv_voxels.c - a kernel of one voxel over dense arrays: [out_channels, in_channels] times
 * [in_channels, voxels]. Planes and rows mean nothing here; the voxels are cut into pieces, whose
 * input a thread brings into its tray, and all blocks of output channels pass over that. */
#include "base/spread.h"
#include "layer/conv.h"

enum { PIECES_PER_THREAD = 6 };

typedef struct product {
    const conv_layer *layer;
    const conv_packed *packed;
    const float *x;
    float *y;
    int64_t x_stride, y_stride; /* from channel to channel */
    int64_t voxels, length;     /* of all, of a piece but the last */
    vox_kernel_plan plan[2][2]; /* [the last piece][a block of one channel more] */
    bool bypass;
    int64_t lines_ahead;
} product;

static void run_piece(void *user, int64_t piece, int thread) {
    static const int64_t zero = 0;
    const product *k = user;
    const vox_conv3d *c = &k->layer->conv;
    const conv_packed *p = k->packed;
    const conv_tray_shape *shape = &p->tray_shape;
    float *const tray = p->tray[thread].data;
    const int64_t from = piece * k->length, n = vox_min(k->length, k->voxels - from);
    for (int64_t i = 0; i < c->in_channels; i++)
        p->kernel->copy_row(tray + i * shape->channel_stride, k->x + i * k->x_stride + from, n);
    const float *plane = tray;
    vox_kernel_ahead next = {
        .x = k->x + from + n,
        .channels = c->in_channels,
        .columns = vox_min(k->length, k->voxels - from - n),
        .channel_stride = k->x_stride,
        .lines = k->lines_ahead,
    };
    for (int64_t b = 0; b < p->blocks; b++) {
        int64_t channel;
        vox_kernel_job job = vox_conv_job(k->layer, p, b, k->plan[n < k->length], thread, &channel);
        job.planes = &plane;
        job.in_channel_stride = shape->channel_stride;
        job.row_offset = job.column_offset = &zero;
        job.out = k->y + channel * k->y_stride + from;
        job.out_channel_stride = k->y_stride;
        job.bypass = k->bypass;
        job.ahead = next.columns > 0 ? &next : NULL;
        p->kernel->run(&job);
    }
    if (k->bypass)
        p->kernel->settle();
}

/* Planes [first, first + count) are a run of memory in each channel. */
static bool dense(const vox_planes *p, int64_t first, int64_t count) {
    return !p->slot && p->row_stride == p->columns && p->slot_stride == p->rows * p->columns &&
           first % p->slots + count <= p->slots;
}

bool vox_conv_voxels(const conv_layer *layer, const conv_packed *p, const vox_window *w) {
    const int64_t group_out = layer->conv.out_channels;
    const vox_axis *a = w->axis;
    if (!w->bare || p->tray_shape.length == 0 || p->tray_shape.row_stride > 0)
        return false;
    for (int i = 0; i < 3; i++)
        if (a[i].before != 0 || a[i].in != a[i].out)
            return false;
    if (!dense(w->from, w->first, w->count) || !dense(w->to, w->first, w->count))
        return false;
    product k = {.layer = layer,
                 .packed = p,
                 .x = w->planes[0],
                 .y = vox_plane_row(w->to, 0, w->first, 0),
                 .x_stride = w->channel_stride,
                 .y_stride = w->to->channel_stride,
                 .voxels = w->count * a[1].in * a[2].in,
                 .length = p->tray_shape.length,
                 .bypass = w->bypass};
    const int64_t even = vox_ceil_div(k.voxels, PIECES_PER_THREAD * w->threads);
    k.length = vox_min(k.length, vox_round_up(even, VOX_ALIGN / (int64_t)sizeof(float)));
    const int64_t last = (k.voxels - 1) % k.length + 1;
    for (int i = 0; i < 2; i++)
        for (int more = 0; more <= (group_out % p->blocks ? 1 : 0); more++) {
            vox_kernel_shape s =
                vox_conv_kernel_shape(layer, a, group_out / p->blocks + more, 1, 1, false);
            s.columns = i == 0 ? k.length : last;
            s.skip_first = s.skip_last = false;
            k.plan[i][more] = p->kernel->plan(&s);
        }
    /* All lines of a piece over all tiles of a piece; its rows are one. */
    const int64_t line = VOX_ALIGN / (int64_t)sizeof(float);
    k.lines_ahead = vox_ceil_div(layer->conv.in_channels * vox_ceil_div(k.length, line),
                                 p->blocks * k.plan[0][0].across);
    vox_spread(w->threads, vox_ceil_div(k.voxels, k.length), run_piece, &k);
    return true;
}
