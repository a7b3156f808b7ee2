#!/usr/bin/env bash
# Throughput of training (samples/s) by world and batch, on fake data: a table, and a CSV file.
#   jobs/bench.sh [CONFIG.yaml] [LARGEST_WORLD]
# Without CONFIG: configs/fcmnist_500_300.yaml. Each number is the median of 3 runs of 300 steps, as the program's own
# last log line says it; all training, no evaluation, files in a temporary directory. Meaningful on an idle machine only.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

read_arguments "$root/configs/fcmnist_500_300.yaml" "$@"
if [[ ! -e $subject && -e $root/$subject ]]; then subject=$root/$subject; fi
csv=model_dir/bench_$(basename "$subject" .yaml).csv
mkdir -p model_dir
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# samples_per_s RANKS BATCH
samples_per_s() {
  (launch "$1" --params "$subject" --model_dir "$work/run" --restart --mode train --max_steps 300 \
    train_input.use_fake_data True train_input.batch_size "$2" runconfig.log_steps 300 runconfig.save_losses False \
    >"$work/log" 2>&1) || { cat "$work/log" >&2; return 1; }
  rm -rf "$work"/run*
  sed -n 's/.* of training, \([0-9]*\) samples\/s$/\1/p' "$work/log"
}

batches=(16 64 256)
echo "ranks,batch_per_rank,samples_per_s" >"$csv"
printf '%-8s' ranks
printf '%16s' "${batches[@]/#/batch/rank }"
printf '   samples/s\n'
for ((world = 1; world <= ranks; world *= 2)); do
  printf '%-8s' "$world"
  for batch in "${batches[@]}"; do
    rate=$(for _ in 1 2 3; do samples_per_s "$world" $((world * batch)) || exit; done | sort -n | sed -n 2p)
    printf '%16s' "$rate"
    echo "$world,$batch,$rate" >>"$csv"
  done
  echo
done
echo "written to $csv"
