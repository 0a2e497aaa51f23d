/* vec_cached.h - for vocabularies whose stores pass through the caches in any case: to be included
 * behind vec_store(). */
#ifndef VOX_VEC_CACHED_H
#define VOX_VEC_CACHED_H

enum { VEC_BYPASSES = 0 };

static inline void vec_store_bypass(float *p, vec v) {
    vec_store(p, v);
}

static inline void vec_bypass_end(void) {
}

#endif
