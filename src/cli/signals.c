/* signals.c - a run that is interrupted leaves nothing behind. */
#include "cli/signals.h"

#include "voxconv.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static void clean_up(int number) {
    if (vox_publishing()) /* all that is left to do is a rename or two */
        return;
    vox_remove_temporaries();
    raise(number); /* SA_RESETHAND has put the default action back, SA_NODEFER lets it through */
}

void signals_install(void) {
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = clean_up;
    action.sa_flags = SA_RESETHAND | SA_NODEFER;
    for (int i = 0; i < 3; i++)
        if (!sigaction(ending[i], NULL, &before) && before.sa_handler != SIG_IGN)
            sigaction(ending[i], &action, NULL);
    /* OpenMP's library ends the process by itself where it gets no threads. */
    atexit(vox_remove_temporaries);
    /* A reader that goes away and a file size limit are errors of a write, not ends of the process.
     */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}
