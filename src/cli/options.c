/* options.c - getopt_long and --help, both generated from a command's table of options. */
#include "cli/options.h"

#include "cli/cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Long options return FIRST_LONG + row, short ones their letter. */
enum { FIRST_LONG = 1000, HELP_COLUMN = 32, PAGE_WIDTH = 96 };

static const option_row *find_row(const option_row *rows, int code) {
    if (code >= FIRST_LONG)
        return &rows[code - FIRST_LONG];
    for (int i = 0; rows[i].name; i++)
        if (rows[i].letter && rows[i].letter == code)
            return &rows[i];
    return NULL;
}

/* What getopt_long did not take: `word` is the word of the command line that it stopped at. */
static vox_status unknown_option(const char *command, const option_row *rows, const char *word,
                                 vox_error *err) {
    if (optopt >= FIRST_LONG)
        return cli_fail(err, VOX_ERR_USAGE, "%s: --%s takes no argument", word,
                        rows[optopt - FIRST_LONG].name);
    if (optopt)
        return cli_fail(err, VOX_ERR_USAGE, "-%c: unknown option; see 'voxconv %s --help'", optopt,
                        command);
    const char *names[128];
    int named = 0;
    for (int i = 0; rows[i].name && named < 128; i++)
        names[named++] = rows[i].name;
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    int matches = 0;
    for (int i = 0; i < named; i++)
        matches += !strncmp(names[i], name, strlen(name));
    if (matches > 1)
        return cli_fail(err, VOX_ERR_USAGE,
                        "--%s: could be any of %d options; see 'voxconv %s --help'", name, matches,
                        command);
    const char *nearest = cli_nearest(name, names, named);
    if (nearest)
        return cli_fail(err, VOX_ERR_USAGE, "--%s: unknown option; did you mean --%s?", name,
                        nearest);
    return cli_fail(err, VOX_ERR_USAGE, "--%s: unknown option; see 'voxconv %s --help'", name,
                    command);
}

static vox_status set_value(const option_row *row, const char *value, void *values,
                            vox_error *err) {
    char reason[OPTION_REASON] = "";
    if (row->set(row, value, (char *)values + row->offset, reason))
        return VOX_OK;
    return cli_fail(err, VOX_ERR_USAGE, "--%s %s: %s", row->name, value, reason);
}

vox_status options_parse(const char *command, const option_row *rows, int argc, char **argv,
                         void *values, options_outcome *outcome, int *first_operand,
                         vox_error *err) {
    vox_status status = VOX_OK;
    int count = 0;
    while (rows[count].name)
        count++;
    struct option *longs = calloc((size_t)count + 1, sizeof *longs);
    char *shorts = calloc((size_t)count * 2 + 2, 1);
    if (!longs || !shorts) {
        status = cli_fail(err, VOX_ERR_RESOURCE, "out of memory");
        goto out;
    }
    char *next = shorts;
    *next++ = ':'; /* tells a missing argument from an unknown option */
    for (int i = 0; i < count; i++) {
        longs[i] = (struct option){rows[i].name, rows[i].argument ? required_argument : no_argument,
                                   NULL, FIRST_LONG + i};
        if (rows[i].letter) {
            *next++ = rows[i].letter;
            if (rows[i].argument)
                *next++ = ':';
        }
    }
    opterr = 0;
    *outcome = OPTIONS_RUN;
    int code;
    while ((code = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        const option_row *row = find_row(rows, code == ':' ? optopt : code);
        if (code == ':') {
            status = cli_fail(err, VOX_ERR_USAGE, "--%s: needs an argument (%s)", row->name,
                              row->argument);
            goto out;
        }
        if (code == '?') {
            status = unknown_option(command, rows, argv[optind - 1], err);
            goto out;
        }
        if (!row->set) {
            *outcome = row->letter == 'h' ? OPTIONS_HELP : OPTIONS_VERSION;
            goto out;
        }
        if ((status = set_value(row, optarg, values, err)))
            goto out;
    }
    *first_operand = optind;
out:
    free(longs);
    free(shorts);
    return status;
}

/* `help` from HELP_COLUMN on, broken between words at PAGE_WIDTH. */
static void print_wrapped(const char *help, int column) {
    while (*help) {
        const int word = (int)strcspn(help, " ");
        if (column > HELP_COLUMN && column + 1 + word > PAGE_WIDTH) {
            printf("\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        }
        column += printf("%s%.*s", column > HELP_COLUMN ? " " : "", word, help);
        help += word;
        help += *help == ' ';
    }
    putchar('\n');
}

void options_print(const option_row *rows) {
    const char *group = "";
    for (const option_row *row = rows; row->name; row++) {
        if (strcmp(group, row->group)) {
            group = row->group;
            printf("\n%s:\n", group);
        }
        int column = row->letter ? printf("  -%c, --%s", row->letter, row->name)
                                 : printf("      --%s", row->name);
        if (row->argument)
            column += printf(" %s", row->argument);
        if (column >= HELP_COLUMN - 1) {
            putchar('\n');
            column = 0;
        }
        printf("%*s", HELP_COLUMN - column, "");
        print_wrapped(row->help, HELP_COLUMN);
    }
}
