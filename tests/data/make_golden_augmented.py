#!/usr/bin/python3
"""Writes golden_augmented.txt: images as scripts/fcmnist_analysis/augment.py distorts them, which was written apart from the program.

augmenter_test.cpp holds the program to them. The image is a function of its pixels, in both.

    tests/data/make_golden_augmented.py > tests/data/golden_augmented.txt
"""
import math
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
from fcmnist_analysis.augment import Options, augmented  # noqa: E402

HEIGHT, WIDTH, SEED, EPOCH = 20, 28, 5, 3
CASES = {
    0: Options(shift=2.5), 1: Options(rotation=40.0), 2: Options(scale=0.3), 9: Options(shear=0.5),
    17: Options(elastic=2.0), 18: Options(2.0, 15.0, 0.2, 0.2, 1.2),
}


def main():
    image = np.array([[round(120 + 60 * math.sin(0.7 * x) + 70 * math.sin(0.5 * y + 0.2 * x)) for x in range(WIDTH)]
                      for y in range(HEIGHT)]).clip(0, 255).astype(np.uint8)
    for sample, options in CASES.items():
        print("sample", sample, options.shift, options.rotation, options.scale, options.shear, options.elastic)
        print(*augmented(image, options, SEED, EPOCH, sample).reshape(-1))


if __name__ == "__main__":
    main()
