"""Where two arrays differ, and how much."""
import dataclasses

import numpy as np


@dataclasses.dataclass
class Difference:
    """Of two arrays: where it begins, how much it is, and the largest one, with both values."""
    name: str
    step: int  # the first one at which it shows
    first: str
    count: int
    total: int
    largest: str


def differing(left, right, tolerance):
    """Which elements differ. With a tolerance, floats and counts may differ by so much of the largest of the array."""
    if left.dtype.kind not in "fiu":
        return np.asarray(left != right)
    bits = f"u{left.dtype.itemsize}"
    different = np.asarray(np.ascontiguousarray(left).view(bits) != np.ascontiguousarray(right).view(bits))
    if tolerance and left.size:
        with np.errstate(invalid="ignore", over="ignore"):
            distance = np.abs(left.astype(np.float64) - right)
            scale = max((np.abs(side[np.isfinite(side)]).max(initial=0) for side in (left, right)))
        different &= ~((distance <= tolerance * scale) | (np.isnan(left) & np.isnan(right)))
    return different.reshape(left.shape)


def value_pair(left, right, index):
    """"0.5 against 0.25"; of numbers that print alike the bits."""
    pair = [array[index] for array in (left, right)]
    texts = [str(value) for value in pair]
    if texts[0] == texts[1]:
        texts = [f"{text} (0x{value.tobytes()[::-1].hex()})" for text, value in zip(texts, pair)]
    return " against ".join(texts)


def difference(name, left, right, tolerance, steps=None, step=0):
    """The Difference of two arrays of one shape, None if they are equal. `steps`: of the rows of a table."""
    different = differing(left, right, tolerance)
    if not different.any():
        return None
    first = largest = tuple(np.argwhere(different)[0])
    distance = ""
    if left.dtype.kind in "fiu":
        with np.errstate(invalid="ignore", over="ignore"):
            distances = np.abs(left.astype(np.float64) - right)
        distances = np.where(different, np.nan_to_num(distances, nan=np.inf), -1.0)
        largest = np.unravel_index(distances.argmax(), left.shape)
        distance = f"{distances[largest]:.3g}, "

    def place(index):
        inner = index if steps is None else index[1:]
        return f"[{', '.join(map(str, inner))}]" if inner else ""

    at = place(largest) if steps is None else f"step {steps[largest[0]]}{place(largest)}"
    return Difference(name, step if steps is None else int(steps[first[0]]),
                      f"{place(first)}: {value_pair(left, right, first)}", int(different.sum()), left.size,
                      f"{distance}{at}{': ' if at else ''}{value_pair(left, right, largest)}")
