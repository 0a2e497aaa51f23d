/* readahead.c - a thread that fills a ring of bytes ahead of its reader. */
#include "stream/readahead.h"

#include "stream/thread.h"

#include <stdlib.h>
#include <string.h>

enum {
    RING_BYTES = 2 << 20,
    PIECE_BYTES = RING_BYTES / 8, /* the most that is filled in one go */
};

struct vox_readahead {
    vox_fill fill;
    void *user;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t bytes_came, room_came;
    /* Under the lock. Byte n of the stream lies at ring[n % RING_BYTES]. */
    int64_t filled, taken;
    bool ended, stopping;
    vox_status status; /* met by the reader behind the last byte */
    vox_error error;
    uint8_t ring[RING_BYTES];
};

/* The bytes from stream position n to the end of the ring's memory. */
static int64_t contiguous(int64_t n) {
    return RING_BYTES - n % RING_BYTES;
}

/* Waits for room for a piece; 0 when it is time to stop. */
static int64_t wait_for_room(vox_readahead *r) {
    while (!r->stopping && RING_BYTES - (r->filled - r->taken) < PIECE_BYTES)
        pthread_cond_wait(&r->room_came, &r->lock);
    return r->stopping ? 0 : vox_min(contiguous(r->filled), PIECE_BYTES);
}

static void *run(void *argument) {
    vox_readahead *r = argument;
    int64_t room;
    pthread_mutex_lock(&r->lock);
    while (!r->ended && (room = wait_for_room(r)) > 0) {
        uint8_t *to = r->ring + r->filled % RING_BYTES;
        size_t made = 0;
        pthread_mutex_unlock(&r->lock);
        /* Nobody reads r->error before `ended` is set. */
        vox_status status = r->fill(r->user, to, (size_t)room, &made, &r->error);
        pthread_mutex_lock(&r->lock);
        r->filled += (int64_t)made;
        r->status = status;
        r->ended = status != VOX_OK || made == 0;
        pthread_cond_signal(&r->bytes_came);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

vox_readahead *vox_readahead_start(vox_fill fill, void *user, vox_error *err) {
    vox_readahead *r = vox_alloc(1, sizeof *r, "read-ahead", err);
    if (!r)
        return NULL;
    r->fill = fill;
    r->user = user;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->bytes_came, NULL);
    pthread_cond_init(&r->room_came, NULL);
    int failed = vox_thread_start(&r->thread, run, r);
    if (failed) {
        vox_fail(err, VOX_ERR_RESOURCE, "read-ahead: no thread could be started: %s",
                 strerror(failed));
        free(r);
        return NULL;
    }
    return r;
}

vox_status vox_readahead_read(vox_readahead *r, void *buf, int64_t want, int64_t *got,
                              vox_error *err) {
    vox_status status = VOX_OK;
    *got = 0;
    pthread_mutex_lock(&r->lock);
    while (*got < want) {
        while (r->filled == r->taken && !r->ended)
            pthread_cond_wait(&r->bytes_came, &r->lock);
        int64_t n = vox_min(vox_min(r->filled - r->taken, contiguous(r->taken)), want - *got);
        if (n == 0) {
            status = r->status;
            break;
        }
        if (buf) {
            pthread_mutex_unlock(&r->lock);
            memcpy((uint8_t *)buf + *got, r->ring + r->taken % RING_BYTES, (size_t)n);
            pthread_mutex_lock(&r->lock);
        }
        *got += n;
        r->taken += n;
        pthread_cond_signal(&r->room_came);
    }
    pthread_mutex_unlock(&r->lock);
    if (status != VOX_OK && err)
        *err = r->error;
    return status;
}

void vox_readahead_stop(vox_readahead *r) {
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    pthread_cond_signal(&r->room_came);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    pthread_cond_destroy(&r->room_came);
    pthread_cond_destroy(&r->bytes_came);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

int64_t vox_readahead_memory(void) {
    return (int64_t)sizeof(vox_readahead) + VOX_ALIGN + VOX_THREAD_STACK_BYTES;
}
