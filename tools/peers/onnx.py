"""Writes the network as an ONNX file. There is no package for it in Debian, and
the format is little: messages of protocol buffers, see onnx.proto of ONNX."""
import numpy as np

FLOAT, INT64 = 1, 7  # TensorProto.DataType


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def number(field, n):
    return varint(field << 3) + varint(n)


def message(field, content):
    content = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(content)) + content


def tensor(name, a):
    kind = {np.dtype("float32"): FLOAT, np.dtype("int64"): INT64}[a.dtype]
    dims = b"".join(number(1, d) for d in a.shape)
    return dims + number(2, kind) + message(8, name) + message(9, np.ascontiguousarray(a).tobytes())


def attribute(name, value):
    if isinstance(value, str):
        return message(1, name) + message(4, value) + number(20, 3)
    if isinstance(value, list):
        return message(1, name) + b"".join(number(8, v) for v in value) + number(20, 7)
    return message(1, name) + number(3, value) + number(20, 2)


def node(operator, inputs, outputs, **attributes):
    names = b"".join(message(1, i) for i in inputs) + b"".join(message(2, o) for o in outputs)
    return names + message(4, operator) + b"".join(message(5, attribute(*a)) for a in attributes.items())


def value(name, kind, *shape):
    dims = b"".join(message(1, number(1, d)) for d in shape)
    return message(1, name) + message(2, message(1, number(1, kind) + message(2, dims)))


def model(nodes, tensors, inputs, outputs):
    graph = b"".join(message(1, n) for n in nodes) + message(2, "graph")
    graph += b"".join(message(5, tensor(*t)) for t in tensors.items())
    graph += b"".join(message(11, i) for i in inputs) + b"".join(message(12, o) for o in outputs)
    return number(1, 8) + message(7, graph) + message(8, message(1, "") + number(2, 13))


def empty(steps, features):
    """A graph that hands its input on."""
    shape = (steps, 1, features)
    return model([node("Identity", ["features"], ["out"])], {},
                 [value("features", FLOAT, *shape)], [value("out", FLOAT, *shape)])


def lstm(prefix, layers, hidden):
    """The weights of LSTMs that read the same, as ONNX has them: gates in the
    order i, o, f, c, and a bias for either product."""
    def gates(a):
        i, f, g, o = np.split(a.T, 4)
        return np.concatenate([i, o, f, g])
    inputs, recurrent, biases = zip(*layers)
    bias = [gates(b) for b in biases]
    return {prefix + "W": np.stack([gates(w) for w in inputs]), prefix + "R": np.stack([gates(u) for u in recurrent]),
            prefix + "B": np.stack([np.concatenate([b, np.zeros_like(b)]) for b in bias])}


def network(spec, blocks, steps):
    """The network over a sequence of steps keys; blocks as peers.py splits them."""
    h, out = spec["hidden"], spec["classes"]
    tensors = {"E": blocks["embedding"], "D": blocks["dense"][0], "d": blocks["dense"][1],
               "O": blocks["output"][0], "o": blocks["output"][1],
               "one": np.array([1], np.int64), "flat": np.array([1, 3 * h], np.int64)}
    tensors.update(lstm("t", [blocks["forward"], blocks["backward"]], h), **lstm("k", [blocks["key"]], h))
    mean = dict(axes=[0], keepdims=0)
    nodes = [
        node("Gather", ["E", "keys"], ["rows"]), node("Unsqueeze", ["rows", "one"], ["key"]),
        node("Concat", ["features", "key"], ["timing"], axis=2),
        node("LSTM", ["timing", "tW", "tR", "tB"], ["ts"], hidden_size=h, direction="bidirectional"),
        node("LSTM", ["key", "kW", "kR", "kB"], ["ks"], hidden_size=h),
        node("Concat", ["ts", "ks"], ["states"], axis=1),
        node("ReduceMean", ["states"], ["mean"], **mean), node("Reshape", ["mean", "flat"], ["wide"]),
        node("Gemm", ["wide", "D", "d"], ["dense"]), node("Relu", ["dense"], ["relu"]),
        node("Gemm", ["relu", "O", "o"], ["out"]),
    ]
    return model(nodes, tensors, [value("keys", INT64, steps), value("features", FLOAT, steps, 1, spec["features"])],
                 [value("out", FLOAT, 1, out)])
