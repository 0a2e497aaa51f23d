/* card.c - model cards: JSON beside a model that says what it was trained on, in the words of the
 * command's options.
 *
 * One table of keys. What is not in it is refused: a slip of the pen would change what the network
 * sees, and nobody would know.
 */
#include "base/json.h"
#include "model/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct reading {
    vox_card *card;
    char *path;
} reading;

/* Takes a key's value; VOX_ERR_USAGE with the reason alone where it is none. */
typedef vox_status take_value(reading *r, const json_t *value, vox_error *err);

static vox_status take_axes(reading *r, const json_t *value, vox_error *err) {
    const char *text = json_string_value(value);
    r->card->axes_whd = text && !strcmp(text, "whd");
    r->card->axes_given = r->card->axes_whd || (text && !strcmp(text, "dhw"));
    return r->card->axes_given ? VOX_OK
                               : vox_fail(err, VOX_ERR_USAGE, "must be \"dhw\" or \"whd\"");
}

static vox_status take_intensity(reading *r, const json_t *value, vox_error *err) {
    const char *text = json_string_value(value);
    return vox_prepare_intensity(&r->card->prepare, text ? text : "", err);
}

static vox_status take_orientation(reading *r, const json_t *value, vox_error *err) {
    const char *text = json_string_value(value);
    return vox_prepare_orientation(&r->card->prepare, text ? text : "", err);
}

/* A number, or three as [D, H, W]: item i of what is one of them; NULL where it is neither. */
static const json_t *of_three(const json_t *value, size_t i) {
    if (!json_is_array(value))
        return value;
    return json_array_size(value) == 3 ? json_array_get(value, i) : NULL;
}

static vox_status take_spacing(reading *r, const json_t *value, vox_error *err) {
    for (size_t a = 0; a < 3; a++) {
        const double mm = json_number_value(of_three(value, a)); /* 0 where it is no number */
        if (!(mm > 0) || !isfinite(mm))
            return vox_fail(err, VOX_ERR_USAGE,
                            "must be a number of mm above 0, or three as [D, H, W]");
        r->card->prepare.spacing_mm[a] = mm;
    }
    return VOX_OK;
}

static vox_status take_shape(reading *r, const json_t *value, vox_error *err) {
    for (size_t a = 0; a < 3; a++) {
        const int64_t n = json_integer_value(of_three(value, a)); /* 0 where it is no integer */
        if (n < 1 || n > INT32_MAX)
            return vox_fail(err, VOX_ERR_USAGE,
                            "must be a whole number of 1 to %d, or three as [D, H, W]", INT32_MAX);
        r->card->prepare.shape[a] = n;
    }
    return VOX_OK;
}

static vox_status take_flag(const json_t *value, bool *flag, vox_error *err) {
    *flag = json_is_true(value);
    return json_is_boolean(value) ? VOX_OK : vox_fail(err, VOX_ERR_USAGE, "must be true or false");
}

static vox_status take_softmax(reading *r, const json_t *value, vox_error *err) {
    return take_flag(value, &r->card->softmax, err);
}

static vox_status take_argmax(reading *r, const json_t *value, vox_error *err) {
    return take_flag(value, &r->card->argmax, err);
}

/* Names in the card itself are read as from a file of names that has them in `labels`. */
static vox_status take_labels(reading *r, const json_t *value, vox_error *err) {
    const vox_model self = {.path = r->path};
    vox_error local = {.status = VOX_OK};
    if (json_is_object(value) || json_is_array(value))
        r->card->labels = vox_strdup(r->path, &local);
    else if (json_is_string(value))
        r->card->labels = vox_model_sibling(&self, json_string_value(value), &local);
    else
        return vox_fail(err, VOX_ERR_USAGE, "must be a file's name, or names by number");
    return local.status ? vox_fail(err, local.status, "%s", local.message) : VOX_OK;
}

static vox_status take_text(reading *r, const json_t *value, vox_error *err) {
    (void)r;
    return json_is_string(value) ? VOX_OK : vox_fail(err, VOX_ERR_USAGE, "must be a text");
}

static const struct {
    const char *name;
    take_value *take;
} keys[] = {
    {"axes", take_axes},       {"intensity", take_intensity}, {"orientation", take_orientation},
    {"spacing", take_spacing}, {"shape", take_shape},         {"softmax", take_softmax},
    {"argmax", take_argmax},   {"labels", take_labels},       {"description", take_text},
};
enum { KEYS = sizeof keys / sizeof *keys };

static vox_status unknown_key(const reading *r, const char *name, vox_error *err) {
    char list[256];
    size_t used = 0;
    for (int i = 0; i < KEYS; i++)
        used +=
            (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", keys[i].name);
    return vox_fail(err, VOX_ERR_WEIGHTS, "%s: %.60s: no key of a model card; there are %s",
                    r->path, name, list);
}

static vox_status take_key(reading *r, const char *name, const json_t *value, vox_error *err) {
    for (int i = 0; i < KEYS; i++) {
        vox_error reason = {.status = VOX_OK};
        if (strcmp(name, keys[i].name) != 0)
            continue;
        keys[i].take(r, value, &reason);
        if (reason.status == VOX_ERR_USAGE)
            return vox_fail(err, VOX_ERR_WEIGHTS, "%s: %s: %.600s", r->path, name, reason.message);
        return reason.status ? vox_fail(err, reason.status, "%s", reason.message) : VOX_OK;
    }
    return unknown_key(r, name, err);
}

static vox_status take_keys(reading *r, json_t *root, vox_error *err) {
    const char *name;
    json_t *value;
    if (!json_is_object(root))
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: no model card: an object { } is missing",
                        r->path);
    json_object_foreach(root, name, value) {
        const vox_status status = take_key(r, name, value, err);
        if (status)
            return status;
    }
    return VOX_OK;
}

void vox_card_clear(vox_card *card) {
    free(card->labels);
    *card = (vox_card){.labels = NULL};
}

vox_status vox_card_read(const char *path, vox_card *card, vox_error *err) {
    unsigned char *text = NULL;
    int64_t bytes;
    json_t *root = NULL;
    *card = (vox_card){.labels = NULL};
    reading r = {.card = card, .path = vox_strdup(path, err)};
    vox_status status = r.path ? vox_model_read_file(path, &text, &bytes, err) : VOX_ERR_RESOURCE;
    if (status)
        goto out;
    status = vox_json_parse(path, text, bytes, &root, err);
    if (!status)
        status = take_keys(&r, root, err);
out:
    json_decref(root);
    free(text);
    free(r.path);
    if (status)
        vox_card_clear(card);
    return status;
}
