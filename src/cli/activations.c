/* activations.c - the value of --activation: a name of torch's, then the function's parameters. */
#include "cli/conv_options.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    vox_activation kind;
} names[] = {
    {"relu", VOX_ACT_RELU},
    {"relu6", VOX_ACT_CLIP},
    {"leaky_relu", VOX_ACT_LEAKY_RELU},
    {"elu", VOX_ACT_ELU},
    {"selu", VOX_ACT_SELU},
    {"gelu", VOX_ACT_GELU},
    {"gelu_tanh", VOX_ACT_GELU_TANH},
    {"sigmoid", VOX_ACT_SIGMOID},
    {"hardsigmoid", VOX_ACT_HARDSIGMOID},
    {"hardswish", VOX_ACT_HARDSWISH},
    {"silu", VOX_ACT_SILU},
    {"tanh", VOX_ACT_TANH},
    {"softplus", VOX_ACT_SOFTPLUS},
    {"mish", VOX_ACT_MISH},
    {"softsign", VOX_ACT_SOFTSIGN},
    {"clip", VOX_ACT_CLIP},
    {"erf", VOX_ACT_ERF},
    {"exp", VOX_ACT_EXP},
    {"log", VOX_ACT_LOG},
    {"sqrt", VOX_ACT_SQRT},
    {"abs", VOX_ACT_ABS},
    {"neg", VOX_ACT_NEG},
    {"reciprocal", VOX_ACT_RECIPROCAL},
    {"softmax", VOX_ACT_SOFTMAX},
    {"log_softmax", VOX_ACT_LOG_SOFTMAX},
};

enum { NAMES = sizeof names / sizeof names[0] };

static void list_names(char reason[OPTION_REASON]) {
    int at = snprintf(reason, OPTION_REASON, "must be %s", names[0].name);
    for (int i = 1; i < NAMES && at < OPTION_REASON; i++)
        at += snprintf(reason + at, (size_t)(OPTION_REASON - at), "%s%s",
                       i < NAMES - 1 ? ", " : " or ", names[i].name);
}

/* A[,B] over the defaults, at most `count` numbers. */
static bool read_numbers(const char *text, int count, double parameter[2]) {
    char word[2][32] = {"", ""};
    const size_t first = strcspn(text, ",");
    const char *second = text[first] ? text + first + 1 : NULL;
    if (first >= sizeof word[0] || (second && strlen(second) >= sizeof word[1]) ||
        (second && count < 2))
        return false;
    memcpy(word[0], text, first);
    if (second)
        strcpy(word[1], second);
    return parse_real(word[0], &parameter[0]) && (!second || parse_real(word[1], &parameter[1]));
}

bool set_activation(const option_row *row, const char *value, void *field, char *reason) {
    (void)row;
    const size_t length = strcspn(value, ":");
    int i = 0;
    while (i < NAMES &&
           (strlen(names[i].name) != length || strncmp(value, names[i].name, length) != 0))
        i++;
    if (i == NAMES) {
        list_names(reason);
        return false;
    }
    activation_option a = {.given = true, .kind = names[i].kind};
    int count = vox_activation_defaults(a.kind, a.parameter);
    if (!strcmp(names[i].name, "relu6")) {
        a.parameter[0] = 0;
        a.parameter[1] = 6;
        count = 0;
    }
    if (value[length] && count == 0) {
        snprintf(reason, OPTION_REASON, "%s takes no number", names[i].name);
        return false;
    }
    if (value[length] && !read_numbers(value + length + 1, count, a.parameter)) {
        snprintf(reason, OPTION_REASON, "%.80s: must be a number%s", value + length + 1,
                 count > 1 ? ", or two as A,B" : "");
        return false;
    }
    *(activation_option *)field = a;
    return true;
}
