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
