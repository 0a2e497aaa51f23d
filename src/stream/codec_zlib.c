/* codec_zlib.c - raw deflate by zlib: the reference, always built. */
#include "stream/codec.h"

#include <stdlib.h>
#include <zlib.h>

/* Negative: raw deflate; 15: the format's whole window of 32 KiB. */
enum { RAW_WINDOW_BITS = -15, MEMORY_LEVEL = 8 };

static uint32_t crc(uint32_t start, const uint8_t *p, size_t bytes) {
    return (uint32_t)crc32_z(start, p, bytes);
}

static vox_status out_of_memory(vox_error *err) {
    return vox_fail(err, VOX_ERR_RESOURCE, "gzip: zlib could not get its memory");
}

static void *inflate_new(vox_error *err) {
    z_stream *z = vox_alloc(1, sizeof *z, "gzip", err);
    if (!z)
        return NULL;
    /* zlib would get its window in the middle of the stream; a dictionary makes it do so now, and
     * the reset that precedes every member forgets the dictionary again. */
    const Bytef byte = 0;
    if (inflateInit2(z, RAW_WINDOW_BITS) != Z_OK || inflateSetDictionary(z, &byte, 1) != Z_OK) {
        inflateEnd(z);
        free(z);
        out_of_memory(err);
        return NULL;
    }
    return z;
}

static void inflate_reset(void *state) {
    inflateReset(state);
}

static vox_inflate_result inflate_some(void *state, vox_inflate_io *io) {
    z_stream *z = state;
    const size_t most = 1 << 30; /* zlib counts in unsigned int */
    z->next_in = (z_const Bytef *)(uintptr_t)io->in;
    z->avail_in = (uInt)(io->in_bytes < most ? io->in_bytes : most);
    z->next_out = io->out;
    z->avail_out = (uInt)(io->out_bytes < most ? io->out_bytes : most);
    int r = inflate(z, Z_NO_FLUSH);
    io->in_bytes -= (size_t)(z->next_in - io->in);
    io->in = z->next_in;
    io->out_bytes -= (size_t)(z->next_out - io->out);
    io->out = z->next_out;
    io->unused_bytes = 0;
    if (r == Z_STREAM_END)
        return VOX_INFLATE_END;
    return r == Z_OK || r == Z_BUF_ERROR ? VOX_INFLATE_MORE : VOX_INFLATE_DAMAGED;
}

static void inflate_free(void *state) {
    if (state)
        inflateEnd(state);
    free(state);
}

static void *deflate_new(int level, vox_error *err) {
    z_stream *z = vox_alloc(1, sizeof *z, "gzip", err);
    if (!z)
        return NULL;
    if (deflateInit2(z, level, Z_DEFLATED, RAW_WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
        free(z);
        out_of_memory(err);
        return NULL;
    }
    return z;
}

static size_t deflate_block(void *state, const uint8_t *in, size_t bytes, bool last, uint8_t *out,
                            size_t room) {
    z_stream *z = state;
    deflateReset(z);
    z->next_in = (z_const Bytef *)(uintptr_t)in;
    z->avail_in = (uInt)bytes;
    z->next_out = out;
    z->avail_out = (uInt)room;
    int r = deflate(z, last ? Z_FINISH : Z_FULL_FLUSH);
    /* A flush is complete only where room is left over (zlib.h, deflate). */
    bool whole = last ? r == Z_STREAM_END : r == Z_OK && z->avail_in == 0 && z->avail_out > 0;
    return whole ? room - z->avail_out : 0;
}

static void deflate_free(void *state) {
    if (state)
        deflateEnd(state);
    free(state);
}

const vox_codec vox_codec_zlib = {
    .name = "zlib",
    /* Measured as in codec_isal.c: within 2 % of level 6's size on smoothed float32, uint8 and
     * int16, at 1 to 2.7 times its speed; float32 that holds small integers comes out 22 % larger.
     */
    .default_level = 4,
    .crc32 = crc,
    .inflate_new = inflate_new,
    .inflate_reset = inflate_reset,
    .inflate = inflate_some,
    .inflate_free = inflate_free,
    .deflate_new = deflate_new,
    .deflate = deflate_block,
    .deflate_free = deflate_free,
    /* zconf.h: 2^windowBits + about 7 KiB; 2^(windowBits+2) + 2^(memLevel+9) + about 6 KiB. */
    .inflate_memory = (1 << 15) + (8 << 10) + 4096,
    .deflate_memory = (1 << 17) + (1 << (MEMORY_LEVEL + 9)) + (8 << 10) + 4096,
};
