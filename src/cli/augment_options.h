/* augment_options.h - what `voxconv augment` was asked to do, as its option table fills it in. */
#ifndef VOX_CLI_AUGMENT_OPTIONS_H
#define VOX_CLI_AUGMENT_OPTIONS_H

#include "cli/options.h"

enum { LIST_MOST = 256 };

/* The values of an option that is given several times. */
typedef struct text_list {
    const char *item[LIST_MOST];
    int count;
} text_list;

typedef struct rot90_option {
    double p;
    int plane[2];
} rot90_option;

typedef struct noise_option {
    double p, sigma;
} noise_option;

typedef struct augment_options {
    text_list outputs, labels;
    double flip[3]; /* probabilities, here and below; -1: not given */
    rot90_option rot90;
    noise_option noise;
    int64_t seed; /* or -1 */
    bool keep_affine, force, plan, quiet, verbose, json;
    int datatype, progress;
    int64_t compression, threads, max_memory;
} augment_options;

extern const option_row augment_rows[];

void augment_options_defaults(void *values);
/* What is missing. Errors: VOX_ERR_USAGE. */
vox_status augment_options_check(const augment_options *o, int input_count, vox_error *err);

#endif
