"""The detector's network and the layout of its output.

Input `image`, 1 x 4 x height x width: red, green, blue in -0.5..0.5, then the height above the table in
decimetres, clipped to -0.5..3.5, and -0.5 where there is no depth.

Output `maps`, 1 x (classes + 5 + colours) x height/4 x width/4, a column for each 4 x 4 cell of pixels:

    classes     probability that the centre of the top of a part of this class lies here
    2           where in the cell it lies: x and y from the middle of the cell, in cells
    2           cos 2a and sin 2a of the angle a of the part's long axis in the image, from x (right) to y (down)
    1           height of the part's top above the table, decimetres
    colours     logits
"""

import torch
from torch import nn

CLASSES = ["block", "puck", "wedge"]
COLORS = ["red", "green", "blue", "yellow"]
TURNING = [True, False, True]  # classes whose yaw can be seen
STRIDE = 4
HEIGHT_M = 0.1
HEIGHT_RANGE = (-0.5, 3.5)


def conv(inputs, outputs, stride=1, size=3):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.fine = nn.Sequential(conv(4, 16, 2), conv(16, 32, 2), conv(32, 32))
        self.coarse = nn.Sequential(conv(32, 48, 2), conv(48, 48), conv(48, 32, size=1))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.join = conv(32, 40)
        self.head = nn.Conv2d(40, len(CLASSES) + 5 + len(COLORS), 1)
        # A prior of 1 % keeps the first steps of the focal loss calm.
        nn.init.constant_(self.head.bias[: len(CLASSES)], -4.6)

    def forward(self, image):
        fine = self.fine(image)
        return self.head(self.join(fine + self.up(self.coarse(fine))))


class Exported(nn.Module):
    """The network as it is shipped: class maps as probabilities."""

    def __init__(self, detector):
        super().__init__()
        self.detector = detector

    def forward(self, image):
        maps = self.detector(image)
        split = len(CLASSES)
        return torch.cat([torch.sigmoid(maps[:, :split]), maps[:, split:]], 1)
