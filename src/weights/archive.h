/* archive.h - zip archives for the formats that are one: .npz and torch's .pt.
 *
 * Only archive.c knows libzip, which checks an archive's structure and, at the end of a member, its
 * CRC and length. What it does not check, whether a member can be as long as it claims and whether
 * a name occurs once, is checked here. Errors: VOX_ERR_WEIGHTS, VOX_ERR_RESOURCE.
 */
#ifndef VOX_ARCHIVE_H
#define VOX_ARCHIVE_H

#include "weights/weights.h"

/* Whether a file that starts with these bytes is a zip archive. */
bool vox_archive_sniff(const unsigned char *head, int64_t bytes);

/* `bytes` is the length of the file, which holds what its members claim to hold. */
vox_archive *vox_archive_open(const char *path, int64_t bytes, vox_error *err);
void vox_archive_free(vox_archive *a);
int64_t vox_archive_count(const vox_archive *a);
/* In the archive's order, each once; the archive's own. */
const char *vox_archive_name(const vox_archive *a, int64_t member);
/* The member of this name; -1: there is none. */
int64_t vox_archive_find(const vox_archive *a, const char *name);

/* The length that the archive gives a member, if it can be true; `label` is for messages. */
vox_status vox_archive_length(const vox_archive *a, int64_t member, const char *label,
                              int64_t *length, vox_error *err);
/* Starts to read a member: b->length is believable, and b->read() gives its bytes. b->label is the
 * caller's and says in messages what the member is. A member once started wants its stop. */
vox_status vox_archive_start(vox_archive *a, int64_t member, vox_bytes *b, vox_error *err);
/* After the last byte: whether the member ends here and its CRC fits. */
vox_status vox_archive_check_end(vox_bytes *b, vox_error *err);
void vox_archive_stop(vox_bytes *b);

/* Writes an archive of stored members, the same bytes for the same members at any time. */
vox_status vox_archive_write(const char *path, int count, const char *const *names,
                             const unsigned char *const *data, const int64_t *bytes, bool force,
                             vox_error *err);

#endif
