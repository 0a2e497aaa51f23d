/* store_zip.h - zip archives of stored members, for tests that want a CRC to fit whatever is in a
 * member.
 *
 * Source: PKWARE's APPNOTE, 4.3.7 (local header), 4.3.12 (directory) and 4.3.16 (its end). */
#ifndef TEST_STORE_ZIP_H
#define TEST_STORE_ZIP_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

typedef struct zip_member {
    const char *name;
    const void *data;
    size_t bytes;
} zip_member;

static inline unsigned char *zip_number(unsigned char *to, uint64_t v, int bytes) {
    for (int i = 0; i < bytes; i++)
        *to++ = (unsigned char)(v >> 8 * i);
    return to;
}

static inline unsigned char *zip_bytes(unsigned char *to, const void *bytes, size_t n) {
    memcpy(to, bytes, n);
    return to + n;
}

/* What the header before a member and its entry in the directory have in common. */
static inline unsigned char *zip_common(unsigned char *to, const zip_member *m) {
    to = zip_number(to, 20, 4);       /* version needed, flags */
    to = zip_number(to, 0, 2);        /* method: stored */
    to = zip_number(to, 0x210000, 4); /* 1 January 1980 */
    to = zip_number(to, crc32(0, m->data, (unsigned)m->bytes), 4);
    to = zip_number(to, m->bytes, 4);
    to = zip_number(to, m->bytes, 4);
    to = zip_number(to, strlen(m->name), 2);
    return zip_number(to, 0, 2); /* extra fields */
}

/* The archive, freed by the caller; NULL where memory is short. */
static inline unsigned char *zip_store(const zip_member *m, int count, size_t *bytes) {
    size_t room = 22;
    for (int i = 0; i < count; i++)
        room += 30 + 46 + 2 * strlen(m[i].name) + m[i].bytes;
    unsigned char *zip = malloc(room), *to = zip;
    size_t *start = malloc(((size_t)count + 1) * sizeof *start);
    if (!zip || !start) {
        free(zip);
        free(start);
        return NULL;
    }
    for (int i = 0; i < count; i++) {
        start[i] = (size_t)(to - zip);
        to = zip_common(zip_bytes(to, "PK\3\4", 4), &m[i]);
        to = zip_bytes(to, m[i].name, strlen(m[i].name));
        to = zip_bytes(to, m[i].data, m[i].bytes);
    }
    start[count] = (size_t)(to - zip);
    for (int i = 0; i < count; i++) {
        to = zip_common(zip_bytes(to, "PK\1\2\24\0", 6), &m[i]);
        to = zip_number(to, 0, 8); /* comment, disk, attributes */
        to = zip_number(to, 0, 2);
        to = zip_number(to, start[i], 4);
        to = zip_bytes(to, m[i].name, strlen(m[i].name));
    }
    const size_t directory = (size_t)(to - zip) - start[count];
    to = zip_bytes(to, "PK\5\6\0\0\0\0", 8);
    to = zip_number(to, (uint64_t)count, 2);
    to = zip_number(to, (uint64_t)count, 2);
    to = zip_number(to, directory, 4);
    to = zip_number(to, start[count], 4);
    to = zip_number(to, 0, 2);
    *bytes = (size_t)(to - zip);
    free(start);
    return zip;
}

#endif
