/* stream.h - bytes in, bytes out, and nothing about what they mean.
 *
 * A source gives the bytes of a file or of stdin in order, gunzipped where the content (not the
 * name) is gzip, decompressed ahead by a thread of its own. A sink takes bytes for a file that
 * appears under its name only when it is complete, or for stdout, gzipped or not. A spool is an
 * unlinked temporary file for bytes that arrive in one order and are wanted in another.
 *
 * Only this folder knows zlib and ISA-L.
 */
#ifndef VOX_STREAM_H
#define VOX_STREAM_H

#include "base/base.h"

/* ---- Sources ---- */

typedef struct vox_source vox_source;

/* Opens exactly `path`, or stdin for "-". Errors are of kind `kind` (VOX_ERR_INPUT for a scan,
 * VOX_ERR_WEIGHTS for a weights file): missing, a directory, unreadable, empty. Reads the first
 * bytes to see whether it is gzip; never seeks where it cannot. */
vox_source *vox_source_open(const char *path, vox_status kind, vox_error *err);
void vox_source_free(vox_source *s);
const char *vox_source_path(const vox_source *s);
bool vox_source_is_gzip(const vox_source *s);
/* Length in bytes where it is known without reading: a plain regular file; else -1. */
int64_t vox_source_bytes(const vox_source *s);
/* Reads up to `want` bytes; *got < want only at the end of the stream. A damaged gzip member (cut,
 * bad CRC, wrong length) is an error that says which member and what was wrong; bytes of a damaged
 * member may have been handed out before. Interrupted system calls are taken up again. */
vox_status vox_source_read(vox_source *s, void *buf, int64_t want, int64_t *got, vox_error *err);
/* Plain regular files only: bytes at an absolute offset, independent of vox_source_read's position.
 * Short is an error. May be called from several threads. */
bool vox_source_positioned(const vox_source *s);
vox_status vox_source_read_at(vox_source *s, void *buf, int64_t bytes, int64_t offset,
                              vox_error *err);
/* Reads to the end and checks what is checked there: gzip trailers, further members.
 * *trailing_bytes: what followed the position of the last vox_source_read (decompressed bytes plus,
 * behind the last member, bytes that are neither zero padding nor a gzip member). The caller warns;
 * it is not an error. For a plain stream it reads at most until it knows that there is something.
 * What follows the last member is counted to a little over 1 MiB. */
vox_status vox_source_finish(vox_source *s, int64_t *trailing_bytes, vox_error *err);
/* Bytes of memory that an open source holds at most (gzip or not). */
int64_t vox_source_memory(bool gzip);

/* ---- Sinks ---- */

typedef struct vox_sink_options {
    bool gzip;
    int level;   /* 0 to 9; -1: default. 0 stores (still a gzip file) */
    int threads; /* for compression; 0: all */
    bool force;  /* replace an existing file */
} vox_sink_options;

typedef struct vox_sink vox_sink;

/* Opens a temporary file in the target's folder, or stdout for "-". A target that exists and is not
 * a regular file (/dev/null, a fifo) is written directly; a symbolic link's target is what gets
 * replaced. Errors (VOX_ERR_OUTPUT): exists and not force, folder missing or not writable, stdout
 * is a terminal. */
vox_sink *vox_sink_open(const char *path, const vox_sink_options *o, vox_error *err);
const char *vox_sink_path(const vox_sink *s);
vox_status vox_sink_write(vox_sink *s, const void *buf, int64_t bytes, vox_error *err);
/* Uncompressed regular files only: positioned writes, in any order, from several threads; not to be
 * mixed with vox_sink_write past the first positioned byte. */
bool vox_sink_positioned(const vox_sink *s);
vox_status vox_sink_write_at(vox_sink *s, const void *buf, int64_t bytes, int64_t offset,
                             vox_error *err);
/* Ends the stream: last blocks, gzip trailer, fsync, close. The file still has its temporary name.
 */
vox_status vox_sink_close(vox_sink *s, vox_error *err);
/* Gives the closed file its name (atomically; refuses again to replace without force) and syncs the
 * folder. Where that fails, what was there before is there again. */
vox_status vox_sink_publish(vox_sink *s, vox_error *err);
/* The same for files that belong together: all get their names, in this order, or none. (A file
 * that was replaced is not brought back on a file system that knows neither exchanging names nor
 * links.)
 */
vox_status vox_sink_publish_all(vox_sink *const *sinks, int64_t count, vox_error *err);
/* Removes the temporary file unless it was published. */
void vox_sink_free(vox_sink *s);
int64_t vox_sink_memory(const vox_sink_options *o);

/* ---- Spools ---- */

typedef struct vox_spool vox_spool;
/* An unlinked file in TMPDIR (else /tmp) with `bytes` reserved; VOX_ERR_RESOURCE where it does not
 * fit. */
vox_spool *vox_spool_new(int64_t bytes, vox_error *err);
vox_status vox_spool_write_at(vox_spool *s, const void *buf, int64_t bytes, int64_t offset,
                              vox_error *err);
vox_status vox_spool_read_at(vox_spool *s, void *buf, int64_t bytes, int64_t offset,
                             vox_error *err);
void vox_spool_free(vox_spool *s);

#endif
