/* fuzz_options.c - command lines: words that end at NUL or newline, the first one a command. */
#include "cli/cli.h"
#include "cli/conv_options.h"
#include "fuzz/common.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define ROW(name) &name##_command,
static const cli_command *const commands[] = {CLI_COMMANDS(ROW)};

static void parse(const cli_command *c, int argc, char **argv) {
    vox_error err = {VOX_OK, ""};
    options_outcome outcome;
    int first = -1;
    void *values = calloc(1, c->size);
    fuzz_expect(values != NULL, "memory for the values");
    c->defaults(values);
    optind = 0; /* getopt_long starts anew */
    vox_status status =
        options_parse(c->name, c->options, argc, argv, values, &outcome, &first, &err);
    if (!status && outcome == OPTIONS_RUN) {
        fuzz_expect(first >= 1 && first <= argc, "operands are words of the command line");
        if (c == &conv_command)
            status = conv_options_check(values, argc - first, &err);
    }
    if (status)
        fuzz_expect(status == VOX_ERR_USAGE, "a bad command line is a usage error");
    if (status)
        fuzz_expect(err.status == status && *err.message, "a failure says why");
    free(values);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { MOST_WORDS = 64 };
    char *argv[MOST_WORDS + 1], *text = malloc(size + 1);
    int argc = 0;
    fuzz_expect(text != NULL, "memory for the words");
    memcpy(text, data, size);
    text[size] = '\0';
    for (char *word = text; word < text + size && argc < MOST_WORDS; word += strlen(word) + 1) {
        word[strcspn(word, "\n")] = '\0';
        argv[argc++] = word;
    }
    argv[argc] = NULL;
    for (size_t i = 0; argc > 0 && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[0], commands[i]->name) == 0)
            parse(commands[i], argc, argv);
    free(text);
    return 0;
}
