"""The tables of scripts/bench_table.py, from output as the programs print it and from bench_raw.csv.

That file has three rounds, written by hand so that the median of the ratios is not the ratio of the medians.
"""
import csv
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = HERE.parents[1] / "scripts/bench_table.py"
GOOGLE_BENCHMARK = """\
name,iterations,real_time,cpu_time,time_unit,bytes_per_second,items_per_second,label,error_occurred,\
error_message,"of_gemm_bound","samples_per_s"
"step/500_300/64/iterations:1/manual_time",1,1234.5,99,us,,,,,,0.8,72345
"step/10x50/64/iterations:1/manual_time",1,1234.5,99,us,,,,,,,5e+05
"""
FAILED = GOOGLE_BENCHMARK + '"step/10x50/128/iterations:1/manual_time",,,,,,,,true,"out of memory"\n'
TORCH = """\
peer,model,precision,ranks,batch_per_rank,samples_per_s
torch_ddp,10x50,fp32,2,64,64700
torch_ddp,10x50,bf16,2,64,74700
"""


def execute(*arguments, text=""):
    return subprocess.run([sys.executable, "-B", PROGRAM, *map(str, arguments)], input=text, text=True,
                          capture_output=True, timeout=60)


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.reader(file))


class WithDirectory(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)


class Collect(WithDirectory):
    def refused(self, text):
        finished = execute("collect", 1, "fcmnist", 2, self.directory / "raw.csv", text=text)
        self.assertEqual(finished.returncode, 1)
        self.assertFalse((self.directory / "raw.csv").exists())
        self.assertNotIn("Traceback", finished.stderr)
        return finished.stderr

    def test_runs_of_both_programs_become_lines_of_one_number(self):
        raw = self.directory / "raw.csv"
        self.assertEqual(execute("collect", 3, "fcmnist", 2, raw, text=GOOGLE_BENCHMARK).stderr, "")
        self.assertEqual(execute("collect", 3, "torch", 2, raw, text=TORCH).stderr, "")
        self.assertEqual(rows_of(raw), [
            ["round", "program", "ranks", "name", "quantity", "value"],
            ["3", "fcmnist", "2", "step/500_300/64", "of_gemm_bound", "0.8"],
            ["3", "fcmnist", "2", "step/500_300/64", "samples_per_s", "72345"],
            ["3", "fcmnist", "2", "step/10x50/64", "samples_per_s", "5e+05"],
            ["3", "torch", "2", "step/10x50/64", "samples_per_s", "64700"],
            ["3", "torch", "2", "step_bf16/10x50/64", "samples_per_s", "74700"]])

    def test_a_run_that_failed_is_refused(self):
        self.assertIn("step/10x50/128/iterations:1/manual_time: out of memory", self.refused(FAILED))
        self.assertIn("not the CSV of", self.refused(""))
        self.assertIn("not the CSV of", self.refused("Segmentation fault\n"))
        self.assertIn("printed no number", self.refused(TORCH.splitlines()[0] + "\n"))
        self.assertIn("samples_per_s is 'fast', not a number", self.refused(TORCH.replace("64700", "fast")))
        self.assertIn("more values than columns", self.refused(TORCH.replace("64700", "64,700")))


class Tables(WithDirectory):
    def setUp(self):
        super().setUp()
        self.medians = self.directory / "medians.csv"
        self.finished = execute("tables", HERE / "bench_raw.csv", self.medians)
        self.assertEqual(self.finished.returncode, 0, self.finished.stderr)

    def test_markdown(self):
        for line in (
                "Medians of 3 round(s); training in samples/s, all ranks together.",
                # ours / DDP is the median of 2, 4, 1; weak scaling of 1, 4, 3
                "| 64 | 100 | 400 | 50 | 100 | 2.00 | 1.25 | 85% | 71% | 1.35 | 3.00 |",
                "| 128 | 200 | 4,000 | - | - | - | - | - | - | - | 20.00 |",
                "| 64 | - | 7,000 | - | - | - | - | - | - | - | - |",
                "| model | program | 1 x 128 | 2 x 64 | ratio |",
                "| 500_300 | ours | 200 | 400 | 2.00 |",
                "| model | program | 2 x 64 | 8 x 16 | ratio |",
                "| 500_300 | ours | 400 | 100 | 0.50 |",
                "| 500_300 | plain allreduce | 300 | 60 | 0.20 |",
                "| 500_300 | PyTorch | 100 | - | - |",
                "| 500_300 | 104 | 31 | 450 | 125 | 150 | 1.20 | 1.44 |"):
            self.assertIn(line, self.finished.stdout.splitlines())

    def test_models_and_batches_are_those_measured_on_all_cores(self):
        lines = self.finished.stdout.splitlines()
        self.assertEqual([line for line in lines if line.startswith("Training ")],
                         ["Training 500_300, float32:", "Training 10x50, float32:"])
        self.assertFalse([line for line in lines if line.startswith("| 16 ")])

    def test_medians_with_their_spread(self):
        header, *rows = rows_of(self.medians)
        self.assertEqual(",".join(header), "program,ranks,name,quantity,median,smallest,largest,rounds")
        self.assertIn("fcmnist,2,step/500_300/64,over_torch,2,1,4,3".split(","), rows)
        self.assertIn("fcmnist,2,step/500_300/128,samples_per_s,4000,3000,5000,2".split(","), rows)
        self.assertIn("torch,1,step/500_300/64,samples_per_s,50,40,60,3".split(","), rows)
        self.assertNotIn("10x50", {row[2].split("/")[1] for row in rows if row[3] == "over_torch"})

    def test_mixed_precision(self):
        raw = self.directory / "mixed.csv"
        raw.write_text("".join(f"{turn},{program},2,step_bf16/500_300/64,{quantity},{value}\n" if turn else
                               "round,program,ranks,name,quantity,value\n"
                               for turn, program, quantity, value in (
                                   (0, "", "", 0), (1, "fcmnist", "samples_per_s", 900), (1, "torch", "samples_per_s", 300),
                                   (2, "fcmnist", "samples_per_s", 1000), (2, "torch", "samples_per_s", 250),
                                   (1, "fcmnist", "of_fp32", 1.9), (2, "fcmnist", "of_fp32", 2.1))))
        finished = execute("tables", raw, self.medians)
        self.assertEqual(finished.stderr, "")
        self.assertIn("Training 500_300, bfloat16:", finished.stdout)
        self.assertIn("| 64 | 950 | 275 | 3.50 | 2.00 | - | - |\n", finished.stdout)
        self.assertNotIn("Strong scaling", finished.stdout)

    def test_without_the_peer(self):
        alone = self.directory / "alone.csv"
        text = (HERE / "bench_raw.csv").read_text()
        alone.write_text("".join(line for line in text.splitlines(True) if ",torch," not in line))
        finished = execute("tables", alone, self.medians)
        self.assertIn("| 64 | 100 | 400 | - | - | - | 1.25 | 85% | 71% | 1.35 | 3.00 |\n", finished.stdout)


if __name__ == "__main__":
    unittest.main()
