/* torch_support.h - .pt files made by hand: a zip archive of stored members, and a pickle written
 * as words, one an opcode.
 *
 * The words: 'text'; a number; @module.name (GLOBAL); #8a (a byte); p0, g0 (BINPUT, BINGET); T and
 * F (True, False); any other single character is the opcode itself: ( ) t R Q } { ] s u a e b N .
 */
#ifndef TORCH_SUPPORT_H
#define TORCH_SUPPORT_H

#include "weights_support.h"
#include "store_zip.h"

typedef struct buffer {
    unsigned char data[1 << 16];
    size_t n;
} buffer;

static inline void add_bytes(buffer *b, const void *bytes, size_t n) {
    cr_assert_leq(b->n + n, sizeof b->data);
    memcpy(b->data + b->n, bytes, n);
    b->n += n;
}

static inline void add_number(buffer *b, uint64_t v, int bytes) {
    for (int i = 0; i < bytes; i++)
        add_bytes(b, &(unsigned char){(unsigned char)(v >> 8 * i)}, 1);
}

/* One word of n characters. */
static inline void add_word(buffer *b, const char *word, size_t n) {
    char text[1000];
    cr_assert(n > 0 && n < sizeof text);
    snprintf(text, sizeof text, "%.*s", (int)n, word);
    if (*text == '\'') {
        add_number(b, 'X', 1);
        add_number(b, n - 2, 4);
        add_bytes(b, text + 1, n - 2);
    } else if (*text == '@') {
        char *dot = strrchr(text, '.');
        cr_assert_not_null(dot);
        *dot = '\n';
        *text = 'c';
        add_bytes(b, text, n);
        add_number(b, '\n', 1);
    } else if (*text == '#') {
        add_number(b, strtoul(text + 1, NULL, 16), 1);
    } else if ((*text == 'p' || *text == 'g') && n > 1) {
        add_number(b, *text == 'p' ? 'q' : 'h', 1);
        add_number(b, strtoul(text + 1, NULL, 10), 1);
    } else if (strchr("-0123456789", *text)) {
        add_number(b, 0x8a, 1); /* LONG1 of 8 bytes */
        add_number(b, 8, 1);
        add_number(b, (uint64_t)strtoll(text, NULL, 10), 8);
    } else {
        cr_assert_eq(n, 1, "'%s' is no word", text);
        add_number(b, *text == 'T' ? 0x88 : *text == 'F' ? 0x89 : (unsigned char)*text, 1);
    }
}

static inline void add_words(buffer *b, const char *words) {
    for (words += strspn(words, " "); *words; words += strspn(words, " ")) {
        const size_t n = strcspn(words, " ");
        add_word(b, words, n);
        words += n;
    }
}

/* PROTO 2 and the words. */
static inline void assemble(buffer *b, const char *words) {
    add_bytes(b, "\x80\x02", 2);
    add_words(b, words);
}

/* A file that is an archive of these members. */
static inline const char *zip_file(const char *name, const zip_member *members, int count) {
    size_t bytes;
    unsigned char *zip = zip_store(members, count, &bytes);
    cr_assert_not_null(zip);
    const char *path = write_file(name, zip, bytes);
    free(zip);
    return path;
}

/* The storages that every file of pt_file() has: 0 is float32 0 to 23, 1 is bytes 0 to 7. */
enum { FLOATS = 24, BYTES = 8 };

/* A .pt file around a pickle. */
static inline const char *pt_file_of(const char *name, const buffer *pickle) {
    float floats[FLOATS];
    unsigned char bytes[BYTES];
    for (int i = 0; i < FLOATS; i++)
        floats[i] = (float)i;
    for (int i = 0; i < BYTES; i++)
        bytes[i] = (unsigned char)i;
    const zip_member members[] = {
        {"a/data.pkl", pickle->data, pickle->n},
        {"a/byteorder", "little", 6},
        {"a/data/0", floats, sizeof floats},
        {"a/data/1", bytes, sizeof bytes},
        {"a/version", "3\n", 2},
    };
    return zip_file(name, members, sizeof members / sizeof *members);
}

static inline const char *pt_file(const char *words) {
    buffer *pickle = calloc(1, sizeof *pickle);
    cr_assert_not_null(pickle);
    assemble(pickle, words);
    const char *path = pt_file_of("a.pt", pickle);
    free(pickle);
    return path;
}

/* A tensor, each part as words. */
#define HOOKS "@collections.OrderedDict ) R"
#define STORAGE(type, key, count) "( 'storage' @torch." type " '" key "' 'cpu' " count " t Q"
#define REBUILD(storage, offset, size, stride)                                                     \
    "@torch._utils._rebuild_tensor_v2 ( " storage " " offset " ( " size " t ( " stride             \
    " t F " HOOKS " t R "
#define VIEW(offset, size, stride) REBUILD(STORAGE("FloatStorage", "0", "24"), offset, size, stride)

#endif
