/* test_stream_gunzip.c - reading gzip: against files made by zlib, and against damage of every
 * kind. Every test runs with both libraries where both are built. */
#include "test_stream.h"

#include <criterion/parameterized.h>
#include <pthread.h>

#define FILE_NAME "scan.nii.gz"

/* Reads the whole source in pieces of `piece` bytes, then finishes it. *data holds what came. */
static vox_status read_all(const char *path, size_t piece, bytes *data, int64_t *trailing,
                           vox_error *err) {
    vox_source *s = vox_source_open(path, VOX_ERR_INPUT, err);
    size_t room = 1 << 16;
    *data = bytes_new(room);
    data->n = 0;
    *trailing = 0;
    if (!s)
        return err->status;
    vox_status status;
    int64_t got;
    do {
        if (room - data->n < piece)
            data->p = realloc(data->p, room = 2 * room + piece);
        status = vox_source_read(s, data->p + data->n, (int64_t)piece, &got, err);
        data->n += (size_t)got;
    } while (status == VOX_OK && got == (int64_t)piece);
    if (status == VOX_OK)
        status = vox_source_finish(s, trailing, err);
    vox_source_free(s);
    return status;
}

static void expect_data(const char *path, size_t piece, bytes expected, int64_t expected_trailing) {
    vox_error err = {0};
    int64_t trailing;
    bytes data;
    vox_status status = read_all(path, piece, &data, &trailing, &err);
    cr_assert_eq(status, VOX_OK, "%s", err.message);
    cr_assert(bytes_equal(data, expected), "%zu bytes, %zu expected", data.n, expected.n);
    cr_assert_eq(trailing, expected_trailing, "%lld", (long long)trailing);
    free(data.p);
}

/* ---- Sound files ---- */

ParameterizedTestParameters(stream, gunzip_reads_what_zlib_wrote) {
    static int index[CODECS * 5 * 4];
    for (int i = 0; i < CODECS * 5 * 4; i++)
        index[i] = i;
    return cr_make_param_array(int, index, CODECS * 5 * 4);
}

ParameterizedTest(int *index, stream, gunzip_reads_what_zlib_wrote, .init = scratch_make,
                  .fini = scratch_remove) {
    static const size_t size[] = {0, 1, 1000, 65536 + 3, 5000000};
    static const int level[] = {0, 1, 6, 9};
    codec_use(*index / 20);
    bytes data = bytes_mixed(size[*index % 5]),
          packed = zlib_gzip(data, level[*index / 5 % 4], NULL);
    file_write(in_scratch(FILE_NAME), packed.p, packed.n);
    expect_data(in_scratch(FILE_NAME), 1 << 20, data, 0);
    expect_data(in_scratch(FILE_NAME), 12347, data, 0);
    free(data.p);
    free(packed.p);
}

Test(stream, gunzip_takes_every_header_field, .init = scratch_make, .fini = scratch_remove) {
    Bytef extra[300] = {1, 2, 3}, name[] = "a name", comment[] = "a comment";
    bytes data = bytes_mixed(1000);
    for (int codec = 0; codec < CODECS; codec++)
        for (int fields = 0; fields < 16; fields++) {
            gz_header h = {.time = 77, .os = 3, .hcrc = fields & 1};
            h.extra = fields & 2 ? extra : NULL;
            h.extra_len = sizeof extra;
            h.name = fields & 4 ? name : NULL;
            h.comment = fields & 8 ? comment : NULL;
            bytes packed = zlib_gzip(data, 6, &h);
            codec_use(codec);
            file_write(in_scratch(FILE_NAME), packed.p, packed.n);
            expect_data(in_scratch(FILE_NAME), 999, data, 0);
            free(packed.p);
        }
    free(data.p);
}

Test(stream, gunzip_goes_on_to_further_members, .init = scratch_make, .fini = scratch_remove) {
    bytes a = bytes_mixed(70000), b = bytes_mixed(300), both = bytes_join(a, b);
    bytes empty = {a.p, 0}, zeros = {calloc(600, 1), 600};
    bytes three = bytes_join_free(zlib_gzip(a, 6, NULL), zlib_gzip(empty, 6, NULL));
    three = bytes_join_free(three, zlib_gzip(b, 1, NULL));
    bytes padded = bytes_join_free(zlib_gzip(a, 6, NULL), bytes_join(zeros, empty));
    padded = bytes_join_free(bytes_join_free(padded, zlib_gzip(b, 6, NULL)), zeros);
    for (int codec = 0; codec < CODECS; codec++) {
        codec_use(codec);
        file_write(in_scratch(FILE_NAME), three.p, three.n);
        expect_data(in_scratch(FILE_NAME), 4096, both, 0);
        file_write(in_scratch(FILE_NAME), padded.p, padded.n);
        expect_data(in_scratch(FILE_NAME), 4096, both, 0);
    }
    free(three.p);
    free(padded.p);
    free(both.p);
    free(a.p);
    free(b.p);
}

Test(stream, gunzip_counts_what_follows, .init = scratch_make, .fini = scratch_remove) {
    bytes data = bytes_mixed(3000), packed = zlib_gzip(data, 6, NULL);
    /* Five other bytes; padding and then three that only begin like a member. */
    const char *const rest[] = {"rest\x1f", "\0\0\0\0\x1f\7\7"};
    const size_t rest_bytes[] = {5, 7}, trailing[] = {5, 3};
    for (int i = 0; i < 2 * CODECS; i++) {
        bytes file =
            bytes_join(packed, (bytes){(uint8_t *)(uintptr_t)rest[i % 2], rest_bytes[i % 2]});
        codec_use(i / 2);
        file_write(in_scratch(FILE_NAME), file.p, file.n);
        expect_data(in_scratch(FILE_NAME), 3000, data, (int64_t)trailing[i % 2]);
        free(file.p);
    }
    free(data.p);
    free(packed.p);
}

/* Bytes left unread by the consumer count as trailing, and the trailers behind them are checked. */
Test(stream, gunzip_finish_reads_to_the_end, .init = scratch_make, .fini = scratch_remove) {
    bytes data = bytes_mixed(3000000), packed = zlib_gzip(data, 1, NULL);
    for (int broken = 0; broken < 2; broken++) {
        packed.p[packed.n - 8] ^= (uint8_t)broken;
        file_write(in_scratch(FILE_NAME), packed.p, packed.n);
        vox_error err;
        vox_source *s = vox_source_open(in_scratch(FILE_NAME), VOX_ERR_WEIGHTS, &err);
        cr_assert_not_null(s);
        cr_assert(vox_source_is_gzip(s) && !vox_source_positioned(s));
        cr_assert_eq(vox_source_bytes(s), -1);
        int64_t got, trailing;
        uint8_t first[348];
        cr_assert_eq(vox_source_read(s, first, 348, &got, &err), VOX_OK);
        cr_assert(got == 348 && memcmp(first, data.p, 348) == 0);
        vox_status status = vox_source_finish(s, &trailing, &err);
        cr_assert_eq(status, broken ? VOX_ERR_WEIGHTS : VOX_OK);
        cr_assert_eq(trailing, 3000000 - 348);
        vox_source_free(s);
    }
    free(data.p);
    free(packed.p);
}

/* ---- Damage ---- */

typedef struct damage {
    const char *name, *message; /* message: what has to be in it */
    int member;                 /* the one that is hurt; there are two */
    int cut;                    /* bytes missing at the member's end, and all that follows it */
    int byte;     /* counted from the member's start, or from behind its end where negative */
    uint8_t flip; /* bits flipped there */
} damage;

static const damage damages[] = {
    {"trailer cut by 1", "member 2: the file ends after 7 of the trailer's 8 bytes", 2, 1, 0, 0},
    {"trailer cut by 4", "member 2: the file ends after 4 of the trailer's 8 bytes", 2, 4, 0, 0},
    {"trailer missing", "member 2: the file ends after 0 of the trailer's 8 bytes", 2, 8, 0, 0},
    {"last block cut", "member 2: the file ends within its compressed data", 2, 9, 0, 0},
    {"stream cut", "member 1: the file ends within its compressed data", 1, 900, 0, 0},
    {"first trailer cut", "member 1: the file ends after 5 of the trailer's 8 bytes", 1, 3, 0, 0},
    {"second CRC wrong", "member 2: crc32=0x", 2, 0, -8, 1},
    {"first CRC wrong", "member 1: crc32=0x", 1, 0, -5, 0x80},
    {"second length wrong", "member 2: isize=", 2, 0, -4, 1},
    {"first length wrong", "member 1: isize=", 1, 0, -1, 1},
    {"block type 3", "member 1: its compressed data is damaged behind byte 0", 1, 0, 10, 2},
    {"method wrong", "member 2: method=9: only 8", 2, 0, 2, 1},
    {"reserved flag", "member 1: flags=0x80", 1, 0, 3, 0x80},
};
enum { DAMAGES = sizeof damages / sizeof damages[0] };

static bytes hurt(const damage *d, bytes data) {
    bytes member[3] = {{0}, zlib_gzip(data, 6, NULL), zlib_gzip(data, 9, NULL)};
    bytes *m = &member[d->member];
    if (d->flip)
        m->p[d->byte < 0 ? (int)m->n + d->byte : d->byte] ^= d->flip;
    m->n -= (size_t)d->cut;
    if (d->cut && d->member == 1)
        member[2].n = 0;
    bytes all = bytes_join(member[1], member[2]);
    free(member[1].p);
    free(member[2].p);
    return all;
}

ParameterizedTestParameters(stream, gunzip_names_the_damage) {
    static int index[CODECS * DAMAGES];
    for (int i = 0; i < CODECS * DAMAGES; i++)
        index[i] = i;
    return cr_make_param_array(int, index, CODECS *DAMAGES);
}

ParameterizedTest(int *index, stream, gunzip_names_the_damage, .init = scratch_make,
                  .fini = scratch_remove) {
    const damage *d = &damages[*index % DAMAGES];
    bytes data = bytes_mixed(20000), packed = hurt(d, data), got;
    codec_use(*index / DAMAGES);
    file_write(in_scratch(FILE_NAME), packed.p, packed.n);
    vox_error err = {0};
    int64_t trailing;
    vox_status status = read_all(in_scratch(FILE_NAME), 1000, &got, &trailing, &err);
    cr_assert_eq(status, VOX_ERR_INPUT, "%s: %d", d->name, status);
    cr_assert_not_null(strstr(err.message, d->message), "%s: %s", d->name, err.message);
    cr_assert_eq(strncmp(err.message, in_scratch(FILE_NAME), strlen(in_scratch(FILE_NAME))), 0);
    /* What came before the damage was found is the data's beginning. */
    bytes twice = bytes_join(data, data);
    cr_assert(got.n <= twice.n && memcmp(got.p, twice.p, got.n) == 0);
    free(twice.p);
    free(packed.p);
    free(data.p);
    free(got.p);
}

Test(stream, gunzip_checks_the_header_crc, .init = scratch_make, .fini = scratch_remove) {
    gz_header h = {.time = 1, .os = 3, .hcrc = 1};
    bytes data = bytes_mixed(100), packed = zlib_gzip(data, 6, &h), got;
    packed.p[4] ^= 1; /* mtime */
    file_write(in_scratch(FILE_NAME), packed.p, packed.n);
    vox_error err = {0};
    int64_t trailing;
    cr_assert_eq(read_all(in_scratch(FILE_NAME), 100, &got, &trailing, &err), VOX_ERR_INPUT);
    cr_assert_not_null(strstr(err.message, "header crc16=0x"), "%s", err.message);
    free(packed.p);
    free(data.p);
    free(got.p);
}

/* Stored blocks make the place known: the second block's length is hurt, the first block's 65535
 * bytes (RFC 1951, 3.2.4) are sound and come before the error. */
Test(stream, gunzip_gives_what_precedes_the_damage, .init = scratch_make, .fini = scratch_remove) {
    bytes data = bytes_mixed(100000), packed = zlib_gzip(data, 0, NULL), got;
    packed.p[10 + 5 + 65535 + 1] ^= 1;
    file_write(in_scratch(FILE_NAME), packed.p, packed.n);
    for (int codec = 0; codec < CODECS; codec++) {
        vox_error err = {0};
        int64_t trailing;
        codec_use(codec);
        cr_assert_eq(read_all(in_scratch(FILE_NAME), 1000, &got, &trailing, &err), VOX_ERR_INPUT);
        cr_assert_not_null(strstr(err.message, "damaged behind byte 65535 "), "%s", err.message);
        cr_assert(got.n == 65535 && memcmp(got.p, data.p, got.n) == 0);
        free(got.p);
    }
    free(data.p);
    free(packed.p);
}

/* A file of two members cut at any byte is an error, but at the border, where it is one sound
 * member. */
Test(stream, gunzip_notices_every_cut, .init = scratch_make, .fini = scratch_remove) {
    bytes data = bytes_mixed(300), got;
    bytes one = zlib_gzip(data, 6, NULL), two = bytes_join(one, one);
    for (int codec = 0; codec < CODECS; codec++) {
        codec_use(codec);
        for (size_t n = 2; n < two.n; n++) {
            vox_error err = {0};
            int64_t trailing;
            file_write(in_scratch(FILE_NAME), two.p, n);
            vox_status status = read_all(in_scratch(FILE_NAME), 64, &got, &trailing, &err);
            cr_assert_eq(status, n == one.n ? VOX_OK : VOX_ERR_INPUT, "cut at %zu", n);
            cr_assert(n != one.n || bytes_equal(got, data));
            free(got.p);
        }
    }
    free(one.p);
    free(two.p);
    free(data.p);
}

/* No flipped bit passes unseen: an error, or the same data (time, operating system, ...), or
 * trailing bytes (the second member's magic). The first two bytes decide whether it is gzip at all.
 */
Test(stream, gunzip_notices_every_flipped_bit, .init = scratch_make, .fini = scratch_remove) {
    bytes data = bytes_mixed(300), twice = bytes_join(data, data), got;
    bytes one = zlib_gzip(data, 6, NULL), two = bytes_join(one, one);
    int errors = 0;
    for (int codec = 0; codec < CODECS; codec++) {
        codec_use(codec);
        for (size_t bit = 16; bit < 8 * two.n; bit++) {
            vox_error err = {0};
            int64_t trailing;
            two.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
            file_write(in_scratch(FILE_NAME), two.p, two.n);
            vox_status status = read_all(in_scratch(FILE_NAME), 512, &got, &trailing, &err);
            cr_assert(status == VOX_ERR_INPUT || trailing > 0 || bytes_equal(got, twice), "bit %zu",
                      bit);
            errors += status != VOX_OK;
            two.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
            free(got.p);
        }
    }
    cr_assert_gt(errors, (int)two.n);
    free(one.p);
    free(two.p);
    free(twice.p);
    free(data.p);
}

/* ---- Slow producers ---- */

typedef struct producer {
    const char *path;
    bytes data;
} producer;

static void *write_byte_by_byte(void *argument) {
    const producer *p = argument;
    int fd = open(p->path, O_WRONLY);
    for (size_t i = 0; i < p->data.n; i++)
        if (write(fd, p->data.p + i, 1) != 1)
            break;
    close(fd);
    return NULL;
}

Test(stream, gunzip_reads_a_pipe_byte_by_byte, .init = scratch_make, .fini = scratch_remove,
     .timeout = 60) {
    gz_header h = {.name = (Bytef *)(uintptr_t) "name", .os = 3, .hcrc = 1};
    bytes a = bytes_mixed(20000), b = bytes_mixed(90), both = bytes_join(a, b);
    bytes packed = bytes_join_free(zlib_gzip(a, 6, &h), zlib_gzip(b, 0, NULL));
    for (int codec = 0; codec < CODECS; codec++) {
        codec_use(codec);
        char path[512];
        snprintf(path, sizeof path, "%s/fifo%d", scratch, codec);
        cr_assert_eq(mkfifo(path, 0600), 0);
        producer p = {path, packed};
        pthread_t thread;
        cr_assert_eq(pthread_create(&thread, NULL, write_byte_by_byte, &p), 0);
        expect_data(path, 700, both, 0);
        pthread_join(thread, NULL);
    }
    free(a.p);
    free(b.p);
    free(both.p);
    free(packed.p);
}

static void send_packet(int fd, const void *p, size_t n) {
    cr_assert_eq(write(fd, p, n), (ssize_t)n);
}

/* Input that comes in two parts, parted anywhere: a pipe in packet mode gives one part per read. */
Test(stream, gunzip_does_not_mind_where_input_is_parted, .timeout = 60) {
    bytes a = bytes_mixed(2000), b = bytes_mixed(200), both = bytes_join(a, b);
    bytes packed = bytes_join_free(zlib_gzip(a, 6, NULL), zlib_gzip(b, 6, NULL));
    for (int codec = 0; codec < CODECS; codec++)
        for (size_t part = 3; part < packed.n; part++) {
            int end[2];
            codec_use(codec);
            cr_assert_eq(pipe2(end, O_DIRECT), 0);
            cr_assert_eq(dup2(end[0], 0), 0);
            send_packet(end[1], packed.p, 2); /* what the source looks at first */
            send_packet(end[1], packed.p + 2, part - 2);
            send_packet(end[1], packed.p + part, packed.n - part);
            close(end[0]);
            close(end[1]);
            expect_data("-", 999, both, 0);
        }
    free(a.p);
    free(b.p);
    free(both.p);
    free(packed.p);
}

/* ISA-L counts in 32 bits. A thousand copies of one compressed block of zeros, each ended by a full
 * flush, are more than 4 GiB of zeros in a small file; crc32_combine and the length modulo 2^32
 * make the trailer. */
Test(stream, gunzip_passes_four_gigabytes, .init = scratch_make, .fini = scratch_remove,
     .timeout = 120) {
    enum { BLOCK = 1 << 24, COPIES = 257 };
    bytes zeros = {calloc(BLOCK, 1), BLOCK}, packed = bytes_new(1 << 20);
    z_stream z = {
        .next_in = zeros.p, .avail_in = BLOCK, .next_out = packed.p, .avail_out = 1 << 20};
    cr_assert_eq(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    cr_assert_eq(deflate(&z, Z_FULL_FLUSH), Z_OK);
    packed.n -= z.avail_out;
    deflateEnd(&z);
    uLong block_crc = crc32(0, zeros.p, BLOCK), crc = 0;
    FILE *f = fopen(in_scratch(FILE_NAME), "wb");
    cr_assert_not_null(f);
    fwrite("\x1f\x8b\x08\0\0\0\0\0\0\xff", 1, 10, f);
    for (int i = 0; i < COPIES; i++) {
        fwrite(packed.p, 1, packed.n, f);
        crc = crc32_combine(crc, block_crc, BLOCK);
    }
    const uint32_t trailer[2] = {(uint32_t)crc, (uint32_t)((uint64_t)BLOCK * COPIES)};
    fwrite("\x03\0", 1, 2, f); /* an empty last block */
    for (int i = 0; i < 8; i++)
        fputc((int)(trailer[i / 4] >> i % 4 * 8 & 255), f);
    cr_assert_eq(fclose(f), 0);

    vox_error err = {0};
    vox_source *s = vox_source_open(in_scratch(FILE_NAME), VOX_ERR_INPUT, &err);
    cr_assert_not_null(s);
    int64_t length;
    cr_assert_eq(vox_source_finish(s, &length, &err), VOX_OK, "%s", err.message);
    cr_assert_eq(length, (int64_t)BLOCK * COPIES);
    vox_source_free(s);
    free(zeros.p);
    free(packed.p);
}
