/* filter.c - scans through a chain: reader, pipeline, writer, and the memory that they will take.
 */
#include "engine/memory.h"
#include "engine/pipeline.h"
#include "kernel/kernel.h"
#include "layer/layer.h"
#include "volume/volume.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What the process holds apart from the parts of the plan: program, libraries, OpenMP's threads.
 * Measured as the peak resident size of a run over a volume of a few voxels, and rounded up. */
enum { PROCESS_BYTES = 16 << 20, THREAD_BYTES = 256 << 10 };

void vox_filter_defaults(vox_filter_options *o) {
    *o = (vox_filter_options){.datatype = 16 /* NIFTI_TYPE_FLOAT32 */, .compression = -1};
}

/* ---- The plan ---- */

/* One run, as far as header, chain and options settle it. */
typedef struct job {
    vox_layout layout;
    int64_t in[4];
    int threads;
    vox_output output;
    vox_pipeline *pipeline;
    vox_plan plan;
} job;

static void add_part(void *user, const char *name, int64_t bytes) {
    vox_plan *plan = user;
    if (!vox_add(plan->total_bytes, bytes, &plan->total_bytes))
        plan->total_bytes = INT64_MAX;
    if (plan->part_count == VOX_PLAN_PARTS)
        plan->part_count--; /* a longer chain: the last row sums up the rest */
    int i = plan->part_count++;
    if (i == VOX_PLAN_PARTS - 1 && plan->part[i].bytes > 0) {
        plan->part[i].bytes += bytes;
        return;
    }
    snprintf(plan->part[i].name, sizeof plan->part[i].name, "%s", name);
    plan->part[i].bytes = bytes;
}

/* Lays everything out for slabs of `slab` planes; the memory is in j->plan. */
static vox_status lay_out(job *j, const vox_input *in, const vox_chain *chain, int64_t slab,
                          vox_error *err) {
    vox_pipeline_free(j->pipeline);
    vox_error local = {0};
    j->pipeline = vox_pipeline_new(chain, j->in, NULL, slab, j->threads, &local);
    if (!j->pipeline)
        return vox_fail(err, local.status, "%s", local.message);
    vox_plan *plan = &j->plan;
    plan->slab_planes = slab;
    plan->part_count = 0;
    plan->total_bytes = 0;
    j->output.slab_planes = vox_pipeline_out_slab(j->pipeline);
    int64_t reader, writer;
    vox_status status =
        vox_reader_memory(in, &j->layout, slab, &reader, &plan->input_spool_bytes, err);
    if (!status)
        status = vox_writer_memory(in, &j->output, &writer, &plan->output_spool_bytes, err);
    if (status)
        return status;
    add_part(plan, "program and threads", PROCESS_BYTES + (int64_t)j->threads * THREAD_BYTES);
    add_part(plan, "reader", reader);
    vox_pipeline_memory(j->pipeline, add_part, plan);
    add_part(plan, "writer", writer);
    return VOX_OK;
}

/* The slab: what was asked for, or what keeps the threads busy, or less where memory is capped. */
static vox_status choose_slab(job *j, const vox_input *in, const vox_chain *chain,
                              const vox_filter_options *o, vox_error *err) {
    const int64_t planes = j->in[1];
    vox_status status = lay_out(j, in, chain, 1, err);
    if (status)
        return status;
    const int64_t smallest = j->plan.total_bytes;
    const int64_t cap = o->max_memory ? o->max_memory : vox_memory_default_cap();
    int64_t slab = o->slab_planes ? vox_min(o->slab_planes, planes)
                                  : vox_pipeline_good_slab(chain, j->in, j->threads);
    for (;; slab /= 2) {
        status = lay_out(j, in, chain, slab, err);
        if (status || cap == 0 || j->plan.total_bytes <= cap)
            break;
        if (slab == 1 || o->slab_planes) {
            char most[32], need[32], least[32];
            return vox_fail(
                err, VOX_ERR_RESOURCE,
                "%s: max-memory=%s%s: slabs of %lld planes need %s; the least that works is %s "
                "(%lld bytes)",
                vox_input_info(in, 0)->path, vox_bytes_text(cap, most),
                o->max_memory ? "" : " (what the machine has to give)", (long long)slab,
                vox_bytes_text(j->plan.total_bytes, need), vox_bytes_text(smallest, least),
                (long long)smallest);
        }
    }
    j->plan.smallest_bytes = smallest;
    return status;
}

/* Multiply-adds of all layers, padding included. */
static int64_t multiply_adds(const vox_chain *chain, const int64_t in[4], int64_t frames) {
    int64_t shape[4], total = 0;
    memcpy(shape, in, sizeof shape);
    for (const vox_layer *l = chain->first; l; l = l->next) {
        int64_t out[4], count;
        vox_axis axis[3];
        if (l->class->shape(l, shape, out, axis, NULL) || !vox_product(out, 4, &count) ||
            !vox_mul(count, l->macs_per_output, &count) || !vox_mul(count, frames, &count) ||
            !vox_add(total, count, &total))
            return INT64_MAX;
        memcpy(shape, out, sizeof shape);
    }
    return total;
}

static vox_status make_job(job *j, const vox_input *in, const vox_chain *chain, const char *output,
                           const vox_filter_options *o, vox_error *err) {
    if (o->threads < 0 || o->max_memory < 0 || o->slab_planes < 0)
        return vox_fail(err, VOX_ERR_USAGE,
                        "threads=%d, max_memory=%lld, slab_planes=%lld: must not be negative",
                        o->threads, (long long)o->max_memory, (long long)o->slab_planes);
    vox_status status = vox_input_layout(in, o->in_channels, o->time, &j->layout, err);
    if (status)
        return status;
    j->threads = vox_thread_count(o->threads);
    j->in[0] = j->layout.channels;
    memcpy(j->in + 1, j->layout.size, sizeof j->layout.size);
    int64_t out[4];
    double stride[3], origin[3];
    vox_error local = {0};
    if (vox_chain_shape(chain, j->in, out, &local) ||
        vox_chain_geometry(chain, j->in, stride, origin, &local))
        return vox_fail(err, local.status, "%s: %s", vox_input_info(in, 0)->path, local.message);
    j->output = (vox_output){
        .path = output,
        .layout = j->layout,
        .channels = out[0],
        .size = {out[1], out[2], out[3]},
        .stride = {stride[0], stride[1], stride[2]},
        .origin = {origin[0], origin[1], origin[2]},
        .datatype = o->datatype,
        .compression = o->compression,
        .split = o->split,
        .force = o->force,
        .threads = j->threads,
    };
    vox_plan *plan = &j->plan;
    plan->in[0] = plan->out[0] = j->layout.batch;
    memcpy(plan->in + 1, j->in, sizeof j->in);
    memcpy(plan->out + 1, out, sizeof out);
    plan->multiply_adds = multiply_adds(chain, j->in, j->layout.batch);
    return choose_slab(j, in, chain, o, err);
}

vox_status vox_filter_plan(const vox_input *in, const vox_chain *chain, const char *output,
                           const vox_filter_options *o, vox_plan *plan, vox_error *err) {
    job j = {0};
    vox_status status = make_job(&j, in, chain, output, o, err);
    if (!status)
        *plan = j.plan;
    vox_pipeline_free(j.pipeline);
    return status;
}

/* ---- The run ---- */

typedef struct destination {
    vox_writer *writer;
    int64_t frame;
} destination;

static vox_status write_planes(void *user, int64_t d, int64_t count, const vox_planes *planes,
                               vox_error *err) {
    destination *to = user;
    return vox_writer_planes(to->writer, to->frame, d, count, planes, err);
}

/* Frame by frame, slab by slab, from the reader into the first ring; the rest follows from the
 * push. */
static vox_status stream(const job *j, vox_reader *reader, destination *to,
                         const vox_filter_options *o, vox_error *err) {
    const int64_t depth = j->in[1], plane = j->in[0] * j->in[2] * j->in[3];
    vox_progress progress = {"filtering", 0, j->layout.batch * depth * plane};
    for (to->frame = 0; to->frame < j->layout.batch; to->frame++)
        for (int64_t d = 0, count; d < depth; d += count) {
            if (o->progress)
                o->progress(o->user, &progress);
            count = vox_min(j->plan.slab_planes, depth - d);
            vox_status status = vox_reader_planes(reader, to->frame, d, count,
                                                  vox_pipeline_input(j->pipeline), j->threads, err);
            if (!status)
                status = vox_pipeline_push(j->pipeline, count, NULL, err);
            if (status)
                return status;
            progress.done += count * plane;
        }
    progress.phase = "writing";
    if (o->progress)
        o->progress(o->user, &progress);
    return vox_reader_finish(reader, o->warn, o->user, err);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fill_report(vox_report *r, const job *j, const vox_reader *reader,
                        const vox_writer *writer, double seconds) {
    const vox_plan *p = &j->plan;
    *r = (vox_report){.seconds = seconds,
                      .planned_bytes = p->total_bytes,
                      .threads = j->threads,
                      .isa = vox_isa()};
    r->input_voxels = p->in[0] * p->in[1] * p->in[2] * p->in[3] * p->in[4];
    r->output_voxels = p->out[0] * p->out[1] * p->out[2] * p->out[3] * p->out[4];
    vox_reader_counts(reader, &r->input_nan, &r->input_inf);
    vox_writer_counts(writer, &r->output_nan, &r->output_inf, &r->clamped);
}

vox_status vox_filter(vox_input *in, const vox_chain *chain, const char *output,
                      const vox_filter_options *o, vox_report *report, vox_error *err) {
    double start = now();
    job j = {0};
    vox_reader *reader = NULL;
    destination to = {0};
    vox_error local = {0};
    vox_status status = make_job(&j, in, chain, output, o, err);
    if (status)
        goto out;
    status = vox_pipeline_start(j.pipeline, write_planes, &to, err);
    if (status)
        goto out;
    reader = vox_reader_new(in, &j.layout, j.plan.slab_planes, &local);
    if (reader)
        to.writer = vox_writer_new(in, &j.output, &local);
    if (!reader || !to.writer) {
        status = vox_fail(err, local.status, "%s", local.message);
        goto out;
    }
    status = stream(&j, reader, &to, o, err);
    if (!status)
        status = vox_writer_finish(to.writer, err);
    if (!status && report)
        fill_report(report, &j, reader, to.writer, now() - start);
out:
    vox_writer_free(to.writer);
    vox_reader_free(reader);
    vox_pipeline_free(j.pipeline);
    return status;
}
