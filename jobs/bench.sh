#!/usr/bin/env bash
# Throughput of training on this machine, beside PyTorch's: tables in Markdown, and two CSV files.
#   jobs/bench.sh             about 15 minutes, on an idle machine
#   jobs/bench.sh --bf16      mixed precision beside PyTorch's, 9 minutes
#   jobs/bench.sh --quick     one round of two batch sizes of both: does it run?
# Settings by environment: RANKS (one per core), ROUNDS (5), and those of launch.sh. Our program and the peer
# run in turn within each round, because machines drift. Results go to model_dir/bench (bench_bf16): raw.csv has every
# number, medians.csv their medians and the ratios; scripts/bench_table.py says what is in them.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

batches=16,64,128,256,1024
our_seconds=0.2 torch_seconds=1 # of one measurement; ours makes four of them for each batch size, PyTorch one
suites=(float32) results=model_dir/bench
case ${1:-} in
  "") ;;
  --bf16) suites=(bfloat16) results=model_dir/bench_bf16 batches=64,256,1024 ;;
  --quick) suites=(float32 bfloat16) batches=64,256 our_seconds=0.05 torch_seconds=0.2 ROUNDS=1 ;;
  *) fail "unknown argument $1" "jobs/bench.sh [--bf16 | --quick]" ;;
esac
rounds=${ROUNDS:-5} ranks=${RANKS:-$(usable_cores)}
[[ $ranks =~ ^[1-9][0-9]*$ && $rounds =~ ^[1-9][0-9]*$ ]] ||
  fail "RANKS=$ranks ROUNDS=$rounds" "two whole numbers"
((ranks > 1)) || fail "one rank has nothing to be compared with" "RANKS=2 jobs/bench.sh"
(find_program fcmnist_bench >/dev/null) ||
  fail "no benchmarks" "they are built where CMake finds Google Benchmark: scripts/install_packages.sh bench"
[[ -x /usr/bin/python3 ]] || fail "no /usr/bin/python3" "apt install python3"
mkdir -p "$results"
# Held by everything that runs for this job, also when the job itself is gone: two at a time measure each other.
exec 9>"$results/lock"
flock -n 9 || fail "$results: another jobs/bench.sh writes there" "wait for it, or end its processes"
rm -f "$results"/{raw,medians}.csv
# One core for each rank, as for the peer; by itself Open MPI binds more than two ranks to sockets.
export OMPI_MCA_hwloc_base_binding_policy=core

collect() {
  "$root/scripts/bench_table.py" collect "$@" "$results/raw.csv"
}

# ours RANKS NAMES: the benchmarks whose names begin with a match of this regular expression
ours() {
  echo "round $round of $rounds: fcmnist_bench on $1 rank(s): $2" >&2
  (launch_program fcmnist_bench "$1" --rounds=1 --min_time="$our_seconds" --benchmark_format=csv \
    --benchmark_filter="^$2(/|$)") 2>"$results/log" | collect "$round" fcmnist "$1" ||
    { cat "$results/log" >&2; return 1; }
}

# peer RANKS MODEL [--bf16]
peer() {
  [[ $with_torch == yes ]] || return 0
  echo "round $round of $rounds: PyTorch on $1 process(es): ${*:2}" >&2
  "$root/scripts/torch_peer.py" --ranks "$1" --model "${@:2}" --batches "$batches" --seconds "$torch_seconds" |
    collect "$round" torch "$1"
}

describe_machine() {
  echo "$(lscpu | sed -n 's/^Model name: *//p'), $(usable_cores) cores; $(date -u +%F)," \
    "commit $(git -C "$root" describe --always --dirty 2>/dev/null || echo unknown)"
  # It fails where a package is not known, or where there is no dpkg.
  { dpkg-query -W -f='${db:Status-Abbrev} ${Package} ${Version}\n' \
    'libopenblas0-*' openmpi-bin python3-torch 2>/dev/null || true; } | sed -n 's/^ii *//p'
  env | sed -n '/^OPENBLAS_NUM_THREADS=/d; s/^OPENBLAS_.*/warning: & is set, for us and for PyTorch/p'
}

with_torch=yes
/usr/bin/python3 -c 'import importlib.util as u, sys; sys.exit(u.find_spec("torch") is None)' || with_torch=no
describe_machine
[[ $with_torch == yes ]] || echo "warning: PyTorch is left out: scripts/install_packages.sh bench"
sizes="(${batches//,/|})"
float32() {
  local model
  for model in 500_300 10x50; do
    ours 1 "step/$model/$sizes"
    ours "$ranks" "step/$model/$sizes"
    peer 1 "$model"
    peer "$ranks" "$model"
    ours "$ranks" "(exchange/$model|gemm/$model/$sizes)"
    ours $((4 * ranks)) "step/$model/16"
  done
  ours "$ranks" "peak/(fma|memcpy)"
}
bfloat16() {
  local model
  for model in 500_300 10x50 2500_500; do
    ours "$ranks" "step_bf16/$model/$sizes"
    peer "$ranks" "$model" --bf16
  done
}
for ((round = 1; round <= rounds; ++round)); do
  for suite in "${suites[@]}"; do "$suite"; done
done
echo
"$root/scripts/bench_table.py" tables "$results/raw.csv" "$results/medians.csv"
echo
echo "written to $results/raw.csv and $results/medians.csv"
