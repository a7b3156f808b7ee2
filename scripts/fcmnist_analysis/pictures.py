"""Images of a report, as arrays of bytes: mistakes, and weights of the first layer."""
import dataclasses

import numpy as np

from . import network

MOST_MISTAKES, MOST_UNITS = 64, 64
GAP = 2  # pixels between the images of a sheet


@dataclasses.dataclass
class Mistake:
    image: np.ndarray  # height x width, dark on white
    sample: int
    label: str
    predicted: str
    probability: float


@dataclasses.dataclass
class FirstLayer:
    sheet: np.ndarray  # height x width x RGB
    shown: int
    units: int


def mistakes(run):
    """The surest mistakes; None if nothing is known of them."""
    wrong = run.wrong()
    if wrong is None:
        return None
    worst = wrong.head(MOST_MISTAKES)
    images = run.images()
    if images is None or (len(worst) and worst.index.max() >= len(images)):
        return None if len(worst) else []
    names = run.class_names
    return [Mistake(255 - images[sample], int(sample), names[int(row["label"])], names[int(row["predicted"])],
                    float(row["probability"])) for sample, row in worst.iterrows()]


def diverging(values):
    """Numbers from -1 to 1 as colours: blue, white, red."""
    positive, negative = np.clip(values, 0, 1)[..., None], np.clip(-values, 0, 1)[..., None]
    white, red, blue = (np.array(color, float) for color in ((247, 247, 247), (178, 24, 43), (33, 102, 172)))
    return (white + positive * (red - white) + negative * (blue - white)).round().astype(np.uint8)


def first_layer(run):
    """The weights of those units of the first layer that have the largest norm; None if they are no images."""
    if run.weights is None:
        return None
    height, width = int(run.manifest.get("image_height", 0)), int(run.manifest.get("image_width", 0))
    weights = network.layers(run.weights)[0][0]
    if height * width != weights.shape[1] or height * width > 10_000:
        return None
    chosen = np.argsort(-np.linalg.norm(weights, axis=1), kind="stable")[:MOST_UNITS]
    columns = min(16, len(chosen))
    rows = -(-len(chosen) // columns)
    sheet = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 255, np.uint8)
    for k, unit in enumerate(chosen):
        tile = weights[unit].reshape(height, width)
        top, left = k // columns * (height + GAP), k % columns * (width + GAP)
        sheet[top:top + height, left:left + width] = diverging(tile / max(np.abs(tile).max(), 1e-30))
    return FirstLayer(sheet, len(chosen), len(weights))
