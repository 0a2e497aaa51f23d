/* cli.h - what the files of the command share: a command's description, errors and messages.
 *
 * The command knows the library through voxconv.h alone, as any other program would.
 */
#ifndef VOX_CLI_H
#define VOX_CLI_H

#include "voxconv.h"

#include "cli/options.h"

#include <stdio.h>

/* One command of `voxconv COMMAND`. main.c parses the options into a zeroed block of `size` bytes
 * that `defaults` has filled, and calls `run` with them and the remaining words of the command
 * line. */
typedef struct cli_command {
    const char *name;
    const char *summary;  /* one line, for `voxconv --help` */
    const char *synopsis; /* what follows the name on a usage line */
    const option_row *options;
    size_t size;
    void (*defaults)(void *values);
    vox_status (*run)(const void *values, int operand_count, char **operands, vox_error *err);
} cli_command;

/* All commands; adding one is its file and a row here. */
#define CLI_COMMANDS(ROW) ROW(conv) ROW(run) ROW(augment) ROW(info) ROW(kernel)

#define CLI_DECLARE(name) extern const cli_command name##_command;
CLI_COMMANDS(CLI_DECLARE)

/* Fills err and returns `status`, for `return cli_fail(err, VOX_ERR_..., ...)`. */
vox_status cli_fail(vox_error *err, vox_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* One line "voxconv: ..." on stderr. Control characters, which a file name or an array's name may
 * carry to a terminal, are printed as '?'. */
void cli_message(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same with "warning: ", unless cli_quiet(true) was called. */
void cli_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_quiet(bool quiet);
/* What was printed on stdout counts only when it has arrived. Errors: VOX_ERR_PIPE,
 * VOX_ERR_OUTPUT. */
vox_status cli_flush(vox_error *err);
/* Ends a report on stdout about `output`, which is complete and has its name. Where the report was
 * not made, as `status` and err say, or does not arrive, the message says that the output is. */
vox_status cli_end_report(const char *output, vox_status status, vox_error *err);
/* A NUL-terminated text of a file, control characters as '?'. */
void cli_print_text(const char *text, FILE *to);

/* "1.5 GiB", rounded up: who gives --max-memory what --plan says gives enough. Writes into and
 * returns buf. */
const char *cli_bytes(int64_t bytes, char buf[32]);

/* The one of `count` names that `word` is most likely a slip of, or NULL. */
const char *cli_nearest(const char *word, const char *const *names, int count);

#endif
