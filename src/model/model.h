/* model.h - networks from files: what a reader of one format fills. */
#ifndef VOX_MODEL_H
#define VOX_MODEL_H

#include "base/base.h"

/* A format. */
typedef struct vox_model_format {
    const char *name; /* "onnx" */
    bool has_names;   /* of inputs and outputs */
    /* Reads a file's bytes and checks what can be checked without an input's shape. */
    vox_status (*open)(vox_model *m, const unsigned char *data, int64_t bytes,
                       const vox_model_options *o, vox_error *err);
    /* Adds the layers for an input (C, D, H, W) to a network whose current value is the input;
     * leaves the output current. */
    vox_status (*build)(const vox_model *m, const int64_t in[4], vox_network *n, vox_error *err);
    void (*free)(vox_model *m);
} vox_model_format;

struct vox_model {
    const vox_model_format *format;
    char *path;
    int64_t in_channels; /* 0: any */
    int64_t in_size[3];  /* D, H, W that it was made for; 0: any */
    bool vector;         /* what comes out is a vector (N, C), and no volume */
    void *content;       /* the reader's own */
};

/* The whole of a file, freed with free(). What is compressed may be 64 times as large as it is, or
 * 64 MiB. Errors: VOX_ERR_WEIGHTS, VOX_ERR_RESOURCE. */
vox_status vox_model_read_file(const char *path, unsigned char **data, int64_t *bytes,
                               vox_error *err);
/* The path of a file that a model names, beside the model itself; freed with free(). Errors:
 * VOX_ERR_WEIGHTS where the name leads out of the model's folder. */
char *vox_model_sibling(const vox_model *m, const char *name, vox_error *err);

/* Gives a name to all layers of the network from layer `from` on. Errors: VOX_ERR_RESOURCE. */
vox_status vox_model_name_layers(vox_network *n, int from, const char *name, vox_error *err);

/* The readers. */
extern const vox_model_format vox_model_text, vox_model_tfjs, vox_model_onnx;

#endif
