"""What `cmake --install` gives: the program on PATH, configurations, jobs and scripts that work from where they are."""
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)


class Install(runs.TestCase):
    def setUp(self):
        super().setUp()
        self.prefix = self.directory / "prefix"
        subprocess.run(["cmake", "--install", os.environ["FCMNIST_BUILD_DIR"], "--prefix", self.prefix], check=True,
                       stdout=subprocess.DEVNULL)
        self.share = self.prefix / "share/fcmnist_mpi"
        self.env = dict(os.environ, PATH=f"{self.prefix / 'bin'}:{os.environ['PATH']}")
        self.env.pop("FCMNIST_MPI", None)

    def execute(self, *command):
        return subprocess.run([str(part) for part in command], cwd=self.directory, env=self.env, text=True,
                              capture_output=True, timeout=60)

    def test_mpirun_finds_the_program_on_path(self):
        finished = self.execute(*os.environ["FCMNIST_MPIRUN"].split(), "-n", 2, "fcmnist_mpi", "-p",
                                self.share / "configs/smoke.yaml", "--max_steps", 20)
        self.assertEqual(finished.returncode, 0, finished.stdout + finished.stderr)
        self.assertEqual(runs.checkpoint_steps(self.directory / "model_dir_smoke"), [20])

    def test_jobs_find_program_and_configurations(self):
        finished = self.execute(self.share / "jobs/train.sh", "configs/smoke.yaml", 2, "--max_steps", 20)
        self.assertEqual(finished.returncode, 0, finished.stdout + finished.stderr)
        again = self.execute(self.share / "jobs/resume.sh", "model_dir/smoke", 1, "--max_steps", 30)
        self.assertIn("resuming at step 20", again.stdout, again.stderr)
        scored = self.execute(self.share / "jobs/eval.sh", "model_dir/smoke", 2)
        self.assertIn("| Eval Device=cpu Step=30", scored.stdout, scored.stderr)

    def test_scripts_read_what_the_program_wrote(self):
        self.execute("fcmnist_mpi", "-p", self.share / "configs/smoke.yaml", "--max_steps", 20)
        finished = self.execute("fcmnist", "show", "model_dir_smoke/metrics.h5")
        self.assertIn("intact (SHA-256 verified)", finished.stdout, finished.stderr)
        compared = self.execute("fcmnist", "compare", "--bits", "model_dir_smoke", "model_dir_smoke")
        self.assertIn("equal, bit for bit", compared.stdout, compared.stderr)


if __name__ == "__main__":
    runs.main()
