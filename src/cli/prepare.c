/* prepare.c - see prepare.h. */
#include "cli/prepare.h"

#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* ---- Model cards ---- */

static vox_status read_and_say(const char *path, bool verbose, vox_card *card, vox_error *err) {
    const vox_status status = vox_card_read(path, card, err);
    if (!status && verbose)
        cli_message("%s: is the model's card", path);
    return status;
}

vox_status read_card(const char *model, const char *named, bool verbose, vox_card *card,
                     vox_error *err) {
    static const char ending[] = ".card.json";
    *card = (vox_card){.labels = NULL};
    if (named)
        return read_and_say(named, verbose, card, err);
    const size_t bytes = strlen(model) + sizeof ending;
    char *path = malloc(bytes);
    if (!path)
        return cli_fail(err, VOX_ERR_RESOURCE, "%s: no memory for a path", model);
    snprintf(path, bytes, "%s%s", model, ending);
    vox_status status = VOX_OK;
    if (access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR))
        status = read_and_say(path, verbose, card, err);
    free(path);
    return status;
}

void fill_from_card(vox_prepare *p, const vox_prepare *card) {
    if (p->intensity == VOX_INTENSITY_UNSET) {
        p->intensity = card->intensity;
        p->nonzero = card->nonzero;
        memcpy(p->parameter, card->parameter, sizeof p->parameter);
    }
    if (!*p->orientation)
        memcpy(p->orientation, card->orientation, sizeof p->orientation);
    if (p->spacing_mm[0] == 0)
        memcpy(p->spacing_mm, card->spacing_mm, sizeof p->spacing_mm);
    if (p->shape[0] == 0)
        memcpy(p->shape, card->shape, sizeof p->shape);
}
