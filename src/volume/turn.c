/* turn.c - see turn.h. */
#include "volume/turn.h"

#include <string.h>

vox_turn vox_turn_none(void) {
    return (vox_turn){.axis = {0, 1, 2}};
}

void vox_turn_flip(vox_turn *t, int axis) {
    t->reversed[axis] = !t->reversed[axis];
}

/* A turn by 90 degrees from axis a towards axis b: y[a=i, b=j] = x[a=j, b=n-1-i]. */
void vox_turn_rot90(vox_turn *t, int k, int from, int to) {
    for (; k > 0; k--) {
        const vox_turn x = *t;
        t->axis[from] = x.axis[to];
        t->reversed[from] = !x.reversed[to];
        t->axis[to] = x.axis[from];
        t->reversed[to] = x.reversed[from];
    }
}

bool vox_turn_is_none(const vox_turn *t) {
    bool none = true;
    for (int a = 0; a < 3; a++)
        none = none && t->axis[a] == a && !t->reversed[a];
    return none;
}

void vox_turn_size(const vox_turn *t, const int64_t in[3], int64_t out[3]) {
    for (int a = 0; a < 3; a++)
        out[a] = in[t->axis[a]];
}

int vox_turn_where(const vox_turn *t, int axis) {
    return t->axis[0] == axis ? 0 : t->axis[1] == axis ? 1 : 2;
}

vox_box vox_turn_source(const vox_turn *t, const int64_t in[3], int64_t d, int64_t count) {
    const int a = t->axis[0];
    vox_box part = {.to = {in[0], in[1], in[2]}};
    part.from[a] = t->reversed[0] ? in[a] - d - count : d;
    part.to[a] = part.from[a] + count;
    return part;
}

/* n elements that lie side by side, each `step` bytes behind the one before. */
static void spread_row(unsigned char *to, int64_t step, const unsigned char *from, int64_t n,
                       int64_t bytes) {
    if (step == bytes) {
        memcpy(to, from, (size_t)(n * bytes));
        return;
    }
    switch (bytes) { /* known sizes become single moves */
    case 1:
        for (int64_t i = 0; i < n; i++)
            to[i * step] = from[i];
        break;
    case 2:
        for (int64_t i = 0; i < n; i++)
            memcpy(to + i * step, from + i * 2, 2);
        break;
    case 4:
        for (int64_t i = 0; i < n; i++)
            memcpy(to + i * step, from + i * 4, 4);
        break;
    case 8:
        for (int64_t i = 0; i < n; i++)
            memcpy(to + i * step, from + i * 8, 8);
        break;
    default:
        for (int64_t i = 0; i < n; i++)
            memcpy(to + i * step, from + i * bytes, (size_t)bytes);
    }
}

void vox_turn_plane(const vox_turn *t, const int64_t in[3], const vox_box *part, int64_t z,
                    const unsigned char *plane, int64_t d, unsigned char *slab, int64_t bytes,
                    int threads) {
    int64_t out[3], step[3]; /* of the slab, for one step along each axis of the input */
    vox_turn_size(t, in, out);
    const int64_t stride[3] = {out[1] * out[2] * bytes, out[2] * bytes, bytes};
    int64_t origin = -d * stride[0]; /* where the input's first voxel would be */
    for (int o = 0; o < 3; o++) {
        step[t->axis[o]] = t->reversed[o] ? -stride[o] : stride[o];
        if (t->reversed[o])
            origin += (out[o] - 1) * stride[o];
    }
    const int64_t first = part->from[1], rows = vox_box_extent(part, 1);
    const int64_t x = part->from[2], columns = vox_box_extent(part, 2);
#pragma omp parallel for num_threads(threads) schedule(static) if (rows * columns > 16384)
    for (int64_t r = 0; r < rows; r++)
        spread_row(slab + (origin + z * step[0] + (first + r) * step[1] + x * step[2]), step[2],
                   plane + (r * in[2] + x) * bytes, columns, bytes);
}
