/* gunzip.c - gzip members (RFC 1952) to bytes, with every check that the format offers. */
#include "stream/gunzip.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    INPUT_BYTES = 256 << 10,
    SLACK = 8, /* room in front of the input for bytes that the codec hands back */
    TRAILING_LIMIT = 1 << 20,
};

/* RFC 1952, 2.3.1. */
enum { FHCRC = 2, FEXTRA = 4, FNAME = 8, FCOMMENT = 16, FRESERVED = 0xe0, DEFLATE = 8 };

typedef enum phase { AT_MEMBER, IN_DATA, AT_TRAILER, AT_END } phase;

struct vox_gunzip {
    vox_inlet *inlet;
    const vox_codec *codec;
    void *inflater;
    phase phase;
    bool full;      /* the last inflate call filled its output: the codec may hold more */
    int64_t member; /* counted from 1; 0 before the first */
    uint32_t crc, header_crc;
    uint64_t length; /* of the member's data so far */
    int64_t trailing;
    size_t pos, end; /* unread bytes are input[pos..end) */
    uint8_t input[SLACK + INPUT_BYTES];
};

vox_gunzip *vox_gunzip_new(vox_inlet *inlet, const vox_codec *codec, vox_error *err) {
    vox_gunzip *g = vox_alloc(1, sizeof *g, "gunzip", err);
    if (!g)
        return NULL;
    g->inlet = inlet;
    g->codec = codec;
    g->pos = g->end = SLACK;
    g->inflater = codec->inflate_new(err);
    if (!g->inflater) {
        free(g);
        return NULL;
    }
    return g;
}

void vox_gunzip_free(vox_gunzip *g) {
    if (!g)
        return;
    g->codec->inflate_free(g->inflater);
    free(g);
}

int64_t vox_gunzip_trailing(const vox_gunzip *g) {
    return g->trailing;
}

int64_t vox_gunzip_memory(void) {
    int64_t most = vox_codec_zlib.inflate_memory;
#ifdef VOX_HAVE_ISAL
    most = vox_max(most, vox_codec_isal.inflate_memory);
#endif
    return (int64_t)sizeof(vox_gunzip) + VOX_ALIGN + most;
}

/* Sees to it that a byte is there; *some is false at the end of the stream. */
static vox_status fill(vox_gunzip *g, bool *some, vox_error *err) {
    if (g->pos == g->end) {
        size_t made;
        vox_status status = vox_inlet_read(g->inlet, g->input + SLACK, INPUT_BYTES, &made, err);
        if (status != VOX_OK)
            return status;
        g->pos = SLACK;
        g->end = SLACK + made;
    }
    *some = g->pos < g->end;
    return VOX_OK;
}

static vox_status damaged(const vox_gunzip *g, vox_error *err, const char *what) {
    return vox_fail(err, g->inlet->kind, "%s: gzip member %" PRId64 ": %s", g->inlet->name,
                    g->member, what);
}

/* ---- Header ---- */

static vox_status header_byte(vox_gunzip *g, uint8_t *byte, vox_error *err) {
    bool some;
    vox_status status = fill(g, &some, err);
    if (status != VOX_OK)
        return status;
    if (!some)
        return damaged(g, err, "the file ends within the member's header; it was cut short");
    *byte = g->input[g->pos++];
    g->header_crc = g->codec->crc32(g->header_crc, byte, 1);
    return VOX_OK;
}

static vox_status header_bytes(vox_gunzip *g, uint8_t *bytes, int count, vox_error *err) {
    vox_status status = VOX_OK;
    for (int i = 0; i < count && status == VOX_OK; i++)
        status = header_byte(g, bytes + i, err);
    return status;
}

static vox_status skip_extra(vox_gunzip *g, vox_error *err) {
    uint8_t b[2] = {0};
    vox_status status = header_bytes(g, b, 2, err);
    for (int left = b[0] | b[1] << 8; status == VOX_OK && left > 0; left--)
        status = header_byte(g, b, err);
    return status;
}

static vox_status skip_string(vox_gunzip *g, vox_error *err) {
    uint8_t c = 0;
    vox_status status;
    do
        status = header_byte(g, &c, err);
    while (status == VOX_OK && c);
    return status;
}

static vox_status check_header_crc(vox_gunzip *g, vox_error *err) {
    unsigned computed = g->header_crc & 0xffff;
    uint8_t b[2];
    vox_status status = header_bytes(g, b, 2, err);
    if (status != VOX_OK)
        return status;
    unsigned stored = (unsigned)(b[0] | b[1] << 8);
    if (stored == computed)
        return VOX_OK;
    return vox_fail(err, g->inlet->kind,
                    "%s: gzip member %" PRId64
                    ": header crc16=0x%04x: the header's bytes have 0x%04x; it is damaged",
                    g->inlet->name, g->member, stored, computed);
}

static vox_status read_header(vox_gunzip *g, vox_error *err) {
    uint8_t b[10]; /* magic 2, method, flags, mtime 4, xfl, os */
    g->member++;
    g->header_crc = 0;
    vox_status status = header_bytes(g, b, 10, err);
    if (status != VOX_OK)
        return status;
    if (b[2] != DEFLATE)
        return vox_fail(err, g->inlet->kind,
                        "%s: gzip member %" PRId64 ": method=%d: only 8 (deflate) exists",
                        g->inlet->name, g->member, b[2]);
    if (b[3] & FRESERVED)
        return vox_fail(err, g->inlet->kind,
                        "%s: gzip member %" PRId64 ": flags=0x%02x: reserved bits are set",
                        g->inlet->name, g->member, b[3]);
    if (b[3] & FEXTRA)
        status = skip_extra(g, err);
    if (status == VOX_OK && b[3] & FNAME)
        status = skip_string(g, err);
    if (status == VOX_OK && b[3] & FCOMMENT)
        status = skip_string(g, err);
    if (status == VOX_OK && b[3] & FHCRC)
        status = check_header_crc(g, err);
    return status;
}

/* ---- Between members ---- */

static vox_status count_trailing(vox_gunzip *g, vox_error *err) {
    bool some = true;
    while (some && g->trailing < TRAILING_LIMIT) {
        g->trailing += (int64_t)(g->end - g->pos);
        g->pos = g->end;
        vox_status status = fill(g, &some, err);
        if (status != VOX_OK)
            return status;
    }
    g->phase = AT_END;
    return VOX_OK;
}

/* At a border: the next member, or the end behind padding or behind something else. A lone first
 * magic byte at the end of the file is taken for a member that was cut. */
static vox_status next_member(vox_gunzip *g, vox_error *err) {
    bool some;
    vox_status status;
    while ((status = fill(g, &some, err)) == VOX_OK && some && g->input[g->pos] == 0 && g->member)
        g->pos++;
    if (status != VOX_OK)
        return status;
    if (!some) {
        g->phase = AT_END;
        return VOX_OK;
    }
    if (g->input[g->pos] != 0x1f)
        return count_trailing(g, err);
    g->pos++;
    status = fill(g, &some, err);
    if (status != VOX_OK)
        return status;
    /* SLACK leaves room for this byte where `fill` has replaced the input. */
    g->input[--g->pos] = 0x1f;
    if (some && g->input[g->pos + 1] != 0x8b)
        return count_trailing(g, err);
    status = read_header(g, err);
    if (status != VOX_OK)
        return status;
    g->codec->inflate_reset(g->inflater);
    g->crc = 0;
    g->length = 0;
    g->full = false;
    g->phase = IN_DATA;
    return VOX_OK;
}

/* ---- Data and trailer ---- */

static uint32_t little_endian(const uint8_t *b) {
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static vox_status check_trailer(vox_gunzip *g, vox_error *err) {
    uint8_t b[8];
    for (int i = 0; i < 8; i++) {
        bool some;
        vox_status status = fill(g, &some, err);
        if (status != VOX_OK)
            return status;
        if (!some)
            return vox_fail(err, g->inlet->kind,
                            "%s: gzip member %" PRId64
                            ": the file ends after %d of the trailer's 8 bytes; it was cut short",
                            g->inlet->name, g->member, i);
        b[i] = g->input[g->pos++];
    }
    uint32_t crc = little_endian(b), length = little_endian(b + 4);
    if (crc != g->crc)
        return vox_fail(err, g->inlet->kind,
                        "%s: gzip member %" PRId64 ": crc32=0x%08" PRIx32
                        ": the data has 0x%08" PRIx32 "; it is damaged",
                        g->inlet->name, g->member, crc, g->crc);
    if (length != (uint32_t)g->length)
        return vox_fail(err, g->inlet->kind,
                        "%s: gzip member %" PRId64 ": isize=%" PRIu32 ": the data has %" PRIu64
                        " bytes (modulo 2^32: %" PRIu32 ")",
                        g->inlet->name, g->member, length, g->length, (uint32_t)g->length);
    g->phase = AT_MEMBER;
    return VOX_OK;
}

/* One step of a member's data; *made may stay 0. */
static vox_status inflate_some(vox_gunzip *g, uint8_t *buf, size_t room, size_t *made,
                               vox_error *err) {
    bool some = true;
    vox_status status = g->full ? VOX_OK : fill(g, &some, err);
    if (status != VOX_OK)
        return status;
    vox_inflate_io io = {
        .in = g->input + g->pos, .in_bytes = g->end - g->pos, .out = buf, .out_bytes = room};
    vox_inflate_result result = g->codec->inflate(g->inflater, &io);
    *made = room - io.out_bytes;
    g->full = io.out_bytes == 0;
    g->pos = g->end - io.in_bytes;
    g->crc = g->codec->crc32(g->crc, buf, *made);
    g->length += *made;
    if (result == VOX_INFLATE_DAMAGED)
        return vox_fail(err, g->inlet->kind,
                        "%s: gzip member %" PRId64 ": its compressed data is damaged behind byte "
                        "%" PRIu64 " of what it unpacks to",
                        g->inlet->name, g->member, g->length);
    if (result == VOX_INFLATE_END) {
        g->pos -= io.unused_bytes;
        memcpy(g->input + g->pos, io.unused, io.unused_bytes);
        g->phase = AT_TRAILER;
    } else if (!some && !*made)
        return damaged(g, err, "the file ends within its compressed data; it was cut short");
    return VOX_OK;
}

vox_status vox_gunzip_read(vox_gunzip *g, uint8_t *buf, size_t room, size_t *made, vox_error *err) {
    vox_status status = VOX_OK;
    *made = 0;
    while (status == VOX_OK && !*made && g->phase != AT_END) {
        if (g->phase == AT_MEMBER)
            status = next_member(g, err);
        else if (g->phase == IN_DATA)
            status = inflate_some(g, buf, room, made, err);
        else
            status = check_trailer(g, err);
    }
    return status;
}
