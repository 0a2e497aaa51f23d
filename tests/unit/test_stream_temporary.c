/* Temporary files and signals. A signal may end the process at any time, so at any time a handler's
 * vox_remove_temporaries has to find every temporary file that there is. The time that chance never
 * meets is the one just before the owner's own unlink; the linker's --wrap (mk/test.mk) stops
 * there. */
#include "stream/temporary.h"
#include "test_stream.h"

#include "voxconv.h"

int __real_unlink(const char *path);
int __wrap_unlink(const char *path);

static bool watching, left_behind;

int __wrap_unlink(const char *path) {
    if (watching) {
        watching = false; /* the handler unlinks, too */
        vox_remove_temporaries();
        left_behind = access(path, F_OK) == 0;
    }
    return __real_unlink(path);
}

Test(stream, a_signal_before_the_removal_leaves_no_temporary_file, .init = scratch_make,
     .fini = scratch_remove) {
    vox_temporary t = {0};
    cr_assert_eq(vox_temporary_new(in_scratch("out.nii"), 0600, &t), 0);
    cr_assert_eq(access(t.path, F_OK), 0);
    watching = true;
    vox_temporary_release(&t, true);
    close(t.fd);
    cr_assert_not(watching, "the file was not removed by its owner");
    cr_assert_not(left_behind, "the handler did not know of the file any more");
}
