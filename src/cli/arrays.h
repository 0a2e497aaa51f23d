/* arrays.h - FILE[:PREFIX] on the command line: which arrays of a tensor file are meant. */
#ifndef VOX_CLI_ARRAYS_H
#define VOX_CLI_ARRAYS_H

#include "voxconv.h"

/* A tensor file and the names of a layer in it. */
typedef struct arrays {
    vox_weights *file;
    char prefix[256]; /* "" or "PREFIX." */
    bool nameless;    /* the file holds one array and it was not asked for by name */
} arrays;

/* Opens FILE or FILE:PREFIX (a file of that whole name comes first; the dot after PREFIX may be
 * left out) and finds the layer that has an array `leaf`, say "weight": under the prefix, or under
 * the only name that ends in it ("conv1" for state_dict.conv1); or without one by its bare name, or
 * as the only array NAME.leaf, or, where `single`, as the only array of the file. Errors:
 * VOX_ERR_WEIGHTS with the names that there are. */
vox_status arrays_open(arrays *a, const char *spec, const char *leaf, bool single, vox_error *err);
void arrays_close(arrays *a);
const char *arrays_path(const arrays *a);

/* Reads PREFIX.leaf; with a missing one *tensor is NULL where `optional`, else it is an error. */
vox_status arrays_get(arrays *a, const char *leaf, bool optional, vox_tensor **tensor,
                      vox_error *err);

/* "(16,2,3,3,3)". Writes into and returns buf. */
const char *shape_text(const vox_tensor *t, char buf[200]);

#endif
