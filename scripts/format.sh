#!/usr/bin/env bash
# Checks the formatting of the C++ files (.clang-format) and, when asked, runs the linter (.clang-tidy).
#   scripts/format.sh            names what is not formatted; exit code 1 if anything is not
#   scripts/format.sh --fix      formats in place
#   scripts/format.sh --tidy     also clang-tidy on all of src, with the build of scripts/test.sh; takes minutes
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
  printf 'format.sh: error: %s\nHINT: %s\n' "$1" "$2" >&2
  exit 2
}
need() {
  command -v "$1" >/dev/null || fail "no $1" "scripts/install_packages.sh $2"
}

case ${1:-} in
  "" | --fix | --tidy) ;;
  -h | --help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) fail "unknown option $1" "scripts/format.sh [--fix | --tidy]" ;;
esac
need clang-format format
mapfile -t files < <(find src tests -name '*.cpp' -o -name '*.hpp' | sort)
if [[ ${1:-} == --fix ]]; then
  clang-format -i "${files[@]}"
  exit 0
fi
clang-format --dry-run -Werror "${files[@]}"
echo "format.sh: ${#files[@]} files are formatted"
if [[ ${1:-} == --tidy ]]; then
  need run-clang-tidy tidy
  [[ -e build/dev/compile_commands.json ]] || fail "no build in build/dev" "cmake --preset dev, or scripts/test.sh"
  run-clang-tidy -quiet -p build/dev "$PWD/src/.*"
fi
