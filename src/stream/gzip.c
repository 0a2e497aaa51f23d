/* gzip.c - bytes to one gzip member (RFC 1952), compressed by many threads. */
#include "stream/gzip.h"

#include "stream/codec.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    /* Large enough that cutting costs under 0.5 % of size, small enough that a batch stays in
       cache. */
    BLOCK_BYTES = 256 << 10,
    BLOCKS_PER_THREAD = 2, /* evens out blocks that take longer than others */
    STORED_MOST = 65535, /* bytes in a stored deflate block (RFC 1951, 3.2.4), behind 5 of header */
    STORED_BYTES = BLOCK_BYTES + 5 * (BLOCK_BYTES / STORED_MOST + 1),
    HEADER_BYTES = 10,
    TRAILER_BYTES = 8,
};

/* A block of data and what became of it. */
typedef struct block {
    int64_t bytes, packed_bytes;
    uint32_t crc;
    uint8_t data[BLOCK_BYTES];
    uint8_t packed[STORED_BYTES];
} block;

struct vox_gzip {
    const vox_codec *codec;
    vox_gzip_put put;
    void *user;
    int level, threads, block_count;
    void **deflater; /* [threads]; all NULL at level 0 */
    block *blocks;   /* [block_count] */
    int current;     /* the block that is being filled; those before it are full */
    bool started;    /* the header has been put out */
    uint32_t crc;
    uint64_t length;
};

static int thread_count(int threads) {
    return threads > 0 ? threads : omp_get_max_threads();
}

vox_gzip *vox_gzip_new(int level, int threads, vox_gzip_put put, void *user, vox_error *err) {
    if (level < -1 || level > 9) {
        vox_fail(err, VOX_ERR_USAGE, "compression=%d: a level is 0 to 9", level);
        return NULL;
    }
    vox_gzip *g = vox_alloc(1, sizeof *g, "gzip", err);
    if (!g)
        return NULL;
    g->level = level;
    g->codec = vox_codec_for_level(&g->level);
    g->put = put;
    g->user = user;
    g->threads = thread_count(threads);
    g->block_count = g->threads * BLOCKS_PER_THREAD;
    g->deflater = vox_alloc(g->threads, sizeof *g->deflater, "gzip", err);
    g->blocks = vox_alloc(g->block_count, sizeof *g->blocks, "gzip", err);
    if (!g->deflater || !g->blocks)
        goto out;
    for (int t = 0; t < g->threads && g->level > 0; t++)
        if (!(g->deflater[t] = g->codec->deflate_new(g->level, err)))
            goto out;
    return g;
out:
    vox_gzip_free(g);
    return NULL;
}

void vox_gzip_free(vox_gzip *g) {
    if (!g)
        return;
    for (int t = 0; g->deflater && t < g->threads; t++)
        g->codec->deflate_free(g->deflater[t]);
    free(g->deflater);
    free(g->blocks);
    free(g);
}

int64_t vox_gzip_memory(int level, int threads) {
    const vox_codec *codec = vox_codec_for_level(&level);
    int64_t each = (int64_t)sizeof(void *) + BLOCKS_PER_THREAD * (int64_t)sizeof(block) +
                   (level > 0 ? codec->deflate_memory : 0);
    return (int64_t)sizeof(vox_gzip) + (int64_t)3 * VOX_ALIGN + thread_count(threads) * each;
}

/* The block as stored deflate blocks, which end on a byte border by themselves. */
static int64_t store(block *b, bool last) {
    uint8_t *to = b->packed;
    int64_t done = 0;
    do {
        unsigned n = (unsigned)vox_min(b->bytes - done, STORED_MOST);
        *to++ = last && done + n == b->bytes;
        *to++ = (uint8_t)n;
        *to++ = (uint8_t)(n >> 8);
        *to++ = (uint8_t)~n;
        *to++ = (uint8_t)(~n >> 8);
        memcpy(to, b->data + done, n);
        to += n;
        done += n;
    } while (done < b->bytes);
    return to - b->packed;
}

static void pack(const vox_codec *codec, void *deflater, block *b, bool last) {
    size_t packed = 0;
    b->crc = codec->crc32(0, b->data, (size_t)b->bytes);
    if (deflater)
        packed =
            codec->deflate(deflater, b->data, (size_t)b->bytes, last, b->packed, sizeof b->packed);
    b->packed_bytes = packed ? (int64_t)packed : store(b, last); /* data that deflate would grow */
}

/* Compresses and puts out blocks [0, count); the last of them ends the deflate data where `last`.
 */
static vox_status flush(vox_gzip *g, int count, bool last, vox_error *err) {
    static const uint8_t header[HEADER_BYTES] = {
        0x1f,        0x8b, 8 /* deflate */, 0 /* flags */, 0, 0, 0, 0 /* mtime */,
        0 /* xfl */, 255 /* os: unknown, so that all systems write the same */};
#pragma omp parallel for num_threads(g->threads) schedule(dynamic, 1)
    for (int i = 0; i < count; i++)
        pack(g->codec, g->deflater[omp_get_thread_num()], &g->blocks[i], last && i == count - 1);

    vox_status status = VOX_OK;
    if (!g->started)
        status = g->put(g->user, header, sizeof header, err);
    g->started = true;
    for (int i = 0; i < count && status == VOX_OK; i++) {
        block *b = &g->blocks[i];
        g->crc = (uint32_t)crc32_combine(g->crc, b->crc, (z_off_t)b->bytes);
        g->length += (uint64_t)b->bytes;
        status = g->put(g->user, b->packed, b->packed_bytes, err);
        b->bytes = 0;
    }
    g->current = 0;
    return status;
}

vox_status vox_gzip_write(vox_gzip *g, const void *buf, int64_t bytes, vox_error *err) {
    const uint8_t *from = buf;
    while (bytes > 0) {
        block *b = &g->blocks[g->current];
        int64_t n = vox_min(bytes, BLOCK_BYTES - b->bytes);
        memcpy(b->data + b->bytes, from, (size_t)n);
        b->bytes += n;
        from += n;
        bytes -= n;
        if (b->bytes < BLOCK_BYTES)
            break;
        if (++g->current == g->block_count) {
            vox_status status = flush(g, g->block_count, false, err);
            if (status != VOX_OK)
                return status;
        }
    }
    return VOX_OK;
}

static void little_endian(uint8_t *to, uint32_t value) {
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

vox_status vox_gzip_finish(vox_gzip *g, vox_error *err) {
    /* The current block is never full; it may be empty, and then it is an empty last block. */
    vox_status status = flush(g, g->current + 1, true, err);
    if (status != VOX_OK)
        return status;
    uint8_t trailer[TRAILER_BYTES];
    little_endian(trailer, g->crc);
    little_endian(trailer + 4, (uint32_t)g->length);
    return g->put(g->user, trailer, sizeof trailer, err);
}
