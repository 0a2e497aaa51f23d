/* kernels.c - filters that people know by name.
 *
 * Orientation is torch's and scipy.ndimage's: cross-correlation, so sobel:x is positive where
 * values grow with i. A filter that is a product of three 1-D filters comes as those three; the
 * others come dense. Sums are made in double and rounded to float32 once.
 */
#include "weights/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    AXES = 3,
    MOST_TAPS = 10000,          /* along one axis: a longer kernel is a slip of the unit */
    MOST_DENSE_TAPS = 10000000, /* of a dense kernel: 40 MB */
};

/* What stands behind the name: "gaussian:2,1,1mm" has three sizes in mm, "sobel:x" an axis. */
typedef struct request {
    const char *spec, *argument; /* argument: "" where there is none */
    const double *voxel_mm;
    double size[AXES]; /* {D, H, W}, as given */
    bool mm;
    int axis;
    vox_tensor **parts;
    int *count;
    vox_error *err;
} request;

/* ---- Arguments ---- */

static vox_status bad_argument(const request *r, const char *reason) {
    return vox_fail(r->err, VOX_ERR_USAGE, "kernel '%.200s': %s", r->spec, reason);
}

static vox_status no_argument(const request *r) {
    return *r->argument ? bad_argument(r, "takes no argument") : VOX_OK;
}

/* One or three positive numbers (zero too where `zero`) with an optional unit, mm or vox, behind
 * the last. */
static vox_status sizes(request *r, bool zero) {
    static const char *const form = "needs a size: N or D,H,W, in voxels, or with mm behind it";
    vox_c_numbers c;
    const char *at = r->argument;
    int n = 0;
    vox_status status = vox_c_numbers_begin(&c, r->err);
    if (status != VOX_OK)
        return status;
    for (bool more = true; more && n < AXES; n++) {
        char *end;
        r->size[n] = strtod(at, &end);
        if (end == at)
            break;
        more = *end == ',';
        at = end + more;
    }
    vox_c_numbers_end(&c);
    r->mm = strcmp(at, "mm") == 0;
    if ((n != 1 && n != AXES) || at[-1] == ',' || (*at && !r->mm && strcmp(at, "vox") != 0))
        return bad_argument(r, form);
    for (int i = 0; i < AXES; i++) {
        if (n == 1)
            r->size[i] = r->size[0];
        if (!isfinite(r->size[i]) || r->size[i] < 0 || (r->size[i] == 0 && !zero))
            return bad_argument(r, "a size must be a positive, finite number");
        if (r->mm && (!r->voxel_mm || !isfinite(r->voxel_mm[i]) || r->voxel_mm[i] <= 0))
            return bad_argument(r, "a size in mm needs positive voxel sizes; this volume has none "
                                   "(give voxels)");
    }
    return VOX_OK;
}

static vox_status axis(request *r) {
    const char *at = *r->argument ? strchr("zyx", *r->argument) : NULL;
    if (!at || r->argument[1])
        return bad_argument(r, "needs an axis: x, y or z");
    r->axis = (int)(at - "zyx");
    return VOX_OK;
}

/* ---- Parts ---- */

/* The next part, of shape `taps`. */
static vox_status add_part(const request *r, const int64_t taps[AXES], vox_tensor **part) {
    *part = vox_tensor_new(AXES, taps, r->err);
    if (!*part)
        return VOX_ERR_RESOURCE;
    r->parts[(*r->count)++] = *part;
    return VOX_OK;
}

/* The next part, along one axis. */
static vox_status add_line(const request *r, int along, const double *taps, int64_t count) {
    int64_t shape[AXES] = {1, 1, 1};
    vox_tensor *part;
    shape[along] = count;
    vox_status status = add_part(r, shape, &part);
    for (int64_t i = 0; status == VOX_OK && i < count; i++)
        part->data[i] = (float)taps[i];
    return status;
}

/* A dense 3x3x3 kernel: `centre`, its six neighbours, 0 in the corners and on the edges. */
static vox_status add_star(const request *r, float centre, float neighbour) {
    vox_tensor *part;
    vox_status status = add_part(r, (const int64_t[]){3, 3, 3}, &part);
    if (status != VOX_OK)
        return status;
    part->data[13] = centre;
    for (int step = 1; step <= 9; step *= 3)
        part->data[13 - step] = part->data[13 + step] = neighbour;
    return VOX_OK;
}

/* Three taps across the axis of the derivative, (-1, 0, 1) along it. */
static vox_status add_derivative(request *r, double side, double middle) {
    const double across[] = {side, middle, side}, along[] = {-1, 0, 1};
    vox_status status = axis(r);
    for (int i = 0; i < AXES && status == VOX_OK; i++)
        status = add_line(r, i, i == r->axis ? along : across, 3);
    return status;
}

/* ---- Gaussians ---- */

/* One axis of a Gaussian and of its second derivative, as scipy.ndimage._filters._gaussian_kernel1d
 * with truncate=4: radius int(4 sigma + 0.5), phi normalised to a sum of 1, second derivative
 * (x^2/sigma^4 - 1/sigma^2) phi. */
typedef struct gauss {
    int64_t taps;
    double *phi, *second; /* [taps] */
} gauss;

static void free_gauss(gauss g[AXES]) {
    for (int i = 0; i < AXES; i++) {
        free(g[i].phi);
        free(g[i].second);
    }
}

static vox_status make_gauss(const request *r, double sigma, gauss *g) {
    if (8 * sigma + 2 > MOST_TAPS)
        return bad_argument(r, "wider than 10000 voxels");
    const int64_t radius = (int64_t)(4 * sigma + 0.5);
    double sum = 0;
    g->taps = 2 * radius + 1;
    g->phi = vox_alloc(g->taps, sizeof *g->phi, r->spec, r->err);
    g->second = vox_alloc(g->taps, sizeof *g->second, r->spec, r->err);
    if (!g->phi || !g->second)
        return VOX_ERR_RESOURCE;
    for (int64_t i = 0; i < g->taps; i++) {
        double x = (double)(i - radius);
        g->phi[i] = radius ? exp(-0.5 / (sigma * sigma) * x * x) : 1;
        sum += g->phi[i];
    }
    for (int64_t i = 0; i < g->taps; i++) {
        double x = (double)(i - radius), s2 = sigma * sigma;
        g->phi[i] /= sum;
        g->second[i] = (x * x / (s2 * s2) - 1 / s2) * g->phi[i];
    }
    return VOX_OK;
}

static vox_status make_gausses(request *r, bool zero, gauss g[AXES]) {
    vox_status status = sizes(r, zero);
    for (int i = 0; i < AXES && status == VOX_OK; i++)
        status = make_gauss(r, r->mm ? r->size[i] / r->voxel_mm[i] : r->size[i], &g[i]);
    return status;
}

static vox_status make_gaussian(request *r) {
    gauss g[AXES] = {{0}};
    vox_status status = make_gausses(r, true, g);
    for (int i = 0; i < AXES && status == VOX_OK; i++)
        status = add_line(r, i, g[i].phi, g[i].taps);
    free_gauss(g);
    return status;
}

static vox_status make_log(request *r) {
    gauss g[AXES] = {{0}};
    vox_tensor *part;
    int64_t all;
    vox_status status = make_gausses(r, false, g);
    if (status != VOX_OK)
        goto out;
    const int64_t taps[AXES] = {g[0].taps, g[1].taps, g[2].taps};
    for (int i = 0; i < AXES; i++)
        if (taps[i] == 1) {
            status = bad_argument(r, "needs a sigma of at least 0.125 voxels along every axis");
            goto out;
        }
    if (!vox_product(taps, AXES, &all) || all > MOST_DENSE_TAPS) {
        status = bad_argument(r, "a dense kernel of more than 10 million taps");
        goto out;
    }
    status = add_part(r, taps, &part);
    if (status != VOX_OK)
        goto out;
    float *to = part->data;
    for (int64_t d = 0; d < taps[0]; d++)
        for (int64_t h = 0; h < taps[1]; h++)
            for (int64_t w = 0; w < taps[2]; w++)
                *to++ = (float)(g[0].second[d] * g[1].phi[h] * g[2].phi[w] +
                                g[0].phi[d] * g[1].second[h] * g[2].phi[w] +
                                g[0].phi[d] * g[1].phi[h] * g[2].second[w]);
out:
    free_gauss(g);
    return status;
}

/* ---- The others ---- */

static vox_status make_identity(request *r) {
    const double one = 1;
    vox_status status = no_argument(r);
    return status == VOX_OK ? add_line(r, 0, &one, 1) : status;
}

/* The number of taps of a mean along an axis: in mm the nearest odd number of voxels, so that the
 * mean stays centred on its voxel. */
static vox_status box_taps(const request *r, int along, int64_t *taps) {
    double n = r->size[along];
    if (r->mm)
        n = fmax(2 * round((n / r->voxel_mm[along] - 1) / 2) + 1, 1);
    if (n > MOST_TAPS)
        return bad_argument(r, "wider than 10000 voxels");
    if (n != floor(n))
        return bad_argument(r, "a size in voxels must be whole");
    *taps = (int64_t)n;
    return VOX_OK;
}

static vox_status make_box(request *r) {
    int64_t taps = 0;
    vox_status status = sizes(r, false);
    for (int i = 0; i < AXES && status == VOX_OK; i++) {
        status = box_taps(r, i, &taps);
        double *line = status == VOX_OK ? vox_alloc(taps, sizeof *line, r->spec, r->err) : NULL;
        if (status == VOX_OK && !line)
            status = VOX_ERR_RESOURCE;
        for (int64_t k = 0; line && k < taps; k++)
            line[k] = 1 / (double)taps;
        if (line)
            status = add_line(r, i, line, taps);
        free(line);
    }
    return status;
}

static vox_status make_laplacian(request *r) {
    vox_status status = no_argument(r);
    return status == VOX_OK ? add_star(r, -6, 1) : status;
}

static vox_status make_sharpen(request *r) {
    vox_status status = no_argument(r);
    return status == VOX_OK ? add_star(r, 7, -1) : status;
}

static vox_status make_sobel(request *r) {
    return add_derivative(r, 1, 2);
}

static vox_status make_prewitt(request *r) {
    return add_derivative(r, 1, 1);
}

static vox_status make_gradient(request *r) {
    const double taps[] = {-0.5, 0, 0.5};
    vox_status status = axis(r);
    return status == VOX_OK ? add_line(r, r->axis, taps, 3) : status;
}

/* ---- The table ---- */

/* X(name, argument, description, make) */
#define KERNELS(X)                                                                                 \
    X("identity", "", "one tap of 1", make_identity)                                               \
    X("box", ":SIZE", "mean over SIZE voxels (in mm: the nearest odd number)", make_box)           \
    X("mean", ":SIZE", "the same as box", make_box)                                                \
    X("gaussian", ":SIGMA", "Gaussian, cut at 4 sigma (scipy.ndimage.gaussian_filter)",            \
      make_gaussian)                                                                               \
    X("log", ":SIGMA", "Laplacian of Gaussian (scipy.ndimage.gaussian_laplace)", make_log)         \
    X("laplacian", "", "six neighbours less six times the centre (scipy.ndimage.laplace)",         \
      make_laplacian)                                                                              \
    X("sobel", ":x|y|z", "derivative -1 0 1, smoothing 1 2 1 (scipy.ndimage.sobel)", make_sobel)   \
    X("prewitt", ":x|y|z", "derivative -1 0 1, smoothing 1 1 1 (scipy.ndimage.prewitt)",           \
      make_prewitt)                                                                                \
    X("gradient", ":x|y|z", "central difference per voxel, -1/2 0 1/2 (numpy.gradient)",           \
      make_gradient)                                                                               \
    X("sharpen", "", "identity less laplacian: 7 at the centre, -1 at six neighbours", make_sharpen)

static const struct {
    const char *name;
    vox_status (*make)(request *r);
} kernels[] = {
#define ROW(name, argument, description, make) {name, make},
    KERNELS(ROW)
#undef ROW
};

const char *vox_kernel_list(void) {
#define ROW(name, argument, description, make) name argument "\t" description "\n"
    return KERNELS(ROW);
#undef ROW
}

static vox_status unknown(const char *spec, vox_error *err) {
#define ROW(name, argument, description, make) " " name argument
    return vox_fail(err, VOX_ERR_USAGE, "kernel '%.200s': unknown; known are:%s", spec,
                    KERNELS(ROW));
#undef ROW
}

vox_status vox_kernel_named(const char *spec, const double voxel_mm[3], vox_tensor *parts[3],
                            int *count, vox_error *err) {
    const size_t n = strcspn(spec, ":");
    request r = {.spec = spec,
                 .argument = spec[n] ? spec + n + 1 : "",
                 .voxel_mm = voxel_mm,
                 .parts = parts,
                 .count = count,
                 .err = err};
    *count = 0;
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        if (strlen(kernels[i].name) != n || memcmp(kernels[i].name, spec, n) != 0)
            continue;
        vox_status status = kernels[i].make(&r);
        while (status != VOX_OK && *count > 0) {
            vox_tensor_free(parts[--*count]);
            parts[*count] = NULL;
        }
        return status;
    }
    return unknown(spec, err);
}
