/* out_file.h - one NIfTI file, or pair, while it is written: its sinks, and the names that files of
 * a run get together. */
#ifndef VOX_VOLUME_OUT_FILE_H
#define VOX_VOLUME_OUT_FILE_H

#include "stream/stream.h"
#include "volume/out_header.h"
#include "volume/output_name.h"

typedef struct vox_out_file {
    vox_sink *header; /* NULL where it is no pair */
    vox_sink *data;   /* with the header in front where it is no pair */
} vox_out_file;

/* Opens the sinks and writes header, extender and the extensions of `from`. */
vox_status vox_out_file_open(vox_out_file *f, const vox_output_name *name,
                             const vox_sink_options *o, const vox_out_header *header,
                             const vox_header *from, vox_error *err);
/* Ends the streams and brings them to disk, under their temporary names. */
vox_status vox_out_file_close(vox_out_file *f, vox_error *err);
/* Gives all files their names, or none; a header never before the voxels that it describes. */
vox_status vox_out_files_publish(const vox_out_file *files, int64_t count, vox_error *err);
/* Removes what was not published. */
void vox_out_file_clear(vox_out_file *f);
int64_t vox_out_file_memory(const vox_output_name *name, const vox_sink_options *o);

#endif
