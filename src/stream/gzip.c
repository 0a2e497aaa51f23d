/* gzip.c - bytes to one gzip member (RFC 1952), compressed by threads of its own.
 *
 * Blocks go round a ring: whoever writes fills them and hands them over, a packer takes them and
 * compresses them, and the writer puts them out in order when they are done. So compression goes on
 * while the next planes are read and computed. A writer that finds the ring full packs, too.
 */
#include "stream/gzip.h"

#include "stream/codec.h"
#include "stream/thread.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    BLOCK_BYTES = 256 << 10, /* large enough that cutting costs under 0.5 % of size */
    BLOCKS_PER_PACKER = 4,   /* what packers live on while nobody writes */
    STORED_MOST = 65535, /* bytes in a stored deflate block (RFC 1951, 3.2.4), behind 5 of header */
    STORED_BYTES = BLOCK_BYTES + 5 * (BLOCK_BYTES / STORED_MOST + 1),
    HEADER_BYTES = 10,
    TRAILER_BYTES = 8,
};

/* A block of data and what became of it. */
typedef struct block {
    int64_t bytes, packed_bytes;
    uint32_t crc;
    bool last; /* ends the deflate data */
    bool done; /* under the lock */
    uint8_t data[BLOCK_BYTES];
    uint8_t packed[STORED_BYTES];
} block;

struct vox_gzip {
    const vox_codec *codec;
    vox_gzip_put put;
    void *user;
    int level;
    /* Blocks by their number in the stream: n lies at blocks[n % block_count]. */
    block *blocks;
    int block_count;
    int64_t put_out; /* before it, all are out */
    uint32_t crc;
    uint64_t length;

    pthread_mutex_t lock;
    pthread_cond_t work_came, work_done;
    /* Under the lock: blocks handed over, and of those, taken to be packed. */
    int64_t filled, taken;
    bool stopping;
    int packer_count, started; /* packers that run */
    struct packer *packer;     /* [packer_count + 1]: the last is the writer itself */
};

typedef struct packer {
    vox_gzip *gzip;
    pthread_t thread;
    void *deflater; /* NULL at level 0 */
} packer;

/* Threads beside the writer: none where there is only one to use. */
static int packers_for(int threads) {
    threads = threads > 0 ? threads : omp_get_max_threads();
    return threads > 1 ? threads : 0;
}

/* The block as stored deflate blocks, which end on a byte border by themselves. */
static int64_t store(block *b) {
    uint8_t *to = b->packed;
    int64_t done = 0;
    do {
        unsigned n = (unsigned)vox_min(b->bytes - done, STORED_MOST);
        *to++ = b->last && done + n == b->bytes;
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

static void pack(const packer *p, block *b) {
    const vox_codec *codec = p->gzip->codec;
    size_t packed = 0;
    b->crc = codec->crc32(0, b->data, (size_t)b->bytes);
    if (p->deflater)
        packed = codec->deflate(p->deflater, b->data, (size_t)b->bytes, b->last, b->packed,
                                sizeof b->packed);
    b->packed_bytes = packed ? (int64_t)packed : store(b); /* data that deflate would grow */
}

/* ---- Packers ---- */

/* Takes and packs one block. With the lock, which it gives up meanwhile. */
static void pack_next(const packer *p) {
    vox_gzip *g = p->gzip;
    block *b = &g->blocks[g->taken++ % g->block_count];
    pthread_mutex_unlock(&g->lock);
    pack(p, b);
    pthread_mutex_lock(&g->lock);
    b->done = true;
}

static void *run_packer(void *argument) {
    const packer *p = argument;
    vox_gzip *g = p->gzip;
    pthread_mutex_lock(&g->lock);
    for (;;) {
        while (!g->stopping && g->taken == g->filled)
            pthread_cond_wait(&g->work_came, &g->lock);
        if (g->stopping)
            break;
        pack_next(p);
        pthread_cond_signal(&g->work_done);
    }
    pthread_mutex_unlock(&g->lock);
    return NULL;
}

vox_gzip *vox_gzip_new(int level, int threads, vox_gzip_put put, void *user, vox_error *err) {
    if (level < -1 || level > 9) {
        vox_fail(err, VOX_ERR_USAGE, "compression=%d: a level is 0 to 9", level);
        return NULL;
    }
    vox_gzip *g = vox_alloc(1, sizeof *g, "gzip", err);
    if (!g)
        return NULL;
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->work_came, NULL);
    pthread_cond_init(&g->work_done, NULL);
    g->level = level;
    g->codec = vox_codec_for_level(&g->level);
    g->put = put;
    g->user = user;
    g->packer_count = packers_for(threads);
    g->block_count = (g->packer_count + 1) * BLOCKS_PER_PACKER;
    g->packer = vox_alloc(g->packer_count + 1, sizeof *g->packer, "gzip", err);
    g->blocks = vox_alloc_uncleared(g->block_count, sizeof *g->blocks, "gzip", err);
    if (!g->packer || !g->blocks)
        goto out;
    for (int i = 0; i < g->block_count; i++)
        g->blocks[i].bytes = g->blocks[i].done = g->blocks[i].last = 0;
    for (int i = 0; i <= g->packer_count; i++) {
        g->packer[i].gzip = g;
        if (g->level > 0 && !(g->packer[i].deflater = g->codec->deflate_new(g->level, err)))
            goto out;
    }
    for (; g->started < g->packer_count; g->started++) {
        packer *p = &g->packer[g->started];
        const int failed = vox_thread_start(&p->thread, run_packer, p);
        if (failed) {
            vox_fail(err, VOX_ERR_RESOURCE, "gzip: no thread could be started: %s",
                     strerror(failed));
            goto out;
        }
    }
    return g;
out:
    vox_gzip_free(g);
    return NULL;
}

void vox_gzip_free(vox_gzip *g) {
    if (!g)
        return;
    pthread_mutex_lock(&g->lock);
    g->stopping = true;
    pthread_cond_broadcast(&g->work_came);
    pthread_mutex_unlock(&g->lock);
    for (int i = 0; i < g->started; i++)
        pthread_join(g->packer[i].thread, NULL);
    for (int i = 0; g->packer && i <= g->packer_count; i++)
        g->codec->deflate_free(g->packer[i].deflater);
    pthread_cond_destroy(&g->work_done);
    pthread_cond_destroy(&g->work_came);
    pthread_mutex_destroy(&g->lock);
    free(g->packer);
    free(g->blocks);
    free(g);
}

int64_t vox_gzip_memory(int level, int threads) {
    const vox_codec *codec = vox_codec_for_level(&level);
    const int packers = packers_for(threads);
    const int64_t each = (int64_t)sizeof(packer) + BLOCKS_PER_PACKER * (int64_t)sizeof(block) +
                         (level > 0 ? codec->deflate_memory : 0);
    return (int64_t)sizeof(vox_gzip) + (int64_t)3 * VOX_ALIGN + (packers + 1) * each +
           (int64_t)packers * VOX_THREAD_STACK_BYTES;
}

/* ---- Writing ---- */

static block *current(const vox_gzip *g) {
    return &g->blocks[g->filled % g->block_count]; /* only the writer changes `filled` */
}

static void hand_over(vox_gzip *g, bool last) {
    current(g)->last = last;
    pthread_mutex_lock(&g->lock);
    g->filled++;
    pthread_cond_signal(&g->work_came);
    pthread_mutex_unlock(&g->lock);
}

static vox_status put_block(vox_gzip *g, block *b, vox_error *err) {
    static const uint8_t header[HEADER_BYTES] = {
        0x1f,        0x8b, 8 /* deflate */, 0 /* flags */, 0, 0, 0, 0 /* mtime */,
        0 /* xfl */, 255 /* os: unknown, so that all systems write the same */};
    vox_status status = VOX_OK;
    if (g->put_out == 0)
        status = g->put(g->user, header, sizeof header, err);
    if (!status)
        status = g->put(g->user, b->packed, b->packed_bytes, err);
    g->crc = (uint32_t)crc32_combine(g->crc, b->crc, (z_off_t)b->bytes);
    g->length += (uint64_t)b->bytes;
    b->bytes = 0;
    b->done = false;
    g->put_out++;
    return status;
}

/* Puts out what is done, and waits until no more than `most` blocks are not. */
static vox_status put_blocks(vox_gzip *g, int64_t most, vox_error *err) {
    vox_status status = VOX_OK;
    pthread_mutex_lock(&g->lock);
    while (!status && g->put_out < g->filled) {
        block *oldest = &g->blocks[g->put_out % g->block_count];
        if (oldest->done) {
            pthread_mutex_unlock(&g->lock);
            status = put_block(g, oldest, err);
            pthread_mutex_lock(&g->lock);
        } else if (g->filled - g->put_out <= most) {
            break;
        } else if (g->taken < g->filled) {
            pack_next(&g->packer[g->packer_count]);
        } else {
            pthread_cond_wait(&g->work_done, &g->lock);
        }
    }
    pthread_mutex_unlock(&g->lock);
    return status;
}

vox_status vox_gzip_write(vox_gzip *g, const void *buf, int64_t bytes, vox_error *err) {
    const uint8_t *from = buf;
    while (bytes > 0) {
        block *b = current(g);
        int64_t n = vox_min(bytes, BLOCK_BYTES - b->bytes);
        memcpy(b->data + b->bytes, from, (size_t)n);
        b->bytes += n;
        from += n;
        bytes -= n;
        if (b->bytes < BLOCK_BYTES)
            break;
        hand_over(g, false);
        vox_status status = put_blocks(g, g->block_count - 1, err);
        if (status != VOX_OK)
            return status;
    }
    return VOX_OK;
}

static void little_endian(uint8_t *to, uint32_t value) {
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

vox_status vox_gzip_finish(vox_gzip *g, vox_error *err) {
    /* The current block is never full; it may be empty, and then it is an empty last block. */
    hand_over(g, true);
    vox_status status = put_blocks(g, 0, err);
    if (status != VOX_OK)
        return status;
    uint8_t trailer[TRAILER_BYTES];
    little_endian(trailer, g->crc);
    little_endian(trailer + 4, (uint32_t)g->length);
    return g->put(g->user, trailer, sizeof trailer, err);
}
