/* text.c - a tensor as a person types it: a line of sizes, then the numbers.
 *
 *     # a sharpening kernel
 *     1 3 3
 *      0 -1  0
 *     -1  5 -1
 *      0 -1  0
 *
 * One to five sizes, slowest axis first; numbers are separated by spaces or line ends; # starts a
 * comment. A decimal point is a point in every locale.
 */
#include "weights/weights.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_RANK = 5, MOST_TOKEN = 64 };

typedef struct scanner {
    const char *path, *at, *end;
    int64_t line;
    vox_error *err;
} scanner;

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Moves to the next number; false at the end of the text, or with `same_line` at the end of the
 * line. */
static bool next_token(scanner *s, bool same_line) {
    while (s->at < s->end) {
        if (*s->at == '#') {
            while (s->at < s->end && *s->at != '\n')
                s->at++;
        } else if (!is_space(*s->at)) {
            return true;
        } else {
            if (*s->at == '\n') {
                if (same_line)
                    return false;
                s->line++;
            }
            s->at++;
        }
    }
    return false;
}

/* Takes the token at s->at as a C string; what is not printable ASCII becomes '?'. */
static vox_status take_token(scanner *s, char token[MOST_TOKEN], const char *wanted) {
    const char *from = s->at;
    size_t n;
    while (s->at < s->end && !is_space(*s->at) && *s->at != '#')
        s->at++;
    n = (size_t)(s->at - from);
    for (size_t i = 0; i < n && i < MOST_TOKEN - 1; i++)
        token[i] = from[i] > ' ' && from[i] < 0x7f ? from[i] : '?';
    token[n < MOST_TOKEN ? n : MOST_TOKEN - 1] = 0;
    if (n >= MOST_TOKEN)
        return vox_fail(s->err, VOX_ERR_WEIGHTS, "%s: line %lld: '%s...': not %s", s->path,
                        (long long)s->line, token, wanted);
    return VOX_OK;
}

static vox_status take_size(scanner *s, int64_t *size) {
    static const char *const wanted = "a size (a whole number >= 1)";
    char token[MOST_TOKEN], *end;
    vox_status status = take_token(s, token, wanted);
    if (status != VOX_OK)
        return status;
    errno = 0;
    *size = strtoll(token, &end, 10);
    if (*end || errno || *size < 1)
        return vox_fail(s->err, VOX_ERR_WEIGHTS, "%s: line %lld: '%s': not %s", s->path,
                        (long long)s->line, token, wanted);
    return VOX_OK;
}

static vox_status take_number(scanner *s, float *value) {
    char token[MOST_TOKEN], *end;
    vox_status status = take_token(s, token, "a number");
    if (status != VOX_OK)
        return status;
    errno = 0;
    *value = strtof(token, &end);
    if (*end || end == token)
        return vox_fail(s->err, VOX_ERR_WEIGHTS, "%s: line %lld: '%s': not a number", s->path,
                        (long long)s->line, token);
    if (errno == ERANGE && isinf(*value))
        return vox_fail(s->err, VOX_ERR_WEIGHTS, "%s: line %lld: '%s': beyond float32's range",
                        s->path, (long long)s->line, token);
    return VOX_OK;
}

static vox_status take_sizes(scanner *s, int *rank, int64_t shape[MOST_RANK], int64_t *count) {
    char text[VOX_SHAPE_TEXT];
    *rank = 0;
    if (!next_token(s, false))
        return vox_fail(s->err, VOX_ERR_WEIGHTS, "%s: line %lld: a line of sizes is missing",
                        s->path, (long long)s->line);
    do {
        if (*rank == MOST_RANK)
            return vox_fail(
                s->err, VOX_ERR_WEIGHTS,
                "%s: line %lld: more than %d sizes (the first line holds the sizes, the "
                "numbers come below)",
                s->path, (long long)s->line, MOST_RANK);
        vox_status status = take_size(s, &shape[(*rank)++]);
        if (status != VOX_OK)
            return status;
    } while (next_token(s, true));
    /* A number takes a byte at least, so no more memory is asked for than four times the file. */
    if (!vox_product(shape, *rank, count) || *count > s->end - s->at)
        return vox_fail(s->err, VOX_ERR_WEIGHTS,
                        "%s: line %lld: sizes=%s: more numbers than the file has room for", s->path,
                        (long long)s->line, vox_shape_text(*rank, shape, text));
    return VOX_OK;
}

static vox_tensor *parse(scanner *s) {
    int rank;
    int64_t shape[MOST_RANK], count = 0;
    char text[VOX_SHAPE_TEXT];
    if (take_sizes(s, &rank, shape, &count) != VOX_OK)
        return NULL;
    vox_tensor *t = vox_tensor_new(rank, shape, s->err);
    if (!t)
        return NULL;
    int64_t i = 0;
    while (next_token(s, false)) {
        if (i == count) {
            vox_fail(s->err, VOX_ERR_WEIGHTS,
                     "%s: line %lld: more numbers than the %lld of sizes=%s", s->path,
                     (long long)s->line, (long long)count, vox_shape_text(rank, shape, text));
            goto failed;
        }
        if (take_number(s, &t->data[i]) != VOX_OK)
            goto failed;
        i++;
    }
    if (i == count)
        return t;
    vox_fail(s->err, VOX_ERR_WEIGHTS, "%s: line %lld: ends after %lld numbers, sizes=%s need %lld",
             s->path, (long long)s->line, (long long)i, vox_shape_text(rank, shape, text),
             (long long)count);
failed:
    vox_tensor_free(t);
    return NULL;
}

static vox_tensor *get(vox_weights *w, int i, vox_error *err) {
    (void)i;
    vox_tensor *t = NULL;
    vox_c_numbers c;
    char *text = vox_alloc(w->bytes, 1, w->path, err);
    if (text && vox_source_read_at(w->source, text, w->bytes, 0, err) == VOX_OK &&
        vox_c_numbers_begin(&c, err) == VOX_OK) {
        scanner s = {w->path, text, text + w->bytes, 1, err};
        t = parse(&s);
        vox_c_numbers_end(&c);
    }
    free(text);
    return t;
}

/* Sizes, then a row of the last axis a line. Nine digits name every float32 exactly. */
static int64_t encode(const vox_tensor *t, char *to) {
    char *at = to;
    for (int i = 0; i < t->rank; i++)
        at += sprintf(at, "%s%lld", i ? " " : "", (long long)t->shape[i]);
    *at++ = '\n';
    const int64_t row = t->shape[t->rank - 1];
    for (int64_t i = 0; i < t->count; i++) {
        at += sprintf(at, "%.9g", (double)t->data[i]);
        *at++ = (i + 1) % row ? ' ' : '\n';
    }
    return at - to;
}

static vox_status save(const char *path, int count, const char *const *names,
                       const vox_tensor *const *tensors, bool force, vox_error *err) {
    (void)count, (void)names;
    /* "-1.23456789e-38" and its separator; a size of int64_t has at most 19 digits. */
    enum { NUMBER = 16, SIZE = 20 };
    const vox_tensor *t = tensors[0];
    char shape[VOX_SHAPE_TEXT];
    int64_t room;
    if (t->rank < 1 || t->rank > MOST_RANK || t->count == 0)
        return vox_fail(err, VOX_ERR_USAGE, "%s: shape=%s: text holds 1 to %d axes, none of them 0",
                        path, vox_shape_text(t->rank, t->shape, shape), MOST_RANK);
    if (!vox_mul(t->count, NUMBER, &room) || !vox_add(room, MOST_RANK * SIZE + 2, &room))
        return vox_fail(err, VOX_ERR_RESOURCE, "%s: too large for text", path);
    vox_c_numbers c;
    char *text = vox_alloc(room, 1, path, err);
    vox_status status = text ? vox_c_numbers_begin(&c, err) : VOX_ERR_RESOURCE;
    if (status == VOX_OK) {
        int64_t bytes = encode(t, text);
        vox_c_numbers_end(&c);
        status = vox_weights_publish(path, text, bytes, force, err);
    }
    free(text);
    return status;
}

const vox_format vox_format_text = {
    .name = "text", .endings = ".txt ", .most = 1, .get = get, .save = save};
