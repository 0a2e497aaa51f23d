/* Initial weights against torch's own, see tests/oracle/golden/make_init.py. */
#include "base/random.h"
#include "weights_support.h"

#include <inttypes.h>
#include <zlib.h>

static vox_tensor *tensor(int rank, const int64_t *shape) {
    vox_tensor *t = vox_tensor_new(rank, shape, NULL);
    cr_assert_not_null(t);
    return t;
}

/* What make_init.py's digest() prints. */
static void digest(const vox_tensor *t, char text[40]) {
    uint32_t first, last = 0;
    unsigned char le[4];
    uLong crc = crc32(0, NULL, 0);
    for (int64_t i = 0; i < t->count; i++) {
        memcpy(&last, t->data + i, 4);
        for (int b = 0; b < 4; b++)
            le[b] = (unsigned char)(last >> 8 * b);
        crc = crc32(crc, le, 4);
    }
    memcpy(&first, t->data, 4);
    snprintf(text, 40, "%08lx %08" PRIx32 " %08" PRIx32, crc, first, last);
}

/* One line of init.txt. */
static void check_line(const char *line) {
    enum { DIGEST = 26 };
    char scheme[32], got[40];
    uint64_t seed;
    int64_t s[5];
    int at = 0;
    cr_assert_eq(sscanf(line,
                        "%31s %" SCNu64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64
                        " %n",
                        scheme, &seed, s, s + 1, s + 2, s + 3, s + 4, &at),
                 7);
    const char *weight_digest = line + at, *bias_digest = line + at + DIGEST + 1;
    bool has_bias = *bias_digest != '-';
    vox_tensor *w = tensor(5, s), *b = has_bias ? tensor(1, s) : NULL;
    for (int64_t i = 0; has_bias && i < b->count; i++)
        b->data[i] = 9; /* must be overwritten, by 0 too */
    vox_init kind = strcmp(scheme, "torch") == 0 ? VOX_INIT_TORCH : VOX_INIT_KAIMING_UNIFORM;
    cr_assert_eq(vox_init_conv3d(kind, seed, w, b, NULL), VOX_OK);
    digest(w, got);
    cr_expect_eq(strncmp(got, weight_digest, DIGEST), 0, "weight %s of: %s", got, line);
    if (has_bias) {
        digest(b, got);
        cr_expect_eq(strncmp(got, bias_digest, DIGEST), 0, "bias %s of: %s", got, line);
    }
    vox_tensor_free(w);
    vox_tensor_free(b);
}

Test(weights_init, uniform_schemes_equal_torch_bit_for_bit) {
    FILE *f = fopen(GOLDEN "init.txt", "r");
    cr_assert_not_null(f);
    char line[256];
    int lines = 0;
    for (; fgets(line, sizeof line, f); lines++)
        check_line(line);
    fclose(f);
    cr_expect_eq(lines, 72); /* 24 pairs of seed and shape; torch with and without a bias */
}

/* The bound is random.h's; below 16 values the results are equal up to the rounding to float32. The
 * golden values have nine digits, which name a float32 exactly. */
Test(weights_init, kaiming_normal_is_torch_s_within_its_roundings) {
    FILE *f = fopen(GOLDEN "init_normal.txt", "r");
    cr_assert_not_null(f);
    uint64_t seed;
    int64_t s[5];
    int cases = 0;
    while (fscanf(f, "%" SCNu64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64, &seed,
                  s, s + 1, s + 2, s + 3, s + 4) == 6) {
        vox_tensor *w = tensor(5, s);
        cr_assert_eq(vox_init_conv3d(VOX_INIT_KAIMING_NORMAL, seed, w, NULL, NULL), VOX_OK);
        const double stddev = sqrt(2.0 / (double)(s[1] * s[2] * s[3] * s[4]));
        const double bound = 10 * 0x1p-24 * stddev * sqrt(48 * log(2));
        for (int64_t i = 0; i < w->count; i++) {
            float torch;
            cr_assert_eq(fscanf(f, "%f", &torch), 1);
            double off = fabs((double)w->data[i] - (double)torch);
            cr_expect_leq(off, w->count < 16 ? fabs((double)torch) * 0x1p-23 : bound,
                          "case %d [%d]: %.9g, torch %.9g", cases, (int)i, (double)w->data[i],
                          (double)torch);
        }
        vox_tensor_free(w);
        cases++;
    }
    fclose(f);
    cr_expect_eq(cases, 5);
}

/* The 10000th word after seed 5489: ISO C++ [rand.predef], mt19937. */
Test(weights_init, mt19937_is_the_standard_s) {
    vox_random r;
    vox_random_seed(&r, 5489);
    uint32_t word = 0;
    for (int i = 0; i < 10000; i++)
        word = vox_random_u32(&r);
    cr_expect_eq(word, 4123659995u);
}

Test(weights_init, shapes_that_do_not_fit) {
    vox_error err = {0};
    vox_tensor *flat = tensor(1, (int64_t[]){4}), *none = tensor(5, (int64_t[]){1, 0, 1, 1, 1}),
               *good = tensor(5, (int64_t[]){3, 1, 1, 1, 1});
    cr_expect_eq(vox_init_conv3d(VOX_INIT_TORCH, 0, flat, NULL, &err), VOX_ERR_USAGE);
    cr_expect_not_null(strstr(err.message, "(4,)"), "%s", err.message);
    cr_expect_eq(vox_init_conv3d(VOX_INIT_TORCH, 0, none, NULL, &err), VOX_ERR_USAGE);
    cr_expect_eq(vox_init_conv3d(VOX_INIT_TORCH, 0, good, flat, &err), VOX_ERR_USAGE);
    cr_expect_not_null(strstr(err.message, "(3,)"), "%s", err.message);
    cr_expect_eq(vox_init_conv3d((vox_init)9, 0, good, NULL, &err), VOX_ERR_USAGE);
    vox_tensor_free(flat);
    vox_tensor_free(none);
    vox_tensor_free(good);
}
