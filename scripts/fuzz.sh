#!/usr/bin/env bash
# Fuzzing: libFuzzer searches for inputs that break what reads files, configurations and command lines.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repository"

usage() {
  cat <<TEXT
Usage: scripts/fuzz.sh [--no-install] [SECONDS_PER_TARGET]
Builds the preset fuzz (clang) and runs each target of tests/fuzz for so long (default 600), one after the
other; prints one line per target. Exit code 1 if anything was found.
  build/fuzz/corpus/TARGET     inputs that reach new code; the next run goes on from them
  build/fuzz/findings/TARGET   inputs that broke something: build/fuzz/tests/fuzz/TARGET_fuzz FILE repeats one
  build/fuzz/TARGET.log        all that libFuzzer said
A finding that is mended goes into tests/fuzz/corpus/TARGET, over which every build's tests run.
TEXT
}

install=yes seconds=600
for argument in "$@"; do
  case $argument in
    -h | --help) usage; exit 0 ;;
    --no-install) install=no ;;
    *[!0-9]* | "") usage >&2; exit 2 ;;
    *) seconds=$argument ;;
  esac
done

if [[ $install == yes ]]; then scripts/install_packages.sh build run fuzz; fi
cmake --preset fuzz
cmake --build --preset fuzz --parallel "$(nproc)"

# fuzz TARGET [further options and corpora...]; libFuzzer writes into the first corpus only.
fuzz() {
  local target=$1 code=0 log=build/fuzz/$1.log new=build/fuzz/corpus/$1 findings=build/fuzz/findings/$1
  local executions coverage count
  mkdir -p "$new" "$findings"
  UBSAN_OPTIONS=print_stacktrace=1 "build/fuzz/tests/fuzz/${target}_fuzz" -seed=1 -max_total_time="$seconds" \
    -timeout=10 -rss_limit_mb=2048 -max_len=20000 -print_final_stats=1 -artifact_prefix="$findings/" \
    "$new" "tests/fuzz/corpus/$target" "${@:2}" >"$log" 2>&1 </dev/null || code=$?
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  coverage=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 || true)
  count=$(find "$findings" -type f | wc -l)
  echo "fuzz.sh: $target: ${executions:-0} executions, ${coverage:-cov: 0}, findings: $count"
  if ((code != 0 || count != 0)); then
    echo "fuzz.sh: $target: exit code $code, see $log and $findings" >&2
    failed=1
  fi
}

failed=0
fuzz idx
fuzz config -dict=tests/fuzz/words.dict configs
fuzz overrides -dict=tests/fuzz/words.dict
fuzz checkpoint
fuzz journal
fuzz plan -dict=tests/fuzz/words.dict
exit $failed
