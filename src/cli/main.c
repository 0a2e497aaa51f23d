/* main.c - finds the command, parses its options, runs it and turns its status into an exit status.
 */
#include "cli/cli.h"

#include "cli/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMAND_ROW(name) &name##_command,
static const cli_command *const commands[] = {CLI_COMMANDS(COMMAND_ROW)};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static void print_help(void) {
    puts("Usage: voxconv COMMAND [OPTIONS] ...\n"
         "Applies torch's Conv3d, and what follows it, to NIfTI volumes.\n"
         "\nCommands:");
    for (int i = 0; i < COMMAND_COUNT; i++)
        printf("  %-10s%s\n", commands[i]->name, commands[i]->summary);
    puts("\n'voxconv COMMAND --help' lists a command's options, 'man voxconv' says more.\n"
         "  -h, --help      show this help\n"
         "      --version   show version, instruction sets and gzip library");
}

static void print_version(void) {
    printf("voxconv %s\ninstruction set: %s (this machine can run:", VOX_VERSION, vox_isa());
    for (const char *const *name = vox_isa_available(); *name; name++)
        printf(" %s", *name);
    printf(")\ngzip: %s\n", vox_gzip_backend());
}

static void print_command_help(const cli_command *command) {
    printf("Usage: voxconv %s %s\n%s.\n", command->name, command->synopsis, command->summary);
    options_print(command->options);
}

static vox_status call_command(const cli_command *command, int argc, char **argv, vox_error *err) {
    options_outcome outcome = OPTIONS_RUN;
    int first = 0;
    void *values = calloc(1, command->size);
    if (!values)
        return cli_fail(err, VOX_ERR_RESOURCE, "out of memory");
    command->defaults(values);
    vox_status status =
        options_parse(command->name, command->options, argc, argv, values, &outcome, &first, err);
    if (!status && outcome == OPTIONS_HELP)
        print_command_help(command);
    else if (!status && outcome == OPTIONS_VERSION)
        print_version();
    else if (!status)
        status = command->run(values, argc - first, argv + first, err);
    free(values);
    return status;
}

static vox_status unknown_command(const char *word, vox_error *err) {
    const char *names[COMMAND_COUNT];
    for (int i = 0; i < COMMAND_COUNT; i++)
        names[i] = commands[i]->name;
    const char *nearest = cli_nearest(word, names, COMMAND_COUNT);
    if (nearest)
        return cli_fail(err, VOX_ERR_USAGE, "%s: unknown command; did you mean '%s'?", word,
                        nearest);
    return cli_fail(err, VOX_ERR_USAGE, "%s: unknown command; see 'voxconv --help'", word);
}

static vox_status dispatch(int argc, char **argv, vox_error *err) {
    if (argc < 2)
        return cli_fail(err, VOX_ERR_USAGE, "a command is missing; see 'voxconv --help'");
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        print_help();
        return VOX_OK;
    }
    if (!strcmp(argv[1], "--version")) {
        print_version();
        return VOX_OK;
    }
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (!strcmp(argv[1], commands[i]->name))
            return call_command(commands[i], argc - 1, argv + 1, err);
    return unknown_command(argv[1], err);
}

/* A caller may have closed stdin, stdout or stderr, and the next file opened would then be taken
 * for it. Each gets a descriptor that cannot be used in its direction, so that using it is an
 * error. */
static void occupy_standard_descriptors(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/* OpenMP's threads spin for milliseconds while they wait for each other. Where other processes want
 * the same cores - a batch of scans, one process each - that takes the core from the very thread
 * that is waited for; a run was seen to take ten times as long. GCC's library reads its limit from
 * the environment before main, so a process that finds none starts itself once more with a short
 * one. Where that fails the run is only slower. */
static void spin_briefly(char **argv) {
    char path[PATH_MAX];
    if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY"))
        return;
    const ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0 || setenv("GOMP_SPINCOUNT", "2000", 1)) /* about 0.1 ms */
        return;
    path[n] = '\0';
    execv(path, argv);
}

int main(int argc, char **argv) {
    vox_error err = {VOX_OK, ""};
    spin_briefly(argv);
    occupy_standard_descriptors();
    signals_install();
    vox_status status = dispatch(argc, argv, &err);
    vox_error flush_error = {VOX_OK, ""};
    const vox_status flushed = cli_flush(&flush_error);
    if (!status && flushed) {
        status = flushed;
        err = flush_error;
    }
    if (status && status != VOX_ERR_PIPE && err.message[0])
        cli_message("%s", err.message);
    return status;
}
