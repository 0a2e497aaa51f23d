/* codec.h - raw deflate and its checksum, from zlib or from ISA-L.
 *
 * A codec compresses and decompresses raw deflate data (RFC 1951) and nothing else: the gzip
 * members around it (RFC 1952) are read in gunzip.c and written in gzip.c, so that both libraries
 * give the same answers, the same checks and the same messages. zlib is always there and is the
 * reference; ISA-L is used where it was built in, unless the environment's VOXCONV_GZIP says
 * "zlib".
 */
#ifndef VOX_STREAM_CODEC_H
#define VOX_STREAM_CODEC_H

#include "base/base.h"

typedef enum vox_inflate_result {
    VOX_INFLATE_MORE,    /* input used up or output full */
    VOX_INFLATE_END,     /* the last deflate block has been put out */
    VOX_INFLATE_DAMAGED, /* not deflate data */
} vox_inflate_result;

/* What one inflate call reads and writes; the call moves the pointers. */
typedef struct vox_inflate_io {
    const uint8_t *in;
    size_t in_bytes;
    uint8_t *out;
    size_t out_bytes;
    /* At VOX_INFLATE_END: bytes behind the deflate data that the codec took in but did not need,
     * the last ones before `in`, possibly of an earlier call's input. */
    uint8_t unused[8];
    size_t unused_bytes;
} vox_inflate_io;

typedef struct vox_codec {
    const char *name; /* "zlib" or "isal" */
    int default_level;

    /* CRC-32 of RFC 1952; starts at 0. */
    uint32_t (*crc32)(uint32_t crc, const uint8_t *p, size_t bytes);

    void *(*inflate_new)(vox_error *err);
    void (*inflate_reset)(void *state);
    vox_inflate_result (*inflate)(void *state, vox_inflate_io *io);
    void (*inflate_free)(void *state);

    /* Compresses one block, independent of all others: ended by a full flush (on a byte border) or,
     * where `last`, as the end of the deflate data. Returns the bytes written, 0 where they exceed
     * `room`. Cannot fail otherwise, so it may be called in a parallel region; a state serves one
     * thread. */
    void *(*deflate_new)(int level, vox_error *err);
    size_t (*deflate)(void *state, const uint8_t *in, size_t bytes, bool last, uint8_t *out,
                      size_t room);
    void (*deflate_free)(void *state);

    int64_t inflate_memory, deflate_memory; /* bytes a state holds at most */
} vox_codec;

extern const vox_codec vox_codec_zlib;
#ifdef VOX_HAVE_ISAL
extern const vox_codec vox_codec_isal;
#endif

/* The codec for reading. */
const vox_codec *vox_codec_choose(void);
/* The codec for writing at a level of 1 to 9 or -1 (*level becomes the codec's default): ISA-L has
 * the fast levels 1 to 3 only. */
const vox_codec *vox_codec_for_level(int *level);

#endif
