/* elements.c - numbers as files store them, to float32 and back. */
#include "weights/weights.h"

#include <string.h>

static uint64_t load(const unsigned char *p, int bytes, bool big_endian) {
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v = v << 8 | p[big_endian ? i : bytes - 1 - i];
    return v;
}

static float float_from_bits(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static double double_from_bits(uint64_t bits) {
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

/* IEEE 754 binary16: every value of it is a float32. */
static float float_from_half(uint32_t h) {
    uint32_t sign = (h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff;
    if (exponent == 31)
        return float_from_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent == 0)
        return (float)fraction * (sign ? -0x1p-24f : 0x1p-24f);
    return float_from_bits(sign | (exponent + 127 - 15) << 23 | fraction << 13);
}

static float to_float(vox_element e, uint64_t v) {
    switch (e.kind) {
    case 'f':
        return e.bytes == 2   ? float_from_half((uint32_t)v)
               : e.bytes == 4 ? float_from_bits((uint32_t)v)
                              : (float)double_from_bits(v);
    case 'g': /* the high half of a float32 */
        return float_from_bits((uint32_t)v << 16);
    case 'i': {
        int unused = 64 - 8 * e.bytes;
        return (float)((int64_t)(v << unused) >> unused);
    }
    case 'b':
        return v != 0;
    default:
        return (float)v;
    }
}

void vox_elements_to_float(vox_element e, const unsigned char *from, int64_t n, float *to) {
    for (int64_t i = 0; i < n; i++)
        to[i] = to_float(e, load(from + i * e.bytes, e.bytes, e.big_endian));
}

void vox_floats_to_bytes(const float *from, int64_t n, unsigned char *to) {
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, from + i, sizeof bits);
        for (int b = 0; b < 4; b++)
            *to++ = (unsigned char)(bits >> 8 * b);
    }
}
