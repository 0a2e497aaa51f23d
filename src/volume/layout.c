/* layout.c - how the axes of files become (N, C, D, H, W). */
#include "volume/layout.h"

#include <string.h>

/* Channels without t, over all files. */
static bool fixed_channels(const vox_input *in, int64_t *channels) {
    int64_t components = 0;
    for (int i = 0; i < in->count; i++)
        components += in->file[i].header.type->components;
    return vox_mul(components, in->file[0].header.dim[5], channels);
}

static vox_status no_fit(const vox_input *in, int64_t wanted, int64_t fixed, vox_time time,
                         vox_error *err) {
    const int64_t t = in->file[0].header.dim[4];
    const char *path = vox_path_text(in->file[0].path);
    char whose[32] = "has", about[160] = "";
    if (in->count > 1)
        snprintf(whose, sizeof whose, "and %d more have", in->count - 1);
    if (time == VOX_TIME_CHANNELS && !in->file[0].header.tensor_axes)
        snprintf(about, sizeof about, " (t=%lld taken as channels)", (long long)t);
    else if (t > 1)
        snprintf(about, sizeof about,
                 " (t=%lld frames are filtered one by one; --time channels makes them channels)",
                 (long long)t);
    return vox_fail(err, VOX_ERR_USAGE, "%s: the layer wants %lld input channels, %s %s %lld%s",
                    path, (long long)wanted, path, whose, (long long)fixed, about);
}

vox_status vox_input_layout(const vox_input *in, int64_t in_channels, vox_time time,
                            vox_layout *layout, vox_error *err) {
    const int64_t *dim = in->file[0].header.dim;
    int64_t fixed, all;
    if (!fixed_channels(in, &fixed) || !vox_mul(fixed, dim[4], &all))
        return vox_fail(err, VOX_ERR_UNSUPPORTED, "%s: dim[5]=%lld: too many channels",
                        vox_path_text(in->file[0].path), (long long)dim[5]);
    bool as_channels = time == VOX_TIME_CHANNELS && !in->file[0].header.tensor_axes;
    if (time == VOX_TIME_AUTO && in_channels > 1 && fixed == 1 && dim[4] == in_channels)
        as_channels = true;
    const int64_t channels = as_channels ? all : fixed;
    if (in_channels > 0 && in_channels != channels)
        return no_fit(in, in_channels, channels, time, err);
    *layout = (vox_layout){
        .channels = channels,
        .size = {dim[3], dim[2], dim[1]},
        .time_is_channels = as_channels,
    };
    /* A factor of the file's own byte count, which was checked. */
    layout->batch = (as_channels ? 1 : dim[4]) * dim[6] * dim[7];
    return VOX_OK;
}

vox_plane_order vox_plane_order_of(const vox_header *h, bool time_is_channels) {
    const int64_t *dim = h->dim;
    if (time_is_channels)
        return (vox_plane_order){.channels = dim[4] * dim[5], .inner = 1, .depth = dim[3]};
    return (vox_plane_order){.channels = dim[5], .inner = dim[4], .depth = dim[3]};
}
