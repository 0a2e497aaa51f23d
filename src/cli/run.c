/* run.c - `voxconv run`: a network from a file over volumes. */
#include "cli/cli.h"
#include "cli/execution.h"
#include "cli/model_inputs.h"
#include "cli/prepare.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef enum axes { AXES_DHW, AXES_WHD } axes;

typedef struct run_options {
    const char *weights;
    bool init;
    int64_t seed; /* or NOT_GIVEN */
    int axes;     /* or NOT_GIVEN */
    const char *output_name;
    model_inputs inputs;
    bool softmax, argmax;
    const char *labels;
    const char *card;
    bool no_card;
    execution_options execution; /* datatype 0: not given */
} run_options;

static const char *const axes_names[] = {"dhw", "whd", NULL};

#define ROW(...) OPTION_ROW(run_options, __VA_ARGS__)
#define MODEL "Model"
#define RESULT "Result"

static const option_row run_rows[] = {
    OUTPUT_ROWS(run_options),
    ROW('w', "weights", "FILE[:PREFIX]", MODEL, "the weights of a text network, by name", set_text,
        weights),
    ROW(0, "init", NULL, MODEL, "initial weights, as torch draws them, for a text network",
        set_flag, init),
    ROW(0, "seed", "N", MODEL, "seed of --init (default 0)", set_integer, seed),
    ROW(0, "axes", "dhw|whd", MODEL,
        "order of the model's axes: z,y,x (default) or x,y,z; its kernels are turned", set_choice,
        axes, .choices = axes_names),
    ROW(0, "input", "NAME=FILE", MODEL,
        "a further input of an ONNX model, by name, as a constant; may be repeated",
        set_model_input, inputs),
    ROW(0, "output-name", "NAME", MODEL, "which output of an ONNX model (default: the first)",
        set_text, output_name),
    ROW(0, "card", "FILE", MODEL,
        "what the model was trained on, as defaults of options (default MODEL.card.json)", set_text,
        card),
    ROW(0, "no-card", NULL, MODEL, "leave MODEL.card.json aside", set_flag, no_card),
    PREPARE_ROWS(run_options),
    ROW(0, "softmax", NULL, RESULT, "softmax over the channels", set_flag, softmax),
    ROW(0, "argmax", NULL, RESULT, "the number of the largest channel: labels, as uint8 or uint16",
        set_flag, argmax),
    ROW(0, "labels", "FILE", RESULT,
        "names of the labels of --argmax: prints the voxels and millilitres of each", set_text,
        labels),
    EXECUTION_ROWS(run_options),
    OPTION_GENERAL_ROWS,
};

static void run_defaults(void *values) {
    run_options *o = values;
    o->seed = NOT_GIVEN;
    o->axes = NOT_GIVEN;
    execution_defaults(&o->execution);
    o->execution.datatype = 0;
}

static vox_status check(const run_options *o, int operand_count, vox_error *err) {
    const char *reason = NULL;
    if (operand_count == 0)
        reason = "a model is missing";
    else if (o->weights && o->init)
        reason = "only one of --weights and --init can be given";
    else if (!o->init && o->seed != NOT_GIVEN)
        reason = "--seed goes with --init only";
    else if (o->card && o->no_card)
        reason = "only one of --card and --no-card can be given";
    if (reason)
        return cli_fail(err, VOX_ERR_USAGE, "run: %s", reason);
    return execution_check("run", &o->execution, operand_count - 1, false, err);
}

/* A model of another size may still fit; its user should know. */
static void warn_of_size(const char *path, const vox_model *model, const int64_t in[4]) {
    int64_t size[3];
    bool other = false;
    vox_model_in_size(model, size);
    for (int i = 0; i < 3; i++)
        other = other || (size[i] > 0 && size[i] != in[1 + i]);
    if (other)
        cli_warning("%s: made for %" PRId64 " x %" PRId64 " x %" PRId64
                    " voxels (D,H,W), the input has %" PRId64 " x %" PRId64 " x %" PRId64,
                    path, size[0], size[1], size[2], in[1], in[2], in[3]);
}

/* A table of the labels that argmax makes of `channels`. */
static vox_status add_labels(const run_options *o, const vox_model *model, int64_t channels,
                             const vox_labels *labels, execution_options *execution,
                             vox_error *err) {
    int64_t nameless = 0;
    if (vox_model_gives_vector(model))
        return cli_fail(err, VOX_ERR_USAGE,
                        "run: --labels is for volumes of labels: this network gives numbers");
    for (int64_t i = 0; i < channels; i++)
        nameless += !vox_labels_name(labels, i);
    if (nameless > 0)
        cli_warning("%s: no name for %" PRId64 " of the network's %" PRId64 " labels", o->labels,
                    nameless, channels);
    execution->label_names = labels;
    execution->label_count = channels;
    return VOX_OK;
}

/* What is to be done to the network's output, of `out`; gives the stored type where none was asked
 * for. */
static vox_status add_result(const run_options *o, vox_network *network, const int64_t in[4],
                             int64_t out[4], int *datatype, vox_error *err) {
    vox_status status = vox_network_shape(network, in, out, err);
    if (!status && o->softmax)
        status = vox_network_activation(network, VOX_ACT_SOFTMAX, NULL, err);
    if (!status && o->argmax)
        status = vox_network_argmax(network, err);
    if (*datatype == 0 && !status)
        *datatype = vox_datatype_from_name(!o->argmax      ? "float32"
                                           : out[0] <= 256 ? "uint8"
                                                           : "uint16");
    return status;
}

static vox_status run_model(const run_options *o, const char *path, const vox_model *model,
                            const vox_labels *labels, vox_input *in, vox_error *err) {
    int64_t out[4];
    vox_layout layout;
    execution_options execution = o->execution;
    const int64_t channels = vox_model_in_channels(model);
    vox_status status = vox_input_layout(in, channels, (vox_time)execution.time, &layout, err);
    if (status)
        return status;
    int64_t shape[4] = {channels ? channels : layout.channels};
    execution.prepare.labels = o->argmax;
    if ((status = vox_prepare_size(in, &execution.prepare, shape + 1, err)))
        return status;
    warn_of_size(path, model, shape);
    vox_network *network = vox_model_network(model, shape, err);
    if (!network)
        return err->status;
    vox_network_fold(network);
    status = add_result(o, network, shape, out, &execution.datatype, err);
    if (!status && labels)
        status = add_labels(o, model, out[0], labels, &execution, err);
    if (!status)
        status = (vox_model_gives_vector(model) ? execution_values : execution_run)(
            &execution, in, network, shape[0], err);
    vox_network_free(network);
    return status;
}

static vox_status open_and_run(const run_options *o, const model_inputs *inputs, int operand_count,
                               char **operands, vox_error *err) {
    const vox_model_options m = {
        .weights = o->weights,
        .init = o->init,
        .seed = o->seed == NOT_GIVEN ? 0 : (uint64_t)o->seed,
        .axes_whd = o->axes == AXES_WHD,
        .output_name = o->output_name,
        .input_count = inputs->count,
        .input_name = (const char *const *)inputs->name,
        .input_value = (const vox_tensor *const *)inputs->value,
    };
    vox_status status;
    vox_labels *labels = o->labels ? vox_labels_open(o->labels, err) : NULL;
    if (o->labels && !labels)
        return err->status;
    vox_model *model = vox_model_open(operands[0], &m, err);
    vox_input *in =
        model ? vox_input_open((const char *const *)operands + 1, operand_count - 1, err) : NULL;
    if (model && !vox_model_gives_vector(model) && !o->execution.output)
        status =
            cli_fail(err, VOX_ERR_USAGE, "run: --output is missing (-o FILE, or -o - for stdout)");
    else
        status = in ? run_model(o, operands[0], model, labels, in, err) : err->status;
    vox_input_free(in);
    vox_model_free(model);
    vox_labels_free(labels);
    return status;
}

static vox_status check_labels(const run_options *o, vox_error *err) {
    if (!o->labels || o->argmax)
        return VOX_OK;
    return cli_fail(
        err, VOX_ERR_USAGE,
        "run: --labels goes with --argmax only: without it there are no labels to count");
}

/* Options win over the card; --softmax and --argmax stand for all that becomes of the output. */
static void take_card(run_options *o, const vox_card *card) {
    fill_from_card(&o->execution.prepare, &card->prepare);
    if (o->axes == NOT_GIVEN && card->axes_given)
        o->axes = card->axes_whd ? AXES_WHD : AXES_DHW;
    if (!o->softmax && !o->argmax) {
        o->softmax = card->softmax;
        o->argmax = card->argmax;
    }
    if (!o->labels && o->argmax)
        o->labels = card->labels;
}

static vox_status run(const void *values, int operand_count, char **operands, vox_error *err) {
    run_options with_card = *(const run_options *)values;
    const run_options *o = &with_card;
    vox_card card = {.labels = NULL};
    vox_status status = check(o, operand_count, err);
    if (!status)
        status = execution_begin(&o->execution, err);
    if (!status && !o->no_card)
        status = read_card(operands[0], o->card, o->execution.verbose, &card, err);
    if (status)
        return status;
    take_card(&with_card, &card);
    model_inputs inputs = o->inputs;
    status = check_labels(o, err);
    if (!status)
        status = model_inputs_read(&inputs, err);
    if (!status)
        status = open_and_run(o, &inputs, operand_count, operands, err);
    model_inputs_free(&inputs);
    vox_card_clear(&card);
    return status;
}

const cli_command run_command = {
    .name = "run",
    .summary = "run a network over volumes",
    .synopsis = "MODEL IN... -o OUT [OPTIONS]",
    .options = run_rows,
    .size = sizeof(run_options),
    .defaults = run_defaults,
    .run = run,
};
