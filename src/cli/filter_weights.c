/* filter_weights.c - from --weights, --kernel or --init to torch's weight and bias arrays. */
#include "cli/filter_weights.h"

#include "cli/arrays.h"
#include "cli/cli.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* The channels of the input where one filter serves each of them. */
static vox_status own_channels(const conv_options *o, const vox_input *in, int64_t *channels,
                               vox_error *err) {
    vox_layout layout;
    const vox_status status = vox_input_layout(in, 0, (vox_time)o->execution.time, &layout, err);
    if (!status)
        *channels = layout.channels;
    return status;
}

/* A filter [kD, kH, kW] for each of `channels` channels: [channels, 1, kD, kH, kW]. */
static vox_tensor *repeat_filter(const vox_tensor *filter, int64_t channels, vox_error *err) {
    const int64_t shape[5] = {channels, 1, filter->shape[0], filter->shape[1], filter->shape[2]};
    vox_tensor *weight = vox_tensor_new(5, shape, err);
    for (int64_t c = 0; weight && c < channels; c++)
        memcpy(weight->data + c * filter->count, filter->data,
               (size_t)filter->count * sizeof *filter->data);
    return weight;
}

static void replace(vox_tensor **tensor, vox_tensor *with) {
    vox_tensor_free(*tensor);
    *tensor = with;
}

/* Keras's (kD,kH,kW,in,out) as torch's (out,in,kD,kH,kW). */
static vox_tensor *from_keras(const vox_tensor *keras, vox_error *err) {
    const int64_t out = keras->shape[4], in = keras->shape[3];
    const int64_t taps = keras->shape[0] * keras->shape[1] * keras->shape[2];
    const int64_t shape[5] = {out, in, keras->shape[0], keras->shape[1], keras->shape[2]};
    vox_tensor *torch = vox_tensor_new(5, shape, err);
    if (!torch)
        return NULL;
    for (int64_t tap = 0; tap < taps; tap++)
        for (int64_t i = 0; i < in; i++)
            for (int64_t o = 0; o < out; o++)
                torch->data[(o * in + i) * taps + tap] = keras->data[(tap * in + i) * out + o];
    return torch;
}

/* Reverses each run of kD*kH*kW values, which reverses D, H and W at once. */
static void flip_taps(vox_tensor *weight) {
    const int64_t taps = weight->shape[2] * weight->shape[3] * weight->shape[4];
    for (int64_t first = 0; first < weight->count; first += taps)
        for (int64_t a = first, b = first + taps - 1; a < b; a++, b--) {
            const float value = weight->data[a];
            weight->data[a] = weight->data[b];
            weight->data[b] = value;
        }
}

static vox_status normalize(vox_tensor *weight, int mode, vox_error *err) {
    const int64_t count = weight->count / weight->shape[0];
    for (int64_t o = 0; o < weight->shape[0]; o++) {
        float *filter = weight->data + o * count;
        double sum = 0;
        for (int64_t i = 0; i < count; i++)
            sum += mode == NORMALIZE_ABS ? fabs((double)filter[i]) : (double)filter[i];
        if (sum == 0 || !isfinite(sum))
            return cli_fail(err, VOX_ERR_WEIGHTS,
                            "--normalize: the filter of output channel %" PRId64
                            " has the sum %g, which nothing can be divided by",
                            o, sum);
        for (int64_t i = 0; i < count; i++)
            filter[i] = (float)(filter[i] / sum);
    }
    return VOX_OK;
}

/* The message for a weight that wants other channels than the input has. */
static vox_status wrong_channels(const char *path, const vox_tensor *weight, int64_t in_channels,
                                 const vox_input *in, vox_error *err) {
    char shape[200], time[80] = "";
    vox_layout layout;
    if (vox_input_layout(in, 0, VOX_TIME_AUTO, &layout, err))
        return err->status;
    if (layout.batch > 1)
        snprintf(time, sizeof time, " (in each of %" PRId64 " frames)", layout.batch);
    return cli_fail(err, VOX_ERR_WEIGHTS,
                    "%s: shape %s needs %" PRId64 " input channels, %s has %" PRId64 "%s", path,
                    shape_text(weight, shape), in_channels,
                    vox_input_count(in) > 1 ? "the stack of inputs" : vox_input_info(in, 0)->path,
                    layout.channels, time);
}

/* One weight of five sizes: channels and groups against the input. */
static vox_status fit_dense(filter_weights *f, const conv_options *o, const char *path,
                            const vox_input *in, vox_error *err) {
    const vox_tensor *weight = f->part[0];
    vox_layout layout;
    vox_error mismatch;
    f->groups = o->groups ? o->groups : 1;
    if (weight->shape[0] % f->groups) {
        char shape[200];
        return cli_fail(err, VOX_ERR_WEIGHTS,
                        "%s: shape %s has %" PRId64 " output channels, which --groups %" PRId64
                        " does not divide",
                        path, shape_text(weight, shape), weight->shape[0], f->groups);
    }
    if (f->groups > INT64_MAX / weight->shape[1])
        return cli_fail(err, VOX_ERR_USAGE, "--groups %" PRId64 ": too large", f->groups);
    f->in_channels = f->layout_channels = weight->shape[1] * f->groups;
    f->out_channels = weight->shape[0];
    if (vox_input_layout(in, f->layout_channels, (vox_time)o->execution.time, &layout, &mismatch))
        return wrong_channels(path, weight, f->in_channels, in, err);
    return VOX_OK;
}

static vox_status load_file(filter_weights *f, const conv_options *o, const vox_input *in,
                            vox_error *err) {
    arrays a;
    char shape[200];
    vox_tensor **weight = &f->part[0];
    vox_status status = arrays_open(&a, o->weights, "weight", true, err);
    if (!status)
        status = arrays_get(&a, "weight", false, weight, err);
    if (!status && !o->no_bias && !o->bias && !a.nameless)
        status = arrays_get(&a, "bias", true, &f->bias, err);
    if (status)
        goto out;
    f->part_count = 1;
    const int rank = (*weight)->rank;
    if ((*weight)->count == 0 || (rank != 3 && rank != 5)) {
        status = cli_fail(
            err, VOX_ERR_WEIGHTS, "%s: shape %s: a filter has 3 sizes (D,H,W), or 5 (%s)",
            arrays_path(&a), shape_text(*weight, shape),
            o->weights_layout == LAYOUT_KERAS ? "D,H,W,in/groups,out" : "out,in/groups,D,H,W");
        goto out;
    }
    if (rank == 3) {
        if (o->groups)
            status = cli_fail(err, VOX_ERR_WEIGHTS,
                              "%s: shape %s filters each channel on its own, --groups %" PRId64
                              " does not apply",
                              arrays_path(&a), shape_text(*weight, shape), o->groups);
        if (!status)
            status = own_channels(o, in, &f->in_channels, err);
        if (status)
            goto out;
        replace(weight, repeat_filter(*weight, f->in_channels, err));
        f->groups = f->out_channels = f->in_channels;
    } else if (o->weights_layout == LAYOUT_KERAS) {
        replace(weight, from_keras(*weight, err));
    }
    if (!*weight)
        status = err->status;
    else if (rank == 5)
        status = fit_dense(f, o, arrays_path(&a), in, err);
out:
    arrays_close(&a);
    return status;
}

/* {D, H, W} spacing in mm, as xyzt_units says (NIfTI codes 1 m, 2 mm, 3 micrometre; unknown: mm).
 * A tensor has none. */
static const double *voxel_mm(const vox_input *in, double mm[3]) {
    const vox_volume_info *info = vox_input_info(in, 0);
    const int unit = info->xyzt_units & 7;
    const double scale = unit == 1 ? 1000 : unit == 3 ? 0.001 : 1;
    for (int axis = 0; axis < 3; axis++)
        mm[axis] = fabs(info->pixdim[3 - axis]) * scale;
    return info->tensor_axes ? NULL : mm;
}

static vox_status make_named(filter_weights *f, const conv_options *o, const vox_input *in,
                             vox_error *err) {
    double room[3];
    const double *mm = voxel_mm(in, room);
    vox_status status = own_channels(o, in, &f->in_channels, err);
    if (!status)
        status = vox_kernel_named(o->kernel, mm, f->part, &f->part_count, err);
    f->groups = f->out_channels = f->in_channels;
    for (int i = 0; !status && i < f->part_count; i++) {
        replace(&f->part[i], repeat_filter(f->part[i], f->in_channels, err));
        if (!f->part[i])
            status = err->status;
    }
    return status;
}

static vox_status draw(filter_weights *f, const conv_options *o, const vox_input *in,
                       vox_error *err) {
    vox_status status = own_channels(o, in, &f->in_channels, err);
    if (status)
        return status;
    f->layout_channels = f->in_channels;
    f->out_channels = o->out_channels ? o->out_channels : 1;
    f->groups = o->groups ? o->groups : 1;
    if (f->in_channels % f->groups || f->out_channels % f->groups)
        return cli_fail(err, VOX_ERR_USAGE,
                        "--groups %" PRId64 ": does not divide %" PRId64
                        " input channels and %" PRId64 " output channels",
                        f->groups, f->in_channels, f->out_channels);
    const int64_t shape[5] = {f->out_channels, f->in_channels / f->groups, o->kernel_size[0],
                              o->kernel_size[1], o->kernel_size[2]};
    f->part_count = 1;
    f->part[0] = vox_tensor_new(5, shape, err);
    if (!f->part[0])
        return err->status;
    if (!o->no_bias && !o->bias && !(f->bias = vox_tensor_new(1, shape, err)))
        return err->status;
    return vox_init_conv3d((vox_init)o->init, o->seed == NOT_GIVEN ? 0 : (uint64_t)o->seed,
                           f->part[0], f->bias, err);
}

/* --bias FILE[:PREFIX]. */
static vox_status load_bias(filter_weights *f, const conv_options *o, vox_error *err) {
    arrays a;
    vox_status status = arrays_open(&a, o->bias, "bias", true, err);
    if (!status)
        status = arrays_get(&a, "bias", false, &f->bias, err);
    arrays_close(&a);
    return status;
}

/* The bias as [out_channels]; a single number serves all channels of a filter without channels. */
static vox_status fit_bias(filter_weights *f, const char *path, vox_error *err) {
    const int64_t channels = f->out_channels;
    if (f->bias->count == channels)
        return VOX_OK;
    if (f->bias->count != 1 || f->layout_channels) {
        char shape[200];
        return cli_fail(err, VOX_ERR_WEIGHTS,
                        "%s: bias of shape %s for %" PRId64 " output channels", path,
                        shape_text(f->bias, shape), channels);
    }
    vox_tensor *repeated = vox_tensor_new(1, &channels, err);
    if (!repeated)
        return err->status;
    for (int64_t c = 0; c < channels; c++)
        repeated->data[c] = f->bias->data[0];
    replace(&f->bias, repeated);
    return VOX_OK;
}

/* --kernel-size and --out-channels beside weights that have sizes of their own. */
static vox_status check_sizes(const filter_weights *f, const conv_options *o, vox_error *err) {
    const char *source = o->weights ? o->weights : o->kernel;
    int64_t size[3] = {1, 1, 1};
    for (int i = 0; i < f->part_count; i++)
        for (int axis = 0; axis < 3; axis++)
            if (f->part[i]->shape[2 + axis] > size[axis])
                size[axis] = f->part[i]->shape[2 + axis];
    if (o->kernel_size[0] && memcmp(size, o->kernel_size, sizeof size))
        return cli_fail(err, VOX_ERR_WEIGHTS,
                        "%s: its kernel is %" PRId64 ",%" PRId64 ",%" PRId64
                        ", --kernel-size says %" PRId64 ",%" PRId64 ",%" PRId64,
                        source, size[0], size[1], size[2], o->kernel_size[0], o->kernel_size[1],
                        o->kernel_size[2]);
    if (o->out_channels && f->out_channels != o->out_channels)
        return cli_fail(err, VOX_ERR_WEIGHTS,
                        "%s: gives %" PRId64 " output channels, --out-channels says %" PRId64,
                        source, f->out_channels, o->out_channels);
    return VOX_OK;
}

vox_status filter_weights_make(filter_weights *f, const conv_options *o, const vox_input *in,
                               vox_error *err) {
    memset(f, 0, sizeof *f);
    vox_status status = o->weights  ? load_file(f, o, in, err)
                        : o->kernel ? make_named(f, o, in, err)
                                    : draw(f, o, in, err);
    if (!status)
        status = check_sizes(f, o, err);
    if (!status && o->bias)
        status = load_bias(f, o, err);
    if (!status && f->bias)
        status = fit_bias(f, o->bias ? o->bias : o->weights ? o->weights : "--init", err);
    for (int i = 0; !status && i < f->part_count; i++) {
        if (o->flip)
            flip_taps(f->part[i]);
        if (o->normalize != NORMALIZE_NONE)
            status = normalize(f->part[i], o->normalize, err);
    }
    return status;
}

void filter_weights_free(filter_weights *f) {
    for (int i = 0; i < 3; i++)
        vox_tensor_free(f->part[i]);
    vox_tensor_free(f->bias);
    memset(f, 0, sizeof *f);
}
