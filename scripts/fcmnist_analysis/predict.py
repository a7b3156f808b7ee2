"""fcmnist predict: names the digits in pictures that people have drawn or photographed."""
import sys

import numpy as np
from PIL import Image, ImageFilter, ImageOps, UnidentifiedImageError

from . import network
from .errors import AnalysisError, explained
from .run import Run

MIDDLE = 14.5  # of the centre of mass, with pixel k from k to k + 1: the mean of MNIST's images in both directions
SHADES = " .:-=+*#%@"


def ink_of(picture, ground):
    """How far each pixel is from the paper, from 0 to 1 for the strongest stroke; None if nothing is drawn.
        ground   what shows through where the picture is transparent
    """
    page = Image.new("RGBA", picture.size, ground)
    page.alpha_composite(picture)
    gray = np.asarray(page.convert("L"), np.float64)
    paper = np.median(np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]]))
    ink = np.abs(gray - paper)
    # However small the strokes are beside the page; blurred, so that a single bad pixel is none.
    strongest = np.asarray(Image.fromarray(ink.round().astype(np.uint8)).filter(ImageFilter.BoxBlur(1))).max()
    return None if strongest < 20 else np.clip((ink / strongest - 0.2) / 0.6, 0, 1)  # shadows of a photograph are below a fifth


def like_mnist(picture):
    """28 x 28 bytes of a picture of a digit, as MNIST was made: what is ink is found, its box is scaled to fit 20 x 20, and
    its centre of mass is put into the middle (LeCun, Bottou, Bengio, Haffner, Proc. IEEE 86 (1998), section III A).
    Dark on light or light on dark, on paper or on transparent ground."""
    flat = ImageOps.exif_transpose(picture).convert("RGBA")
    ink = ink_of(flat, "white")
    ink = ink_of(flat, "black") if ink is None else ink
    if ink is None:
        raise AnalysisError("nothing is drawn in it", "a digit must be darker or lighter than the border of the picture")
    rows, columns = np.flatnonzero(ink.max(axis=1) > 0.2), np.flatnonzero(ink.max(axis=0) > 0.2)
    box = ink[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
    factor = 20 / max(box.shape)
    size = [max(1, round(length * factor)) for length in box.shape]
    small = Image.fromarray(box.astype(np.float32)).resize(size[::-1], Image.Resampling.LANCZOS)
    digit = np.clip(np.asarray(small, np.float64), 0, 1)
    digit *= 255 / digit.max()  # strokes thinner than a pixel are as dark as others
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


def read(path):
    """The picture of this name, like those of MNIST."""
    try:
        with Image.open(path) as picture:
            return like_mnist(picture)
    except UnidentifiedImageError as error:
        raise AnalysisError(f"{path}: not a picture", "name a PNG or JPEG file") from error
    except AnalysisError as error:
        raise AnalysisError(f"{path}: {error.what}", error.hint) from error
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:  # of Pillow, which does not name the file
        if isinstance(error, OSError) and error.filename:
            raise
        raise AnalysisError(f"{path}: cannot be read as a picture: {error}", "copy it here again, or save it anew as PNG") from error


def add_arguments(parser):
    parser.add_argument("run", metavar="MODEL_DIR")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="PNG, JPEG or another picture of one digit")


def run(arguments):
    of_run = Run(arguments.run)
    inputs = network.layers(of_run.state_dict())[0][0].shape[1]
    if inputs != 28 * 28:
        raise AnalysisError(f"{arguments.run}: its network takes {inputs} pixels", "name a run on images of 28 x 28 pixels")
    code = 0
    for path in arguments.images:
        try:
            image = read(path)
        except (AnalysisError, OSError) as error:  # the others may be whole
            print(f"fcmnist predict: error: {explained(error, path)}", file=sys.stderr)
            code = 2
            continue
        said = network.softmax(network.logits(image.reshape(1, -1), of_run.state_dict(), of_run.manifest))[0]
        best = np.argsort(-said)
        print(f"{path}: {of_run.class_names[best[0]]}")
        print(art(image))
        print("  ".join(f"{of_run.class_names[k]} {100 * said[k]:.1f} %" for k in best[:3]))
    return code
