"""torch_file.py - .pt files as torch.save writes them, without torch: Python's own pickler, and classes that have
the names of torch's. What a test wants broken, it breaks in the arguments.

    torch_file.save({"conv.weight": Tensor((1, 1, 3), [1, 2, 4])})  the bytes of a file
"""
import collections
import io
import math
import pickle
import struct
import sys
import types
import zipfile


def module(name, **contents):
    sys.modules[name] = made = types.ModuleType(name)
    for key, value in contents.items():
        value.__module__, value.__name__, value.__qualname__ = name, key, key
        setattr(made, key, value)
    return made


FloatStorage = type("FloatStorage", (), {})
_rebuild_tensor_v2 = lambda *_: None  # noqa: E731
_rebuild_parameter = lambda *_: None  # noqa: E731
Sequential = type("Sequential", (), {})
module("torch", FloatStorage=FloatStorage)
module("torch._utils", _rebuild_tensor_v2=_rebuild_tensor_v2, _rebuild_parameter=_rebuild_parameter)
module("torch.nn.modules.container", Sequential=Sequential)


class Storage:
    def __init__(self, values, count=None, key=None):
        self.data = struct.pack("<%df" % len(values), *values)
        self.count, self.key = len(values) if count is None else count, key


class Tensor:
    """A view of a storage, dense unless it is said how."""

    def __init__(self, shape, values, offset=0, stride=None, **storage):
        dense = tuple(math.prod(shape[i + 1:]) for i in range(len(shape)))
        self.storage = Storage(values, **storage)
        self.rest = offset, tuple(shape), dense if stride is None else stride, False, collections.OrderedDict()

    def __reduce__(self):
        return _rebuild_tensor_v2, (self.storage, *self.rest)


class Pickler(pickle.Pickler):
    def __init__(self, file, protocol):
        super().__init__(file, protocol)
        self.storages = []

    def persistent_id(self, value):
        if not isinstance(value, Storage):
            return None
        if value not in self.storages:
            self.storages.append(value)
        key = str(self.storages.index(value)) if value.key is None else value.key
        return "storage", FloatStorage, key, "cpu", value.count


def archive(members, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        for name, data in members:
            z.writestr(zipfile.ZipInfo("archive/" + name), data, method)
    return out.getvalue()


def save(value, protocol=2, byteorder=b"little", extra=()):
    """`extra` are more members. Bytes instead of a value are a pickle as they are."""
    out, storages = io.BytesIO(), []
    if isinstance(value, bytes):
        out.write(value)
    else:
        pickler = Pickler(out, protocol)
        pickler.dump(value)
        storages = pickler.storages
    return archive([("data.pkl", out.getvalue()), ("byteorder", byteorder),
                    *(("data/%d" % i, s.data) for i, s in enumerate(storages)), ("version", b"3\n"), *extra])
