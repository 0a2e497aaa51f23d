/* common.h - what the fuzz targets share: bytes that have a path, and what holds for every error.
 *
 * A target is a file fuzz_NAME.c with LLVMFuzzerTestOneInput alone. libFuzzer calls it millions of
 * times with bytes of its own making; replay.c, which has all targets under other names, calls it
 * once for each kept file. It must not print, must free everything, and must give the same result
 * for the same bytes.
 */
#ifndef VOX_FUZZ_COMMON_H
#define VOX_FUZZ_COMMON_H

#include "voxconv.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a run may hold (vox_filter_options.max_memory), and what it may put on disk. */
enum { FUZZ_MEMORY = 64 << 20, FUZZ_SPOOL = 16 << 20 };

/* The bytes as a file that lives in memory. `path` names it as long as it is not closed. */
typedef struct fuzz_file {
    int fd;
    char path[32];
} fuzz_file;
fuzz_file fuzz_file_open(const uint8_t *data, size_t size);
void fuzz_file_close(fuzz_file *f);

/* Ends the process, with the text, where `holds` is false: libFuzzer and the replay report it. */
void fuzz_expect(bool holds, const char *text);
/* What voxconv.h promises of every failure: a status that is not our own mistake, and one line. */
void fuzz_expect_error(vox_status status, const vox_error *err);

/* Opens the bytes as a weights file, reads every array, and an array that is not there. */
void fuzz_weights(const uint8_t *data, size_t size);

#endif
