"""Trains the grasp policy on demonstrations and writes grasp.onnx and the generated part of policy.toml.

    python train.py DEMOS...            # files of `sinew demos generate`

A multilayer perceptron from the normalised observation to a normalised chunk. The file order and the seed
decide the result; a GPU is not used.
"""
import argparse
import hashlib
import json
import pathlib
import re

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent
MARK = "# --- generated below; do not edit ---\n"
CLIP = 6.0  # as the host does
# Features whose numbers carry meaning near the part: a small standard deviation magnifies what the closing
# decision depends on.
STD_MIN = 1e-4


def seeds_of(path):
    """First and last seed of a file of demonstrations."""
    with open(path, "rb") as file:
        return json.loads(file.readline())["seeds"]


def load(paths):
    """Rows of seed, class, observation, chunk; and the header they share."""
    headers, rows = [], []
    for path in paths:
        with open(path, "rb") as file:
            header = json.loads(file.readline())
            width = 2 + header["observation"] + header["chunk"][0] * header["chunk"][1]
            rows.append(np.frombuffer(file.read(), "<f4").reshape(-1, width))
        headers.append(header)
    for header in headers[1:]:
        for key in ("policy", "classes", "observation", "chunk"):
            assert header[key] == headers[0][key], f"{key} differs between the files"
    return headers[0], np.concatenate(rows)


class Network(torch.nn.Module):
    def __init__(self, inputs, outputs, width, depth):
        super().__init__()
        sizes = [inputs] + [width] * depth + [outputs]
        self.layers = torch.nn.ModuleList(torch.nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return self.layers[-1](x)


def export(network, inputs, outputs, path):
    """Gemm and Relu alone, opset 17, batch 1."""
    nodes, weights, x = [], [], "observation"
    for index, layer in enumerate(network.layers):
        last = index == len(network.layers) - 1
        for name, value in (("w", layer.weight), ("b", layer.bias)):
            array = value.detach().numpy().astype(np.float32)
            weights.append(numpy_helper.from_array(array, f"{name}{index}"))
        out = "chunk" if last else f"gemm{index}"
        nodes.append(helper.make_node("Gemm", [x, f"w{index}", f"b{index}"], [out], transB=1))
        if not last:
            nodes.append(helper.make_node("Relu", [out], [f"relu{index}"]))
            x = f"relu{index}"
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "grasp",
        [info("observation", TensorProto.FLOAT, [1, inputs])],
        [info("chunk", TensorProto.FLOAT, [1, outputs])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def numbers(values):
    return "[" + ", ".join(f"{float(value):.9g}" for value in values) + "]"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("demos", nargs="+", type=pathlib.Path)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=pathlib.Path, default=HERE)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    torch.use_deterministic_algorithms(True)
    rng = np.random.default_rng(arguments.seed)

    header, rows = load(arguments.demos)
    inputs = header["observation"]
    steps, channels = header["chunk"]
    seeds = rows[:, 0].astype(np.int64)
    held_out = seeds % 10 == 9
    x = rows[:, 2 : 2 + inputs]
    y = rows[:, 2 + inputs :]
    mean, std = x.mean(0), np.maximum(x.std(0), STD_MIN)
    flat = y.reshape(-1, channels)
    action_mean, action_std = flat.mean(0), np.maximum(flat.std(0), 1e-3)
    xn = np.clip((x - mean) / std, -CLIP, CLIP)
    yn = ((y.reshape(-1, steps, channels) - action_mean) / action_std).reshape(len(y), -1)

    # What is done near the part needs millimetres, what is done above it does not.
    frame = inputs // 2
    above = np.maximum(-x[:, frame + 2], 0.0)
    weight = 1.0 + 4.0 * np.exp(-above / 0.03)
    to = lambda array: torch.tensor(np.ascontiguousarray(array), dtype=torch.float32)
    train_x, train_y, train_w = to(xn[~held_out]), to(yn[~held_out]), to(weight[~held_out])
    test_x, test_y = to(xn[held_out]), to(yn[held_out])

    network = Network(inputs, steps * channels, arguments.width, arguments.depth)
    average = [parameter.detach().clone() for parameter in network.parameters()]
    batch = 512
    batches = max(1, len(train_x) // batch)
    optimiser = torch.optim.AdamW(network.parameters(), 1.5e-3, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, arguments.epochs * batches)
    for epoch in range(arguments.epochs):
        order = torch.tensor(rng.permutation(len(train_x)))
        total = 0.0
        for start in range(batches):
            pick = order[start * batch : (start + 1) * batch]
            error = torch.nn.functional.smooth_l1_loss(
                network(train_x[pick]), train_y[pick], beta=0.05, reduction="none"
            ).mean(1)
            loss = (error * train_w[pick]).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
            for kept, parameter in zip(average, network.parameters()):
                kept.lerp_(parameter.detach(), 0.003)
        if epoch % 20 == 0 or epoch == arguments.epochs - 1:
            with torch.no_grad():
                error = (network(test_x) - test_y).abs().reshape(-1, steps, channels)
                error = error.mean((0, 1)).numpy() * action_std
            words = " ".join(f"{value:.4f}" for value in error)
            print(f"epoch {epoch}: loss {total / batches:.5f}, held-out error {words}", flush=True)
    with torch.no_grad():
        for kept, parameter in zip(average, network.parameters()):
            parameter.copy_(kept)

    model = arguments.out / "grasp.onnx"
    export(network, inputs, steps * channels, model)
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    manifest = HERE / "policy.toml"
    text = manifest.read_text()
    head, _, generated = text.partition(MARK)
    confidence = re.search(r"^\[confidence\]\n(?:.+\n?)*", generated, re.M).group(0)
    data = ", ".join(
        f"{path.name}: seeds {'..'.join(map(str, seeds_of(path)))}, "
        f"sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
        for path in arguments.demos
    )
    text = f"""{head}{MARK}
[model]
file = "grasp.onnx"
sha256 = "{digest}"
input = {{ name = "observation", shape = [1, {inputs}] }}
output = {{ name = "chunk", shape = [1, {steps * channels}] }}

[normalisation]
observation_mean = {numbers(mean)}
observation_std = {numbers(std)}
action_mean = {numbers(action_mean)}
action_std = {numbers(action_std)}

[provenance]
data = "{data}"
samples = "{len(rows)}"
training = "policies/grasp/train.py, seed {arguments.seed}, {arguments.epochs} epochs, torch {torch.__version__.split('+')[0]}"
network = "perceptron {inputs}-{'-'.join([str(arguments.width)] * arguments.depth)}-{steps * channels}, ReLU"

{confidence}"""
    (arguments.out / "policy.toml").write_text(text)
    print(f"{model}: {model.stat().st_size} bytes, sha256 {digest}")


if __name__ == "__main__":
    main()
