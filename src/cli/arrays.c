/* arrays.c - the rules by which FILE[:PREFIX] becomes the arrays of one layer. */
#include "cli/arrays.h"

#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *arrays_path(const arrays *a) {
    return vox_weights_path(a->file);
}

const char *shape_text(const vox_tensor *t, char buf[200]) {
    int used = snprintf(buf, 200, "(");
    for (int i = 0; i < t->rank; i++)
        used += snprintf(buf + used, (size_t)(200 - used), "%s%" PRId64, i ? "," : "", t->shape[i]);
    snprintf(buf + used, (size_t)(200 - used), ")");
    return buf;
}

/* The names of the file as "a, b, c", cut short where there are many. */
static void list_names(const vox_weights *file, char *text, size_t size) {
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < vox_weights_count(file); i++) {
        const char *name = vox_weights_name(file, i);
        if (used + strlen(name) + 8 > size) {
            snprintf(text + used, size - used, ", ...");
            return;
        }
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", name);
    }
}

/* Completes the prefix by what stands before it in the name of the only array that ends in
 * .PREFIX.leaf, or in .leaf; false where there is none or several. */
static bool only_layer(arrays *a, const char *leaf) {
    char tail[512], layer[sizeof a->prefix] = "";
    int found = 0;
    const size_t ending = (size_t)snprintf(tail, sizeof tail, "%s%s", a->prefix, leaf);
    for (int i = 0; i < vox_weights_count(a->file); i++) {
        const char *name = vox_weights_name(a->file, i);
        const size_t length = strlen(name), kept = length - strlen(leaf);
        if (length <= ending + 1 || name[length - ending - 1] != '.' ||
            strcmp(name + length - ending, tail) != 0 || kept >= sizeof layer)
            continue;
        snprintf(layer, sizeof layer, "%.*s", (int)kept, name);
        found++;
    }
    if (found == 1)
        memcpy(a->prefix, layer, sizeof layer);
    return found == 1;
}

static bool has_leaf(const arrays *a, const char *leaf, char name[512]) {
    snprintf(name, 512, "%s%s", a->prefix, leaf);
    return vox_weights_has(a->file, name);
}

static vox_status find_layer(arrays *a, const char *leaf, bool single, vox_error *err) {
    char name[512], names[512];
    if (has_leaf(a, leaf, name))
        return VOX_OK;
    if (only_layer(a, leaf))
        return VOX_OK;
    if (!a->prefix[0] && single && vox_weights_count(a->file) == 1) {
        a->nameless = true;
        return VOX_OK;
    }
    list_names(a->file, names, sizeof names);
    if (!names[0])
        return cli_fail(err, VOX_ERR_WEIGHTS, "%s: %s: the file holds one array without a name",
                        arrays_path(a), name);
    return cli_fail(err, VOX_ERR_WEIGHTS, "%s: %s: no such array%s; the file has %s",
                    arrays_path(a), name, a->prefix[0] ? "" : ", choose a layer with FILE:PREFIX",
                    names);
}

vox_status arrays_open(arrays *a, const char *spec, const char *leaf, bool single, vox_error *err) {
    memset(a, 0, sizeof *a);
    const char *colon = access(spec, F_OK) ? strrchr(spec, ':') : NULL;
    const size_t path_length = colon ? (size_t)(colon - spec) : strlen(spec);
    if (colon && strlen(colon + 1) + 2 > sizeof a->prefix)
        return cli_fail(err, VOX_ERR_WEIGHTS, "%s: the prefix is too long", spec);
    if (colon && colon[1])
        snprintf(a->prefix, sizeof a->prefix, "%s%s", colon + 1,
                 colon[strlen(colon) - 1] == '.' ? "" : ".");
    char *path = strndup(spec, path_length);
    if (!path)
        return cli_fail(err, VOX_ERR_RESOURCE, "out of memory");
    a->file = vox_weights_open(path, err);
    free(path);
    if (!a->file)
        return err->status;
    return find_layer(a, leaf, single, err);
}

void arrays_close(arrays *a) {
    vox_weights_free(a->file);
    a->file = NULL;
}

vox_status arrays_get(arrays *a, const char *leaf, bool optional, vox_tensor **tensor,
                      vox_error *err) {
    char name[512];
    *tensor = NULL;
    const bool named = has_leaf(a, leaf, name);
    if (!named && optional)
        return VOX_OK;
    *tensor = vox_weights_get(a->file, a->nameless ? NULL : name, err);
    return *tensor ? VOX_OK : err->status;
}
