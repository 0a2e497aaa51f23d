/* fold.c - a network made smaller: layers that scale and shift each channel are put into the
 * weights of the convolution that they follow, as is usual for inference: sum(w*x)*a + b =
 * sum((w*a)*x) + b. The result differs by the rounding of w*a. */
#include "layer/layer.h"

/* How many layers read a value, and the network's result; needed or not. */
static int reads(const vox_network *n, int value) {
    int count = n->current == value;
    for (int i = 0; i < n->count; i++)
        for (int k = 0; k < n->layer[i]->input_count; k++)
            count += n->layer[i]->input[k] == value;
    return count;
}

/* Everybody who reads `from` reads `to`. */
static void redirect(vox_network *n, int from, int to) {
    for (int i = 0; i < n->count; i++)
        for (int k = 0; k < n->layer[i]->input_count; k++)
            if (n->layer[i]->input[k] == from)
                n->layer[i]->input[k] = to;
    if (n->current == from)
        n->current = to;
}

void vox_network_fold(vox_network *n) {
    for (int v = 1; v <= n->count; v++) {
        const vox_layer *l = n->layer[v - 1];
        const float *scale, *shift;
        if (!l->class->affine)
            continue;
        const int before = l->input[0];
        vox_layer *into = before > 0 ? n->layer[before - 1] : NULL;
        if (!into || !into->class->absorb || reads(n, before) != 1)
            continue;
        const int64_t channels = l->class->affine(l, &scale, &shift);
        if (!into->class->absorb(into, channels, scale, shift))
            continue;
        into->parameters += l->parameters; /* still the model's */
        redirect(n, v, before);
    }
}
