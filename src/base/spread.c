/* spread.c - see spread.h. */
#include "base/spread.h"

#include <omp.h>

enum { MOST_SHARES = 64 }; /* more threads than that use shares in common */

/* One share on a cache line of its own: [next, end) is still to do. */
typedef struct share {
    int64_t next, end;
    char rest[VOX_ALIGN - 2 * sizeof(int64_t)];
} share;

static int64_t take(share *s) {
    int64_t i;
#pragma omp atomic capture relaxed
    i = s->next++;
    return i;
}

void vox_spread(int threads, int64_t count, void (*unit)(void *user, int64_t i, int thread),
                void *user) {
    if (threads == 1 || count <= 1) {
        for (int64_t i = 0; i < count; i++)
            unit(user, i, 0);
        return;
    }
    _Alignas(VOX_ALIGN) share shares[MOST_SHARES];
    const int64_t n = vox_min(threads, MOST_SHARES);
    for (int64_t s = 0; s < n; s++)
        shares[s] = (share){.next = count * s / n, .end = count * (s + 1) / n};
#pragma omp parallel num_threads(threads)
    {
        const int thread = omp_get_thread_num();
        for (int64_t k = 0; k < n; k++) {
            share *s = &shares[(thread * n / threads + k) % n];
            for (int64_t i = take(s); i < s->end; i = take(s))
                unit(user, i, thread);
        }
    }
}
