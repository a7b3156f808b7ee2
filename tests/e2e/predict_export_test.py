"""fcmnist predict on drawn digits, and fcmnist export, whose networks other software computes: the same logits for all images of
the test set."""
import json
import os
import pathlib
import struct
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import runs  # noqa: E402 (exits with 77 when a module is missing, as the next one does)
from support.analysis import fcmnist  # noqa: E402
from support.runs import np, settings  # noqa: E402

from fcmnist_analysis import Run, network  # noqa: E402
from fcmnist_analysis.errors import AnalysisError  # noqa: E402
from fcmnist_analysis.predict import like_mnist  # noqa: E402
from PIL import Image, ImageDraw  # noqa: E402
try:
    import torch
except ImportError:
    torch = None
try:
    import cv2
    import onnx
except ImportError:
    cv2 = onnx = None

MNIST = os.environ.get("FCMNIST_MNIST_DIR", "")


@unittest.skipUnless(os.path.isdir(MNIST), "needs the real MNIST")
class Trained(runs.TestCase):
    """A network of which every test has a copy."""

    model_dir = None

    def setUp(self):
        super().setUp()
        if Trained.model_dir is None:
            place = runs.tempfile.TemporaryDirectory(prefix="fcmnist_e2e_")
            unittest.addModuleCleanup(place.cleanup)
            Trained.model_dir = pathlib.Path(place.name) / "run"
            self.run_to_end("-o", Trained.model_dir, *runs.data_settings(MNIST), *settings(
                model__hidden_sizes="[100, 50]", runconfig__max_steps=1800, train_input__batch_size=64), ranks=2)
        self.run = Run(self.model_dir)


class Export(Trained):
    def exported(self, kind):
        path = self.directory / f"network.{kind}"
        done = fcmnist("export", self.model_dir, "--to", kind, "-o", path)
        self.assertEqual((done.code, done.errors), (0, ""), str(done))
        return path

    def pixels(self):
        return self.run.images().reshape(10_000, 784).astype(np.float32)

    def check(self, logits):
        self.assertEqual(logits.shape, (10_000, 10))
        largest = np.abs(logits - self.run.logits).max()
        print(f"largest difference of a logit: {largest:.2g}")
        self.assertLess(largest, 2e-4)

    def check_arrays(self, arrays):
        values = self.pixels()
        for k in range(3):
            values = values @ arrays[f"layers.{k}.weight"].T + arrays[f"layers.{k}.bias"]
            values = np.maximum(values, 0) if k < 2 else values
        self.check(values)

    def test_numpy_of_this_package(self):
        self.check(network.logits(self.pixels(), self.run.weights, self.run.manifest))

    def test_npz(self):
        self.check_arrays(dict(np.load(self.exported("npz"))))

    def test_safetensors(self):
        """Read as its public specification says."""
        content = self.exported("safetensors").read_bytes()
        length = struct.unpack("<Q", content[:8])[0]
        header, data = json.loads(content[8:8 + length]), content[8 + length:]
        metadata = header.pop("__metadata__")
        self.assertTrue(all(isinstance(value, str) for value in metadata.values()))
        ends = sorted(entry["data_offsets"] for entry in header.values())
        self.assertEqual([begin for begin, _ in ends], [0, *(end for _, end in ends[:-1])])
        self.assertEqual(ends[-1][1], len(data))
        self.check_arrays({name: np.frombuffer(data[slice(*entry["data_offsets"])], "<f4").reshape(entry["shape"])
                           for name, entry in header.items()})

    @unittest.skipUnless(torch, "needs python3-torch")
    def test_pytorch(self):
        with torch.no_grad():
            self.check(torch.jit.load(str(self.exported("pt")))(torch.from_numpy(self.pixels())).numpy())

    @unittest.skipUnless(onnx and cv2, "needs python3-onnx and python3-opencv")
    def test_opencv_computes_onnx(self):
        net = cv2.dnn.readNetFromONNX(str(self.exported("onnx")))
        net.setInput(self.pixels())
        self.check(net.forward())


class Predict(Trained):
    def draw(self, strokes, name, dark=(20, 20, 60), light=(235, 230, 220), size=(400, 500)):
        """A picture of lines on paper, off the centre."""
        picture = Image.new("RGB", size, light)
        pen = ImageDraw.Draw(picture)
        for line in strokes:
            pen.line(line, fill=dark, width=26, joint="curve")
        path = self.directory / name
        picture.save(path)
        return path

    ONE = [[(150, 60), (145, 200), (140, 330)]]
    SEVEN = [[(60, 70), (240, 70), (140, 330)]]
    ZERO = [[(int(170 + 80 * np.cos(a)), int(200 + 120 * np.sin(a))) for a in np.linspace(0, 2 * np.pi, 60)]]

    def test_drawn_digits_are_named(self):
        for digit, strokes in (("1", self.ONE), ("7", self.SEVEN), ("0", self.ZERO)):
            for name, colors in (("paper.jpg", {}), ("board.png", {"dark": (240, 240, 240), "light": (30, 50, 40)})):
                path = self.draw(strokes, name, **colors)
                done = fcmnist("predict", self.model_dir, path)
                self.assertEqual((done.code, done.errors), (0, ""), str(done))
                self.assertEqual(done.output.splitlines()[0], f"{path}: {digit}", str(done))

    def test_thin_strokes_are_as_dark_as_others(self):
        """3 pixels wide, 800 high: thinner than a pixel of MNIST."""
        for digit, stroke in (("1", [(500, 100), (500, 900)]), ("7", [(250, 100), (750, 100), (450, 900)])):
            page = Image.new("L", (1000, 1000), 255)
            ImageDraw.Draw(page).line(stroke, fill=0, width=3)
            path = self.directory / "thin.png"
            page.save(path)
            self.assertEqual(like_mnist(page).max(), 255)
            self.assertEqual(fcmnist("predict", self.model_dir, path).output.splitlines()[0], f"{path}: {digit}")

    def test_little_ink_on_a_large_page(self):
        page = Image.new("L", (1000, 1000), 255)
        ImageDraw.Draw(page).line([(500, 500), (500, 560)], fill=0, width=5)
        image = like_mnist(page)
        self.assertEqual(np.flatnonzero(image.max(axis=1) > 99).size, 20)
        page.paste(255, (0, 0, 1000, 1000))
        page.putpixel((300, 300), 200)  # dust
        self.assertRaisesRegex(AnalysisError, "nothing is drawn", like_mnist, page)

    def test_transparent_ground(self):
        images = []
        for color in ("white", "black"):
            page = Image.new("RGBA", (100, 120), (0, 0, 0, 0))
            ImageDraw.Draw(page).line([(50, 20), (45, 100)], fill=color, width=9)
            images.append(like_mnist(page))
        np.testing.assert_array_equal(*images)
        self.assertRaisesRegex(AnalysisError, "nothing is drawn", like_mnist, Image.new("RGBA", (50, 50), (0, 0, 0, 0)))

    def test_a_damaged_picture_leaves_the_others(self):
        for name in ("one.png", "one.jpg"):
            whole, cut = self.draw(self.ONE, name), self.directory / f"cut_{name}"
            content = whole.read_bytes()
            cut.write_bytes(content[:len(content) // 2])
            done = fcmnist("predict", self.model_dir, cut, whole)
            self.assertEqual(done.code, 2, str(done))
            self.assertEqual(done.output.splitlines()[0], f"{whole}: 1")
            self.assertIn(f"{cut}: cannot be read as a picture: ", done.errors)
            self.assertIn("\n  HINT: ", done.errors)

    def test_images_of_mnist_survive_its_own_preprocessing(self):
        """MNIST's images, enlarged and put on a page, are brought back to where they were."""
        images, labels = self.run.images(range(500)), self.run.predictions["label"].to_numpy()[:500]
        again = []
        for image in images:
            page = np.full((200, 220), 255, np.uint8)
            page[20:132, 60:172] = 255 - np.kron(image, np.ones((4, 4), np.uint8))
            again.append(like_mnist(Image.fromarray(page)).reshape(-1))
        named = network.logits(np.array(again), self.run.weights, self.run.manifest).argmax(axis=1)
        as_they_are = self.run.predictions["predicted"].to_numpy()[:500]
        self.assertGreater((named == labels).mean(), (as_they_are == labels).mean() - 0.02)

    def test_what_is_no_picture_of_a_digit(self):
        blank, text = self.directory / "blank.png", self.directory / "text.png"
        Image.new("RGB", (50, 50), "white").save(blank)
        text.write_text("not a picture")
        for path, part in ((blank, "nothing is drawn in it"), (text, "not a picture"), (self.directory / "absent.png", "No such file")):
            done = fcmnist("predict", self.model_dir, path)
            self.assertEqual(done.code, 2, str(done))
            self.assertIn(part, done.errors)


if __name__ == "__main__":
    runs.main()
