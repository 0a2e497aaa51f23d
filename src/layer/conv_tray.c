/* conv_tray.c - see conv.h: which layers have trays, and how those are laid out. */
#include "layer/conv.h"

/* A tray (512 KB) and what passes over it stay in a second-level cache of 1 MB. That of
 * conv_voxels.c is small (192 KB): it is filled again after so many multiply-adds as it has
 * channels, and what is asked for ahead should fit beside it. */
enum {
    TRAY_FLOATS = 128 << 10,
    VOXEL_TRAY_FLOATS = 48 << 10,
    FEWEST_ROWS = 4,
    VOXELS = 64, /* a tile of four vectors of AVX-512 */
    LINE = VOX_ALIGN / (int)sizeof(float)
};

/* Channels between the trays of two threads. Tiles ask for the channel behind the last, which would
 * be the other thread's, who writes it; and lines that go to and fro between cores take longer than
 * the rest. */
enum { BEYOND = 1 };

/* Such strides lead through all sets of a cache. */
static int64_t odd_lines(int64_t floats) {
    return (vox_ceil_div(floats, LINE) | 1) * LINE;
}

/* Floats of n extents; more than there can be where that is no number. */
static int64_t floats(const int64_t *extent, int n) {
    int64_t count;
    return vox_product(extent, n, &count) ? count : INT64_MAX;
}

static conv_tray_shape voxel_tray(const vox_conv3d *c, const vox_axis axis[3]) {
    conv_tray_shape t = {.twins = 1};
    const int64_t most = VOXEL_TRAY_FLOATS / c->in_channels;
    const int64_t length = vox_max(most / VOXELS, 1) * VOXELS;
    const int64_t input[] = {c->in_channels, axis[0].in, axis[1].in, axis[2].in};
    if (length * c->in_channels > TRAY_FLOATS || floats(input, 4) <= TRAY_FLOATS)
        return t;
    t.length = length;
    t.channel_stride = odd_lines(length);
    t.floats = (c->in_channels + BEYOND) * t.channel_stride;
    return t;
}

/* Rows of two phases that lie one below the other are woven where both always exist or do not. */
static bool weaves(const conv_layer *layer, const vox_axis axis[3]) {
    const vox_axis *h = &axis[1];
    const vox_kernel *kernel = vox_kernel_active(NULL);
    if (!kernel || !vox_conv_skips_padding(layer, axis) || vox_conv_phases(h) % 2 != 0 ||
        h->in % h->dilation != 0 || h->out % h->dilation != 0 || h->before % h->dilation != 0)
        return false;
    const vox_kernel_shape s = vox_conv_kernel_shape(layer, axis, 0, 1, h->dilation, false);
    return vox_conv_all_blocks(layer, axis, kernel, s, kernel->weaves);
}

static conv_tray_shape row_tray(const conv_layer *layer, const vox_axis axis[3]) {
    const vox_conv3d *c = &layer->conv;
    conv_tray_shape t = {.twins = weaves(layer, axis) ? 2 : 1};
    const vox_axis *h = &axis[1], *w = &axis[2];
    const int64_t row = w->out - 1 + vox_axis_span(w);
    const int64_t width = t.twins == 2 ? 2 * w->in : row; /* woven ones have no padding */
    const int64_t planes[] = {c->in_channels, axis[0].kernel, h->in, row};
    const int64_t fewest[] = {c->in_channels, axis[0].kernel, h->kernel - 1 + FEWEST_ROWS, width};
    /* Weaving is worth a copy by itself. */
    if (floats(planes, 4) <= CONV_NEAR_FLOATS / t.twins || floats(fewest, 4) > 2 * TRAY_FLOATS)
        return t;
    t.row_stride = odd_lines(width);
    const int64_t row_floats = c->in_channels * axis[0].kernel * t.row_stride;
    t.length = vox_min(vox_max(TRAY_FLOATS / row_floats - (h->kernel - 1), FEWEST_ROWS),
                       vox_ceil_div(h->out, vox_conv_phases(h)));
    t.channel_stride = odd_lines((t.length + h->kernel - 1) * t.row_stride);
    t.plane_stride = odd_lines(c->in_channels * t.channel_stride + LINE);
    t.floats = axis[0].kernel * t.plane_stride + BEYOND * t.channel_stride;
    return t;
}

conv_tray_shape vox_conv_tray_shape(const conv_layer *layer, const vox_axis axis[3]) {
    const conv_tray_shape none = {.twins = 1};
    const vox_conv3d *c = &layer->conv;
    if (c->groups > 1 || axis[1].stride > 1 || axis[2].stride > 1)
        return none;
    if (vox_conv_taps(c) == c->in_channels)
        return axis[0].stride > 1 ? none : voxel_tray(c, axis);
    if (vox_conv_phases(&axis[1]) > 1 && axis[0].kernel <= CONV_TRAY_PLANES)
        return row_tray(layer, axis);
    return none;
}
