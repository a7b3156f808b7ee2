"""The simulated cluster: fcmnist_simulate on a step of known times, and scripts/simulate.py as a whole.

    simulate_test.py [Cluster | Job]        FCMNIST_SIMULATE and FCMNIST_MPI name the programs
"""
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
try:
    import h5py
    import matplotlib  # noqa: F401
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

HERE = pathlib.Path(__file__).resolve().parent
SCRIPT = HERE.parents[1] / "scripts" / "simulate.py"
PARTS = [64_000] * 8 + [33_000]
BYTES = 4 * sum(PARTS)


def forecast(**changes):
    """A step whose backward pass writes a part each 0.1 ms, the last at its end."""
    written_s = [-1e-4 * later for later in reversed(range(len(PARTS)))]
    return {"part_numbers": PARTS, "part_written_s": written_s, "data_s": 1e-4, "compute_s": 2e-3, "update_s": 3e-4,
            "wire_type": "float32", **changes}


class Cluster(unittest.TestCase):
    def run_it(self, *arguments, code=0):
        done = subprocess.run([os.environ["FCMNIST_SIMULATE"], *map(str, arguments)], capture_output=True, text=True, timeout=280)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def simulate(self, nodes, *forecasts, gbit_s=10, latency_us=20):
        with tempfile.TemporaryDirectory() as directory:
            files = []
            for one in forecasts:
                files.append(pathlib.Path(directory) / f"{len(files)}.json")
                files[-1].write_text(json.dumps(one))
            done = self.run_it("--nodes", nodes, "--gbit_s", gbit_s, "--latency_us", latency_us, *files)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_an_exchange_takes_its_bytes_and_its_rounds(self):
        """The program ends with an error if a sum is wrong."""
        for nodes in (2, 3, 4, 5, 7, 8, 16, 17):
            found, = self.simulate(nodes, forecast())
            least = 2 * (nodes - 1) / nodes * BYTES / 1.25e9
            rounds = 2 * math.ceil(math.log2(nodes)) * 20e-6
            with self.subTest(nodes=nodes, found=found):
                self.assertGreater(found["exchange_s"], least)
                self.assertLess(found["exchange_s"], 1.2 * (least + rounds))
                for peer in ("ring_s", "allreduce_s"):
                    self.assertGreater(found[peer], least)

    def test_a_step_is_what_is_computed_and_what_is_exposed(self):
        found, = self.simulate(4, forecast())
        self.assertAlmostEqual(found["step_s"], 1e-4 + 2e-3 + 3e-4 + found["exposed_s"], delta=2e-5)
        self.assertLess(found["exposed_s"], found["exchange_s"] - 5e-4)  # the backward pass hides 0.8 ms

    def test_the_forecast_is_that_of_the_simulation(self):
        for gbit_s, latency_us in ((10, 20), (100, 2)):
            for nodes in (2, 6, 16, 32):
                found, = self.simulate(nodes, forecast(), gbit_s=gbit_s, latency_us=latency_us)
                predicted_s = found["step_s"] - found["exposed_s"] + found["predicted_exposed_s"]
                with self.subTest(nodes=nodes, gbit_s=gbit_s, found=found):
                    self.assertAlmostEqual(predicted_s / found["step_s"], 1, delta=0.06)

    def test_a_ring_is_slower_on_many_nodes(self):
        found, = self.simulate(48, forecast(), latency_us=50)
        self.assertLess(found["exchange_s"], found["ring_s"] / 1.3)

    def test_bfloat16_halves_the_bytes(self):
        wide, narrow = self.simulate(8, forecast(), forecast(wire_type="bfloat16"), latency_us=0.1)
        self.assertAlmostEqual(narrow["exchange_s"] / wide["exchange_s"], 0.5, delta=0.05)

    def test_sums_in_bfloat16_may_be_rounded(self):
        """The sum over 96 nodes has more than 8 binary digits."""
        small = {"part_numbers": [960], "part_written_s": [0.0], "wire_type": "bfloat16"}
        self.simulate(96, forecast(**small))

    def test_it_is_the_same_each_time(self):
        self.assertEqual(self.simulate(12, forecast())[0] | {"forecast": 0}, self.simulate(12, forecast())[0] | {"forecast": 0})

    def test_what_is_no_forecast_is_refused(self):
        self.assertIn("error", self.run_it("--nodes", 4, __file__, code=1).stderr)
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(forecast(part_numbers=[], part_written_s=[]), file)
            file.flush()
            self.assertIn("no parts", self.run_it("--nodes", 4, file.name, code=1).stderr)


class Job(unittest.TestCase):
    def test_points_table_and_plots(self):
        with tempfile.TemporaryDirectory() as directory:
            out = pathlib.Path(directory)
            done = subprocess.run(["/usr/bin/python3", SCRIPT, "--nodes", "1,2,3", "--ranks-per-node", "2", "--networks", "10:20", "--weak", "16",
                                   "--strong", "5", "--out", out, "model.hidden_sizes=[30]"], capture_output=True, text=True, timeout=280)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            with h5py.File(out / "points.h5") as points:
                self.assertEqual(list(points["nodes"]), [1, 2, 3, 1, 2])  # 5 samples are too few for 6 ranks
                self.assertEqual(list(points["ranks"]), [2, 4, 6, 2, 4])
                self.assertEqual(list(points["step_samples"]), [32, 64, 96, 5, 5])
                self.assertEqual(points["exposed_s"].attrs["units"], "s")
                self.assertEqual(points["exposed_s"][0], 0)
                self.assertGreater(points["exposed_s"][2], 0)
                self.assertEqual(points["efficiency"][0], 1)
                self.assertLess(points["efficiency"][2], 1)
                self.assertIn("hidden_sizes=[30]", points.attrs["settings"])
            self.assertRegex(done.stdout, r"\| 16 samples per rank \| 10 Gbit/s, 20 us \| 3 \| 6 \|")
            for name in ("scaling.png", "scaling.svg", "exchange.png", "exchange.svg"):
                self.assertGreater((out / name).stat().st_size, 1000, name)


if __name__ == "__main__":
    unittest.main()
