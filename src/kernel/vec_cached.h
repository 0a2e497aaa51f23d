/* vec_cached.h - stores that pass through the caches in any case, for vocabularies whose vectors
 * are not whole lines: to be included behind vec_store(). */
#ifndef VOX_VEC_CACHED_H
#define VOX_VEC_CACHED_H

#include <stdbool.h>

static inline bool vec_can_bypass(const float *p) {
    (void)p;
    return false;
}

static inline void vec_store_bypass(float *p, vec v) {
    vec_store(p, v);
}

static inline void vec_bypass_end(void) {
}

#endif
