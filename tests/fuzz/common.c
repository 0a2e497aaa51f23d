/* common.c - see common.h. */
#include "fuzz/common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

fuzz_file fuzz_file_open(const uint8_t *data, size_t size) {
    fuzz_file f = {.fd = memfd_create("fuzz", MFD_CLOEXEC)};
    fuzz_expect(f.fd >= 0 && write(f.fd, data, size) == (ssize_t)size, "a file in memory");
    snprintf(f.path, sizeof f.path, "/proc/self/fd/%d", f.fd);
    return f;
}

void fuzz_file_close(fuzz_file *f) {
    close(f->fd);
}

void fuzz_expect(bool holds, const char *text) {
    if (holds)
        return;
    fprintf(stderr, "fuzz: does not hold: %s\n", text);
    abort();
}

void fuzz_expect_error(vox_status status, const vox_error *err) {
    fuzz_expect(status > VOX_ERR_INTERNAL && status <= VOX_ERR_RESOURCE, "a status of bad input");
    fuzz_expect(err->status == status, "the error has the status that was returned");
    const size_t length = strnlen(err->message, sizeof err->message);
    fuzz_expect(length > 0 && length < sizeof err->message, "a failure says why");
    fuzz_expect(!memchr(err->message, '\n', length), "a message is one line");
}

static void expect_tensor(const vox_tensor *t) {
    int64_t count = 1;
    float sum = 0;
    fuzz_expect(t->rank >= 0 && t->rank <= VOX_MAX_RANK, "0 to 8 axes");
    for (int i = 0; i < t->rank; i++)
        count *= t->shape[i];
    fuzz_expect(count == t->count, "count is the product of the shape");
    for (int64_t i = 0; i < t->count; i++)
        sum += t->data[i]; /* every value is there to be read */
    volatile float keep = sum;
    (void)keep;
}

void fuzz_weights(const uint8_t *data, size_t size) {
    vox_error err = {VOX_OK, ""};
    fuzz_file f = fuzz_file_open(data, size);
    vox_weights *w = vox_weights_open(f.path, &err);
    if (!w)
        fuzz_expect_error(err.status, &err);
    const int count = w ? vox_weights_count(w) : 0;
    /* A zip of 4 kB has up to 80 members. Each may inflate to 4 MB: a few of them tell enough. */
    for (int i = 0; i < count && i < 8; i++) {
        const char *name = vox_weights_name(w, i);
        fuzz_expect(vox_weights_has(w, name), "a listed array is there");
        vox_tensor *t = vox_weights_get(w, name, &err);
        if (t)
            expect_tensor(t);
        else
            fuzz_expect_error(err.status, &err);
        vox_tensor_free(t);
    }
    if (w && !vox_weights_has(w, "no such array")) {
        fuzz_expect(!vox_weights_get(w, "no such array", &err), "a missing array is an error");
        fuzz_expect_error(err.status, &err);
    }
    vox_weights_free(w);
    fuzz_file_close(&f);
}
