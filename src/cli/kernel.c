/* kernel.c - `voxconv kernel`: a named kernel or an initialised weight, shown or written to a file.
 */
#include "cli/cli.h"

#include "cli/conv_options.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct kernel_options {
    const char *output;
    bool force, list, no_bias;
    double voxel_mm[3];
    int init;
    int64_t seed, in_channels, out_channels, groups, kernel_size[3];
} kernel_options;

#define INIT "Initialised weights"

#define ROW(...) OPTION_ROW(kernel_options, __VA_ARGS__)

static const option_row rows[] = {
    ROW('o', "output", "FILE", "Output",
        ".npy, .npz, .safetensors, .txt, .nii or .nii.gz; without it the text form is printed",
        set_text, output),
    ROW('f', "force", NULL, "Output", "replace an existing output", set_flag, force),
    ROW(0, "list", NULL, "Named kernels", "list the kernels that there are", set_flag, list),
    ROW(0, "voxel-size", "X|D,H,W", "Named kernels", "mm a voxel, for sizes in mm (default 1)",
        set_lengths, voxel_mm),
    ROW(0, "init", "SCHEME", INIT, "torch, kaiming_uniform or kaiming_normal, instead of SPEC",
        set_choice, init, .choices = init_names),
    ROW(0, "seed", "N", INIT, "default 0", set_integer, seed),
    ROW('k', "kernel-size", "N|D,H,W", INIT, "default 3", set_triple, kernel_size, .min = 1,
        .max = INT32_MAX),
    ROW(0, "in-channels", "N", INIT, "default 1", set_integer, in_channels, .min = 1),
    ROW(0, "out-channels", "N", INIT, "default 1", set_integer, out_channels, .min = 1),
    ROW('g', "groups", "N", INIT, "default 1", set_integer, groups, .min = 1),
    ROW(0, "no-bias", NULL, INIT, "leave out the bias that torch's scheme has", set_flag, no_bias),
    OPTION_GENERAL_ROWS,
};

static void defaults(void *values) {
    kernel_options *o = values;
    o->init = NOT_GIVEN;
    o->in_channels = o->out_channels = o->groups = 1;
    for (int axis = 0; axis < 3; axis++) {
        o->kernel_size[axis] = 3;
        o->voxel_mm[axis] = 1;
    }
}

/* The three 1-D parts of a separable kernel as the dense kernel that they are together. */
static vox_tensor *outer_product(vox_tensor *const part[3], vox_error *err) {
    const int64_t shape[3] = {part[0]->count, part[1]->count, part[2]->count};
    vox_tensor *dense = vox_tensor_new(3, shape, err);
    float *to = dense ? dense->data : NULL;
    for (int64_t d = 0; to && d < shape[0]; d++)
        for (int64_t h = 0; h < shape[1]; h++)
            for (int64_t w = 0; w < shape[2]; w++)
                *to++ = (float)((double)part[0]->data[d] * part[1]->data[h] * part[2]->data[w]);
    return dense;
}

static vox_status named(const char *spec, const double voxel_mm[3], vox_tensor **kernel,
                        vox_error *err) {
    vox_tensor *part[3] = {NULL};
    int count = 0;
    const vox_status status = vox_kernel_named(spec, voxel_mm, part, &count, err);
    if (status)
        return status;
    if (count == 1) {
        *kernel = part[0];
        return VOX_OK;
    }
    *kernel = outer_product(part, err);
    for (int i = 0; i < count; i++)
        vox_tensor_free(part[i]);
    return *kernel ? VOX_OK : VOX_ERR_RESOURCE;
}

static vox_status draw(const kernel_options *o, vox_tensor **weight, vox_tensor **bias,
                       vox_error *err) {
    if (o->in_channels % o->groups || o->out_channels % o->groups)
        return cli_fail(err, VOX_ERR_USAGE,
                        "--groups %" PRId64 ": does not divide %" PRId64
                        " input channels and %" PRId64 " output channels",
                        o->groups, o->in_channels, o->out_channels);
    const int64_t shape[5] = {o->out_channels, o->in_channels / o->groups, o->kernel_size[0],
                              o->kernel_size[1], o->kernel_size[2]};
    *weight = vox_tensor_new(5, shape, err);
    if (!*weight)
        return err->status;
    /* The Kaiming schemes set the weight alone, as torch's functions do. */
    const bool has_bias = o->init == VOX_INIT_TORCH && !o->no_bias;
    if (has_bias && !(*bias = vox_tensor_new(1, shape, err)))
        return err->status;
    return vox_init_conv3d((vox_init)o->init, (uint64_t)o->seed, *weight, *bias, err);
}

/* The text form of a tensor file: the sizes, then the values, a row of W a line. Nine digits give
 * back the same float32. */
static void print_tensor(const vox_tensor *t) {
    assert(t);
    for (int i = 0; i < t->rank; i++)
        printf("%s%" PRId64, i ? " " : "", t->shape[i]);
    putchar('\n');
    const int64_t width = t->shape[t->rank - 1];
    for (int64_t i = 0; i < t->count; i++)
        printf("%.9g%c", (double)t->data[i], (i + 1) % width == 0 ? '\n' : ' ');
}

static vox_status write_tensors(const kernel_options *o, const vox_tensor *weight,
                                const vox_tensor *bias, vox_error *err) {
    static const char *const names[] = {"weight", "bias"};
    const vox_tensor *const tensors[] = {weight, bias};
    if (o->output)
        return vox_weights_save(o->output, bias ? 2 : 1, names, tensors, o->force, err);
    if (bias)
        return cli_fail(err, VOX_ERR_USAGE,
                        "kernel: the text form holds one array, and this has weight and bias; give "
                        "-o FILE.npz, -o FILE.safetensors or --no-bias");
    print_tensor(weight);
    return VOX_OK;
}

static vox_status run(const void *values, int spec_count, char **specs, vox_error *err) {
    const kernel_options *o = values;
    vox_tensor *weight = NULL, *bias = NULL;
    vox_status status;
    if (o->list) {
        fputs(vox_kernel_list(), stdout);
        return VOX_OK;
    }
    if (o->init == NOT_GIVEN ? spec_count != 1 : spec_count != 0)
        return cli_fail(err, VOX_ERR_USAGE,
                        "kernel: needs one SPEC, or --init ('--list' lists the "
                        "kernels)");
    if (o->init != NOT_GIVEN)
        status = draw(o, &weight, &bias, err);
    else
        status = named(specs[0], o->voxel_mm, &weight, err);
    if (!status)
        status = write_tensors(o, weight, bias, err);
    vox_tensor_free(weight);
    vox_tensor_free(bias);
    return status;
}

const cli_command kernel_command = {
    .name = "kernel",
    .summary = "show a named kernel or initialised weights, or write them to a file",
    .synopsis = "(SPEC | --init SCHEME | --list) [-o FILE] [OPTIONS]",
    .options = rows,
    .size = sizeof(kernel_options),
    .defaults = defaults,
    .run = run,
};
