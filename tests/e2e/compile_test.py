"""--compile_only and runconfig.plan: what a plan changes in a run, when it does not hold, and what is refused."""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.run_under_way import RunUnderWay  # noqa: E402
from support.runs import h5py, settings  # noqa: E402

IGNORED = "plan.yaml: ignored, it was made for another world: "


class Planned(runs.TestCase):
    BASE = settings(train_input__use_fake_data=True, eval_input__use_fake_data=True, train_input__batch_size=96,
                    model__hidden_sizes="[64,32]", model__dropout=0.1, optimizer__learning_rate=0.02,
                    optimizer__momentum=0.9)

    def setUp(self):
        super().setUp()
        self.model_dir = self.directory / "run"
        self.plan = self.model_dir / "plan.yaml"

    def command(self, *arguments, name="run"):
        return ["-o", self.directory / name, *self.BASE, *arguments]

    def compile(self, *arguments, ranks=1):
        return self.run_to_end(*self.command("--compile_only", *arguments), ranks=ranks)

    def train(self, steps, *arguments, name="run", ranks=1):
        return self.run_to_end(*self.command("--max_steps", steps, *arguments, name=name), ranks=ranks)

    def edit(self, pattern, text, path=None):
        path = path or self.plan
        changed, count = re.subn(pattern, text, path.read_text())
        self.assertGreater(count, 0, pattern)
        path.write_text(changed)

    def use(self, library):
        """This library for every product."""
        self.edit(r"openblas|onednn", library)

    def attributes(self, name, step):
        with h5py.File(self.directory / name / f"checkpoint_{step}.h5") as file:
            return dict(file.attrs)

    def check_same_bits(self, left, right, step):
        for group in ("model", "optimizer/momentum_buffer"):
            self.assertTrue(runs.same_arrays(runs.weights(self.directory / left, step, group),
                                             runs.weights(self.directory / right, step, group)), (left, right, group))


class Compiles(Planned):
    def test_writes_a_plan_and_nothing_else(self):
        done = self.compile(ranks=2)
        self.assertEqual(set(runs.snapshot(self.model_dir)), {"LOCK", "plan.yaml"})
        self.assertEqual((self.model_dir / "LOCK").read_text(), "")
        text = self.plan.read_text()
        for line in ("widths: [784, 64, 32, 10]", "microbatch: 48", "ranks: 2", "nodes: 1", "stages: 1"):
            self.assertIn(f"  {line}\n", text)
        self.assertEqual(len(re.findall(r"\n  - \[\w+, \w+, \w+\]", text)), 3, text)
        self.assertNotIn("exchange_streams", text)
        self.assertNotIn("first_layers", text)
        self.assertEqual(len(done.lines("  layer ")), 8 if runs.HAS_ONEDNN else 0, str(done))
        self.assertEqual(len(done.lines(f"wrote {self.plan}")), 1, str(done))
        self.assertEqual(done.lines("Train Device"), [], str(done))

    def test_a_plan_of_stages(self):
        done = self.compile("runconfig.execution=layer_pipelined", ranks=2)
        self.assertRegex(self.plan.read_text(), r"\nfirst_layers: \[0, [12]\]\n")
        self.assertEqual(len(done.lines("  slowest stage ")), 1, str(done))

    def test_a_plan_of_before_is_replaced_also_a_damaged_one(self):
        self.model_dir.mkdir()
        self.plan.write_text("nonsense")
        self.compile("runconfig.plan=auto")
        self.train(5, "runconfig.plan=auto")

    def test_a_run_keeps_its_plan_when_it_starts_over(self):
        self.compile()
        self.train(5)
        before = self.plan.read_text()
        self.train(5, "--restart")
        self.assertEqual(self.plan.read_text(), before)


class Uses(Planned):
    def in_effect(self, done):
        return [line.split("plan: ", 1)[1] for line in done.lines("plan: ")]

    def test_only_when_told(self):
        self.compile()
        self.assertEqual(self.in_effect(self.train(5)), [])
        self.assertNotIn("plan", self.attributes("run", 5))
        self.assertEqual(self.attributes("run", 5)["gemm"], "openblas")
        self.train(10, "runconfig.plan=auto", name="no_plan_there")
        self.assertNotIn("plan", self.attributes("no_plan_there", 10))

    def test_auto_and_a_file_are_the_same(self):
        self.compile()
        self.use("openblas")
        self.assertEqual(self.in_effect(self.train(20, "runconfig.plan=auto")), [f"{self.plan}: openblas"])
        self.train(20, f"runconfig.plan={self.plan}", name="file")
        self.train(20, name="none")
        self.check_same_bits("run", "file", 20)
        self.check_same_bits("run", "none", 20)
        self.assertEqual(self.attributes("run", 20)["plan"], self.plan.read_text())

    @runs.unittest.skipUnless(runs.HAS_ONEDNN, "one library only")
    def test_each_product_has_its_library(self):
        self.compile()
        self.use("onednn")
        self.train(20, "runconfig.plan=auto")
        self.train(20, "runconfig.gemm=onednn", name="onednn")
        self.check_same_bits("run", "onednn", 20)
        # Layer 0, forward: sums of 784 products. (Short sums may be the same bits in both libraries.)
        self.edit(r"- \[onednn, onednn, onednn\](?=\n  - .*\n  - )", "- [openblas, onednn, onednn]")
        self.train(20, f"runconfig.plan={self.plan}", name="mixed")
        self.assertEqual(self.attributes("mixed", 20)["gemm"], "onednn, but openblas for layer 0 forward")
        self.assertFalse(runs.same_arrays(runs.weights(self.directory / "mixed"), runs.weights(self.directory / "run")))

    def test_stages_are_those_of_the_plan(self):
        pipelined = "runconfig.execution=layer_pipelined"
        self.compile(pipelined, ranks=2)
        for cut, layers in ((1, "stage 0: layer 0,"), (2, "stage 0: layers 0-1,")):
            self.edit(r"first_layers: .*", f"first_layers: [0, {cut}]")
            done = self.train(5, pipelined, f"runconfig.plan={self.plan}", name=f"cut_{cut}", ranks=2)
            self.assertEqual(len(done.lines(layers)), 1, str(done))

    def test_a_resume_goes_on_with_the_plan_of_the_checkpoint(self):
        self.compile()
        self.use("onednn" if runs.HAS_ONEDNN else "openblas")
        self.train(20, f"runconfig.plan={self.plan}", name="whole")
        self.train(10, f"runconfig.plan={self.plan}", name="part")
        self.plan.unlink()  # its name is still in params.yaml
        for steps, argument, warnings in ((15, [], 1), (20, ["runconfig.plan=none"], 0)):
            resumed = self.run_to_end("-o", self.directory / "part", "--max_steps", steps, *argument)
            self.assertEqual(len(self.in_effect(resumed)), 1, str(resumed))
            self.assertRegex(self.in_effect(resumed)[0], r"^checkpoint of step 1[05]: ", str(resumed))
            self.assertEqual(len(resumed.lines("warning:")), warnings, str(resumed))
            self.assertEqual(len(resumed.lines("runconfig.plan is not used: ")), warnings, str(resumed))
        self.check_same_bits("whole", "part", 20)

    def test_a_plan_that_cannot_be_read_ends_a_resume_without_one(self):
        self.train(10)
        done = runs.run(*self.command("--max_steps", 20, "runconfig.plan=nowhere"))
        self.assertEqual(done.code, 2, str(done))
        self.assertIn("runconfig.plan nowhere: there is no such file", done.errors)

    def test_a_detour_through_another_world_keeps_the_plan(self):
        self.compile(ranks=2)
        self.use("onednn" if runs.HAS_ONEDNN else "openblas")
        self.train(10, "runconfig.plan=auto", ranks=2)
        text = self.attributes("run", 10)["plan"]
        away = self.train(15, ranks=1)
        self.assertEqual(len(away.lines("plan: checkpoint of step 10: ignored, it was made for another world: ")), 1, str(away))
        self.assertEqual(self.attributes("run", 15)["gemm"], "openblas")
        back = self.train(20, ranks=2)
        self.assertRegex(self.in_effect(back)[0], "^checkpoint of step 15: ", str(back))
        self.assertEqual(self.attributes("run", 20)["plan"], text)

    @runs.unittest.skipUnless(runs.HAS_ONEDNN, "one library only")
    def test_a_resume_with_another_plan_is_a_warning(self):
        self.train(10)
        self.compile()
        self.use("onednn")
        resumed = self.train(20, "runconfig.plan=auto")
        self.assertEqual([line.split("warning: ", 1)[1] for line in resumed.lines("warning: ")],
                         ["since the checkpoint: gemm from openblas to onednn: results go on equal to rounding, not to the bit"])

    def test_a_plan_of_another_world_is_ignored_with_one_line(self):
        self.compile()
        for pattern, text, said in ((r"cpu: .*", 'cpu: "Another"', "cpu Another, here "),
                                    (r"libraries: .*", 'libraries: "OpenBLAS 0.1"', "libraries OpenBLAS 0.1, here OpenBLAS "),
                                    (r"ranks: 1", "ranks: 7", "ranks 7, here 1"),
                                    (r"64, 32, 10\]", "64, 33, 10]", "widths [784, 64, 33, 10], here [784, 64, 32, 10]"),
                                    (r"microbatch: 96", "microbatch: 97", "microbatch 97, here 96")):
            before = self.plan.read_text()
            self.edit(pattern, text)
            name = f"ignored_{said.split()[0]}"
            done = self.train(5, f"runconfig.plan={self.plan}", name=name)
            self.assertEqual(len(done.lines(IGNORED)), 1, str(done))
            self.assertEqual(len(self.in_effect(done)), 1, str(done))
            self.assertIn(said, done.lines(IGNORED)[0])
            self.assertNotIn("plan", self.attributes(name, 5))
            self.plan.write_text(before)


class Halves(Planned):
    BFLOAT16 = settings(model__mixed_precision=True, model__half_type="bfloat16")
    FLOAT16 = settings(model__mixed_precision=True, model__half_type="float16")
    EMULATED = {"ONEDNN_MAX_CPU_ISA": "AVX2"}

    def train_mixed(self, name, *arguments):
        return self.train(20, f"runconfig.plan={self.plan}", *arguments, name=name)

    def test_a_library_for_each_product_where_they_are_emulated(self):
        for half, env in ((self.BFLOAT16, self.EMULATED), (self.FLOAT16, {})):
            done = self.run_to_end(*self.command("--compile_only", *half), env=env)
            self.assertRegex(self.plan.read_text(), r'\n  precision: "b?float16 emulated"\n')
            self.assertEqual(len(done.lines("  layer ")), 8 if runs.HAS_ONEDNN else 0, str(done))

    @runs.unittest.skipUnless(runs.HAS_ONEDNN, "one library only")
    def test_the_libraries_are_those_of_the_plan_where_they_are_emulated(self):
        self.compile(*self.FLOAT16)
        for library in ("openblas", "onednn"):
            self.use(library)
            self.train_mixed(library, *self.FLOAT16)
            self.train(20, f"runconfig.gemm={library}", *self.FLOAT16, name=f"{library}_everywhere")
            self.check_same_bits(library, f"{library}_everywhere", 20)
            self.assertEqual(self.attributes(library, 20)["gemm"], library)
        self.assertFalse(runs.same_arrays(runs.weights(self.directory / "openblas"),
                                          runs.weights(self.directory / "onednn")))

    def test_nothing_to_choose_where_there_are_instructions(self):
        pipelined = "runconfig.execution=layer_pipelined"
        done = self.compile(pipelined, *self.BFLOAT16, ranks=2)
        instructions = re.search(r"precision: bfloat16 .*; products by ([\w-]+)", done.output)
        if instructions is None:
            self.skipTest("no instructions for bfloat16")
        by = f"bfloat16 by {instructions[1]}"
        self.assertEqual(len(done.lines(f"products: {by}: no library to choose")), 1, str(done))
        self.assertEqual(len(done.lines("  slowest stage ")), 1, str(done))
        text = self.plan.read_text()
        self.assertIn(f'\n  precision: "{by}"\n', text)
        self.assertIn("\ngemm: []", text)
        self.assertRegex(text, r"\nfirst_layers: \[0, [12]\]\n")
        trained = self.train(20, "runconfig.plan=auto", pipelined, *self.BFLOAT16, ranks=2)
        self.assertEqual(len(trained.lines(f"plan: {self.plan}: no library to choose; stages begin at layers [0, ")), 1,
                         str(trained))
        self.assertNotIn("gemm", self.attributes("run", 20))
        self.assertEqual(self.attributes("run", 20)["plan"], text)

    def test_a_plan_of_another_precision_is_ignored_with_one_line(self):
        self.compile()
        for name, half in (("float16", self.FLOAT16), ("bfloat16", self.BFLOAT16)):
            done = self.train_mixed(name, *half)
            self.assertEqual(len(done.lines(f"{IGNORED}precision float32, here {name} ")), 1, str(done))
            self.assertNotIn("plan", self.attributes(name, 20))
        self.compile(*self.FLOAT16)
        done = self.train_mixed("float32")
        self.assertEqual(len(done.lines(f"{IGNORED}precision float16 emulated, here float32")), 1, str(done))


class SameBits(Planned):
    """Of reproducible runs: the libraries of a plan hold in any world, since microbatches are the same there."""
    BITS = settings(runconfig__reproducible=True, runconfig__microbatch=16)

    def test_on_any_number_of_ranks_and_stages_and_through_a_resume(self):
        self.compile(*self.BITS, ranks=2)
        if runs.HAS_ONEDNN:
            self.use("onednn")
            self.edit(r"\[onednn, onednn, onednn\]$", "[openblas, onednn, openblas]")
        plan = f"runconfig.plan={self.plan}"
        for ranks in (1, 2, 3):
            self.train(20, plan, *self.BITS, name=f"ranks_{ranks}", ranks=ranks)
            self.check_same_bits("ranks_1", f"ranks_{ranks}", 20)
        self.train(20, plan, *self.BITS, *settings(runconfig__execution="layer_pipelined", runconfig__pipeline_stages=2),
                   name="stages", ranks=4)
        self.check_same_bits("ranks_1", "stages", 20)
        endless = "runconfig.num_epochs=100"
        self.train(10, plan, *self.BITS, endless, name="moved", ranks=2)
        resumed = self.train(20, *self.BITS, endless, name="moved", ranks=3)
        self.assertEqual(resumed.lines("warning: since"), [], str(resumed))
        self.check_same_bits("ranks_1", "moved", 20)
        self.assertEqual(self.attributes("moved", 20)["gemm"], self.attributes("ranks_1", 20)["gemm"])
        self.assertEqual(self.attributes("moved", 20)["plan"], self.plan.read_text())

    def test_through_resumes_on_stages(self):
        self.compile(*self.BITS, ranks=2)
        plan, endless = f"runconfig.plan={self.plan}", "runconfig.num_epochs=100"
        stages = settings(runconfig__execution="layer_pipelined", runconfig__pipeline_stages=2)
        self.train(20, plan, *self.BITS, endless, name="alone")
        for steps, grid, ranks in ((5, stages, 2), (10, stages, 4), (15, ["runconfig.execution=data_parallel"], 3),
                                   (20, stages, 2)):
            done = self.train(steps, plan, *self.BITS, endless, *grid, name="moved", ranks=ranks)
            self.assertEqual(done.lines("warning: since"), [], str(done))
        self.check_same_bits("alone", "moved", 20)


class Refusals(Planned):
    def refuse(self, code, *parts, arguments, ranks=2):
        done = runs.run(*self.command(*arguments), ranks=ranks)
        self.assertEqual(done.code, code, str(done))
        self.assertEqual(done.errors.count(runs.ERROR_MARK), 1, str(done))
        for part in parts:
            self.assertIn(part, done.errors)

    def test_plans_that_cannot_be_read(self):
        self.compile()
        good = self.plan.read_text()
        for pattern, text, *parts in ((r"ranks: 1", "ranks: many", "plan.yaml:10: machine.ranks: expected a whole number",
                                       "found 'many'"),
                                      (r"format_version: 1", "format_version: 9", "plan.yaml:2: format_version: expected 1"),
                                      (r"gemm:", "gem:", "no key 'gemm'", "--compile_only"),
                                      (r"machine:", "machine: [", "plan.yaml:", "not valid YAML")):
            self.edit(pattern, text)
            self.refuse(2, *parts, arguments=["--max_steps", 5, "runconfig.plan=auto"])
            self.plan.write_text(good)
        self.assertEqual(set(runs.snapshot(self.model_dir)), {"LOCK", "plan.yaml"})

    def test_a_file_that_is_not_there(self):
        self.refuse(2, "runconfig.plan nowhere: there is no such file", "HINT: the same command with --compile_only",
                    arguments=["--max_steps", 5, "runconfig.plan=nowhere"])
        self.refuse(2, "is a directory", arguments=["--max_steps", 5, f"runconfig.plan={self.directory}"])
        self.assertFalse(self.model_dir.exists())

    def test_nothing_to_plan(self):
        for mode in ("eval", "prepare_data"):
            self.refuse(2, "--compile_only: plans are made for training", f"found {mode}",
                        arguments=["--compile_only", "-m", mode])
        self.refuse(2, "microbatches of 96", arguments=["--compile_only", "runconfig.microbatch=96"])
        self.assertFalse(self.model_dir.exists())

    def test_a_model_dir_in_use(self):
        run = RunUnderWay(self, [*runs.MPIRUN, "-n", 1, runs.PROGRAM], "--max_steps", 1000000).wait_for_line("Step=50 ")
        done = runs.run("-o", run.directory / "run", *self.BASE, "--compile_only", ranks=2)
        self.assertEqual(done.code, 7, str(done))
        self.assertFalse((run.directory / "run" / "plan.yaml").exists())


if __name__ == "__main__":
    runs.main()
