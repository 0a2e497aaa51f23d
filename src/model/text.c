/* text.c - networks as plain text, one layer a line, in torch's words: voxconv-network(5).
 *
 *     input channels=1
 *     conv3d features.0 out_channels=16 kernel_size=3 padding=1
 *     relu
 *
 * A line takes what the line before gives. `save NAME` keeps that for later, `from NAME` goes back
 * to it, and `add`, `mul` and `cat` join it with others. The names of layers are those of a
 * state_dict, from which the weights come; or they are torch's initial ones, drawn in the order of
 * the lines. */
#include "model/text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Lines ---- */

/* Whether KEY=VALUE is one of the kind's. */
static bool key_known(const vox_text_kind *k, const char *word) {
    const size_t length = strcspn(word, "=");
    for (const char *key = k->keys; key && *key; key = strchr(key, ' ') + 1)
        if (!strncmp(key, word, length) && key[length] == ' ')
            return true;
    return false;
}

/* Whether an earlier word has the same key. */
static bool key_repeated(const vox_text_line *l, int i) {
    const size_t length = strcspn(l->word[i], "=") + 1;
    for (int k = 0; k < i; k++)
        if (!strncmp(l->word[k], l->word[i], length))
            return true;
    return false;
}

static vox_status check_line(const vox_model *m, const vox_text_line *l, const char *first,
                             vox_error *err) {
    if (!l->kind)
        return vox_fail(err, VOX_ERR_UNSUPPORTED, "%s:%d: %.60s: no such layer", m->path, l->number,
                        first);
    int plain = 0, keys = 0;
    for (int i = 0; i < l->word_count; i++) {
        const bool key = strchr(l->word[i], '=');
        plain += !key;
        keys += key;
        if (key && !key_known(l->kind, l->word[i]))
            return vox_fail(err, VOX_ERR_WEIGHTS, "%s:%d: %s: %.60s: no such parameter", m->path,
                            l->number, l->kind->name, l->word[i]);
        if (key && key_repeated(l, i))
            return vox_fail(err, VOX_ERR_WEIGHTS, "%s:%d: %s: %.60s: given twice", m->path,
                            l->number, l->kind->name, l->word[i]);
        if (!key && keys > 0)
            return vox_fail(err, VOX_ERR_WEIGHTS, "%s:%d: %s: %.60s: names stand before KEY=VALUE",
                            m->path, l->number, l->kind->name, l->word[i]);
    }
    if (plain < l->kind->least || plain > l->kind->most)
        return vox_fail(err, VOX_ERR_WEIGHTS, "%s:%d: %s: %d names: must be %d to %d", m->path,
                        l->number, l->kind->name, plain, l->kind->least, l->kind->most);
    return VOX_OK;
}

/* Cuts a line of the text into words; *text moves behind it. */
static vox_status cut_line(const vox_model *m, char **text, int number, vox_text_line *l,
                           vox_error *err) {
    char *words = strsep(text, "\n"), *word, *first = NULL;
    words[strcspn(words, "#\r")] = '\0';
    *l = (vox_text_line){.number = number};
    while ((word = strsep(&words, " \t"))) {
        if (!*word)
            continue;
        if (!first) {
            first = word;
            l->kind = vox_text_find_kind(word);
        } else if (l->word_count == VOX_TEXT_WORDS) {
            return vox_fail(err, VOX_ERR_WEIGHTS, "%s:%d: more than %d words", m->path, number,
                            VOX_TEXT_WORDS);
        } else {
            l->word[l->word_count++] = word;
        }
    }
    if (!first)
        l->number = 0; /* an empty line */
    return first ? check_line(m, l, first, err) : VOX_OK;
}

static vox_status read_lines(vox_model *m, const unsigned char *bytes, int64_t count,
                             vox_text_network *t, vox_error *err) {
    vox_status status = VOX_OK;
    int lines = 1;
    t->text = vox_alloc(count + 1, 1, "model", err);
    if (t->text)
        memcpy(t->text, bytes, (size_t)count);
    for (int64_t i = 0; t->text && i < count; i++) {
        const unsigned char byte = (unsigned char)t->text[i];
        if (byte < ' ' && (byte == 0 || !strchr("\t\r\n", byte)))
            return vox_fail(err, VOX_ERR_WEIGHTS, "%s: byte %d in line %d: no text network",
                            m->path, byte, lines);
        lines += byte == '\n';
    }
    t->lines = t->text ? vox_alloc(lines, sizeof *t->lines, "model", err) : NULL;
    if (!t->lines)
        return VOX_ERR_RESOURCE;
    char *rest = t->text;
    for (int number = 1; rest && !status; number++) {
        status = cut_line(m, &rest, number, &t->lines[t->count], err);
        t->count += t->lines[t->count].number > 0;
    }
    return status;
}

/* The first line says what comes in. */
static vox_status read_input(vox_model *m, const vox_text_network *t, vox_error *err) {
    if (t->count == 0 || strcmp(t->lines[0].kind->name, "input") != 0)
        return vox_fail(err, VOX_ERR_WEIGHTS,
                        "%s: no text network: its first line must be 'input channels=N'", m->path);
    const vox_text_context c = {.model = m, .content = t, .line = &t->lines[0], .err = err};
    for (int i = 1; i < t->count; i++)
        if (t->lines[i].kind == t->lines[0].kind)
            return vox_fail(err, VOX_ERR_WEIGHTS, "%s:%d: a second input", m->path,
                            t->lines[i].number);
    for (int i = 0; i < t->count; i++)
        m->vector = m->vector || t->lines[i].kind->gives_vector;
    vox_status status = vox_text_integer(&c, "channels", &m->in_channels);
    return status ? status : vox_text_triple(&c, "size", m->in_size);
}

/* FILE, or FILE:PREFIX where there is no file of that whole name. */
static vox_status open_weights(vox_text_network *t, const char *spec, vox_error *err) {
    const char *colon = strrchr(spec, ':');
    if (!colon || access(spec, F_OK) == 0) {
        t->weights = vox_weights_open(spec, err);
    } else {
        char *path = vox_strdup(spec, err);
        if (!path)
            return VOX_ERR_RESOURCE;
        path[colon - spec] = '\0';
        const size_t length = strlen(colon + 1);
        const bool dot = length > 0 && colon[length] != '.';
        snprintf(t->prefix, sizeof t->prefix, "%s%s", colon + 1, dot ? "." : "");
        t->weights = vox_weights_open(path, err);
        free(path);
    }
    return t->weights ? VOX_OK : err->status;
}

static void text_free(vox_model *m) {
    vox_text_network *t = m->content;
    if (!t)
        return;
    vox_weights_free(t->weights);
    free(t->lines);
    free(t->text);
    free(t);
}

static vox_status text_open(vox_model *m, const unsigned char *data, int64_t bytes,
                            const vox_model_options *o, vox_error *err) {
    vox_text_network *t = m->content = vox_alloc(1, sizeof *t, "model", err);
    if (!t)
        return VOX_ERR_RESOURCE;
    t->seed = o->seed;
    vox_status status = read_lines(m, data, bytes, t, err);
    if (!status)
        status = read_input(m, t, err);
    if (status)
        return status;
    if (o->axes_whd)
        return vox_fail(err, VOX_ERR_USAGE,
                        "%s: a text network's axes are D, H, W: no other order can be chosen",
                        m->path);
    if (!o->weights && !o->init)
        return vox_fail(err, VOX_ERR_USAGE,
                        "%s: a text network has no weights: --weights FILE or --init is missing",
                        m->path);
    return o->weights ? open_weights(t, o->weights, err) : VOX_OK;
}

/* A layer on its own knows neither file nor line. */
static vox_status say_where(const vox_text_context *c, const vox_error *local, vox_error *err) {
    if (local->status != VOX_ERR_USAGE)
        return vox_fail(err, local->status, "%s", local->message);
    return vox_fail(err, VOX_ERR_WEIGHTS, "%s:%d: %s", c->model->path, c->line->number,
                    local->message);
}

static vox_status add_line(vox_text_context *c) {
    const vox_text_line *l = c->line;
    const int before = vox_network_layer_count(c->network);
    vox_status status = l->kind->add(c);
    /* Words that must be there are names of values. */
    if (!status && l->kind->least == 0 && l->word_count > 0 && !strchr(l->word[0], '='))
        status = vox_model_name_layers(c->network, before, l->word[0], c->err);
    return status;
}

static vox_status text_build(const vox_model *m, const int64_t in[4], vox_network *n,
                             vox_error *err) {
    const vox_text_network *t = m->content;
    vox_error local = {0};
    vox_random random;
    vox_text_context c = {.model = m, .content = t, .network = n, .random = &random, .err = &local};
    vox_random_seed(&random, t->seed);
    c.saved = vox_alloc(t->count, sizeof *c.saved, "model", err);
    if (!c.saved)
        return VOX_ERR_RESOURCE;
    memcpy(c.shape, in, sizeof c.shape);
    for (int i = 0; i < t->count && !local.status; i++) {
        c.line = &t->lines[i];
        if (c.flat && !c.line->kind->takes_vector)
            vox_fail(&local, VOX_ERR_WEIGHTS, "%s:%d: %s: takes a volume, and no flattened value",
                     m->path, c.line->number, c.line->kind->name);
        else if (!add_line(&c))
            vox_network_shape(n, in, c.shape, &local);
    }
    free(c.saved);
    return local.status ? say_where(&c, &local, err) : VOX_OK;
}

const vox_model_format vox_model_text = {
    .name = "text",
    .open = text_open,
    .build = text_build,
    .free = text_free,
};
