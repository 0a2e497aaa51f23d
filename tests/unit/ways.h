/* ways.h - one network run in every way there is. */
#ifndef WAYS_H
#define WAYS_H

#include "voxconv.h"

/* Runs a network over x (C, D, H, W) whole, and then again in slabs of 1 to D planes, with one,
 * two and three threads by turns, with every instruction set, two volumes one after the other, and
 * whole between guard pages: all must give the same bits. Returns the result, which the caller
 * frees, and its shape. */
float *run_every_way(const vox_network *n, const int64_t in[4], const float *x, int64_t out[4]);

#endif
