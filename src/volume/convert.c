/* convert.c - the loops behind convert.h: one pair of functions a storage type, made by macros.
 *
 * Each loop is written so that the compiler vectorises it (no calls, no early exits, `omp simd`).
 * Machine byte order without interleaving has a loop of its own: nearly every file is read through
 * it.
 */
#include "volume/convert.h"

#include <math.h>
#include <string.h>

static inline uint8_t same8(uint8_t w) {
    return w;
}

/* get_NAME: one value from its bytes. load_NAME_TO: a row of them, `step` bytes apart. */
#define DEFINE_GET(NAME, TYPE, WORD, SWAP)                                                         \
    static inline TYPE get_##NAME(const unsigned char *p, bool swapped) {                          \
        WORD w;                                                                                    \
        TYPE v;                                                                                    \
        memcpy(&w, p, sizeof w);                                                                   \
        if (swapped)                                                                               \
            w = SWAP(w);                                                                           \
        memcpy(&v, &w, sizeof v);                                                                  \
        return v;                                                                                  \
    }

#define DEFINE_LOAD(NAME, TYPE, TO)                                                                \
    static void load_##NAME##_##TO(const unsigned char *p, int64_t n, int64_t step, bool swapped,  \
                                   const vox_scaling *s, TO *row) {                                \
        const double slope = s->slope, inter = s->inter;                                           \
        if (step != (int64_t)sizeof(TYPE) || swapped) {                                            \
            for (int64_t i = 0; i < n; i++) {                                                      \
                TYPE v = get_##NAME(p + i * step, swapped);                                        \
                row[i] = s->active ? (TO)((double)v * slope + inter) : (TO)v;                      \
            }                                                                                      \
        } else if (s->active) {                                                                    \
            _Pragma("omp simd") for (int64_t i = 0; i < n; i++) row[i] =                           \
                (TO)((double)get_##NAME(p + i * (int64_t)sizeof(TYPE), false) * slope + inter);    \
        } else {                                                                                   \
            _Pragma("omp simd") for (int64_t i = 0; i < n; i++) row[i] =                           \
                (TO)get_##NAME(p + i * (int64_t)sizeof(TYPE), false);                              \
        }                                                                                          \
    }

#define DEFINE_READING(NAME, TYPE, WORD, SWAP)                                                     \
    DEFINE_GET(NAME, TYPE, WORD, SWAP)                                                             \
    DEFINE_LOAD(NAME, TYPE, float)                                                                 \
    DEFINE_LOAD(NAME, TYPE, double)

DEFINE_READING(uint8, uint8_t, uint8_t, same8)
DEFINE_READING(int8, int8_t, uint8_t, same8)
DEFINE_READING(uint16, uint16_t, uint16_t, __builtin_bswap16)
DEFINE_READING(int16, int16_t, uint16_t, __builtin_bswap16)
DEFINE_READING(uint32, uint32_t, uint32_t, __builtin_bswap32)
DEFINE_READING(int32, int32_t, uint32_t, __builtin_bswap32)
DEFINE_READING(uint64, uint64_t, uint64_t, __builtin_bswap64)
DEFINE_READING(int64, int64_t, uint64_t, __builtin_bswap64)
DEFINE_READING(float32, float, uint32_t, __builtin_bswap32)
DEFINE_READING(float64, double, uint64_t, __builtin_bswap64)

/* store_NAME from store_NAME_by: values that lie side by side get a loop of their own, which the
 * compiler can vectorise. */
#define DEFINE_STORE(NAME, TYPE)                                                                   \
    static int64_t store_##NAME(const float *row, int64_t n, int64_t step, const vox_scaling *s,   \
                                unsigned char *p) {                                                \
        const int64_t bytes = sizeof(TYPE);                                                        \
        return step == bytes ? store_##NAME##_by(row, n, bytes, s, p)                              \
                             : store_##NAME##_by(row, n, step, s, p);                              \
    }

/* Integers of up to 32 bits. Adding and subtracting 1.5 * 2^52 leaves no bits for a fraction, so it
 * rounds half to even wherever |v| < 2^51; beyond that the value is far outside of the range either
 * way. */
#define DEFINE_STORE_INT(NAME, TYPE, WIDE, LOW, HIGH)                                              \
    static inline int64_t store_##NAME##_by(const float *row, int64_t n, const int64_t step,       \
                                            const vox_scaling *s, unsigned char *p) {              \
        const double slope = s->active ? s->slope : 1, inter = s->active ? s->inter : 0;           \
        const double magic = 6755399441055744.0;                                                   \
        int64_t clamped = 0;                                                                       \
        _Pragma("omp simd reduction(+ : clamped)") for (int64_t i = 0; i < n; i++) {               \
            double v = ((double)row[i] - inter) / slope;                                           \
            double r = (v + magic) - magic;                                                        \
            double c = r > (HIGH) ? (HIGH) : r;                                                    \
            c = c < (LOW) ? (LOW) : c;                                                             \
            c = c != c ? 0 : c;                                                                    \
            clamped += !(c == r);                                                                  \
            TYPE t = (TYPE)(WIDE)c;                                                                \
            memcpy(p + i * step, &t, sizeof t);                                                    \
        }                                                                                          \
        return clamped;                                                                            \
    }                                                                                              \
    DEFINE_STORE(NAME, TYPE)

/* 64-bit integers: HIGH is the first double above the range, for the largest one inside is no
 * double. */
#define DEFINE_STORE_INT64(NAME, TYPE, LOW, HIGH, LEAST, MOST)                                     \
    static int64_t store_##NAME(const float *row, int64_t n, int64_t step, const vox_scaling *s,   \
                                unsigned char *p) {                                                \
        int64_t clamped = 0;                                                                       \
        for (int64_t i = 0; i < n; i++) {                                                          \
            double r = rint(s->active ? ((double)row[i] - s->inter) / s->slope : (double)row[i]);  \
            bool inside = r >= (LOW) && r < (HIGH);                                                \
            TYPE t = inside ? (TYPE)r : r >= (HIGH) ? (MOST) : r < (LOW) ? (LEAST) : 0;            \
            clamped += !inside;                                                                    \
            memcpy(p + i * step, &t, sizeof t);                                                    \
        }                                                                                          \
        return clamped;                                                                            \
    }

/* Machines differ in the sign of the NaN that they make; files do not. */
#define one_nan(v) ((v) == (v) ? (v) : NAN)

#define DEFINE_STORE_FLOAT(NAME, TYPE)                                                             \
    static inline int64_t store_##NAME##_by(const float *row, int64_t n, const int64_t step,       \
                                            const vox_scaling *s, unsigned char *p) {              \
        const double slope = s->slope, inter = s->inter;                                           \
        if (s->active)                                                                             \
            _Pragma("omp simd") for (int64_t i = 0; i < n; i++) {                                  \
                TYPE t = one_nan((TYPE)(((double)row[i] - inter) / slope));                        \
                memcpy(p + i * step, &t, sizeof t);                                                \
            }                                                                                      \
        else                                                                                       \
            _Pragma("omp simd") for (int64_t i = 0; i < n; i++) {                                  \
                TYPE t = one_nan((TYPE)row[i]);                                                    \
                memcpy(p + i * step, &t, sizeof t);                                                \
            }                                                                                      \
        return 0;                                                                                  \
    }                                                                                              \
    DEFINE_STORE(NAME, TYPE)

DEFINE_STORE_INT(uint8, uint8_t, int32_t, 0, UINT8_MAX)
DEFINE_STORE_INT(int8, int8_t, int32_t, INT8_MIN, INT8_MAX)
DEFINE_STORE_INT(uint16, uint16_t, int32_t, 0, UINT16_MAX)
DEFINE_STORE_INT(int16, int16_t, int32_t, INT16_MIN, INT16_MAX)
DEFINE_STORE_INT(uint32, uint32_t, int64_t, 0, UINT32_MAX)
DEFINE_STORE_INT(int32, int32_t, int32_t, INT32_MIN, INT32_MAX)
DEFINE_STORE_INT64(uint64, uint64_t, 0.0, 0x1p64, 0, UINT64_MAX)
DEFINE_STORE_INT64(int64, int64_t, -0x1p63, 0x1p63, INT64_MIN, INT64_MAX)
DEFINE_STORE_FLOAT(float32, float)
DEFINE_STORE_FLOAT(float64, double)

static const struct {
    int bytes;
    void (*load)(const unsigned char *, int64_t, int64_t, bool, const vox_scaling *, float *);
    void (*load_double)(const unsigned char *, int64_t, int64_t, bool, const vox_scaling *,
                        double *);
    int64_t (*store)(const float *, int64_t, int64_t, const vox_scaling *, unsigned char *);
} storage[VOX_STORE_COUNT] = {
    [VOX_STORE_UINT8] = {1, load_uint8_float, load_uint8_double, store_uint8},
    [VOX_STORE_INT8] = {1, load_int8_float, load_int8_double, store_int8},
    [VOX_STORE_UINT16] = {2, load_uint16_float, load_uint16_double, store_uint16},
    [VOX_STORE_INT16] = {2, load_int16_float, load_int16_double, store_int16},
    [VOX_STORE_UINT32] = {4, load_uint32_float, load_uint32_double, store_uint32},
    [VOX_STORE_INT32] = {4, load_int32_float, load_int32_double, store_int32},
    [VOX_STORE_UINT64] = {8, load_uint64_float, load_uint64_double, store_uint64},
    [VOX_STORE_INT64] = {8, load_int64_float, load_int64_double, store_int64},
    [VOX_STORE_FLOAT32] = {4, load_float32_float, load_float32_double, store_float32},
    [VOX_STORE_FLOAT64] = {8, load_float64_float, load_float64_double, store_float64},
};

void vox_row_load(const vox_datatype *t, bool swapped, const vox_scaling *s,
                  const unsigned char *stored, int component, int64_t n, float *row) {
    storage[t->storage].load(stored + component * storage[t->storage].bytes, n, t->bytes, swapped,
                             s, row);
}

void vox_row_load_double(const vox_datatype *t, bool swapped, const vox_scaling *s,
                         const unsigned char *stored, int component, int64_t n, double *row) {
    storage[t->storage].load_double(stored + component * storage[t->storage].bytes, n, t->bytes,
                                    swapped, s, row);
}

int64_t vox_row_store(const vox_datatype *t, const vox_scaling *s, const float *row, int component,
                      int64_t n, unsigned char *stored) {
    return storage[t->storage].store(row, n, t->bytes, s,
                                     stored + component * storage[t->storage].bytes);
}

/* An exponent of ones alone: infinity or NaN. */
static bool all_finite(const float *row, int64_t n) {
    const int32_t exponent = 0x7f800000;
    int32_t any = 0;
#pragma omp simd reduction(| : any)
    for (int64_t i = 0; i < n; i++) {
        int32_t bits;
        memcpy(&bits, &row[i], sizeof bits);
        any |= (bits & exponent) == exponent;
    }
    return any == 0;
}

void vox_row_count(const float *row, int64_t n, int64_t *nan_count, int64_t *inf_count) {
    if (all_finite(row, n))
        return;
    const int32_t infinity = 0x7f800000;
    const int64_t most = 1 << 30; /* what the narrow counters of a vectorised loop hold */
    for (int64_t at = 0; at < n; at += most) {
        const int64_t end = n - at < most ? n : at + most;
        int32_t nans = 0, infs = 0;
#pragma omp simd reduction(+ : nans, infs)
        for (int64_t i = at; i < end; i++) {
            int32_t bits; /* signed: SSE2 compares no other way */
            memcpy(&bits, &row[i], sizeof bits);
            bits &= 0x7fffffff;
            nans += bits > infinity;
            infs += bits == infinity;
        }
        *nan_count += nans;
        *inf_count += infs;
    }
}
