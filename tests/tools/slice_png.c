/* slice_png IN OUT.png [OTHER...] - a picture of the middle axial slice of one or more volumes,
 * side by side.
 *
 * Each slice is shown on its own grey scale, from its 1st to its 99.5th percentile, with the front
 * of the head up, and in millimetres: neighbouring pixels are repeated so that a voxel has its true
 * proportions. It also serves as a second, small client of the public API.
 */
#include "voxconv.h"

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEIGHT = 288, GAP = 6 }; /* pixels */

/* A slice as it is drawn: columns x rows floats with the size of a voxel in mm. */
typedef struct slice {
    float *data;
    int64_t columns, rows;
    double column_mm, row_mm;
    int width; /* pixels */
    float low, high;
} slice;

static int by_value(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Where black and white lie, unless the header has said so. The sorted copy is of a single slice.
 */
static bool find_window(slice *s) {
    if (s->high > s->low)
        return true;
    int64_t count = s->columns * s->rows;
    float *sorted = malloc((size_t)count * sizeof *sorted);
    if (!sorted)
        return false;
    memcpy(sorted, s->data, (size_t)count * sizeof *sorted);
    qsort(sorted, (size_t)count, sizeof *sorted, by_value);
    s->low = sorted[count / 100];
    s->high = sorted[count - 1 - count / 200];
    free(sorted);
    return true;
}

/* What the header says about the picture: the size of a voxel and the display range. */
static bool read_header(const char *path, slice *s, vox_error *err) {
    vox_input *in = vox_input_open(&path, 1, err);
    if (!in)
        return false;
    const vox_volume_info *info = vox_input_info(in, 0);
    s->column_mm = info->pixdim[1] > 0.0 ? info->pixdim[1] : 1.0;
    s->row_mm = info->pixdim[2] > 0.0 ? info->pixdim[2] : 1.0;
    s->low = (float)info->cal_min;
    s->high = (float)info->cal_max;
    vox_input_free(in);
    return true;
}

/* The middle x-y slice of the first frame; a volume is read as a tensor whose last index is x. */
static bool read_slice(const char *path, slice *s, vox_error *err) {
    bool good = false;
    vox_tensor *t = NULL;
    vox_weights *w = vox_weights_open(path, err);
    if (!w || !(t = vox_weights_get(w, NULL, err)) || !read_header(path, s, err))
        goto out;
    s->columns = t->rank > 0 ? t->shape[t->rank - 1] : 1;
    s->rows = t->rank > 1 ? t->shape[t->rank - 2] : 1;
    int64_t planes = t->rank > 2 ? t->shape[t->rank - 3] : 1;
    int64_t count = s->columns * s->rows;
    s->data = malloc((size_t)count * sizeof *s->data);
    if (!s->data)
        goto out;
    memcpy(s->data, t->data + planes / 2 * count, (size_t)count * sizeof *s->data);
    s->width = (int)((double)s->columns * s->column_mm * HEIGHT / ((double)s->rows * s->row_mm));
    good = find_window(s);
out:
    vox_tensor_free(t);
    vox_weights_free(w);
    return good;
}

static void draw(const slice *s, unsigned char *image, size_t stride) {
    float range = s->high > s->low ? s->high - s->low : 1.0f;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < s->width; x++) {
            int64_t row = (HEIGHT - 1 - y) * s->rows / HEIGHT, column = x * s->columns / s->width;
            float grey = (s->data[row * s->columns + column] - s->low) / range * 255.0f;
            image[(size_t)y * stride + (size_t)x] = (unsigned char)(grey > 255.0f ? 255.0f
                                                                    : grey > 0.0f ? grey
                                                                                  : 0.0f);
        }
}

static bool write_png(const char *path, const slice *s, int count) {
    png_image png = {.version = PNG_IMAGE_VERSION, .format = PNG_FORMAT_GRAY, .height = HEIGHT};
    int width = GAP * (count - 1);
    for (int i = 0; i < count; i++)
        width += s[i].width;
    png.width = (png_uint_32)width;
    unsigned char *image = malloc((size_t)width * HEIGHT);
    if (!image)
        return false;
    memset(image, 255, (size_t)width * HEIGHT);
    for (int i = 0, x = 0; i < count; x += s[i].width + GAP, i++)
        draw(&s[i], image + x, (size_t)width);
    int good = png_image_write_to_file(&png, path, 0, image, width, NULL);
    free(image);
    return good;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: slice_png IN OUT.png [OTHER...]\n");
        return 2;
    }
    int count = argc - 2, status = 1;
    vox_error err = {VOX_OK, "out of memory"};
    slice *s = calloc((size_t)count, sizeof *s);
    for (int i = 0; s && i < count; i++)
        if (!read_slice(argv[i == 0 ? 1 : i + 2], &s[i], &err)) {
            fprintf(stderr, "slice_png: %s\n", err.message);
            goto out;
        }
    if (s && write_png(argv[2], s, count))
        status = 0;
    else
        fprintf(stderr, "slice_png: %s: cannot be written\n", argv[2]);
out:
    for (int i = 0; s && i < count; i++)
        free(s[i].data);
    free(s);
    return status;
}
