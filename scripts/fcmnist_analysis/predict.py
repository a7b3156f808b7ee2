"""fcmnist predict: names the digits in pictures that people have drawn or photographed."""
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from . import network
from .errors import AnalysisError
from .run import Run

MIDDLE = 14.5  # of the centre of mass, with pixel k from k to k + 1: the mean of MNIST's images in both directions
SHADES = " .:-=+*#%@"


def like_mnist(picture):
    """28 x 28 bytes of a picture of a digit, as MNIST was made: what is ink is found, its box is scaled to fit 20 x 20, and
    its centre of mass is put into the middle (LeCun, Bottou, Bengio, Haffner, Proc. IEEE 86 (1998), section III A).
    Dark on light or light on dark."""
    flat = ImageOps.exif_transpose(picture).convert("RGBA")
    page = Image.new("RGBA", flat.size, "white")
    page.alpha_composite(flat)
    gray = np.asarray(page.convert("L"), np.float64)
    border = np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])
    paper = np.median(border)
    ink = np.abs(gray - paper)
    strongest = np.quantile(ink, 0.999)
    if strongest < 20:
        raise AnalysisError("nothing is drawn in it", "a digit must be darker or lighter than the border of the picture")
    # Shadows of a photograph are weaker than a fifth of the ink.
    ink = np.clip((ink / strongest - 0.2) / 0.6, 0, 1)
    rows, columns = np.flatnonzero(ink.max(axis=1) > 0.2), np.flatnonzero(ink.max(axis=0) > 0.2)
    box = ink[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
    factor = 20 / max(box.shape)
    size = [max(1, round(length * factor)) for length in box.shape]
    small = Image.fromarray((255 * box).astype(np.uint8)).resize(size[::-1], Image.Resampling.LANCZOS)
    digit = np.asarray(small, np.float64)
    mass = digit.sum()
    centre = [(digit.sum(axis=1 - axis) * (np.arange(digit.shape[axis]) + 0.5)).sum() / mass for axis in (0, 1)]
    top, left = (int(np.clip(round(MIDDLE - c), 0, 28 - length)) for c, length in zip(centre, digit.shape))
    image = np.zeros((28, 28), np.uint8)
    image[top:top + digit.shape[0], left:left + digit.shape[1]] = digit.round()
    return image


def art(image):
    """The image as text: two rows of pixels are one of the text, whose letters are twice as high as wide."""
    pairs = image.astype(int).reshape(14, 2, 28).mean(axis=1)
    return "\n".join("".join(SHADES[int(pixel * (len(SHADES) - 1) / 255)] for pixel in row).rstrip() for row in pairs)


def add_arguments(parser):
    parser.add_argument("run", metavar="MODEL_DIR")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="PNG, JPEG or another picture of one digit")


def run(arguments):
    of_run = Run(arguments.run)
    inputs = network.layers(of_run.state_dict())[0][0].shape[1]
    if inputs != 28 * 28:
        raise AnalysisError(f"{arguments.run}: its network takes {inputs} pixels", "name a run on images of 28 x 28 pixels")
    for path in arguments.images:
        try:
            image = like_mnist(Image.open(path))
        except UnidentifiedImageError as error:
            raise AnalysisError(f"{path}: not a picture", "name a PNG or JPEG file") from error
        except AnalysisError as error:
            raise AnalysisError(f"{path}: {str(error).splitlines()[0]}", str(error).split("HINT: ")[1]) from error
        said = network.softmax(network.logits(image.reshape(1, -1), of_run.state_dict(), of_run.manifest))[0]
        best = np.argsort(-said)
        print(f"{path}: {of_run.class_names[best[0]]}")
        print(art(image))
        print("  ".join(f"{of_run.class_names[k]} {100 * said[k]:.1f} %" for k in best[:3]))
    return 0
