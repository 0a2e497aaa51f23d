/* thread.h - threads that work beside the program's own. */
#ifndef VOX_STREAM_THREAD_H
#define VOX_STREAM_THREAD_H

#include <pthread.h>

enum { VOX_THREAD_STACK_BYTES = 512 << 10 };

/* Starts run(argument) on a thread with a small stack that takes no signals: the program's handlers
 * belong to its own threads. Returns 0 or an errno. */
int vox_thread_start(pthread_t *thread, void *(*run)(void *), void *argument);

#endif
