/* plan.c - what a run will do, settled before a voxel is read: slabs, patches, memory, work. */
#include "engine/job.h"

#include "engine/label_count.h"
#include "engine/memory.h"
#include "layer/layer.h"

#include <stdlib.h>
#include <string.h>

void vox_filter_defaults(vox_filter_options *o) {
    *o = (vox_filter_options){.datatype = 16 /* NIFTI_TYPE_FLOAT32 */,
                              .compression = -1,
                              .overlap = {0.25, 0.25, 0.25},
                              .sigma_scale = 0.125};
}

/* Patch p of the output; (0, 0) of 1 x 1 is all of it. */
vox_box vox_job_patch(const vox_job *j, int64_t p) {
    const int64_t at[2] = {p / j->patches[1], p % j->patches[1]};
    vox_box b = {.to = {j->out[1]}};
    for (int i = 0; i < 2; i++) {
        b.from[1 + i] = at[i] * j->patch[i];
        b.to[1 + i] = vox_min(b.from[1 + i] + j->patch[i], j->out[2 + i]);
    }
    return b;
}

int64_t vox_job_patches(const vox_job *j) {
    return j->patches[0] * j->patches[1];
}

/* Patch p as vox_pipeline_new wants it; NULL where it is all. */
static const vox_box *patch_part(const vox_job *j, int64_t p, vox_box *box) {
    *box = vox_job_patch(j, p);
    return vox_job_patches(j) > 1 ? box : NULL;
}

vox_pipeline *vox_job_pipeline(const vox_job *j, int64_t p, int64_t slab, vox_error *err) {
    vox_box box;
    return vox_pipeline_new(j->network, j->in, patch_part(j, p, &box), slab, j->threads, err);
}

vox_status vox_job_need(const vox_job *j, int64_t p, vox_need *need, vox_error *err) {
    vox_box box;
    return vox_pipeline_need(j->network, j->in, patch_part(j, p, &box), need, err);
}

static void add_part(void *user, const char *name, int64_t bytes) {
    vox_plan *plan = user;
    if (!vox_add(plan->total_bytes, bytes, &plan->total_bytes))
        plan->total_bytes = INT64_MAX;
    if (plan->part_count == VOX_PLAN_PARTS) { /* a longer network: the last row sums up the rest */
        const int last = VOX_PLAN_PARTS - 1;
        snprintf(plan->part[last].name, sizeof plan->part[last].name, "others");
        plan->part[last].bytes = plan->total_bytes;
        for (int i = 0; i < last; i++)
            plan->part[last].bytes -= plan->part[i].bytes;
        return;
    }
    const int i = plan->part_count++;
    snprintf(plan->part[i].name, sizeof plan->part[i].name, "%s", name);
    plan->part[i].bytes = bytes;
}

/* The pipeline of the patch that takes the most memory. Patches differ by what the volume's faces
 * cut off or padding asks for: so the first, the last and one in the middle, along H and W, are all
 * that there are. */
static vox_pipeline *largest_pipeline(const vox_job *j, int64_t slab, vox_error *err) {
    vox_pipeline *largest = NULL;
    int64_t most = -1;
    for (int k = 0; k < 9; k++) {
        const int64_t row = (j->patches[0] - 1) * (k / 3) / 2;
        const int64_t column = (j->patches[1] - 1) * (k % 3) / 2;
        vox_pipeline *p = vox_job_pipeline(j, row * j->patches[1] + column, slab, err);
        if (!p) {
            vox_pipeline_free(largest);
            return NULL;
        }
        const int64_t bytes = vox_pipeline_bytes(p);
        if (bytes <= most) {
            vox_pipeline_free(p);
            continue;
        }
        most = bytes;
        vox_pipeline_free(largest);
        largest = p;
        if (vox_job_patches(j) == 1)
            break;
    }
    return largest;
}

bool vox_job_any_order(const vox_job *j) {
    return j->output.patches || vox_preparing_rereads(&j->prepare);
}

/* The plan's parts in front of and behind the layers. */
static vox_status add_ends(vox_job *j, const vox_input *in, vox_error *err) {
    vox_plan *plan = &j->plan;
    int64_t reader, writer;
    plan->part_count = 0;
    plan->total_bytes = 0;
    vox_status status = vox_reader_memory(in, &j->layout, plan->slab_planes, vox_job_any_order(j),
                                          &reader, &plan->input_spool_bytes, err);
    if (!status && j->output.path)
        status = vox_writer_memory(in, &j->output, &writer, &plan->output_spool_bytes, err);
    else if (!status &&
             (!vox_product(plan->out, 5, &writer) || !vox_mul(writer, sizeof(float), &writer)))
        writer = INT64_MAX;
    if (status)
        return status;
    add_part(plan, "program and threads",
             VOX_PROCESS_BYTES + (int64_t)j->threads * VOX_THREAD_BYTES);
    add_part(plan, "reader", reader);
    vox_preparing_memory(&j->prepare, add_part, plan, &plan->input_spool_bytes,
                         &plan->output_spool_bytes);
    add_part(plan, j->output.path ? "writer" : "values", writer);
    if (j->labels > 0)
        add_part(plan, "label counts",
                 vox_label_count_bytes(j->labels, j->threads, j->layout.batch));
    return VOX_OK;
}

/* Lays everything out for slabs of `slab` planes of patches of `patch` output voxels; the memory is
 * in j->plan. */
static vox_status lay_out(vox_job *j, const vox_input *in, const int64_t patch[2], int64_t slab,
                          vox_error *err) {
    vox_plan *plan = &j->plan;
    for (int i = 0; i < 2; i++) {
        j->patch[i] = vox_min(patch[i], j->out[2 + i]);
        j->patches[i] = vox_ceil_div(j->out[2 + i], j->patch[i]);
        plan->patch[1 + i] = j->patch[i];
    }
    plan->patch[0] = j->out[1];
    plan->patch_count = vox_job_patches(j);
    plan->slab_planes = slab;
    vox_pipeline *pipeline = largest_pipeline(j, slab, err);
    if (!pipeline)
        return err->status;
    j->output.slab_planes = vox_pipeline_out_slab(pipeline);
    j->output.patches = vox_job_patches(j) > 1;
    vox_status status = add_ends(j, in, err);
    if (!status)
        vox_pipeline_memory(pipeline, add_part, plan);
    vox_pipeline_free(pipeline);
    return status;
}

/* The same for patches that are blended. */
static vox_status lay_out_blended(vox_job *j, const vox_input *in, const vox_filter_options *o,
                                  int64_t slab, bool side_by_side, vox_error *err) {
    vox_plan *plan = &j->plan;
    vox_error local = {0};
    vox_blender_free(j->blender);
    j->blender = vox_blender_new(j->network, j->in, o, slab, side_by_side, j->threads, &local);
    if (!j->blender)
        return vox_fail(err, local.status, "%s: %s", vox_input_info(in, 0)->path, local.message);
    memcpy(plan->patch, o->patch_size, sizeof plan->patch);
    plan->patch_count = vox_blender_patch_count(j->blender);
    plan->slab_planes = slab;
    j->output.slab_planes = vox_blender_out_slab(j->blender);
    vox_status status = add_ends(j, in, err);
    if (!status)
        vox_blender_memory(j->blender, add_part, plan);
    return status;
}

/* Patches are not cut smaller than this, in output voxels, to stay under a cap: what neighbours
 * compute twice would cost more than memory is worth. */
enum { LEAST_ROWS = 16, LEAST_COLUMNS = 64 };

static bool cut_patch(int64_t patch[2]) {
    const int64_t least[2] = {LEAST_ROWS, LEAST_COLUMNS};
    for (int i = 0; i < 2; i++)
        if (patch[i] > least[i]) { /* whole rows as long as possible: they are read in one piece */
            patch[i] = vox_max((patch[i] + 1) / 2, least[i]);
            return true;
        }
    return false;
}

/* Whether planes may be cut into patches. Errors: VOX_ERR_USAGE where they must and cannot. */
static vox_status check_cuttable(const vox_job *j, const vox_filter_options *o, bool *cuttable,
                                 vox_error *err) {
    vox_value *values = vox_network_values(j->network, j->in, err);
    if (!values)
        return err->status;
    const vox_layer *uncut = vox_network_uncut(j->network, values);
    free(values);
    const bool regrids = !j->prepare.grid.same;       /* takes whole planes */
    *cuttable = !uncut && !regrids && j->output.path; /* values in memory are few */
    if ((!uncut && !regrids) || (o->patch_size[1] == 0 && o->patch_size[2] == 0) ||
        (o->patch_size[1] >= j->in[2] && o->patch_size[2] >= j->in[3]))
        return VOX_OK;
    return vox_fail(err, VOX_ERR_USAGE,
                    "patch_size: %s is not computed in exact patches (blend average or gaussian "
                    "makes each patch a volume of its own)",
                    uncut ? uncut->class->name : "a network on a grid of its own");
}

static vox_status refuse(vox_job *j, const vox_input *in, const vox_filter_options *o, int64_t cap,
                         vox_error *err) {
    char most[32], need[32], least[32];
    j->refused = true;
    return vox_fail(err, VOX_ERR_RESOURCE,
                    "%s: max-memory=%s%s: slabs of %lld planes need %s; the least that works is %s "
                    "(%lld bytes)",
                    vox_input_info(in, 0)->path, vox_bytes_text(cap, most),
                    o->max_memory ? "" : " (what the machine has to give)",
                    (long long)j->plan.slab_planes, vox_bytes_text(j->plan.total_bytes, need),
                    vox_bytes_text(j->plan.smallest_bytes, least),
                    (long long)j->plan.smallest_bytes);
}

/* Slab and patch: what was asked for, or what keeps the threads busy, or less where memory is
 * capped: lower slabs first, then smaller patches. */
static vox_status choose_cuts(vox_job *j, const vox_input *in, const vox_filter_options *o,
                              const double stride[3], vox_error *err) {
    const int64_t planes = j->in[1];
    const int64_t cap = o->max_memory ? o->max_memory : vox_memory_default_cap();
    const bool fixed = o->patch_size[1] > 0;
    int64_t patch[2] = {j->out[2], j->out[3]};
    bool cuttable = false;
    vox_status status = check_cuttable(j, o, &cuttable, err);
    if (status)
        return status;
    for (int i = 0; i < 2 && fixed && cuttable; i++)
        patch[i] = vox_max((int64_t)((double)o->patch_size[1 + i] / stride[1 + i]), 1);
    int64_t smallest[2] = {patch[0], patch[1]};
    while (!fixed && cuttable && cut_patch(smallest)) {
    }
    const bool spooled = j->prepare.spooled;
    j->prepare.spooled = true;
    status = lay_out(j, in, smallest, 1, err);
    j->prepare.spooled = spooled;
    j->plan.smallest_bytes = j->plan.total_bytes;
    for (;;) {
        const vox_box part = {
            .to = {j->out[1], vox_min(patch[0], j->out[2]), vox_min(patch[1], j->out[3])}};
        const int64_t asked = o->slab_planes ? o->slab_planes : o->patch_size[0];
        int64_t slab = vox_min(asked, planes);
        if (!status && !asked)
            status = vox_pipeline_good_slab(j->network, j->in, &part, j->threads, &slab, err);
        for (; !status; slab /= 2) {
            status = lay_out(j, in, patch, slab, err);
            if (status || cap == 0 || j->plan.total_bytes <= cap)
                return status;
            if (slab == 1 || asked)
                break;
        }
        if (status)
            return status;
        if (fixed || !cuttable || !cut_patch(patch))
            return refuse(j, in, o, cap, err);
    }
}

static vox_status choose_blended(vox_job *j, const vox_input *in, const vox_filter_options *o,
                                 vox_error *err) {
    const int64_t cap = o->max_memory ? o->max_memory : vox_memory_default_cap();
    const int64_t slab = o->slab_planes ? vox_min(o->slab_planes, j->in[1]) : 1;
    const bool spooled = j->prepare.spooled;
    j->prepare.spooled = true;
    vox_status status = lay_out_blended(j, in, o, slab, false, err);
    j->prepare.spooled = spooled;
    j->plan.smallest_bytes = j->plan.total_bytes;
    for (int side_by_side = 1; side_by_side >= 0 && !status; side_by_side--) {
        status = lay_out_blended(j, in, o, slab, side_by_side, err);
        if (!status && (cap == 0 || j->plan.total_bytes <= cap))
            return VOX_OK;
    }
    return status ? status : refuse(j, in, o, cap, err);
}

/* Volumes that wait between two grids do so in memory, or where that is too little on disk. */
static vox_status choose(vox_job *j, const vox_input *in, const vox_filter_options *o,
                         const double stride[3], vox_error *err) {
    vox_error local = {.status = VOX_OK};
    for (int spooled = 0; spooled < 2; spooled++) {
        local.status = VOX_OK;
        j->refused = false;
        j->prepare.spooled = spooled;
        if (o->blend == VOX_BLEND_EXACT)
            choose_cuts(j, in, o, stride, &local);
        else
            choose_blended(j, in, o, &local);
        if (!j->refused || j->prepare.grid.same)
            break;
    }
    return local.status ? vox_fail(err, local.status, "%s", local.message) : VOX_OK;
}

/* a*b, added to *total; INT64_MAX where that is more. */
static void add_product(int64_t a, int64_t b, int64_t *total) {
    if (!vox_mul(a, b, &a) || !vox_add(*total, a, total))
        *total = INT64_MAX;
}

/* Every patch takes a pipeline of its own to run it, some microseconds and more: more than these
 * are planes that nobody has, promised by a compressed file of a few bytes, or patches that
 * are no use. 4096 x 4096 voxels in patches of 16 x 16. */
enum { MOST_PATCHES = 1 << 16 };

/* What all patches of all frames read and compute. */
static vox_status count_work(vox_job *j, const char *path, vox_error *err) {
    vox_plan *plan = &j->plan;
    int64_t whole = 0;
    if (j->patches[0] > MOST_PATCHES || j->patches[1] > MOST_PATCHES ||
        vox_job_patches(j) > MOST_PATCHES)
        return vox_fail(err, VOX_ERR_RESOURCE,
                        "%s: %lld x %lld patches of %lld x %lld voxels a plane: more than %d take "
                        "larger patches, or more memory",
                        path, (long long)j->patches[0], (long long)j->patches[1],
                        (long long)j->patch[0], (long long)j->patch[1], MOST_PATCHES);
    plan->input_voxels_read = plan->multiply_adds = 0;
    if (j->blender) {
        const vox_box box = {.to = {j->in[1], j->in[2], j->in[3]}};
        add_product(vox_box_voxels(&box) * j->in[0], j->layout.batch, &plan->input_voxels_read);
        add_product(vox_blender_multiply_adds(j->blender), j->layout.batch, &plan->multiply_adds);
    }
    for (int64_t p = 0; !j->blender && p < vox_job_patches(j); p++) {
        vox_need need;
        vox_status status = vox_job_need(j, p, &need, err);
        if (status)
            return status;
        add_product(vox_box_voxels(&need.in) * j->in[0], j->layout.batch, &plan->input_voxels_read);
        add_product(need.multiply_adds, j->layout.batch, &plan->multiply_adds);
    }
    vox_need all;
    vox_status status = vox_pipeline_need(j->network, j->in, NULL, &all, err);
    if (status)
        return status;
    add_product(all.multiply_adds, j->layout.batch, &whole);
    plan->overlap_multiply_adds = vox_max(plan->multiply_adds - whole, 0);
    return VOX_OK;
}

static vox_status check_patches(const vox_filter_options *o, vox_error *err) {
    const int64_t *p = o->patch_size;
    const bool none = p[0] == 0 && p[1] == 0 && p[2] == 0;
    if (!none && (p[0] < 1 || p[1] < 1 || p[2] < 1))
        return vox_fail(err, VOX_ERR_USAGE, "patch_size=%lld,%lld,%lld: must be positive",
                        (long long)p[0], (long long)p[1], (long long)p[2]);
    if (o->blend == VOX_BLEND_EXACT)
        return VOX_OK;
    if (none)
        return vox_fail(err, VOX_ERR_USAGE, "blend: without patch_size there is nothing to blend");
    if (!(o->sigma_scale > 0))
        return vox_fail(err, VOX_ERR_USAGE, "sigma_scale=%g: must be positive", o->sigma_scale);
    for (int i = 0; i < 3; i++)
        if (!(o->overlap[i] >= 0) || o->overlap[i] >= (double)p[i])
            return vox_fail(err, VOX_ERR_USAGE,
                            "overlap=%g along %c: must be less than the patch, %lld voxels",
                            o->overlap[i], vox_axis_name[i], (long long)p[i]);
    return VOX_OK;
}

/* As many as float32 can number, and so argmax. */
enum { MOST_LABELS = 1 << 24 };
/* Only what lies where the network's input does comes back onto the file's grid. */
static vox_status check_way_back(const vox_job *j, const vox_input *in, const double stride[3],
                                 const double origin[3], vox_error *err) {
    bool stays = true;
    for (int a = 0; a < 3; a++)
        stays = stays && j->out[1 + a] == j->in[1 + a] && stride[a] == 1 && origin[a] == 0;
    if (stays)
        return VOX_OK;
    return vox_fail(err, VOX_ERR_UNSUPPORTED,
                    "%s: the network makes (%lld,%lld,%lld) voxels of (%lld,%lld,%lld): with "
                    "another orientation, spacing or shape only a network that keeps its grid is "
                    "served, because its output comes back onto the input's",
                    vox_input_info(in, 0)->path, (long long)j->out[1], (long long)j->out[2],
                    (long long)j->out[3], (long long)j->in[1], (long long)j->in[2],
                    (long long)j->in[3]);
}

vox_status vox_job_make(vox_job *j, const vox_input *in, const vox_network *network,
                        const char *output, const vox_filter_options *o, vox_error *err) {
    if (o->threads < 0 || o->max_memory < 0 || o->slab_planes < 0)
        return vox_fail(err, VOX_ERR_USAGE,
                        "threads=%d, max_memory=%lld, slab_planes=%lld: must not be negative",
                        o->threads, (long long)o->max_memory, (long long)o->slab_planes);
    if (o->label_voxels && (o->labels < 1 || o->labels > MOST_LABELS))
        return vox_fail(err, VOX_ERR_USAGE, "labels=%lld: must be 1 to %d", (long long)o->labels,
                        MOST_LABELS);
    if (check_patches(o, err))
        return VOX_ERR_USAGE;
    vox_status status = vox_input_layout(in, o->in_channels, o->time, &j->layout, err);
    j->network = network;
    j->threads = vox_thread_count(o->threads);
    if (!status)
        status = vox_preparing_make(in, &o->prepare, &j->layout, j->threads, &j->prepare, err);
    if (status)
        return status;
    j->labels = o->label_voxels ? o->labels : 0;
    j->in[0] = j->layout.channels;
    memcpy(j->in + 1, j->prepare.grid.size, sizeof j->prepare.grid.size);
    int64_t *out = j->out;
    double stride[3], origin[3];
    vox_error local = {0};
    if (vox_network_shape(network, j->in, out, &local) ||
        vox_network_geometry(network, j->in, stride, origin, &local))
        return vox_fail(err, local.status, "%s: %s", vox_input_info(in, 0)->path, local.message);
    if (output && !j->prepare.grid.same) {
        if ((status = check_way_back(j, in, stride, origin, err)))
            return status;
        j->prepare.out_channels = out[0];
    }
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
    if (j->prepare.out_channels)
        memcpy(j->output.size, j->layout.size, sizeof j->layout.size);
    vox_plan *plan = &j->plan;
    plan->input_passes = vox_preparing_passes(&j->prepare);
    plan->in[0] = plan->out[0] = j->layout.batch;
    plan->in[1] = j->in[0];
    plan->out[1] = out[0];
    memcpy(plan->grid, j->prepare.grid.size, sizeof plan->grid);
    memcpy(plan->in + 2, j->layout.size, sizeof j->layout.size);
    memcpy(plan->out + 2, j->prepare.out_channels ? j->output.size : out + 1, 3 * sizeof *out);
    status = choose(j, in, o, stride, err);
    return status ? status : count_work(j, vox_input_info(in, 0)->path, err);
}

vox_status vox_filter_plan(const vox_input *in, const vox_network *network, const char *output,
                           const vox_filter_options *o, vox_plan *plan, vox_error *err) {
    vox_job j = {0};
    vox_error local = {0};
    if (vox_job_make(&j, in, network, output, o, &local))
        vox_fail(err, local.status, "%s", local.message);
    else
        *plan = j.plan;
    vox_blender_free(j.blender);
    return local.status;
}
