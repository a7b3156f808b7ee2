#!/usr/bin/env bash
# Does mixed precision learn as well as float32? Trains a configuration with several seeds in each precision, and
# prints the differences in test accuracy, seed by seed, as a table in Markdown.
#   jobs/precision.sh [CONFIG.yaml] [RANKS] [more arguments of fcmnist_mpi...]
#   SEEDS=20 jobs/precision.sh configs/params.yaml 2 runconfig.max_steps 2000
# Settings by environment: SEEDS (5), and those of launch.sh. Results go to model_dir/precision/<name of the
# configuration>; a run that is there already is not repeated.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

read_arguments "$root/configs/fcmnist_500_300.yaml" "$@"
seeds=${SEEDS:-5}
[[ $seeds =~ ^[1-9][0-9]*$ ]] || fail "SEEDS=$seeds" "a whole number"
[[ -x /usr/bin/python3 ]] || fail "no /usr/bin/python3" "apt install python3"
results=model_dir/precision/$(basename "$subject" .yaml)
mkdir -p "$results"

declare -A settings=(
  [float32]="model.mixed_precision=False"
  [bfloat16]="model.mixed_precision=True model.half_type=bfloat16"
  [float16]="model.mixed_precision=True model.half_type=float16 optimizer.loss_scaling_factor=dynamic"
)
for ((seed = 1; seed <= seeds; ++seed)); do
  for precision in float32 bfloat16 float16; do
    echo "seed $seed of $seeds: $precision" >&2
    read -ra setting <<<"${settings[$precision]}"
    (launch "$ranks" --params "$subject" --model_dir "$results/${precision}_$seed" "runconfig.seed=$seed" \
      "${setting[@]}" "${more[@]}") >"$results/log" || { cat "$results/log" >&2; exit 1; }
  done
done
exec "$root/scripts/precision_table.py" "$results"
