#!/usr/bin/env bash
# Weak and strong scaling of training on clusters that are not there: SimGrid's hosts, with the program's own exchange.
#   jobs/simulate.sh                                   1 to 256 nodes of 16 ranks, 10, 25 and 100 Gbit/s; half an hour, mostly for 256
#   jobs/simulate.sh --nodes 1,2,4,8,16                up to 256 ranks; 2 minutes once it is built
#   jobs/simulate.sh --networks 1:200 --nodes 1,2,4    a network of 1 Gbit/s and 200 us
#   jobs/simulate.sh --help                            the rest; settings of fcmnist_mpi may follow
# Builds the two programs (cmake --preset sim) unless FCMNIST_MPI and FCMNIST_SIMULATE name them. Results go to
# model_dir/simulate: points.h5, scaling.png, exchange.png, and the same as SVG.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

[[ -x /usr/bin/python3 ]] || fail "no /usr/bin/python3" "scripts/install_packages.sh plot"
[[ " $* " != *" --help "* ]] || exec "$root/scripts/simulate.py" --help
if [[ -z ${FCMNIST_MPI:-} || -z ${FCMNIST_SIMULATE:-} ]]; then
  [[ -f $root/CMakePresets.json ]] ||
    fail "fcmnist_simulate is not installed with the program" "run jobs/simulate.sh of the sources"
  [[ -f /usr/include/smpi/smpi.h ]] || fail "no SimGrid" "scripts/install_packages.sh build sim plot"
  (cd "$root" && cmake --preset sim >/dev/null && cmake --build --preset sim --parallel "$(nproc)") >&2
  export FCMNIST_MPI=$root/build/sim/fcmnist_mpi FCMNIST_SIMULATE=$root/build/sim/fcmnist_simulate
fi
exec "$root/scripts/simulate.py" "$@"
