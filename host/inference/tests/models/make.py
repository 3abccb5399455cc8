"""Makes the tiny models that the tests of this crate load. Needs numpy, onnx and onnxruntime.

    python make.py          # writes *.onnx beside itself, and prints the constant of src/probe.rs
"""
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent
RNG = np.random.default_rng(7)


def info(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def weight(name, array):
    return numpy_helper.from_array(np.asarray(array, dtype=np.float32), name)


def save(name, nodes, weights, inputs, outputs, check=True):
    model = helper.make_model(
        helper.make_graph(nodes, name, inputs, outputs, weights),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    if check:
        onnx.checker.check_model(model)
    data = model.SerializeToString()
    (HERE / f"{name}.onnx").write_bytes(data)
    return data


def mlp(name, sizes, batch):
    nodes, weights, x = [], [], "obs"
    for k, (n_in, n_out) in enumerate(zip(sizes, sizes[1:])):
        weights += [
            weight(f"w{k}", RNG.standard_normal((n_in, n_out)) / np.sqrt(n_in)),
            weight(f"b{k}", 0.1 * RNG.standard_normal(n_out)),
        ]
        last = k == len(sizes) - 2
        out = "action" if last else f"h{k}"
        nodes.append(helper.make_node("Gemm", [x, f"w{k}", f"b{k}"], [f"g{k}"]))
        nodes.append(helper.make_node("Tanh" if last else "Relu", [f"g{k}"], [out]))
        x = out
    return save(name, nodes, weights, [info("obs", [batch, sizes[0]])], [info("action", [batch, sizes[-1]])])


probe = mlp("probe", [64, 128, 128, 7], 1)
small = mlp("mlp", [8, 16, 3], 1)
mlp("dynamic_batch", [8, 16, 3], "N")

conv = weight("k", RNG.standard_normal((4, 2, 3, 3)) / 4)
save(
    "conv",
    [
        helper.make_node("Conv", ["image", "k"], ["c"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Sigmoid", ["r"], ["heat"]),
    ],
    [conv],
    [info("image", [1, 2, 8, 12])],
    [info("heat", [1, 4, 4, 6])],
)
save(
    "two_in_two_out",
    [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Sub", ["a", "b"], ["difference"])],
    [],
    [info("a", [1, 4]), info("b", [1, 4])],
    [info("sum", [1, 4]), info("difference", [1, 4])],
)
save("overflow", [helper.make_node("Exp", ["x"], ["y"])], [], [info("x", [1, 2])], [info("y", [1, 2])])

# Bad ones.
save("bad_dynamic", [helper.make_node("Relu", ["x"], ["y"])], [], [info("x", [1, "T"])], [info("y", [1, "T"])])
save(
    "bad_integer",
    [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.INT64)],
    [],
    [info("x", [1, 4])],
    [info("y", [1, 4], TensorProto.INT64)],
)
save("bad_operator", [helper.make_node("Levitate", ["x"], ["y"])], [], [info("x", [1, 4])], [info("y", [1, 4])], check=False)
save(
    "bad_product",
    [helper.make_node("MatMul", ["x", "w"], ["y"])],
    [weight("w", np.zeros((5, 3)))],
    [info("x", [1, 4])],
    [info("y", [1, 3])],
    check=False,
)
short = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 4], raw_data=b"\0" * 16)
save("bad_weight", [helper.make_node("MatMul", ["x", "w"], ["y"])], [short], [info("x", [1, 4])], [info("y", [1, 4])], check=False)
huge = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1 << 40, 1 << 40], raw_data=b"\0" * 16)
save("bad_huge", [helper.make_node("MatMul", ["x", "w"], ["y"])], [huge], [info("x", [1, 4])], [info("y", [1, 4])], check=False)
(HERE / "bad_garbage.onnx").write_bytes(RNG.bytes(512))
(HERE / "bad_text.onnx").write_bytes(b"this is not a model\n" * 8)
(HERE / "bad_truncated.onnx").write_bytes(small[: len(small) // 2])
(HERE / "bad_empty.onnx").write_bytes(b"")

import onnxruntime

value = onnxruntime.InferenceSession(probe).run(None, {"obs": np.full((1, 64), 0.5, np.float32)})[0]
print("probe first output:", repr(float(value[0, 0])))
