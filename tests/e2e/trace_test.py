"""What each rank did in some steps: trace.h5, and the timelines that fcmnist trace makes of it."""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.runs import np, settings  # noqa: E402
from fcmnist_analysis import files as run_files, trace as analysis  # noqa: E402

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


def made_up(spans, hosts, stages=None):
    """A trace of spans (rank, step, activity, microbatch, begin, end), in milliseconds."""
    kind = [("rank", np.int32), ("step", np.int64), ("activity", "U16"), ("microbatch", np.int32), ("begin_s", float), ("end_s", float)]
    array = np.array([(*span[:4], span[4] / 1e3, span[5] / 1e3) for span in spans], kind)
    stages = np.array(stages or [0] * len(hosts))
    return {"spans": array[np.argsort(array["rank"], kind="stable")], "hosts": hosts, "clock_error_s": np.zeros(len(hosts)),
            "stage": stages, "replica": np.zeros(len(hosts), int) if stages.any() else np.arange(len(hosts))}


def two_steps(slow, hosts, slow_ms=5):
    """Each rank computes for 2 ms, the slow one for more, and updates for 1 ms; 0.5 ms pass until a wait is over."""
    spans = []
    for step in (1, 2):
        begin = (step - 1) * (slow_ms + 1.5)
        over = begin + slow_ms + 0.5
        for rank in range(len(hosts)):
            done = begin + (slow_ms if rank == slow else 2)
            spans += [(rank, step, "forward", 0, begin, begin + 1), (rank, step, "weight_gradient", 0, begin + 1, done),
                      (rank, step, "wait", -1, done, over), (rank, step, "update", -1, over, over + 1)]
    return made_up(spans, hosts)


class WhereTimeGoes(unittest.TestCase):
    """By construction."""

    def check_path(self, trace, expected_ms):
        path = analysis.CriticalPath(trace)
        self.assertEqual({key: round(1e3 * seconds, 9) for key, seconds in path.seconds.items()}, expected_ms)
        self.assertAlmostEqual(sum(path.seconds.values()), path.end_s - path.begin_s)  # each moment once
        return list(path.lines())

    def test_one_slow_product(self):
        trace = two_steps(1, ["a"] * 3)
        lines = self.check_path(trace, {
            (0, "update"): 1, (0, "wait"): 0.5, (1, "update"): 1, (1, "wait"): 0.5, (1, "weight_gradient"): 8, (1, "forward"): 2})
        self.assertEqual(lines[:2], ["critical path, 6.5000 milliseconds per step",
                                     "weight_gradient     4.0000  61.5 %  on rank 1"])
        self.assertEqual(list(analysis.waits(trace))[1:], [
            "rank 0              3.5000  53.8 %", "rank 1              0.5000   7.7 %", "rank 2              3.5000  53.8 %",
            "the others wait for rank 1, which waits least"])
        lines = list(analysis.table(trace))
        self.assertIn("weight_gradient     2.0000  30.8 %    1.0000    4.0000  1", lines)
        self.assertEqual(lines[-1], "step                6.5000 100.0 %")
        shares = [float(line.split()[-5]) for line in lines[2:-2]]
        self.assertAlmostEqual(sum(shares), 100, delta=0.3)

    def test_equal_ranks_and_many_ranks(self):
        self.assertIn("no rank waits clearly less than the others", list(analysis.waits(two_steps(0, ["a"] * 3, slow_ms=2))))
        hosts = [f"node{rank // 10}" for rank in range(20)]
        trace = two_steps(17, hosts)
        self.assertEqual(list(analysis.waits(trace))[1:], [
            "mean                3.3500  51.5 %", "least               0.5000   7.7 %  on rank 17 (node1)",
            "most                3.5000  53.8 %  on rank 0 (node0)", "the others wait for rank 17 (node1), which waits least"])
        self.assertEqual(list(analysis.waits(two_steps(0, ["a"]))), [])

    def test_two_nodes(self):
        """Rank 2 is slow; rank 3 waits for it; the sum of their node goes to ranks 0 and 1."""
        spans = []
        for rank, done, node, over in ((0, 2, 2.5, 8), (1, 2, 2.5, 8), (2, 6, 6.5, 7), (3, 2, 6.5, 7)):
            spans += [(rank, 1, "weight_gradient", 0, 0, done), (rank, 1, "wait", -1, done, node),
                      (rank, 1, "combine", -1, node, over), (rank, 1, "update", -1, over, over + (2 if rank == 1 else 1)),
                      (rank, 1, "publish", -1, over + (2 if rank == 1 else 1), over + 2.1 if rank < 2 else over + 1.1)]
        self.check_path(made_up(spans, ["a", "a", "b", "b"]), {
            (0, "publish"): 0.1, (1, "update"): 2, (1, "combine"): 1.5, (2, "wait"): 0.5, (2, "weight_gradient"): 6})

    def test_stages(self):
        """Of two microbatches: down with the products of stage 0, up with those of stage 1."""
        spans = [(0, 1, "forward", 0, 0, 1), (0, 1, "forward", 1, 1, 2), (0, 1, "receive", 0, 2, 4.2), (0, 1, "delta", 0, 4.2, 5.2),
                 (0, 1, "receive", 1, 5.2, 9.2), (0, 1, "delta", 1, 9.2, 10.2),
                 (1, 1, "receive", 0, 0, 1.2), (1, 1, "forward", 0, 1.2, 3), (1, 1, "delta", 0, 3, 4), (1, 1, "receive", 1, 4, 4.1),
                 (1, 1, "forward", 1, 4.1, 7), (1, 1, "delta", 1, 7, 9), (1, 1, "wait", -1, 9, 9.1)]
        self.check_path(made_up(spans, ["a", "a"], stages=[0, 1]), {
            (0, "delta"): 1, (0, "receive"): 0.2, (1, "delta"): 3, (1, "forward"): 4.7, (1, "receive"): 0.3, (0, "forward"): 1})

    def test_the_end_of_a_stage_waits_until_its_messages_are_received(self):
        spans = [(0, 1, "forward", 0, 0, 1), (0, 1, "receive", 0, 4, 4.5), (0, 1, "delta", 0, 4.5, 5),
                 (0, 1, "evaluation", -1, 1, 4), (1, 1, "receive", 0, 0, 1.5), (1, 1, "delta", 0, 1.5, 2), (1, 1, "wait", -1, 2, 5.5)]
        spans.sort(key=lambda span: (span[0], span[4]))
        self.check_path(made_up(spans, ["a", "a"], stages=[0, 1]), {
            (1, "wait"): 1, (0, "receive"): 0.5, (0, "evaluation"): 3, (0, "forward"): 1})

    def test_files_of_rank_0_and_times_between_spans(self):
        spans = [(0, 1, "update", -1, 0, 1), (0, 1, "files", -1, 1.5, 4), (0, 2, "update", -1, 4.25, 5),
                 (1, 1, "update", -1, 0, 1), (1, 1, "files", -1, 1, 4.1), (1, 2, "update", -1, 4.25, 6)]
        self.check_path(made_up(spans, ["a", "a"]), {
            (1, "update"): 1.75, (1, "between spans"): 0.15, (1, "files"): 0.1, (0, "files"): 2.5, (0, "between spans"): 0.5,
            (0, "update"): 1})


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
        shares = re.findall(r"^[a-z_ ]{16} +[\d.]+ +(-?[\d.]+) % +-?[\d.]+ +-?[\d.]+  \d$", done.output, re.MULTILINE)
        self.assertAlmostEqual(sum(map(float, shares)), 100, delta=1)
        for part in ("\nrank 1 ", "\ncritical path, ", "\nSpans do not record whom "):
            self.assertIn(part, done.output)
        path = analysis.CriticalPath(analysis.read(model_dir / "trace.h5"))
        self.assertAlmostEqual(sum(path.seconds.values()), path.end_s - path.begin_s)
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

    def test_files_of_results_are_not_replaced(self):
        _, model_dir = self.trace_of(1)
        (self.directory / "other.h5").write_bytes(b"\x89HDF\r\n\x1a\n and more")
        (self.directory / "damaged.h5").write_bytes((model_dir / "trace.h5").read_bytes()[9:])
        kept = [*model_dir.glob("*.h5"), self.directory / "other.h5", self.directory / "damaged.h5"]
        before = runs.snapshot(self.directory)
        for path in kept:
            for option, part in (("--perfetto", "not to be replaced by a timeline"), ("--otf2", "exists already")):
                done = self.export(model_dir, option, path)
                self.assertEqual((done.code, done.output), (2, ""), str(done))
                self.assertIn(part, done.errors)
                self.assertIn("HINT: ", done.errors)
        self.assertEqual(runs.snapshot(self.directory), before)
        (self.directory / "timeline.json").write_text("an earlier one")
        self.assertEqual(self.export(model_dir, "--perfetto", self.directory / "timeline.json").code, 0)

    def test_a_run_without_a_trace(self):
        done = self.export(self.directory)
        self.assertEqual(done.code, 2)
        self.assertIn("HINT: a run writes it with runconfig.trace_steps=20", done.errors)


if __name__ == "__main__":
    runs.main()
