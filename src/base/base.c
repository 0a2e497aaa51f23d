/* base.c - errors, checked sizes, aligned memory. */
#include "base/base.h"

#include <time.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

vox_status vox_fail(vox_error *err, vox_status status, const char *format, ...) {
    if (err) {
        err->status = status;
        va_list args;
        va_start(args, format);
        vsnprintf(err->message, sizeof err->message, format, args);
        va_end(args);
        /* Names and values come from files: one failure stays one line. */
        for (char *c = err->message; *c; c++)
            if ((unsigned char)*c < 0x20 || *c == 0x7f)
                *c = '?';
    }
    return status;
}

bool vox_mul(int64_t a, int64_t b, int64_t *out) {
    int64_t r;
    if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}

bool vox_add(int64_t a, int64_t b, int64_t *out) {
    int64_t r;
    if (a < 0 || b < 0 || __builtin_add_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}

bool vox_product(const int64_t *extent, int n, int64_t *out) {
    int64_t r = 1;
    for (int i = 0; i < n; i++)
        if (!vox_mul(r, extent[i], &r))
            return false;
    *out = r;
    return true;
}

void *vox_alloc_uncleared(int64_t count, size_t size, const char *what, vox_error *err) {
    int64_t bytes, padded;
    if (!vox_mul(count, (int64_t)size, &bytes) || !vox_add(bytes, VOX_ALIGN, &padded)) {
        vox_fail(err, VOX_ERR_RESOURCE, "%s: %lld items of %zu bytes exceed the address space",
                 what, (long long)count, size);
        return NULL;
    }
    void *p = aligned_alloc(VOX_ALIGN, (size_t)vox_round_up(bytes ? bytes : 1, VOX_ALIGN));
    if (!p) {
        char text[32];
        vox_fail(err, VOX_ERR_RESOURCE, "%s: out of memory (%s wanted)", what,
                 vox_bytes_text(bytes, text));
        return NULL;
    }
    return p;
}

void *vox_alloc(int64_t count, size_t size, const char *what, vox_error *err) {
    void *p = vox_alloc_uncleared(count, size, what, err);
    return p ? memset(p, 0, (size_t)count * size) : NULL;
}

char *vox_strdup(const char *s, vox_error *err) {
    char *copy = strdup(s);
    if (!copy)
        vox_fail(err, VOX_ERR_RESOURCE, "%s: out of memory", s);
    return copy;
}

const char *vox_bytes_text(int64_t bytes, char buf[32]) {
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double v = (double)bytes;
    int u = 0;
    while (v >= 1024 && u < 5) {
        v /= 1024;
        u++;
    }
    snprintf(buf, 32, u ? "%.1f %s" : "%.0f %s", u ? ceil(v * 10) / 10 : v, unit[u]);
    return buf;
}

float vox_machine_nan(void) {
    volatile float infinity = INFINITY;
    return 0 * infinity;
}

void vox_copy_planes(const vox_planes *to, const vox_planes *from, int64_t d, int64_t count) {
    for (int64_t c = 0; c < to->channels; c++)
        for (int64_t p = d; p < d + count; p++)
            for (int64_t r = 0; r < to->rows; r++)
                memcpy(vox_plane_row(to, c, p, r), vox_plane_row(from, c, p, r),
                       (size_t)to->columns * sizeof(float));
}

void *vox_grow(void *list, int count, int *room, size_t size, const char *what, vox_error *err) {
    if (count < *room)
        return list;
    const int more = 2 * *room + 4;
    void *larger = vox_alloc(more, size, what, err);
    if (!larger)
        return NULL;
    if (count > 0)
        memcpy(larger, list, (size_t)count * size);
    free(list);
    *room = more;
    return larger;
}

double vox_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

const char *vox_shape_text(int rank, const int64_t *shape, char text[VOX_SHAPE_TEXT]) {
    int at = snprintf(text, VOX_SHAPE_TEXT, "(");
    for (int i = 0; i < rank; i++)
        at += snprintf(text + at, (size_t)(VOX_SHAPE_TEXT - at), "%s%lld", i ? ", " : "",
                       (long long)shape[i]);
    snprintf(text + at, (size_t)(VOX_SHAPE_TEXT - at), rank == 1 ? ",)" : ")");
    return text;
}
