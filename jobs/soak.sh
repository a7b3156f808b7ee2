#!/usr/bin/env bash
# Kills a small training on made-up data again and again, starts it again, and reports whether anything was ever lost.
#   jobs/soak.sh                      30 kills, a few minutes
#   jobs/soak.sh --kills 300          for the night, or for a new machine or file system: --workdir says where to write
#   jobs/soak.sh --sweep              the same with a sweep of nine such trainings
#   jobs/soak.sh --help
# Exit code 0 only if every checkpoint and metrics file was intact after every kill, every finished run is equal to
# one that nothing disturbed, bit for bit, no run hung, and no process or file was left. It ends only processes that it
# started.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

[[ -x /usr/bin/python3 ]] || fail "no /usr/bin/python3" "apt install python3"
program=$(find_program fcmnist_mpi)
exec "$root/scripts/soak.py" --program "$program" "$@"
