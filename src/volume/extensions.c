/* extensions.c - header extensions: read as they are, checked, counted.
 *
 * An extension is esize (int32, itself and ecode included), ecode (int32) and esize - 8 bytes that
 * mean something to the program that wrote them. They are carried to the output byte for byte;
 * esize and ecode follow the byte order of the header.
 */
#include "volume/extensions.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1 << 16 };

vox_status vox_source_skip(vox_source *s, int64_t bytes, vox_error *err) {
    unsigned char scratch[8192];
    while (bytes > 0) {
        const int64_t want = vox_min(bytes, (int64_t)sizeof scratch);
        int64_t got;
        vox_status status = vox_source_read(s, scratch, want, &got, err);
        if (status)
            return status;
        bytes -= got;
        if (got < want)
            return vox_fail(err, VOX_ERR_INPUT, "%s: the file ends %lld bytes before its voxels",
                            vox_path_text(vox_source_path(s)), (long long)bytes);
    }
    return VOX_OK;
}

/* Reads up to `limit` bytes to memory that grows with what really comes, not with what is promised.
 */
static vox_status read_area(vox_source *s, int64_t limit, unsigned char **area, int64_t *bytes,
                            vox_error *err) {
    int64_t capacity = 0, got = 0;
    *bytes = 0;
    do {
        if (*bytes == capacity) {
            capacity = vox_max(CHUNK, 2 * capacity);
            unsigned char *more = realloc(*area, (size_t)capacity);
            if (!more)
                return vox_fail(err, VOX_ERR_RESOURCE, "%s: out of memory for its extensions",
                                vox_path_text(vox_source_path(s)));
            *area = more;
        }
        const int64_t want = vox_min(capacity, limit) - *bytes;
        vox_status status = vox_source_read(s, *area + *bytes, want, &got, err);
        if (status)
            return status;
        *bytes += got;
        if (got < want)
            break;
    } while (*bytes < limit);
    return VOX_OK;
}

static int32_t word(const unsigned char *p) {
    int32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static bool all_zero(const unsigned char *p, int64_t n) {
    while (n > 0 && *p == 0)
        p++, n--;
    return n == 0;
}

/* Walks the area, swapping esize and ecode where needed; with `h->extension_code` allocated (the
 * second walk, when they are swapped already) notes what it finds. */
static vox_status walk(const char *path, vox_header *h, int64_t area, bool swap, vox_error *err) {
    int64_t at = 0;
    int n = 0;
    while (at < area) {
        unsigned char *p = h->extensions + at;
        if (n > 0 && all_zero(p, area - at)) /* padding up to vox_offset */
            break;
        if (area - at < 8)
            return vox_fail(err, VOX_ERR_INPUT,
                            "%s: extension %d: %lld bytes are left of the header, too few for one",
                            path, n + 1, (long long)(area - at));
        if (swap)
            nifti_swap_4bytes(2, p);
        const int32_t esize = word(p);
        const char *reason = esize < 16          ? "an extension has at least 16 bytes"
                             : esize % 16 != 0   ? "not a multiple of 16"
                             : esize > area - at ? "reaches past the header's end"
                                                 : NULL;
        if (reason)
            return vox_fail(err, VOX_ERR_INPUT,
                            "%s: extension %d: esize=%d: %s (it starts %lld bytes before the end)",
                            path, n + 1, (int)esize, reason, (long long)(area - at));
        if (h->extension_code) {
            h->extension_code[n] = word(p + 4);
            h->extension_bytes[n] = esize;
        }
        at += esize;
        n++;
    }
    h->extensions_bytes = at;
    h->extension_count = n;
    return VOX_OK;
}

static vox_status parse(const char *path, vox_header *h, int64_t area, vox_error *err) {
    vox_status status = walk(path, h, area, h->swapped, err);
    if (status || h->extension_count == 0)
        return status;
    h->extension_code = vox_alloc(h->extension_count, sizeof *h->extension_code, path, err);
    h->extension_bytes = vox_alloc(h->extension_count, sizeof *h->extension_bytes, path, err);
    if (!h->extension_code || !h->extension_bytes)
        return VOX_ERR_RESOURCE;
    return walk(path, h, area, false, err);
}

vox_status vox_extensions_read(vox_source *s, vox_header *h, vox_error *err) {
    const char *path = vox_path_text(vox_source_path(s));
    const int64_t header = h->version == 1 ? VOX_NIFTI1_BYTES : VOX_NIFTI2_BYTES;
    int64_t got, trailing;
    vox_status status = vox_source_read(s, h->extender, VOX_EXTENDER_BYTES, &got, err);
    if (status)
        return status;
    if (got < VOX_EXTENDER_BYTES) { /* the header file of a pair may end here */
        memset(h->extender, 0, sizeof h->extender);
        if (!h->pair)
            return vox_fail(err, VOX_ERR_INPUT,
                            "%s: vox_offset=%lld: past the end of the file, which has %lld bytes",
                            path, (long long)h->vox_offset, (long long)(header + got));
    }
    /* esize is an int32, and no program writes more than a few MB: 2 GiB bound what a hostile file
     * holds. */
    const int64_t area = h->pair ? INT32_MAX : h->vox_offset - header - VOX_EXTENDER_BYTES;
    if (h->extender[0] == 0)
        return h->pair ? vox_source_finish(s, &trailing, err) : vox_source_skip(s, area, err);
    if (area == 0)
        return VOX_OK;
    if ((status = read_area(s, vox_min(area, INT32_MAX), &h->extensions, &got, err)))
        return status;
    if (!h->pair && got < area)
        return got == INT32_MAX
                   ? vox_fail(
                         err, VOX_ERR_UNSUPPORTED,
                         "%s: vox_offset=%lld: extensions of more than 2 GiB are not supported",
                         path, (long long)h->vox_offset)
                   : vox_fail(err, VOX_ERR_INPUT,
                              "%s: vox_offset=%lld: past the end of the file, which has %lld bytes",
                              path, (long long)h->vox_offset,
                              (long long)(header + VOX_EXTENDER_BYTES + got));
    if ((status = parse(path, h, got, err)))
        return status;
    return h->pair ? vox_source_finish(s, &trailing, err) : VOX_OK;
}
