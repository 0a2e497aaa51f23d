/* onnx_walk.h - walking an ONNX graph: what is known of each value, and what operators may ask.
 *
 * A value of the graph is either a constant or a *view* of a network's value. A network's value is
 * a dense (C, D, H, W) for each of N; the view says which of its numbers a logical index means, by
 * a stride along each logical axis, as NumPy does. So Reshape, Transpose and their kin compute
 * nothing where they only rename axes, and an operator asks the view which network axis it works
 * along.
 */
#ifndef VOX_MODEL_ONNX_WALK_H
#define VOX_MODEL_ONNX_WALK_H

#include "model/onnx.h"

typedef struct onnx_view {
    int rank;
    int64_t shape[VOX_MAX_RANK], stride[VOX_MAX_RANK]; /* numbers; N's stride is C*D*H*W */
} onnx_view;

typedef struct onnx_value {
    bool known;              /* made by now */
    onnx_constant *constant; /* owned; NULL: the rest says what it is */
    int number;              /* of the network's value */
    bool whole;              /* its numbers are whole, as ArgMax's are */
    int64_t volume[4];       /* C, D, H, W of that */
    onnx_view view;
    int reads; /* by how many inputs of nodes that are still to come */
} onnx_value;

typedef struct onnx_walk {
    const onnx_model *m;
    vox_network *network;
    int64_t batch;         /* N, as the file has it; 1 where it leaves it open */
    const onnx_node *node; /* the current one */
    onnx_value *value;     /* [definitions] */
    int64_t (*volume)[4];  /* of each of the network's values */
    int volume_room;
    int64_t fold;              /* numbers that folding may still make */
    const char *bad_attribute; /* of the current node: one of another type than its name wants */
    vox_error why;             /* a layer's own complaint */
} onnx_walk;

/* An operator: makes the outputs of w->node. */
typedef vox_status onnx_operation(onnx_walk *w, vox_error *err);
bool onnx_operator_known(const char *type);

/* Adds the layers to a network whose current value is the input; the output becomes current. */
vox_status onnx_walk_graph(const onnx_model *m, const int64_t in[4], vox_network *n,
                           vox_error *err);

/* ---- The current node ---- */

#define ONNX_REFUSE(w, err, ...) onnx_fail((w)->m, (w)->node, err, VOX_ERR_UNSUPPORTED, __VA_ARGS__)
#define ONNX_BAD(w, err, ...) onnx_fail((w)->m, (w)->node, err, VOX_ERR_WEIGHTS, __VA_ARGS__)

/* Input i, or NULL where the node has none. */
const onnx_value *onnx_input(const onnx_walk *w, int i);
/* The same where it is a constant. */
const onnx_constant *onnx_constant_input(const onnx_walk *w, int i);
/* Input i, which must be there: constant or not. NULL with an error. */
const onnx_value *onnx_data(onnx_walk *w, int i, vox_error *err);
const onnx_constant *onnx_given(onnx_walk *w, int i, vox_error *err);
/* Output i, to be filled; a place that is thrown away where nobody wants it. */
void onnx_give(onnx_walk *w, int i, const onnx_value *value);
/* Takes ownership; also of NULL, which is VOX_ERR_RESOURCE. */
vox_status onnx_give_constant(onnx_walk *w, int i, onnx_constant *c);
int onnx_output_count(const onnx_walk *w);

/* Attributes, with what they are by default. */
int64_t onnx_int(onnx_walk *w, const char *name, int64_t otherwise);
double onnx_float(onnx_walk *w, const char *name, double otherwise);
/* Whether the string attribute (or, where there is none, `otherwise`) is `text`. */
bool onnx_string_is(onnx_walk *w, const char *name, const char *otherwise, const char *text);
/* NULL where there is none. */
const Onnx__AttributeProto *onnx_ints(onnx_walk *w, const char *name);
const Onnx__AttributeProto *onnx_floats(onnx_walk *w, const char *name);
const Onnx__TensorProto *onnx_tensor(onnx_walk *w, const char *name);

enum { ONNX_MOST_AXES = 16 };
/* A list of whole numbers that is attribute `name` or constant input i, whichever is there (-1: no
 * such input); *count is -1 where neither is. At most ONNX_MOST_AXES. */
vox_status onnx_list(onnx_walk *w, const char *name, int i, int64_t list[ONNX_MOST_AXES],
                     int *count, vox_error *err);
/* Axis numbers of a value of `rank`, the negative ones counted from its end, none twice. */
vox_status onnx_axes(onnx_walk *w, int count, int64_t *axes, int rank, vox_error *err);
/* Allows for `count` more numbers made by folding. */
vox_status onnx_fold_room(onnx_walk *w, int64_t count, vox_error *err);

/* ---- Layers ---- */

/* Makes `v` the network's current value. */
void onnx_select(onnx_walk *w, const onnx_value *v);
/* Behind a vox_network_... call that gave `status` and complained to w->why: the new value's number
 * and volume, its view that of a volume. */
vox_status onnx_added(onnx_walk *w, vox_status status, onnx_value *out, vox_error *err);

/* ---- Views (onnx_view.c) ---- */

void onnx_view_volume(onnx_walk *w, onnx_value *v);
bool onnx_is_volume(const onnx_walk *w, const onnx_value *v);
/* Input 0 as (N, C, D, H, W); NULL with an error where it is none. */
const onnx_value *onnx_volume_input(onnx_walk *w, vox_error *err);
bool onnx_view_is_dense(const onnx_view *v);
/* Another shape over the same numbers in the same order; false where they would have to move. */
bool onnx_view_reshape(onnx_view *v, int rank, const int64_t *shape);
/* The network's axis (0 to 3: C, D, H, W) that is logical axis i as a whole, or -1. */
int onnx_view_axis(const onnx_value *v, int i);
/* Behind a layer that made network axis `axis`, which is logical axis i, another size: v->volume is
 * the new one, v->view still the old one. */
void onnx_view_resize(onnx_value *v, int i, int axis, int64_t before);
/* "(1, 2, 3)" for messages. */
const char *onnx_view_text(const onnx_view *v, char text[VOX_MAX_RANK * 22 + 4]);
/* number[C]: what a constant that is broadcast against v means for each channel. Errors where it
 * differs within a channel, or is larger than v. `left`: aligned with the axes from this one on;
 * -1: with the last ones. */
vox_status onnx_by_channel(onnx_walk *w, const onnx_value *v, const onnx_constant *c, int left,
                           float *number, vox_error *err);

/* ---- Operators ---- */

onnx_operation onnx_fold_binary, onnx_fold_unary, onnx_fold_cast, onnx_fold_where, onnx_fold_reduce;
onnx_operation onnx_fold_constant, onnx_fold_constant_of_shape, onnx_fold_shape, onnx_fold_size,
    onnx_fold_gather, onnx_fold_slice, onnx_fold_concat, onnx_fold_reshape, onnx_fold_transpose,
    onnx_fold_range, onnx_fold_expand, onnx_fold_split, onnx_fold_identity;
onnx_operation onnx_map_identity, onnx_map_cast, onnx_map_shape, onnx_map_size, onnx_map_reshape,
    onnx_map_transpose, onnx_map_expand;
onnx_operation onnx_map_slice, onnx_map_split, onnx_map_gather, onnx_map_pad, onnx_map_concat;
onnx_operation onnx_map_binary, onnx_map_sum, onnx_map_pow, onnx_map_limit, onnx_map_clip,
    onnx_map_activation, onnx_map_celu, onnx_map_gelu, onnx_map_softmax, onnx_map_prelu;
onnx_operation onnx_map_conv, onnx_map_conv_transpose, onnx_map_pool, onnx_map_global_pool,
    onnx_map_resize;
onnx_operation onnx_map_batch_norm, onnx_map_instance_norm, onnx_map_group_norm,
    onnx_map_layer_norm, onnx_map_reduce, onnx_map_arg_max;
onnx_operation onnx_map_gemm, onnx_map_matmul;

/* The shape that Reshape, Flatten, Squeeze or Unsqueeze asks for, given the present one. */
vox_status onnx_new_shape(onnx_walk *w, int rank, const int64_t *shape, int *new_rank,
                          int64_t *new_shape, vox_error *err);

/* A part of an axis, as NumPy's from:to:step takes it; the step may be negative. */
typedef struct onnx_range {
    int64_t from, step, count;
} onnx_range;
/* What Slice takes of each axis. */
vox_status onnx_slice_ranges(onnx_walk *w, int rank, const int64_t *shape,
                             onnx_range range[VOX_MAX_RANK], vox_error *err);
/* How Split cuts which axis: an extent for each output, the caller's to free. NULL with an error.
 */
int64_t *onnx_split_parts(onnx_walk *w, int rank, const int64_t *shape, int *axis, vox_error *err);

#endif
