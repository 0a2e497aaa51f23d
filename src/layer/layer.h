/* layer.h - what each layer computes, its shapes and its reach; nothing about streaming.
 *
 * There are two kinds. A *window* layer (convolution, pooling) needs neighbours: it is handed
 * padded planes and computes whole output planes. A *row* layer (batch normalisation, activation)
 * changes the values of a row, all channels of it at once, in place. The engine turns a network
 * into stages by this difference alone.
 */
#ifndef VOX_LAYER_H
#define VOX_LAYER_H

#include "base/base.h"

/* ---- Axes ---- */

/* "DHW": axis i for messages. */
extern const char vox_axis_name[];

/* One axis of a window layer: output o is made from the padded positions o*stride - before +
 * k*dilation, k < kernel. */
typedef struct vox_axis {
    int64_t in, out; /* extents */
    int64_t kernel, stride, dilation;
    int64_t before; /* padding in front; what is needed behind follows from out. Negative in a part
                       of an axis: so many of the first inputs meet no window */
    vox_padding_mode mode;
} vox_axis;

/* Extent of one window: dilation*(kernel-1) + 1. */
static inline int64_t vox_axis_span(const vox_axis *a) {
    return a->dilation * (a->kernel - 1) + 1;
}
/* Positions in front of the input that are kept, as padding. */
static inline int64_t vox_axis_front(const vox_axis *a) {
    return vox_max(a->before, 0);
}
/* Positions from -vox_axis_front() to the last one that a window or the input touches. */
static inline int64_t vox_axis_padded(const vox_axis *a) {
    return vox_axis_front(a) +
           vox_max(a->in, (a->out - 1) * a->stride - a->before + vox_axis_span(a));
}
/* Where the value of position i (may be negative or beyond `in`) comes from: an index of the input,
 * or -1 for padding that has no source (zeros; minus infinity in max pooling). */
int64_t vox_axis_source(const vox_axis *a, int64_t i);
/* Outputs [from, to) as an axis of their own, over the inputs that they need: those begin at index
 * *in_from of the whole axis. Padding remains at the ends of the whole axis alone. */
vox_axis vox_axis_part(const vox_axis *whole, int64_t from, int64_t to, int64_t *in_from);

/* ---- Layers ---- */

/* What becomes of a window layer's output next: a layer that makes rows in all channels at a time
 * hands them on while the caches have them. */
typedef struct vox_followup {
    /* Rows [row, row_end) of output plane d have been made, by this thread. */
    void (*rows)(void *user, int64_t d, int64_t row, int64_t row_end, int thread);
    void *user;
    bool called; /* set by the layer: for all rows */
} vox_followup;

/* A window layer's order of work: output planes [first, first + count). */
typedef struct vox_window {
    const vox_axis *axis;         /* [3] */
    const float *const *planes;   /* [count][kD]: padded plane of channel 0 under tap kd; NULL: no
                                     source. NULL altogether for layers with a reach, which look at
                                     `from` */
    const vox_planes *from;       /* the input's interior, by plane, as far as it is needed */
    int64_t channel_stride;       /* of the padded planes, floats */
    int64_t row_stride;           /* of padded rows */
    const int64_t *row_offset;    /* [kH], floats from an output row's input to tap kh */
    const int64_t *column_offset; /* [kW]; output columns are contiguous at every tap: stride along
                                     W is already split into phases */
    int64_t first, count;
    const vox_planes *to; /* where output planes go */
    int threads;
    bool by_channel; /* what a thread wrote of the planes is a share of their channels, not of their
                        rows */
    bool bare;       /* the planes are as they were given, without padding (reads_bare); offsets of
                        rows and columns are those from index 0 of the input, and may be negative */
    bool bypass;     /* the output is not read soon, and is larger than the caches: it need not pass
                        through them */
    vox_followup *then; /* or NULL */
} vox_window;

/* The other operand of a join, at one row of the result. Where it has one channel or one column
 * only, the stride or the step is 0. */
typedef struct vox_operand {
    const float *row;
    int64_t channel_stride, column_step; /* floats */
} vox_operand;

/* Inputs first, first + step, ... along an axis. */
typedef struct vox_taps {
    int64_t first, step, count;
} vox_taps;

typedef struct vox_layer vox_layer;

typedef struct vox_layer_class {
    const char *name; /* torch's, in lower case: "conv3d" */
    /* Output (C, D, H, W) for an input (C, D, H, W), or for several behind each other; fills
     * axis[3] for window layers. */
    vox_status (*shape)(const vox_layer *l, const int64_t *in, int64_t out[4], vox_axis axis[3],
                        vox_error *err);
    /* Window layers that look at other planes than axis[0] says (NULL: at those): output plane o is
     * made from input planes [*first, *end) of `depth`; neither goes down as o grows. Their axes
     * say just how rows are padded, and they compute whole planes. */
    void (*reach)(const vox_layer *l, int64_t depth, int64_t o, int64_t *first, int64_t *end);
    /* Window layers: output voxel o is centred on index o * *stride + *origin of the input, along
     * axis i. NULL: as axis[i] says. */
    void (*place)(const vox_layer *l, const int64_t in[4], int i, double *stride, double *origin);
    /* Window layers that look at other voxels than axis[i] says (NULL: at those), for receptive
     * fields. taps: the inputs along axis i that output o is made from, which may lie outside.
     * repeats: *outputs further they lie *inputs further; false where an output is made from all
     * inputs, which `waits` gives the reason of, and then nobody calls taps. */
    vox_taps (*taps)(const vox_layer *l, const int64_t in[4], int i, int64_t o);
    bool (*repeats)(const vox_layer *l, const int64_t in[4], int i, int64_t *outputs,
                    int64_t *inputs);
    const char *waits;
    /* Window layers. prepare (NULL: nothing): whatever a run with `threads` threads needs besides
     * the planes (packed weights, scratch), as an opaque block that free() releases. weight_bytes
     * (NULL: none), for the plan: the layer's own weights and that block. */
    vox_status (*prepare)(const vox_layer *l, const vox_axis axis[3], int threads, void **prepared,
                          vox_error *err);
    int64_t (*weight_bytes)(const vox_layer *l, const vox_axis axis[3], int threads);
    void (*window)(const vox_layer *l, void *prepared, const vox_window *w);
    /* Layers with a reach that must know all of the input before the first output (NULL: those that
     * need not): planes [first, first + count) of x have come, and lie in the caches still. Called
     * for all planes, in order. */
    void (*gather)(const vox_layer *l, void *prepared, const vox_planes *x, int64_t first,
                   int64_t count, int threads);
    /* Whether the planes of a window may be bare, and with NaN of any bits. NULL: no. */
    bool (*reads_bare)(const vox_layer *l, const vox_axis axis[3]);
    /* Row layers: row[c*channel_stride + column], in place. */
    void (*row)(const vox_layer *l, float *row, int64_t channel_stride, int64_t channels,
                int64_t columns);
    /* Joins: the row is operand `main` of two, and becomes the result; `side` is the other. */
    void (*join)(const vox_layer *l, int main, float *row, int64_t channel_stride, int64_t channels,
                 int64_t columns, const vox_operand *side);
    /* Layers that are no more than x*scale + shift of each channel (NULL: those that are more): how
     * many channels, and both for each. */
    int64_t (*affine)(const vox_layer *l, const float **scale, const float **shift);
    /* Puts such a layer that follows into this one's weights (NULL: those that have none); false
     * where it does not fit. */
    bool (*absorb)(vox_layer *l, int64_t channels, const float *scale, const float *shift);
    bool concat; /* of channels, in the order of the inputs: the engine does it */
    void (*free)(vox_layer *l);
} vox_layer_class;

/* The common head of every layer. */
struct vox_layer {
    const vox_layer_class *class;
    const char *kind; /* where the class serves several; NULL: the class's name */
    char *name;       /* that a model gives it, or NULL */
    int64_t parameters;
    int input_count, *input; /* numbers of values */
    float fill;              /* window layers: the value of padding without a source */
    bool needs_zero_planes;  /* planes without a source must be given as planes of `fill` and not as
                                NULL */
    bool by_channel;         /* window layers: an output channel looks at few of the input's */
    int64_t macs_per_output; /* multiply-adds of one output value */
};

/* ---- Networks ---- */

/* Value 0 is the input, value i > 0 the result of layer[i-1]: a layer's inputs are values before
 * it. */
struct vox_network {
    vox_layer **layer;
    int count, room;
    int current;
};

/* Adds a layer to the values `input`, or where that is NULL to the current one. Takes ownership of
 * the layer, also when it fails. */
vox_status vox_network_append(vox_network *n, vox_layer *l, int input_count, const int *input,
                              vox_error *err);

/* What is known of a value when the input's shape is. */
typedef struct vox_value {
    int64_t shape[4]; /* C, D, H, W */
    vox_axis axis[3]; /* of the window layer that it comes from */
    int reads;        /* by how many inputs of needed layers, the network's output being one */
} vox_value;

/* Whether the network ends in argmax; *scores is the network up to there, or all of it. Its layers
 * stay those of n. */
bool vox_network_before_argmax(const vox_network *n, vox_network *scores);
/* argmax of planes [d, d + count), into their channel 0. */
void vox_argmax_planes(const vox_planes *planes, int64_t d, int64_t count, int threads);

/* The first layer that computes its result as a whole only, so that it cannot be cut into parts
 * along H and W; NULL where there is none. */
const vox_layer *vox_network_uncut(const vox_network *n, const vox_value *values);
/* Output voxel o is centred on index o * *stride + *origin of the window layer's input, along axis
 * i of its result, which is `a`. */
void vox_layer_place(const vox_layer *l, const int64_t in[4], const vox_axis *a, int i,
                     double *stride, double *origin);
/* All values, [count + 1]; freed with free(). NULL with an error where a layer does not fit. */
vox_value *vox_network_values(const vox_network *n, const int64_t in[4], vox_error *err);

#endif
