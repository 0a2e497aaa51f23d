#!/usr/bin/python3
"""Writes golden.h: small layers and what torch computes for them, as C tables for test_reference.c.

Run with the system's python3 and python3-torch:  python3 make_golden.py > golden.h

Inputs and weights of the convolutions are small integers, so that every sum is exact in double and the
comparison is for equality. The other layers come with torch's float64 results.
"""
import torch
import torch.nn.functional as F

torch.manual_seed(20)
PAD_MODES = ["zeros", "reflect", "replicate", "circular"]
# in_channels, out_channels, groups, input, kernel, stride, dilation, before, after, mode, bias
CONVS = [
    (1, 1, 1, (3, 4, 5), (1, 1, 1), (1, 1, 1), (1, 1, 1), (0, 0, 0), (0, 0, 0), "zeros", 0),
    (2, 3, 1, (4, 5, 6), (3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 1, 1), "zeros", 1),
    (1, 2, 1, (5, 6, 7), (2, 3, 4), (2, 1, 3), (1, 1, 1), (1, 0, 2), (0, 2, 1), "zeros", 1),
    (1, 1, 1, (6, 5, 8), (2, 2, 3), (1, 2, 1), (3, 2, 2), (2, 1, 3), (1, 2, 0), "zeros", 0),
    (4, 8, 4, (3, 3, 4), (2, 1, 3), (1, 1, 2), (1, 1, 1), (0, 0, 1), (1, 0, 1), "zeros", 1),
    (4, 2, 2, (3, 3, 3), (3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 1, 1), "zeros", 1),
    (1, 2, 1, (4, 5, 4), (3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 1, 1), "reflect", 1),
    (1, 1, 1, (4, 5, 6), (3, 2, 4), (2, 2, 1), (1, 2, 1), (3, 2, 4), (1, 4, 5), "reflect", 0),
    (1, 2, 1, (4, 5, 4), (3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 1, 1), "replicate", 1),
    (1, 1, 1, (2, 1, 3), (3, 4, 5), (1, 2, 2), (1, 1, 2), (4, 3, 5), (1, 2, 6), "replicate", 0),
    (1, 2, 1, (4, 5, 4), (3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 1, 1), "circular", 1),
    (2, 2, 2, (3, 4, 5), (3, 2, 4), (1, 2, 3), (2, 1, 2), (3, 1, 4), (1, 4, 5), "circular", 0),
]
# average, input, kernel, stride, padding, dilation, ceil_mode, count_include_pad
POOLS = [
    (0, (5, 6, 7), (2, 2, 2), (2, 2, 2), (0, 0, 0), (1, 1, 1), 0, 1),
    (0, (5, 6, 7), (2, 3, 2), (2, 2, 3), (1, 1, 1), (1, 1, 1), 1, 1),
    (0, (7, 6, 5), (3, 2, 2), (1, 2, 2), (1, 1, 0), (2, 3, 1), 1, 1),
    (0, (3, 4, 4), (2, 4, 4), (3, 4, 4), (1, 2, 2), (1, 1, 1), 1, 1),
    (1, (5, 6, 7), (2, 2, 2), (2, 2, 2), (0, 0, 0), (1, 1, 1), 0, 1),
    (1, (5, 6, 7), (3, 2, 3), (2, 2, 3), (1, 1, 1), (1, 1, 1), 0, 1),
    (1, (5, 6, 7), (3, 2, 3), (2, 2, 3), (1, 1, 1), (1, 1, 1), 1, 1),
    (1, (5, 6, 7), (3, 2, 3), (2, 3, 3), (1, 1, 1), (1, 1, 1), 1, 0),
    (1, (3, 4, 4), (2, 4, 4), (3, 4, 4), (1, 2, 2), (1, 1, 1), 1, 0),
]
ACTIVATIONS = [
    ("REF_RELU", (), F.relu),
    ("REF_LEAKY_RELU", (0.125,), lambda x: F.leaky_relu(x, 0.125)),
    ("REF_ELU", (1.5,), lambda x: F.elu(x, 1.5)),
    ("REF_SELU", (1.6732632423543772848170429916717, 1.0507009873554804934193349852946), F.selu),
    ("REF_GELU", (), F.gelu),
    ("REF_GELU_TANH", (), lambda x: F.gelu(x, approximate="tanh")),
    ("REF_SIGMOID", (), torch.sigmoid),
    ("REF_HARDSIGMOID", (1 / 6, 0.5), F.hardsigmoid),
    ("REF_HARDSWISH", (), F.hardswish),
    ("REF_SILU", (), F.silu),
    ("REF_TANH", (), torch.tanh),
    ("REF_SOFTPLUS", (0.5, 2), lambda x: F.softplus(x, 0.5, 2)),
    ("REF_MISH", (), F.mish),
    ("REF_SOFTSIGN", (), F.softsign),
    ("REF_CLIP", (-1.25, 6), lambda x: torch.clamp(x, -1.25, 6)),
    ("REF_ERF", (), torch.erf),
    ("REF_EXP", (), torch.exp),
    ("REF_LOG", (), torch.log),
    ("REF_SQRT", (), torch.sqrt),
    ("REF_ABS", (), torch.abs),
    ("REF_NEG", (), torch.neg),
    ("REF_RECIPROCAL", (), torch.reciprocal),
    ("REF_SOFTMAX", (), lambda x: F.softmax(x, 1)),
    ("REF_LOG_SOFTMAX", (), lambda x: F.log_softmax(x, 1)),
]


def integers(shape, low, high):
    return torch.randint(low, high + 1, shape).double()


def triple(t):
    return "{%s}" % ", ".join(str(int(v)) for v in t)


def array(kind, name, t, form):
    """A static array, wrapped at 100 columns."""
    lines, line = [], "   "
    for v in t.flatten().tolist():
        item = " " + (form % v).replace("inf", "INFINITY").replace("nan", "NAN") + ","
        if len(line) + len(item) > 100:
            lines.append(line)
            line = "   "
        line += item
    print("static const %s %s[] = {" % (kind, name))
    print("\n".join(lines + [line]))
    print("};")


def convolutions():
    rows = []
    for i, (ic, oc, g, size, k, s, d, before, after, mode, bias) in enumerate(CONVS):
        batch = 2 if i == 1 else 1
        x = integers((batch, ic) + size, -9, 9)
        w = integers((oc, ic // g) + k, -9, 9)
        b = integers((oc,), -99, 99) if bias else None
        pad = [n for a in (2, 1, 0) for n in (before[a], after[a])]
        padded = F.pad(x, pad, mode="constant" if mode == "zeros" else mode)
        y = F.conv3d(padded, w, b, stride=s, dilation=d, groups=g)
        magnitude = F.conv3d(padded.abs(), w.abs(), b.abs() if bias else None, s, 0, d, g)
        array("float", "conv_x%d" % i, x, "%d")
        array("float", "conv_w%d" % i, w, "%d")
        if bias:
            array("float", "conv_b%d" % i, b, "%d")
        array("double", "conv_y%d" % i, y, "%d")
        array("double", "conv_m%d" % i, magnitude, "%d")
        rows.append("    {%d, %s, %s, {%d, %d, %d, %s, %s, %s, %s, %s, REF_%s}, conv_x%d, conv_w%d, "
                    "%s, conv_y%d, conv_m%d}," % (
                        batch, triple(size), triple(y.shape[2:]), ic, oc, g, triple(k), triple(s),
                        triple(d), triple(before), triple(after), mode.upper(), i, i,
                        "conv_b%d" % i if bias else "NULL", i, i))
    print("static const golden_conv convs[] = {\n%s\n};" % "\n".join(rows))


def pools():
    rows = []
    for i, (average, size, k, s, p, d, ceil, include) in enumerate(POOLS):
        x = integers((1, 1) + size, -99, 99)
        if average:
            y = F.avg_pool3d(x, k, s, p, bool(ceil), bool(include))
        else:
            y = F.max_pool3d(x, k, s, p, d, bool(ceil))
        array("float", "pool_x%d" % i, x, "%d")
        array("double", "pool_y%d" % i, y, "%.17g")
        rows.append("    {%s, %s, {%d, %s, %s, %s, %s, %s, %d, %d}, pool_x%d, pool_y%d}," % (
            triple(size), triple(y.shape[2:]), average, triple(k), triple(s), triple(d), triple(p),
            triple(p), ceil, include, i, i))
    print("static const golden_pool pools[] = {\n%s\n};" % "\n".join(rows))


def pointwise():
    """Batch normalisation and activations over one input [2, 3, 4]: quarters, so exact in float."""
    x = integers((2, 3, 4), -40, 40) / 4
    x[0, 0, 0] = 0
    array("float", "point_x", x, "%g")
    mean, var = integers((3,), -8, 8) / 4, integers((3,), 1, 16) / 8
    weight, bias = integers((3,), -8, 8) / 4, integers((3,), -8, 8) / 4
    for name, t in (("mean", mean), ("var", var), ("weight", weight), ("bias", bias)):
        array("float", "norm_" + name, t, "%g")
    array("double", "norm_y", F.batch_norm(x, mean, var, weight, bias, eps=1e-5), "%.17g")
    array("double", "norm_plain_y", F.batch_norm(x, mean, var, eps=1e-3), "%.17g")
    for name, _, function in ACTIVATIONS:
        array("double", "act_" + name.lower(), function(x), "%.17g")
    rows = ["    {%s, {%s}, act_%s}," % (name, ", ".join("%.17g" % p for p in parameter) or 0, name.lower())
            for name, parameter, _ in ACTIVATIONS]
    print("static const golden_activation activations[] = {\n%s\n};" % "\n".join(rows))


print("/* golden.h - written by make_golden.py with torch %s; do not edit. */" % torch.__version__)
print("/* clang-format off */")
convolutions()
pools()
pointwise()
print("/* clang-format on */")
