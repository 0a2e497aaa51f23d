/* prepare.h - what is done to a frame before a network sees it.
 *
 * Stands between reader and pipeline: it looks through a frame beforehand where statistics are
 * asked for, and gives its planes as the network wants them.
 */
#ifndef VOX_PREPARE_H
#define VOX_PREPARE_H

#include "engine/intensity.h"
#include "volume/volume.h"

typedef struct vox_preparation vox_preparation;

/* Errors: VOX_ERR_USAGE, VOX_ERR_RESOURCE. Takes the memory that vox_preparation_memory says. */
vox_preparation *vox_preparation_new(const vox_prepare *how, const vox_layout *layout, int threads,
                                     vox_error *err);
void vox_preparation_free(vox_preparation *p);
int64_t vox_preparation_memory(const vox_prepare *how, const vox_layout *layout);
/* Whether the reader's planes are asked for more than once, as with patches. */
bool vox_preparation_rereads(const vox_prepare *how);

/* Looks through frame n. */
vox_status vox_preparation_begin(vox_preparation *p, vox_reader *r, int64_t n, vox_error *err);
/* As vox_reader_planes, prepared. */
vox_status vox_preparation_planes(vox_preparation *p, vox_reader *r, int64_t n, int64_t d,
                                  int64_t count, const vox_planes *to, vox_error *err);

#endif
