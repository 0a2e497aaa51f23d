/* test_stream_gzip.c - the gzip that we write: zlib unpacks it to the same bytes, it is one member
 * with a fixed header, and neither threads nor the sizes of writes change a byte of it. */
#include "stream/codec.h"
#include "test_stream.h"

#include <criterion/parameterized.h>
#include <malloc.h>

enum { BLOCK = 256 << 10 }; /* gzip.c's BLOCK_BYTES: borders are where mistakes would be */

/* What a sink writes for `data`, handed over in pieces of `piece` bytes. */
static bytes our_gzip(bytes data, int level, int threads, size_t piece) {
    const vox_sink_options o = {.gzip = true, .level = level, .threads = threads, .force = true};
    vox_error err = {0};
    vox_sink *s = vox_sink_open(in_scratch("out.gz"), &o, &err);
    cr_assert_not_null(s, "%s", err.message);
    cr_assert_not(vox_sink_positioned(s));
    for (size_t i = 0; i < data.n; i += piece) {
        size_t n = data.n - i < piece ? data.n - i : piece;
        cr_assert_eq(vox_sink_write(s, data.p + i, (int64_t)n, &err), VOX_OK, "%s", err.message);
    }
    cr_assert_eq(vox_sink_close(s, &err), VOX_OK, "%s", err.message);
    cr_assert_eq(vox_sink_publish(s, &err), VOX_OK, "%s", err.message);
    vox_sink_free(s);
    return file_read(in_scratch("out.gz"));
}

enum { LEVELS = 11 }; /* -1 to 9 */

ParameterizedTestParameters(stream, gzip_is_what_zlib_reads) {
    static int index[CODECS * LEVELS];
    for (int i = 0; i < CODECS * LEVELS; i++)
        index[i] = i;
    return cr_make_param_array(int, index, CODECS *LEVELS);
}

ParameterizedTest(int *index, stream, gzip_is_what_zlib_reads, .init = scratch_make,
                  .fini = scratch_remove) {
    static const uint8_t header[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}; /* RFC 1952 */
    static const size_t size[] = {0,     1,         65536,     BLOCK - 1,
                                  BLOCK, BLOCK + 1, 4 * BLOCK, 9 * BLOCK + 7};
    codec_use(*index / LEVELS);
    for (size_t i = 0; i < sizeof size / sizeof size[0]; i++) {
        bytes data = bytes_mixed(size[i]), packed = our_gzip(data, *index % LEVELS - 1, 2, 100000);
        bytes unpacked = zlib_gunzip(packed, data.n);
        cr_assert(bytes_equal(unpacked, data), "%zu bytes", size[i]);
        cr_assert_eq(memcmp(packed.p, header, 10), 0);
        free(data.p);
        free(packed.p);
        free(unpacked.p);
    }
}

Test(stream, gzip_is_the_same_for_all_threads_and_writes, .init = scratch_make,
     .fini = scratch_remove, .timeout = 120) {
    static const int threads[] = {1, 2, 3, 8}, level[] = {0, 1, 2, 3, 4};
    static const size_t piece[] = {3 * BLOCK, 4097, 50 * BLOCK, BLOCK};
    bytes data = bytes_mixed(21 * BLOCK + 1234);
    for (int codec = 0; codec < CODECS; codec++)
        for (int l = 0; l < 5; l++) {
            codec_use(codec);
            bytes first = our_gzip(data, level[l], 1, 1000003);
            for (int t = 0; t < 4; t++) {
                bytes again = our_gzip(data, level[l], threads[t], piece[t]);
                cr_assert(bytes_equal(first, again), "level %d, %d threads", level[l], threads[t]);
                free(again.p);
            }
            free(first.p);
        }
    free(data.p);
}

/* Where a codec's state and its data lie does not show in the bytes. Data that repeats near its
 * start tells: called plainly, ISA-L's levels 1 and 2 miss matches there that depend on an address
 * (codec_isal.c). In ten runs of ten they did so within the first 50 blocks. */
Test(stream, gzip_does_not_depend_on_addresses, .timeout = 120) {
    enum { STATES = 8, TRIALS = 4000, BYTES = 96, ROOM = 512 };
    static uint8_t in[BYTES + STATES], first[ROOM], out[ROOM];
    uint64_t x = 88172645463325252u; /* xorshift64, Marsaglia 2003 */
    for (int codec = 0; codec < CODECS; codec++)
        for (int level = 1; level <= 3; level++) {
            void *state[STATES];
            vox_error err = {0};
            codec_use(codec);
            const vox_codec *c = vox_codec_choose();
            for (int s = 0; s < STATES; s++)
                cr_assert_not_null(state[s] = c->deflate_new(level, &err), "%s", err.message);
            for (int t = 0; t < TRIALS; t++) {
                size_t packed = 0;
                for (int s = 0; s < STATES; s++) {
                    uint64_t y = x;
                    for (int i = 0; i < BYTES; i++) { /* the same 32 bytes three times */
                        y ^= y << 13;
                        y ^= y >> 7;
                        y ^= y << 17;
                        in[s + i] = i < BYTES / 3 ? (uint8_t)(y >> 32) : in[s + i - BYTES / 3];
                    }
                    size_t n = c->deflate(state[s], in + s, BYTES, false, out, ROOM);
                    cr_assert(n > 0 && n < ROOM);
                    if (s == 0)
                        memcpy(first, out, packed = n);
                    cr_assert(n == packed && memcmp(out, first, n) == 0,
                              "%s, level %d: trial %d in state %d", c->name, level, t, s);
                    if (s == STATES - 1)
                        x = y;
                }
            }
            for (int s = 0; s < STATES; s++)
                c->deflate_free(state[s]);
        }
}

/* Stored deflate blocks hold 65535 bytes behind 5 of their own (RFC 1951, 3.2.4): nothing need cost
 * more. */
Test(stream, gzip_hardly_grows_noise, .init = scratch_make, .fini = scratch_remove) {
    bytes noise = bytes_new(5 * BLOCK + 99);
    uint64_t x = 88172645463325252u; /* xorshift64, Marsaglia 2003 */
    for (size_t i = 0; i < noise.n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        noise.p[i] = (uint8_t)(x >> 32);
    }
    for (int codec = 0; codec < CODECS; codec++)
        for (int level = -1; level <= 9; level++) {
            codec_use(codec);
            bytes packed = our_gzip(noise, level, 2, noise.n),
                  unpacked = zlib_gunzip(packed, noise.n);
            cr_assert(bytes_equal(unpacked, noise));
            cr_assert_leq(packed.n, noise.n + 6 * 5 * 5 + 18, "level %d: %zu", level, packed.n);
            free(packed.p);
            free(unpacked.p);
        }
    free(noise.p);
}

/* Within 5 % of zlib's level 6, on what a filter puts out: smooth floats. (The real scans that the
 * default was chosen on are not the tests' to carry.) */
Test(stream, gzip_default_level_is_near_zlibs, .init = scratch_make, .fini = scratch_remove) {
    bytes data = bytes_new(sizeof(float) * 1000000);
    float *v = (float *)(void *)data.p, smooth = 0;
    uint32_t x = 1;
    for (int i = 0; i < 1000000; i++) {
        x = x * 1664525u + 1013904223u;
        smooth += ((float)(x >> 8) / (1 << 24) - smooth) / 16;
        v[i] = i % 300 < 80 ? 0 : smooth;
    }
    bytes reference = zlib_gzip(data, 6, NULL);
    for (int codec = 0; codec < CODECS; codec++) {
        codec_use(codec);
        bytes packed = our_gzip(data, -1, 2, data.n);
        cr_assert_leq((double)packed.n, 1.05 * (double)reference.n, "%zu %zu", packed.n,
                      reference.n);
        free(packed.p);
    }
    free(reference.p);
    free(data.p);
}

Test(stream, gzip_refuses_other_levels, .init = scratch_make, .fini = scratch_remove) {
    const vox_sink_options o = {.gzip = true, .level = 10};
    vox_error err = {0};
    cr_assert_null(vox_sink_open(in_scratch("out.gz"), &o, &err));
    cr_assert_eq(err.status, VOX_ERR_USAGE);
    cr_assert_eq(scratch_entries(), 0);
}

/* The heap grows by no more than promised when a sink is opened, and not at all when it is used. */
Test(stream, gzip_memory_is_as_promised, .init = scratch_make, .fini = scratch_remove) {
    bytes data = bytes_mixed(20 * BLOCK);
    free(our_gzip(data, 1, 3, data.n)
             .p); /* OpenMP takes its own memory in the first parallel region */
    for (int codec = 0; codec < CODECS; codec++)
        for (int level = -1; level <= 9; level++) {
            const vox_sink_options o = {.gzip = true, .level = level, .threads = 3, .force = true};
            vox_error err = {0};
            codec_use(codec);
            struct mallinfo2 before = mallinfo2();
            vox_sink *s = vox_sink_open(in_scratch("out.gz"), &o, &err);
            struct mallinfo2 opened = mallinfo2();
            cr_assert_not_null(s);
            cr_assert_eq(vox_sink_write(s, data.p, (int64_t)data.n, &err), VOX_OK);
            struct mallinfo2 used = mallinfo2();
            size_t held = opened.uordblks + opened.hblkhd - before.uordblks - before.hblkhd;
            cr_assert_leq((int64_t)held, vox_sink_memory(&o) + 1024, "level %d: %zu", level, held);
            cr_assert_leq(used.uordblks + used.hblkhd, opened.uordblks + opened.hblkhd + 1024);
            vox_sink_free(s);
        }
    free(data.p);
}
