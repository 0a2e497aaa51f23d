/* text.h - text networks: what their lines are, between the file (text.c) and the layers
 * (text_layers.c). */
#ifndef VOX_TEXT_H
#define VOX_TEXT_H

#include "base/random.h"
#include "model/model.h"
#include "weights/weights.h"

enum { VOX_TEXT_WORDS = 32 };

/* A word that a line may begin with. */
typedef struct vox_text_kind vox_text_kind;

typedef struct vox_text_line {
    int number;
    const vox_text_kind *kind;
    int word_count; /* behind the kind: names and numbers first, then KEY=VALUE */
    char *word[VOX_TEXT_WORDS];
} vox_text_line;

typedef struct vox_text_network {
    char *text; /* the file, cut into words */
    int count;
    vox_text_line *lines;
    vox_weights *weights; /* or NULL: initial ones */
    char prefix[256];
    uint64_t seed;
} vox_text_network;

/* A value that was given a name. */
typedef struct vox_text_saved {
    const char *name;
    int value;
    bool flat;
} vox_text_saved;

/* A network in the making. */
typedef struct vox_text_context {
    const vox_model *model;
    const vox_text_network *content;
    const vox_text_line *line;
    vox_network *network;
    int64_t shape[4]; /* of the current value */
    bool flat;        /* it is a vector: flattened */
    int saved_count;
    vox_text_saved *saved; /* [content->count] */
    vox_random *random;
    vox_error *err;
} vox_text_context;

struct vox_text_kind {
    const char *name;
    int least, most;  /* words that are no KEY=VALUE */
    const char *keys; /* "kernel_size stride " */
    vox_status (*add)(vox_text_context *c);
    bool takes_vector; /* flattened values */
    bool gives_vector;
    vox_activation activation; /* of elementwise functions */
};

const vox_text_kind *vox_text_find_kind(const char *word);

/* Values of KEY=VALUE; each leaves *value alone where the key is missing. Errors: VOX_ERR_WEIGHTS.
 */
vox_status vox_text_integer(const vox_text_context *c, const char *key, int64_t *value);
vox_status vox_text_triple(const vox_text_context *c, const char *key, int64_t value[3]);

#endif
