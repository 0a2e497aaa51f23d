/* blend.h - overlapping patches, each a volume of its own, averaged.
 *
 * The classic scheme of sliding windows, for networks that are not local or were trained on
 * patches: a patch is padded by its own layers, and where patches overlap their results are
 * averaged, by count or under a Gaussian that trusts a patch's middle. The definition is that of
 * MONAI's sliding_window_inference (modes "constant" and "gaussian",
 * https://docs.monai.io/en/stable/inferers.html): the patches of an axis begin at multiples of the
 * step, the last one is shifted inward to end where the volume ends, and a volume smaller than the
 * patch is padded with zeros on both sides (the odd one behind) and cropped.
 *
 * A blender is used like a pipeline: planes are written to its input in order and pushed; finished
 * planes reach the sink. It holds the planes of one patch's depth, of input, of sums and of
 * weights.
 */
#ifndef VOX_BLEND_H
#define VOX_BLEND_H

#include "engine/pipeline.h"

typedef struct vox_blender vox_blender;

/* For an input (C, D, H, W) in slabs of up to `slab` planes; `o` has blend, patch_size, overlap and
 * sigma_scale. side_by_side: small patches may run as many at a time as there are threads. Errors:
 * VOX_ERR_USAGE where the network changes the size of a patch. */
vox_blender *vox_blender_new(const vox_network *network, const int64_t in[4],
                             const vox_filter_options *o, int64_t slab, bool side_by_side,
                             int threads, vox_error *err);
/* As vox_pipeline_memory(). */
void vox_blender_memory(const vox_blender *b,
                        void (*part)(void *user, const char *name, int64_t bytes), void *user);
/* Planes that the sink is handed at most at a time. */
int64_t vox_blender_out_slab(const vox_blender *b);
/* Patches of a frame. */
int64_t vox_blender_patch_count(const vox_blender *b);
/* Multiply-adds of all patches of a frame; INT64_MAX where they are more. */
int64_t vox_blender_multiply_adds(const vox_blender *b);
vox_status vox_blender_start(vox_blender *b, vox_pipeline_sink *sink, void *user, vox_error *err);
const vox_planes *vox_blender_input(const vox_blender *b);
vox_status vox_blender_push(vox_blender *b, int64_t count, vox_error *err);
void vox_blender_free(vox_blender *b);

#endif
