/* layer_table.h - the layers of a network as --plan shows them. */
#ifndef VOX_CLI_LAYER_TABLE_H
#define VOX_CLI_LAYER_TABLE_H

#include "voxconv.h"

typedef struct layer_table {
    int count;
    vox_layer_info *layer;             /* [count]; the caller frees it */
    int64_t parameters, multiply_adds; /* of all that are used; INT64_MAX where they are more */
} layer_table;

/* Layers of the network for an input (C, D, H, W), without those that are not used. */
vox_status layer_table_make(layer_table *t, const vox_network *network, const int64_t in[4],
                            vox_error *err);
/* On stdout. */
void layer_table_print(const layer_table *t);

#endif
