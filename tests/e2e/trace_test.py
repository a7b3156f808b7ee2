"""What each rank did in some steps: trace.h5, and the timelines that fcmnist trace makes of it."""
import json
import pathlib
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.runs import np, settings  # noqa: E402
from fcmnist_analysis import files as run_files  # noqa: E402

try:
    import otf2
except ImportError:
    otf2 = None

CLASSES, STEPS, FIRST, TRACED = 4, 12, 4, 5
LAYERS = ["fc_layers.0", "fc_layers.1", "last_layer"]


class TracedRuns(runs.TestCase):
    def setUp(self):
        super().setUp()
        data = runs.write_set(self.directory / "data", runs.patterns(400, 10, CLASSES, seed=1),
                              runs.patterns(40, 10, CLASSES, seed=2))
        self.arguments = [*runs.data_settings(data), *settings(
            model__hidden_sizes="[30,20]", model__num_classes=CLASSES, train_input__batch_size=48,
            runconfig__reproducible=True, runconfig__microbatch=12)]
        self.traced = settings(runconfig__trace_steps=TRACED, runconfig__trace_first_step=FIRST)

    def trace_of(self, ranks, *more):
        model_dir = self.directory / f"traced_on_{ranks}"
        finished = self.run_to_end("-o", model_dir, *self.arguments, *self.traced, *more, "--max_steps", STEPS,
                                   ranks=ranks)
        self.assertEqual(len(finished.lines(f"trace of steps {FIRST} to {FIRST + TRACED - 1}: ")), 1, str(finished))
        run_files.verify(model_dir / "trace.h5")
        return run_files.trace(model_dir), model_dir


class Trace(TracedRuns):
    def check_spans(self, spans, ranks):
        """Every rank has every step; its spans follow each other."""
        for rank in range(ranks):
            mine = spans[spans["rank"] == rank]
            self.assertEqual(np.unique(mine["step"]).tolist(), list(range(FIRST, FIRST + TRACED)))
            self.assertTrue((mine["end_s"] > mine["begin_s"]).all())
            self.assertTrue((mine["begin_s"][1:] >= mine["end_s"][:-1] - 1e-9).all())
            self.assertTrue((np.diff(mine["step"]) >= 0).all())

    def test_each_product_of_each_microbatch_is_there(self):
        for ranks in (1, 2, 4):
            with self.subTest(ranks=ranks):
                trace, model_dir = self.trace_of(ranks)
                spans = trace["spans"]
                self.check_spans(spans, ranks)
                for activity, layers in (("forward", LAYERS), ("weight_gradient", LAYERS), ("delta", LAYERS[1:])):
                    for layer in layers:
                        found = spans[(spans["activity"] == activity) & (spans["layer"] == layer)]
                        # A batch of 48 is 4 microbatches of 12, wherever they are computed.
                        self.assertEqual(len(found), 4 * TRACED, f"{activity} {layer}")
                        self.assertEqual(np.unique(found["microbatch"]).tolist(), list(range(4 // ranks)))
                self.assertEqual(np.count_nonzero(spans["activity"] == "update"), ranks * TRACED)
                self.assertEqual(trace["clock_error_s"][0], 0.0)
                self.assertTrue((trace["clock_error_s"][1:] > 0.0).all())

    def test_tracing_changes_no_bit(self):
        _, traced = self.trace_of(2)
        self.run_to_end("-o", self.directory / "plain", *self.arguments, "--max_steps", STEPS, ranks=3)
        self.assertFalse((self.directory / "plain/trace.h5").exists())
        self.assertTrue(runs.same_arrays(runs.weights(traced), runs.weights(self.directory / "plain")))

    def test_stages_send_and_receive(self):
        trace, _ = self.trace_of(2, *settings(runconfig__execution="layer_pipelined", runconfig__pipeline_stages=2))
        self.check_spans(trace["spans"], 2)
        for rank in range(2):
            mine = trace["spans"][trace["spans"]["rank"] == rank]
            self.assertLess({"send", "receive", "forward", "weight_gradient", "combine"}, set(mine["activity"]))
        self.assertEqual(set(trace["spans"]["layer"]), {*LAYERS, ""})

    def test_evaluations_and_files_between_steps(self):
        trace, _ = self.trace_of(1, *settings(runconfig__eval_frequency=FIRST, runconfig__checkpoint_steps=FIRST + 1))
        spans = trace["spans"]
        self.assertEqual(spans[spans["activity"] == "evaluation"]["step"].tolist(), [FIRST, 2 * FIRST])
        self.assertIn(FIRST + 1, spans[spans["activity"] == "files"]["step"])

    def test_a_run_that_ends_or_begins_elsewhere_says_so(self):
        run = ["-o", self.directory / "run", *self.arguments]
        finished = self.run_to_end(*run, "--max_steps", STEPS,
                                   *settings(runconfig__trace_steps=3, runconfig__trace_first_step=STEPS + 1))
        self.assertIn("no trace: the run ends before step 13 (runconfig.trace_first_step)", finished.output)
        finished = self.run_to_end(*run, "--max_steps", 2 * STEPS, *self.traced)
        self.assertIn("no trace: step 4 (runconfig.trace_first_step) is done", finished.output)
        # Of these 100 steps the run makes two.
        finished = self.run_to_end(*run, "--max_steps", 2 * STEPS + 12,
                                   *settings(runconfig__trace_steps=100, runconfig__trace_first_step=35))
        self.assertIn("trace of steps 35 to 36: ", finished.output)
        self.assertEqual(np.unique(run_files.trace(self.directory / "run")["spans"]["step"]).tolist(), [35, 36])


class Export(TracedRuns):
    def export(self, *arguments):
        return runs.execute(["/usr/bin/python3", runs.SOURCE / "scripts/fcmnist", "trace", *arguments])

    def test_table_and_perfetto(self):
        trace, model_dir = self.trace_of(2)
        timeline = self.directory / "timeline.json"
        done = self.export(model_dir, "--perfetto", timeline)
        self.assertEqual((done.code, done.errors), (0, ""), str(done))
        self.assertIn("5 steps of 2 rank(s)", done.output)
        self.assertTrue(done.lines("weight_gradient "), str(done))
        events = json.loads(timeline.read_text())["traceEvents"]
        spans = [event for event in events if event["ph"] == "X"]
        self.assertEqual(len(spans), len(trace["spans"]))
        self.assertEqual({event["tid"] for event in spans}, {0, 1})
        first = trace["spans"][0]
        self.assertEqual((spans[0]["name"], spans[0]["args"]["step"]),
                         (f"{first['activity']} {first['layer']}".rstrip(), FIRST))
        for rank in (0, 1):  # Perfetto drops spans that overlap
            mine = [event for event in spans if event["tid"] == rank]
            self.assertTrue(all(round(1000 * (one["ts"] + one["dur"])) <= round(1000 * after["ts"])
                                for one, after in zip(mine, mine[1:])))
        self.assertAlmostEqual(spans[0]["dur"], 1e6 * (first["end_s"] - first["begin_s"]), places=2)

    @unittest.skipUnless(otf2 and shutil.which("otf2-print"), "needs python3-otf2 and otf2-tools")
    def test_otf2_print_reads_it_back(self):
        trace, model_dir = self.trace_of(2)
        archive = self.directory / "otf2"
        done = self.export(model_dir, "--otf2", archive)
        self.assertEqual((done.code, done.errors), (0, ""), str(done))
        printed = subprocess.run(["otf2-print", archive / "traces.otf2"], check=True, capture_output=True, text=True)
        for kind in ("ENTER", "LEAVE"):
            events = [line for line in printed.stdout.splitlines() if line.startswith(kind)]
            self.assertEqual(len(events), len(trace["spans"]))
        self.assertIn("weight_gradient fc_layers.0", printed.stdout)
        again = self.export(model_dir, "--otf2", archive)
        self.assertEqual(again.code, 2)
        self.assertIn("exists already", again.errors)

    def test_a_run_without_a_trace(self):
        done = self.export(self.directory)
        self.assertEqual(done.code, 2)
        self.assertIn("HINT: a run writes it with runconfig.trace_steps=20", done.errors)


if __name__ == "__main__":
    runs.main()
