/* seen.h - lets ThreadSanitizer see the kernel's vectors.
 *
 * clang instruments loads and stores of up to 16 bytes; those of AVX2 and AVX-512, and stores under
 * a mask, pass it by. This header is included before anything else (`-include`, mk/tsan.mk), in
 * tile.c brings the vector vocabulary in first, and puts calls of the run time's range checks in
 * front of its loads and stores. So the paths that the machine really takes are watched, not only
 * the portable one. tests/tsan/canary.c proves it for every variant.
 */
#if defined(VOX_VEC_HEADER) && !defined(TSAN_SEEN_H)
#define TSAN_SEEN_H

#include VOX_VEC_HEADER

/* Of compiler-rt's tsan_interface.h, which is not installed. */
void __tsan_read_range(void *p, unsigned long bytes);
void __tsan_write_range(void *p, unsigned long bytes);

static inline vec seen_load(const float *p) {
    __tsan_read_range((void *)(unsigned long)p, sizeof(vec));
    return vec_load(p);
}

static inline void seen_store(float *p, vec v) {
    __tsan_write_range(p, sizeof(vec));
    vec_store(p, v);
}

static inline void seen_store_part(float *p, vec v, int n) {
    __tsan_write_range(p, (unsigned long)n * sizeof(float));
    vec_store_part(p, v, n);
}

#define vec_load seen_load
#define vec_store seen_store
#define vec_store_part seen_store_part

#endif
