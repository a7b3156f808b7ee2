#!/usr/bin/env bash
# The Debian packages of this project: the one place that names them, by purpose, and what installs them.
set -euo pipefail

declare -A packages=(
  [build]="g++ make cmake git libopenmpi-dev libopenblas-dev libdnnl-dev libhdf5-dev libyaml-cpp-dev libcli11-dev
           libfmt-dev libspdlog-dev zlib1g-dev libcurl4-openssl-dev libssl-dev"
  [run]="openmpi-bin ca-certificates"
  [plot]="python3 python3-numpy python3-h5py python3-pandas python3-matplotlib python3-jinja2
        python3-pil"
  [test]="libgtest-dev libgmock-dev libbenchmark-dev python3-xarray python3-netcdf4 python3-torch python3-yaml
          hdf5-tools python3-otf2 otf2-tools chromium chromium-driver python3-selenium
          python3-onnx python3-opencv"
  [sim]="libsimgrid-dev libgtest-dev libgmock-dev"
  [bench]="libbenchmark-dev python3-torch"
  [format]="clang-format"
  [tidy]="clang-tidy"
  [fuzz]="clang libclang-rt-dev llvm libgtest-dev libgmock-dev"
  [fashion_mnist]="dataset-fashion-mnist"
  [slurm]="slurmctld slurmd slurm-client munge"
  [readers]="octave r-cran-hdf5r r-bioc-rhdf5 python3-silx python3-h5netcdf netcdf-bin nodejs npm"
)
groups="build run plot test sim bench format tidy fuzz fashion_mnist slurm readers"

usage() {
  cat <<TEXT
Usage: scripts/install_packages.sh [--list | --missing] GROUP...
Installs the Debian packages of these groups that are not installed yet; needs root or sudo.
  --list     only prints the names of the packages
  --missing  only prints those that are not installed; exit code 1 if there are any
Groups: $groups
TEXT
}

fail() {
  printf 'install_packages.sh: error: %s\n' "$1" >&2
  printf 'HINT: %s\n' "$2" >&2
  exit 2
}

missing() {
  local name provided
  # Other packages may bring what one is for: the nodejs of its makers has npm in it, and conflicts with Debian's npm.
  provided=$(dpkg-query -W -f='${db:Status-Status} ${Provides}\n' | sed -n 's/^installed //p' | tr -s ', ' '\n')
  for name in "$@"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null) == installed ]] && continue
    grep -qxF "$name" <<<"$provided" || echo "$name"
  done
}

install() {
  local as_root=()
  if [[ $EUID != 0 ]]; then
    command -v sudo >/dev/null || fail "installing needs root, and there is no sudo" \
      "let an administrator install: $*; then use --no-install"
    as_root=(sudo)
  fi
  echo "install_packages.sh: installing $*"
  "${as_root[@]}" apt-get update -q
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

mode=install
names=()
for argument in "$@"; do
  case $argument in
    -h | --help) usage; exit 0 ;;
    --list | --missing) mode=${argument#--} ;;
    *)
      [[ -n ${packages[$argument]:-} ]] || fail "unknown group '$argument'" "groups are: $groups"
      read -ra of_group -d '' <<<"${packages[$argument]}" || true
      names+=("${of_group[@]}") ;;
  esac
done
[[ ${#names[@]} -gt 0 ]] || { usage >&2; exit 2; }

if [[ $mode == list ]]; then
  printf '%s\n' "${names[@]}"
  exit 0
fi
for tool in dpkg-query apt-get; do
  command -v $tool >/dev/null || fail "no $tool: this is not a Debian system" \
    "provide what these Debian packages hold by other means (modules, Spack), then use --no-install: ${names[*]}"
done
mapfile -t wanted < <(missing "${names[@]}")
if [[ $mode == missing ]]; then
  ((${#wanted[@]} == 0)) && exit 0
  printf '%s\n' "${wanted[@]}"
  exit 1
fi
((${#wanted[@]} == 0)) || install "${wanted[@]}"
