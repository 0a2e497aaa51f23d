/* extensions.h - what lies between a NIfTI header and its voxels. */
#ifndef VOX_VOLUME_EXTENSIONS_H
#define VOX_VOLUME_EXTENSIONS_H

#include "volume/header.h"

/* Reads the extender and, where its first byte is not 0, the extensions behind it, into h. A single
 * file's source then stands at vox_offset, a pair's at its end, checked. The extensions are checked
 * as nifti1.h defines them: esize at least 16, a multiple of 16, and inside the area. Bytes that
 * belong to no extension (padding) are skipped. */
vox_status vox_extensions_read(vox_source *s, vox_header *h, vox_error *err);

/* Skips `bytes` bytes of a source; VOX_ERR_INPUT where it ends before. */
vox_status vox_source_skip(vox_source *s, int64_t bytes, vox_error *err);

#endif
