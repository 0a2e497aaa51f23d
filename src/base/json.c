/* json.c - see json.h.
 *
 * jansson's parser (2.14) takes a failed allocation for a fault of the text, and within a string
 * for nothing: the string comes out short of a character. So its allocator is wrapped once in one
 * that notes failures, thread by thread. The one that was there before, jansson's own or that of
 * the program this library is a part of, does the work. */
#include "base/json.h"

#include <pthread.h>

static json_malloc_t allocate;
static json_free_t release;
static _Thread_local bool starved;

static void *noting_malloc(size_t bytes) {
    void *p = allocate(bytes);
    starved = starved || !p;
    return p;
}

static void wrap(void) {
    json_get_alloc_funcs(&allocate, &release);
    json_set_alloc_funcs(noting_malloc, release);
}

vox_status vox_json_parse(const char *subject, const void *text, int64_t bytes, json_t **root,
                          vox_error *err) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    json_error_t at;
    pthread_once(&once, wrap);
    starved = false;
    *root = json_loadb(text, (size_t)bytes, JSON_REJECT_DUPLICATES, &at);
    if (starved) {
        json_decref(*root);
        *root = NULL;
        return vox_fail(err, VOX_ERR_RESOURCE, "%s: out of memory", subject);
    }
    return *root ? VOX_OK
                 : vox_fail(err, VOX_ERR_WEIGHTS, "%s: line %d: %.200s (JSON, column %d)", subject,
                            at.line, at.text, at.column);
}
