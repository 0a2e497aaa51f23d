/* conv.c - `voxconv conv`: one Conv3d, and what follows it, over a volume. */
#include "cli/cli.h"

#include "cli/conv_options.h"
#include "cli/layers.h"

static vox_status run(const void *values, int input_count, char **inputs, vox_error *err) {
    const conv_options *o = values;
    filter_weights weights = {.part_count = 0};
    vox_input *in = NULL;
    vox_network *network = NULL;
    vox_status status = conv_options_check(o, input_count, err);
    if (!status)
        status = execution_begin(&o->execution, err);
    if (status)
        goto out;
    in = vox_input_open((const char *const *)inputs, input_count, err);
    if (!in) {
        status = err->status;
        goto out;
    }
    if ((status = filter_weights_make(&weights, o, in, err)))
        goto out;
    network = layers_build(&weights, o, err);
    if (!network) {
        status = err->status;
        goto out;
    }
    const int64_t layout_channels = weights.layout_channels;
    filter_weights_free(&weights); /* the network has its own copy */
    vox_network_fold(network);
    status = execution_run(&o->execution, in, network, layout_channels, err);
out:
    vox_network_free(network);
    filter_weights_free(&weights);
    vox_input_free(in);
    return status;
}

const cli_command conv_command = {
    .name = "conv",
    .summary = "filter volumes through a Conv3d layer and what follows it",
    .synopsis = "IN... -o OUT (-w FILE | --kernel SPEC | --init SCHEME) [OPTIONS]",
    .options = conv_rows,
    .size = sizeof(conv_options),
    .defaults = conv_options_defaults,
    .run = run,
};
