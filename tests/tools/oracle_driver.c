/* oracle_driver CASES RESULTS - runs many small layers in memory for tests/oracle/oracle.py.
 *
 * One process for thousands of configurations, through the public API and so through the same
 * engine as for files. CASES is a run of native int64, double and float32 values; this file's read_
 * functions are its definition, oracle.py's Cases class writes it. For each case RESULTS gets int64
 * status, and then either int64 length and the message, or what the case asked for:
 *
 *   network: int64 C, D, H, W of the output; double stride[3], origin[3]; float32 y [N, C, D, H, W]
 *   init:  float32 weight, float32 bias
 */
#include "voxconv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CASE_CHAIN, CASE_INIT };
enum {
    LAYER_CONV,
    LAYER_BATCHNORM,
    LAYER_ACTIVATION,
    LAYER_POOL,
    LAYER_GROUP_NORM,
    LAYER_LINEAR,
    LAYER_ADAPTIVE_POOL,
    LAYER_CONV_TRANSPOSE,
    LAYER_RESIZE,
};

/* The cases in memory and how far they have been read; `bad` once something ran over the end. */
typedef struct tape {
    const unsigned char *data;
    size_t size, at;
    bool bad;
} tape;

static void take(tape *t, void *to, size_t bytes) {
    if (t->size - t->at < bytes) {
        t->bad = true;
        memset(to, 0, bytes);
        return;
    }
    memcpy(to, t->data + t->at, bytes);
    t->at += bytes;
}

static int64_t read_int(tape *t) {
    int64_t v;
    take(t, &v, sizeof v);
    return v;
}

static void read_triple(tape *t, int64_t v[3]) {
    take(t, v, 3 * sizeof *v);
}

static double read_double(tape *t) {
    double v;
    take(t, &v, sizeof v);
    return v;
}

/* A fresh array of `count` floats (at least one, so that NULL means an error). */
static float *read_floats(tape *t, int64_t count) {
    if (count < 0 || (uint64_t)count > (t->size - t->at) / sizeof(float)) {
        t->bad = true;
        return NULL;
    }
    float *v = malloc((size_t)(count + 1) * sizeof *v);
    if (v)
        take(t, v, (size_t)count * sizeof *v);
    else
        t->bad = true;
    return v;
}

static vox_status read_conv(tape *t, vox_network *network, vox_error *err) {
    vox_conv3d c;
    vox_conv3d_defaults(&c);
    c.in_channels = read_int(t);
    c.out_channels = read_int(t);
    c.groups = read_int(t);
    read_triple(t, c.kernel_size);
    read_triple(t, c.stride);
    read_triple(t, c.dilation);
    c.padding = (vox_padding)read_int(t);
    read_triple(t, c.padding_before);
    read_triple(t, c.padding_after);
    c.padding_mode = (vox_padding_mode)read_int(t);
    bool has_bias = read_int(t) != 0;
    int64_t taps = c.kernel_size[0] * c.kernel_size[1] * c.kernel_size[2];
    int64_t group = c.groups > 0 ? c.in_channels / c.groups : 0;
    float *weight = read_floats(t, c.out_channels * group * taps);
    float *bias = has_bias ? read_floats(t, c.out_channels) : NULL;
    vox_status status =
        t->bad ? VOX_ERR_INTERNAL : vox_network_conv3d(network, &c, weight, bias, err);
    free(bias);
    free(weight);
    return status;
}

static vox_status read_batchnorm(tape *t, vox_network *network, vox_error *err) {
    int64_t channels = read_int(t);
    bool has_weight = read_int(t) != 0, has_bias = read_int(t) != 0;
    double eps = read_double(t);
    float *mean = read_floats(t, channels), *var = read_floats(t, channels);
    float *weight = has_weight ? read_floats(t, channels) : NULL;
    float *bias = has_bias ? read_floats(t, channels) : NULL;
    vox_status status =
        t->bad ? VOX_ERR_INTERNAL
               : vox_network_batchnorm3d(network, channels, mean, var, weight, bias, eps, err);
    free(bias);
    free(weight);
    free(var);
    free(mean);
    return status;
}

static vox_status read_activation(tape *t, vox_network *network, vox_error *err) {
    vox_activation kind = (vox_activation)read_int(t);
    double parameter[2];
    parameter[0] = read_double(t);
    parameter[1] = read_double(t);
    return vox_network_activation(network, kind, parameter, err);
}

static vox_status read_pool(tape *t, vox_network *network, vox_error *err) {
    vox_pool3d p;
    vox_pool3d_defaults(&p);
    p.average = read_int(t) != 0;
    read_triple(t, p.kernel_size);
    read_triple(t, p.stride);
    read_triple(t, p.padding_before);
    read_triple(t, p.padding_after);
    read_triple(t, p.dilation);
    p.ceil_mode = read_int(t) != 0;
    p.count_include_pad = read_int(t) != 0;
    return vox_network_pool3d(network, &p, err);
}

static vox_status read_group_norm(tape *t, vox_network *network, vox_error *err) {
    const int64_t groups = read_int(t), channels = read_int(t);
    bool has_weight = read_int(t) != 0, has_bias = read_int(t) != 0;
    double eps = read_double(t);
    float *weight = has_weight ? read_floats(t, channels) : NULL;
    float *bias = has_bias ? read_floats(t, channels) : NULL;
    vox_status status =
        t->bad ? VOX_ERR_INTERNAL
               : vox_network_group_norm(network, groups, channels, weight, bias, eps, err);
    free(bias);
    free(weight);
    return status;
}

static vox_status read_linear(tape *t, vox_network *network, vox_error *err) {
    const int64_t features = read_int(t), outputs = read_int(t);
    bool has_bias = read_int(t) != 0;
    float *weight = read_floats(t, features * outputs);
    float *bias = has_bias ? read_floats(t, outputs) : NULL;
    vox_status status = t->bad ? VOX_ERR_INTERNAL
                               : vox_network_linear(network, features, outputs, weight, bias, err);
    free(bias);
    free(weight);
    return status;
}

static vox_status read_adaptive_pool(tape *t, vox_network *network, vox_error *err) {
    int64_t size[3];
    bool average = read_int(t) != 0;
    read_triple(t, size);
    return vox_network_adaptive_pool3d(network, average, size, err);
}

static vox_status read_conv_transpose(tape *t, vox_network *network, vox_error *err) {
    vox_conv_transpose3d c;
    vox_conv_transpose3d_defaults(&c);
    c.in_channels = read_int(t);
    c.out_channels = read_int(t);
    c.groups = read_int(t);
    read_triple(t, c.kernel_size);
    read_triple(t, c.stride);
    read_triple(t, c.dilation);
    read_triple(t, c.padding_before);
    read_triple(t, c.padding_after);
    read_triple(t, c.output_padding);
    bool has_bias = read_int(t) != 0;
    int64_t taps = c.kernel_size[0] * c.kernel_size[1] * c.kernel_size[2];
    int64_t group = c.groups > 0 ? c.out_channels / c.groups : 0;
    float *weight = read_floats(t, c.in_channels * group * taps);
    float *bias = has_bias ? read_floats(t, c.out_channels) : NULL;
    vox_status status =
        t->bad ? VOX_ERR_INTERNAL : vox_network_conv_transpose3d(network, &c, weight, bias, err);
    free(bias);
    free(weight);
    return status;
}

static vox_status read_resize(tape *t, vox_network *network, vox_error *err) {
    vox_resize r;
    vox_resize_defaults(&r);
    r.mode = (vox_resize_mode)read_int(t);
    r.coordinates = (vox_resize_coordinates)read_int(t);
    r.nearest = (vox_resize_nearest)read_int(t);
    read_triple(t, r.size);
    for (int i = 0; i < 3; i++)
        r.scale[i] = read_double(t);
    return vox_network_resize3d(network, &r, err);
}

/* Reads a layer to its end, also where it is refused, so that the next case is found. */
static vox_status read_layer(tape *t, vox_network *network, vox_error *err) {
    switch (read_int(t)) {
    case LAYER_CONV:
        return read_conv(t, network, err);
    case LAYER_BATCHNORM:
        return read_batchnorm(t, network, err);
    case LAYER_ACTIVATION:
        return read_activation(t, network, err);
    case LAYER_POOL:
        return read_pool(t, network, err);
    case LAYER_GROUP_NORM:
        return read_group_norm(t, network, err);
    case LAYER_LINEAR:
        return read_linear(t, network, err);
    case LAYER_ADAPTIVE_POOL:
        return read_adaptive_pool(t, network, err);
    case LAYER_CONV_TRANSPOSE:
        return read_conv_transpose(t, network, err);
    case LAYER_RESIZE:
        return read_resize(t, network, err);
    }
    t->bad = true;
    return VOX_ERR_INTERNAL;
}

static void write_failure(FILE *out, vox_status status, const char *message) {
    int64_t head[2] = {status, (int64_t)strlen(message)};
    fwrite(head, sizeof *head, 2, out);
    fwrite(message, 1, strlen(message), out);
}

static vox_status run(const vox_network *network, const int64_t in[5], const float *x, int threads,
                      FILE *out, vox_error *err) {
    int64_t shape[4];
    double stride[3], origin[3];
    vox_status status = vox_network_shape(network, in + 1, shape, err);
    if (status == VOX_OK)
        status = vox_network_geometry(network, in + 1, stride, origin, err);
    if (status != VOX_OK)
        return status;
    int64_t count = in[0] * shape[0] * shape[1] * shape[2] * shape[3];
    float *y = malloc((size_t)count * sizeof *y);
    if (!y)
        return VOX_ERR_RESOURCE;
    status = vox_network_run(network, x, in, y, threads, err);
    if (status == VOX_OK) {
        const int64_t done = VOX_OK;
        fwrite(&done, sizeof done, 1, out);
        fwrite(shape, sizeof *shape, 4, out);
        fwrite(stride, sizeof *stride, 3, out);
        fwrite(origin, sizeof *origin, 3, out);
        fwrite(y, sizeof *y, (size_t)count, out);
    }
    free(y);
    return status;
}

static void run_network(tape *t, int threads, FILE *out) {
    vox_error err = {VOX_OK, ""};
    int64_t in[5];
    take(t, in, sizeof in);
    int64_t layers = read_int(t), refused = VOX_OK;
    vox_network *network = vox_network_new(&err);
    for (int64_t i = 0; i < layers && network && !t->bad; i++) {
        vox_status status = read_layer(t, network, refused == VOX_OK ? &err : NULL);
        if (refused == VOX_OK)
            refused = status;
    }
    float *x = read_floats(t, in[0] * in[1] * in[2] * in[3] * in[4]);
    if (!t->bad && refused == VOX_OK)
        refused = run(network, in, x, threads, out, &err);
    if (refused != VOX_OK)
        write_failure(out, (vox_status)refused, err.message);
    free(x);
    vox_network_free(network);
}

static void run_init(tape *t, FILE *out) {
    vox_error err = {VOX_OK, ""};
    vox_init scheme = (vox_init)read_int(t);
    uint64_t seed = (uint64_t)read_int(t);
    int64_t shape[5];
    take(t, shape, sizeof shape);
    vox_tensor *weight = vox_tensor_new(5, shape, &err), *bias = vox_tensor_new(1, shape, &err);
    vox_status status = err.status;
    if (weight && bias)
        status = vox_init_conv3d(scheme, seed, weight, bias, &err);
    if (weight && bias && status == VOX_OK) {
        const int64_t done = VOX_OK;
        fwrite(&done, sizeof done, 1, out);
        fwrite(weight->data, sizeof(float), (size_t)weight->count, out);
        fwrite(bias->data, sizeof(float), (size_t)bias->count, out);
    } else {
        write_failure(out, status, err.message);
    }
    vox_tensor_free(bias);
    vox_tensor_free(weight);
}

/* The whole file; NULL where it cannot be read. */
static unsigned char *load(const char *path, size_t *size) {
    unsigned char *data = NULL;
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0)
        goto out;
    long end = ftell(f);
    rewind(f);
    data = end > 0 ? malloc((size_t)end) : NULL;
    if (data && fread(data, 1, (size_t)end, f) != (size_t)end) {
        free(data);
        data = NULL;
    }
    *size = (size_t)end;
out:
    if (f)
        fclose(f);
    return data;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: oracle_driver CASES RESULTS\n");
        return 2;
    }
    tape t = {0};
    unsigned char *data = load(argv[1], &t.size);
    FILE *out = data ? fopen(argv[2], "wb") : NULL;
    if (!out) {
        fprintf(stderr, "oracle_driver: cannot open %s or %s\n", argv[1], argv[2]);
        free(data);
        return 1;
    }
    t.data = data;
    /* One and two threads by turns: the results must not know. */
    for (int i = 0; t.at < t.size && !t.bad; i++) {
        if (read_int(&t) == CASE_INIT)
            run_init(&t, out);
        else
            run_network(&t, 1 + i % 2, out);
    }
    free(data);
    if (fclose(out) != 0 || t.bad) {
        fprintf(stderr, "oracle_driver: %s: malformed, or the results cannot be written\n",
                argv[1]);
        return 1;
    }
    return 0;
}
