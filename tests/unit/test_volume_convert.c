/* test_volume_convert.c - stored values to float32 and back.
 *
 * Expected values are C's own conversions of single numbers (IEEE 754, round to nearest even), or
 * written out by hand where that is the point; the reference loops share nothing with src/volume.
 */
#include "test_volume_make.h"
#include "volume/convert.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { N = 37 }; /* no multiple of a vector, so that tails are tried */

static const vox_scaling unscaled = {false, 1, 0};

static uint32_t bits_of(float x) {
    uint32_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

/* Equal as numbers or NaN both. */
static bool same(float a, float b) {
    return a == b || (isnan(a) && isnan(b));
}

static void reverse(unsigned char *p, int size) {
    for (int i = 0; i < size / 2; i++) {
        const unsigned char c = p[i];
        p[i] = p[size - 1 - i];
        p[size - 1 - i] = c;
    }
}

/* Loads `value` N times, alone and byte-swapped, and compares with what is expected. */
static void check_load(int code, const void *value, const vox_scaling *s, float expected) {
    const vox_datatype *t = vox_datatype_find(code);
    const int size = t->bytes / t->components;
    unsigned char stored[N * 16], swapped[N * 16];
    float row[N];
    for (int i = 0; i < N * t->components; i++) {
        memcpy(stored + i * size, value, (size_t)size);
        memcpy(swapped + i * size, value, (size_t)size);
        reverse(swapped + i * size, size);
    }
    for (int k = 0; k < 2 * t->components; k++) {
        memset(row, 0x55, sizeof row);
        vox_row_load(t, k & 1, s, k & 1 ? swapped : stored, k / 2, N, row);
        for (int i = 0; i < N; i++)
            cr_expect(same(row[i], expected), "%s: %a, not %a (swapped %d)", t->name, row[i],
                      expected, k & 1);
    }
}

#define CHECK_LOADS(CODE, TYPE, ...)                                                               \
    do {                                                                                           \
        const TYPE values[] = {__VA_ARGS__};                                                       \
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {                            \
            const vox_scaling s = {true, 0.1, -1000.3};                                            \
            const volatile double product = (double)values[i] * 0.1;                               \
            const volatile double sum = product + -1000.3;                                         \
            check_load(CODE, &values[i], &unscaled, (float)values[i]);                             \
            check_load(CODE, &values[i], &s, (float)sum);                                          \
        }                                                                                          \
    } while (0)

Test(volume_convert, load_every_type) {
    CHECK_LOADS(2, uint8_t, 0, 1, 127, 128, 255);
    CHECK_LOADS(256, int8_t, 0, -1, 127, -128);
    CHECK_LOADS(512, uint16_t, 0, 1, 0x1234, 32768, 65535);
    CHECK_LOADS(4, int16_t, 0, -1, 0x1234, -32768, 32767, -1024);
    CHECK_LOADS(768, uint32_t, 0, 16777217, 16777219, 0x80000000u, UINT32_MAX);
    CHECK_LOADS(8, int32_t, 0, -1, 16777217, -16777219, INT32_MIN, INT32_MAX);
    CHECK_LOADS(1280, uint64_t, 0, 16777217, (1ull << 53) + 1, 1ull << 63, UINT64_MAX);
    CHECK_LOADS(1024, int64_t, 0, -1, (1ll << 53) + 1, INT64_MIN, INT64_MAX);
    CHECK_LOADS(16, float, 0, -0.0f, 1.5f, 3.402823466e38f, 1e-45f, INFINITY, -INFINITY, NAN);
    CHECK_LOADS(64, double, 0, 0.1, 1e300, -1e-300, 16777217, INFINITY, NAN);
    CHECK_LOADS(32, float, 0.25f, -3, NAN);
    CHECK_LOADS(1792, double, 0.1, -1e300);
}

Test(volume_convert, one_rounding_without_scaling) {
    /* 2^53 + 2^29 + 1 lies just above a float's half-way point; rounding through double would hit
     * it exactly and fall to the even neighbour below. */
    const int64_t x = (1ll << 53) + (1ll << 29) + 1;
    check_load(1024, &x, &unscaled, 0x1.000002p53f);
    const uint64_t u = (uint64_t)x;
    check_load(1280, &u, &unscaled, 0x1.000002p53f);
}

Test(volume_convert, no_fused_multiply_add) {
    /* 3 * 0.1 rounds to 0.30000000000000004; minus 0.3 leaves 2^-54. An fma would leave 2^-55. */
    const uint8_t x = 3;
    const vox_scaling s = {true, 0.1, -0.3};
    check_load(2, &x, &s, 0x1p-54f);
}

/* Every NaN is written as IEEE 754's canonical quiet one, so that files do not depend on the
 * machine. */
Test(volume_convert, float32_keeps_its_bits_but_for_nan) {
    const uint32_t patterns[] = {0x7f800001, 0xffc12345, 0x7fc00000, 0x80000000, 0x00000001};
    const uint32_t written[] = {0x7fc00000, 0x7fc00000, 0x7fc00000, 0x80000000, 0x00000001};
    const vox_datatype *t = vox_datatype_find(16);
    for (int i = 0; i < 5; i++) {
        unsigned char stored[4 * N], back[4 * N];
        float row[N];
        for (int k = 0; k < N; k++)
            memcpy(stored + 4 * k, &patterns[i], 4);
        vox_row_load(t, false, &unscaled, stored, 0, N, row);
        cr_expect_eq(bits_of(row[N - 1]), patterns[i]);
        vox_row_store(t, &unscaled, row, 0, N, back);
        for (int k = 0; k < N; k++)
            cr_expect_eq(memcmp(back + 4 * k, &written[i], 4), 0);
        for (int k = 0; k < N; k++)
            reverse(stored + 4 * k, 4);
        vox_row_load(t, true, &unscaled, stored, 0, N, row);
        cr_expect_eq(bits_of(row[0]), patterns[i]);
    }
}

Test(volume_convert, components_interleave) {
    const vox_datatype *t = vox_datatype_find(2304); /* rgba32 */
    unsigned char stored[4 * N], back[4 * N] = {0};
    float row[N];
    for (int i = 0; i < 4 * N; i++)
        stored[i] = (unsigned char)(i * 7);
    const vox_scaling s = {false, 1, 0};
    for (int k = 0; k < 4; k++) {
        vox_row_load(t, false, &s, stored, k, N, row);
        for (int i = 0; i < N; i++)
            cr_expect_eq(row[i], (float)(unsigned char)((4 * i + k) * 7));
        cr_expect_eq(vox_row_store(t, &s, row, k, N, back), 0);
    }
    cr_expect_eq(memcmp(stored, back, sizeof back), 0);
}

Test(volume_convert, doubles_for_statistics) {
    const int64_t x[2] = {(1ll << 53) - 1, -3};
    double row[2];
    vox_row_load_double(vox_datatype_find(1024), false, &unscaled, (const unsigned char *)x, 0, 2,
                        row);
    cr_expect(row[0] == 9007199254740991.0 && row[1] == -3);
}

/* ---- Storing ---- */

/* What an integer type must hold for y, by libm: rint is half to even in the default rounding mode.
 */
static bool expected_integer(float y, double slope, double inter, double low, double high,
                             double *value) {
    const double v = ((double)y - inter) / slope;
    *value = isnan(v) ? 0 : rint(v) < low ? low : rint(v) > high ? high : rint(v);
    return isnan(v) || rint(v) < low || rint(v) > high;
}

static double integer_at(const vox_datatype *t, const unsigned char *p) {
    union {
        uint8_t u8;
        int8_t i8;
        uint16_t u16;
        int16_t i16;
        uint32_t u32;
        int32_t i32;
    } v;
    memcpy(&v, p, (size_t)t->bytes);
    switch (t->code) {
    case 2:
        return v.u8;
    case 256:
        return v.i8;
    case 512:
        return v.u16;
    case 4:
        return v.i16;
    case 768:
        return v.u32;
    default:
        return v.i32;
    }
}

static const float store_values[] = {0,
                                     -0.0f,
                                     0.5f,
                                     1.5f,
                                     2.5f,
                                     -0.5f,
                                     -1.5f,
                                     0.49999997f,
                                     126.5f,
                                     127.5f,
                                     -128.5f,
                                     -129,
                                     254.5f,
                                     255.5f,
                                     256,
                                     32767.5f,
                                     32766.5f,
                                     -32768.5f,
                                     65534.5f,
                                     65535.5f,
                                     65536,
                                     1e9f,
                                     2147483520.0f,
                                     2147483648.0f,
                                     -2147483648.0f,
                                     -2147484000.0f,
                                     4294967040.0f,
                                     4294967296.0f,
                                     1e20f,
                                     -1e20f,
                                     3e38f,
                                     INFINITY,
                                     -INFINITY,
                                     NAN,
                                     -NAN,
                                     1e-40f,
                                     12345.678f};
enum { STORE_COUNT = sizeof store_values / sizeof store_values[0] };

Test(volume_convert, store_integers_up_to_32_bits) {
    const struct {
        int code;
        double low, high;
    } types[] = {{2, 0, 255},        {256, -128, 127},       {512, 0, 65535},
                 {4, -32768, 32767}, {768, 0, 4294967295.0}, {8, -2147483648.0, 2147483647.0}};
    const vox_scaling scalings[] = {{false, 1, 0}, {true, 0.25, 3}, {true, -2, 0.5}};
    for (int k = 0; k < 6; k++)
        for (int j = 0; j < 3; j++) {
            const vox_datatype *t = vox_datatype_find(types[k].code);
            unsigned char stored[STORE_COUNT * 4];
            int64_t clamped = 0;
            const int64_t got =
                vox_row_store(t, &scalings[j], store_values, 0, STORE_COUNT, stored);
            for (int i = 0; i < STORE_COUNT; i++) {
                double value;
                clamped += expected_integer(store_values[i], scalings[j].slope, scalings[j].inter,
                                            types[k].low, types[k].high, &value);
                cr_expect(integer_at(t, stored + i * t->bytes) == value, "%s %d: %g gives %g",
                          t->name, j, store_values[i], integer_at(t, stored + i * t->bytes));
            }
            cr_expect_eq(got, clamped, "%s %d: %lld clamped, not %lld", t->name, j, (long long)got,
                         (long long)clamped);
        }
}

Test(volume_convert, store_64_bit_integers) {
    const struct {
        float y;
        int64_t i;
        uint64_t u;
        int i_clamped, u_clamped;
    } cases[] = {
        {2.5f, 2, 2, 0, 0},
        {3.5f, 4, 4, 0, 0},
        {-0.5f, 0, 0, 0, 0},
        {-1, -1, 0, 0, 1},
        {0x1p62f, 1ll << 62, 1ull << 62, 0, 0},
        {0x1p63f, INT64_MAX, 1ull << 63, 1, 0},
        {0x1.fffffep62f, 0x7fffff8000000000, 0x7fffff8000000000, 0, 0},
        {-0x1p63f, INT64_MIN, 0, 0, 1},
        {-0x1.000002p63f, INT64_MIN, 0, 1, 1},
        {0x1.fffffep63f, INT64_MAX, 0xffffff0000000000, 1, 0},
        {0x1p64f, INT64_MAX, UINT64_MAX, 1, 1},
        {INFINITY, INT64_MAX, UINT64_MAX, 1, 1},
        {-INFINITY, INT64_MIN, 0, 1, 1},
        {NAN, 0, 0, 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t s;
        uint64_t u;
        cr_expect_eq(vox_row_store(vox_datatype_find(1024), &unscaled, &cases[i].y, 0, 1,
                                   (unsigned char *)&s),
                     cases[i].i_clamped, "%g", cases[i].y);
        cr_expect_eq(vox_row_store(vox_datatype_find(1280), &unscaled, &cases[i].y, 0, 1,
                                   (unsigned char *)&u),
                     cases[i].u_clamped, "%g", cases[i].y);
        cr_expect(s == cases[i].i && u == cases[i].u, "%g gives %lld and %llu", cases[i].y,
                  (long long)s, (unsigned long long)u);
    }
}

Test(volume_convert, store_floats_with_scaling) {
    const vox_scaling s = {true, 0.5, 10};
    const float row[2] = {11, -1};
    float f[2];
    double d[2];
    vox_row_store(vox_datatype_find(16), &s, row, 0, 2, (unsigned char *)f);
    vox_row_store(vox_datatype_find(64), &s, row, 0, 2, (unsigned char *)d);
    cr_expect(f[0] == 2 && f[1] == -22 && d[0] == 2 && d[1] == -22);
}

Test(volume_convert, counts_of_what_is_not_finite) {
    float row[N];
    int64_t nans = 5, infs = 7;
    for (int i = 0; i < N; i++)
        row[i] = i % 5 == 0 ? NAN : i % 7 == 1 ? -INFINITY : (float)i;
    row[2] = 3.402823466e38f;
    vox_row_count(row, N, &nans, &infs);
    cr_expect_eq(nans, 5 + 8); /* 0, 5, ..., 35 */
    cr_expect_eq(infs, 7 + 5); /* 1, 8, 22, 29, 36 */
}

Test(volume_convert, names) {
    static const struct {
        int code, bytes;
        const char *name;
    } types[] = {{2, 1, "uint8"},          {4, 2, "int16"},      {8, 4, "int32"},
                 {16, 4, "float32"},       {32, 8, "complex64"}, {64, 8, "float64"},
                 {128, 3, "rgb24"},        {256, 1, "int8"},     {512, 2, "uint16"},
                 {768, 4, "uint32"},       {1024, 8, "int64"},   {1280, 8, "uint64"},
                 {1792, 16, "complex128"}, {2304, 4, "rgba32"}};
    for (int i = 0; i < 14; i++) {
        cr_expect_eq(vox_datatype_from_name(types[i].name), types[i].code);
        cr_expect_str_eq(vox_datatype_name(types[i].code), types[i].name);
        cr_expect_eq(vox_datatype_find(types[i].code)->bytes, types[i].bytes);
    }
    cr_expect_eq(vox_datatype_from_name("float16"), 0);
    cr_expect_null(vox_datatype_name(1536));
    cr_expect_null(vox_datatype_name(0));
}
