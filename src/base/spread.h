/* spread.h - units of work over threads, so that data stay in the cache they are in. */
#ifndef VOX_SPREAD_H
#define VOX_SPREAD_H

#include "base/base.h"

/* Calls unit(user, i, thread) once for every i in [0, count), on `threads` threads (0 <= thread <
 * threads), and returns when all are done. Thread t goes through its own share, the units from
 * count*t/threads on, in ascending order, and then helps with what is left of the others'. So where
 * successive calls number their units alike - all of ours have the rows of a plane outermost - a
 * thread meets the rows again that it has written before, and where one thread is slow the others
 * do its work. */
void vox_spread(int threads, int64_t count, void (*unit)(void *user, int64_t i, int thread),
                void *user);

#endif
