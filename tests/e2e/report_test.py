"""fcmnist report, in a real browser: it opens without an error, curves can be read off and zoomed, and a digit that is drawn
with the mouse is named by the network in the page."""
import math
import os
import pathlib
import re
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.runs import np, settings  # noqa: E402

try:
    import jinja2  # noqa: F401
    from fcmnist_analysis import Run, statistics
    from PIL import Image  # noqa: F401
except ImportError as error:
    print(f"skipped: {error}; on Debian: apt install python3-jinja2 python3-pandas python3-pil")
    sys.exit(77)
try:
    from selenium import webdriver
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
except ImportError:
    webdriver = None

SIDE, CLASSES, STEPS = 12, 5, 60
MOST_BYTES = 2_000_000


def fcmnist(*arguments):
    return runs.execute([sys.executable, runs.SOURCE / "scripts/fcmnist", *arguments])


class Reports(runs.TestCase):
    def setUp(self):
        super().setUp()
        self.data = runs.write_set(self.directory / "data", runs.patterns(500, SIDE, CLASSES, seed=1),
                                   runs.patterns(200, SIDE, CLASSES, seed=2))

    def trained(self, name, *more, ranks=2, steps=STEPS):
        model_dir = self.directory / name
        self.run_to_end("-o", model_dir, *runs.data_settings(self.data), *settings(
            model__hidden_sizes="[16]", model__num_classes=CLASSES, train_input__batch_size=64, runconfig__log_steps=20,
            optimizer__learning_rate=0.001, runconfig__max_steps=steps, runconfig__eval_frequency=20), *more, ranks=ranks)
        return model_dir

    def report(self, *arguments):
        done = fcmnist("report", *arguments)
        self.assertEqual((done.code, done.errors), (0, ""), str(done))
        page = pathlib.Path(done.output.strip())
        self.assertLess(page.stat().st_size, MOST_BYTES)
        text = page.read_text(encoding="utf-8")
        # It opens offline: no address but names of XML.
        self.assertEqual(set(re.findall(r"https?://[^\"' )<]+", text)) - {"http://www.w3.org/2000/svg"}, set())
        return page, text


class Pages(Reports):
    def test_numbers_are_those_of_the_files(self):
        model_dir = self.trained("run")
        page, text = self.report(model_dir)
        self.assertEqual(page, model_dir / "report.html")
        run = Run(model_dir)
        self.assertIn(f"{100 * run.eval['accuracy'].iloc[-1]:.2f} %", text)
        wrong = run.wrong()
        self.assertGreater(len(wrong), 0)
        self.assertEqual(len(wrong), round(200 * (1 - run.eval["accuracy"].iloc[-1])))
        self.assertIn(f"{len(wrong)} of 200 images", text)
        self.assertEqual(text.count('<figure><img src="data:image/png'), min(64, len(wrong)))
        self.assertTrue((np.diff(wrong["probability"]) <= 0).all())
        self.assertEqual(run.confusion.to_numpy().sum(), 200)
        self.assertEqual(run.ranks.index.get_level_values("rank").unique().tolist(), [0, 1])
        self.assertEqual(run.norms["weight"].dropna().shape, (3, 4))
        self.assertIn("rank 1", text)

    def test_runs_that_lack_parts(self):
        untrained = self.trained("no_steps_yet", "runconfig.save_initial_checkpoint=True", steps=1, ranks=1)
        not_scored = self.directory / "not_scored"
        self.run_to_end("-o", not_scored, *runs.data_settings(self.data), "-m", "train", *settings(
            model__hidden_sizes="[]", model__num_classes=CLASSES, runconfig__max_steps=3, train_input__batch_size=50))
        more_classes = self.directory / "more_classes"
        self.run_to_end("-o", more_classes, *runs.data_settings(self.data), *settings(
            model__hidden_sizes="[8]", model__num_classes=CLASSES + 2, model__use_bias=False, runconfig__max_steps=3,
            train_input__batch_size=50))
        no_checkpoint = shutil.copytree(more_classes, self.directory / "no_checkpoint")
        next(no_checkpoint.glob("checkpoint_*")).unlink()
        moved = self.trained("moved <data> ö", ranks=1)
        shutil.rmtree(self.data)
        for model_dir in (untrained, not_scored, more_classes, no_checkpoint, moved):
            with self.subTest(model_dir.name):
                _, text = self.report(model_dir)
                self.assertIn("What ran", text)
                self.assertNotIn("nan to nan", text)
        self.assertIn("They are not shown", text)
        self.assertIn("moved &lt;data&gt; ö", text)

    def test_several_runs(self):
        for name, more in (("small", []), ("seed", ["runconfig.seed=7"]), ("rate", ["optimizer.learning_rate=0.0001"])):
            shutil.copytree(self.trained("one", *(setting for setting in more if "rate" not in setting),
                                         ranks=1 + len(more)), self.directory / "all" / name)
            shutil.rmtree(self.directory / "one")
        _, text = self.report(self.directory / "all", "-o", self.directory / "all.html")
        for part in ("small", "seed", "runconfig. seed", "McNemar", "Scaling"):
            self.assertIn(part, text)
        table = fcmnist("table", self.directory / "all", "--seeds", "--csv", self.directory / "table.csv")
        self.assertEqual((table.code, table.errors), (0, ""), str(table))
        self.assertEqual(len(table.output.splitlines()), 1 + 2)  # one world has two seeds
        self.assertEqual(len((self.directory / "table.csv").read_text().splitlines()), 1 + 2)

    def test_what_is_no_run(self):
        for arguments, part in ((["report", self.data], "neither a model_dir nor a directory of them"),
                                (["table", self.directory / "absent"], "No such file or directory"),
                                (["report", self.trained("run", ranks=1, steps=1), "-o", "x.h5"], "not the name of a page"),
                                (["reports"], "no such command")):
            done = fcmnist(*arguments)
            self.assertEqual(done.code, 2, str(done))
            self.assertIn(part, done.errors)
            self.assertIn("HINT: ", done.errors)


class Statistics(unittest.TestCase):
    """Against numbers of the literature, or counted by hand."""

    def test_wilson(self):
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        for hits, total, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611),
                                       (1, 29, 0.0061, 0.1718)):
            np.testing.assert_allclose(statistics.wilson(hits, total), (low, high), atol=5e-5)

    def test_mcnemar(self):
        first = np.array([True] * 10 + [False] * 4 + [True] * 20)
        second = np.array([False] * 10 + [True] * 4 + [True] * 20)
        # 2 * (C(14,0) + ... + C(14,4)) / 2^14
        self.assertEqual(statistics.mcnemar(first, second)[:2], (10, 4))
        self.assertAlmostEqual(statistics.mcnemar(first, second)[2], 2 * (1 + 14 + 91 + 364 + 1001) / 2**14)
        self.assertEqual(statistics.mcnemar(first, first)[2], 1.0)

    def test_calibration(self):
        probabilities = np.array([[0.9, 0.1]] * 10 + [[0.6, 0.4]] * 10)
        labels = np.array([0] * 9 + [1] + [0] * 3 + [1] * 7)
        found = statistics.calibration(probabilities, labels)
        np.testing.assert_allclose(found.confidence, [0.6, 0.9])
        np.testing.assert_allclose(found.accuracy, [0.3, 0.9])
        self.assertAlmostEqual(found.expected_error, 0.5 * 0.3)

    def test_class_scores(self):
        scores = statistics.class_scores(np.array([[8, 2], [1, 9]]), ["a", "b"])
        self.assertAlmostEqual(scores[0].precision[0], 8 / 9)
        self.assertAlmostEqual(scores[0].recall[0], 0.8)
        self.assertAlmostEqual(scores[0].f1[0], 16 / 19)
        for score in scores:
            for value, low, high in (score.precision, score.recall, score.f1):
                self.assertTrue(0 <= low < value < high <= 1)


@unittest.skipUnless(webdriver and shutil.which("chromedriver"), "needs chromium, chromium-driver and python3-selenium")
class Browser(Reports):
    def open(self, page, width=1280):
        options = webdriver.ChromeOptions()
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                         f"--window-size={width},1400", f"--user-data-dir={self.directory / 'browser'}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        browser = webdriver.Chrome(options=options)
        self.addCleanup(browser.quit)
        browser.get(page.as_uri())
        return browser

    def check_no_error(self, browser):
        self.assertEqual([line for line in browser.get_log("browser") if line["level"] == "SEVERE"], [])

    def test_curves_are_read_off_and_zoomed(self):
        page, _ = self.report(self.trained("run"))
        browser = self.open(page)
        chart = browser.find_element(By.CSS_SELECTOR, ".chart svg")

        def largest_label():
            labels = chart.find_elements(By.CSS_SELECTOR, "text[text-anchor=middle]")
            return max(float(label.text.replace(",", "")) for label in labels)

        ActionChains(browser).move_to_element(chart).perform()
        read = browser.find_element(By.CSS_SELECTOR, ".chart .read").text
        self.assertRegex(read, r"^step \d+ +training [\d.]+ +test [\d.]+")
        before = largest_label()
        ActionChains(browser).move_to_element(chart).click_and_hold().move_by_offset(-120, 0).release().perform()
        self.assertLess(largest_label(), before)
        ActionChains(browser).double_click(chart).perform()
        self.assertEqual(largest_label(), before)
        self.check_no_error(browser)

    def test_nothing_is_cut_off_on_a_small_screen(self):
        page, _ = self.report(self.trained("run"))
        browser = self.open(page, width=500)  # Chromium has no smaller windows
        overflow = browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
        self.assertLessEqual(overflow, 0)
        self.check_no_error(browser)

    @unittest.skipUnless(os.path.isdir(os.environ.get("FCMNIST_MNIST_DIR", "")), "needs the real MNIST")
    def test_a_digit_that_is_drawn_is_named(self):
        mnist, model_dir = os.environ["FCMNIST_MNIST_DIR"], self.directory / "digits"
        self.run_to_end("-o", model_dir, *runs.data_settings(mnist), *settings(
            model__hidden_sizes="[100]", runconfig__max_steps=1500, train_input__batch_size=64), ranks=2)
        page, _ = self.report(model_dir)
        browser = self.open(page)
        pad, best = browser.find_element(By.ID, "pad"), "#bars .best b"
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", pad)
        circle = [(70 * math.sin(a / 4), -90 * math.cos(a / 4)) for a in range(26)]
        for digit, path in (("1", [(5, -90), (0, 0), (-5, 90)]), ("0", circle),
                            ("7", [(-60, -80), (0, -80), (60, -80), (30, 0), (0, 90)])):
            browser.find_element(By.ID, "clear").click()
            self.assertEqual(browser.find_elements(By.CSS_SELECTOR, best), [])
            hand = ActionChains(browser, duration=5).move_to_element_with_offset(pad, *map(int, path[0])).click_and_hold()
            for x, y in path[1:]:
                hand.move_to_element_with_offset(pad, int(x), int(y))
            hand.release().perform()
            self.assertEqual(browser.find_element(By.CSS_SELECTOR, best).text, digit)
        self.check_no_error(browser)


if __name__ == "__main__":
    runs.main()
