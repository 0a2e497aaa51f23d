/* model_inputs.c - see model_inputs.h. */
#include "cli/model_inputs.h"

#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool set_model_input(const option_row *row, const char *value, void *field, char *reason) {
    (void)row;
    model_inputs *m = field;
    const char *equals = strchr(value, '=');
    if (!equals || equals == value || !equals[1]) {
        snprintf(reason, OPTION_REASON, "must be NAME=FILE");
        return false;
    }
    if (m->count == MODEL_INPUTS) {
        snprintf(reason, OPTION_REASON, "at most %d inputs can be given", MODEL_INPUTS);
        return false;
    }
    m->spec[m->count++] = value;
    return true;
}

static vox_status read_one(model_inputs *m, int i, vox_error *err) {
    const char *equals = strchr(m->spec[i], '=');
    m->name[i] = strndup(m->spec[i], (size_t)(equals - m->spec[i]));
    if (!m->name[i])
        return cli_fail(err, VOX_ERR_RESOURCE, "out of memory");
    vox_weights *file = vox_weights_open(equals + 1, err);
    m->value[i] = file ? vox_weights_get(file, NULL, err) : NULL;
    vox_weights_free(file);
    return m->value[i] ? VOX_OK : err->status;
}

vox_status model_inputs_read(model_inputs *m, vox_error *err) {
    vox_status status = VOX_OK;
    for (int i = 0; i < m->count && !status; i++)
        status = read_one(m, i, err);
    return status;
}

void model_inputs_free(model_inputs *m) {
    for (int i = 0; i < m->count; i++) {
        free(m->name[i]);
        vox_tensor_free(m->value[i]);
    }
}
