"""Reads what `sinew demos generate --policy detector` writes."""

from pathlib import Path

import numpy as np

from network import CLASSES, COLORS, HEIGHT_M, HEIGHT_RANGE, TURNING

VISIBLE_MIN = 0.35  # less of a part than this is neither asked for nor counted against the network
UPRIGHT_MIN = 0.9


def rotation(q):
    x, y, z, w = q
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


class Camera:
    def __init__(self, line):
        name, *values = line.rstrip("\n").split("\t")
        values = [float(v) for v in values]
        self.name = name
        self.fx, self.fy, self.cx, self.cy = values[:4]
        self.eye = np.array(values[4:7])
        self.turn = rotation(values[7:11])

    def heights(self, depth_m):
        """Height above the table of every pixel, in the unit of the network."""
        rows, columns = depth_m.shape
        u = (np.arange(columns, dtype=np.float32) + 0.5 - self.cx) / self.fx
        v = (np.arange(rows, dtype=np.float32) + 0.5 - self.cy) / self.fy
        slope = self.turn[2, 0] * u[None, :] + self.turn[2, 1] * v[:, None] + self.turn[2, 2]
        height = (self.eye[2] + depth_m * slope) / HEIGHT_M
        return np.where(depth_m > 0, np.clip(height, *HEIGHT_RANGE), HEIGHT_RANGE[0])

    def project(self, point):
        p = self.turn.T @ (np.asarray(point) - self.eye)
        return np.array([self.cx + self.fx * p[0] / p[2], self.cy + self.fy * p[1] / p[2]])


class Frames:
    """All images of a folder, and a table of parts for each."""

    # Columns of `parts`: u, v, class, colour, cos 2a, sin 2a, yaw known, top height (dm), counted, hard
    COLUMNS = 10

    def __init__(self, folder):
        folder = Path(folder)
        self.rgb = np.load(folder / "rgb.npy", mmap_mode="r")
        depth = np.load(folder / "depth.npy", mmap_mode="r")
        with open(folder / "frames.tsv") as lines:
            self.cameras = [Camera(line) for line in lines]
        self.heights = np.empty(depth.shape, np.float16)
        for index, camera in enumerate(self.cameras):
            self.heights[index] = camera.heights(depth[index].astype(np.float32) * 1e-4)
        parts = [[] for _ in self.cameras]
        with open(folder / "labels.tsv") as lines:
            for line in lines:
                row = line.rstrip("\n").split("\t")
                if row[1] == "part":
                    parts[int(row[0])].append(self.part(self.cameras[int(row[0])], row))
        self.parts = [np.array(p, np.float32).reshape(-1, self.COLUMNS) for p in parts]

    @staticmethod
    def part(camera, row):
        name, color = CLASSES.index(row[2]), COLORS.index(row[3])
        x, y, _, yaw, upright, top, u, v, _, visible = map(float, row[4:14])
        along = camera.project([x + 0.01 * np.cos(yaw), y + 0.01 * np.sin(yaw), top])
        angle = 2 * np.arctan2(along[1] - v, along[0] - u)
        known = TURNING[name] and upright > UPRIGHT_MIN
        counted = visible >= VISIBLE_MIN
        # Toppled or partly covered: few of all parts, most of the mistakes.
        hard = counted and (upright <= UPRIGHT_MIN or visible < 0.9)
        return [u, v, name, color, np.cos(angle), np.sin(angle), known, top / HEIGHT_M, counted, hard]

    def image(self, index):
        rgb = self.rgb[index].astype(np.float32).transpose(2, 0, 1) / 255 - 0.5
        return np.concatenate([rgb, self.heights[index][None].astype(np.float32)])
