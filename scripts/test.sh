#!/usr/bin/env bash
# Installs what is needed, builds with warnings as errors, and runs all tests.
set -euo pipefail
if [[ -n ${FCMNIST_MNIST_DIR:-} ]]; then FCMNIST_MNIST_DIR=$(realpath -m "$FCMNIST_MNIST_DIR"); fi
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repository"

usage() {
  cat <<TEXT
Usage: scripts/test.sh [--no-install] [--with-slurm] [--with-readers] [--preset NAME] [arguments of ctest...]
  --no-install   installs no packages: for users without root, or where modules provide them
  --with-slurm   also runs the tests that start a real Slurm on this machine (needs root); installs its daemons
  --with-readers also reads files of a run with Octave, R, silx, Node.js and others; installs them (a gigabyte)
  --preset NAME  dev (default) or asan, see CMakePresets.json; the build is in build/NAME
FCMNIST_MNIST_DIR=DIR adds the tests on real MNIST, whose four files are in DIR.
Examples:
  scripts/test.sh -R checkpoint          only tests whose name contains this
  scripts/test.sh --preset asan -L unit  only tests with this label, with sanitizers
TEXT
}

install=yes slurm=no readers=no preset=dev ctest_arguments=()
while (($# > 0)); do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --no-install) install=no ;;
    --with-slurm) slurm=yes ;;
    --with-readers) readers=yes ;;
    --preset) preset=${2:?--preset: no name}; shift ;;
    *) ctest_arguments+=("$1") ;;
  esac
  shift
done

groups=(build run plot test sim) excluded=()
if [[ $slurm == yes ]]; then groups+=(slurm); else excluded+=(slurm); fi
if [[ $readers == yes ]]; then groups+=(readers); else excluded+=(readers); fi
# In one expression: of several, ctest leaves out only what all of them match.
((${#excluded[@]} == 0)) || ctest_arguments+=(--label-exclude "^($(IFS='|' && echo "${excluded[*]}"))\$")
if [[ $install == yes ]]; then scripts/install_packages.sh "${groups[@]}"; fi
if [[ $slurm == yes ]]; then scripts/slurm_lab.sh check; fi

cmake --preset "$preset"
cmake --build --preset "$preset" --parallel "$(nproc)"
if [[ $readers == yes && $install == yes ]]; then
  (cd "build/$preset/tests/readers" && npm install --no-package-lock --ignore-scripts --no-audit --no-fund)
  export FCMNIST_REQUIRE_ALL_READERS=1
fi
exec ctest --test-dir "build/$preset" --parallel 2 --output-on-failure --no-tests=error --timeout 300 \
  "${ctest_arguments[@]}"
