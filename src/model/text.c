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
#include "base/random.h"
#include "model/model.h"
#include "weights/weights.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_WORDS = 32 };

typedef struct line {
    int number;
    const struct kind *kind;
    int word_count; /* behind the kind: names and numbers first, then KEY=VALUE */
    char *word[MOST_WORDS];
} line;

typedef struct content {
    char *text; /* the file, cut into words */
    int count;
    line *lines;
    vox_weights *weights; /* or NULL: initial ones */
    char prefix[256];
    uint64_t seed;
} content;

/* A network in the making. */
typedef struct context {
    const vox_model *model;
    const content *content;
    const line *line;
    vox_network *network;
    int64_t shape[4]; /* of the current value */
    int saved_count;
    struct saved {
        const char *name;
        int value;
    } * saved; /* [content->count] */
    vox_random *random;
    vox_error *err;
} context;

/* A word that a line may begin with. */
typedef struct kind {
    const char *name;
    int least, most;  /* words that are no KEY=VALUE */
    const char *keys; /* "kernel_size stride " */
    vox_status (*add)(context *c);
    vox_activation activation; /* for add_activation */
} kind;

static vox_status fail(const context *c, const char *what) {
    return vox_fail(c->err, VOX_ERR_WEIGHTS, "%s:%d: %s: %s", c->model->path, c->line->number,
                    c->line->kind->name, what);
}

/* ---- Words ---- */

/* The value of KEY=VALUE, or NULL. */
static const char *value_of(const line *l, const char *key) {
    const size_t length = strlen(key);
    for (int i = 0; i < l->word_count; i++)
        if (!strncmp(l->word[i], key, length) && l->word[i][length] == '=')
            return l->word[i] + length + 1;
    return NULL;
}

static bool whole_number(const char *text, char end, int64_t *value) {
    char *rest;
    errno = 0;
    *value = strtoll(text, &rest, 10);
    return rest != text && *rest == end && !errno && *value >= 0 && *value <= 1 << 20;
}

/* N or D,H,W. */
static bool three_numbers(const char *text, int64_t value[3]) {
    if (whole_number(text, '\0', &value[0])) {
        value[1] = value[2] = value[0];
        return true;
    }
    for (int i = 0; i < 3; i++) {
        if (!whole_number(text, i < 2 ? ',' : '\0', &value[i]))
            return false;
        text = strchr(text, ',') ? strchr(text, ',') + 1 : text;
    }
    return true;
}

static vox_status bad_value(const context *c, const char *key, const char *text, const char *must) {
    return vox_fail(c->err, VOX_ERR_WEIGHTS, "%s:%d: %s: %s=%.60s: must be %s", c->model->path,
                    c->line->number, c->line->kind->name, key, text, must);
}

/* Each of these leaves *value alone where the key is missing. */
static vox_status get_triple(const context *c, const char *key, int64_t value[3]) {
    const char *text = value_of(c->line, key);
    if (!text || three_numbers(text, value))
        return VOX_OK;
    return bad_value(c, key, text, "a whole number or three as D,H,W");
}

static vox_status get_integer(const context *c, const char *key, int64_t *value) {
    const char *text = value_of(c->line, key);
    if (!text || whole_number(text, '\0', value))
        return VOX_OK;
    return bad_value(c, key, text, "a whole number");
}

static vox_status get_real(const context *c, const char *key, double *value) {
    const char *text = value_of(c->line, key);
    if (!text)
        return VOX_OK;
    vox_c_numbers numbers;
    vox_status status = vox_c_numbers_begin(&numbers, c->err);
    if (status)
        return status;
    char *rest;
    *value = strtod(text, &rest);
    vox_c_numbers_end(&numbers);
    return rest != text && !*rest ? VOX_OK : bad_value(c, key, text, "a number");
}

static vox_status get_bool(const context *c, const char *key, bool *value) {
    const char *text = value_of(c->line, key);
    if (!text)
        return VOX_OK;
    *value = !strcmp(text, "true") || !strcmp(text, "1");
    return *value || !strcmp(text, "false") || !strcmp(text, "0")
               ? VOX_OK
               : bad_value(c, key, text, "true or false");
}

/* What the value before must have as many channels as, where the line says so. */
static vox_status check_channels(const context *c, const char *key) {
    int64_t channels = c->shape[0];
    vox_status status = get_integer(c, key, &channels);
    if (!status && channels != c->shape[0])
        return vox_fail(c->err, VOX_ERR_WEIGHTS,
                        "%s:%d: %s: %s=%lld: the value before has %lld "
                        "channels",
                        c->model->path, c->line->number, c->line->kind->name, key,
                        (long long)channels, (long long)c->shape[0]);
    return status;
}

/* ---- Weights ---- */

/* NAME.leaf of the weights file, of that shape; rank 5 or 2 or 1. */
static vox_tensor *get_tensor(const context *c, const char *leaf, int rank, const int64_t *shape) {
    char name[1024], has[VOX_SHAPE_TEXT], needs[VOX_SHAPE_TEXT];
    if (c->line->word_count == 0 || strchr(c->line->word[0], '=')) {
        fail(c, "a name is missing: that of the layer in the state_dict");
        return NULL;
    }
    snprintf(name, sizeof name, "%s%.500s.%s", c->content->prefix, c->line->word[0], leaf);
    vox_tensor *t = vox_weights_get(c->content->weights, name, c->err);
    if (!t)
        return NULL;
    bool fits = t->rank == rank;
    for (int i = 0; i < rank && fits; i++)
        fits = t->shape[i] == shape[i];
    if (fits)
        return t;
    vox_fail(c->err, VOX_ERR_WEIGHTS, "%s: array '%s' has shape %s: line %d of %s needs %s",
             vox_weights_path(c->content->weights), name, vox_shape_text(t->rank, t->shape, has),
             c->line->number, c->model->path, vox_shape_text(rank, shape, needs));
    vox_tensor_free(t);
    return NULL;
}

/* The weight and, where `with_bias`, the bias of a layer: from the file, or torch's initial ones.
 */
static vox_status get_weights(const context *c, int rank, const int64_t *shape, int64_t fan_in,
                              int64_t outputs, bool with_bias, vox_tensor **weight,
                              vox_tensor **bias) {
    *bias = NULL;
    if (c->content->weights) {
        *weight = get_tensor(c, "weight", rank, shape);
        if (*weight && with_bias)
            *bias = get_tensor(c, "bias", 1, &outputs);
    } else {
        *weight = vox_tensor_new(rank, shape, c->err);
        if (*weight && with_bias)
            *bias = vox_tensor_new(1, &outputs, c->err);
        if (*weight && (*bias || !with_bias))
            vox_init_reset_parameters(c->random, (double)fan_in, (*weight)->data, (*weight)->count,
                                      *bias ? (*bias)->data : NULL, *bias ? outputs : 0);
    }
    if (*weight && (*bias || !with_bias))
        return VOX_OK;
    vox_tensor_free(*weight);
    return c->err->status;
}

/* ---- Layers ---- */

static vox_status add_input(context *c) {
    (void)c;
    return VOX_OK;
}

static vox_status get_padding(const context *c, vox_conv3d *conv) {
    static const char *const modes[] = {"zeros", "reflect", "replicate", "circular"};
    const char *text = value_of(c->line, "padding"), *mode = value_of(c->line, "padding_mode");
    if (text && !strcmp(text, "same")) {
        conv->padding = VOX_PADDING_SAME;
    } else if (text && strcmp(text, "valid") != 0) {
        if (!three_numbers(text, conv->padding_before))
            return bad_value(c, "padding", text, "same, valid, a number or three as D,H,W");
        memcpy(conv->padding_after, conv->padding_before, sizeof conv->padding_after);
    }
    for (int i = 0; mode && i < 4; i++)
        if (!strcmp(mode, modes[i])) {
            conv->padding_mode = (vox_padding_mode)i;
            mode = NULL;
        }
    return mode ? bad_value(c, "padding_mode", mode, "zeros, reflect, replicate or circular")
                : VOX_OK;
}

static vox_status add_conv3d(context *c) {
    vox_conv3d conv;
    vox_tensor *weight, *bias;
    bool with_bias = true;
    vox_conv3d_defaults(&conv);
    conv.in_channels = c->shape[0];
    conv.out_channels = 0;
    vox_status status = check_channels(c, "in_channels");
    if (!status)
        status = get_integer(c, "out_channels", &conv.out_channels);
    if (!status)
        status = get_integer(c, "groups", &conv.groups);
    if (!status)
        status = get_triple(c, "kernel_size", conv.kernel_size);
    if (!status)
        status = get_triple(c, "stride", conv.stride);
    if (!status)
        status = get_triple(c, "dilation", conv.dilation);
    if (!status)
        status = get_padding(c, &conv);
    if (!status)
        status = get_bool(c, "bias", &with_bias);
    if (status)
        return status;
    if (conv.out_channels < 1 || !value_of(c->line, "kernel_size"))
        return fail(c, "out_channels and kernel_size must be given");
    if (conv.groups < 1 || conv.in_channels % conv.groups)
        return fail(c, "groups must divide the channels of the value before");
    const int64_t shape[5] = {conv.out_channels, conv.in_channels / conv.groups,
                              conv.kernel_size[0], conv.kernel_size[1], conv.kernel_size[2]};
    int64_t fan_in;
    if (!vox_product(shape + 1, 4, &fan_in))
        return fail(c, "more weights than memory");
    status = get_weights(c, 5, shape, fan_in, conv.out_channels, with_bias, &weight, &bias);
    if (status)
        return status;
    status = vox_network_conv3d(c->network, &conv, weight->data, bias ? bias->data : NULL, c->err);
    vox_tensor_free(weight);
    vox_tensor_free(bias);
    return status;
}

/* In eval mode; fresh from torch it has mean 0, variance 1, weight 1 and bias 0. */
static vox_status add_batchnorm3d(context *c) {
    static const char *const leaves[] = {"running_mean", "running_var", "weight", "bias"};
    vox_tensor *t[4] = {NULL};
    const int64_t channels = c->shape[0];
    double eps = 1e-5;
    bool affine = true;
    vox_status status = check_channels(c, "num_features");
    if (!status)
        status = get_real(c, "eps", &eps);
    if (!status)
        status = get_bool(c, "affine", &affine);
    for (int i = 0; i < (affine ? 4 : 2) && !status; i++) {
        t[i] = c->content->weights ? get_tensor(c, leaves[i], 1, &channels)
                                   : vox_tensor_new(1, &channels, c->err);
        if (!t[i])
            status = c->err->status;
        for (int64_t k = 0; !status && !c->content->weights && k < channels; k++)
            t[i]->data[k] = i == 1 || i == 2 ? 1 : 0;
    }
    if (!status)
        status = vox_network_batchnorm3d(c->network, channels, t[0]->data, t[1]->data,
                                         t[2] ? t[2]->data : NULL, t[3] ? t[3]->data : NULL, eps,
                                         c->err);
    for (int i = 0; i < 4; i++)
        vox_tensor_free(t[i]);
    return status;
}

/* The kind's keys are the function's parameters, in their order. */
static vox_status add_activation(context *c) {
    const kind *k = c->line->kind;
    double parameter[2];
    vox_activation_defaults(k->activation, parameter);
    if (k->activation == VOX_ACT_CLIP) { /* hardtanh */
        parameter[0] = -1;
        parameter[1] = 1;
    }
    const char *keys = k->keys;
    for (int i = 0; *keys; i++) {
        char key[32];
        const int length = (int)strcspn(keys, " ");
        snprintf(key, sizeof key, "%.*s", length, keys);
        const vox_status status = get_real(c, key, &parameter[i]);
        if (status)
            return status;
        keys += length + 1;
    }
    return vox_network_activation(c->network, k->activation, parameter, c->err);
}

static vox_status add_softmax(context *c) {
    int64_t dim = 1;
    vox_status status = get_integer(c, "dim", &dim);
    if (!status && dim != 1)
        return fail(c, "dim must be 1, the channels");
    return status ? status : vox_network_activation(c->network, VOX_ACT_SOFTMAX, NULL, c->err);
}

static vox_status add_pool(context *c, bool average) {
    vox_pool3d p;
    vox_pool3d_defaults(&p);
    p.average = average;
    vox_status status = get_triple(c, "kernel_size", p.kernel_size);
    memcpy(p.stride, p.kernel_size, sizeof p.stride); /* torch's default */
    if (!status)
        status = get_triple(c, "stride", p.stride);
    if (!status)
        status = get_triple(c, "padding", p.padding_before);
    memcpy(p.padding_after, p.padding_before, sizeof p.padding_after);
    if (!status && !average)
        status = get_triple(c, "dilation", p.dilation);
    if (!status)
        status = get_bool(c, "ceil_mode", &p.ceil_mode);
    if (!status && average)
        status = get_bool(c, "count_include_pad", &p.count_include_pad);
    if (!status && !value_of(c->line, "kernel_size"))
        return fail(c, "kernel_size must be given");
    return status ? status : vox_network_pool3d(c->network, &p, c->err);
}

static vox_status add_maxpool3d(context *c) {
    return add_pool(c, false);
}

static vox_status add_avgpool3d(context *c) {
    return add_pool(c, true);
}

static vox_status add_nothing(context *c) {
    (void)c;
    return VOX_OK;
}

/* ---- Values by name ---- */

static vox_status add_save(context *c) {
    c->saved[c->saved_count++] = (struct saved){c->line->word[0], vox_network_value(c->network)};
    return VOX_OK;
}

/* The value last saved under the name of word i; "." is the current one. */
static vox_status find_saved(const context *c, int i, int *value) {
    const char *name = c->line->word[i];
    *value = vox_network_value(c->network);
    if (!strcmp(name, "."))
        return VOX_OK;
    for (int k = c->saved_count; k-- > 0;)
        if (!strcmp(name, c->saved[k].name)) {
            *value = c->saved[k].value;
            return VOX_OK;
        }
    return vox_fail(c->err, VOX_ERR_WEIGHTS, "%s:%d: %s %.60s: nothing was saved under that name",
                    c->model->path, c->line->number, c->line->kind->name, name);
}

static vox_status add_from(context *c) {
    int value;
    vox_status status = find_saved(c, 0, &value);
    return status ? status : vox_network_select(c->network, value, c->err);
}

static vox_status add_join(context *c, vox_join op) {
    int value;
    vox_status status = find_saved(c, 0, &value);
    return status ? status
                  : vox_network_join(c->network, op, vox_network_value(c->network), value, c->err);
}

static vox_status add_add(context *c) {
    return add_join(c, VOX_JOIN_ADD);
}

static vox_status add_mul(context *c) {
    return add_join(c, VOX_JOIN_MUL);
}

static vox_status add_cat(context *c) {
    int values[MOST_WORDS], count = c->line->word_count;
    for (int i = 0; i < count; i++) {
        const vox_status status = find_saved(c, i, &values[i]);
        if (status)
            return status;
    }
    return vox_network_concat(c->network, count, values, c->err);
}

/* ---- The file ---- */

#define LAYER(text, least_words, most_words, key_list, function)                                   \
    { .name = text, .least = least_words, .most = most_words, .keys = key_list, .add = function }
#define ACTIVATION(text, number, key_list)                                                         \
    { .name = text, .most = 1, .keys = key_list, .add = add_activation, .activation = number }
static const kind kinds[] = {
    LAYER("input", 0, 0, "channels size ", add_input),
    LAYER("conv3d", 0, 1,
          "in_channels out_channels kernel_size stride padding padding_mode dilation groups bias ",
          add_conv3d),
    LAYER("batchnorm3d", 0, 1, "num_features eps affine ", add_batchnorm3d),
    ACTIVATION("relu", VOX_ACT_RELU, ""),
    ACTIVATION("leaky_relu", VOX_ACT_LEAKY_RELU, "negative_slope "),
    ACTIVATION("elu", VOX_ACT_ELU, "alpha "),
    ACTIVATION("selu", VOX_ACT_SELU, ""),
    ACTIVATION("gelu", VOX_ACT_GELU, ""),
    ACTIVATION("gelu_tanh", VOX_ACT_GELU_TANH, ""),
    ACTIVATION("sigmoid", VOX_ACT_SIGMOID, ""),
    ACTIVATION("hardsigmoid", VOX_ACT_HARDSIGMOID, ""),
    ACTIVATION("hardswish", VOX_ACT_HARDSWISH, ""),
    ACTIVATION("silu", VOX_ACT_SILU, ""),
    ACTIVATION("tanh", VOX_ACT_TANH, ""),
    ACTIVATION("softplus", VOX_ACT_SOFTPLUS, "beta threshold "),
    ACTIVATION("mish", VOX_ACT_MISH, ""),
    ACTIVATION("softsign", VOX_ACT_SOFTSIGN, ""),
    ACTIVATION("hardtanh", VOX_ACT_CLIP, "min_val max_val "),
    LAYER("softmax", 0, 1, "dim ", add_softmax),
    LAYER("maxpool3d", 0, 1, "kernel_size stride padding dilation ceil_mode ", add_maxpool3d),
    LAYER("avgpool3d", 0, 1, "kernel_size stride padding ceil_mode count_include_pad ",
          add_avgpool3d),
    LAYER("dropout", 0, 1, "p ", add_nothing),
    LAYER("dropout3d", 0, 1, "p ", add_nothing),
    LAYER("identity", 0, 1, "", add_nothing),
    LAYER("save", 1, 1, "", add_save),
    LAYER("from", 1, 1, "", add_from),
    LAYER("add", 1, 1, "", add_add),
    LAYER("mul", 1, 1, "", add_mul),
    LAYER("cat", 1, MOST_WORDS, "", add_cat),
};

static const kind *find_kind(const char *word) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(word, kinds[i].name))
            return &kinds[i];
    return NULL;
}

/* Whether KEY=VALUE is one of the kind's. */
static bool key_known(const kind *k, const char *word) {
    const size_t length = strcspn(word, "=");
    for (const char *key = k->keys; key && *key; key = strchr(key, ' ') + 1)
        if (!strncmp(key, word, length) && key[length] == ' ')
            return true;
    return false;
}

/* Whether an earlier word has the same key. */
static bool key_repeated(const line *l, int i) {
    const size_t length = strcspn(l->word[i], "=") + 1;
    for (int k = 0; k < i; k++)
        if (!strncmp(l->word[k], l->word[i], length))
            return true;
    return false;
}

static vox_status check_line(const vox_model *m, const line *l, const char *first, vox_error *err) {
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
static vox_status cut_line(const vox_model *m, char **text, int number, line *l, vox_error *err) {
    char *words = strsep(text, "\n"), *word, *first = NULL;
    words[strcspn(words, "#\r")] = '\0';
    *l = (line){.number = number};
    while ((word = strsep(&words, " \t"))) {
        if (!*word)
            continue;
        if (!first) {
            first = word;
            l->kind = find_kind(word);
        } else if (l->word_count == MOST_WORDS) {
            return vox_fail(err, VOX_ERR_WEIGHTS, "%s:%d: more than %d words", m->path, number,
                            MOST_WORDS);
        } else {
            l->word[l->word_count++] = word;
        }
    }
    if (!first)
        l->number = 0; /* an empty line */
    return first ? check_line(m, l, first, err) : VOX_OK;
}

static vox_status read_lines(vox_model *m, content *t, vox_error *err) {
    unsigned char *bytes = NULL;
    int64_t count;
    vox_status status = vox_model_read_file(m->path, &bytes, &count, err);
    if (status)
        return status;
    t->text = vox_alloc(count + 1, 1, "model", err);
    if (t->text)
        memcpy(t->text, bytes, (size_t)count);
    free(bytes);
    int lines = 1;
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
static vox_status read_input(vox_model *m, const content *t, vox_error *err) {
    if (t->count == 0 || strcmp(t->lines[0].kind->name, "input") != 0)
        return vox_fail(err, VOX_ERR_WEIGHTS,
                        "%s: no text network: its first line must be 'input channels=N'", m->path);
    const context c = {.model = m, .content = t, .line = &t->lines[0], .err = err};
    for (int i = 1; i < t->count; i++)
        if (t->lines[i].kind == t->lines[0].kind)
            return vox_fail(err, VOX_ERR_WEIGHTS, "%s:%d: a second input", m->path,
                            t->lines[i].number);
    vox_status status = get_integer(&c, "channels", &m->in_channels);
    return status ? status : get_triple(&c, "size", m->in_size);
}

/* FILE, or FILE:PREFIX where there is no file of that whole name. */
static vox_status open_weights(content *t, const char *spec, vox_error *err) {
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
    content *t = m->content;
    if (!t)
        return;
    vox_weights_free(t->weights);
    free(t->lines);
    free(t->text);
    free(t);
}

static vox_status text_open(vox_model *m, const vox_model_options *o, vox_error *err) {
    content *t = m->content = vox_alloc(1, sizeof *t, "model", err);
    if (!t)
        return VOX_ERR_RESOURCE;
    t->seed = o->seed;
    vox_status status = read_lines(m, t, err);
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
static vox_status say_where(const context *c, const vox_error *local, vox_error *err) {
    if (local->status != VOX_ERR_USAGE)
        return vox_fail(err, local->status, "%s", local->message);
    return vox_fail(err, VOX_ERR_WEIGHTS, "%s:%d: %s", c->model->path, c->line->number,
                    local->message);
}

static vox_status text_build(const vox_model *m, const int64_t in[4], vox_network *n,
                             vox_error *err) {
    const content *t = m->content;
    vox_error local = {0};
    vox_random random;
    context c = {.model = m, .content = t, .network = n, .random = &random, .err = &local};
    vox_random_seed(&random, t->seed);
    c.saved = vox_alloc(t->count, sizeof *c.saved, "model", err);
    if (!c.saved)
        return VOX_ERR_RESOURCE;
    memcpy(c.shape, in, sizeof c.shape);
    for (int i = 0; i < t->count && !local.status; i++) {
        c.line = &t->lines[i];
        if (!c.line->kind->add(&c))
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
