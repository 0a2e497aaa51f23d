/* gunzip.h - gzip members (RFC 1952) to bytes, with every check that the format offers.
 *
 * Works for both codecs. Each member's CRC-32 and length are checked, and the header's own checksum
 * where it has one. Members may follow one another, with zero padding between or behind them, as
 * Python's gzip reads them. What else follows the last member is counted, not given out.
 */
#ifndef VOX_STREAM_GUNZIP_H
#define VOX_STREAM_GUNZIP_H

#include "stream/codec.h"
#include "stream/inlet.h"

typedef struct vox_gunzip vox_gunzip;

/* `inlet` stays the caller's and outlives the result. */
vox_gunzip *vox_gunzip_new(vox_inlet *inlet, const vox_codec *codec, vox_error *err);
/* Up to `room` bytes as soon as there are any; *made = 0 at the end. Errors of the inlet's kind. */
vox_status vox_gunzip_read(vox_gunzip *g, uint8_t *buf, size_t room, size_t *made, vox_error *err);
/* After the end: bytes behind the last member that are neither padding nor a member; counting stops
 * some way behind 1 MiB. */
int64_t vox_gunzip_trailing(const vox_gunzip *g);
void vox_gunzip_free(vox_gunzip *g);
/* The most that any codec needs. */
int64_t vox_gunzip_memory(void);

#endif
