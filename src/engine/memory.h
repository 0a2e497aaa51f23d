/* memory.h - what the machine and the process's control group leave to a run that was given no cap.
 */
#ifndef VOX_MEMORY_H
#define VOX_MEMORY_H

#include <stdint.h>

/* The smaller of 80 % of the memory that is available now (MemAvailable of proc(5)) and the limits
 * of the process's control group and its parents (memory.max, cgroups(7), version 2;
 * memory.limit_in_bytes, version 1). 0 where neither can be read. */
int64_t vox_memory_default_cap(void);

/* What the process holds apart from the parts of a plan: program, libraries, OpenMP's threads.
 * Measured as the peak resident size of a run over a volume of a few voxels, and rounded up. */
enum { VOX_PROCESS_BYTES = 16 << 20, VOX_THREAD_BYTES = 256 << 10 };

#endif
