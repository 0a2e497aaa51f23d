/* Named kernels against scipy.ndimage and numpy, see tests/oracle/golden/make_kernels.py. */
#include "weights_support.h"

static const double voxel_mm[3] = {2, 1, 0.75}; /* make_kernels.py's MM */

/* Tap (d, h, w) of the filter that the parts are, one after the other: dense, or lines along D, H,
 * W. */
static double tap(vox_tensor *const *parts, int count, const int64_t at[3]) {
    double v = 1;
    for (int p = 0; p < count; p++) {
        int64_t k = 0;
        for (int a = 0; a < 3; a++)
            k = k * parts[p]->shape[a] + (parts[p]->shape[a] > 1 ? at[a] : 0);
        v *= (double)parts[p]->data[k];
    }
    return v;
}

static int64_t extent(vox_tensor *const *parts, int count, int axis) {
    int64_t n = 1;
    for (int p = 0; p < count; p++)
        n += parts[p]->shape[axis] - 1;
    return n;
}

static void free_parts(vox_tensor *const *parts, int count) {
    for (int p = 0; p < count; p++)
        vox_tensor_free(parts[p]);
}

/* Bound: each of up to three factors was rounded to float32 (relative 2^-24), and so was the golden
 * value; scipy sums in another order in double, a few 2^-53 of the largest tap. */
static void compare(const char *spec, const vox_tensor *golden) {
    vox_error err = {0};
    vox_tensor *parts[3];
    int count;
    double largest = 0;
    int64_t k = 0, at[3];
    cr_assert_eq(vox_kernel_named(spec, voxel_mm, parts, &count, &err), VOX_OK, "%s", err.message);
    cr_assert(count == 1 || count == 3);
    for (int64_t i = 0; i < golden->count; i++)
        largest = fmax(largest, fabs((double)golden->data[i]));
    for (int a = 0; a < 3; a++)
        cr_assert_eq(extent(parts, count, a), golden->shape[a], "%s: axis %d", spec, a);
    for (at[0] = 0; at[0] < golden->shape[0]; at[0]++)
        for (at[1] = 0; at[1] < golden->shape[1]; at[1]++)
            for (at[2] = 0; at[2] < golden->shape[2]; at[2]++, k++) {
                double v = tap(parts, count, at), g = (double)golden->data[k];
                cr_assert_leq(fabs(v - g), 4.01 * 0x1p-24 * fabs(g) + 64 * 0x1p-53 * largest,
                              "%s [%d]: %.9g, scipy %.9g", spec, (int)k, v, g);
            }
    free_parts(parts, count);
}

Test(weights_kernels, equal_scipy) {
    vox_error err = {0};
    vox_weights *w = vox_weights_open(GOLDEN "kernels.npz", &err);
    cr_assert_not_null(w, "%s", err.message);
    cr_assert_eq(vox_weights_count(w), 22);
    for (int i = 0; i < vox_weights_count(w); i++) {
        const char *spec = vox_weights_name(w, i);
        vox_tensor *golden = vox_weights_get(w, spec, &err);
        cr_assert_not_null(golden, "%s", err.message);
        compare(spec, golden);
        vox_tensor_free(golden);
    }
    vox_weights_free(w);
}

Test(weights_kernels, separable_ones_come_as_three_lines) {
    vox_tensor *parts[3];
    int count;
    cr_assert_eq(vox_kernel_named("gaussian:2mm", voxel_mm, parts, &count, NULL), VOX_OK);
    cr_assert_eq(count, 3);
    for (int p = 0; p < 3; p++) {
        /* int(4 * sigma + 0.5) voxels on each side, as scipy cuts: sigma is 1, 2 and 2.67 voxels.
         */
        static const int64_t taps[] = {9, 17, 23};
        for (int a = 0; a < 3; a++)
            cr_expect_eq(parts[p]->shape[a], a == p ? taps[p] : 1);
    }
    free_parts(parts, count);
}

/* The nearest odd number of voxels, never less than one; in voxels, even sizes are as asked. */
Test(weights_kernels, box_sizes) {
    static const struct {
        const char *spec;
        int64_t taps[3];
    } cases[] = {
        {"box:0.5mm", {1, 1, 1}}, {"box:3mm", {1, 3, 5}},      {"box:6mm", {3, 7, 9}},
        {"box:4", {4, 4, 4}},     {"box:2,3,4vox", {2, 3, 4}}, {"mean:2,1,2.25mm", {1, 1, 3}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vox_tensor *parts[3];
        int count;
        cr_assert_eq(vox_kernel_named(cases[i].spec, voxel_mm, parts, &count, NULL), VOX_OK);
        for (int a = 0; a < 3; a++)
            cr_expect_eq(extent(parts, count, a), cases[i].taps[a], "%s: axis %d", cases[i].spec,
                         a);
        free_parts(parts, count);
    }
}

typedef struct bad_spec {
    char spec[40], phrase[60];
} bad_spec;

ParameterizedTestParameters(weights_kernels, bad_specs) {
    static bad_spec cases[] = {
        {"", "unknown; known are: identity box:SIZE"},
        {"gauss:1", "unknown; known are: identity box:SIZE"},
        {"box", "needs a size"},
        {"box:", "needs a size"},
        {"box:3,3", "needs a size"},
        {"box:3,3,3,3", "needs a size"},
        {"box:3,", "needs a size"},
        {"box:3,3,3,", "needs a size"},
        {"box:3cm", "needs a size"},
        {"box:three", "needs a size"},
        {"box:2.5", "must be whole"},
        {"box:0", "positive, finite"},
        {"box:-3", "positive, finite"},
        {"box:20003mm", "wider than 10000"},
        {"box:10001", "wider than 10000"},
        {"gaussian:nan", "positive, finite"},
        {"gaussian:inf", "positive, finite"},
        {"gaussian:1e300", "wider than 10000"},
        {"gaussian:1250", "wider than 10000"},
        {"gaussian:1,1", "needs a size"},
        {"log:0", "positive, finite"},
        {"log:0.1", "at least 0.125"},
        {"log:100", "more than 10 million taps"},
        {"sobel", "needs an axis"},
        {"sobel:w", "needs an axis"},
        {"prewitt:xy", "needs an axis"},
        {"gradient:", "needs an axis"},
        {"identity:1", "takes no argument"},
        {"laplacian:26", "takes no argument"},
        {"sharpen:2", "takes no argument"},
    };
    return cr_make_param_array(bad_spec, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(bad_spec *c, weights_kernels, bad_specs) {
    vox_tensor *parts[3];
    int count = -1;
    vox_error err = {0};
    cr_expect_eq(vox_kernel_named(c->spec, voxel_mm, parts, &count, &err), VOX_ERR_USAGE);
    cr_expect_eq(count, 0);
    cr_expect_not_null(strstr(err.message, c->phrase), "'%s' is not in: %s", c->phrase,
                       err.message);
}

/* The third size is bad when two parts have been made; their owner must not free them again. */
Test(weights_kernels, a_failure_leaves_no_parts) {
    vox_tensor *parts[3] = {NULL};
    int count = 3;
    vox_error err = {0};
    cr_assert_eq(vox_kernel_named("box:3,3,20001", NULL, parts, &count, &err), VOX_ERR_USAGE);
    cr_expect_eq(count, 0);
    for (int i = 0; i < 3; i++)
        cr_expect_null(parts[i]);
}

Test(weights_kernels, millimetres_need_voxel_sizes) {
    const double none[3] = {1, 0, 1}, nan3[3] = {1, 1, NAN};
    const double *const bad[] = {NULL, none, nan3};
    vox_tensor *parts[3];
    int count;
    for (int i = 0; i < 3; i++) {
        vox_error err = {0};
        cr_expect_eq(vox_kernel_named("gaussian:1mm", bad[i], parts, &count, &err), VOX_ERR_USAGE);
        cr_expect_not_null(strstr(err.message, "voxel sizes"), "%s", err.message);
    }
    cr_assert_eq(vox_kernel_named("box:3", NULL, parts, &count, NULL), VOX_OK);
    free_parts(parts, count);
}

/* Every line of the list has a name, a tab and a description, and the name is known. */
Test(weights_kernels, list_names_what_is_known) {
    int lines = 0;
    for (const char *at = vox_kernel_list(); *at; lines++) {
        char name[20];
        size_t n = strcspn(at, ":\t"), line = strcspn(at, "\n");
        snprintf(name, sizeof name, "%.*s", (int)n, at);
        cr_expect_not_null(memchr(at, '\t', line));
        vox_tensor *parts[3];
        int count;
        vox_error err = {0};
        vox_status status = vox_kernel_named(name, voxel_mm, parts, &count, &err);
        cr_expect(status == VOX_OK || !strstr(err.message, "unknown"), "%s", err.message);
        free_parts(parts, count);
        at += line + 1;
    }
    cr_expect_eq(lines, 10);
}
