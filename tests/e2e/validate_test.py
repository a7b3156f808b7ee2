"""--validate_only: says what the run then does, on this world or a planned one, and leaves nothing behind."""
import json
import os
import pathlib
import re
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.runs import settings  # noqa: E402

FAKE = settings(train_input__use_fake_data=True, model__hidden_sizes="[64,32]", eval_input__batch_size=500)
PIPELINED = settings(runconfig__execution="layer_pipelined")


def rows(finished):
    """The table: texts by their names, in order; lines without a name belong to the one above."""
    table = {}
    name = None
    for line in finished.output.splitlines():
        found = re.fullmatch(r"\S+ \S+ info: (.{18})(.*)", line)
        if not found or not re.match(r"(model|data|start|grid|step|stage \d|memory|shared|sent|checkpoints|samples| )",
                                     found[1]):
            continue
        name = found[1].strip() or name
        table[name] = f"{table[name]}\n{found[2]}" if name in table else found[2]
    return table


class Validation(runs.TestCase):
    def validate(self, *arguments, ranks=1, code=0):
        """The table of a validation in an empty directory, which it leaves empty."""
        finished = runs.run("--validate_only", *arguments, ranks=ranks, cwd=self.directory)
        self.assertEqual(finished.code, code, str(finished))
        self.assertEqual(os.listdir(self.directory), [], str(finished))
        if code == 0:
            self.assertEqual(len(finished.lines("valid; nothing was run, and nothing was written")), 1, str(finished))
        return rows(finished) if code == 0 else finished


class ThisWorld(Validation):
    def test_one_rank(self):
        table = self.validate(*FAKE)
        self.assertEqual(table["model"], "784-64-32-10")
        self.assertEqual(table["data"], "12000 samples of 28 x 28; to evaluate: 2000 samples of 28 x 28")
        self.assertEqual(table["start"], "initial weights, 3760 steps in all; model_dir ./model_dir")
        self.assertEqual(table["grid"], "1 replica x 1 stage")
        self.assertEqual(table["step"], "128 samples, 128 per replica in 1 microbatch of at most 128")
        self.assertRegex(table["stage 0"], r"^layers 0-2, 100 % of the work, rank 0 on 1 node, 52650 parameters in (\d+) "
                         r"blocks, \1 updated by each rank$")
        self.assertRegex(table["step time"], r"^\d+(\.\d+)? [mu]?s predicted, \d+ samples/s; 3760 steps in 0:\d\d:\d\d, ")
        self.assertIn("timed on made-up data", table["step time"])

    def test_shares_and_stages_are_those_of_the_run(self):
        """What the log of the run itself says about its stages."""
        for arguments, ranks in (([], 4), (["runconfig.pipeline_stages=3"], 3)):
            with self.subTest(arguments=arguments, ranks=ranks):
                table = self.validate(*FAKE, *PIPELINED, *arguments, ranks=ranks)
                done = self.run_to_end("-o", self.directory / "run", "--max_steps", 3, *FAKE, *PIPELINED, *arguments,
                                       ranks=ranks)
                grid, *stages = done.lines("info: pipeline: ")[0].split("info: pipeline: ")[1].split("; ")
                stage_count, replicas = re.findall(r"\d+", grid)
                self.assertIn(f"{replicas} replica", table["grid"])
                self.assertIn(f"x {stage_count} stage", table["grid"])
                self.assertEqual(len(stages), int(stage_count))
                for stage in stages:
                    name, place = stage.split(": ")
                    self.assertTrue(table[name].startswith(place + " on 1 node, "), f"{place}\n{table[name]}")
                parameters = sum(int(re.search(r"(\d+) parameters", table[f"stage {s}"])[1]) for s in range(len(stages)))
                self.assertEqual(len(done.lines(f"model: {parameters} parameters in 3 layers")), 1, str(done))
                self.assertIn(" of at most ", table["step"])
                self.assertIn("bubble", table["step time"])
                for path in (self.directory / "run").iterdir():
                    path.unlink()
                (self.directory / "run").rmdir()

    def test_shares_of_a_world_that_does_not_divide_the_batch(self):
        table = self.validate(*FAKE, "train_input.batch_size=100", "optimizer.grad_accum_steps=2", ranks=3)
        self.assertEqual(table["step"], "200 samples, 66 to 67 per replica in 2 microbatches of at most 34")

    def test_every_kind_of_step_can_be_timed(self):
        for arguments in (settings(runconfig__reproducible=True, runconfig__microbatch=16),
                          settings(optimizer__max_gradient_norm=1.0, model__dropout=0.3, optimizer__momentum=0.9),
                          settings(runconfig__nan_policy="skip", train_input__batch_size=20000),
                          settings(train_input__drop_last_batch=True, runconfig__mode="train"),
                          [*PIPELINED, *settings(runconfig__reproducible=True)]):
            with self.subTest(arguments=arguments):
                self.assertIn("step time", self.validate(*FAKE, *arguments, ranks=2))


class PlannedWorld(Validation):
    def plan(self, ranks, nodes, *arguments, **options):
        return self.validate("--plan_ranks", ranks, "--plan_nodes", nodes, *FAKE, *arguments, **options)

    def test_a_thousand_ranks(self):
        table = self.plan(1024, 64, "train_input.batch_size=8192")
        self.assertEqual(table["grid"], "1024 replicas x 1 stage")
        self.assertEqual(table["step"], "8192 samples, 8 per replica in 1 microbatch of at most 8")
        self.assertIn("ranks 0-1023 on 64 nodes", table["stage 0"])
        self.assertRegex(table["sent per step"], r"^\d+(\.\d+)? [kM]B by a node to others$")
        self.assertIn("assumed between nodes: 10 Gbit/s, 20 us", table["step time"])
        self.assertIn("by the speed of one rank alone", table["step time"])

    def test_stages_over_nodes(self):
        table = self.plan(12, 2, *PIPELINED, "runconfig.pipeline_stages=3", "train_input.batch_size=256")
        self.assertEqual(table["grid"], "4 replicas x 3 stages")
        for stage, ranks, nodes in ((0, "0-3", "1 node"), (1, "4-7", "2 nodes"), (2, "8-11", "1 node")):
            self.assertIn(f"ranks {ranks} on {nodes},", table[f"stage {stage}"])
        self.assertIn("between the stages of a replica", table["sent per step"])

    def test_the_mapping_is_that_of_the_real_world(self):
        planned, real = self.plan(2, 1), self.validate(*FAKE, ranks=2)
        for name in real.keys() - {"step time"}:
            self.assertEqual(planned[name], real[name], name)

    def test_mixup_with_samples_held_out(self):
        """The made-up data of a measurement are fewer than those that are held out."""
        mixing = ("train_input.mixup=0.2", "train_input.validation_size=9000")
        self.validate("--plan_ranks", 4, *FAKE, *mixing)
        compiled = runs.run("--compile_only", "-o", self.directory / "run", *FAKE, *mixing)
        self.assertEqual(compiled.code, 0, str(compiled))

    def test_nodes_with_more_cores_and_another_network(self):
        """With a core for each rank nobody waits for its turn; a slow network takes its time."""
        elsewhere = tempfile.TemporaryDirectory()
        self.addCleanup(elsewhere.cleanup)
        file = pathlib.Path(elsewhere.name) / "forecast.json"
        ranks = (32, 2, "train_input.batch_size_per_replica=16", "--plan_cores", 16, "--forecast_file", file)
        self.plan(*ranks)
        fast = json.loads(file.read_text())
        table = self.plan(*ranks, "runconfig.network_gbit_s=0.1", "runconfig.network_latency_us=5000")
        slow = json.loads(file.read_text())
        self.assertIn("assumed between nodes: 0.1 Gbit/s, 5000 us", table["step time"])
        self.assertNotIn("ranks wait for each other's turns", str(table))
        self.assertEqual((fast["ranks"], fast["nodes"], fast["step_samples"], fast["rank_samples"]), (32, 2, 512, 16))
        self.assertEqual(fast["part_numbers"], slow["part_numbers"])
        self.assertGreaterEqual(sum(fast["part_numbers"]), fast["parameters"])
        self.assertEqual(fast["part_written_s"], sorted(fast["part_written_s"]))
        least_s = 4 * sum(slow["part_numbers"]) * 8 / 0.1e9
        self.assertGreater(slow["network_s"], least_s - slow["compute_s"])
        total_s = sum(fast[name] for name in ("data_s", "compute_s", "update_s", "network_s"))
        self.assertAlmostEqual(fast["step_s"], total_s, delta=1e-9)

    def test_a_forecast_file_of_stages_is_refused(self):
        finished = self.plan(4, 2, *PIPELINED, "--forecast_file", self.directory / "f.json", code=2)
        self.assertIn("with stages", finished.errors)
        finished = self.plan(4, 2, "runconfig.reproducible=True", "runconfig.microbatch=16", "--forecast_file", self.directory / "f.json", code=2)
        self.assertIn("with sums of integers", finished.errors)
        finished = self.plan(4, 2, "--forecast_file", self.directory / "f.json", "-m", "eval", code=2)
        self.assertIn("with a mode that is not one training", finished.errors)
        finished = self.plan(4, 2, "--forecast_file", self.directory / "absent" / "f.json", code=4)
        self.assertIn("absent", finished.errors)

    def test_more_ranks_than_cores_is_said(self):
        finished = runs.run("--validate_only", "--plan_ranks", 100000, *FAKE, "train_input.batch_size=100000",
                            cwd=self.directory)
        self.assertEqual(finished.code, 0, str(finished))
        self.assertEqual(len(finished.lines("planned node 0: 100000 ranks x 1 thread on")), 1, str(finished))
        self.assertEqual(len(finished.lines("GB of memory, this one has")), 1, str(finished))


class Refused(Validation):
    def test_data_that_are_not_there_are_not_fetched(self):
        finished = self.validate("train_input.data_dir=absent", code=3)
        self.assertIn("no images for train_input: absent does not exist; looked there", finished.errors)

    def test_what_does_not_map(self):
        self.assertIn("divided among 4", self.validate(*FAKE, "train_input.batch_size=3", ranks=4, code=2).errors)
        self.assertIn("an epoch has no step", self.validate(
            *FAKE, "train_input.batch_size=20000", "train_input.drop_last_batch=True", code=2).errors)

    @unittest.skipIf(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") > 100e9, "there is enough")
    def test_too_little_memory(self):
        # 40 GB of weights, as much of gradient and of momentum; a checkpoint's image of 80 GB, and a copy
        wide = "model.hidden_sizes=[100000,100000]"
        self.assertRegex(self.validate(*FAKE, wide, code=2).errors, r"needs 28\d\.\d\d GB, this one has")
        planned = self.validate("--plan_ranks", 2, "--plan_nodes", 2, *FAKE, wide)
        self.assertRegex(planned["step time"], r"^not predicted: with \d+\.\d\d GB a rank is too large")


class RunsThatAreThere(Validation):
    def test_a_run_that_would_go_on_stays_as_it_is(self):
        model_dir = self.directory / "run"
        self.run_to_end("-o", model_dir, "--max_steps", 5, *FAKE, cwd=self.directory)
        before = runs.snapshot(self.directory)

        def validate(*arguments, code=0):
            finished = runs.run("--validate_only", "-o", model_dir, *arguments, ranks=2, cwd=self.directory)
            self.assertEqual(finished.code, code, str(finished))
            self.assertEqual(runs.snapshot(self.directory), before)
            return rows(finished) if code == 0 else finished

        self.assertIn("a checkpoint of step 5, 9 steps in all", validate("--max_steps", 9)["start"])
        self.assertIn("initial weights", validate("--restart", "--max_steps", 9)["start"])
        self.assertIn("made with other settings", validate("model.hidden_sizes=[9]", code=2).errors)
        table = validate("-m", "eval_all")
        self.assertEqual(table["checkpoints"], f"all of 1 in {model_dir}")
        self.assertEqual(table["samples"], "2000 would be scored, 1000 by each of 2 ranks, all layers on each")
        self.assertIn("the newest intact one of 1", validate("-m", "eval")["checkpoints"])

    def test_checkpoints_that_the_run_could_not_use(self):
        model_dir = self.directory / "run"
        self.run_to_end("-o", model_dir, "--max_steps", 5, *FAKE, cwd=self.directory)
        checkpoint = model_dir / "checkpoint_5.h5"

        def refuse(*arguments):
            validated, done = (runs.run(*flags, *FAKE, *arguments, ranks=2, cwd=self.directory)
                               for flags in (["--validate_only"], []))
            self.assertEqual((validated.code, done.code), (4, 4), f"{validated}\n{done}")
            return validated.errors

        other = ["model.hidden_sizes=[9]"]
        self.assertIn("nowhere.h5", refuse("-m", "eval", "--checkpoint_path", "nowhere.h5"))
        self.assertIn("does not fit", refuse("-m", "eval", "--checkpoint_path", checkpoint, *other))
        self.assertIn("does not fit", refuse("-o", self.directory / "new", "--checkpoint_path", checkpoint,
                                             "--is_pretrained_checkpoint", *other))
        checkpoint.write_bytes(checkpoint.read_bytes()[:-1])
        self.assertIn("intact", refuse("-o", model_dir, "-m", "eval"))

    def test_nothing_to_evaluate(self):
        self.assertIn("no checkpoint to evaluate", self.validate(*FAKE, "-m", "eval", code=4).errors)


if __name__ == "__main__":
    runs.main()
