/* handles.c - many users of the library in one process, a thread each, with handles of their own:
 * what include/voxconv.h allows. Each leaves a trace of all that it got; the trace of the same work
 * done alone, with one thread, is the same. */
#include "tsan/scenarios.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_USERS = 8, LAYERS_EACH = 4, OUT_CHANNELS = 2 };

typedef struct user {
    int number, threads;
    bytes trace;
    pthread_t thread;
} user;

static void trace_tensor(bytes *to, const vox_tensor *t) {
    if (t)
        bytes_add(to, t->data, (size_t)t->count * sizeof *t->data);
}

static void use_chains(user *u) {
    for (int i = 0; i < LAYERS_EACH; i++) {
        layers l = layers_new((uint64_t)(1000 + u->number * LAYERS_EACH + i));
        float *y = layers_run(&l, u->threads);
        bytes_add(&u->trace, y, (size_t)l.out_count * sizeof *y);
        free(y);
        layers_free(&l);
    }
}

/* All users read the same file and write to one folder. */
static void use_files(user *u) {
    const char *in = u->number % 2 ? "frames.nii.gz" : "frames.nii";
    char out[64];
    vox_network *network = small_network(1, OUT_CHANNELS);
    vox_filter_options o;
    vox_filter_defaults(&o);
    o.threads = u->threads;
    o.in_channels = 1;
    o.time = VOX_TIME_BATCH;
    o.force = true;
    o.max_memory = INT64_C(1) << 30; /* not what is available: that is asked, too, but changes */
    snprintf(out, sizeof out, "users/%d.nii%s", u->number, u->number % 3 ? ".gz" : "");
    vox_status status = filter_file(in, network, out, &o);
    bytes_add(&u->trace, &status, sizeof status);
    bytes_of_file(out, &u->trace);
    vox_network_free(network);
    vox_statistics s;
    vox_input *input = vox_input_open(&in, 1, NULL);
    memset(&s, 0, sizeof s);
    status = vox_input_statistics(input, 0, &s, NULL);
    bytes_add(&u->trace, &s, sizeof s);
    vox_input_free(input);
}

static void use_weights(user *u) {
    static const char *const ending[] = {"npy", "npz", "safetensors", "txt", "nii"};
    char path[64];
    const int64_t shape[] = {2, 2, 3, 3, 3};
    const bool volume = u->number % 5 == 4;
    vox_tensor *t = vox_tensor_new(volume ? 3 : 5, volume ? shape + 2 : shape, NULL), *part[3];
    vox_tensor *five = vox_tensor_new(5, shape, NULL);
    int parts = 0;
    if (!t || !five ||
        vox_init_conv3d(VOX_INIT_KAIMING_NORMAL, (uint64_t)u->number, five, NULL, NULL))
        give_up("tensors");
    for (int64_t i = 0; i < t->count; i++)
        t->data[i] = five->data[i];
    const char *name = NULL;
    const vox_tensor *const tensors[] = {t};
    snprintf(path, sizeof path, "users/w%d.%s", u->number, ending[u->number % 5]);
    vox_status status = vox_weights_save(path, 1, &name, tensors, true, NULL);
    bytes_add(&u->trace, &status, sizeof status);
    vox_weights *w = vox_weights_open(path, NULL);
    vox_tensor *again = w ? vox_weights_get(w, NULL, NULL) : NULL;
    trace_tensor(&u->trace, again);
    const double mm[3] = {1, 2, 3};
    if (vox_kernel_named(u->number % 2 ? "gaussian:4mm" : "log:4mm", mm, part, &parts, NULL))
        give_up("kernel");
    for (int i = 0; i < parts; i++) {
        trace_tensor(&u->trace, part[i]);
        vox_tensor_free(part[i]);
    }
    vox_tensor_free(again);
    vox_weights_free(w);
    vox_tensor_free(t);
    vox_tensor_free(five);
}

/* Functions without a handle, and sentences of errors. */
static void use_the_rest(user *u) {
    const char *missing = "no such file";
    vox_error err = {0};
    bytes_add(&u->trace, vox_isa(), strlen(vox_isa()));
    for (const char *const *isa = vox_isa_available(); *isa; isa++)
        bytes_add(&u->trace, *isa, strlen(*isa));
    bytes_add(&u->trace, vox_kernel_list(), strlen(vox_kernel_list()));
    bytes_add(&u->trace, vox_gzip_backend(), strlen(vox_gzip_backend()));
    bytes_add(&u->trace, vox_datatype_name(16), strlen(vox_datatype_name(16)));
    vox_input_free(vox_input_open(&missing, 1, &err));
    bytes_add(&u->trace, err.message, strlen(err.message));
    vox_weights_free(vox_weights_open(missing, &err));
    bytes_add(&u->trace, err.message, strlen(err.message));
}

static void *use(void *argument) {
    user *u = argument;
    use_the_rest(u);
    use_chains(u);
    use_weights(u);
    use_files(u);
    use_the_rest(u);
    return NULL;
}

static void run_users(int count, int threads) {
    user alone[MOST_USERS] = {{0}}, together[MOST_USERS] = {{0}};
    empty_folder("users");
    for (int i = 0; i < count; i++) {
        together[i] = (user){.number = i, .threads = threads};
        if (pthread_create(&together[i].thread, NULL, use, &together[i]))
            give_up("no thread");
    }
    for (int i = 0; i < count; i++)
        pthread_join(together[i].thread, NULL);
    for (int i = 0; i < count; i++) {
        alone[i] = (user){.number = i, .threads = 1};
        use(&alone[i]);
        ran(alone[i].trace.count > 0 && bytes_equal(&alone[i].trace, &together[i].trace),
            "handles: user %d of %d, %d threads each", i, count, threads);
        bytes_free(&alone[i].trace);
        bytes_free(&together[i].trace);
    }
}

void run_handles(bool long_form) {
    run_users(4, 2);
    run_users(8, 3);
    if (!long_form)
        return;
    for (int i = 0; i < 4; i++) {
        run_users(8, 1);
        run_users(8, 3);
        run_users(2, 8);
    }
}
