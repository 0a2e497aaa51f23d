/* layer_table.c - see layer_table.h. */
#include "cli/layer_table.h"

#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(int64_t more, int64_t *sum) {
    *sum = more > INT64_MAX - *sum ? INT64_MAX : *sum + more;
}

vox_status layer_table_make(layer_table *t, const vox_network *network, const int64_t in[4],
                            vox_error *err) {
    const int all = vox_network_layer_count(network);
    *t = (layer_table){.layer = calloc((size_t)all + 1, sizeof *t->layer)};
    if (!t->layer)
        return cli_fail(err, VOX_ERR_RESOURCE, "out of memory: %d layers", all);
    const vox_status status = vox_network_layers(network, in, t->layer, err);
    for (int i = 0; i < all && !status; i++) {
        if (!t->layer[i].used)
            continue;
        add(t->layer[i].parameters, &t->parameters);
        add(t->layer[i].multiply_adds, &t->multiply_adds);
        t->layer[t->count++] = t->layer[i];
    }
    return status;
}

/* ---- Text ---- */

enum { MOST_NAME = 48, SHAPE_TEXT = 4 * 21 + 2 };

/* "conv3d features.0"; a name that is longer than a table has room for loses its end. */
static void layer_text(const vox_layer_info *l, char text[MOST_NAME]) {
    snprintf(text, MOST_NAME, "%s%s%s", l->kind, *l->name ? " " : "", l->name);
}

static void shape_text(const vox_layer_info *l, char text[SHAPE_TEXT]) {
    snprintf(text, SHAPE_TEXT, "%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64, l->shape[0],
             l->shape[1], l->shape[2], l->shape[3]);
}

static void field_text(const vox_layer_info *l, char text[SHAPE_TEXT]) {
    char axis[3][24];
    for (int i = 0; i < 3; i++)
        if (l->receptive_field[i] > 0)
            snprintf(axis[i], sizeof axis[i], "%" PRId64, l->receptive_field[i]);
        else
            strcpy(axis[i], "all");
    const bool alike = !strcmp(axis[0], axis[1]) && !strcmp(axis[1], axis[2]);
    snprintf(text, SHAPE_TEXT, alike ? "%s" : "%s,%s,%s", axis[0], axis[1], axis[2]);
}

static int wider(int width, const char *text) {
    const int length = (int)strlen(text);
    return length > width ? length : width;
}

void layer_table_print(const layer_table *t) {
    char name[MOST_NAME], shape[SHAPE_TEXT], field[SHAPE_TEXT];
    int widest[3] = {(int)strlen("layer"), (int)strlen("output C,D,H,W"),
                     (int)strlen("sees D,H,W")};
    for (int i = 0; i < t->count; i++) {
        layer_text(&t->layer[i], name);
        shape_text(&t->layer[i], shape);
        field_text(&t->layer[i], field);
        widest[0] = wider(widest[0], name);
        widest[1] = wider(widest[1], shape);
        widest[2] = wider(widest[2], field);
    }
    printf("%4s  %-*s  %*s  %12s  %15s  %*s  %s\n", "", widest[0], "layer", widest[1],
           "output C,D,H,W", "parameters", "multiply-adds", widest[2], "sees D,H,W",
           "waits for the whole volume");
    for (int i = 0; i < t->count; i++) {
        const vox_layer_info *l = &t->layer[i];
        layer_text(l, name);
        shape_text(l, shape);
        field_text(l, field);
        printf("%4d  ", i + 1);
        cli_print_text(name, stdout);
        printf("%*s  %*s  %12" PRId64 "  %15" PRId64 "  %*s  %s\n", widest[0] - (int)strlen(name),
               "", widest[1], shape, l->parameters, l->multiply_adds, widest[2], field,
               l->waits ? l->waits : "no");
    }
    printf("%4s  %-*s  %*s  %12" PRId64 "  %15" PRId64 "\n\n", "", widest[0], "a frame", widest[1],
           "", t->parameters, t->multiply_adds);
}
