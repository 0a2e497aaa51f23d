/* text_layers.c - the words of text networks: what each adds to a network, and with which weights.
 * Names and defaults are those of torch.nn: https://pytorch.org/docs/stable/nn.html */
#include "model/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static vox_status fail(const vox_text_context *c, const char *what) {
    return vox_fail(c->err, VOX_ERR_WEIGHTS, "%s:%d: %s: %s", c->model->path, c->line->number,
                    c->line->kind->name, what);
}

/* ---- Words ---- */

/* The value of KEY=VALUE, or NULL. */
static const char *value_of(const vox_text_line *l, const char *key) {
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

static vox_status bad_value(const vox_text_context *c, const char *key, const char *text,
                            const char *must) {
    return vox_fail(c->err, VOX_ERR_WEIGHTS, "%s:%d: %s: %s=%.60s: must be %s", c->model->path,
                    c->line->number, c->line->kind->name, key, text, must);
}

/* Each of these leaves *value alone where the key is missing. */
vox_status vox_text_triple(const vox_text_context *c, const char *key, int64_t value[3]) {
    const char *text = value_of(c->line, key);
    if (!text || three_numbers(text, value))
        return VOX_OK;
    return bad_value(c, key, text, "a whole number or three as D,H,W");
}

vox_status vox_text_integer(const vox_text_context *c, const char *key, int64_t *value) {
    const char *text = value_of(c->line, key);
    if (!text || whole_number(text, '\0', value))
        return VOX_OK;
    return bad_value(c, key, text, "a whole number");
}

static vox_status get_real(const vox_text_context *c, const char *key, double *value) {
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

static vox_status get_bool(const vox_text_context *c, const char *key, bool *value) {
    const char *text = value_of(c->line, key);
    if (!text)
        return VOX_OK;
    *value = !strcmp(text, "true") || !strcmp(text, "1");
    return *value || !strcmp(text, "false") || !strcmp(text, "0")
               ? VOX_OK
               : bad_value(c, key, text, "true or false");
}

/* What the value before must have as many channels as, where the line says so. */
static vox_status check_channels(const vox_text_context *c, const char *key) {
    int64_t channels = c->shape[0];
    vox_status status = vox_text_integer(c, key, &channels);
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
static vox_tensor *get_tensor(const vox_text_context *c, const char *leaf, int rank,
                              const int64_t *shape) {
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
static vox_status get_weights(const vox_text_context *c, int rank, const int64_t *shape,
                              int64_t fan_in, int64_t outputs, bool with_bias, vox_tensor **weight,
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

static vox_status add_input(vox_text_context *c) {
    (void)c;
    return VOX_OK;
}

static vox_status get_padding(const vox_text_context *c, vox_conv3d *conv) {
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

static vox_status add_conv3d(vox_text_context *c) {
    vox_conv3d conv;
    vox_tensor *weight, *bias;
    bool with_bias = true;
    vox_conv3d_defaults(&conv);
    conv.in_channels = c->shape[0];
    conv.out_channels = 0;
    vox_status status = check_channels(c, "in_channels");
    if (!status)
        status = vox_text_integer(c, "out_channels", &conv.out_channels);
    if (!status)
        status = vox_text_integer(c, "groups", &conv.groups);
    if (!status)
        status = vox_text_triple(c, "kernel_size", conv.kernel_size);
    if (!status)
        status = vox_text_triple(c, "stride", conv.stride);
    if (!status)
        status = vox_text_triple(c, "dilation", conv.dilation);
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
static vox_status add_batchnorm3d(vox_text_context *c) {
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
        for (int64_t k = 0; t[i] && !c->content->weights && k < channels; k++)
            t[i]->data[k] = i == 1 || i == 2 ? 1 : 0;
    }
    if (t[0] && t[1] && !status)
        status = vox_network_batchnorm3d(c->network, channels, t[0]->data, t[1]->data,
                                         t[2] ? t[2]->data : NULL, t[3] ? t[3]->data : NULL, eps,
                                         c->err);
    for (int i = 0; i < 4; i++)
        vox_tensor_free(t[i]);
    return status;
}

/* The kind's keys are the function's parameters, in their order. */
static vox_status add_activation(vox_text_context *c) {
    const vox_text_kind *k = c->line->kind;
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

/* torch's default eps, and NAME.weight and NAME.bias, at first 1 and 0, where `affine`. */
static vox_status add_norm(vox_text_context *c, int64_t groups, bool affine) {
    const int64_t channels = c->shape[0];
    vox_tensor *weight = NULL, *bias = NULL;
    double eps = 1e-5;
    vox_status status = get_real(c, "eps", &eps);
    if (!status)
        status = get_bool(c, "affine", &affine);
    if (!status && affine) {
        const bool given = c->content->weights;
        weight =
            given ? get_tensor(c, "weight", 1, &channels) : vox_tensor_new(1, &channels, c->err);
        for (int64_t i = 0; weight && i < channels && !given; i++)
            weight->data[i] = 1;
        if (weight)
            bias =
                given ? get_tensor(c, "bias", 1, &channels) : vox_tensor_new(1, &channels, c->err);
        status = bias ? VOX_OK : c->err->status;
    }
    if (!status)
        status = vox_network_group_norm(c->network, groups, channels, weight ? weight->data : NULL,
                                        bias ? bias->data : NULL, eps, c->err);
    vox_tensor_free(weight);
    vox_tensor_free(bias);
    return status;
}

static vox_status add_instancenorm3d(vox_text_context *c) {
    const vox_status status = check_channels(c, "num_features");
    return status ? status : add_norm(c, c->shape[0], false);
}

static vox_status add_groupnorm(vox_text_context *c) {
    int64_t groups = 0;
    vox_status status = check_channels(c, "num_channels");
    if (!status)
        status = vox_text_integer(c, "num_groups", &groups);
    if (!status && groups < 1)
        return fail(c, "num_groups must be given, and 1 or more");
    return status ? status : add_norm(c, groups, true);
}

static vox_status add_prelu(vox_text_context *c) {
    int64_t count = 1;
    vox_status status = vox_text_integer(c, "num_parameters", &count);
    vox_tensor *slope = NULL;
    if (status)
        return status;
    if (count != 1 && count != c->shape[0])
        return fail(c, "num_parameters must be 1 or the channels of the value before");
    slope = c->content->weights ? get_tensor(c, "weight", 1, &count)
                                : vox_tensor_new(1, &count, c->err);
    if (!slope)
        return c->err->status;
    for (int64_t i = 0; i < count && !c->content->weights; i++)
        slope->data[i] = 0.25f; /* torch's */
    status = vox_network_prelu(c->network, count, slope->data, c->err);
    vox_tensor_free(slope);
    return status;
}

/* output_size, bare or with its name. */
static vox_status add_adaptive(vox_text_context *c, bool average) {
    int64_t size[3] = {0, 0, 0};
    const char *bare = c->line->word_count > 0 ? c->line->word[0] : NULL;
    vox_status status = vox_text_triple(c, "output_size", size);
    if (!status && bare && !strchr(bare, '=') && !three_numbers(bare, size))
        return bad_value(c, "output_size", bare, "a whole number or three as D,H,W");
    if (!status && size[0] < 1)
        return fail(c, "output_size must be given");
    return status ? status : vox_network_adaptive_pool3d(c->network, average, size, c->err);
}

static vox_status add_adaptive_avgpool3d(vox_text_context *c) {
    return add_adaptive(c, true);
}

static vox_status add_adaptive_maxpool3d(vox_text_context *c) {
    return add_adaptive(c, false);
}

static vox_status add_conv_transpose3d(vox_text_context *c) {
    vox_conv_transpose3d conv;
    vox_tensor *weight, *bias;
    bool with_bias = true;
    vox_conv_transpose3d_defaults(&conv);
    conv.in_channels = c->shape[0];
    conv.out_channels = 0;
    const struct {
        const char *key;
        int64_t *value;
    } triples[] = {{"kernel_size", conv.kernel_size},
                   {"stride", conv.stride},
                   {"dilation", conv.dilation},
                   {"padding", conv.padding_before},
                   {"output_padding", conv.output_padding}};
    vox_status status = check_channels(c, "in_channels");
    if (!status)
        status = vox_text_integer(c, "out_channels", &conv.out_channels);
    if (!status)
        status = vox_text_integer(c, "groups", &conv.groups);
    for (size_t i = 0; i < sizeof triples / sizeof *triples && !status; i++)
        status = vox_text_triple(c, triples[i].key, triples[i].value);
    if (!status)
        status = get_bool(c, "bias", &with_bias);
    if (status)
        return status;
    memcpy(conv.padding_after, conv.padding_before, sizeof conv.padding_after);
    if (conv.out_channels < 1 || !value_of(c->line, "kernel_size"))
        return fail(c, "out_channels and kernel_size must be given");
    if (conv.groups < 1 || conv.in_channels % conv.groups || conv.out_channels % conv.groups)
        return fail(c, "groups must divide the channels");
    const int64_t shape[5] = {conv.in_channels, conv.out_channels / conv.groups,
                              conv.kernel_size[0], conv.kernel_size[1], conv.kernel_size[2]};
    int64_t fan_in; /* as torch counts it: of the second extent */
    if (!vox_product(shape + 1, 4, &fan_in))
        return fail(c, "more weights than memory");
    status = get_weights(c, 5, shape, fan_in, conv.out_channels, with_bias, &weight, &bias);
    if (status)
        return status;
    status = vox_network_conv_transpose3d(c->network, &conv, weight->data, bias ? bias->data : NULL,
                                          c->err);
    vox_tensor_free(weight);
    vox_tensor_free(bias);
    return status;
}

static vox_status add_flatten(vox_text_context *c) {
    c->flat = true;
    return VOX_OK;
}

/* Behind flatten, or another linear layer. */
static vox_status add_linear(vox_text_context *c) {
    int64_t in = 1, out = 0, given = 0;
    bool with_bias = true;
    vox_tensor *weight, *bias;
    vox_status status = vox_text_integer(c, "out_features", &out);
    if (!status)
        status = vox_text_integer(c, "in_features", &given);
    if (!status)
        status = get_bool(c, "bias", &with_bias);
    if (status)
        return status;
    if (out < 1)
        return fail(c, "out_features must be given");
    if (!c->flat)
        return fail(c, "takes a flattened value: 'flatten' must come before");
    if (!vox_product(c->shape, 4, &in) || (given > 0 && given != in))
        return vox_fail(c->err, VOX_ERR_WEIGHTS,
                        "%s:%d: linear: in_features=%lld: the value before has %lld",
                        c->model->path, c->line->number, (long long)given, (long long)in);
    const int64_t shape[2] = {out, in};
    status = get_weights(c, 2, shape, in, out, with_bias, &weight, &bias);
    if (status)
        return status;
    status =
        vox_network_linear(c->network, in, out, weight->data, bias ? bias->data : NULL, c->err);
    vox_tensor_free(weight);
    vox_tensor_free(bias);
    return status;
}

/* torch.nn.Upsample: nearest, or trilinear with align_corners. */
static vox_status add_upsample(vox_text_context *c) {
    vox_resize r;
    bool align = false;
    vox_resize_defaults(&r);
    const char *mode = value_of(c->line, "mode"), *factor = value_of(c->line, "scale_factor");
    int64_t scale[3] = {1, 1, 1};
    vox_status status = vox_text_triple(c, "size", r.size);
    if (!status && factor && !three_numbers(factor, scale)) {
        double real = 1;
        status = get_real(c, "scale_factor", &real);
        r.scale[0] = r.scale[1] = r.scale[2] = real;
    } else if (!status) {
        for (int i = 0; i < 3; i++)
            r.scale[i] = (double)scale[i];
    }
    if (!status)
        status = get_bool(c, "align_corners", &align);
    if (status)
        return status;
    if (!factor == !value_of(c->line, "size"))
        return fail(c, "one of size and scale_factor must be given");
    if (mode && !strcmp(mode, "trilinear")) {
        r.mode = VOX_RESIZE_LINEAR;
        r.coordinates = align ? VOX_RESIZE_ALIGN_CORNERS : VOX_RESIZE_HALF_PIXEL;
    } else if ((mode && strcmp(mode, "nearest") != 0) || align) {
        return bad_value(c, "mode", mode ? mode : "nearest",
                         "nearest or trilinear; align_corners goes with trilinear");
    }
    return vox_network_resize3d(c->network, &r, c->err);
}

static vox_status add_pixel_shuffle3d(vox_text_context *c) {
    int64_t factor[3] = {0, 0, 0};
    vox_status status = vox_text_triple(c, "upscale_factor", factor);
    if (!status && factor[0] < 1)
        return fail(c, "upscale_factor must be given");
    return status ? status : vox_network_pixel_shuffle3d(c->network, factor, true, c->err);
}

static vox_status add_softmax(vox_text_context *c) {
    int64_t dim = 1;
    vox_status status = vox_text_integer(c, "dim", &dim);
    if (!status && dim != 1)
        return fail(c, "dim must be 1, the channels");
    if (!status && c->flat && c->shape[1] * c->shape[2] * c->shape[3] > 1)
        return fail(c, "behind flatten and no linear layer is not served");
    return status ? status : vox_network_activation(c->network, VOX_ACT_SOFTMAX, NULL, c->err);
}

static vox_status add_pool(vox_text_context *c, bool average) {
    vox_pool3d p;
    vox_pool3d_defaults(&p);
    p.average = average;
    vox_status status = vox_text_triple(c, "kernel_size", p.kernel_size);
    memcpy(p.stride, p.kernel_size, sizeof p.stride); /* torch's default */
    if (!status)
        status = vox_text_triple(c, "stride", p.stride);
    if (!status)
        status = vox_text_triple(c, "padding", p.padding_before);
    memcpy(p.padding_after, p.padding_before, sizeof p.padding_after);
    if (!status && !average)
        status = vox_text_triple(c, "dilation", p.dilation);
    if (!status)
        status = get_bool(c, "ceil_mode", &p.ceil_mode);
    if (!status && average)
        status = get_bool(c, "count_include_pad", &p.count_include_pad);
    if (!status && !value_of(c->line, "kernel_size"))
        return fail(c, "kernel_size must be given");
    return status ? status : vox_network_pool3d(c->network, &p, c->err);
}

static vox_status add_maxpool3d(vox_text_context *c) {
    return add_pool(c, false);
}

static vox_status add_avgpool3d(vox_text_context *c) {
    return add_pool(c, true);
}

static vox_status add_nothing(vox_text_context *c) {
    (void)c;
    return VOX_OK;
}

/* ---- Values by name ---- */

static vox_status add_save(vox_text_context *c) {
    c->saved[c->saved_count++] =
        (vox_text_saved){c->line->word[0], vox_network_value(c->network), c->flat};
    return VOX_OK;
}

/* The value last saved under the name of word i; "." is the current one. */
static vox_status find_saved(const vox_text_context *c, int i, vox_text_saved *found) {
    const char *name = c->line->word[i];
    *found = (vox_text_saved){name, vox_network_value(c->network), c->flat};
    if (!strcmp(name, "."))
        return VOX_OK;
    for (int k = c->saved_count; k-- > 0;)
        if (!strcmp(name, c->saved[k].name)) {
            *found = c->saved[k];
            return VOX_OK;
        }
    return vox_fail(c->err, VOX_ERR_WEIGHTS, "%s:%d: %s %.60s: nothing was saved under that name",
                    c->model->path, c->line->number, c->line->kind->name, name);
}

static vox_status add_from(vox_text_context *c) {
    vox_text_saved s;
    vox_status status = find_saved(c, 0, &s);
    c->flat = !status && s.flat;
    return status ? status : vox_network_select(c->network, s.value, c->err);
}

static vox_status add_join(vox_text_context *c, vox_join op) {
    vox_text_saved s;
    vox_status status = find_saved(c, 0, &s);
    if (!status && s.flat != c->flat)
        return fail(c, "one of the two is flattened, the other is not");
    return status
               ? status
               : vox_network_join(c->network, op, vox_network_value(c->network), s.value, c->err);
}

static vox_status add_add(vox_text_context *c) {
    return add_join(c, VOX_JOIN_ADD);
}

static vox_status add_mul(vox_text_context *c) {
    return add_join(c, VOX_JOIN_MUL);
}

static vox_status add_cat(vox_text_context *c) {
    int values[VOX_TEXT_WORDS], count = c->line->word_count;
    for (int i = 0; i < count; i++) {
        vox_text_saved s;
        const vox_status status = find_saved(c, i, &s);
        if (status)
            return status;
        if (s.flat)
            return fail(c, "takes volumes, and no flattened value");
        values[i] = s.value;
    }
    return vox_network_concat(c->network, count, values, c->err);
}

/* ---- The words ---- */

#define LAYER(text, least_words, most_words, key_list, function)                                   \
    { .name = text, .least = least_words, .most = most_words, .keys = key_list, .add = function }
/* What does not look where a voxel lies, and so takes flattened values, too. */
#define ANY(text, least_words, most_words, key_list, function)                                     \
    {                                                                                              \
        .name = text, .least = least_words, .most = most_words, .keys = key_list, .add = function, \
        .takes_vector = true                                                                       \
    }
#define VECTOR(text, least_words, most_words, key_list, function)                                  \
    {                                                                                              \
        .name = text, .least = least_words, .most = most_words, .keys = key_list, .add = function, \
        .takes_vector = true, .gives_vector = true                                                 \
    }
#define ACTIVATION(text, number, key_list)                                                         \
    {                                                                                              \
        .name = text, .most = 1, .keys = key_list, .add = add_activation, .activation = number,    \
        .takes_vector = true                                                                       \
    }
static const vox_text_kind kinds[] = {
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
    LAYER("prelu", 0, 1, "num_parameters ", add_prelu),
    ANY("softmax", 0, 1, "dim ", add_softmax),
    LAYER("instancenorm3d", 0, 1, "num_features eps affine ", add_instancenorm3d),
    LAYER("groupnorm", 0, 1, "num_groups num_channels eps affine ", add_groupnorm),
    LAYER("conv_transpose3d", 0, 1,
          "in_channels out_channels kernel_size stride padding output_padding dilation groups "
          "bias ",
          add_conv_transpose3d),
    LAYER("upsample", 0, 1, "size scale_factor mode align_corners ", add_upsample),
    LAYER("pixel_shuffle3d", 0, 1, "upscale_factor ", add_pixel_shuffle3d),
    LAYER("adaptive_avgpool3d", 0, 1, "output_size ", add_adaptive_avgpool3d),
    LAYER("adaptive_maxpool3d", 0, 1, "output_size ", add_adaptive_maxpool3d),
    VECTOR("flatten", 0, 1, "", add_flatten),
    VECTOR("linear", 0, 1, "in_features out_features bias ", add_linear),
    LAYER("maxpool3d", 0, 1, "kernel_size stride padding dilation ceil_mode ", add_maxpool3d),
    LAYER("avgpool3d", 0, 1, "kernel_size stride padding ceil_mode count_include_pad ",
          add_avgpool3d),
    ANY("dropout", 0, 1, "p ", add_nothing),
    LAYER("dropout3d", 0, 1, "p ", add_nothing),
    ANY("identity", 0, 1, "", add_nothing),
    ANY("save", 1, 1, "", add_save),
    ANY("from", 1, 1, "", add_from),
    ANY("add", 1, 1, "", add_add),
    ANY("mul", 1, 1, "", add_mul),
    LAYER("cat", 1, VOX_TEXT_WORDS, "", add_cat),
};

const vox_text_kind *vox_text_find_kind(const char *word) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(word, kinds[i].name))
            return &kinds[i];
    return NULL;
}
