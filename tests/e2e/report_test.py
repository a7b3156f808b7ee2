"""fcmnist report, in a real browser: it opens without an error, curves can be read off and zoomed, and a digit that is drawn
with the mouse is named by the network in the page."""
import csv
import io
import math
import os
import pathlib
import re
import shutil
import sys
import unittest
import unittest.mock
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import analysis, runs  # noqa: E402 (exit with 77 when a module is missing)
from support.runs import h5py, np, settings  # noqa: E402
from fcmnist_analysis import Run, charts, figures, table  # noqa: E402
from PIL import Image  # noqa: E402

try:
    from selenium import webdriver
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
except ImportError:
    webdriver = None

SIDE, CLASSES, STEPS, IMAGES = 12, 5, 60, 200
MOST_BYTES = 2_000_000


class Reports(analysis.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.data = runs.write_set(cls.place / "data", runs.patterns(500, SIDE, CLASSES, seed=1),
                                  runs.patterns(IMAGES, SIDE, CLASSES, seed=2))

    @classmethod
    def trained(cls, model_dir, *more, ranks=None, steps=STEPS, data=None):
        return analysis.train(model_dir, *runs.data_settings(data or cls.data), *settings(
            model__hidden_sizes="[16]", model__num_classes=CLASSES, train_input__batch_size=64, runconfig__log_steps=20,
            optimizer__learning_rate=0.001, runconfig__max_steps=steps, runconfig__eval_frequency=20), *more, ranks=ranks)

    def report(self, *arguments):
        page = pathlib.Path(self.succeed("report", *arguments).splitlines()[0])
        self.assertLess(page.stat().st_size, MOST_BYTES)
        text = page.read_text(encoding="utf-8")
        # It opens offline: no address but names of XML.
        self.assertEqual(set(re.findall(r"https?://[^\"' )<]+", text)) - {"http://www.w3.org/2000/svg"}, set())
        return page, text


class OneRun(Reports):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model_dir = cls.trained(cls.place / "run", ranks=2)


class Pages(OneRun):
    def test_numbers_are_those_of_the_files(self):
        model_dir = self.model_dir
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
        data = shutil.copytree(self.data, self.directory / "data")
        few = settings(model__num_classes=CLASSES, runconfig__max_steps=3, train_input__batch_size=50)
        untrained = self.trained(self.directory / "no_steps_yet", "runconfig.save_initial_checkpoint=True", steps=1)
        not_scored = analysis.train(self.directory / "not_scored", *runs.data_settings(data), "-m", "train", *few, *settings(
            model__hidden_sizes="[]"))
        more_classes = analysis.train(self.directory / "more_classes", *runs.data_settings(data), *few, *settings(
            model__hidden_sizes="[8]", model__num_classes=CLASSES + 2, model__use_bias=False))
        no_checkpoint = shutil.copytree(more_classes, self.directory / "no_checkpoint")
        next(no_checkpoint.glob("checkpoint_*")).unlink()
        moved = self.trained(self.directory / "moved <data> ö", data=data)
        shutil.rmtree(data)
        for model_dir in (untrained, not_scored, more_classes, no_checkpoint, moved):
            with self.subTest(model_dir.name):
                out = self.directory / "out"
                _, text = self.report(model_dir, "-o", self.directory / "page.html", "--png", out, "--csv", out, "--markdown",
                                      out / "report.md")
                self.assertIn("What ran", text)
                for one in (text, (out / "report.md").read_text(encoding="utf-8")):
                    self.assertNotIn("nan to nan", one)
                    self.assertNotIn("None", one)
        self.assertIn("They are not shown", text)
        self.assertIn("moved &lt;data&gt; ö", text)

    def test_files_of_a_run_are_not_written_over(self):
        run = shutil.copytree(self.model_dir, self.directory / "run")
        for ending in ("csv", "html", "md", "png", "npz"):
            shutil.copy(run / "metrics.h5", run / f"ours.{ending}")
        (run / "loss.png").write_bytes((run / "metrics.h5").read_bytes())
        (run / "loss.csv").write_bytes(b"fcmnist_mpi journal format_version 2 classes 5\n")
        (run / "picture.png").write_bytes(b"a picture")
        before = runs.snapshot(run)
        kept = [["table", run, "--csv", run / "ours.csv"], ["report", run, "-o", run / "ours.html"], ["report", run, "--markdown", run / "ours.md"],
                ["report", run, "--markdown", run / "picture.png"], ["report", run, "--markdown", run / "new.h5"],
                ["plot", run, "-o", run / "ours.png"], ["export", run, "--to", "npz", "-o", run / "ours.npz"],
                ["export", run, "--to", "npz", "-o", run / "metrics.h5"], ["export", run, "--to", "npz", "-o", run / "new.h5"],
                ["table", run, "--csv", run / "params.h5"],
                ["table", run, "--csv", run / "params.yaml"], ["table", run, "--csv", self.directory / "absent/x.csv"]]
        for command in kept:
            with self.subTest(" ".join(map(str, command))):
                self.refuse(*command, parts=[str(command[-1])])
        self.assertEqual(runs.snapshot(run), before)
        for option, name in (("--png", "loss.png"), ("--csv", "loss.csv")):
            self.refuse("report", run, option, run, parts=[f"{name}: a file of a run"])
            self.assertEqual(runs.snapshot(run)[name], before[name])
        for ending in ("md", "txt"):
            for _ in range(2):
                self.succeed("report", run, "--markdown", self.directory / f"report.{ending}")

    def test_what_is_no_run(self):
        self.refuse("report", self.data, parts=["neither a model_dir nor a directory of them"])
        self.refuse("table", self.directory / "absent", parts=["No such file or directory"])
        self.refuse("report", self.model_dir, "-o", "x.h5", parts=["not the name of a page"])
        self.refuse("report", self.model_dir, "--csv", self.model_dir / "metrics.h5", parts=["metrics.h5: ", "name a directory"])
        self.refuse("reports", parts=["no such command"])


def read_csv(path):
    """Rows of a file as {column: text}."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def numbers(rows, column):
    return np.array([float(row[column]) for row in rows])


def markdown_tables(path):
    """{heading: rows of cells, without the first} of a Markdown file."""
    found = {}
    for part in path.read_text(encoding="utf-8").split("\n## ")[1:]:
        lines = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| ")]
        found[part.splitlines()[0]] = lines[2:]
    return found


class Papers(OneRun):
    """Pictures, Markdown and CSV of one run, written once, against its files."""

    PICTURES = {"loss", "accuracy", "learning_rate", "throughput", "gradient_norm", "weight_norm", "update_norm", "confusion",
                "calibration", "mistakes", "time_per_rank", "first_layer"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.png, cls.csv, cls.markdown = cls.place / "new/png", cls.place / "csv", cls.place / "new/report.md"
        cls.page = cls.place / "report.html"
        done = analysis.fcmnist("report", cls.model_dir, "-o", cls.page, "--png", cls.png, "--markdown", cls.markdown, "--csv", cls.csv)
        assert done.code == 0 and not done.errors, str(done)
        cls.written = done.output.split()
        cls.run_ = Run(cls.model_dir)

    def test_pictures(self):
        self.assertEqual({path.stem for path in self.png.iterdir()}, self.PICTURES)
        for path in self.png.iterdir():
            with self.subTest(path.name), Image.open(path) as image:
                image.load()
                self.assertEqual(image.format, "PNG")
                self.assertGreater(image.width, 500)
                self.assertGreater(image.height, 150)
                pixels = np.asarray(image.convert("L"))
                self.assertGreater((pixels < 200).mean(), 0.002)  # not blank
                self.assertGreater((pixels > 240).mean(), 0.05)

    def test_only_what_is_asked_for_is_written(self):
        self.assertEqual(set(self.written), set(map(str, [self.page, self.markdown, *self.png.iterdir(), *self.csv.iterdir()])))
        before = runs.snapshot(self.model_dir)
        self.succeed("report", self.model_dir, "--csv", self.directory / "csv")
        self.assertEqual(runs.snapshot(self.model_dir), before)
        self.assertEqual(runs.snapshot(self.directory / "csv"), runs.snapshot(self.csv))

    def test_classes_are_those_of_the_predictions(self):
        with h5py.File(self.model_dir / "predictions.h5") as file:
            label, predicted = file["label"][:].astype(int), file["predicted"][:].astype(int)
        counts = np.zeros((CLASSES, CLASSES), int)
        np.add.at(counts, (label, predicted), 1)
        confusion = read_csv(self.csv / "confusion.csv")
        self.assertEqual([[int(row[str(k)]) for k in range(CLASSES)] for row in confusion], counts.tolist())
        classes, right = read_csv(self.csv / "classes.csv"), np.diag(counts)
        np.testing.assert_allclose(numbers(classes, "precision_percent"), 100 * right / counts.sum(axis=0))
        np.testing.assert_allclose(numbers(classes, "recall_percent"), 100 * right / counts.sum(axis=1))
        np.testing.assert_allclose(numbers(classes, "F1_percent"), 200 * right / (counts.sum(axis=0) + counts.sum(axis=1)))
        self.assertTrue((numbers(classes, "recall_low_percent") < numbers(classes, "recall_percent")).all())
        self.assertTrue((numbers(classes, "recall_percent") <= numbers(classes, "recall_high_percent")).all())

    def test_results_are_those_of_the_metrics(self):
        train, evaluated = runs.metrics(self.model_dir), runs.metrics(self.model_dir, "eval")
        found, = read_csv(self.csv / "results.csv")
        for column, value in (("accuracy_percent", 100 * evaluated["accuracy"][-1]), ("loss_nats", evaluated["loss"][-1]),
                              ("error_percent", 100 - 100 * evaluated["accuracy"][-1]),
                              ("best_accuracy_percent", 100 * evaluated["accuracy"].max()), ("steps", STEPS),
                              ("training_time_s", train["elapsed_s"][-1]), ("ranks", 2),
                              ("throughput_samples_per_s", np.median(train["samples_per_s"][20:]))):
            self.assertAlmostEqual(float(found[column]) / value, 1, places=8, msg=column)

    def test_calibration_is_that_of_the_logits(self):
        with h5py.File(self.model_dir / "predictions.h5") as file:
            logits, label = file["logits"][:].astype(float), file["label"][:]
        powers = np.exp(logits)
        sure, right = (powers / powers.sum(axis=1, keepdims=True)).max(axis=1), logits.argmax(axis=1) == label
        place = np.minimum(np.floor(15 * sure), 14)
        bins = [place == k for k in range(15) if (place == k).any()]
        rows = read_csv(self.csv / "calibration.csv")
        np.testing.assert_allclose(numbers(rows, "confidence_percent"), [100 * sure[inside].mean() for inside in bins])
        np.testing.assert_allclose(numbers(rows, "accuracy_percent"), [100 * right[inside].mean() for inside in bins])
        error = sum(inside.mean() * abs(sure[inside].mean() - right[inside].mean()) for inside in bins)
        self.assertAlmostEqual(float(read_csv(self.csv / "results.csv")[0]["calibration_error_percent"]), 100 * error)

    def test_curves_and_times_are_those_of_the_metrics(self):
        train, evaluated = runs.metrics(self.model_dir), runs.metrics(self.model_dir, "eval")
        rows = read_csv(self.csv / "loss.csv")
        for name, table in (("training", train), ("test", evaluated)):
            mine = [row for row in rows if row["series"] == name]
            self.assertEqual(numbers(mine, "step").tolist(), table["step"].tolist())
            np.testing.assert_allclose(numbers(mine, "loss_nats"), table["loss"], rtol=1e-5)
        ranks, rows = runs.metrics(self.model_dir, "ranks"), read_csv(self.csv / "time_per_rank.csv")
        np.testing.assert_allclose(numbers(rows, "compute_ms"), 1e3 * ranks["compute_s"].mean(axis=0), rtol=1e-5)
        self.assertEqual([row["rank"] for row in rows], ["0", "1"])

    def test_the_page_and_markdown_say_the_same(self):
        page, tables = self.page.read_text(encoding="utf-8"), markdown_tables(self.markdown)
        for row, said in zip(read_csv(self.csv / "classes.csv"), tables["Classes"], strict=True):
            interval = [f"{float(row[f'recall{part}_percent']):.1f}" for part in ("", "_low", "_high")]
            self.assertEqual(said[3], "{} ({} to {})".format(*interval))
            self.assertIn("{} <span>{} to {}</span>".format(*interval), page)
        for row, said in zip(read_csv(self.csv / "mistakes.csv"), tables["The surest mistakes"], strict=True):
            probability = f"{float(row['probability_percent']):.1f}"
            self.assertEqual(said, [row["sample"], row["label"], row["predicted"], probability])
            self.assertIn(f'{row["label"]} <i>as</i> {row["predicted"]}<span>{probability} %</span>', page)
        found, = read_csv(self.csv / "results.csv")
        accuracy = f"{float(found['accuracy_percent']):.2f}"
        self.assertTrue(tables["Results"][0][1].startswith(accuracy))
        self.assertIn(f"<b>{accuracy} %</b>", page)
        error = f"Expected calibration error: {float(found['calibration_error_percent']):.2f} %"
        self.assertIn(error, self.markdown.read_text(encoding="utf-8"))
        for name, value in tables["What ran"]:
            self.assertIn(f"<tr><th>{name}</th><td>{value}</td></tr>", page)

    def test_markdown_shows_the_pictures(self):
        links = re.findall(r"!\[.*\]\((.*)\)", self.markdown.read_text(encoding="utf-8"))
        found = {(self.markdown.parent / urllib.parse.unquote(link)).resolve() for link in links}
        self.assertEqual(found, {path.resolve() for path in self.png.iterdir()})
        self.succeed("report", self.model_dir, "--markdown", self.directory / "alone.md")
        self.assertNotIn("![", (self.directory / "alone.md").read_text(encoding="utf-8"))


class Several(Reports):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.all = cls.place / "all"
        cls.all.mkdir()
        cls.trained(cls.all / "small", ranks=1)
        cls.trained(cls.all / "seed", "runconfig.seed=7", ranks=2)
        cls.trained(cls.all / "rate", "optimizer.learning_rate=0.0001", ranks=2)

    def test_page(self):
        _, text = self.report(self.all, "-o", self.directory / "all.html")
        for part in ("small", "seed", "runconfig.<wbr>seed", "McNemar", "Scaling", "the runs also differ in optimizer.learning_rate"):
            self.assertIn(part, text)

    def test_a_run_on_other_images_is_left_out_of_the_tests(self):
        foreign = runs.write_set(self.directory / "data", runs.patterns(500, SIDE, CLASSES, seed=1), runs.patterns(9, SIDE, CLASSES, seed=5))
        other = self.trained(self.directory / "other", data=foreign)
        self.succeed("report", self.all, other, self.all / "small", "--csv", self.directory)
        self.assertEqual(len(read_csv(self.directory / "results.csv")), 4)
        self.assertEqual(len(read_csv(self.directory / "mcnemar.csv")), 2)

    def test_table_over_seeds(self):
        output = self.succeed("table", self.all, "--seeds", "--csv", self.directory / "table.csv")
        self.assertEqual(len(output.splitlines()), 1 + 3)
        self.assertEqual(len((self.directory / "table.csv").read_text().splitlines()), 1 + 3)

    def test_a_run_counts_once(self):
        twice = [f"{self.all}//", self.all / "../all/./small", f"{self.all}//seed/"]
        os.symlink(self.all / "small", self.directory / "link")
        lines = self.succeed("table", *twice, self.directory / "link").splitlines()
        self.assertEqual(len(lines), 1 + 3)
        self.assertNotIn("//", "\n".join(lines))

    def test_table_in_percent_and_csv_as_it_is(self):
        output = self.succeed("table", self.all, "--csv", self.directory / "table.csv").splitlines()
        self.assertEqual(output[0].split()[1:3], ["accuracy", "(%)"])
        for line, row in zip(output[1:], read_csv(self.directory / "table.csv"), strict=True):
            self.assertAlmostEqual(float(line.split()[1]), 100 * float(row["accuracy"]), places=3)

    def test_table_sorts_settings_as_numbers(self):
        rows = [{"run": name, "x.y": value} for name, value in (("a", "10"), ("b", "9"), ("c", "1e-3"), ("d", "auto"), ("e", None))]
        with unittest.mock.patch.object(table, "row_of", lambda row: (row, {"x.y": row["x.y"]})):
            found, _ = table.make(rows, sort="x.y")
        self.assertEqual("".join(row["run"] for row in found), "cbade")

    def test_long_settings_are_shortened(self):
        linear = "{{scheduler: Linear, initial_learning_rate: {}, end_learning_rate: 0.0}}"
        self.assertEqual(table.shortened([linear.format(0.1), linear.format(0.2)], 40),
                         ["{initial_learning_rate: 0.1}", "{initial_learning_rate: 0.2}"])
        self.assertEqual(table.shortened([linear.format(0.1), "0.1", None], 12), ["{schedule...", "0.1", ""])
        self.assertEqual(table.shortened(["[1, 2]", "[3]"], 12), ["[1, 2]", "[3]"])

    def test_lines_fit_into_the_terminal_if_shorter_settings_do(self):
        rows = [{"run": "a", "x.y": "[" + "1, " * 30 + "1]"}, {"run": "b", "x.y": "[2]"}]
        for columns, longest in ((200, 40), (36, 30), (28, 20), (5, 12)):
            terminal = io.StringIO()
            terminal.isatty = lambda: True
            with unittest.mock.patch.dict(os.environ, COLUMNS=str(columns)):
                table.print_table(rows, ["run", "x.y"], terminal)
            self.assertEqual(max(map(len, terminal.getvalue().splitlines())), len("run  ") + longest)

    def test_deviations_over_seeds(self):
        with unittest.mock.patch.object(table, "row_of", lambda row: (row, {table.SEED: row["run"]})):
            row, = table.make([{"run": str(k), "ranks": 1, "accuracy": 0.9, "loss": k, "samples_per_s": 10 * k} for k in (1, 2, 3)], True)[0]
        self.assertEqual([row[f"{name}_deviation"] for name in ("accuracy", "loss", "samples_per_s")], [0, 1, 10])

    def test_names_that_matplotlib_has_another_meaning_for(self):
        odd = self.directory / "odd"
        for name, source in ((r"a$\foo$b", "small"), ("_hidden", "seed"), ("x$1", "rate")):
            shutil.copytree(self.all / source, odd / name)
            self.succeed("plot", odd / name)
        self.succeed("report", odd, "--png", self.directory / "png")
        found = figures.curves(charts.overlays({name: Run(odd / name) for name in os.listdir(odd)})[0])
        self.addCleanup(figures.plt.close, found)
        shown = {text.get_text().replace(r"\$", "$") for text in found.axes[0].get_legend().get_texts()}
        self.assertEqual(shown, set(os.listdir(odd)))

    def test_a_picture_of_several_runs(self):
        self.refuse("plot", self.all, parts=[f"{self.all}: a directory of runs", f"name one run, or fcmnist report {self.all}"])

    def test_for_papers(self):
        out = self.directory / "out"
        self.succeed("report", self.all, "--png", out, "--csv", out, "--markdown", out / "report.md")
        self.assertEqual({path.stem for path in out.glob("*.png")}, {"loss", "accuracy", "training_loss", "scaling"})
        results = {row["run"]: row for row in read_csv(out / "results.csv")}
        self.assertEqual(results["rate"]["optimizer.learning_rate"], "0.0001")
        accuracy = [float(row["accuracy_percent"]) for row in results.values()]
        self.assertEqual(accuracy, sorted(accuracy, reverse=True))
        right = {}
        for name in results:
            with h5py.File(self.all / name / "predictions.h5") as file:
                right[name] = file["label"][:] == file["predicted"][:]
            self.assertAlmostEqual(float(results[name]["accuracy_percent"]), 100 * right[name].mean())
        best, tests = max(results, key=lambda name: right[name].mean()), read_csv(out / "mcnemar.csv")
        self.assertEqual({row["run"] for row in tests}, set(results) - {best})
        for row in tests:
            self.assertEqual(int(row["only_best_right"]), np.count_nonzero(right[best] & ~right[row["run"]]))
            self.assertEqual(int(row["only_this_right"]), np.count_nonzero(~right[best] & right[row["run"]]))
        tables = markdown_tables(out / "report.md")
        self.assertEqual([row[0] for row in tables["Results"]], list(results))
        self.assertEqual([row[0] for row in tables["Is the difference noise?"]], [row["run"] for row in tests])


@unittest.skipUnless(webdriver and shutil.which("chromedriver"), "needs chromium, chromium-driver and python3-selenium")
class Browser(OneRun):
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
        page, _ = self.report(self.model_dir)
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
        page, _ = self.report(self.model_dir)
        browser = self.open(page, width=500)  # Chromium has no smaller windows
        overflow = browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
        self.assertLessEqual(overflow, 0)
        self.check_no_error(browser)

    @unittest.skipUnless(os.path.isdir(os.environ.get("FCMNIST_MNIST_DIR", "")), "needs the real MNIST")
    def test_a_digit_that_is_drawn_is_named(self):
        page, _ = self.report(analysis.train(self.directory / "digits", *runs.data_settings(os.environ["FCMNIST_MNIST_DIR"]), *settings(
            model__hidden_sizes="[100]", runconfig__max_steps=1500, train_input__batch_size=64)))
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
        self.assertTrue(browser.find_element(By.CSS_SELECTOR, ".drawing").is_displayed())
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        self.assertFalse(browser.find_element(By.CSS_SELECTOR, ".drawing h2").is_displayed())  # on paper nobody can draw
        self.check_no_error(browser)


if __name__ == "__main__":
    runs.main()
