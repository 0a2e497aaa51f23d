/* axis.c - padding along one axis as a question: where does position i come from?
 * The four modes are torch.nn.functional.pad's (constant 0, reflect, replicate, circular). */
#include "layer/layer.h"

const char vox_axis_name[] = "DHW";

int64_t vox_axis_source(const vox_axis *a, int64_t i) {
    if (i >= 0 && i < a->in)
        return i;
    switch (a->mode) {
    case VOX_PAD_REPLICATE:
        return i < 0 ? 0 : a->in - 1;
    case VOX_PAD_REFLECT: /* mirrored at the border voxel, which is not repeated */
        i = i < 0 ? -i : 2 * (a->in - 1) - i;
        return i >= 0 && i < a->in ? i : -1;
    case VOX_PAD_CIRCULAR:
        i = i < 0 ? i + a->in : i - a->in;
        return i >= 0 && i < a->in ? i : -1;
    case VOX_PAD_ZEROS:
        break;
    }
    return -1;
}

vox_axis vox_axis_part(const vox_axis *whole, int64_t from, int64_t to, int64_t *in_from) {
    const int64_t first = from * whole->stride - whole->before; /* position of the first tap */
    const int64_t end = (to - 1) * whole->stride - whole->before + vox_axis_span(whole);
    /* At least one input, even for windows that lie in the padding altogether. */
    int64_t low = vox_min(vox_max(first, 0), whole->in - 1);
    int64_t high = vox_max(vox_min(end, whole->in), low + 1);
    /* What padding copies must be there too. Its sources lie between those of its two ends, except
     * in circular padding, which may take any. */
    const int64_t padding[4] = {first, -1, whole->in, end - 1};
    for (int i = 0; i < 4; i += 2) {
        if (i == 0 ? first >= 0 : end <= whole->in)
            continue;
        for (int k = 0; k < 2; k++) {
            const int64_t source = vox_axis_source(whole, padding[i + k]);
            if (source < 0)
                continue;
            low = vox_min(low, source);
            high = vox_max(high, source + 1);
        }
        if (whole->mode == VOX_PAD_CIRCULAR) {
            low = 0;
            high = whole->in;
        }
    }
    vox_axis part = *whole;
    part.in = high - low;
    part.out = to - from;
    part.before = low - first;
    *in_from = low;
    return part;
}
