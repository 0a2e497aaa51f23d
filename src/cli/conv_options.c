/* conv_options.c - the option table of `voxconv conv` and the values that only it has. */
#include "cli/conv_options.h"

#include "cli/cli.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each list is in the order of the enum that it names. */
const char *const init_names[] = {"kaiming_uniform", "kaiming_normal", "torch", NULL};
static const char *const layout_names[] = {"torch", "keras", NULL};
static const char *const normalize_names[] = {"none", "sum", "abs", NULL};
static const char *const padding_modes[] = {"zeros", "reflect", "replicate", "circular", NULL};

static option_set set_padding, set_pool;

#define WEIGHTS "Weights (one of --weights, --kernel, --init)"
#define AFTER "After the convolution, in this order"

#define ROW(...) OPTION_ROW(conv_options, __VA_ARGS__)

const option_row conv_rows[] = {
    OUTPUT_ROWS(conv_options),

    ROW('w', "weights", "FILE[:PREFIX]", WEIGHTS,
        "weight and bias of a .npy, .npz, .safetensors, .pt, .txt or .nii file", set_text, weights),
    ROW(0, "kernel", "SPEC", WEIGHTS,
        "a named kernel: gaussian:2mm, box:3, sobel:x, ... ('voxconv kernel --list')", set_text,
        kernel),
    ROW(0, "init", "SCHEME", WEIGHTS,
        "seeded random weights: torch, kaiming_uniform or kaiming_normal", set_choice, init,
        .choices = init_names),
    ROW(0, "seed", "N", WEIGHTS, "seed of --init (default 0)", set_integer, seed),
    ROW(0, "bias", "FILE[:PREFIX]", WEIGHTS, "bias from another file", set_text, bias),
    ROW(0, "no-bias", NULL, WEIGHTS, "leave the bias out", set_flag, no_bias),
    ROW(0, "weights-layout", "torch|keras", WEIGHTS,
        "order of a five-dimensional weight: torch (out,in,D,H,W), keras (D,H,W,in,out)",
        set_choice, weights_layout, .choices = layout_names),
    ROW(0, "flip", NULL, WEIGHTS, "reverse the kernel along D, H and W: true convolution", set_flag,
        flip),
    ROW(0, "normalize", "none|sum|abs", WEIGHTS,
        "divide each output channel's filter by its sum, or by the sum of its absolute values",
        set_choice, normalize, .choices = normalize_names),

    ROW('k', "kernel-size", "N|D,H,W", "Layer", "for --init; otherwise checked against the weights",
        set_triple, kernel_size, .min = 1, .max = INT32_MAX),
    ROW(0, "out-channels", "N", "Layer", "for --init (default 1); otherwise checked", set_integer,
        out_channels, .min = 1),
    ROW('s', "stride", "N|D,H,W", "Layer", "default 1", set_triple, stride, .min = 1,
        .max = INT32_MAX),
    ROW('p', "padding", "PADDING", "Layer",
        "N, D,H,W, same, valid or same_upper (default 0; same with --kernel)", set_padding,
        padding),
    ROW(0, "padding-mode", "MODE", "Layer",
        "zeros, reflect, replicate or circular (default zeros; replicate with --kernel)",
        set_choice, padding_mode, .choices = padding_modes),
    ROW('d', "dilation", "N|D,H,W", "Layer", "default 1", set_triple, dilation, .min = 1,
        .max = INT32_MAX),
    ROW('g', "groups", "N", "Layer", "default 1", set_integer, groups, .min = 1),

    ROW(0, "batchnorm", "FILE[:PREFIX]", AFTER,
        "running_mean, running_var and, where there, weight, bias and eps", set_text, batchnorm),
    ROW(0, "batchnorm-eps", "EPS", AFTER, "default: the file's eps, else 1e-5", set_real,
        batchnorm_eps),
    ROW(0, "activation", "NAME[:A[,B]]", AFTER,
        "relu, relu6, leaky_relu:A (0.01), elu:A (1), selu:A,B, gelu, gelu_tanh, sigmoid, "
        "hardsigmoid:A,B, hardswish, silu, tanh, softplus:A,B, mish, softsign, clip:A,B, erf, exp, "
        "log, sqrt, abs, neg, reciprocal, softmax or log_softmax (over channels)",
        set_activation, activation),
    ROW(0, "max-pool", "POOL", AFTER, "KERNEL[:stride=S][:padding=P][:dilation=D][:ceil_mode]",
        set_pool, max_pool),
    ROW(0, "avg-pool", "POOL", AFTER,
        "KERNEL[:stride=S][:padding=P][:ceil_mode][:count_include_pad=0]", set_pool, avg_pool),

    EXECUTION_ROWS(conv_options),
    OPTION_GENERAL_ROWS,
};

void conv_options_defaults(void *values) {
    conv_options *o = values;
    o->init = o->padding_mode = NOT_GIVEN;
    o->seed = NOT_GIVEN;
    o->batchnorm_eps = NOT_GIVEN;
    for (int axis = 0; axis < 3; axis++)
        o->stride[axis] = o->dilation[axis] = 1;
    execution_defaults(&o->execution);
}

/* All three from `least` to a limit that keeps products of them far from overflow. */
static bool within(const int64_t triple[3], int64_t least) {
    bool ok = true;
    for (int axis = 0; axis < 3; axis++)
        ok = ok && triple[axis] >= least && triple[axis] <= INT32_MAX;
    return ok;
}

static bool set_padding(const option_row *row, const char *value, void *field, char *reason) {
    static const struct {
        const char *name;
        vox_padding padding;
    } names[] = {{"same", VOX_PADDING_SAME},
                 {"valid", VOX_PADDING_VALID},
                 {"same_upper", VOX_PADDING_SAME_UPPER}};
    (void)row;
    padding_option p = {true, VOX_PADDING_EXPLICIT, {0, 0, 0}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(value, names[i].name))
            p.padding = names[i].padding;
    if (p.padding == VOX_PADDING_EXPLICIT && (!parse_triple(value, p.size) || !within(p.size, 0))) {
        snprintf(reason, OPTION_REASON,
                 "must be a number of 0 or more, three as D,H,W, same, valid or same_upper");
        return false;
    }
    *(padding_option *)field = p;
    return true;
}

/* One ":word" of a pool after its kernel. */
static bool set_pool_word(vox_pool3d *pool, char *word) {
    char *value = strchr(word, '=');
    if (value)
        *value++ = 0;
    int64_t *triple = NULL;
    if (!strcmp(word, "stride"))
        triple = pool->stride;
    else if (!strcmp(word, "padding"))
        triple = pool->padding_before;
    else if (!strcmp(word, "dilation") && !pool->average)
        triple = pool->dilation;
    if (triple)
        return value && parse_triple(value, triple);
    const bool on = !value || !strcmp(value, "1");
    if (!on && strcmp(value, "0"))
        return false;
    if (!strcmp(word, "ceil_mode"))
        pool->ceil_mode = on;
    else if (!strcmp(word, "count_include_pad") && pool->average)
        pool->count_include_pad = on;
    else
        return false;
    return true;
}

static bool set_pool(const option_row *row, const char *value, void *field, char *reason) {
    pool_option p = {.given = true};
    char text[256], *rest = text;
    vox_pool3d_defaults(&p.pool);
    p.pool.average = !strcmp(row->name, "avg-pool");
    if (strlen(value) >= sizeof text) {
        snprintf(reason, OPTION_REASON, "too long");
        return false;
    }
    strcpy(text, value);
    const char *kernel = strsep(&rest, ":");
    bool ok = parse_triple(kernel, p.pool.kernel_size);
    memcpy(p.pool.stride, p.pool.kernel_size, sizeof p.pool.stride); /* torch's default */
    if (!ok)
        snprintf(reason, OPTION_REASON, "the kernel must be a number or three as D,H,W");
    while (ok && rest) {
        const char *word = strsep(&rest, ":");
        char copy[256];
        ok = set_pool_word(&p.pool, strcpy(copy, word));
        if (!ok)
            snprintf(reason, OPTION_REASON, "'%.80s': must be %s", word,
                     p.pool.average ? "stride=S, padding=P, ceil_mode or count_include_pad=0|1"
                                    : "stride=S, padding=P, dilation=D or ceil_mode");
    }
    memcpy(p.pool.padding_after, p.pool.padding_before, sizeof p.pool.padding_after);
    if (ok && (!within(p.pool.kernel_size, 1) || !within(p.pool.stride, 1) ||
               !within(p.pool.dilation, 1) || !within(p.pool.padding_before, 0))) {
        ok = false;
        snprintf(reason, OPTION_REASON,
                 "kernel, stride and dilation must be 1 or more, padding 0 or more");
    }
    if (ok)
        *(pool_option *)field = p;
    return ok;
}

vox_status conv_options_check(const conv_options *o, int input_count, vox_error *err) {
    const int sources = (o->weights != NULL) + (o->kernel != NULL) + (o->init != NOT_GIVEN);
    const char *reason = NULL;
    const vox_status status = execution_check("conv", &o->execution, input_count, true, err);
    if (status)
        return status;
    if (sources == 0)
        reason = "one of --weights, --kernel or --init is missing";
    else if (sources > 1)
        reason = "only one of --weights, --kernel and --init can be given";
    else if (o->init != NOT_GIVEN && !o->kernel_size[0])
        reason = "--init needs --kernel-size";
    else if (o->init == NOT_GIVEN && o->seed != NOT_GIVEN)
        reason = "--seed goes with --init only";
    else if (!o->weights && o->weights_layout != LAYOUT_TORCH)
        reason = "--weights-layout goes with --weights only";
    else if (o->bias && o->no_bias)
        reason = "--bias and --no-bias contradict each other";
    else if (o->kernel && o->groups)
        reason = "--groups does not go with --kernel, which filters each channel on its own";
    else if (!o->batchnorm && o->batchnorm_eps != NOT_GIVEN)
        reason = "--batchnorm-eps goes with --batchnorm only";
    else if (o->max_pool.given && o->avg_pool.given)
        reason = "only one of --max-pool and --avg-pool can be given";
    return reason ? cli_fail(err, VOX_ERR_USAGE, "conv: %s", reason) : VOX_OK;
}
