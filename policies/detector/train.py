"""Trains the detector and writes detector.onnx.

    sinew demos generate --policy detector --seeds 1..8000 --out data/train
    sinew demos generate --policy detector --seeds 900001..900150 --out data/check
    python train.py data/train data/check

Crops around parts instead of whole images: most of an image is empty table, and the network is convolutional
all the way. What ships is judged by `sinew perception eval` on scenes of other seeds, not by this script.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from dataset import Frames
from network import CLASSES, COLORS, STRIDE, Detector, Exported

CROP = 80
SPREAD = 0.7  # of the heat around a part's centre, cells
NEAR = 1.1  # cells around a centre that learn its offset, yaw, height and colour


def crop(frames, index, rng):
    """A random piece of an image, mirrored at random, and the parts in it."""
    parts = frames.parts[index].copy()
    rows, columns = frames.heights[index].shape
    if len(parts) and rng.random() < 0.85:
        hard = parts[parts[:, 9] > 0]
        among = hard if len(hard) and rng.random() < 0.5 else parts
        u, v = among[rng.integers(len(among)), :2] + rng.uniform(-CROP / 2, CROP / 2, 2)
    else:
        u, v = rng.uniform(0, columns), rng.uniform(0, rows)
    x = int(np.clip(u - CROP / 2, 0, columns - CROP))
    y = int(np.clip(v - CROP / 2, 0, rows - CROP))
    rgb = frames.rgb[index, y : y + CROP, x : x + CROP].astype(np.float32) / 255 - 0.5
    height = frames.heights[index, y : y + CROP, x : x + CROP].astype(np.float32)
    image = np.concatenate([rgb, height[..., None]], 2)
    parts[:, 0] -= x
    parts[:, 1] -= y
    if rng.random() < 0.5:
        image = image[:, ::-1]
        parts[:, 0] = CROP - parts[:, 0]
        parts[:, 5] *= -1
    if rng.random() < 0.5:
        image = image[::-1]
        parts[:, 1] = CROP - parts[:, 1]
        parts[:, 5] *= -1
    return image.transpose(2, 0, 1), parts


def targets(parts, cells):
    """Heat, its weight, and what the cells near a centre have to say."""
    axis = np.arange(cells, dtype=np.float32) + 0.5
    heat = np.zeros((len(CLASSES), cells, cells), np.float32)
    weight = np.ones((cells, cells), np.float32)
    near = np.zeros((cells, cells), np.float32)
    best = np.full((cells, cells), np.inf, np.float32)
    # offset x, offset y, cos, sin, height, yaw known, colour, class
    value = np.zeros((8, cells, cells), np.float32)
    for u, v, name, color, cos, sin, known, top, counted, _ in parts:
        dx, dy = u / STRIDE - axis[None, :], v / STRIDE - axis[:, None]
        square = dx**2 + dy**2
        inside = 0 <= u < cells * STRIDE and 0 <= v < cells * STRIDE
        if not counted or not inside:
            weight[square < 4.0] = 0
            continue
        heat[int(name)] = np.maximum(heat[int(name)], np.exp(-square / (2 * SPREAD**2)))
        row, column = int(v / STRIDE), int(u / STRIDE)
        heat[int(name), row, column] = 1
        mine = (square < NEAR**2) & (square < best)
        best[mine] = square[mine]
        near[mine] = 1
        said = [dx + 0 * dy, dy + 0 * dx, cos, sin, top, known, color, name]
        for channel, what in enumerate(said):
            value[channel][mine] = what[mine] if isinstance(what, np.ndarray) else what
    return heat, weight, near, value


def batch(frames, indices, rng):
    made = []
    for index in indices:
        image, parts = crop(frames, index, rng)
        gain = rng.uniform(0.85, 1.15, (1, 1, 1)) * rng.uniform(0.95, 1.05, (3, 1, 1))
        image[:3] = np.clip((image[:3] + 0.5) * gain - 0.5, -0.5, 0.5)
        made.append((image, *targets(parts, CROP // STRIDE)))
    return [torch.from_numpy(np.stack(arrays).astype(np.float32)) for arrays in zip(*made)]


def loss(maps, heat, weight, near, value):
    split = len(CLASSES)
    logits = maps[:, :split]
    log_p, log_not = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    p = torch.sigmoid(logits)
    centre = (heat == 1).float()
    found = -centre * (1 - p) ** 2 * log_p
    empty = -(1 - centre) * (1 - heat) ** 4 * p**2 * log_not * weight[:, None]
    focal = (found.sum() + empty.sum()) / centre.sum().clamp(min=1)
    count = near.sum().clamp(min=1)
    offset = ((maps[:, split : split + 2] - value[:, :2]).abs() * near[:, None]).sum() / count
    turning = (near * value[:, 5])[:, None]
    yaw = (maps[:, split + 2 : split + 4] - value[:, 2:4]).abs() * turning
    yaw = yaw.sum() / turning.sum().clamp(min=1)
    height = ((maps[:, split + 4] - value[:, 4]).abs() * near).sum() / count
    color = functional.cross_entropy(maps[:, split + 5 :], value[:, 6].long(), reduction="none")
    color = (color * near).sum() / count
    # The focal loss cares little which class it is once it is one: this term does.
    name = functional.cross_entropy(logits, value[:, 7].long(), reduction="none")
    name = (name * near).sum() / count
    parts = torch.stack([focal, name, offset, yaw, height, color])
    return (parts * torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 0.3])).sum(), parts.detach()


def check(network, frames):
    """Recall, false alarms and errors over whole images."""
    network.eval()
    asked = found = alarms = right = colored = 0
    pixels, angles, heights = [], [], []
    with torch.inference_mode():
        for index, parts in enumerate(frames.parts):
            maps = Exported(network)(torch.from_numpy(frames.image(index))[None])[0]
            heat = maps[: len(CLASSES)].amax(0)
            peak = functional.max_pool2d(heat[None], 3, 1, 1)[0] == heat
            rows, columns = torch.where(peak & (heat > 0.4))
            maps = maps.numpy()
            taken = np.zeros(len(parts), bool)
            for row, column in zip(rows.tolist(), columns.tolist()):
                cell = maps[:, row, column]
                u = (column + 0.5 + cell[3]) * STRIDE
                v = (row + 0.5 + cell[4]) * STRIDE
                gaps = np.hypot(parts[:, 0] - u, parts[:, 1] - v)
                if not len(gaps) or gaps.min() > 8:
                    alarms += 1
                    continue
                part = parts[gaps.argmin()]
                if not part[8] or taken[gaps.argmin()]:
                    continue
                taken[gaps.argmin()] = True
                found += 1
                right += int(cell[:3].argmax()) == int(part[2])
                colored += int(cell[8:].argmax()) == int(part[3])
                pixels.append(gaps.min())
                heights.append(abs(cell[7] - part[7]) * 100)
                if part[6]:
                    turn = math.atan2(cell[6], cell[5]) - math.atan2(part[5], part[4])
                    angles.append(abs(math.degrees(math.remainder(turn, 2 * math.pi))) / 2)
            inside = (parts[:, 0] > 4) & (parts[:, 0] < 188) & (parts[:, 1] > 4)
            asked += int((inside & (parts[:, 1] < 140) & (parts[:, 8] > 0)).sum())
    network.train()
    spread = lambda x: "median %.2f, p95 %.2f" % tuple(np.percentile(x, [50, 95])) if x else "-"
    print(
        f"  found {found} of {asked}, {alarms} false; class {right / max(found, 1):.4f}, "
        f"colour {colored / max(found, 1):.4f}; pixels {spread(pixels)}; "
        f"yaw {spread(angles)} deg; height {spread(heights)} mm",
        flush=True,
    )


def export(network, path, rows, columns):
    network.eval()
    torch.onnx.export(
        Exported(network),
        (torch.zeros(1, 4, rows, columns),),
        str(path),
        input_names=["image"],
        output_names=["maps"],
        opset_version=17,
        dynamo=False,
    )
    network.train()


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("train")
    arguments.add_argument("check")
    arguments.add_argument("--epochs", type=int, default=24)
    arguments.add_argument("--batch", type=int, default=32)
    arguments.add_argument("--rate", type=float, default=3e-3)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--steps", type=int, help="steps an epoch; all images once if not given")
    arguments.add_argument("--threads", type=int, default=1, help="more than one is slower at this size")
    arguments.add_argument("--start", help="weights to go on from")
    arguments.add_argument("--out", default=str(Path(__file__).parent / "detector.onnx"))
    given = arguments.parse_args()
    torch.manual_seed(given.seed)
    torch.set_num_threads(given.threads)
    rng = np.random.default_rng(given.seed)
    frames, held_out = Frames(given.train), Frames(given.check)
    network = Detector().to(memory_format=torch.channels_last)
    if given.start:
        network.load_state_dict(torch.load(given.start, weights_only=True))
    size = sum(p.numel() for p in network.parameters())
    # Images without a part teach little after the first few, those of a moving camera differ most.
    chances = [i for i, parts in enumerate(frames.parts) if len(parts) or i % 10 == 0]
    chances += [i for i in chances if frames.cameras[i].name == "wrist" and len(frames.parts[i])]
    chances += [i for i in chances if (frames.parts[i][:, 9] > 0).any()]
    steps = len(chances) // given.batch if given.steps is None else given.steps
    print(f"{size} parameters, {len(frames.parts)} images, {steps} steps an epoch", flush=True)
    optimizer = torch.optim.AdamW(network.parameters(), given.rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, given.rate, total_steps=given.epochs * steps, pct_start=0.15
    )
    began = time.monotonic()
    for epoch in range(given.epochs):
        order = rng.permutation(chances)
        mean = torch.zeros(6)
        for step in range(steps):
            chosen = order[step * given.batch : (step + 1) * given.batch]
            image, *truth = batch(frames, chosen, rng)
            image = image.contiguous(memory_format=torch.channels_last)
            total, parts = loss(network(image), *truth)
            optimizer.zero_grad(set_to_none=True)
            total.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            mean += parts / steps
        names = ["heat", "class", "offset", "yaw", "height", "colour"]
        figures = " ".join(f"{n} {v:.3f}" for n, v in zip(names, mean.tolist()))
        print(f"epoch {epoch + 1}: {figures} ({time.monotonic() - began:.0f} s)", flush=True)
        if epoch + 1 == given.epochs or epoch % 2 == 1:
            check(network, held_out)
            rows, columns = held_out.heights.shape[1:]
            export(network, given.out, rows, columns)
            torch.save(network.state_dict(), Path(given.out).with_suffix(".pt"))
    print(f"{len(COLORS)} colours, {len(CLASSES)} classes; wrote {given.out}")


if __name__ == "__main__":
    main()
