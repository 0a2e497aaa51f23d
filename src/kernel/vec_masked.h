/* vec_masked.h - loads of some lanes, for vocabularies whose machine has no masks: to be included
 * behind VEC_WIDTH and vec_load(). */
#ifndef VOX_VEC_MASKED_H
#define VOX_VEC_MASKED_H

/* Lanes [from, to) of a vector; the others are neither read nor touch their memory, and are 0. */
typedef struct vec_mask {
    int from, to;
} vec_mask;

static inline vec_mask vec_lanes(int from, int to) {
    return (vec_mask){from, to};
}

static inline vec vec_load_masked(const float *p, const vec_mask *m) {
    if (m->from <= 0 && m->to >= VEC_WIDTH)
        return vec_load(p);
    float lane[VEC_WIDTH] = {0};
    for (int i = m->from; i < m->to; i++)
        lane[i] = p[i];
    return vec_load(lane);
}

#endif
