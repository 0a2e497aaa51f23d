/* options.h - one table describes a command's options; parsing and --help both come from it.
 *
 * A row says how an option is written and what it means to a reader, and names the function that
 * reads its value into a field of the command's struct of values. There are no options outside the
 * table.
 */
#ifndef VOX_CLI_OPTIONS_H
#define VOX_CLI_OPTIONS_H

#include "voxconv.h"

enum { OPTION_REASON = 250 };

typedef struct option_row option_row;

/* Reads `value` (NULL for a flag) into `field`. On failure false, and why in `reason`: the rest of
 * a sentence that starts with the option and its value. */
typedef bool option_set(const option_row *row, const char *value, void *field,
                        char reason[OPTION_REASON]);

struct option_row {
    char letter;          /* or 0 */
    const char *name;     /* the long name */
    const char *argument; /* what --help calls its argument; NULL: a flag */
    const char *group;    /* heading in --help; rows of a group stand together */
    const char *help;
    option_set *set;            /* NULL for --help and --version, which options_parse reports */
    size_t offset;              /* of the field in the struct of values */
    int64_t min, max;           /* for numbers; max 0: no limit */
    const char *const *choices; /* for set_choice, NULL-terminated */
};

/* A row of the table of `type`: letter, name, argument, group, help, set, the field of `type`, and
 * then as far as set needs them .min, .max, .choices. */
#define OPTION_ROW(type, ...) OPTION_ROW_(type, __VA_ARGS__, )
#define OPTION_ROW_(type, l, n, a, g, h, s, f, ...)                                                \
    {                                                                                              \
        .letter = l, .name = n, .argument = a, .group = g, .help = h, .set = s,                    \
        .offset = offsetof(type, f), __VA_ARGS__                                                   \
    }

/* The rows that every command's table ends with; a row without a name ends it. */
#define OPTION_GENERAL_ROWS                                                                        \
    {.letter = 'h', .name = "help", .group = "General", .help = "show this help"},                 \
        {.name = "version",                                                                        \
         .group = "General",                                                                       \
         .help = "show version, instruction sets and gzip library"},                               \
    {                                                                                              \
        .name = NULL                                                                               \
    }

typedef enum options_outcome { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_VERSION } options_outcome;

/* Reads argv[1..] into `values`; options and operands may be mixed, `--` ends the options. The
 * operands are moved to the end of argv, *first_operand is the index of the first. A later option
 * wins over an earlier one. Errors: VOX_ERR_USAGE. */
vox_status options_parse(const char *command, const option_row *rows, int argc, char **argv,
                         void *values, options_outcome *outcome, int *first_operand,
                         vox_error *err);

/* Prints the rows under their groups' headings. */
void options_print(const option_row *rows);

/* ---- Values (values.c). The comment names the field's type. ---- */

option_set set_flag;    /* bool */
option_set set_text;    /* const char *, not empty */
option_set set_integer; /* int64_t, min..max */
option_set set_triple;  /* int64_t[3]: N or D,H,W, each min..max */
option_set set_lengths; /* double[3]: X or D,H,W, each finite and > 0 */
option_set set_real;    /* double, finite and >= min */
option_set set_choice;  /* int, the index of the choice */
option_set set_bytes;   /* int64_t: bytes, or with K, M, G, T (powers of 1024): 512M, 1.5G */

/* The pieces that compound values are made of: whole string or false. */
bool parse_integer(const char *text, int64_t *value);
bool parse_real(const char *text, double *value);
/* N (all three) or D,H,W. */
bool parse_triple(const char *text, int64_t value[3]);
bool parse_real_triple(const char *text, double value[3]);

#endif
