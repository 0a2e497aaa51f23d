/* keras.h - Keras' layers as a network: what their configurations mean. */
#ifndef VOX_KERAS_H
#define VOX_KERAS_H

#include "model/model.h"

#include <jansson.h>

/* A weight of a model: dense, in Keras' order, last index fastest. */
typedef struct vox_keras_weight {
    char *name;
    int rank;
    int64_t shape[VOX_MAX_RANK], count;
    float *data;
} vox_keras_weight;

/* A model as its file has it. */
typedef struct vox_keras_model {
    const char *path; /* for messages */
    json_t *root;     /* owned */
    json_t *layers;   /* of root */
    json_t *outputs;  /* of root; NULL: the last layer */
    bool sequential;
    bool axes_whd; /* the model's axes are W, H, D, and not D, H, W */
    int weight_count;
    vox_keras_weight *weight;
} vox_keras_model;

/* Looks the layers up in `config`, Keras' own of a whole model, and checks that there is one input
 * and that every layer is known. Fills *in_channels and in_size (0: any), and *vector: whether what
 * comes out is a vector. */
vox_status vox_keras_check(vox_keras_model *k, json_t *model_config, int64_t *in_channels,
                           int64_t in_size[3], bool *vector, vox_error *err);
vox_status vox_keras_build(const vox_keras_model *k, const int64_t in[4], vox_network *n,
                           vox_error *err);

#endif
