/* keras_layers.h - what a Keras layer adds to a network, between the graph (keras.c) and the files
 * of the layers: keras_config.c, what all of them read; keras_window.c, those that need neighbours;
 * keras_layers.c, the others, and the table of all.
 *
 * A value is a volume (N, axes..., channels) or a vector (N, features). A vector that Flatten makes
 * stays (C, D, H, W) in the network: Keras' order has the channels last, and the Dense layer behind
 * it turns its kernel instead. */
#ifndef VOX_KERAS_LAYERS_H
#define VOX_KERAS_LAYERS_H

#include "model/keras.h"

/* One layer on its way into a network. */
typedef struct keras_context {
    const vox_keras_model *model;
    vox_network *network;
    const char *name;
    const json_t *config;
    int input_count;
    const int *input;  /* values */
    const int64_t *in; /* (C, D, H, W) of the first one */
    bool vector;       /* the first one is a vector */
    vox_error *err;
} keras_context;

typedef struct keras_kind {
    const char *name; /* class_name */
    vox_status (*add)(const keras_context *c);
    bool takes_vector;
    bool (*gives_vector)(const json_t *config); /* of a volume; NULL: never */
} keras_kind;

/* NULL where the layer is not served. */
const keras_kind *keras_find_kind(const char *class_name);

/* ---- keras_config.c ---- */

vox_status keras_unsupported(const keras_context *c, const char *what);
vox_status keras_malformed(const keras_context *c, const char *what);
/* The model's axis that is the volume's axis i. */
int keras_axis(const keras_context *c, int i);
/* A number for all axes or three of them, each 1 to 2^20; missing or null: `standard`. */
vox_status keras_triple(const keras_context *c, const char *key, const int64_t standard[3],
                        int64_t value[3]);
/* A number for all axes, or three, or three pairs, each 0 to 2^20; missing: 1. */
vox_status keras_pairs(const keras_context *c, const char *key, int64_t before[3],
                       int64_t after[3]);
double keras_real(const keras_context *c, const char *key, double standard);
const char *keras_text(const keras_context *c, const char *key, const char *standard);
/* padding=: whether it is 'same'. Errors: VOX_ERR_UNSUPPORTED where it is not 'valid' either. */
vox_status keras_padding_same(const keras_context *c, bool *same);
/* Whether the last axis, that of the channels, is meant; `axis` may be a list of one. */
bool keras_is_channel_axis(const keras_context *c, const json_t *axis);
/* A vector whose numbers are those of more than one voxel: in another order than Keras has them. */
bool keras_is_unordered(const keras_context *c);
/* The weight of that name and shape. */
const vox_keras_weight *keras_find_weight(const keras_context *c, const char *leaf, int rank,
                                          const int64_t *shape);
/* The bias of `outputs`, or NULL where use_bias says that there is none. */
vox_status keras_find_bias(const keras_context *c, int64_t outputs, const float **bias);
/* A kernel (a, b, c, p, q) as (q, p, D, H, W); freed with free(). */
float *keras_turn_kernel(const keras_context *c, const vox_keras_weight *w, const int64_t size[3]);

/* ---- Layers ---- */

vox_status keras_add_activation(const keras_context *c, const char *name);

vox_status keras_conv3d(const keras_context *c);
vox_status keras_conv3d_transpose(const keras_context *c);
vox_status keras_dense(const keras_context *c);
vox_status keras_max_pooling(const keras_context *c);
vox_status keras_average_pooling(const keras_context *c);
vox_status keras_global_max_pooling(const keras_context *c);
vox_status keras_global_average_pooling(const keras_context *c);
vox_status keras_up_sampling(const keras_context *c);
vox_status keras_zero_padding(const keras_context *c);
vox_status keras_cropping(const keras_context *c);

#endif
