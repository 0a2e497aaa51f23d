/* grid.c - see grid.h. */
#include "volume/grid.h"

#include "volume/geometry.h"
#include "volume/input.h"

#include <math.h>
#include <string.h>

/* World axes by their letters: towards right, anterior and superior, and the other way. */
static const char towards[] = "RAS", away[] = "LPI";

/* The world's axis of a letter, 0 to 2, and whether it is the way back; -1: no such letter. */
static int world_axis(char letter, bool *back) {
    const char *found = letter ? strchr(towards, letter) : NULL;
    *back = !found;
    if (found)
        return (int)(found - towards);
    found = letter ? strchr(away, letter) : NULL;
    return found ? (int)(found - away) : -1;
}

vox_status vox_prepare_orientation(vox_prepare *p, const char *text, vox_error *err) {
    bool back, seen[3] = {false, false, false};
    bool ok = strlen(text) == 3;
    for (int i = 0; i < 3 && ok; i++) {
        const int axis = world_axis(text[i], &back);
        ok = axis >= 0 && !seen[axis];
        if (ok)
            seen[axis] = true;
    }
    if (!ok)
        return vox_fail(err, VOX_ERR_USAGE,
                        "must be three letters, one each of R/L, A/P and S/I, such as RAS");
    memcpy(p->orientation, text, sizeof p->orientation);
    return VOX_OK;
}

/* Along which axis of the world each axis of the file (i, j, k) mostly runs, and whether backwards:
 * nibabel's io_orientation. The nearest rotation, and then the largest share of what is left. */
static bool orient(const double affine[3][4], int world[3], bool back[3]) {
    nifti_dmat33 m;
    for (int c = 0; c < 3; c++) {
        const double length = hypot(hypot(affine[0][c], affine[1][c]), affine[2][c]);
        if (!(length > 0) || !isfinite(length))
            return false;
        for (int r = 0; r < 3; r++)
            m.m[r][c] = affine[r][c] / length;
    }
    if (!(fabs(nifti_dmat33_determ(m)) > 1e-6)) /* axes in one plane */
        return false;
    m = nifti_dmat33_polar(m);
    bool taken[3] = {false, false, false};
    for (int c = 0; c < 3; c++) {
        int best = -1;
        for (int r = 0; r < 3; r++)
            if (!taken[r] && (best < 0 || fabs(m.m[r][c]) > fabs(m.m[best][c])))
                best = r;
        taken[best] = true;
        world[c] = best;
        back[c] = m.m[best][c] < 0;
    }
    return true;
}

/* The file's axis that each of the network's runs along, and whether from its end. */
static vox_status turn_to(const vox_volume_info *info, const char *orientation, vox_turn *t,
                          vox_error *err) {
    int world[3];
    bool back[3];
    *t = vox_turn_none();
    if (!*orientation)
        return VOX_OK;
    vox_prepare checked;
    const vox_status status = vox_prepare_orientation(&checked, orientation, err);
    if (status)
        return status;
    if (!orient(info->affine, world, back))
        return vox_fail(err, VOX_ERR_INPUT,
                        "%s: the %s does not say how the axes lie: orientation=%s cannot be made",
                        vox_path_text(info->path), info->affine_source, orientation);
    for (int i = 0; i < 3; i++) { /* i, j, k are W, H, D */
        bool wanted;
        const int axis = world_axis(orientation[i], &wanted);
        for (int c = 0; c < 3; c++)
            if (world[c] == axis) {
                t->axis[2 - i] = 2 - c;
                t->reversed[2 - i] = wanted != back[c];
            }
    }
    return VOX_OK;
}

/* Voxels of `ratio` old ones each, so that all old voxels lie in one of them: with the middle ones
 * upon each other, so many in front of it and so many behind. */
static double covering(int64_t n, double ratio) {
    const double before = (double)((n - 1) / 2), behind = (double)(n / 2);
    const double front = ceil(before / ratio - 0.5 - 1e-3),
                 back = ceil(behind / ratio - 0.5 - 1e-3);
    return fmax(fmax(2 * front + 1, 2 * back), 1);
}

/* One axis of the network's grid, over `n` voxels of the file. */
static vox_status rescale(const vox_file *f, const vox_prepare *p, int a, int64_t n, bool reversed,
                          vox_grid *g, vox_error *err) {
    const vox_volume_info *info = &f->info;
    const int column = 2 - g->axis[a];
    const double length =
        hypot(hypot(info->affine[0][column], info->affine[1][column]), info->affine[2][column]) *
        vox_geometry_unit_mm(&f->header.wide);
    double ratio = 1;
    if (p->spacing_mm[a] > 0) {
        if (!(length > 0) || !isfinite(length))
            return vox_fail(err, VOX_ERR_INPUT,
                            "%s: %s column %d has no length: spacing=%g mm "
                            "cannot be made",
                            vox_path_text(info->path), info->affine_source, column,
                            p->spacing_mm[a]);
        ratio = p->spacing_mm[a] / length;
    }
    const double most = fmax((double)n, (double)p->shape[a]);
    if (fabs(ratio - 1) * most < 1e-3) /* a header's float32, or its rotation's */
        ratio = 1;
    const double size = p->shape[a] ? (double)p->shape[a] : covering(n, ratio);
    if (!(size <= INT32_MAX))
        return vox_fail(err, VOX_ERR_USAGE, "%s: spacing=%g mm: makes %g voxels of %lld",
                        vox_path_text(info->path), p->spacing_mm[a], size, (long long)n);
    g->size[a] = (int64_t)size;
    /* Whole divisions: the voxel in the middle. */
    const double start = (double)((n - 1) / 2) - (double)((g->size[a] - 1) / 2) * ratio;
    g->step[a] = reversed ? -ratio : ratio;
    g->start[a] = reversed ? (double)(n - 1) - start : start;
    return VOX_OK;
}

vox_status vox_grid_make(const vox_input *in, const vox_prepare *p, vox_grid *g, vox_error *err) {
    const vox_file *f = &in->file[0];
    vox_turn turn;
    if (f->info.tensor_axes && (*p->orientation || p->spacing_mm[0] > 0))
        return vox_fail(err, VOX_ERR_USAGE,
                        "%s: a tensor does not say where its axes grow towards, nor its voxels' "
                        "size: no orientation and no spacing can be made",
                        vox_path_text(f->path));
    vox_status status = turn_to(&f->info, p->orientation, &turn, err);
    *g = (vox_grid){.same = true};
    for (int a = 0; a < 3 && !status; a++) {
        if (!(p->spacing_mm[a] >= 0) || p->shape[a] < 0 || p->shape[a] > INT32_MAX)
            return vox_fail(err, VOX_ERR_USAGE, "spacing=%g mm, shape=%lld: must not be negative",
                            p->spacing_mm[a], (long long)p->shape[a]);
        const int64_t n = f->header.dim[3 - turn.axis[a]];
        g->axis[a] = turn.axis[a];
        status = rescale(f, p, a, n, turn.reversed[a], g, err);
        g->same =
            g->same && g->axis[a] == a && g->size[a] == n && g->step[a] == 1 && g->start[a] == 0;
    }
    return status;
}

vox_status vox_prepare_size(const vox_input *in, const vox_prepare *p, int64_t size[3],
                            vox_error *err) {
    vox_grid g;
    const vox_status status = vox_grid_make(in, p, &g, err);
    if (!status)
        memcpy(size, g.size, sizeof g.size);
    return status;
}
