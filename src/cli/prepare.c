/* prepare.c - see prepare.h. */
#include "cli/prepare.h"

#include <stdio.h>
#include <string.h>

/* The library's reason. */
static bool take(vox_status status, const vox_error *err, char *reason) {
    if (status)
        snprintf(reason, OPTION_REASON, "%.*s", OPTION_REASON - 1, err->message);
    return !status;
}

bool set_intensity(const option_row *row, const char *value, void *field, char *reason) {
    (void)row;
    vox_error err;
    return take(vox_prepare_intensity(field, value, &err), &err, reason);
}

bool set_orientation(const option_row *row, const char *value, void *field, char *reason) {
    (void)row;
    vox_error err;
    return take(vox_prepare_orientation(field, value, &err), &err, reason);
}

bool set_spacing(const option_row *row, const char *value, void *field, char *reason) {
    char number[128];
    const size_t length = strlen(value);
    const bool unit = length > 2 && !strcmp(value + length - 2, "mm");
    const int digits = (int)(unit ? length - 2 : length);
    if (digits >= (int)sizeof number) {
        snprintf(reason, OPTION_REASON, "must be a number of mm above 0 or three as D,H,W");
        return false;
    }
    snprintf(number, sizeof number, "%.*s", digits, value);
    return set_lengths(row, number, field, reason);
}
