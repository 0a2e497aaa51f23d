/* prepare.c - see prepare.h. */
#include "cli/prepare.h"

#include <stdio.h>

bool set_intensity(const option_row *row, const char *value, void *field, char *reason) {
    (void)row;
    vox_error err;
    const vox_status status = vox_prepare_intensity(field, value, &err);
    if (status)
        snprintf(reason, OPTION_REASON, "%.*s", OPTION_REASON - 1, err.message);
    return !status;
}
