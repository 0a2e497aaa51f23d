/* values.c - option values read strictly: the whole word, in range, or a reason why not. */
#include "cli/options.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool parse_integer(const char *text, int64_t *value) {
    const bool sign = *text == '-' || *text == '+';
    if (text[sign] < '0' || text[sign] > '9') /* strtoll would skip spaces */
        return false;
    char *end;
    errno = 0;
    const long long parsed = strtoll(text, &end, 10);
    if (*end || errno)
        return false;
    *value = parsed;
    return true;
}

bool parse_real(const char *text, double *value) {
    const char *digits = text + (*text == '-' || *text == '+');
    /* Decimal numbers only: strtod would also take "nan", "inf", hexadecimal and leading spaces. */
    if (!*digits || strspn(digits, "0123456789.eE+-") != strlen(digits))
        return false;
    char *end;
    const double parsed = strtod(text, &end);
    if (*end || !isfinite(parsed))
        return false;
    *value = parsed;
    return true;
}

/* Copies the three comma-separated words of `text`, or one word three times. */
static bool split_triple(const char *text, char word[3][32]) {
    for (int i = 0; i < 3; i++) {
        const size_t length = strcspn(text, ",");
        if (length >= sizeof word[i])
            return false;
        memcpy(word[i], text, length);
        word[i][length] = 0;
        text += length;
        if (i == 0 && !*text) {
            strcpy(word[1], word[0]);
            strcpy(word[2], word[0]);
            return true;
        }
        if ((i < 2) != (*text == ','))
            return false;
        text += *text == ',';
    }
    return !*text;
}

bool parse_triple(const char *text, int64_t value[3]) {
    char word[3][32];
    return split_triple(text, word) && parse_integer(word[0], &value[0]) &&
           parse_integer(word[1], &value[1]) && parse_integer(word[2], &value[2]);
}

bool parse_real_triple(const char *text, double value[3]) {
    char word[3][32];
    return split_triple(text, word) && parse_real(word[0], &value[0]) &&
           parse_real(word[1], &value[1]) && parse_real(word[2], &value[2]);
}

static bool in_range(const option_row *row, int64_t value, char *reason) {
    if (value >= row->min && (row->max == 0 || value <= row->max))
        return true;
    snprintf(reason, OPTION_REASON, "must be %" PRId64 " or %s",
             value < row->min ? row->min : row->max, value < row->min ? "more" : "less");
    return false;
}

bool set_flag(const option_row *row, const char *value, void *field, char *reason) {
    (void)row, (void)value, (void)reason;
    *(bool *)field = true;
    return true;
}

bool set_text(const option_row *row, const char *value, void *field, char *reason) {
    (void)row;
    if (!*value) {
        snprintf(reason, OPTION_REASON, "must not be empty");
        return false;
    }
    *(const char **)field = value;
    return true;
}

bool set_integer(const option_row *row, const char *value, void *field, char *reason) {
    int64_t number;
    if (!parse_integer(value, &number)) {
        snprintf(reason, OPTION_REASON, "must be a whole number");
        return false;
    }
    if (!in_range(row, number, reason))
        return false;
    *(int64_t *)field = number;
    return true;
}

bool set_triple(const option_row *row, const char *value, void *field, char *reason) {
    int64_t numbers[3];
    if (!parse_triple(value, numbers)) {
        snprintf(reason, OPTION_REASON, "must be a whole number or three as D,H,W");
        return false;
    }
    for (int axis = 0; axis < 3; axis++)
        if (!in_range(row, numbers[axis], reason))
            return false;
    memcpy(field, numbers, sizeof numbers);
    return true;
}

bool set_lengths(const option_row *row, const char *value, void *field, char *reason) {
    (void)row;
    double numbers[3];
    if (!parse_real_triple(value, numbers) || numbers[0] <= 0 || numbers[1] <= 0 ||
        numbers[2] <= 0) {
        snprintf(reason, OPTION_REASON, "must be a number above 0 or three as D,H,W");
        return false;
    }
    memcpy(field, numbers, sizeof numbers);
    return true;
}

bool set_real(const option_row *row, const char *value, void *field, char *reason) {
    double number;
    if (!parse_real(value, &number) || number < (double)row->min) {
        snprintf(reason, OPTION_REASON, "must be a number of %" PRId64 " or more", row->min);
        return false;
    }
    *(double *)field = number;
    return true;
}

bool set_choice(const option_row *row, const char *value, void *field, char *reason) {
    for (int i = 0; row->choices[i]; i++)
        if (!strcmp(value, row->choices[i])) {
            *(int *)field = i;
            return true;
        }
    int used = snprintf(reason, OPTION_REASON, "must be one of");
    for (int i = 0; row->choices[i] && used < OPTION_REASON; i++)
        used += snprintf(reason + used, (size_t)(OPTION_REASON - used), "%s %s", i ? "," : "",
                         row->choices[i]);
    return false;
}

bool set_bytes(const option_row *row, const char *value, void *field, char *reason) {
    (void)row;
    static const char suffixes[] = "KMGT";
    const size_t length = strlen(value);
    char digits[32];
    double number = 0, unit = 1;
    const char *suffix = length ? strchr(suffixes, value[length - 1]) : NULL;
    if (suffix)
        unit = ldexp(1, 10 * (int)(suffix - suffixes + 1));
    snprintf(digits, sizeof digits, "%.*s", (int)(length - (suffix != NULL)), value);
    /* 2^62 is far above any memory and still exact in both types. */
    if (length >= sizeof digits || !parse_real(digits, &number) || number * unit < 1 ||
        number * unit > 0x1p62) {
        snprintf(reason, OPTION_REASON, "must be a size such as 512M or 1.5G");
        return false;
    }
    *(int64_t *)field = (int64_t)(number * unit);
    return true;
}
