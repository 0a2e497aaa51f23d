/* progress.h - the line on stderr that says how far a run is. */
#ifndef VOX_CLI_PROGRESS_H
#define VOX_CLI_PROGRESS_H

#include "voxconv.h"

typedef enum progress_mode { PROGRESS_AUTO, PROGRESS_ALWAYS, PROGRESS_NEVER } progress_mode;
extern const char *const progress_modes[]; /* their names, NULL-terminated */

/* Whether a run is to report progress: AUTO where stderr is a terminal that can go back to the
 * start of a line. */
bool progress_wanted(progress_mode mode);
/* For vox_filter_options.progress; `user` is not used. */
void progress_update(void *user, const vox_progress *progress);
/* Takes the line away, so that something else can be printed. */
void progress_clear(void);

#endif
