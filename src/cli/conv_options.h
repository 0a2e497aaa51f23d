/* conv_options.h - what `voxconv conv` was asked to do, as its option table fills it in. */
#ifndef VOX_CLI_CONV_OPTIONS_H
#define VOX_CLI_CONV_OPTIONS_H

#include "cli/execution.h"

typedef enum weights_layout { LAYOUT_TORCH, LAYOUT_KERAS } weights_layout;
typedef enum normalize_mode { NORMALIZE_NONE, NORMALIZE_SUM, NORMALIZE_ABS } normalize_mode;

typedef struct padding_option {
    bool given;
    vox_padding padding;
    int64_t size[3]; /* VOX_PADDING_EXPLICIT: on both sides of D, H, W */
} padding_option;

typedef struct activation_option {
    bool given;
    vox_activation kind;
    double parameter[2]; /* as many as the kind has */
} activation_option;

typedef struct pool_option {
    bool given;
    vox_pool3d pool;
} pool_option;

typedef struct conv_options {
    /* weights */
    const char *weights, *bias, *kernel;
    int init;     /* vox_init or NOT_GIVEN */
    int64_t seed; /* or NOT_GIVEN */
    bool no_bias, flip;
    int weights_layout, normalize;
    /* layer; 0: not given */
    int64_t out_channels, kernel_size[3], groups;
    int64_t stride[3], dilation[3];
    padding_option padding;
    int padding_mode; /* vox_padding_mode or NOT_GIVEN */
    /* after it */
    const char *batchnorm;
    double batchnorm_eps; /* or NOT_GIVEN */
    activation_option activation;
    pool_option max_pool, avg_pool;
    execution_options execution;
} conv_options;

extern const option_row conv_rows[];
option_set set_activation; /* activation_option */

void conv_options_defaults(void *values);
/* Options that contradict each other or would do nothing. Errors: VOX_ERR_USAGE. */
vox_status conv_options_check(const conv_options *o, int input_count, vox_error *err);

/* The names of vox_init, for the kernel command as well. */
extern const char *const init_names[];

#endif
