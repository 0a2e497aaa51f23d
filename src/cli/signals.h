/* signals.h - what a signal does to a run. */
#ifndef VOX_CLI_SIGNALS_H
#define VOX_CLI_SIGNALS_H

/* INT, TERM and HUP remove the temporary files and end the process by the same signal, so that a
 * shell sees 128+N; one that was ignored at the start (nohup) stays ignored. PIPE is ignored: a
 * reader that goes away shows as VOX_ERR_PIPE. */
void signals_install(void);

#endif
