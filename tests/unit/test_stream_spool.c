/* test_stream_spool.c - temporary files without a name. */
#include "test_stream.h"

#include <inttypes.h>
#include <sys/statvfs.h>

Test(stream, spool_gives_back_what_was_put_in, .init = scratch_make, .fini = scratch_remove) {
    vox_error err = {0};
    cr_assert_eq(setenv("TMPDIR", scratch, 1), 0);
    vox_spool *s = vox_spool_new(1000000, &err);
    cr_assert_not_null(s, "%s", err.message);
    cr_assert_eq(scratch_entries(), 0, "it has no name");
    bytes data = bytes_mixed(1000000), back = bytes_new(data.n);
    for (int i = 9; i >= 0; i--)
        cr_assert_eq(vox_spool_write_at(s, data.p + 100000 * i, 100000, 100000 * i, &err), VOX_OK);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(vox_spool_read_at(s, back.p + 250000 * i, 250000, 250000 * i, &err), VOX_OK);
    cr_assert(bytes_equal(back, data));
    vox_spool_free(s);
    s = vox_spool_new(0, &err);
    cr_assert_not_null(s, "%s", err.message);
    vox_spool_free(s);
    free(data.p);
    free(back.p);
}

Test(stream, spool_refuses_what_does_not_fit, .init = scratch_make, .fini = scratch_remove) {
    vox_error err = {0};
    struct statvfs v;
    char needed[64];
    cr_assert_eq(setenv("TMPDIR", scratch, 1), 0);
    cr_assert_eq(statvfs(scratch, &v), 0);
    int64_t twice = 2 * (int64_t)v.f_blocks * (int64_t)v.f_frsize; /* twice the file system */
    cr_assert_null(vox_spool_new(twice, &err));
    cr_assert_eq(err.status, VOX_ERR_RESOURCE);
    snprintf(needed, sizeof needed, "(%" PRId64 " bytes) needed", twice);
    cr_assert_not_null(strstr(err.message, needed), "%s", err.message);
    cr_assert_not_null(strstr(err.message, " free"), "%s", err.message);
    cr_assert_eq(strncmp(err.message, scratch, strlen(scratch)), 0, "%s", err.message);
    cr_assert_null(vox_spool_new(INT64_MAX, &err));
    cr_assert_eq(err.status, VOX_ERR_RESOURCE);
}

Test(stream, spool_names_a_folder_that_is_missing) {
    vox_error err = {0};
    cr_assert_eq(setenv("TMPDIR", "/nonexistent", 1), 0);
    cr_assert_null(vox_spool_new(1, &err));
    cr_assert_eq(err.status, VOX_ERR_RESOURCE);
    cr_assert_not_null(
        strstr(err.message, "/nonexistent: temporary file: cannot be created: No such"), "%s",
        err.message);
}
