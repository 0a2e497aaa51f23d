/* support.c - see scenarios.h. */
#include "tsan/scenarios.h"

#include <dirent.h>
#include <nifti1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

void give_up(const char *what) {
    fprintf(stderr, "tsan_scenarios: %s\n", what);
    exit(2);
}

void *get_memory(int64_t count) {
    void *p = malloc((size_t)(count > 0 ? count : 1));
    if (!p)
        give_up("no memory");
    return p;
}

float *dice_values(dice *d, int64_t count) {
    float *v = get_memory(count * (int64_t)sizeof *v);
    for (int64_t i = 0; i < count; i++)
        v[i] = dice_value(d);
    return v;
}

/* ---- Bytes and files ---- */

void bytes_add(bytes *b, const void *data, size_t count) {
    if (b->count + count > b->room) {
        b->room = 2 * (b->count + count);
        b->data = realloc(b->data, b->room);
        if (!b->data)
            give_up("no memory");
    }
    if (count > 0)
        memcpy(b->data + b->count, data, count);
    b->count += count;
}

bool bytes_equal(const bytes *a, const bytes *b) {
    return a->count == b->count && (a->count == 0 || memcmp(a->data, b->data, a->count) == 0);
}

void bytes_free(bytes *b) {
    free(b->data);
    *b = (bytes){0};
}

void bytes_of_file(const char *path, bytes *b) {
    static const size_t piece = 1 << 16;
    char *buffer = get_memory((int64_t)piece);
    FILE *f = fopen(path, "rb");
    if (!f)
        give_up(path);
    for (size_t n; (n = fread(buffer, 1, piece, f)) > 0;)
        bytes_add(b, buffer, n);
    fclose(f);
    free(buffer);
}

static int is_file(const struct dirent *e) {
    return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

void bytes_of_folder(const char *path, bytes *b) {
    struct dirent **entry;
    const int n = scandir(path, &entry, is_file, alphasort);
    if (n < 0)
        give_up(path);
    for (int i = 0; i < n; i++) {
        char name[512];
        snprintf(name, sizeof name, "%s/%s", path, entry[i]->d_name);
        bytes_add(b, entry[i]->d_name, strlen(entry[i]->d_name) + 1);
        bytes_of_file(name, b);
        free(entry[i]);
    }
    free(entry);
}

void empty_folder(const char *path) {
    struct dirent **entry;
    const int n = scandir(path, &entry, is_file, alphasort);
    for (int i = 0; i < n; i++) {
        char name[512];
        snprintf(name, sizeof name, "%s/%s", path, entry[i]->d_name);
        unlink(name);
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
    else if (mkdir(path, 0777))
        give_up(path);
}

/* ---- Volumes ---- */

void write_volume(const char *path, int width, int height, int depth, int frames) {
    const int64_t count = (int64_t)width * height * depth * frames;
    dice d = dice_new((uint64_t)count);
    float *v = dice_values(&d, count);
    /* Few levels, so that there is something to compress. */
    for (int64_t i = 0; i < count; i++)
        v[i] = (float)(int)(v[i] * 8) + (float)(i % width / 16);
    struct nifti_1_header h = {
        .sizeof_hdr = 348,
        .dim = {(short)(frames > 1 ? 4 : 3), (short)width, (short)height, (short)depth,
                (short)frames, 1, 1, 1},
        .datatype = 16, /* float32 */
        .bitpix = 32,
        .pixdim = {1, 1, 1, 1, 1, 1, 1, 1},
        .vox_offset = 352,
        .magic = "n+1",
    };
    bytes b = {0};
    bytes_add(&b, &h, sizeof h);
    bytes_add(&b, "\0\0\0", 4); /* no extensions */
    bytes_add(&b, v, (size_t)count * sizeof *v);
    char name[512];
    snprintf(name, sizeof name, "%s.gz", path);
    FILE *f = fopen(path, "wb");
    gzFile z = gzopen(name, "wb1");
    if (!f || fwrite(b.data, 1, b.count, f) != b.count || fclose(f) || !z ||
        gzwrite(z, b.data, (unsigned)b.count) != (int)b.count || gzclose(z) != Z_OK)
        give_up(path);
    bytes_free(&b);
    free(v);
}

vox_network *small_network(int in, int out) {
    vox_conv3d c;
    vox_conv3d_defaults(&c);
    c.in_channels = in;
    c.out_channels = out;
    for (int i = 0; i < 3; i++) {
        c.kernel_size[i] = 3;
        c.padding_before[i] = c.padding_after[i] = 1;
    }
    dice d = dice_new((uint64_t)(in * 100 + out));
    float *w = dice_values(&d, (int64_t)27 * in * out), *b = dice_values(&d, out);
    vox_network *network = vox_network_new(NULL);
    if (!network || vox_network_conv3d(network, &c, w, b, NULL) ||
        vox_network_activation(network, VOX_ACT_RELU, NULL, NULL))
        give_up("small_network");
    free(w);
    free(b);
    return network;
}
