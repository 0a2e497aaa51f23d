/* filter.c - scans through a network: reader, pipeline, writer. */
#include "engine/job.h"
#include "engine/label_count.h"
#include "kernel/kernel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct destination {
    vox_preparation *preparation;
    vox_writer *writer;      /* or NULL: */
    vox_tensor *values;      /* N, C, D, H, W */
    vox_label_count *labels; /* or NULL */
    int64_t frame;
} destination;

static void keep_planes(const destination *to, int64_t d, int64_t count, const vox_planes *planes) {
    const int64_t *shape = to->values->shape + 1;
    const int64_t frame = shape[0] * shape[1] * shape[2] * shape[3];
    const vox_planes all = vox_dense_planes(to->values->data + to->frame * frame, shape);
    vox_copy_planes(&all, planes, d, count);
}

static vox_status write_planes(void *user, int64_t d, int64_t count, const vox_planes *planes,
                               vox_error *err) {
    destination *to = user;
    if (to->labels)
        vox_label_count_planes(to->labels, d, count, planes);
    if (to->writer)
        return vox_writer_planes(to->writer, to->frame, d, count, planes, err);
    keep_planes(to, d, count, planes);
    return VOX_OK;
}

/* The network's output, which may lie on a grid of its own. */
static vox_status take_planes(void *user, int64_t d, int64_t count, const vox_planes *planes,
                              vox_error *err) {
    destination *to = user;
    return vox_preparation_put(to->preparation, d, count, planes, write_planes, to, err);
}

/* A run under way. */
typedef struct run {
    const vox_filter_options *options;
    vox_reader *reader;
    destination to;
    vox_progress progress;
} run;

/* One part of a frame, or with a blender all of it, slab by slab, from the reader into the first
 * ring; the rest follows from the push. */
static vox_status stream(const vox_job *j, vox_pipeline *pipeline, run *r, vox_error *err) {
    vox_box box = {.to = {j->in[1], j->in[2], j->in[3]}};
    if (pipeline)
        box = vox_pipeline_input_box(pipeline);
    const int64_t depth = vox_box_extent(&box, 0);
    const int64_t plane = j->in[0] * vox_box_extent(&box, 1) * vox_box_extent(&box, 2);
    for (int64_t d = 0, count; d < depth; d += count) {
        if (r->options->progress)
            r->options->progress(r->options->user, &r->progress);
        count = vox_min(j->plan.slab_planes, depth - d);
        const vox_planes *to =
            pipeline ? vox_pipeline_input(pipeline) : vox_blender_input(j->blender);
        vox_status status =
            vox_preparation_planes(r->to.preparation, r->reader, r->to.frame, d, count, to, err);
        if (!status)
            status = pipeline ? vox_pipeline_push(pipeline, count, NULL, err)
                              : vox_blender_push(j->blender, count, err);
        if (status)
            return status;
        r->progress.done += count * plane;
    }
    return VOX_OK;
}

/* Of what patch p reads, what no later patch along H or W reads as well: each voxel has one such
 * patch, and is counted there. */
static vox_status own_part(const vox_job *j, int64_t p, const vox_box *in, vox_box *own,
                           vox_error *err) {
    const int64_t next[2] = {p + j->patches[1], p + 1};
    const bool last[2] = {next[0] >= vox_job_patches(j), next[1] % j->patches[1] == 0};
    *own = *in;
    for (int i = 0; i < 2; i++) {
        if (last[i])
            continue;
        vox_need need;
        vox_status status = vox_job_need(j, next[i], &need, err);
        if (status)
            return status;
        own->to[1 + i] = vox_max(vox_min(own->to[1 + i], need.in.from[1 + i]), own->from[1 + i]);
    }
    return VOX_OK;
}

/* Every patch of the current frame has a pipeline of its own. */
static vox_status stream_patches(const vox_job *j, run *r, vox_error *err) {
    for (int64_t p = 0; p < vox_job_patches(j); p++) {
        vox_pipeline *pipeline = vox_job_pipeline(j, p, j->plan.slab_planes, err);
        if (!pipeline)
            return err->status;
        const vox_box in = vox_pipeline_input_box(pipeline), out = vox_job_patch(j, p);
        vox_box counted;
        vox_status status = own_part(j, p, &in, &counted, err);
        if (!status)
            status = vox_pipeline_start(pipeline, take_planes, &r->to, err);
        if (!status) {
            vox_reader_part(r->reader, &in, &counted);
            vox_writer_part(r->to.writer, &out);
            status = stream(j, pipeline, r, err);
        }
        vox_pipeline_free(pipeline);
        if (status)
            return status;
    }
    return VOX_OK;
}

static vox_status stream_frame(const vox_job *j, vox_pipeline *whole, run *r, vox_error *err) {
    const vox_status status = vox_preparation_begin(r->to.preparation, r->reader, r->to.frame, err);
    if (status)
        return status;
    return whole || j->blender ? stream(j, whole, r, err) : stream_patches(j, r, err);
}

static void count_values(const vox_tensor *values, int64_t *nan_count, int64_t *inf_count) {
    for (int64_t i = 0; i < values->count; i++) {
        *nan_count += isnan(values->data[i]) != 0;
        *inf_count += isinf(values->data[i]) != 0;
    }
}

static void fill_report(vox_report *r, const vox_job *j, const vox_reader *reader,
                        const destination *to, double seconds) {
    const vox_plan *p = &j->plan;
    *r = (vox_report){.seconds = seconds,
                      .planned_bytes = p->total_bytes,
                      .threads = j->threads,
                      .isa = vox_isa()};
    r->input_voxels = p->in[0] * p->in[1] * p->in[2] * p->in[3] * p->in[4];
    r->output_voxels = p->out[0] * p->out[1] * p->out[2] * p->out[3] * p->out[4];
    vox_reader_counts(reader, &r->input_nan, &r->input_inf);
    if (to->writer) {
        vox_writer_counts(to->writer, &r->output_nan, &r->output_inf, &r->clamped);
        r->voxel_mm3 = vox_writer_voxel_mm3(to->writer);
    } else if (to->values)
        count_values(to->values, &r->output_nan, &r->output_inf);
}

static vox_label_count *start_counting(const vox_job *j, const vox_filter_options *o,
                                       vox_error *err) {
    memset(o->label_voxels, 0, (size_t)(j->layout.batch * o->labels) * sizeof *o->label_voxels);
    return vox_label_count_new(o->labels, j->threads, err);
}

/* The network may see a part of the input only. */
static void warn_of_rest(const vox_job *j, const vox_input *in, const vox_filter_options *o) {
    const double covered = vox_preparing_covered(&j->prepare);
    char message[1200];
    if (covered >= 1 || !o->warn)
        return;
    snprintf(message, sizeof message,
             "%s: %.2g %% of the voxels lie outside of the network's grid of %lld x %lld x %lld "
             "voxels (D,H,W); the output is 0 there",
             vox_input_info(in, 0)->path, 100 * (1 - covered), (long long)j->in[1],
             (long long)j->in[2], (long long)j->in[3]);
    o->warn(o->user, message);
}

/* Into a file, or where `output` is NULL into *values. */
static vox_status filter(vox_input *in, const vox_network *network, const char *output,
                         vox_tensor **values, const vox_filter_options *o, vox_report *report,
                         vox_error *err) {
    double start = vox_now();
    vox_job j = {0};
    run r = {.options = o, .progress = {.phase = "filtering"}};
    vox_pipeline *whole = NULL; /* for all frames */
    vox_error local = {0};
    vox_status status = vox_job_make(&j, in, network, output, o, &local);
    if (status)
        goto out;
    r.progress.total = j.plan.input_voxels_read;
    warn_of_rest(&j, in, o);
    if (j.blender) {
        if (vox_blender_start(j.blender, take_planes, &r.to, &local))
            goto out;
    } else if (vox_job_patches(&j) == 1) {
        whole = vox_job_pipeline(&j, 0, j.plan.slab_planes, &local);
        if (!whole || vox_pipeline_start(whole, take_planes, &r.to, &local))
            goto out;
    }
    r.reader = vox_reader_new(in, &j.layout, j.plan.slab_planes, vox_job_any_order(&j), &local);
    r.to.preparation = r.reader ? vox_preparation_new(&j.prepare, &local) : NULL;
    if (!r.to.preparation)
        goto out;
    if (output)
        r.to.writer = vox_writer_new(in, &j.output, &local);
    else
        r.to.values = vox_tensor_new(5, j.plan.out, &local);
    if (!local.status && j.labels > 0)
        r.to.labels = start_counting(&j, o, &local);
    if (local.status)
        goto out;
    for (; r.to.frame < j.layout.batch && !status; r.to.frame++) {
        status = stream_frame(&j, whole, &r, &local);
        if (r.to.labels)
            vox_label_count_take(r.to.labels, o->label_voxels + r.to.frame * o->labels);
    }
    if (status)
        goto out;
    r.progress.phase = "writing";
    if (o->progress)
        o->progress(o->user, &r.progress);
    if (vox_reader_finish(r.reader, o->warn, o->user, &local) ||
        (output && vox_writer_finish(r.to.writer, &local)))
        goto out;
    if (report)
        fill_report(report, &j, r.reader, &r.to, vox_now() - start);
    if (values) {
        *values = r.to.values;
        r.to.values = NULL;
    }
out:
    if (local.status)
        vox_fail(err, local.status, "%s", local.message);
    vox_tensor_free(r.to.values);
    vox_label_count_free(r.to.labels);
    vox_writer_free(r.to.writer);
    vox_preparation_free(r.to.preparation);
    vox_reader_free(r.reader);
    vox_pipeline_free(whole);
    vox_blender_free(j.blender);
    return local.status;
}

vox_status vox_filter(vox_input *in, const vox_network *network, const char *output,
                      const vox_filter_options *o, vox_report *report, vox_error *err) {
    return filter(in, network, output, NULL, o, report, err);
}

vox_status vox_filter_values(vox_input *in, const vox_network *network, const vox_filter_options *o,
                             vox_tensor **values, vox_report *report, vox_error *err) {
    *values = NULL;
    return filter(in, network, NULL, values, o, report, err);
}
