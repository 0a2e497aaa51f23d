"""make_models.py FOLDER - small TensorFlow.js models, good and bad, and what the good ones give for in.nii.

Standard library only, and nothing of voxconv. The expected voxels come from plain loops over Keras' definitions
(https://keras.io/api/layers/). Weights are multiples of 1/8 and voxels whole numbers, so that every sum is exact in
float32 and the comparison needs no tolerance.

    in.nii                      6 x 5 x 4 voxels, one channel
    NAME/model.json, *.bin      a model; NAME.nii, or classifier.txt: its output
    weights.safetensors, .npz   the weights of `functional` under torch's names and in its order, `net.` before each
    functional.onnx             the same network as an ONNX model
    bad/NAME/model.json         see bad_models()
"""
import copy
import io
import itertools
import json
import os
import struct
import sys
import zipfile

from small import write_tensors, write_volume


def eighths(count, seed):
    """Multiples of 1/8 from -1 to 1, by a linear congruential generator."""
    values = []
    for _ in range(count):
        seed = (seed * 1103515245 + 12345) % 2 ** 31
        values.append((seed >> 16) % 17 / 8 - 1)
    return values


# ---- Keras' layers as loops. A tensor is (channels, (D, H, W), {(c, d, h, w): value}) ----


def boxes(sizes):
    return itertools.product(*map(range, sizes))


def window(config, size, kernel, strides, dilation):
    """Output sizes and what stands before the first voxel."""
    outs, before = [], []
    for n, k, s, d in zip(size, kernel, strides, dilation):
        reach = d * (k - 1) + 1
        if config.get("padding", "valid") == "same":
            out = -(-n // s)
            before.append(max((out - 1) * s + reach - n, 0) // 2)
        else:
            out = (n - reach) // s + 1
            before.append(0)
        outs.append(out)
    return outs, before


def activate(x, name):
    channels, size, values = x
    if name == "relu":
        values = {at: max(v, 0) for at, v in values.items()}
    return channels, size, values


def conv3d(x, config, weights):
    channels, size, values = x
    kernel, strides, dilation = config["kernel_size"], config["strides"], config["dilation_rate"]
    outs, before = window(config, size, kernel, strides, dilation)
    shape, w = weights["kernel"]
    filters, group = config["filters"], shape[3]
    per_group = filters // (channels // group)
    result = {}
    for o, at in itertools.product(range(filters), boxes(outs)):
        total = weights["bias"][1][o] if "bias" in weights else 0
        for c, tap in itertools.product(range(group), boxes(kernel)):
            place = [p * s - b + t * d for p, s, b, t, d in zip(at, strides, before, tap, dilation)]
            value = values.get((o // per_group * group + c, *place), 0)
            index = ((tap[0] * kernel[1] + tap[1]) * kernel[2] + tap[2]) * group + c
            total += value * w[index * filters + o]
        result[(o, *at)] = total
    return activate((filters, outs, result), config.get("activation"))


def transposed_size(config, size):
    """keras.utils' deconv_output_length."""
    kernel, outs = config["kernel_size"], []
    for i, (n, k, s) in enumerate(zip(size, kernel, config["strides"])):
        same = config.get("padding") == "same"
        if config.get("output_padding"):
            outs.append((n - 1) * s + k - 2 * (k // 2 if same else 0) + config["output_padding"][i])
        else:
            outs.append(n * s + (0 if same else max(k - s, 0)))
    return outs


def conv3d_transpose(x, config, weights):
    """The gradient of the convolution that makes x's size out of the result's: every voxel goes where that one would
    have read."""
    channels, size, values = x
    kernel, strides, filters = config["kernel_size"], config["strides"], config["filters"]
    outs = transposed_size(config, size)
    back, before = window(config, outs, kernel, strides, [1, 1, 1])
    assert back == list(size), (back, size)
    w, bias = weights["kernel"][1], weights["bias"][1] if "bias" in weights else [0] * filters
    result = {(o, *at): bias[o] for o, at in itertools.product(range(filters), boxes(outs))}
    for c, at, o, tap in itertools.product(range(channels), boxes(size), range(filters), boxes(kernel)):
        place = (o, *[p * s - b + t for p, s, b, t in zip(at, strides, before, tap)])
        index = ((tap[0] * kernel[1] + tap[1]) * kernel[2] + tap[2]) * filters + o
        if place in result:
            result[place] += values[(c, *at)] * w[index * channels + c]
    return activate((filters, outs, result), config.get("activation"))


def dense(x, config, weights):
    """Over the last axis, which is the channels' or the features'."""
    channels, size, values = x
    units, w = config["units"], weights["kernel"][1]
    bias = weights["bias"][1] if "bias" in weights else [0] * units
    return activate((units, size, {
        (u, *at): bias[u] + sum(values[(c, *at)] * w[c * units + u] for c in range(channels))
        for u, at in itertools.product(range(units), boxes(size))}), config.get("activation"))


def flatten(x):
    """(D, H, W, channels), the last index fastest, as features of one voxel."""
    channels, size, values = x
    numbers = [values[(c, *at)] for at in boxes(size) for c in range(channels)]
    return len(numbers), [1, 1, 1], {(i, 0, 0, 0): v for i, v in enumerate(numbers)}


def mean(values):
    return sum(values) / len(values)


def pooling(x, config, reduce):
    """Of the voxels that there are: padding counts for nothing."""
    channels, size, values = x
    kernel = config["pool_size"]
    strides = config["strides"]
    outs, before = window(config, size, kernel, strides, [1, 1, 1])
    result = {}
    for c, at in itertools.product(range(channels), boxes(outs)):
        places = [(c, *[p * s - b + t for p, s, b, t in zip(at, strides, before, tap)]) for tap in boxes(kernel)]
        result[(c, *at)] = reduce([values[place] for place in places if place in values])
    return channels, outs, result


def global_pooling(x, reduce):
    channels, size, values = x
    return channels, [1, 1, 1], {
        (c, 0, 0, 0): reduce([values[(c, *at)] for at in boxes(size)]) for c in range(channels)}


def up_sampling(x, config):
    channels, size, values = x
    outs = [n * s for n, s in zip(size, config["size"])]
    return channels, outs, {
        (c, *at): values[(c, *[p // s for p, s in zip(at, config["size"])])]
        for c, at in itertools.product(range(channels), boxes(outs))}


def border(x, ends, sign):
    channels, size, values = x
    outs = [n + sign * (before + after) for n, (before, after) in zip(size, ends)]
    return channels, outs, {
        (c, *at): values.get((c, *[p - sign * before for p, (before, _) in zip(at, ends)]), 0)
        for c, at in itertools.product(range(channels), boxes(outs))}


def batch_normalization(x, config, weights):
    channels, size, values = x
    mean, variance = weights["moving_mean"][1], weights["moving_variance"][1]
    gamma = weights["gamma"][1] if "gamma" in weights else [1] * channels
    beta = weights["beta"][1] if "beta" in weights else [0] * channels
    return channels, size, {
        at: (v - mean[at[0]]) / (variance[at[0]] + config["epsilon"]) ** 0.5 * gamma[at[0]] + beta[at[0]]
        for at, v in values.items()}


def elementwise(operands, function):
    """One voxel of a channel is that of all."""
    result = operands[0]
    for other in operands[1:]:
        result = result[0], result[1], {
            at: function(v, other[2].get(at, other[2].get((at[0], 0, 0, 0)))) for at, v in result[2].items()}
    return result


def concatenate(operands):
    channels, values = 0, {}
    for count, _, part in operands:
        values.update({(at[0] + channels, *at[1:]): v for at, v in part.items()})
        channels += count
    return channels, operands[0][1], values


def apply(layer, operands):
    kind, config, weights = layer["class_name"], layer["config"], layer["weights"]
    x = operands[0]
    if kind == "Conv3D":
        return conv3d(x, config, weights)
    if kind == "BatchNormalization":
        return batch_normalization(x, config, weights)
    if kind == "Activation":
        return activate(x, config["activation"])
    if kind == "MaxPooling3D":
        return pooling(x, config, max)
    if kind == "AveragePooling3D":
        return pooling(x, config, mean)
    if kind == "Conv3DTranspose":
        return conv3d_transpose(x, config, weights)
    if kind == "Dense":
        return dense(x, config, weights)
    if kind == "Flatten":
        return flatten(x)
    if kind in ("GlobalMaxPooling3D", "GlobalAveragePooling3D"):
        return global_pooling(x, max if kind == "GlobalMaxPooling3D" else mean)
    if kind == "UpSampling3D":
        return up_sampling(x, config)
    if kind == "ZeroPadding3D":
        return border(x, config["padding"], 1)
    if kind == "Cropping3D":
        return border(x, config["cropping"], -1)
    if kind == "Concatenate":
        return concatenate(operands)
    if kind in ("Add", "Subtract", "Multiply"):
        return elementwise(operands, {"Add": lambda a, b: a + b, "Subtract": lambda a, b: a - b,
                                      "Multiply": lambda a, b: a * b}[kind])
    return x  # InputLayer, Dropout


def evaluate(layers, x):
    values = {}
    for layer in layers:
        values[layer["name"]] = apply(layer, [values[name] for name in layer["inputs"]] or [x])
    return values[layers[-1]["name"]]


# ---- Models ----


def layer(kind, name, inputs, weights=None, **config):
    config["name"] = name
    return {"class_name": kind, "name": name, "inputs": inputs, "config": config, "weights": weights or {}}


def input_layer(name="input"):
    return layer("InputLayer", name, [], batch_input_shape=[None, None, None, None, 1])


def conv(name, inputs, channels, filters, kernel, seed, bias=True, **config):
    config.setdefault("strides", [1, 1, 1])
    config.setdefault("dilation_rate", [1, 1, 1])
    groups = config.get("groups", 1)
    shape = kernel + [channels // groups, filters]
    count = kernel[0] * kernel[1] * kernel[2] * shape[3] * filters
    weights = {"kernel": (shape, eighths(count, seed))}
    if bias:
        weights["bias"] = ([filters], eighths(filters, seed + 1))
    return layer("Conv3D", name, inputs, weights, filters=filters, kernel_size=kernel, use_bias=bias, **config)


def transposed(name, inputs, channels, filters, kernel, seed, bias=True, **config):
    shape = kernel + [filters, channels]
    weights = {"kernel": (shape, eighths(kernel[0] * kernel[1] * kernel[2] * filters * channels, seed))}
    if bias:
        weights["bias"] = ([filters], eighths(filters, seed + 1))
    return layer("Conv3DTranspose", name, inputs, weights, filters=filters, kernel_size=kernel, use_bias=bias, **config)


def dense_layer(name, inputs, features, units, seed, bias=True, flat=None, **config):
    """flat: (D, H, W, channels) where the features are a volume's."""
    weights = {"kernel": ([features, units], eighths(features * units, seed))}
    if bias:
        weights["bias"] = ([units], eighths(units, seed + 1))
    item = layer("Dense", name, inputs, weights, units=units, use_bias=bias, **config)
    item["flat"] = flat
    return item


def norm(name, inputs, channels, seed):
    """Variance 4 with epsilon 0: a division by 2, which is exact."""
    return layer("BatchNormalization", name, inputs, {
        "gamma": ([channels], eighths(channels, seed)), "beta": ([channels], eighths(channels, seed + 1)),
        "moving_mean": ([channels], eighths(channels, seed + 2)), "moving_variance": ([channels], [4.0] * channels),
    }, axis=[4], epsilon=0)


def functional():
    """A residual block, its input put behind it, a pooling and a strided convolution."""
    return [
        input_layer(),
        conv("a", ["input"], 1, 2, [1, 3, 3], 1, padding="same", activation="relu"),
        norm("n", ["a"], 2, 2),
        conv("b", ["n"], 2, 2, [3, 1, 1], 3, bias=False, padding="same", dilation_rate=[2, 1, 1]),
        layer("Add", "sum", ["b", "a"]),
        layer("Concatenate", "all", ["sum", "input"], axis=-1),
        layer("MaxPooling3D", "pool", ["all"], pool_size=[2, 1, 2], strides=[2, 1, 2]),
        conv("out", ["pool"], 3, 3, [1, 2, 1], 4, strides=[1, 2, 1]),
    ]


def sequential():
    return [
        input_layer(),
        conv("one", ["input"], 1, 4, [2, 3, 2], 5, padding="same", strides=[1, 2, 1]),
        layer("Activation", "relu", ["one"], activation="relu"),
        layer("Dropout", "drop", ["relu"], rate=0.5),
        layer("AveragePooling3D", "mean", ["drop"], pool_size=[1, 1, 2], strides=[1, 1, 2]),
        conv("two", ["mean"], 4, 2, [1, 1, 1], 6, groups=2),
    ]


def arithmetic():
    """What the other two leave out: differences, products, one value read three times."""
    return [
        input_layer(),
        conv("a", ["input"], 1, 2, [1, 1, 1], 7),
        conv("b", ["input"], 1, 2, [1, 1, 1], 8),
        layer("Subtract", "minus", ["a", "b"]),
        layer("Multiply", "times", ["minus", "a"]),
        layer("Add", "all", ["times", "a", "b"]),
    ]


def upward():
    """What makes a volume larger, and puts voxels around it or takes them away."""
    return [
        input_layer(),
        transposed("same", ["input"], 1, 2, [2, 3, 1], 10, strides=[2, 1, 2], padding="same", activation="relu"),
        layer("Cropping3D", "crop", ["same"], cropping=[[2, 1], [0, 1], [3, 4]]),
        transposed("valid", ["crop"], 2, 2, [1, 2, 3], 11, strides=[1, 3, 2], padding="valid"),
        transposed("more", ["valid"], 2, 1, [3, 3, 1], 12, bias=False, strides=[2, 2, 1], padding="same",
                   output_padding=[0, 1, 0]),
        layer("ZeroPadding3D", "pad", ["more"], padding=[[1, 0], [0, 2], [3, 1]]),
        layer("UpSampling3D", "repeat", ["pad"], size=[1, 2, 3]),
    ]


def pooled():
    """Padding that pooling does not see, some of it on one side alone."""
    return [
        input_layer(),
        conv("a", ["input"], 1, 2, [1, 1, 1], 18),
        layer("MaxPooling3D", "most", ["a"], pool_size=[2, 2, 2], strides=[2, 2, 2], padding="same"),
        layer("AveragePooling3D", "mean", ["most"], pool_size=[2, 3, 2], strides=[1, 2, 1], padding="same"),
    ]


def voxels_dense():
    """Dense layers over the channels of a volume, and squeeze and excitation."""
    return [
        input_layer(),
        layer("Cropping3D", "crop", ["input"], cropping=[[0, 0], [1, 0], [1, 1]]),
        dense_layer("a", ["crop"], 1, 4, 13, activation="relu"),
        layer("GlobalAveragePooling3D", "squeeze", ["a"], keepdims=True),
        dense_layer("excite", ["squeeze"], 4, 4, 14, bias=False),
        layer("Multiply", "times", ["a", "excite"]),
    ]


def classifier():
    """Two vectors behind each other, the flattened one and a global pooling's, to three numbers."""
    return [
        input_layer(),
        conv("a", ["input"], 1, 2, [2, 2, 1], 15, activation="relu"),
        layer("MaxPooling3D", "pool", ["a"], pool_size=[1, 2, 3], strides=[1, 2, 3]),
        layer("Flatten", "flat", ["pool"]),
        layer("Dropout", "drop", ["flat"], rate=0.5),
        dense_layer("one", ["drop"], 2 * 3 * 2 * 2, 4, 16, flat=[3, 2, 2, 2], activation="relu"),
        layer("GlobalMaxPooling3D", "most", ["pool"]),
        layer("Concatenate", "both", ["one", "most"], axis=1),
        dense_layer("two", ["both"], 6, 3, 17),
    ]


# ---- Files ----


def document(layers, quantized=None, is_sequential=False):
    """model.json without paths, and the bytes of its weights."""
    entries, data, described = [], b"", []
    for item in layers:
        for leaf, (shape, values) in item["weights"].items():
            entry = {"name": "%s/%s" % (item["name"], leaf), "shape": shape, "dtype": "float32"}
            if quantized:
                # value = stored/8 - 1: what eighths() makes, from whole numbers; moving_variance reaches 4
                entry["quantization"] = {"dtype": quantized, "scale": 0.125, "min": -1.0, "original_dtype": "float32"}
                data += struct.pack("<%d%s" % (len(values), {"uint8": "B", "uint16": "H"}[quantized]),
                                    *[int((v + 1) * 8) for v in values])
            else:
                data += struct.pack("<%df" % len(values), *values)
            entries.append(entry)
        described.append({"class_name": item["class_name"], "name": item["name"], "config": item["config"],
                          "inbound_nodes": [[[name, 0, 0, {}] for name in item["inputs"]]] if item["inputs"] else []})
    config = {"name": "model", "layers": described}
    if not is_sequential:
        config["input_layers"] = [["input", 0, 0]]
        config["output_layers"] = [[layers[-1]["name"], 0, 0]]
        # Keras writes them in an order of its own; here the last one comes first.
        described.reverse()
    topology = {"class_name": "Sequential" if is_sequential else "Functional", "config": config}
    return {"format": "layers-model", "modelTopology": {"model_config": topology},
            "weightsManifest": [{"paths": [], "weights": entries}]}, data


def write(folder, model, data, cuts=(), text=None):
    """The shards end at `cuts`, which need not be the ends of weights, or of numbers."""
    os.makedirs(folder, exist_ok=True)
    edges = [0, *cuts, len(data)]
    names = ["group1-shard%dof%d.bin" % (i + 1, len(edges) - 1) for i in range(len(edges) - 1)]
    group = model.get("weightsManifest", [{}])[0] if isinstance(model, dict) else {}
    if group.get("paths") == []:
        group["paths"] = names
    for name, begin, end in zip(names, edges, edges[1:]):
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data[begin:end])
    with open(os.path.join(folder, "model.json"), "w") as f:
        f.write(json.dumps(model) if text is None else text)


def turned(layers):
    """The same model with the axes W, H, D instead of D, H, W."""
    layers = copy.deepcopy(layers)
    for item in layers:
        for key in ("kernel_size", "strides", "dilation_rate", "pool_size", "size", "padding", "cropping",
                    "output_padding"):
            if isinstance(item["config"].get(key), list):
                item["config"][key].reverse()
        if item.get("flat"):
            shape, values = item["weights"]["kernel"]
            d, h, w, c = item["flat"]
            item["weights"]["kernel"] = (shape, [
                values[(((i * h + j) * w + k) * c + f) * shape[1] + u]
                for k, j, i, f, u in itertools.product(range(w), range(h), range(d), range(c), range(shape[1]))])
        elif item["class_name"] == "Dense":
            pass
        elif "kernel" in item["weights"]:
            shape, values = item["weights"]["kernel"]
            a, b, c, inside, outside = shape
            pairs = inside * outside
            item["weights"]["kernel"] = ([c, b, a, inside, outside], [
                values[((i * b + j) * c + k) * pairs + p]
                for k, j, i, p in itertools.product(range(c), range(b), range(a), range(pairs))])
    return layers


def torch_weights(layers):
    """NAME.leaf -> (shape, values): kernels as (out, in, D, H, W), and batch normalisation by torch's names."""
    names = {"kernel": "weight", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
             "moving_variance": "running_var", "bias": "bias"}
    arrays = {}
    for item in layers:
        for leaf, (shape, values) in item["weights"].items():
            if leaf == "kernel":
                taps, inside, outside = shape[:3], shape[3], shape[4]
                values = [values[(t * inside + i) * outside + o] for o, i, t in itertools.product(
                    range(outside), range(inside), range(taps[0] * taps[1] * taps[2]))]
                shape = [outside, inside, *taps]
            arrays["net.%s.%s" % (item["name"], names[leaf])] = shape, values
    return arrays


def npy(shape, values):
    text = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s,), }" % ", ".join(map(str, shape))
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + struct.pack(
        "<%df" % len(values), *values)


def write_weights(stem, arrays):
    write_tensors(stem + ".safetensors", ["%s=%s:%s" % (
        name, ",".join(map(str, shape)), ",".join(map(repr, values))) for name, (shape, values) in arrays.items()])
    with zipfile.ZipFile(stem + ".npz", "w") as archive:
        for name, (shape, values) in arrays.items():
            archive.writestr(name + ".npy", npy(shape, values))


# ---- ONNX, by the field numbers of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto) ----


def varint(n):
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)


def field(number, value):
    """A number, a text, a float, or a message that is encoded already."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def attribute(name, value):
    if isinstance(value, list):
        return field(1, name) + b"".join(field(8, v) for v in value) + field(20, 7)
    number, kind = (2, 1) if isinstance(value, float) else (3, 2)
    return field(1, name) + field(number, value) + field(20, kind)


def node(kind, inputs, output, **attributes):
    return field(1, b"".join(field(1, name) for name in inputs) + field(2, output) + field(3, output) +
                 field(4, kind) + b"".join(field(5, attribute(*a)) for a in attributes.items()))


def initializer(name, shape, values):
    return field(5, b"".join(field(1, n) for n in shape) + field(2, 1) + field(8, name) +
                 field(9, struct.pack("<%df" % len(values), *values)))


def value_info(number, name, shape):
    dims = b"".join(field(1, field(1, n) if isinstance(n, int) else field(2, n)) for n in shape)
    return field(number, field(1, name) + field(2, field(1, field(1, 1) + field(2, dims))))


def onnx_functional():
    """The network of functional(), as an exporter would write it down."""
    nodes = [
        node("Conv", ["x", "net.a.weight", "net.a.bias"], "a0", pads=[0, 1, 1, 0, 1, 1]),
        node("Relu", ["a0"], "a"),
        node("BatchNormalization", ["a", "net.n.weight", "net.n.bias", "net.n.running_mean", "net.n.running_var"],
             "n", epsilon=0.0),
        node("Conv", ["n", "net.b.weight"], "b", pads=[2, 0, 0, 2, 0, 0], dilations=[2, 1, 1]),
        node("Add", ["b", "a"], "sum"),
        node("Concat", ["sum", "x"], "cat", axis=1),
        node("MaxPool", ["cat"], "pool", kernel_shape=[2, 1, 2], strides=[2, 1, 2]),
        node("Conv", ["pool", "net.out.weight", "net.out.bias"], "out", strides=[1, 2, 1]),
    ]
    weights = [initializer(name, *array) for name, array in torch_weights(functional()).items()]
    graph = (b"".join(nodes) + field(2, "functional") + b"".join(weights) +
             value_info(11, "x", ["N", 1, "D", "H", "W"]) + value_info(12, "out", ["N", 3, "d", "h", "w"]))
    return field(1, 8) + field(8, field(2, 13)) + field(7, graph)


# ---- Small ONNX models: y = relu(conv(x, w, b)), and what can be wrong with it ----


def small_onnx(nodes=None, w=None, inputs=b"", outputs=b"", opset=13):
    nodes = nodes or [node("Conv", ["x", "w", "b"], "c"), node("Relu", ["c"], "y")]
    w = initializer("w", [1, 1, 1, 1, 2], [1.0, 10.0]) if w is None else w
    graph = (b"".join(nodes) + field(2, "small") + w + initializer("b", [1], [-20.0]) +
             value_info(11, "x", ["N", 1, "D", "H", "W"]) + inputs +
             value_info(12, "y", ["N", 1, "D", "H", "V"]) + outputs)
    return field(1, 8) + field(8, field(2, opset)) + field(7, graph)


def external(location, offset=0):
    """The weight, in a file."""
    pairs = [("location", location), ("offset", str(offset))]
    return field(5, b"".join(field(1, n) for n in [1, 1, 1, 1, 2]) + field(2, 1) + field(8, "w") + field(14, 1) +
                 b"".join(field(13, field(1, key) + field(2, value)) for key, value in pairs))


def onnx_models(folder):
    os.makedirs(os.path.join(folder, "inside"), exist_ok=True)
    weight = struct.pack("<2f", 1.0, 10.0)
    for name in ("outside.bin", "inside/weight.bin"):
        with open(os.path.join(folder, name), "wb") as f:
            f.write(weight)
    os.symlink("../outside.bin", os.path.join(folder, "inside", "link.bin"))
    good = small_onnx()
    models = {
        "good": good,
        "external": small_onnx(w=external("weight.bin")),
        "two_outputs": small_onnx(outputs=value_info(12, "c", ["N", 1, "D", "H", "V"])),
        "two_inputs": small_onnx(w=b"", inputs=value_info(11, "w", [1, 1, 1, 1, 2])),
        "operator": small_onnx([node("Conv", ["x", "w", "b"], "c"), node("NonMaxSuppression", ["c"], "y")]),
        "opset": small_onnx(opset=99),
        "cut": good[:len(good) // 2],
        "version_only": field(1, 8),
        "noise": field(1, 8) + bytes(range(255, 0, -1)),
        "cycle": small_onnx([node("Add", ["x", "y"], "c"), node("Relu", ["c"], "y")]),
        "twice": small_onnx([node("Conv", ["x", "w", "b"], "y"), node("Relu", ["x"], "y")]),
        "nowhere": small_onnx([node("Conv", ["x", "w", "bias"], "c"), node("Relu", ["c"], "y")]),
        "short_initializer": small_onnx(w=initializer("w", [1, 1, 1, 1, 2], [1.0])),
        "long_initializer": small_onnx(w=initializer("w", [1, 1, 1, 1, 2], [1.0] * 3)),
        "huge_initializer": small_onnx(w=initializer("w", [1 << 40, 1 << 40, 1, 1, 2], [1.0, 10.0])),
        "three_axes": small_onnx(w=initializer("w", [1, 1, 2], [1.0, 10.0])),
        "channels": small_onnx(w=initializer("w", [1, 2, 1, 1, 1], [1.0, 10.0])),
        "above": small_onnx(w=external("../outside.bin")),
        "above_later": small_onnx(w=external("x/../../outside.bin")),
        "root": small_onnx(w=external("/etc/hostname")),
        "link": small_onnx(w=external("link.bin")),
        "no_file": small_onnx(w=external("none.bin")),
        "short_file": small_onnx(w=external("weight.bin", 4)),
    }
    for name, data in models.items():
        with open(os.path.join(folder, "inside", name + ".onnx"), "wb") as f:
            f.write(data)


def write_tensor(path, x):
    channels, size, values = x
    numbers = [values[(c, *at)] for c in range(channels) for at in boxes(size)]
    write_volume(path, list(reversed(size)) + ([channels] if channels > 1 else []), numbers)


# ---- Bad ones ----


def bad_models(folder):
    model, data = document(functional())

    def bad(name, change, more=b"", cut=0):
        changed = copy.deepcopy(model)
        config = changed["modelTopology"]["model_config"]["config"]
        by_name = {item["name"]: item for item in config["layers"]}
        change(changed, by_name)
        write(os.path.join(folder, name), changed, data[:len(data) - cut] + more)

    def weight(changed, name):
        return next(w for w in changed["weightsManifest"][0]["weights"] if w["name"] == name)

    def nothing(changed, layers):
        del changed, layers

    def entry(name, /, **fields):
        return lambda changed, layers: weight(changed, name).update(fields)

    def settings(name, /, **fields):
        return lambda changed, layers: layers[name]["config"].update(fields)

    def paths(*names):
        return lambda changed, layers: changed["weightsManifest"][0].update(paths=list(names))

    def inbound(name, *others):
        return lambda changed, layers: layers[name].update(inbound_nodes=[[[o, 0, 0, {}] for o in others]])

    bad("good", nothing)
    bad("shard_short", nothing, cut=4)
    bad("shard_long", nothing, more=b"\0\0\0\0")
    bad("shard_missing", paths("none.bin"))
    bad("path_up", paths("../good/group1-shard1of1.bin"))
    bad("path_up_later", paths("x/../../good/group1-shard1of1.bin"))
    bad("path_root", paths("/etc/hostname"))
    bad("path_number", paths(7))
    bad("class_unknown", lambda changed, layers: layers["a"].update(class_name="Lambda"))
    bad("no_config", lambda changed, layers: layers["a"].update(config=None))
    bad("weight_missing", entry("a/kernel", name="a/colonel"))
    bad("weight_shape", entry("a/kernel", shape=[3, 3, 1, 1, 2]))
    bad("weight_negative", entry("a/kernel", shape=[1, -3, -3, 1, 2]))
    bad("weight_empty", entry("a/kernel", shape=[1, 3, 0, 1, 2]))
    bad("weight_huge", entry("a/kernel", shape=[2 ** 31, 2 ** 31, 4, 1, 2]))
    bad("weight_dtype", entry("a/kernel", dtype="complex64"))
    bad("weight_nameless", entry("a/kernel", name=None))
    bad("cycle", inbound("n", "b"))
    bad("inbound_unknown", inbound("n", "nobody"))
    bad("inbound_twice", lambda changed, layers: layers["n"]["inbound_nodes"].append(
        layers["n"]["inbound_nodes"][0]))
    bad("channels_conv", inbound("out", "a"))
    bad("channels_norm", inbound("n", "input"))
    bad("sizes_add", settings("b", padding="valid", dilation_rate=[1, 1, 1]))
    bad("groups", settings("b", groups=3))
    bad("strides_zero", settings("out", strides=[1, 0, 1]))
    bad("dilation_huge", settings("b", dilation_rate=[1 << 40, 1, 1]))
    bad("padding_unknown", settings("b", padding="causal"))
    bad("activation_unknown", settings("a", activation="snake"))
    bad("activation_object", settings("a", activation={"class_name": "LeakyReLU", "config": {"alpha": 0.1}}))
    bad("channels_first", settings("a", data_format="channels_first"))
    bad("norm_axis", settings("n", axis=[1]))
    bad("input_2d", settings("input", batch_input_shape=[None, 256, 256, 1]))
    bad("input_negative", settings("input", batch_input_shape=[None, 4, 5, 6, -1]))
    bad("input_channels", settings("input", batch_input_shape=[None, 4, 5, 6, 2]))
    bad("kernel_larger_than_scan", settings("pool", pool_size=[9, 1, 2]))
    bad("two_inputs", lambda changed, layers: changed["modelTopology"]["model_config"]["config"]["layers"].append(
        {"class_name": "InputLayer", "name": "other", "config": {}, "inbound_nodes": []}))
    bad("two_outputs", lambda changed, layers: changed["modelTopology"]["model_config"]["config"].update(
        output_layers=[["a", 0, 0], ["b", 0, 0]]))
    bad("output_unknown", lambda changed, layers: changed["modelTopology"]["model_config"]["config"].update(
        output_layers=[["nobody", 0, 0]]))
    def before(name, *new):
        """Layers put in front of one that took one input."""
        def change(changed, layers):
            names = [call[0] for call in layers[name]["inbound_nodes"][0]]
            for kind, own, config in new:
                layers[own] = {"class_name": kind, "name": own, "config": dict(config, name=own),
                               "inbound_nodes": [[[n, 0, 0, {}] for n in names]]}
                changed["modelTopology"]["model_config"]["config"]["layers"].append(layers[own])
                names = [own]
            layers[name]["inbound_nodes"] = [[[n, 0, 0, {}] for n in names]]
        return change

    same = {"filters": 2, "kernel_size": [3, 3, 3], "strides": [2, 2, 2], "padding": "same"}
    bad("flat_conv", before("n", ("Flatten", "flat", {}), ("Conv3D", "late", {"filters": 1, "kernel_size": [1, 1, 1]})))
    bad("flat_norm", before("n", ("Flatten", "flat", {})))
    bad("flat_softmax", before("n", ("Flatten", "flat", {}), ("Activation", "late", {"activation": "softmax"})))
    bad("flat_output", lambda changed, layers: layers["out"].update(class_name="Flatten"))
    bad("dense_weight", before("n", ("Dense", "late", {"units": 3})))
    bad("dense_units", before("n", ("Dense", "late", {"units": 0})))
    bad("crop_all", before("n", ("Cropping3D", "late", {"cropping": [[1, 1], [2, 3], [0, 0]]})))
    bad("crop_negative", before("n", ("Cropping3D", "late", {"cropping": [[1, 1], [-2, 3], [0, 0]]})))
    bad("pad_text", before("n", ("ZeroPadding3D", "late", {"padding": "same"})))
    bad("size_zero", before("n", ("UpSampling3D", "late", {"size": [1, 0, 1]})))
    bad("transposed_padding", before("n", ("Conv3DTranspose", "late", dict(same, padding="causal"))))
    bad("transposed_output", before("n", ("Conv3DTranspose", "late", dict(same, output_padding=[5, 0, 0]))))
    bad("transposed_weight", before("n", ("Conv3DTranspose", "late", same)))
    bad("pool_padding", settings("pool", padding="full"))
    bad("no_layers", lambda changed, layers: changed["modelTopology"]["model_config"]["config"].update(layers=[]))
    bad("no_topology", lambda changed, layers: changed.pop("modelTopology"))
    bad("no_manifest", lambda changed, layers: changed.pop("weightsManifest"))
    write(os.path.join(folder, "json_broken"), model, data, text=json.dumps(model, indent=1)[:200])
    write(os.path.join(folder, "json_deep"), model, data, text='{"a":' + "[" * 100000)
    write(os.path.join(folder, "json_twice"), model, data, text='{"format": 1,\n"format": 2}')
    write(os.path.join(folder, "json_list"), model, data, text='{}')


def main(folder):
    os.makedirs(folder, exist_ok=True)
    os.chdir(folder)
    size = [4, 5, 6]
    x = 1, size, {(0, *at): (at[0] * 30 + at[1] * 6 + at[2]) * 37 % 23 - 11 for at in boxes(size)}
    write_tensor("in.nii", x)
    for make in (functional, sequential, arithmetic):
        layers, name = make(), make.__name__
        model, data = document(layers, is_sequential=make == sequential)
        write(name, model, data)
        write_tensor(name + ".nii", evaluate(layers, x))
    for make in (upward, pooled, voxels_dense, classifier):
        for name, layers in ((make.__name__, make()), (make.__name__ + "_turned", turned(make()))):
            model, data = document(layers)
            write(name, model, data)
        result = evaluate(make(), x)
        for value in result[2].values():
            assert struct.unpack("<f", struct.pack("<f", value))[0] == value
        if make == classifier:
            with open("classifier.txt", "w") as f:
                f.write(" ".join("%.9g" % result[2][(i, 0, 0, 0)] for i in range(result[0])) + "\n")
        else:
            write_tensor(make.__name__ + ".nii", result)
    model, data = document(functional())
    write("shards", model, data, cuts=(5, len(data) // 2))
    model, data = document(turned(functional()))
    write("turned", model, data)
    for form in ("uint8", "uint16"):
        model, data = document(functional(), quantized=form)
        write(form, model, data)
    write_weights("weights", torch_weights(functional()))
    with open("functional.onnx", "wb") as f:
        f.write(onnx_functional())
    onnx_models("onnx")
    bad_models("bad")


if __name__ == "__main__":
    main(sys.argv[1])
