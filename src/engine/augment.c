/* augment.c - random flips, turns and noise: what is drawn, what it takes, and the run over all
 * files. */
#include "engine/memory.h"
#include "engine/noise.h"
#include "engine/pipeline.h"
#include "volume/input.h"
#include "volume/turner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void vox_augment_defaults(vox_augment_options *o) {
    *o = (vox_augment_options){.plane = {1, 2}, .compression = -1};
}

/* ---- What is drawn ---- */

static vox_status check_probability(const char *name, double p, vox_error *err) {
    if (p >= 0 && p <= 1)
        return VOX_OK;
    return vox_fail(err, VOX_ERR_USAGE, "%s=%g: a probability is between 0 and 1", name, p);
}

static vox_status check_options(const vox_augment_options *o, vox_error *err) {
    vox_status status = check_probability("rot90", o->rot90, err);
    for (int a = 0; a < 3 && !status; a++)
        status = check_probability("flip", o->flip[a], err);
    if (!status)
        status = check_probability("noise", o->noise, err);
    if (status)
        return status;
    if (o->threads < 0 || o->max_memory < 0)
        return vox_fail(err, VOX_ERR_USAGE, "threads=%d, max_memory=%lld: must not be negative",
                        o->threads, (long long)o->max_memory);
    if (o->noise > 0 && !(o->sigma >= 0 && isfinite(o->sigma)))
        return vox_fail(err, VOX_ERR_USAGE, "sigma=%g: must be finite and not negative", o->sigma);
    for (int i = 0; i < 2; i++)
        if (o->plane[i] < 0 || o->plane[i] > 2 || o->plane[0] == o->plane[1])
            return vox_fail(err, VOX_ERR_USAGE,
                            "plane=%d,%d: must be two different axes of 0, 1 and 2 (D, H, W)",
                            o->plane[0], o->plane[1]);
    return VOX_OK;
}

/* From a generator that is left where the noise begins. */
static void draw(vox_random *random, const vox_augment_options *o, vox_augment_drawn *drawn) {
    float u[6];
    vox_random_seed(random, o->seed);
    vox_random_uniform(random, 0, 1, u, 6);
    for (int a = 0; a < 3; a++)
        drawn->flip[a] = (double)u[a] < o->flip[a];
    drawn->k = (double)u[3] < o->rot90 ? 1 + (int)(3 * (double)u[4]) : 0;
    drawn->noise = (double)u[5] < o->noise;
}

vox_status vox_augment_draw(const vox_augment_options *o, vox_augment_drawn *drawn,
                            vox_error *err) {
    vox_random random;
    const vox_status status = check_options(o, err);
    if (!status)
        draw(&random, o, drawn);
    return status;
}

/* ---- The plan ---- */

typedef struct job {
    const vox_augment_file *files;
    int count;
    const vox_augment_options *options;
    int threads;
    vox_noise *noise;
    vox_turned *turned;   /* [count] */
    int64_t *slab_planes; /* [count] */
    vox_augment_memory plan;
    vox_progress progress;
} job;

static void free_job(job *j) {
    free(j->noise);
    free(j->turned);
    free(j->slab_planes);
}

static bool is_label(const vox_augment_file *f) {
    return f->label || vox_input_info(f->in, 0)->intent_code == NIFTI_INTENT_LABEL;
}

static void add_noise(void *user, float *values, int64_t count) {
    vox_noise_add(user, values, count);
}

/* How file i is to be rewritten. An image's type does not depend on what was drawn: files of one
 * training set are of one type. */
static void fill_turned(job *j, int i, const vox_turn *turn) {
    const vox_augment_options *o = j->options;
    const vox_augment_file *f = &j->files[i];
    const bool image = !is_label(f), scalar = f->in->file[0].header.type->components == 1;
    const int usual = o->noise > 0 && scalar ? NIFTI_TYPE_FLOAT32 : VOX_DATATYPE_INPUT;
    j->turned[i] = (vox_turned){
        .path = f->output,
        .turn = *turn,
        .keep_affine = o->keep_affine,
        .datatype = !image        ? VOX_DATATYPE_INPUT
                    : o->datatype ? o->datatype
                                  : usual,
        .change = image && j->plan.drawn.noise ? add_noise : NULL,
        .user = j->noise,
        .compression = o->compression,
        .force = o->force,
        .threads = j->threads,
    };
}

static vox_status check_grid(const job *j, int i, vox_error *err) {
    const vox_volume_info *a = vox_input_info(j->files[0].in, 0);
    const vox_volume_info *b = vox_input_info(j->files[i].in, 0);
    const int64_t *m = j->files[0].in->file[0].header.dim, *n = j->files[i].in->file[0].header.dim;
    for (int axis = 1; axis <= 3; axis++)
        if (m[axis] != n[axis])
            return vox_fail(err, VOX_ERR_INPUT,
                            "%s: dim[%d]=%lld: %s has %lld; files that are augmented together "
                            "share one grid",
                            vox_path_text(b->path), axis, (long long)n[axis],
                            vox_path_text(a->path), (long long)m[axis]);
    char message[1100];
    if (j->options->warn && vox_affine_difference(a->affine, b->affine) >= 0) {
        snprintf(message, sizeof message,
                 "%s: its affine is not that of %s: their voxels are taken to belong together by "
                 "index",
                 vox_path_text(b->path), vox_path_text(a->path));
        j->options->warn(j->options->user, message);
    }
    return VOX_OK;
}

/* The memory of all, with slabs of up to `most` planes; j->slab_planes says how many. */
static vox_status lay_out(job *j, int64_t most, vox_error *err) {
    vox_augment_memory *p = &j->plan;
    p->program_bytes = VOX_PROCESS_BYTES + (int64_t)j->threads * VOX_THREAD_BYTES +
                       (int64_t)sizeof(vox_noise) + VOX_ALIGN;
    p->reader_bytes = p->writer_bytes = p->slab_bytes = p->spool_bytes = 0;
    bool fits = true;
    for (int i = 0; i < j->count; i++) {
        vox_turner_need need;
        j->slab_planes[i] = vox_min(vox_turner_good_slab(j->files[i].in, &j->turned[i]), most);
        vox_status status =
            vox_turner_memory(j->files[i].in, &j->turned[i], j->slab_planes[i], &need, err);
        if (status)
            return status;
        fits = fits && vox_add(p->reader_bytes, need.source_bytes, &p->reader_bytes) &&
               vox_add(p->writer_bytes, need.output_bytes, &p->writer_bytes);
        p->slab_bytes = vox_max(p->slab_bytes, need.slab_bytes); /* one file at a time */
        p->spool_bytes = vox_max(p->spool_bytes, need.spool_bytes);
    }
    p->total_bytes = p->program_bytes;
    fits = fits && vox_add(p->total_bytes, p->reader_bytes, &p->total_bytes) &&
           vox_add(p->total_bytes, p->writer_bytes, &p->total_bytes) &&
           vox_add(p->total_bytes, p->slab_bytes, &p->total_bytes);
    if (!fits)
        p->total_bytes = INT64_MAX;
    return VOX_OK;
}

static vox_status choose_slabs(job *j, vox_error *err) {
    const vox_augment_options *o = j->options;
    const int64_t cap = o->max_memory ? o->max_memory : vox_memory_default_cap();
    char most[32], least[32];
    vox_status status = lay_out(j, 1, err);
    const int64_t smallest = j->plan.total_bytes;
    for (int64_t slab = j->plan.out[0]; !status; slab = (slab + 1) / 2) {
        status = lay_out(j, slab, err);
        j->plan.smallest_bytes = smallest;
        if (status || cap == 0 || j->plan.total_bytes <= cap)
            return status;
        if (slab == 1)
            break;
    }
    return status ? status
                  : vox_fail(err, VOX_ERR_RESOURCE,
                             "%s: max-memory=%s%s: the least that works is %s (%lld bytes)",
                             vox_path_text(vox_input_info(j->files[0].in, 0)->path),
                             vox_bytes_text(cap, most),
                             o->max_memory ? "" : " (what the machine has to give)",
                             vox_bytes_text(smallest, least), (long long)smallest);
}

static vox_status make_job(job *j, const vox_augment_file *files, int count,
                           const vox_augment_options *o, vox_error *err) {
    vox_turn turn = vox_turn_none();
    vox_status status = check_options(o, err);
    if (!status && count < 1)
        status = vox_fail(err, VOX_ERR_USAGE, "no input file is named");
    if (status)
        return status;
    *j = (job){.files = files, .count = count, .options = o};
    j->threads = vox_thread_count(o->threads);
    j->noise = vox_alloc(1, sizeof *j->noise, "noise", err);
    j->turned = vox_alloc(count, sizeof *j->turned, "files", err);
    j->slab_planes = vox_alloc(count, sizeof *j->slab_planes, "files", err);
    if (!j->noise || !j->turned || !j->slab_planes)
        return VOX_ERR_RESOURCE;
    draw(&j->noise->random, o, &j->plan.drawn);
    j->noise->sigma = o->sigma;
    for (int a = 0; a < 3; a++)
        if (j->plan.drawn.flip[a])
            vox_turn_flip(&turn, a);
    vox_turn_rot90(&turn, j->plan.drawn.k, o->plane[0], o->plane[1]);
    for (int i = 0; i < count; i++) {
        if (vox_input_count(files[i].in) != 1)
            return vox_fail(err, VOX_ERR_USAGE, "file %d: is an input of %d files: must be of one",
                            i, vox_input_count(files[i].in));
        if ((status = check_grid(j, i, err)))
            return status;
        fill_turned(j, i, &turn);
    }
    const int64_t *dim = files[0].in->file[0].header.dim;
    for (int a = 0; a < 3; a++)
        j->plan.in[a] = dim[3 - a];
    vox_turn_size(&turn, j->plan.in, j->plan.out);
    return choose_slabs(j, err);
}

vox_status vox_augment_plan(const vox_augment_file *files, int count, const vox_augment_options *o,
                            vox_augment_memory *plan, vox_error *err) {
    job j = {.count = 0};
    const vox_status status = make_job(&j, files, count, o, err);
    if (!status)
        *plan = j.plan;
    free_job(&j);
    return status;
}

/* ---- The run ---- */

static int64_t voxels_of(const vox_augment_file *f) {
    const vox_header *h = &f->in->file[0].header;
    return h->data_bytes / h->type->bytes;
}

static void advance(void *user, int64_t voxels) {
    job *j = user;
    j->progress.done += voxels;
    if (j->options->progress)
        j->options->progress(j->options->user, &j->progress);
}

static void warn(void *user, const char *message) {
    const job *j = user;
    if (j->options->warn)
        j->options->warn(j->options->user, message);
}

/* All outputs are opened before the first voxel is read: a name that cannot be had ends the run at
 * once. */
static vox_status run_all(job *j, vox_turner **turners, vox_error *err) {
    vox_error local = {.status = VOX_OK};
    for (int i = 0; i < j->count && !local.status; i++)
        turners[i] = vox_turner_new(j->files[i].in, &j->turned[i], j->slab_planes[i], &local);
    j->progress = (vox_progress){.phase = "augmenting"};
    for (int i = 0; i < j->count; i++)
        if (!vox_add(j->progress.total, voxels_of(&j->files[i]), &j->progress.total))
            j->progress.total = INT64_MAX;
    for (int i = 0; i < j->count && !local.status; i++) {
        if (j->turned[i].change)
            vox_noise_begin(j->noise, voxels_of(&j->files[i]) *
                                          j->files[i].in->file[0].header.type->components);
        vox_turner_run(turners[i], advance, warn, j, &local);
    }
    if (!local.status)
        vox_turner_publish(turners, j->count, &local);
    return local.status ? vox_fail(err, local.status, "%s", local.message) : VOX_OK;
}

vox_status vox_augment(const vox_augment_file *files, int count, const vox_augment_options *o,
                       vox_augment_report *report, vox_error *err) {
    const double start = vox_now();
    job j = {.count = 0};
    vox_turner **turners = NULL;
    vox_status status = make_job(&j, files, count, o, err);
    if (!status && !(turners = vox_alloc(count, sizeof(vox_turner *), "files", err)))
        status = VOX_ERR_RESOURCE;
    if (!status)
        status = run_all(&j, turners, err);
    if (!status && report) {
        *report = (vox_augment_report){.drawn = j.plan.drawn,
                                       .voxels = j.progress.total,
                                       .planned_bytes = j.plan.total_bytes,
                                       .threads = j.threads,
                                       .seconds = vox_now() - start};
        for (int i = 0; i < count; i++)
            report->clamped += vox_turner_clamped(turners[i]);
    }
    for (int i = 0; turners && i < count; i++)
        vox_turner_free(turners[i]);
    free(turners);
    free_job(&j);
    return status;
}
