/* cases.h - random layers and data for the unit tests, reproducible from a number. */
#ifndef CASES_H
#define CASES_H

#include "dice.h"
#include "reference/reference.h"
#include "voxconv.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

/* A convolution that torch accepts, the same parameters in both vocabularies, with its data. */
typedef struct conv_case {
    vox_conv3d conv;
    ref_conv ref;
    int64_t in[5], out[5];
    float *x, *w, *b; /* b may be NULL */
    int64_t in_count, out_count;
} conv_case;
conv_case conv_case_new(uint64_t seed);
/* One of given parameters, with a bias, for an input of (D, H, W) = in. */
conv_case conv_case_of(const vox_conv3d *conv, const int64_t in[3], uint64_t seed);
void conv_case_free(conv_case *c);
/* A network of this one layer. */
vox_network *conv_case_network(const conv_case *c);

/* One parameter per instruction set that the machine has. */
typedef struct isa_name {
    char text[16];
} isa_name;
struct criterion_test_params isa_params(void);

float *random_values(dice *d, int64_t count);
int64_t product(const int64_t *extent, int n);

#endif
