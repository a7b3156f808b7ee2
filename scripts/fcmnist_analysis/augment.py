"""fcmnist augment: draws training images as the network sees them, epoch after epoch.

One row for each sample: the image as it is, then as it is used in each epoch.
"""
import dataclasses
import math

import numpy as np

from .counter_rng import AUGMENTATION, philox
from .errors import AnalysisError, check_output
from .mixup import mixed, partner_of, share_of
from .run import Run
from sample_order import held_out

GRID = 7  # control points of the elastic distortion, in each direction
GAP = 2  # pixels between images


def add_arguments(parser):
    parser.add_argument("run", metavar="RUN", help="model_dir of a run with train_input.augment_* or mixup")
    parser.add_argument("-o", "--output", default="augmented.png", help="the picture (augmented.png)")
    parser.add_argument("--samples", type=int, default=10, help="so many of the first training images (10)")
    parser.add_argument("--epochs", type=int, default=12, help="so many of the first epochs (12)")
    parser.add_argument("--zoom", type=int, default=2, help="each pixel becomes so many in each direction (2)")


def run(arguments):
    if min(arguments.samples, arguments.epochs, arguments.zoom) < 1:
        raise AnalysisError("--samples, --epochs and --zoom: expected numbers above 0", "fcmnist augment RUN")
    check_output(arguments.output)
    found = Run(arguments.run)
    found.train  # noqa: B018 (an error if its metrics are another file)
    options = Options.of(found.config)
    images = found.images(which="training")
    if images is None:
        raise AnalysisError(f"{arguments.run}: the training images that the run has read are no longer there",
                            "put them where they were: fcmnist show names the files")
    seed = int(found.config["runconfig.seed"])
    pool = np.delete(np.arange(len(images)), held_out(len(images), int(found.config.get("train_input.validation_size", 0)), seed))
    sheet = sheet_of(images, arguments.samples, options, seed, arguments.epochs, pool)
    from PIL import Image
    Image.fromarray(np.kron(sheet, np.ones((arguments.zoom,) * 2, np.uint8))).save(arguments.output)
    print(f"{arguments.output}: {min(arguments.samples, len(pool))} samples as they are, and in {arguments.epochs} epochs: {options}")
    return 0


@dataclasses.dataclass
class Options:
    """train_input.augment_* and mixup: see configs/README.md."""
    shift: float = 0.0
    rotation: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    elastic: float = 0.0
    mixup: float = 0.0

    @classmethod
    def of(cls, config):
        keys = {field.name: field.name if field.name == "mixup" else f"augment_{field.name}" for field in dataclasses.fields(cls)}
        given = {name: float(config.get(f"train_input.{key}", 0.0)) for name, key in keys.items()}
        if not any(given.values()):
            raise AnalysisError("the run neither distorts nor mixes its training images", "train_input.augment_shift=1.8, for example")
        return cls(**given)

    def __str__(self):
        return ", ".join(f"{name} {value:g}" for name, value in dataclasses.asdict(self).items() if value)


def sheet_of(images, samples, options, seed, epochs, pool):
    """A row for each of the first samples, dark on white. `pool`: ids of those that are trained on."""
    rows = []
    for sample in map(int, pool[:samples]):
        row = [images[sample], *(as_used(images, options, seed, epoch, sample, pool) for epoch in range(epochs))]
        rows.append(np.hstack([np.pad(255 - each, GAP, constant_values=255) for each in row]))
    return np.vstack(rows)


def as_used(images, options, seed, epoch, sample, pool):
    """The image of a sample as it is used in an epoch, from 0."""
    own = augmented(images[sample], options, seed, epoch, sample)
    if options.mixup == 0:
        return own
    partner = int(partner_of(seed, epoch, sample, pool))
    return mixed(own, augmented(images[partner], options, seed, epoch, partner), share_of(options.mixup, seed, epoch, sample))


def augmented(image, options, seed, epoch, sample):
    """The image (height x width, bytes) as it is distorted in an epoch, from 0. Written from the description in
    src/data/augmenter.hpp; rounding may differ by 1 from the program's."""
    height, width = image.shape
    x, y = source_of(height, width, options, philox(seed, AUGMENTATION, epoch, sample, np.arange(15)).reshape(-1))
    padded = np.zeros((height + 3, width + 3))
    padded[1:-2, 1:-2] = image
    x, y = np.clip(x + 1, 0, width + 1), np.clip(y + 1, 0, height + 1)
    left, top = x.astype(int), y.astype(int)
    above = padded[top, left] + (x - left) * (padded[top, left + 1] - padded[top, left])
    below = padded[top + 1, left] + (x - left) * (padded[top + 1, left + 1] - padded[top + 1, left])
    return np.rint(above + (y - top) * (below - above)).astype(np.uint8)


def source_of(height, width, options, words):
    """Where each pixel of the new image comes from: x and y (height x width)."""
    signed = words.astype(np.uint32).view(np.int32) / 2.0**31
    angle = math.radians(signed[0] * options.rotation)
    scale_x, scale_y, shear = 1 + signed[1] * options.scale, 1 + signed[2] * options.scale, signed[3] * options.shear
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = turn @ np.diag([scale_x, scale_y]) @ np.array([[1.0, shear], [0.0, 1.0]])
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    v, u = np.mgrid[:height, :width]
    source = np.stack([u - centre[0], v - centre[1]], axis=-1) @ matrix.T + centre + signed[4:6] * options.shift
    if options.elastic:
        grid = words[8:8 + GRID * GRID].astype(np.uint32)
        halves = np.stack([grid & 0xFFFF, grid >> 16]).astype(np.uint16).view(np.int16) / 2.0**15
        control = halves.reshape(2, GRID, GRID) * options.elastic * math.sqrt(3)
        down, across = spline_basis(height), spline_basis(width)
        source += np.einsum("yi,cij,xj->yxc", down, control, across)
    return source[..., 0], source[..., 1]


def spline_basis(size):
    """Weights of the control points at each pixel of an axis (size x GRID): a uniform cubic B-spline."""
    basis = np.zeros((size, GRID))
    for place in range(size):
        at = (GRID - 3) * place / (size - 1) if size > 1 else 0.0
        first = min(int(at), GRID - 4)
        t = at - first
        basis[place, first:first + 4] = [(1 - t)**3 / 6, (3 * t**3 - 6 * t**2 + 4) / 6,
                                         (3 * (1 - t)**3 - 6 * (1 - t)**2 + 4) / 6, t**3 / 6]
    return basis
