/* fuzz_nifti.c - scans: header, layout, statistics, and a small filter to /dev/null under a cap on
 * memory. The last byte of the file, a voxel of most, chooses the filter and its options. */
#include "fuzz/common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Which filter: two bits of the last byte; each bit above them switches an option. */
enum {
    FILTERS = 3,
    TIME_IS_CHANNELS = 1 << 2,
    PATCHES = 1 << 3,
    INPUT_TYPE = 1 << 4,
    UINT8 = 1 << 5,
    GZIP = 1 << 6,
    ONE_PLANE = 1 << 7
};

static vox_status add_layers(vox_network *c, int filter, vox_error *err) {
    static const float weight[54] = {1, -2, 3, 0.5F, 0.25F, -1}, bias[2] = {1, 2};
    vox_conv3d conv;
    vox_pool3d pool;
    vox_conv3d_defaults(&conv);
    vox_pool3d_defaults(&pool);
    vox_status status = VOX_OK;
    for (int i = 0; i < 3; i++)
        conv.kernel_size[i] = 3;
    if (filter == 0) {
        conv.padding = VOX_PADDING_SAME;
    } else if (filter == 1) { /* two channels come out, the whole depth is held */
        conv.out_channels = 2;
        conv.padding = VOX_PADDING_SAME_UPPER;
        conv.padding_mode = VOX_PAD_CIRCULAR;
        conv.stride[2] = 2;
    } else if (filter == 2) {
        conv.padding = VOX_PADDING_SAME;
        conv.padding_mode = VOX_PAD_REPLICATE;
        conv.kernel_size[0] = 1;
    }
    if (filter < 3) /* the last filter is pooling alone, for any number of channels */
        status = vox_network_conv3d(c, &conv, weight, bias, err);
    if (!status && filter == 2)
        status = vox_network_activation(c, VOX_ACT_RELU, NULL, err);
    pool.ceil_mode = true;
    if (!status && filter >= 2)
        status = vox_network_pool3d(c, &pool, err);
    return status;
}

static vox_filter_options make_options(int choice) {
    vox_filter_options o;
    vox_filter_defaults(&o);
    o.threads = 1;
    o.max_memory = FUZZ_MEMORY;
    o.time = choice & TIME_IS_CHANNELS ? VOX_TIME_CHANNELS : VOX_TIME_AUTO;
    if (choice & PATCHES)
        o.patch_size[0] = o.patch_size[1] = o.patch_size[2] = 16;
    if (choice & INPUT_TYPE)
        o.datatype = VOX_DATATYPE_INPUT;
    else if (choice & UINT8)
        o.datatype = 2; /* NIFTI_TYPE_UINT8 */
    o.compression = choice & GZIP ? 1 : -1;
    o.slab_planes = choice & ONE_PLANE ? 1 : 0;
    return o;
}

static void filter(const char *path, int choice) {
    vox_error err = {VOX_OK, ""};
    const vox_filter_options o = make_options(choice);
    vox_plan plan;
    vox_report report;
    vox_network *network = vox_network_new(&err);
    fuzz_expect(network && !add_layers(network, choice & FILTERS, &err),
                "a network of good layers");
    vox_input *in = vox_input_open(&path, 1, &err);
    if (!in)
        goto out;
    vox_status status = vox_filter_plan(in, network, "/dev/null", &o, &plan, &err);
    if (status) {
        fuzz_expect_error(status, &err);
        goto out;
    }
    fuzz_expect(plan.total_bytes > 0 && plan.total_bytes <= FUZZ_MEMORY, "the plan keeps the cap");
    /* What goes to disk is not capped; a plan that says how much is enough here. */
    if (plan.input_spool_bytes > FUZZ_SPOOL || plan.output_spool_bytes > FUZZ_SPOOL)
        goto out;
    status = vox_filter(in, network, "/dev/null", &o, &report, &err);
    if (status)
        fuzz_expect_error(status, &err);
    else
        fuzz_expect(report.planned_bytes == plan.total_bytes, "a run holds what was planned");
out:
    vox_input_free(in);
    vox_network_free(network);
}

static void look(const char *path) {
    vox_error err = {VOX_OK, ""};
    vox_layout layout;
    vox_statistics s;
    vox_input *in = vox_input_open(&path, 1, &err);
    if (!in) {
        fuzz_expect_error(err.status, &err);
        return;
    }
    const vox_volume_info *info = vox_input_info(in, 0);
    for (int time = VOX_TIME_AUTO; time <= VOX_TIME_CHANNELS; time++)
        for (int64_t channels = 0; channels < 4; channels++) {
            vox_status status = vox_input_layout(in, channels, (vox_time)time, &layout, &err);
            if (status)
                fuzz_expect_error(status, &err);
        }
    vox_status status = vox_input_statistics(in, 0, &s, &err);
    if (status)
        fuzz_expect_error(status, &err);
    else
        fuzz_expect(s.count > 0 && s.nan_count + s.inf_count <= s.count && info->data_bytes > 0,
                    "a volume has voxels");
    vox_input_free(in);
}

/* A pair needs two names; here both are the same bytes. */
static void look_at_pair(const char *file, int choice) {
    const char *folder = getenv("TMPDIR");
    char dir[512], header[520], data[520];
    snprintf(dir, sizeof dir, "%s/fuzz-XXXXXX", folder ? folder : "/tmp");
    fuzz_expect(mkdtemp(dir) != NULL, "a temporary folder");
    snprintf(header, sizeof header, "%s/a.hdr", dir);
    snprintf(data, sizeof data, "%s/a.img", dir);
    fuzz_expect(symlink(file, header) == 0 && symlink(file, data) == 0, "links");
    look(header);
    filter(header, choice);
    unlink(header);
    unlink(data);
    rmdir(dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const int choice = size > 0 ? data[size - 1] : 0;
    fuzz_file f = fuzz_file_open(data, size);
    look(f.path);
    filter(f.path, choice);
    if (size >= 348 && (memcmp(data + 344, "ni1", 3) == 0 || memcmp(data + 4, "ni2", 3) == 0))
        look_at_pair(f.path, choice);
    fuzz_file_close(&f);
    return 0;
}
