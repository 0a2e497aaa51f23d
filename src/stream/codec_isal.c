/* codec_isal.c - raw deflate by ISA-L, several times as fast as zlib on x86 and ARM. */
#include "stream/codec.h"

#ifdef VOX_HAVE_ISAL

#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

static uint32_t crc(uint32_t start, const uint8_t *p, size_t bytes) {
    return crc32_gzip_refl(start, p, bytes);
}

static void *inflate_new(vox_error *err) {
    struct inflate_state *s = vox_alloc(1, sizeof *s, "gzip", err);
    if (s)
        isal_inflate_init(s);
    return s;
}

static void inflate_reset(void *state) {
    isal_inflate_reset(state);
}

static vox_inflate_result inflate_some(void *state, vox_inflate_io *io) {
    struct inflate_state *s = state;
    const size_t most = 1 << 30; /* ISA-L counts in uint32_t */
    uint32_t in_bytes = (uint32_t)(io->in_bytes < most ? io->in_bytes : most);
    uint32_t out_bytes = (uint32_t)(io->out_bytes < most ? io->out_bytes : most);
    s->next_in = (uint8_t *)(uintptr_t)io->in;
    s->avail_in = in_bytes;
    s->next_out = io->out;
    s->avail_out = out_bytes;
    int r = isal_inflate(s);
    io->in += in_bytes - s->avail_in;
    io->in_bytes -= in_bytes - s->avail_in;
    io->out += out_bytes - s->avail_out;
    io->out_bytes -= out_bytes - s->avail_out;
    io->unused_bytes = 0;
    if (r < 0 || r == ISAL_NEED_DICT)
        return VOX_INFLATE_DAMAGED;
    if (s->block_state != ISAL_BLOCK_FINISH)
        return VOX_INFLATE_MORE;
    /* ISA-L reads eight bytes ahead into a bit buffer. In raw deflate it keeps what follows the
     * last block there: drop the bits up to the byte border, the rest are whole bytes, lowest
     * first. */
    io->unused_bytes = (size_t)s->read_in_length / 8;
    assert(io->unused_bytes <= sizeof io->unused);
    uint64_t bits = s->read_in >> (s->read_in_length % 8);
    for (size_t i = 0; i < io->unused_bytes; i++)
        io->unused[i] = (uint8_t)(bits >> (8 * i));
    return VOX_INFLATE_END;
}

/* The stream and, behind it, the buffer of the level that wants most. */
typedef struct deflater {
    struct isal_zstream stream;
    uint8_t buffer[ISAL_DEF_LVL3_DEFAULT]; /* ISA-L keeps pointers there: on a border of 8 bytes */
    int level;
} deflater;

_Static_assert(ISAL_DEF_LVL1_DEFAULT <= ISAL_DEF_LVL3_DEFAULT &&
                   ISAL_DEF_LVL2_DEFAULT <= ISAL_DEF_LVL3_DEFAULT,
               "one buffer serves all levels");

static void *deflate_new(int level, vox_error *err) {
    assert(level >= 1 && level <= 3);
    deflater *d = vox_alloc(1, sizeof *d, "gzip", err);
    if (d)
        d->level = level;
    return d;
}

/* Compresses up to `bytes` more of the input; whether all of them, flushed as asked, are out. */
static bool deflate_more(struct isal_zstream *s, size_t bytes, int flush, bool last) {
    s->avail_in = (uint32_t)bytes;
    s->flush = (uint16_t)flush;
    s->end_of_stream = last;
    return isal_deflate(s) == COMP_OK && s->avail_in == 0 &&
           s->internal_state.state == (last ? ZSTATE_END : ZSTATE_NEW_HDR);
}

/* Levels 1 and 2. ISA-L (2.30 and later, x86) searches matches with the hash of the next three
 * positions at hand; where nothing came before, it computes the third of them not from the data but
 * from a register that holds the stream's address (.write_first_byte of
 * igzip_icf_body_h1_gr_bt.asm): at some addresses a match near the block's start is then missed,
 * and the bytes would differ from run to run. Its other loop, for an end of less than HEAD_BYTES,
 * is without that fault. So it is given the head of a block by itself, and has seen something when
 * the rest comes. That costs some 20 bytes a block. */
enum { HEAD_BYTES = 16 /* MIN_INBUF_PADDING there */ };

static bool deflate_behind_head(struct isal_zstream *s, size_t bytes, bool last) {
    const size_t head = bytes > HEAD_BYTES ? HEAD_BYTES : 0;
    return (!head || deflate_more(s, head, SYNC_FLUSH, false)) &&
           deflate_more(s, bytes - head, FULL_FLUSH, last);
}

/* Level 3, which searches in another way; its bytes were the same in 640,000 trials. */
static bool deflate_at_once(struct isal_zstream *s, size_t bytes, bool last) {
    s->avail_in = (uint32_t)bytes;
    s->flush = FULL_FLUSH;
    s->end_of_stream = last;
    return isal_deflate_stateless(s) == COMP_OK && s->avail_in == 0;
}

static size_t deflate_block(void *state, const uint8_t *in, size_t bytes, bool last, uint8_t *out,
                            size_t room) {
    deflater *d = state;
    struct isal_zstream *s = &d->stream;
    isal_deflate_init(s);
    s->level = (uint32_t)d->level;
    s->level_buf = d->buffer;
    s->level_buf_size = sizeof d->buffer;
    s->next_in = (uint8_t *)(uintptr_t)in;
    s->next_out = out;
    s->avail_out = (uint32_t)room;
    const bool done =
        d->level < 3 ? deflate_behind_head(s, bytes, last) : deflate_at_once(s, bytes, last);
    return done ? room - s->avail_out : 0;
}

const vox_codec vox_codec_isal = {
    .name = "isal",
    /* Measured on an MRI (mricron's ch2better), size against zlib's level 6 and time for it:
     * smoothed float32, the usual output, +0.5 % in a sixteenth of the time (level 1 +0.7 %, level
     * 3 +0.4 % in one and a half times the time). Other data pays for the speed: uint8 +8 %, int16
     * +22 %, float32 that holds small integers +47 %. */
    .default_level = 2,
    .crc32 = crc,
    .inflate_new = inflate_new,
    .inflate_reset = inflate_reset,
    .inflate = inflate_some,
    .inflate_free = free,
    .deflate_new = deflate_new,
    .deflate = deflate_block,
    .deflate_free = free,
    .inflate_memory = sizeof(struct inflate_state) + VOX_ALIGN,
    .deflate_memory = sizeof(deflater) + VOX_ALIGN,
};

#endif
