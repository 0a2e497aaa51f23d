/* cases.c - see cases.h. */
#include "cases.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

int64_t product(const int64_t *extent, int n) {
    int64_t p = 1;
    for (int i = 0; i < n; i++)
        p *= extent[i];
    return p;
}

float *random_values(dice *d, int64_t count) {
    float *v = malloc((size_t)count * sizeof *v);
    cr_assert_not_null(v);
    for (int64_t i = 0; i < count; i++)
        v[i] = dice_value(d);
    return v;
}

/* The reference's parameters, sizes and values, once conv, ref.mode and in[0, 2, 3, 4] are there.
 */
static void fill(conv_case *c, dice *d, bool bias) {
    c->ref.in_channels = c->conv.in_channels;
    c->ref.out_channels = c->conv.out_channels;
    c->ref.groups = c->conv.groups;
    for (int i = 0; i < 3; i++) {
        c->ref.kernel[i] = c->conv.kernel_size[i];
        c->ref.stride[i] = c->conv.stride[i];
        c->ref.dilation[i] = c->conv.dilation[i];
        c->ref.before[i] = c->conv.padding_before[i];
        c->ref.after[i] = c->conv.padding_after[i];
    }
    c->out[0] = c->in[0];
    c->in[1] = c->conv.in_channels;
    c->out[1] = c->conv.out_channels;
    ref_conv_size(&c->ref, c->in + 2, c->out + 2);
    c->in_count = product(c->in, 5);
    c->out_count = product(c->out, 5);
    c->x = random_values(d, c->in_count);
    c->w = random_values(d, c->conv.out_channels * (c->conv.in_channels / c->conv.groups) *
                                product(c->conv.kernel_size, 3));
    if (bias)
        c->b = random_values(d, c->conv.out_channels);
}

conv_case conv_case_new(uint64_t seed) {
    dice d = dice_new(seed);
    conv_case c = {0};
    vox_conv3d_defaults(&c.conv);
    c.ref.mode = (ref_mode)dice_between(&d, 0, 3);
    c.conv.padding_mode = (vox_padding_mode)c.ref.mode;
    c.conv.groups = dice_between(&d, 0, 2) ? 1 : dice_between(&d, 2, 4);
    c.conv.in_channels = c.conv.groups * dice_between(&d, 1, 4);
    c.conv.out_channels = c.conv.groups * dice_between(&d, 1, 19);
    for (int i = 0; i < 3; i++) {
        c.conv.kernel_size[i] = dice_between(&d, 1, 5);
        c.conv.stride[i] = dice_between(&d, 1, 3);
        c.conv.dilation[i] = dice_between(&d, 1, 3);
        c.conv.padding_before[i] = dice_between(&d, 0, 4);
        c.conv.padding_after[i] = dice_between(&d, 0, 4);
        int64_t span = c.conv.dilation[i] * (c.conv.kernel_size[i] - 1) + 1;
        c.in[2 + i] = dice_between(&d, 1, i == 2 ? 70 : 12);
        while (c.in[2 + i] + c.conv.padding_before[i] + c.conv.padding_after[i] < span ||
               c.in[2 + i] <= 4)
            c.in[2 + i]++; /* room for the kernel, and for every mode's padding */
    }
    c.in[0] = dice_between(&d, 1, 2);
    fill(&c, &d, dice_between(&d, 0, 1));
    return c;
}

conv_case conv_case_of(const vox_conv3d *conv, const int64_t in[3], uint64_t seed) {
    dice d = dice_new(seed);
    conv_case c = {.conv = *conv, .in = {1, conv->in_channels, in[0], in[1], in[2]}};
    c.ref.mode = (ref_mode)conv->padding_mode;
    fill(&c, &d, true);
    return c;
}

void conv_case_free(conv_case *c) {
    free(c->x);
    free(c->w);
    free(c->b);
}

vox_network *conv_case_network(const conv_case *c) {
    vox_error err = {0};
    vox_network *network = vox_network_new(&err);
    cr_assert_not_null(network);
    cr_assert_eq(vox_network_conv3d(network, &c->conv, c->w, c->b, &err), VOX_OK, "%s",
                 err.message);
    return network;
}

struct criterion_test_params isa_params(void) {
    static isa_name names[8];
    size_t count = 0;
    for (const char *const *n = vox_isa_available(); *n; n++)
        strcpy(names[count++].text, *n);
    return cr_make_param_array(isa_name, names, count);
}
