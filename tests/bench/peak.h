/* peak.h - what this machine can do at most, measured in the run that quotes it. */
#ifndef PEAK_H
#define PEAK_H

/* Float32 GFLOP/s (2 a multiply-add) of `threads` threads doing nothing but fused multiply-adds in
 * registers, with the widest vectors that the named variant of the kernel uses. */
double peak_gflops(const char *isa, int threads);

/* GB/s of `threads` threads copying memory far larger than the caches; bytes read plus bytes
 * written. */
double copy_bandwidth(int threads);

double seconds_now(void);

#endif
