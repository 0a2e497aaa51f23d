/* labels.c - names of the numbers in a label map, from the files in which people keep them.
 *
 * Text, a label a line, as FreeSurfer's colour tables have it; the colour is not looked at:
 *
 *     # No. Name                  R   G   B   A
 *     0     Unknown               0   0   0   0
 *     2     Left-Cerebral-White-Matter
 *     3     white matter
 *
 * Or JSON: an object of names by number, a list of names from 0 on, or an object whose member
 * `labels` is one of these (what brainchop has beside its models). A name may be the member `name`
 * of an object.
 */
#include "base/json.h"
#include "model/model.h"

#include <stdlib.h>
#include <string.h>

/* Numbers beyond are none of a label map that voxconv makes; FreeSurfer's end at 14175. */
enum { MOST_LABEL = 999999999 };

typedef struct label {
    int64_t number;
    int line; /* 0: of JSON */
    const char *name;
} label;

struct vox_labels {
    char *path;
    char *text;   /* holds the names of a text file, */
    json_t *root; /* or of JSON */
    int count, room;
    label *label; /* by number, ascending */
};

void vox_labels_free(vox_labels *l) {
    if (!l)
        return;
    free(l->path);
    free(l->text);
    json_decref(l->root);
    free(l->label);
    free(l);
}

static vox_status add_label(vox_labels *l, const label *new, vox_error *err) {
    label *list = vox_grow(l->label, l->count, &l->room, sizeof *list, "labels", err);
    if (!list)
        return VOX_ERR_RESOURCE;
    l->label = list;
    l->label[l->count++] = *new;
    return VOX_OK;
}

/* ---- Numbers ---- */

/* Digits alone, up to `most`. */
static bool whole_number(const char *word, size_t length, int64_t most, int64_t *value) {
    *value = 0;
    for (size_t i = 0; i < length; i++) {
        if (word[i] < '0' || word[i] > '9')
            return false;
        *value = *value * 10 + (word[i] - '0');
        if (*value > most)
            return false;
    }
    return length > 0;
}

/* ---- Text ---- */

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

/* Cuts the last word off where it is one of a colour's, 0 to 255; there must be one before it. */
static bool cut_colour(const char *line, size_t *length) {
    size_t end = *length, from;
    int64_t value;
    for (from = end; from > 0 && !is_blank(line[from - 1]); from--) {
    }
    if (from == 0 || !whole_number(line + from, end - from, 255, &value))
        return false;
    for (end = from; end > 0 && is_blank(line[end - 1]); end--) {
    }
    *length = end;
    return true;
}

/* A line's length without blanks at its end, and without R, G, B and A. */
static size_t line_length(const char *line) {
    size_t length = strlen(line);
    while (length > 0 && is_blank(line[length - 1]))
        length--;
    size_t without = length;
    for (int i = 0; i < 4; i++)
        if (!cut_colour(line, &without))
            return length;
    return without;
}

static vox_status bad_line(const vox_labels *l, int number, const char *what, const char *reason,
                           vox_error *err) {
    return vox_fail(err, VOX_ERR_WEIGHTS, "%s:%d: %.60s: %s", l->path, number, what, reason);
}

static vox_status read_line(vox_labels *l, char *line, int number, vox_error *err) {
    while (is_blank(*line))
        line++;
    if (!*line || *line == '#')
        return VOX_OK;
    line[line_length(line)] = '\0';
    const size_t digits = strcspn(line, " \t\r");
    label new = {.line = number};
    if (!whole_number(line, digits, MOST_LABEL, &new.number))
        return bad_line(l, number, line, "no label: a line is NUMBER NAME", err);
    char *name = line + digits;
    while (is_blank(*name))
        name++;
    if (!*name)
        return bad_line(l, number, line, "a label without a name", err);
    new.name = name;
    return add_label(l, &new, err);
}

static vox_status read_text(vox_labels *l, int64_t bytes, vox_error *err) {
    vox_status status = VOX_OK;
    int line = 1;
    for (int64_t i = 0; i < bytes; i++) {
        const unsigned char byte = (unsigned char)l->text[i];
        if ((byte < ' ' && !is_blank(l->text[i]) && byte != '\n') || byte == 0x7f)
            return vox_fail(err, VOX_ERR_WEIGHTS,
                            "%s: byte %d in line %d: neither a text of labels nor JSON", l->path,
                            byte, line);
        line += byte == '\n';
    }
    char *rest = l->text;
    for (int number = 1; rest && !status; number++)
        status = read_line(l, strsep(&rest, "\n"), number, err);
    return status;
}

/* ---- JSON ---- */

static vox_status add_json(vox_labels *l, int64_t number, const json_t *value, vox_error *err) {
    const json_t *name = json_is_object(value) ? json_object_get(value, "name") : value;
    const label new = {.number = number, .name = json_string_value(name)};
    if (!new.name || !*new.name)
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: label %lld: no name, and no object with one",
                        l->path, (long long)number);
    return add_label(l, &new, err);
}

static vox_status read_members(vox_labels *l, json_t *object, vox_error *err) {
    const char *key;
    json_t *value;
    vox_status status = VOX_OK;
    json_object_foreach(object, key, value) {
        int64_t number;
        if (!whole_number(key, strlen(key), MOST_LABEL, &number))
            return vox_fail(err, VOX_ERR_WEIGHTS, "%s: '%.60s': not a label's number", l->path,
                            key);
        if ((status = add_json(l, number, value, err)))
            break;
    }
    return status;
}

static vox_status read_json(vox_labels *l, int64_t bytes, vox_error *err) {
    vox_status status = vox_json_parse(l->path, l->text, bytes, &l->root, err);
    if (status)
        return status;
    json_t *names = json_object_get(l->root, "labels");
    if (!names)
        names = l->root;
    if (json_is_object(names))
        return read_members(l, names, err);
    if (!json_is_array(names))
        return vox_fail(err, VOX_ERR_WEIGHTS,
                        "%s: labels: neither a list of names nor an object of names by number",
                        l->path);
    for (size_t i = 0; i < json_array_size(names) && !status; i++)
        status = add_json(l, (int64_t)i, json_array_get(names, i), err);
    return status;
}

/* ---- All of them ---- */

static int by_number(const void *a, const void *b) {
    const label *x = a, *y = b;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return x->line - y->line;
}

static vox_status sort(vox_labels *l, vox_error *err) {
    if (l->count == 0)
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s: no label in it", l->path);
    qsort(l->label, (size_t)l->count, sizeof *l->label, by_number);
    for (int i = 1; i < l->count; i++) {
        const label *one = &l->label[i - 1], *two = one + 1;
        if (one->number == two->number && two->line > 0)
            return vox_fail(err, VOX_ERR_WEIGHTS, "%s:%d: label %lld: named in line %d already",
                            l->path, two->line, (long long)two->number, one->line);
        if (one->number == two->number)
            return vox_fail(err, VOX_ERR_WEIGHTS, "%s: label %lld: named twice", l->path,
                            (long long)two->number);
    }
    return VOX_OK;
}

static vox_status read_labels(vox_labels *l, const char *path, vox_error *err) {
    unsigned char *bytes = NULL;
    int64_t count;
    l->path = vox_strdup(path, err);
    vox_status status = l->path ? vox_model_read_file(path, &bytes, &count, err) : VOX_ERR_RESOURCE;
    if (status)
        return status;
    l->text = vox_alloc(count + 1, 1, "labels", err); /* ends with a zero */
    if (l->text)
        memcpy(l->text, bytes, (size_t)count);
    free(bytes);
    if (!l->text)
        return VOX_ERR_RESOURCE;
    const char first = l->text[strspn(l->text, " \t\r\n")];
    status = first == '{' || first == '[' ? read_json(l, count, err) : read_text(l, count, err);
    return status ? status : sort(l, err);
}

vox_labels *vox_labels_open(const char *path, vox_error *err) {
    vox_labels *l = vox_alloc(1, sizeof *l, "labels", err);
    if (l && read_labels(l, path, err)) {
        vox_labels_free(l);
        l = NULL;
    }
    return l;
}

const char *vox_labels_name(const vox_labels *l, int64_t number) {
    int from = 0, to = l->count;
    while (from < to) {
        const int middle = from + (to - from) / 2;
        if (l->label[middle].number < number)
            from = middle + 1;
        else
            to = middle;
    }
    return from < l->count && l->label[from].number == number ? l->label[from].name : NULL;
}
