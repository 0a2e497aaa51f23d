/* message.c - everything that the command says on stderr, in one form. */
#include "cli/cli.h"

#include "cli/progress.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool quiet_mode;

vox_status cli_fail(vox_error *err, vox_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    err->status = status;
    vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    return status;
}

static void print_clean(FILE *stream, const char *text) {
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        fputc(c < 0x20 || c == 0x7f ? '?' : c, stream);
    }
}

__attribute__((format(printf, 2, 0))) static void say(const char *kind, const char *format,
                                                      va_list arguments) {
    char line[2048];
    vsnprintf(line, sizeof line, format, arguments);
    progress_clear();
    fprintf(stderr, "voxconv: %s", kind);
    print_clean(stderr, line);
    fputc('\n', stderr);
}

void cli_message(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say("", format, arguments);
    va_end(arguments);
}

void cli_warning(const char *format, ...) {
    if (quiet_mode)
        return;
    va_list arguments;
    va_start(arguments, format);
    say("warning: ", format, arguments);
    va_end(arguments);
}

void cli_quiet(bool quiet) {
    quiet_mode = quiet;
}

void cli_print_text(const char *text, FILE *to) {
    print_clean(to, text);
}

const char *cli_bytes(int64_t bytes, char buf[32]) {
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        snprintf(buf, 32, "%d B", (int)bytes);
        return buf;
    }
    double value = (double)bytes / 1024;
    int unit = 0;
    for (; value >= 1024 && unit < 5; unit++)
        value /= 1024;
    snprintf(buf, 32, "%.1f %s", ceil(value * 10) / 10, units[unit]);
    return buf;
}

/* Levenshtein distance, or 99 for words too long to be a slip of one of ours. */
static int distance(const char *a, const char *b) {
    int row[33];
    const int n = (int)strlen(b);
    if (n > 32 || strlen(a) > 32)
        return 99;
    for (int j = 0; j <= n; j++)
        row[j] = j;
    for (int i = 1; a[i - 1]; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[n];
}

const char *cli_nearest(const char *word, const char *const *names, int count) {
    const char *nearest = NULL;
    int least = 3; /* two wrong letters are a slip, more are another word */
    for (int i = 0; i < count; i++) {
        const int d = distance(word, names[i]);
        if (d < least && d < (int)strlen(names[i])) {
            least = d;
            nearest = names[i];
        }
    }
    return nearest;
}

vox_status cli_flush(vox_error *err) {
    const bool failed = ferror(stdout);
    if (!fflush(stdout) && !failed)
        return VOX_OK;
    return cli_fail(err, errno == EPIPE ? VOX_ERR_PIPE : VOX_ERR_OUTPUT, "standard output: %s",
                    strerror(errno));
}

vox_status cli_end_report(const char *output, vox_status status, vox_error *err) {
    vox_error local = {VOX_OK, ""};
    if (status)
        local = *err;
    else
        status = cli_flush(&local);
    return status ? cli_fail(err, status, "%s: complete, but the report of it is not: %s", output,
                             local.message)
                  : VOX_OK;
}
