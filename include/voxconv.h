/* voxconv.h - the whole public API of libvoxconv.
 *
 * A tensor is float32 (N, C, D, H, W), W fastest. NIfTI's i (x) is W, j (y) is H, k (z) is D, so a
 * file's own order is the tensor's order. Arrays of three are {D, H, W}, as in torch.
 *
 * Every function that can fail takes a `vox_error *err` last; it may be NULL. Constructors return
 * NULL on failure, verbs a status. The library never prints and never exits. What a constructor
 * returns is freed by the `_free` of the same name; `_free(NULL)` does nothing. Handles are not
 * locked: one thread at a time may use a handle; different handles may be used from different
 * threads.
 */
#ifndef VOXCONV_H
#define VOXCONV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VOX_VERSION "0.1.0"

/* ---- Errors ------------------------------------------------------------------------------------
 */

/* The values are the exit statuses of the command. */
typedef enum vox_status {
    VOX_OK = 0,
    VOX_ERR_INTERNAL = 1,    /* our own mistake */
    VOX_ERR_USAGE = 2,       /* options that contradict each other or make no sense */
    VOX_ERR_INPUT = 3,       /* an input volume that is missing, damaged or malformed */
    VOX_ERR_UNSUPPORTED = 4, /* a valid request that voxconv does not serve */
    VOX_ERR_WEIGHTS = 5,     /* a weights file that is missing, malformed or does not fit */
    VOX_ERR_OUTPUT = 6,      /* the output cannot be written */
    VOX_ERR_RESOURCE = 7,    /* memory, threads, temporary space */
    VOX_ERR_PIPE = 141,      /* the reader of our output went away (128 + SIGPIPE) */
} vox_status;

/* What went wrong: one sentence "FILE: field=value: reason" without a trailing newline. */
typedef struct vox_error {
    vox_status status;
    char message[1024];
} vox_error;

/* ---- Tensors: weights, biases, statistics ------------------------------------------------------
 */

enum { VOX_MAX_RANK = 8 };

/* A dense float32 array, last index fastest. */
typedef struct vox_tensor {
    int rank; /* 0 to VOX_MAX_RANK */
    int64_t shape[VOX_MAX_RANK];
    int64_t count; /* product of shape */
    float *data;   /* owned */
} vox_tensor;

/* A tensor of zeros. Errors: VOX_ERR_USAGE for a bad shape, VOX_ERR_RESOURCE. */
vox_tensor *vox_tensor_new(int rank, const int64_t *shape, vox_error *err);
void vox_tensor_free(vox_tensor *t);

/* A tensor file: .npy, .npz, .safetensors, .pt (what torch.save makes of a state_dict, or of
 * dictionaries that hold one: names are the keys joined by dots), text (a line of sizes, then
 * numbers) or NIfTI. The format is found from the content, not the name. Errors: VOX_ERR_WEIGHTS,
 * VOX_ERR_RESOURCE. */
typedef struct vox_weights vox_weights;
vox_weights *vox_weights_open(const char *path, vox_error *err);
void vox_weights_free(vox_weights *w);
const char *vox_weights_path(const vox_weights *w);
int vox_weights_count(const vox_weights *w);
/* The name of array i; "" in formats that hold a single nameless array (.npy, text, NIfTI). */
const char *vox_weights_name(const vox_weights *w, int i);
bool vox_weights_has(const vox_weights *w, const char *name);
/* Reads one array, converted to float32 (nearest even); the caller frees it. `name` NULL or ""
 * takes the only array of the file and fails where there are several. A missing name's message
 * lists the names that there are. */
vox_tensor *vox_weights_get(vox_weights *w, const char *name, vox_error *err);

/* Writes `count` named tensors to a file; the format follows the name (.npy and .txt and .nii[.gz]
 * take exactly one; .npz, .safetensors any number, where a name that is NULL or "" becomes
 * "weight"). The file appears only when it is complete; an existing one is refused unless `force`.
 * "-" is stdout, as .npy. Errors: VOX_ERR_OUTPUT, VOX_ERR_USAGE for an unknown ending or a shape
 * that the format cannot hold. */
vox_status vox_weights_save(const char *path, int count, const char *const *names,
                            const vox_tensor *const *tensors, bool force, vox_error *err);

/* Named kernels: "identity", "box:3", "gaussian:2mm", "log:2mm", "laplacian", "sobel:x", "sharpen",
 * ... A size is N or D,H,W, in voxels; "vox" behind it says so, "mm" makes it mm. `voxel_mm` is the
 * {D, H, W} spacing in mm, for sizes in mm; NULL where it is not known. Gives 1 dense rank-3
 * kernel, or 3 kernels of shapes (k,1,1), (1,k,1), (1,1,k) whose successive application is the
 * filter. The caller frees `parts[0..*count)`. Errors: VOX_ERR_USAGE. */
vox_status vox_kernel_named(const char *spec, const double voxel_mm[3], vox_tensor *parts[3],
                            int *count, vox_error *err);
/* The list of the specs that vox_kernel_named knows, one "NAME\tDESCRIPTION" a line. */
const char *vox_kernel_list(void);

typedef enum vox_init {
    VOX_INIT_KAIMING_UNIFORM, /* torch.nn.init.kaiming_uniform_(w), a=0, fan_in; bias 0 */
    VOX_INIT_KAIMING_NORMAL,  /* torch.nn.init.kaiming_normal_(w), a=0, fan_in; bias 0 */
    VOX_INIT_TORCH,           /* torch.nn.Conv3d's own reset_parameters */
} vox_init;

/* Fills `weight` [out_channels, in_channels/groups, kD, kH, kW] and, where not NULL, `bias`
 * [out_channels] as torch does after torch.manual_seed(seed). */
vox_status vox_init_conv3d(vox_init scheme, uint64_t seed, vox_tensor *weight, vox_tensor *bias,
                           vox_error *err);

/* ---- Layers and networks --------------------------------------------------------------------- */

typedef enum vox_padding_mode {
    VOX_PAD_ZEROS,
    VOX_PAD_REFLECT,
    VOX_PAD_REPLICATE,
    VOX_PAD_CIRCULAR,
} vox_padding_mode;

typedef enum vox_padding {
    VOX_PADDING_EXPLICIT,   /* the numbers in padding_before and padding_after */
    VOX_PADDING_SAME,       /* torch's 'same': total d*(k-1), the odd one after; stride 1 only */
    VOX_PADDING_VALID,      /* none */
    VOX_PADDING_SAME_UPPER, /* Keras's 'same': max((ceil(n/s)-1)*s + d*(k-1)+1 - n, 0), odd one
                               after */
} vox_padding;

/* torch.nn.Conv3d's parameters. */
typedef struct vox_conv3d {
    int64_t in_channels, out_channels, groups;
    int64_t kernel_size[3], stride[3], dilation[3];
    vox_padding padding;
    int64_t padding_before[3], padding_after[3];
    vox_padding_mode padding_mode;
} vox_conv3d;
/* in_channels = out_channels = groups = 1, kernel_size 1, stride 1, dilation 1, no padding, zeros.
 */
void vox_conv3d_defaults(vox_conv3d *c);

/* Elementwise functions as torch and ONNX define them; a and b are the parameters, with torch's
 * names and defaults. */
typedef enum vox_activation {
    VOX_ACT_RELU,        /* max(x, 0) */
    VOX_ACT_LEAKY_RELU,  /* x < 0 ? a*x : x; negative_slope 0.01 */
    VOX_ACT_ELU,         /* x < 0 ? a*(exp(x) - 1) : x; alpha 1 */
    VOX_ACT_SELU,        /* b*(x < 0 ? a*(exp(x) - 1) : x); alpha 1.67326..., scale 1.05070... */
    VOX_ACT_GELU,        /* x*(1 + erf(x/sqrt(2)))/2 */
    VOX_ACT_GELU_TANH,   /* x*(1 + tanh(sqrt(2/pi)*(x + 0.044715*x*x*x)))/2 */
    VOX_ACT_SIGMOID,     /* 1/(1 + exp(-x)) */
    VOX_ACT_HARDSIGMOID, /* min(max(a*x + b, 0), 1); alpha 1/6, beta 0.5 (ONNX's alpha: 0.2) */
    VOX_ACT_HARDSWISH,   /* x*min(max(x/6 + 0.5, 0), 1) */
    VOX_ACT_SILU,        /* x/(1 + exp(-x)), also called swish */
    VOX_ACT_TANH,
    VOX_ACT_SOFTPLUS, /* a*x > b ? x : log(1 + exp(a*x))/a; beta 1 (not 0), threshold 20 (may be
                         infinite) */
    VOX_ACT_MISH,     /* x*tanh(log(1 + exp(x))) */
    VOX_ACT_SOFTSIGN, /* x/(1 + |x|) */
    VOX_ACT_CLIP,     /* min(max(x, a), b); min and max, each may be infinite and is by default;
                         relu6 is 0 to 6 */
    VOX_ACT_ERF,
    VOX_ACT_EXP,
    VOX_ACT_LOG,
    VOX_ACT_SQRT,
    VOX_ACT_ABS,
    VOX_ACT_NEG,
    VOX_ACT_RECIPROCAL,  /* 1/x */
    VOX_ACT_SOFTMAX,     /* exp(x)/sum of exp(x) over the channels */
    VOX_ACT_LOG_SOFTMAX, /* its logarithm */
} vox_activation;

/* Writes torch's defaults to parameter[] and returns how many parameters the kind has (0 to 2). */
int vox_activation_defaults(vox_activation kind, double parameter[2]);

/* torch.nn.ConvTranspose3d's parameters. The output's extent is
 * (in-1)*stride - padding_before - padding_after + dilation*(kernel_size-1) + output_padding + 1.
 */
typedef struct vox_conv_transpose3d {
    int64_t in_channels, out_channels, groups;
    int64_t kernel_size[3], stride[3], dilation[3];
    int64_t padding_before[3], padding_after[3], output_padding[3];
} vox_conv_transpose3d;
/* As vox_conv3d_defaults(). */
void vox_conv_transpose3d_defaults(vox_conv_transpose3d *c);

/* torch.nn.MaxPool3d and torch.nn.AvgPool3d; the two sides of the padding may differ. */
typedef struct vox_pool3d {
    bool average;
    int64_t kernel_size[3], stride[3], dilation[3]; /* dilation: max pooling only */
    int64_t padding_before[3], padding_after[3];
    bool ceil_mode;
    bool count_include_pad; /* average pooling only; torch's default is true */
} vox_pool3d;
/* kernel_size 2, stride 2, no padding, dilation 1, floor, count_include_pad. */
void vox_pool3d_defaults(vox_pool3d *p);

typedef enum vox_resize_mode { VOX_RESIZE_NEAREST, VOX_RESIZE_LINEAR } vox_resize_mode;
/* Which input coordinate x an output index o stands for, by the names of ONNX's Resize; s is the
 * scale, out/in where sizes are given. */
typedef enum vox_resize_coordinates {
    VOX_RESIZE_HALF_PIXEL,         /* (o + 0.5)/s - 0.5: torch's align_corners=False, and
                                      nearest-exact */
    VOX_RESIZE_ASYMMETRIC,         /* o/s: torch's nearest */
    VOX_RESIZE_ALIGN_CORNERS,      /* o*(in - 1)/(out - 1): torch's align_corners=True */
    VOX_RESIZE_PYTORCH_HALF_PIXEL, /* as the first, but 0 where out is 1 */
} vox_resize_coordinates;
/* Which voxel is nearest to a coordinate. */
typedef enum vox_resize_nearest {
    VOX_RESIZE_ROUND_PREFER_FLOOR,
    VOX_RESIZE_ROUND_PREFER_CEIL, /* torch's nearest-exact, with half pixels */
    VOX_RESIZE_FLOOR,             /* torch's nearest, asymmetric */
    VOX_RESIZE_CEIL,
} vox_resize_nearest;
/* torch.nn.functional.interpolate and ONNX's Resize. */
typedef struct vox_resize {
    vox_resize_mode mode;
    int64_t size[3]; /* of the output; 0: floor(in*scale) */
    double scale[3]; /* out/in; where there is a size it is not looked at, as torch does with
                        recompute_scale_factor=True */
    vox_resize_coordinates coordinates;
    vox_resize_nearest nearest; /* VOX_RESIZE_NEAREST only */
} vox_resize;
/* Nearest, scale 1, asymmetric, floor: torch's default. */
void vox_resize_defaults(vox_resize *r);

/* A network of layers over one input. A layer takes the current value, and its result becomes the
 * current value: layers that are added one after the other are a chain. Another graph comes from
 * going back to an earlier value (vox_network_select) and from layers that join several. The
 * current value at last is the network's output; what it does not need is not computed. */
typedef struct vox_network vox_network;
vox_network *vox_network_new(vox_error *err);
void vox_network_free(vox_network *n);
/* The number of the current value; 0 is the input. */
int vox_network_value(const vox_network *n);
/* Makes an earlier value the current one. Errors: VOX_ERR_USAGE where there is none such. */
vox_status vox_network_select(vox_network *n, int value, vox_error *err);

/* Adds torch.nn.Conv3d. weight [out_channels, in_channels/groups, kD, kH, kW], bias [out_channels]
 * or NULL; both are copied. Errors: VOX_ERR_USAGE for parameters that torch refuses. */
vox_status vox_network_conv3d(vox_network *n, const vox_conv3d *conv, const float *weight,
                              const float *bias, vox_error *err);
/* Adds torch.nn.BatchNorm3d in eval mode: y = (x - running_mean) / sqrt(running_var + eps) * weight
 * + bias, each [channels]; weight and bias may be NULL (1 and 0). Computed as one fused
 * multiply-add x*alpha + beta with alpha and beta rounded to float32 from double. */
vox_status vox_network_batchnorm3d(vox_network *n, int64_t channels, const float *running_mean,
                                   const float *running_var, const float *weight, const float *bias,
                                   double eps, vox_error *err);
/* Adds torch.nn.ConvTranspose3d. weight [in_channels, out_channels/groups, kD, kH, kW], bias
 * [out_channels] or NULL; both are copied. An output starts at its bias and takes one fused
 * multiply-add per tap that meets an input, in the order of in_channel and the input's d, h, w,
 * ascending. Errors: VOX_ERR_USAGE for parameters that torch refuses, VOX_ERR_UNSUPPORTED for
 * weights that are not finite. */
vox_status vox_network_conv_transpose3d(vox_network *n, const vox_conv_transpose3d *conv,
                                        const float *weight, const float *bias, vox_error *err);
/* Adds torch.nn.Linear behind torch.nn.Flatten: the value's C*D*H*W numbers, in that order, are the
 * features; the result is (out_features, 1, 1, 1). weight [out_features, in_features], bias
 * [out_features] or NULL; both are copied. Waits for the whole volume. Computed as a convolution
 * whose kernel is as large as its input. */
vox_status vox_network_linear(vox_network *n, int64_t in_features, int64_t out_features,
                              const float *weight, const float *bias, vox_error *err);
/* Adds torch.nn.GroupNorm: y = (x - mean) / sqrt(variance + eps) * weight + bias, with the mean and
 * the variance (of the population) over a group's channels, D, H and W; weight and bias [channels]
 * or NULL (1 and 0). groups == channels is torch.nn.InstanceNorm3d, groups == 1 torch.nn.LayerNorm
 * over C, D, H, W with a weight per channel. Statistics are double; then as batch normalisation.
 * Waits for the whole volume. Errors: VOX_ERR_USAGE where groups does not divide channels. */
vox_status vox_network_group_norm(vox_network *n, int64_t groups, int64_t channels,
                                  const float *weight, const float *bias, double eps,
                                  vox_error *err);
/* Adds an elementwise function. parameter: as many values as the kind has, or NULL for torch's
 * defaults; they are rounded to float32. NaN stays NaN. Errors: VOX_ERR_USAGE for a parameter that
 * is not finite and may not be infinite. */
vox_status vox_network_activation(vox_network *n, vox_activation kind, const double *parameter,
                                  vox_error *err);
/* Adds torch.nn.PReLU: x < 0 ? slope*x : x with a slope for each channel, slope [channels], or with
 * channels = 1 one for all; copied. */
vox_status vox_network_prelu(vox_network *n, int64_t channels, const float *slope, vox_error *err);
vox_status vox_network_pool3d(vox_network *n, const vox_pool3d *pool, vox_error *err);
/* Adds torch.nn.AdaptiveAvgPool3d or AdaptiveMaxPool3d: along each axis output o is made from
 * inputs floor(o*in/size) to ceil((o+1)*in/size) - 1. size 1, 1, 1 is global pooling. */
vox_status vox_network_adaptive_pool3d(vox_network *n, bool average, const int64_t size[3],
                                       vox_error *err);
/* Adds torch.nn.functional.interpolate or ONNX's Resize; beyond the first and the last voxel their
 * values stay. Linear: a*(1-t) + b*t along D, then H, then W, t rounded to float32 from double.
 * Nearest: coordinates are float32, as in torch, so that it is the same voxel. Linear with half
 * pixels and a scale that leaves the size as it is copies, as in torch. */
vox_status vox_network_resize3d(vox_network *n, const vox_resize *r, vox_error *err);
/* Adds torch.nn.PixelShuffle for three axes: (C*r0*r1*r2, D, H, W) to (C, D*r0, H*r1, W*r2). Where
 * `crd`, channel ((c*r0 + i)*r1 + j)*r2 + k is voxel (i, j, k) of output channel c (torch's order,
 * ONNX's CRD); else channel ((i*r1 + j)*r2 + k)*C + c (ONNX's DCR). */
vox_status vox_network_pixel_shuffle3d(vox_network *n, const int64_t factor[3], bool crd,
                                       vox_error *err);

typedef enum vox_join { VOX_JOIN_ADD, VOX_JOIN_SUB, VOX_JOIN_MUL, VOX_JOIN_DIV } vox_join;
/* Adds `value a` op `value b`, elementwise. An extent of 1 in one of them (of C, or of D, H and W
 * together) is repeated to the other's; the result has the shape of one of the two. */
vox_status vox_network_join(vox_network *n, vox_join op, int a, int b, vox_error *err);
/* Adds the channels of all values behind each other, torch.cat(values, 1). */
vox_status vox_network_concat(vox_network *n, int count, const int *values, vox_error *err);

/* Puts batch normalisation into the weights of the convolution that it follows, where nobody else
 * reads that one: as torch.nn.utils.fusion.fuse_conv_bn_eval does. Values stay what they were but
 * for the rounding of those weights. */
void vox_network_fold(vox_network *n);

/* Adds torch.argmax(x, 1): the number of the largest channel, in one channel. */
vox_status vox_network_argmax(vox_network *n, vox_error *err);

/* A part of the value, as NumPy's x[:, from:from+count*step:step] does along C, D, H and W; `from`
 * may be negative, and from + count*step may lie beyond the value: what is not there is made as
 * torch.nn.functional.pad does it (mode, and `fill` for VOX_PAD_ZEROS). Along C neither. */
typedef struct vox_slice {
    int64_t from[4], step[4], count[4];
    vox_padding_mode mode;
    float fill;
} vox_slice;
vox_status vox_network_slice(vox_network *n, const vox_slice *slice, vox_error *err);

/* The (C, D, H, W) that comes out for an input of (C, D, H, W). Errors: VOX_ERR_USAGE where a layer
 * does not fit (channels, kernel larger than the padded input, padding beyond its mode's limit);
 * the message names the layer and both numbers. */
vox_status vox_network_shape(const vox_network *n, const int64_t in[4], int64_t out[4],
                             vox_error *err);
/* Output voxel o lies at input index o*stride + origin along each of D, H, W. */
vox_status vox_network_geometry(const vox_network *n, const int64_t in[4], double stride[3],
                                double origin[3], vox_error *err);

/* Names the layer that gives `value`, for vox_network_layers; the name is copied. Errors:
 * VOX_ERR_USAGE where there is no such layer. */
vox_status vox_network_name(vox_network *n, int value, const char *name, vox_error *err);

/* A layer, for an input of a given shape. */
typedef struct vox_layer_info {
    const char *kind;           /* "conv3d", "relu", ...: as long as the network lives */
    const char *name;           /* what vox_network_name was given, or "" */
    bool used;                  /* the output needs it; of others just kind, name and parameters */
    int64_t shape[4];           /* C, D, H, W of its result */
    int64_t parameters;         /* as torch counts them: weights and biases, no statistics */
    int64_t multiply_adds;      /* of a frame, padding included; INT64_MAX where they are more */
    int64_t receptive_field[3]; /* D, H, W: voxels of the network's input that one of the result is
                                   made from, at most and far from the faces; 0: all, or more than
                                   can be said */
    const char *waits; /* why its first plane needs the last one of what it reads, or NULL */
} vox_layer_info;
/* Layer i gives value i + 1. */
int vox_network_layer_count(const vox_network *n);
/* Fills info[vox_network_layer_count] for an input (C, D, H, W). Errors: as vox_network_shape. */
vox_status vox_network_layers(const vox_network *n, const int64_t in[4], vox_layer_info *info,
                              vox_error *err);

/* Runs the network over a float32 array in memory: x (N, C, D, H, W) of `in` (five extents), y the
 * array that vox_network_shape promises, both dense and owned by the caller. threads 0:
 * OMP_NUM_THREADS or all cores. The same engine as for files. */
vox_status vox_network_run(const vox_network *n, const float *x, const int64_t in[5], float *y,
                           int threads, vox_error *err);

/* ---- Models: networks from files ------------------------------------------------------------- */

typedef struct vox_model_options {
    const char *weights; /* text networks: a file of tensors by name, or NULL; FILE:PREFIX as for
                            the command's -w */
    bool init;           /* text networks: torch's own initial weights instead */
    uint64_t seed;
    bool axes_whd; /* the model's axes are x, y, z: its kernels are turned, the volume is not */
    /* ONNX models, which have named inputs and outputs: */
    const char *output_name; /* the output that is wanted; NULL: the first */
    int input_count; /* inputs beside the volume, [input_count] names and values: they become
                        constants of the model, in the type that it says; copied */
    const char *const *input_name;
    const vox_tensor *const *input_value;
} vox_model_options;

/* A file that describes a network. */
typedef struct vox_model vox_model;
/* The format is found from the content. Errors: VOX_ERR_WEIGHTS for a file that is missing,
 * malformed or does not fit its weights, VOX_ERR_UNSUPPORTED for a layer that is not served,
 * VOX_ERR_USAGE for names that it does not have, VOX_ERR_RESOURCE. */
vox_model *vox_model_open(const char *path, const vox_model_options *o, vox_error *err);
void vox_model_free(vox_model *m);
/* Channels of the input; 0: any. */
int64_t vox_model_in_channels(const vox_model *m);
/* D, H and W of the input that it was made for; 0: any. Networks of local layers take others, too.
 */
void vox_model_in_size(const vox_model *m, int64_t size[3]);
/* Whether what comes out is a vector of numbers, and no volume. */
bool vox_model_gives_vector(const vox_model *m);
/* The network for an input (C, D, H, W); the caller frees it. */
vox_network *vox_model_network(const vox_model *m, const int64_t in[4], vox_error *err);

/* Names of the numbers in a label map: text, "NUMBER NAME" a line, behind which FreeSurfer's R G B
 * A may stand; or JSON, an object of names by number, a list of names from 0 on, or an object whose
 * member `labels` is one of the two, a name being a string or an object with a `name`. Errors:
 * VOX_ERR_WEIGHTS, VOX_ERR_RESOURCE. */
typedef struct vox_labels vox_labels;
vox_labels *vox_labels_open(const char *path, vox_error *err);
void vox_labels_free(vox_labels *l);
/* NULL where the number has no name. Valid as long as `l` lives. */
const char *vox_labels_name(const vox_labels *l, int64_t number);

/* The instruction set in use ("avx512", "avx2", "neon", "portable"): the best that machine and
 * operating system have, or what the environment's VOXCONV_ISA or vox_isa_select() names. */
const char *vox_isa(void);
/* Selects one by name, or "auto". Not thread-safe. Errors: VOX_ERR_UNSUPPORTED where the machine
 * lacks it, VOX_ERR_USAGE for an unknown name. */
vox_status vox_isa_select(const char *name, vox_error *err);
/* The names of all that this machine can run, best first, NULL-terminated. */
const char *const *vox_isa_available(void);

/* ---- Volumes -----------------------------------------------------------------------------------
 */

/* What a NIfTI header says, in machine order, NIfTI's own names where they exist. */
typedef struct vox_volume_info {
    const char *path;  /* as given; "-" for stdin */
    int nifti_version; /* 1 or 2; 0: a tensor, see tensor_axes */
    int tensor_axes;   /* of a .npy file: 3 to 5; dim[1], [2], [3], [5], [6] are W, H, D, C, N */
    bool gzip, pair, swapped;
    int64_t dim[8];
    double pixdim[8];
    int datatype, bitpix;
    const char *datatype_name; /* "int16", "rgb24", ... */
    double scl_slope, scl_inter, cal_min, cal_max, toffset, slice_duration;
    int64_t slice_start, slice_end;
    int slice_code, dim_info, xyzt_units, intent_code, qform_code, sform_code;
    double intent_p[3], quatern[3], qoffset[3], srow[3][4];
    double affine[3][4];   /* voxel (i,j,k) to mm: sform, else qform, else pixdim */
    char affine_source[8]; /* "sform", "qform", "pixdim" */
    char orientation[4];   /* "RAS", "LPI", ...: where i, j, k grow towards */
    char intent_name[17], descrip[81], aux_file[25];
    int64_t vox_offset;
    int extension_count;
    const int *extension_code;      /* [extension_count] */
    const int64_t *extension_bytes; /* [extension_count], esize */
    int64_t data_bytes;             /* what the dims and bitpix need */
} vox_volume_info;

/* One or more NIfTI files of one grid, or tensors of one shape, opened for one pass. A tensor is a
 * .npy file, known by its first bytes: (N, C, D, H, W); without N (C, D, H, W); or one channel
 * alone, (D, H, W). Spacing is 1, the affine the identity. */
typedef struct vox_input vox_input;
/* Opens and checks the headers; reads no voxels. Several files are stacked as channels and must
 * agree in grid. "-" is stdin (at most once). Errors: VOX_ERR_INPUT, VOX_ERR_UNSUPPORTED,
 * VOX_ERR_RESOURCE. */
vox_input *vox_input_open(const char *const *paths, int count, vox_error *err);
void vox_input_free(vox_input *in);
int vox_input_count(const vox_input *in);
/* Valid as long as `in` lives. */
const vox_volume_info *vox_input_info(const vox_input *in, int i);

typedef enum vox_time { VOX_TIME_AUTO, VOX_TIME_BATCH, VOX_TIME_CHANNELS } vox_time;

/* How the voxels of an input are seen as (N, C, D, H, W). */
typedef struct vox_layout {
    int64_t batch, channels, size[3];
    bool time_is_channels; /* the t axis is C */
} vox_layout;
/* `in_channels` is the layer's, or 0 where one filter serves each channel on its own. Errors:
 * VOX_ERR_USAGE with both numbers where neither reading fits. */
vox_status vox_input_layout(const vox_input *in, int64_t in_channels, vox_time time,
                            vox_layout *layout, vox_error *err);

/* Statistics over the scaled values of file i, one streaming pass (consumes the input). */
typedef struct vox_statistics {
    int64_t count, nan_count, inf_count; /* voxels (components), of which not finite */
    double min, max, mean, stddev;       /* over the finite ones; stddev of the population */
} vox_statistics;
vox_status vox_input_statistics(vox_input *in, int i, vox_statistics *s, vox_error *err);

/* ---- What goes into a network ------------------------------------------------------------------
 */

/* What becomes of a frame's values before a network sees them, each channel for itself. Statistics
 * are those of the values that the network would see, in double precision, without the values that
 * are not finite; NaN stays NaN. A channel of one value becomes 0. */
typedef enum vox_intensity {
    VOX_INTENSITY_UNSET = 0,  /* none; a model card may say another */
    VOX_INTENSITY_NONE,       /* as they are */
    VOX_INTENSITY_MINMAX,     /* (x - min)/(max - min) */
    VOX_INTENSITY_PERCENTILE, /* clipped to two percentiles (numpy.percentile's linear ones), and
                                 these to 0 and 1 */
    VOX_INTENSITY_ZSCORE,     /* (x - mean)/std, of the population; MONAI's NormalizeIntensity with
                                 channel_wise */
    VOX_INTENSITY_WINDOW,     /* clipped to level - width/2 and level + width/2, and these to 0 and
                                 1 */
} vox_intensity;

typedef struct vox_prepare {
    vox_intensity intensity;
    double parameter[2]; /* percentiles, or level and width */
    bool nonzero;        /* VOX_INTENSITY_ZSCORE: of the values other than 0; these stay 0 */

    /* The grid that the network sees, as nibabel.processing.conform makes it with order=1: turned
     * to the orientation, then resampled about the voxel in the middle, linearly, 0 where the input
     * has nothing. The intensities are those of this grid. Its output comes back onto the input's
     * grid: linearly, labels by the nearest voxel. */
    char orientation[4];  /* "RAS", ...: where W, H and D grow towards; "": as they do */
    double spacing_mm[3]; /* D, H, W; 0: the input's */
    int64_t shape[3];     /* D, H, W; 0: as many voxels as hold all of the input's */
    bool labels;          /* what comes out are labels */
} vox_prepare;

/* "none", "minmax", "percentile:LO,HI", "zscore", "zscore:nonzero" or "window:LEVEL,WIDTH". Errors:
 * VOX_ERR_USAGE with the reason alone. */
vox_status vox_prepare_intensity(vox_prepare *p, const char *text, vox_error *err);
/* "RAS", "LIA", ...: one letter of each of R/L, A/P and S/I. Errors: as above. */
vox_status vox_prepare_orientation(vox_prepare *p, const char *text, vox_error *err);
/* D, H and W of the grid that a network sees. Errors: VOX_ERR_USAGE, also for an orientation or a
 * spacing of a tensor, which has neither; VOX_ERR_INPUT where the
 * affine does not say how the volume lies. */
vox_status vox_prepare_size(const vox_input *in, const vox_prepare *p, int64_t size[3],
                            vox_error *err);

/* A model card: what a model was trained on, as a JSON object in a file; the keys are axes,
 * intensity, orientation, spacing, shape, softmax, argmax, labels and description. What it does not
 * say is 0. */
typedef struct vox_card {
    bool axes_given, axes_whd; /* as in vox_model_options */
    vox_prepare prepare;
    bool softmax, argmax;
    char *labels; /* path of a file with the names of labels: beside the card, or the card itself;
                     NULL: none. Owned */
} vox_card;
/* Errors: VOX_ERR_WEIGHTS with file and key for what is no card, VOX_ERR_RESOURCE. */
vox_status vox_card_read(const char *path, vox_card *card, vox_error *err);
void vox_card_clear(vox_card *card);

/* ---- Filtering ---------------------------------------------------------------------------------
 */

typedef struct vox_progress {
    const char *phase;   /* "spooling", "filtering", "writing" */
    int64_t done, total; /* voxels of the input */
} vox_progress;

enum { VOX_DATATYPE_INPUT = -1 };

/* What becomes of patches. */
typedef enum vox_blend {
    VOX_BLEND_EXACT,    /* the bits of the whole volume */
    VOX_BLEND_AVERAGE,  /* the mean of all patches that cover a voxel */
    VOX_BLEND_GAUSSIAN, /* the same under the weights exp(-((i - (p-1)/2) / (sigma_scale*p))^2 / 2),
                           multiplied over the axes, at least their minimum and at least 1e-3 */
} vox_blend;

typedef struct vox_filter_options {
    int threads;         /* 0: OMP_NUM_THREADS or all cores */
    int64_t max_memory;  /* bytes of peak resident memory; 0: the smaller of 80 % of what is
                            available and  the control group's limit */
    int64_t slab_planes; /* D-planes a slab; 0: chosen */
    /* Patches of D x H x W input voxels; 0,0,0: none, or what max_memory asks for. With
     * VOX_BLEND_EXACT planes are worked through in parts of H x W, D planes at a time: to the bit
     * the same result, in less memory; neighbours overlap by what the layers look at. With the
     * others each patch is a volume of its own, padded by the layers themselves, and overlapping
     * results are averaged: MONAI's sliding_window_inference. */
    int64_t patch_size[3];
    vox_blend blend;
    double overlap[3];   /* D, H, W; not with VOX_BLEND_EXACT: below 1 a share of the patch, else
                            voxels, less than the patch; default 0.25 */
    double sigma_scale;  /* VOX_BLEND_GAUSSIAN: sigma as a share of the patch; default 0.125 */
    vox_time time;       /* as in vox_input_layout */
    int64_t in_channels; /* as in vox_input_layout */
    vox_prepare prepare; /* what goes in; default: the volume as it is */
    int datatype;    /* NIfTI datatype code of the output, or VOX_DATATYPE_INPUT; default float32 */
    int compression; /* 0 to 9; -1: default */
    bool split;      /* a file per output channel */
    bool force;      /* replace an existing output */
    /* Where not NULL, the voxels of each label are counted as they are written: label_voxels[N *
     * labels], the caller's, gets for each frame how many voxels of the output's first channel have
     * the values 0 to labels - 1. For label maps (vox_network_argmax); other values are not
     * counted. */
    int64_t *label_voxels;
    int64_t labels;                                /* 1 to 2^24 */
    void (*warn)(void *user, const char *message); /* may be NULL; one line, no newline */
    void (*progress)(void *user, const vox_progress *progress); /* may be NULL */
    void *user;
} vox_filter_options;
void vox_filter_defaults(vox_filter_options *o);

typedef struct vox_report {
    int64_t input_voxels, output_voxels;
    int64_t input_nan, input_inf, output_nan, output_inf, clamped;
    double voxel_mm3; /* of the output: its affine's determinant, in xyzt_units (unknown ones are
                         mm); 0 where the header does not say, or there is none */
    double seconds;
    int64_t planned_bytes;
    int threads;
    const char *isa;
} vox_report;

enum { VOX_PLAN_PARTS = 48 };
/* What a run would do and hold, known from header, network and options alone. */
typedef struct vox_plan {
    int64_t in[5], out[5]; /* N, C, D, H, W */
    int64_t grid[3];       /* D, H, W that the network sees */
    int64_t slab_planes;
    int64_t patch[3];              /* D, H, W of a patch of the output */
    int64_t patch_count;           /* of a frame; 1: none */
    int input_passes;              /* over the values of a frame: 1, more where their statistics are
                                      asked for */
    int64_t input_voxels_read;     /* of all frames and channels, overlaps each time */
    int64_t multiply_adds;         /* of all layers, padding and overlaps included */
    int64_t overlap_multiply_adds; /* those of them that patches do again */
    int part_count;
    struct {
        char name[48];
        int64_t bytes;
    } part[VOX_PLAN_PARTS];
    int64_t total_bytes;    /* peak resident memory */
    int64_t smallest_bytes; /* the least cap that works (slabs of one plane) */
    int64_t input_spool_bytes, output_spool_bytes; /* temporary disk; 0: none */
} vox_plan;

/* `output` NULL: for vox_filter_values. Errors: as vox_filter's, before a voxel is read. With
 * max_memory set and not enough: VOX_ERR_RESOURCE, the message says what would fit. */
vox_status vox_filter_plan(const vox_input *in, const vox_network *network, const char *output,
                           const vox_filter_options *o, vox_plan *plan, vox_error *err);

/* Filters the input through the network into `output` (a name, or "-" for stdout). A name that ends
 * in .npy gets a tensor: (N, C, D, H, W), or with as many axes as the input, if that is a tensor;
 * so does stdout then. Into NIfTI, a tensor's N goes to t. Consumes the input. The output appears
 * under its name only when it is complete and on disk. report may be NULL. */
vox_status vox_filter(vox_input *in, const vox_network *network, const char *output,
                      const vox_filter_options *o, vox_report *report, vox_error *err);

/* ---- Augmenting --------------------------------------------------------------------------------
 *
 * Random flips, turns by 90 degrees and Gaussian noise for training, as the tutorials' Augment3D
 * does it: the same flips and turn for an image and its label map. Voxels that change places keep
 * their bits, and sform and qform follow, so that the anatomy stays where it was in mm.
 */

typedef struct vox_augment_options {
    uint64_t seed;      /* what is drawn depends on it and on these options alone */
    double flip[3];     /* D, H, W: the probability of a flip along each; default 0 */
    double rot90;       /* the probability of a turn; by 90, 180 and 270 degrees equally often */
    int plane[2];       /* axes, 0 to 2 for D, H, W: torch.rot90's dims; default H, W */
    double noise;       /* the probability of noise */
    double sigma;       /* its standard deviation, in the unit of the scaled values */
    bool keep_affine;   /* sform, qform, pixdim and the like stay as they were */
    int datatype;       /* of images, a NIfTI code or VOX_DATATYPE_INPUT; 0 (default): float32 where
                           noise is possible, else the input's. Label maps, and voxels of several
                           values, keep their type and scaling. */
    int compression;    /* 0 to 9; -1: default */
    bool force;         /* replace existing outputs */
    int threads;        /* 0: OMP_NUM_THREADS or all cores */
    int64_t max_memory; /* as in vox_filter_options */
    void (*warn)(void *user, const char *message); /* may be NULL; one line, no newline */
    void (*progress)(void *user, const vox_progress *progress); /* may be NULL */
    void *user;
} vox_augment_options;
void vox_augment_defaults(vox_augment_options *o);

/* What happens to the voxels, in this order. */
typedef struct vox_augment_drawn {
    bool flip[3]; /* torch.flip along D, H, W */
    int k;        /* torch.rot90(x, k, plane): 0 to 3 */
    bool noise;
} vox_augment_drawn;
/* Draws torch.manual_seed(seed); u = torch.rand(6): a flip along D, H, W where u[0], u[1], u[2] are
 * less than its probability, a turn where u[3] is, then k = 1 + floor(3 * u[4]), noise where u[5]
 * is. All six are drawn in any case, so that one option does not change what comes of another. */
vox_status vox_augment_draw(const vox_augment_options *o, vox_augment_drawn *drawn, vox_error *err);

/* A file to augment. */
typedef struct vox_augment_file {
    vox_input *in;      /* of one file; the caller's; consumed */
    const char *output; /* a name, or "-" for stdout, for one of them */
    bool label;         /* a label map: no noise, its own type. So is what its header calls one
                           (intent_code 1002, NIFTI_INTENT_LABEL). */
} vox_augment_file;

/* What a run would do and hold. */
typedef struct vox_augment_memory {
    vox_augment_drawn drawn;
    int64_t in[3], out[3]; /* D, H, W of all files */
    int64_t program_bytes, reader_bytes, writer_bytes, slab_bytes;
    int64_t total_bytes;    /* peak resident memory */
    int64_t smallest_bytes; /* the least cap that works (slabs of one plane) */
    int64_t spool_bytes;    /* temporary disk; 0: none */
} vox_augment_memory;
/* Errors: as vox_augment's, before a voxel is read. With max_memory set and not enough:
 * VOX_ERR_RESOURCE, the message says what would fit. */
vox_status vox_augment_plan(const vox_augment_file *files, int count, const vox_augment_options *o,
                            vox_augment_memory *plan, vox_error *err);

typedef struct vox_augment_report {
    vox_augment_drawn drawn;
    int64_t voxels;  /* of all files */
    int64_t clamped; /* values that the noise took out of an integer type's range */
    double seconds;
    int64_t planned_bytes;
    int threads;
} vox_augment_report;
/* Augments files of one grid (D, H, W): all with the same flips and turn. Noise is torch.randn's
 * for one image after the other, in their order, drawn after the six numbers above; it has the same
 * bits on every machine, and differs from torch's by a few roundings. The outputs get their names
 * when all are complete and on disk, all together or none. report may be NULL. */
vox_status vox_augment(const vox_augment_file *files, int count, const vox_augment_options *o,
                       vox_augment_report *report, vox_error *err);

/* The same into memory, for networks that give a few numbers and no volume: *values is (N, C, D, H,
 * W), the caller frees it. Not in patches. */
vox_status vox_filter_values(vox_input *in, const vox_network *network, const vox_filter_options *o,
                             vox_tensor **values, vox_report *report, vox_error *err);

/* Removes the temporary files of all runs under way in this process. Async-signal-safe. */
void vox_remove_temporaries(void);
/* True while a run gives its finished files their names, all or none: a signal that would end the
 * process does better to let it end by itself. Async-signal-safe. */
bool vox_publishing(void);

/* NIfTI datatype code of "int16", "float32", ...; 0 for an unknown name. And back; NULL where
 * unknown. */
int vox_datatype_from_name(const char *name);
const char *vox_datatype_name(int datatype);

/* The gzip library in use: "isal" or "zlib". */
const char *vox_gzip_backend(void);

#ifdef __cplusplus
}
#endif
#endif
