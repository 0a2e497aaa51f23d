/* damage_driver KIND CASES RESULTS FILE - reads many damaged files for tests/stress/damage.py.
 *
 * One process for thousands of files of a few hundred bytes, through the public API. CASES holds
 * for each an int64 length and the bytes, which become FILE. KIND is `volume`, which goes through
 * the identity into FILE.out.nii, or `weights`, of which all arrays are read. For each case RESULTS
 * gets int64 status, and then what `text` writes: the message, or the output's bytes, or the count
 * of arrays and for each its name, rank, shape and values. A case that crashes or takes more than
 * ALARM seconds ends the process, and the results end before it.
 */
#include "voxconv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALARM = 20 };

static void number(FILE *out, int64_t v) {
    fwrite(&v, sizeof v, 1, out);
}

static void text(FILE *out, const void *p, size_t n) {
    number(out, (int64_t)n);
    if (n > 0)
        fwrite(p, 1, n, out);
}

static void refused(FILE *out, const vox_error *err) {
    number(out, err->status);
    text(out, err->message, strlen(err->message));
}

/* The whole file; NULL where it cannot be read. */
static unsigned char *load(const char *path, size_t *size) {
    unsigned char *data = NULL;
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    const long end = ftell(f);
    rewind(f);
    if (end >= 0 && (data = malloc((size_t)end + 1)))
        *size = fread(data, 1, (size_t)end, f);
    fclose(f);
    return data;
}

static vox_status filter(const char *path, const char *output, vox_error *err) {
    const float one = 1;
    vox_conv3d layer;
    vox_filter_options o;
    vox_conv3d_defaults(&layer);
    vox_filter_defaults(&o);
    o.threads = 1;
    o.force = true;
    vox_status status = VOX_ERR_INTERNAL;
    vox_network *network = vox_network_new(err);
    vox_input *in = network ? vox_input_open(&path, 1, err) : NULL;
    if (in && !(status = vox_network_conv3d(network, &layer, &one, NULL, err)))
        status = vox_filter(in, network, output, &o, NULL, err);
    else if (err->status)
        status = err->status;
    vox_input_free(in);
    vox_network_free(network);
    return status;
}

static void run_volume(const char *path, FILE *out) {
    vox_error err = {VOX_OK, ""};
    char output[4096];
    snprintf(output, sizeof output, "%s.out.nii", path);
    unlink(output);
    err.status = filter(path, output, &err);
    if (err.status) {
        /* A refused input leaves no output: status 1 stands for "our own mistake". */
        if (access(output, F_OK) == 0)
            err.status = VOX_ERR_INTERNAL;
        refused(out, &err);
        return;
    }
    size_t size = 0;
    unsigned char *data = load(output, &size);
    number(out, VOX_OK);
    text(out, data ? (const char *)data : "", data ? size : 0);
    free(data);
}

static void write_tensors(vox_weights *w, int count, vox_tensor **t, FILE *out) {
    number(out, VOX_OK);
    number(out, count);
    for (int i = 0; i < count; i++) {
        text(out, vox_weights_name(w, i), strlen(vox_weights_name(w, i)));
        number(out, t[i]->rank);
        fwrite(t[i]->shape, sizeof *t[i]->shape, (size_t)t[i]->rank, out);
        text(out, t[i]->data, (size_t)t[i]->count * sizeof(float));
    }
}

static void run_weights(const char *path, FILE *out) {
    enum { MOST = 64 };
    vox_tensor *t[MOST] = {NULL};
    vox_error err = {VOX_OK, ""};
    vox_weights *w = vox_weights_open(path, &err);
    int count = w ? vox_weights_count(w) : 0, got = 0;
    while (got < count && got < MOST &&
           (t[got] = vox_weights_get(w, vox_weights_name(w, got), &err)))
        got++;
    if (w && got == count)
        write_tensors(w, count, t, out);
    else
        refused(out, &err);
    for (int i = 0; i < got; i++)
        vox_tensor_free(t[i]);
    vox_weights_free(w);
}

static bool store(const char *path, const void *data, size_t bytes) {
    FILE *f = fopen(path, "wb");
    if (!f)
        return false;
    const bool good = fwrite(data, 1, bytes, f) == bytes;
    return fclose(f) == 0 && good;
}

int main(int argc, char **argv) {
    size_t size = 0, at = 0;
    unsigned char *cases = argc == 5 ? load(argv[2], &size) : NULL;
    FILE *out = cases ? fopen(argv[3], "wb") : NULL;
    if (!out) {
        fprintf(stderr, "usage: damage_driver volume|weights CASES RESULTS FILE\n");
        free(cases);
        return 2;
    }
    bool good = true;
    while (good && at < size) {
        int64_t bytes;
        memcpy(&bytes, cases + at, sizeof bytes);
        at += sizeof bytes;
        good = store(argv[4], cases + at, (size_t)bytes);
        at += (size_t)bytes;
        alarm(ALARM);
        if (strcmp(argv[1], "volume") == 0)
            run_volume(argv[4], out);
        else
            run_weights(argv[4], out);
        good = fflush(out) == 0 && good;
    }
    free(cases);
    return fclose(out) == 0 && good ? 0 : 1;
}
