/* model_inputs.h - --input NAME=FILE: inputs of a model beside the volume. */
#ifndef VOX_CLI_MODEL_INPUTS_H
#define VOX_CLI_MODEL_INPUTS_H

#include "cli/options.h"

enum { MODEL_INPUTS = 64 };

typedef struct model_inputs {
    int count;
    const char *spec[MODEL_INPUTS]; /* NAME=FILE */
    char *name[MODEL_INPUTS];
    vox_tensor *value[MODEL_INPUTS];
} model_inputs;

option_set set_model_input; /* model_inputs: one more */
/* Reads the files, which hold one array each; to be freed either way. Errors: VOX_ERR_WEIGHTS. */
vox_status model_inputs_read(model_inputs *m, vox_error *err);
void model_inputs_free(model_inputs *m);

#endif
