/* base.h - what every other folder stands on: errors, checked sizes, aligned memory, plane windows.
 */
#ifndef VOX_BASE_H
#define VOX_BASE_H

#include "voxconv.h"

#include <stdio.h>

/* ---- Errors: the one place where a vox_error is filled ---- */

/* Formats the message and returns `status`, so that a failing function ends in
 * `return vox_fail(err, VOX_ERR_..., "...", ...)`. err may be NULL. */
vox_status vox_fail(vox_error *err, vox_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- Sizes: products and sums that cannot wrap ---- */

/* *out = a*b or a+b; false (and *out untouched) where an operand is negative or the result exceeds
 * INT64_MAX. */
bool vox_mul(int64_t a, int64_t b, int64_t *out);
bool vox_add(int64_t a, int64_t b, int64_t *out);
/* *out = product of n extents; false as above. */
bool vox_product(const int64_t *extent, int n, int64_t *out);

/* How many pieces of `unit` cover n (n >= 0, unit > 0). */
static inline int64_t vox_ceil_div(int64_t n, int64_t unit) {
    return (n + unit - 1) / unit;
}
/* The least multiple of `unit` that is >= n. */
static inline int64_t vox_round_up(int64_t n, int64_t unit) {
    return vox_ceil_div(n, unit) * unit;
}
static inline int64_t vox_min(int64_t a, int64_t b) {
    return a < b ? a : b;
}
static inline int64_t vox_max(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* ---- Memory ---- */

enum { VOX_ALIGN = 64 };

/* count * size bytes, zeroed, on a 64-byte border. NULL with VOX_ERR_RESOURCE (message: `what` and
 * the bytes) where the product overflows or memory is short. Freed with free(). */
void *vox_alloc(int64_t count, size_t size, const char *what, vox_error *err);
/* The same without the zeros, for large memory that is about to be written. */
void *vox_alloc_uncleared(int64_t count, size_t size, const char *what, vox_error *err);
/* Room for one more in a list that holds `count` elements of `size` bytes and has room for *room:
 * the list itself, or a larger copy, and the list is freed. NULL with VOX_ERR_RESOURCE, and the
 * list stays. */
void *vox_grow(void *list, int count, int *room, size_t size, const char *what, vox_error *err);
/* A copy of a string, or NULL with VOX_ERR_RESOURCE. */
char *vox_strdup(const char *s, vox_error *err);

/* "1.5 GiB": for messages, rounded up: who asks for the size that a message names gets enough.
 * Writes into and returns buf. */
const char *vox_bytes_text(int64_t bytes, char buf[32]);

/* "(16, 2, 3, 3, 3)", as Python writes it. Returns text. */
enum { VOX_SHAPE_TEXT = VOX_MAX_RANK * 22 + 4 };
const char *vox_shape_text(int rank, const int64_t *shape, char text[VOX_SHAPE_TEXT]);

/* ---- Time ---- */

/* Seconds of a clock that only goes forward. */
double vox_now(void);

/* ---- NaN ---- */

/* The NaN that this machine's own arithmetic makes (0 * infinity). NaN has many bit patterns, and
 * which of two an operation passes on differs between instruction sets; so whoever brings values in
 * turns every NaN into this one, and then there is no other. */
float vox_machine_nan(void);

/* ---- Boxes and plane windows ---- */

/* A part of a volume: indices [from, to) along each of D, H, W. */
typedef struct vox_box {
    int64_t from[3], to[3];
} vox_box;

static inline int64_t vox_box_extent(const vox_box *b, int axis) {
    return b->to[axis] - b->from[axis];
}
static inline int64_t vox_box_voxels(const vox_box *b) {
    return vox_box_extent(b, 0) * vox_box_extent(b, 1) * vox_box_extent(b, 2);
}

/* Where the planes of one level of the network lie in memory: the place that a producer writes its
 * output to and its consumer reads it from. Plane d of channel c, row h starts at vox_plane_row();
 * its `columns` floats are contiguous. Planes d and d + slots share their memory. In floats: */
typedef struct vox_planes {
    float *data; /* slot 0, channel 0, row 0, column 0; slots follow each other */
    int64_t slot_stride;
    float *const *slot; /* or each slot has its own place, and there */
    int64_t origin;     /* channel 0 begins here */
    int64_t slots, channel_stride, row_stride;
    int64_t channels, rows, columns;
} vox_planes;

/* A dense (C, D, H, W) array as planes: a slot for every one. Where the array is const, so are the
 * planes; C has no way to say that of a struct's member. */
static inline vox_planes vox_dense_planes(const float *data, const int64_t n[4]) {
    const union {
        const float *in;
        float *out;
    } pointer = {data};
    return (vox_planes){.data = pointer.out,
                        .slots = n[1],
                        .slot_stride = n[2] * n[3],
                        .channel_stride = n[1] * n[2] * n[3],
                        .row_stride = n[3],
                        .channels = n[0],
                        .rows = n[2],
                        .columns = n[3]};
}

static inline float *vox_plane_row(const vox_planes *p, int64_t channel, int64_t d, int64_t row) {
    const int64_t slot = d % p->slots;
    return (p->slot ? p->slot[slot] + p->origin : p->data + slot * p->slot_stride) +
           channel * p->channel_stride + row * p->row_stride;
}

/* Copies planes [d, d + count) of all channels of `to`, which `from` has in the same extents. */
void vox_copy_planes(const vox_planes *to, const vox_planes *from, int64_t d, int64_t count);

#endif
