#!/usr/bin/env bash
# From a fresh clone to a trained network: packages, build, data, training on all cores, report.
set -euo pipefail
if [[ -n ${FCMNIST_MNIST_DIR:-} ]]; then FCMNIST_MNIST_DIR=$(realpath -m "$FCMNIST_MNIST_DIR"); fi
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repository"
fashion_mnist=/usr/share/datasets/fashion-mnist # where Debian's package dataset-fashion-mnist puts it

usage() {
  cat <<TEXT
Usage: scripts/quickstart.sh [--no-install] [--ranks N] [arguments of fcmnist_mpi...]
Installs packages, builds in build/release, gets MNIST, trains on all cores and writes a report. Takes a few minutes.
Repeated, it does only what is not done yet.
  --no-install  installs no packages: for users without root, or where modules provide them
  --ranks N     trains on so many MPI ranks instead of one per core
FCMNIST_MNIST_DIR=DIR uses the four files of MNIST that are in DIR instead of fetching them into data/mnist.
Examples:
  scripts/quickstart.sh --restart                       trains again from the beginning
  scripts/quickstart.sh --ranks 4 --model_dir runs/wide model.hidden_sizes "[1000, 500]"
TEXT
}

say() { printf '\n==> %s\n' "$*"; }
fail() {
  printf 'quickstart.sh: error: %s\nHINT: %s\n' "$1" "$2" >&2
  exit 2
}

install_packages() {
  [[ $install == yes ]] || return 0
  say "Packages: installs what is missing of scripts/install_packages.sh --list $*"
  scripts/install_packages.sh "$@"
}

check_tools() {
  local tool missing=()
  for tool in cmake "${CXX:-c++}" make mpirun; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  ((${#missing[@]} == 0)) || fail "not found: ${missing[*]}" \
    "on a cluster load the modules that hold them (module avail); on Debian run this without --no-install"
}

build() {
  say "Building in build/release"
  if ! { cmake --preset release -DFCMNIST_TESTS=OFF && cmake --build --preset release --parallel "$(nproc)"; }; then
    fail "the program was not built, see above" \
      "if a library is missing: scripts/install_packages.sh --list build names Debian's packages of all that it needs"
  fi
}

# Sets data_dir and name (for the directory of the results).
get_data() {
  local program=build/release/fcmnist_mpi
  data_dir=${FCMNIST_MNIST_DIR:-data/mnist} name=quickstart
  say "Data: MNIST in $data_dir"
  if [[ -n ${FCMNIST_MNIST_DIR:-} ]]; then
    "$program" --mode prepare_data train_input.data_dir "$data_dir" train_input.download False
    return
  fi
  if "$program" --mode prepare_data train_input.data_dir "$data_dir"; then return; fi
  data_dir=$fashion_mnist name=quickstart_fashion_mnist
  say "MNIST could not be had (the reason is above): training on Fashion-MNIST from a Debian package instead." \
    "It is harder: expect an accuracy of 87-90 %, where MNIST gives 98.5 %."
  install_packages fashion_mnist
  [[ -d $data_dir ]] || fail "no MNIST, and no Fashion-MNIST in $data_dir" \
    "where there is internet run build/release/fcmnist_mpi --mode prepare_data, and bring data/mnist here"
  "$program" --mode prepare_data train_input.data_dir "$data_dir" train_input.download False
}

train() {
  model_dir=${model_dir:-model_dir/$name}
  log=$model_dir/quickstart.log
  mkdir -p "$model_dir"
  say "Training in $model_dir"
  FCMNIST_MPI=build/release/fcmnist_mpi jobs/train.sh configs/fcmnist_500_300.yaml ${ranks:+"$ranks"} \
    --model_dir "$model_dir" train_input.data_dir "$data_dir" "${more[@]}" | tee -a "$log"
}

# The Python that has the modules: Debian's belong to /usr/bin/python3, but another may come first on PATH.
analysis_python() {
  local python
  for python in python3 /usr/bin/python3; do
    if "$python" -c 'import h5py, jinja2, pandas, PIL' 2>/dev/null; then echo "$python" && return; fi
  done
  return 1
}

write_report() {
  local python
  if python=$(analysis_python); then
    say "Report"
    "$python" scripts/fcmnist report "$model_dir"
  else
    say "No report: no python3 with h5py, pandas, jinja2 and PIL. Later: scripts/fcmnist report $model_dir"
  fi
}

install=yes ranks="" model_dir="" more=()
while (($# > 0)); do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --no-install) install=no ;;
    --ranks) ranks=${2:?--ranks: no number}; shift ;;
    -o | --model_dir) model_dir=${2:?$1: no directory}; shift ;;
    --model_dir=*) model_dir=${1#*=} ;;
    -o?*) model_dir=${1#-o} ;;
    *) more+=("$1") ;;
  esac
  shift
done

install_packages build run plot
check_tools
build
get_data
train
write_report
accuracy=$(sed -nE 's/.*info: (its )?((test )?accuracy [^(]*[01]\.[0-9]{4}).*/\2/p' "$log" | tail -n 1)
say "Done: ${accuracy:-not evaluated}. In $model_dir:"
cat <<TEXT
    report.html      what came of it     params.yaml     the settings of the run
    metrics.h5       the numbers         checkpoint_*.h5 the weights (scripts/fcmnist show FILE says what is in it)
    Next: README.md; jobs/train.sh and slurm/train.sh for runs of your own; configs/ for their settings.
TEXT
