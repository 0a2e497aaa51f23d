/* model_driver MODEL X.npy Y.npy [THREADS] - runs a model over an array (N, C, D, H, W) in memory
 * and writes what comes out, (N, C, D, H, W) or (N, features): for tests/oracle/, through the
 * public API and so through the same engine as for files. */
#include "voxconv.h"

#include <stdio.h>
#include <stdlib.h>

static vox_status run(const vox_model *m, const vox_tensor *x, const char *path, int threads,
                      vox_error *err) {
    int64_t shape[5] = {x->shape[0]};
    vox_network *n = vox_model_network(m, x->shape + 1, err);
    vox_status status = n ? vox_network_shape(n, x->shape + 1, shape + 1, err) : err->status;
    vox_tensor *y = status ? NULL : vox_tensor_new(5, shape, err);
    if (y)
        status = vox_network_run(n, x->data, x->shape, y->data, threads, err);
    if (y && !status) {
        const vox_tensor *const tensors[] = {y};
        if (vox_model_gives_vector(m)) {
            y->rank = 2;
            y->shape[1] = shape[1] * shape[2] * shape[3] * shape[4];
        }
        status = vox_weights_save(path, 1, NULL, tensors, true, err);
    }
    vox_tensor_free(y);
    vox_network_free(n);
    return y ? status : err->status;
}

int main(int argc, char **argv) {
    vox_error err = {VOX_OK, ""};
    const vox_model_options options = {0};
    if (argc < 4)
        return VOX_ERR_USAGE;
    vox_model *m = vox_model_open(argv[1], &options, &err);
    vox_weights *w = m ? vox_weights_open(argv[2], &err) : NULL;
    vox_tensor *x = w ? vox_weights_get(w, NULL, &err) : NULL;
    if (x && x->rank != 5) {
        fprintf(stderr, "model_driver: %s: not (N, C, D, H, W)\n", argv[2]);
        err.status = VOX_ERR_INPUT;
    } else if (x && run(m, x, argv[3], argc > 4 ? atoi(argv[4]) : 0, &err) == VOX_OK) {
        err.status = VOX_OK;
    }
    if (err.status)
        fprintf(stderr, "%s\n", err.message);
    vox_tensor_free(x);
    vox_weights_free(w);
    vox_model_free(m);
    return (int)err.status;
}
