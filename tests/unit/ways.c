/* ways.c - see ways.h. */
#include "ways.h"

#include "cases.h"
#include "engine/pipeline.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct target {
    float *y;
    const int64_t *shape;
} target;

static vox_status collect(void *user, int64_t d, int64_t count, const vox_planes *planes,
                          vox_error *err) {
    const target *t = user;
    const vox_planes to = vox_dense_planes(t->y, t->shape);
    (void)err;
    vox_copy_planes(&to, planes, d, count);
    return VOX_OK;
}

/* Another volume first, so that nothing of it may be left. */
static void stream(const vox_network *n, const int64_t in[4], const float *x, int64_t slab,
                   int threads, const target *t) {
    vox_pipeline *p = vox_pipeline_new(n, in, NULL, slab, threads, NULL);
    cr_assert_not_null(p);
    target to = *t;
    cr_assert_eq(vox_pipeline_start(p, collect, &to, NULL), VOX_OK);
    float *other = malloc((size_t)product(in, 4) * sizeof *other);
    for (int64_t i = 0; i < product(in, 4); i++)
        other[i] = 3 * x[i] + 1;
    for (int frame = 0; frame < 2; frame++) {
        const vox_planes planes = vox_dense_planes(frame == 0 ? other : x, in);
        for (int64_t d = 0; d < in[1]; d += slab)
            cr_assert_eq(vox_pipeline_push(p, vox_min(slab, in[1] - d), &planes, NULL), VOX_OK);
    }
    free(other);
    vox_pipeline_free(p);
}

/* The array as a caller has it in memory, which is all that may be read: it ends where a page that
 * cannot be touched begins, or begins where one ends. */
static void run_guarded(const vox_network *n, const int64_t in[4], const float *x, int threads,
                        bool at_end, float *y) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t bytes = (size_t)product(in, 4) * sizeof(float);
    const size_t inner = (bytes + page - 1) / page * page;
    char *map = mmap(NULL, inner + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(map != MAP_FAILED);
    cr_assert_eq(mprotect(map + page, inner, PROT_READ | PROT_WRITE), 0);
    void *copy = map + page + (at_end ? inner - bytes : 0);
    memcpy(copy, x, bytes);
    const int64_t batch[5] = {1, in[0], in[1], in[2], in[3]};
    cr_assert_eq(vox_network_run(n, copy, batch, y, threads, NULL), VOX_OK);
    munmap(map, inner + 2 * page);
}

float *run_every_way(const vox_network *n, const int64_t in[4], const float *x, int64_t out[4]) {
    const int64_t batch[5] = {1, in[0], in[1], in[2], in[3]};
    vox_error err = {0};
    cr_assert_eq(vox_network_shape(n, in, out, &err), VOX_OK, "%s", err.message);
    const size_t bytes = (size_t)product(out, 4) * sizeof(float);
    float *y = malloc(bytes), *again = malloc(bytes);
    cr_assert(y && again);
    cr_assert_eq(vox_network_run(n, x, batch, y, 1, &err), VOX_OK, "%s", err.message);
    const target t = {again, out};
    int threads = 0;
    for (const char *const *isa = vox_isa_available(); *isa; isa++) {
        cr_assert_eq(vox_isa_select(*isa, NULL), VOX_OK);
        for (int64_t slab = 1; slab <= in[1]; slab += 1 + slab / 2) {
            threads = threads % 3 + 1;
            memset(again, 0xff, bytes);
            stream(n, in, x, slab, threads, &t);
            cr_assert_arr_eq(again, y, bytes, "%s, slabs of %d, %d threads", *isa, (int)slab,
                             threads);
        }
        for (int at_end = 0; at_end < 2; at_end++) {
            threads = threads % 3 + 1;
            memset(again, 0xff, bytes);
            run_guarded(n, in, x, threads, at_end, again);
            cr_assert_arr_eq(again, y, bytes, "%s, in memory, %d threads", *isa, threads);
        }
    }
    cr_assert_eq(vox_isa_select("auto", NULL), VOX_OK);
    free(again);
    return y;
}
