/* peak.h - what this machine can do at most, measured in the run that quotes it. */
#ifndef PEAK_H
#define PEAK_H

/* Float32 GFLOP/s (2 a multiply-add) of `threads` threads doing nothing but fused multiply-adds in
 * registers for so long, with the widest vectors that the named variant of the kernel uses. */
double peak_gflops(const char *isa, int threads, double seconds);

/* GB/s of `threads` threads copying memory far larger than the caches, once; bytes read plus bytes
 * written. 0 where there is no memory for it. */
double copy_bandwidth(int threads);

double seconds_now(void);

#endif
