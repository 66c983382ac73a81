#!/bin/bash
# Clones this repository's last commit into a Debian that has nothing but git,
# its own Python and its pip, and starts ./bazelw there: it must get a Bazel by
# itself, then build and test.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: run_on_fresh_debian.sh --suite=bookworm|trixie [--root=DIR] [--sums=FILE]
                              [-- BAZEL ARGUMENTS]

  --suite=... Debian 12 with Python 3.11, or Debian 13 with Python 3.13
  --root=DIR  keep the Debian in DIR, and use it again; Bazel is then there already
              (default: made anew, removed)
  --sums=FILE write the sha256 of the artifact, its recipe and its report there, to compare

Without arguments it runs the README's two commands: `build //models:face_int8` and
`test`, with what depends on the system in place of `//...`. Needs root, debootstrap and a Debian mirror; ends with "skipped: ..." without the first two.
TEXT
}

# shellcheck source=tests/bazel_matrix/debian_root.sh
source "$(dirname "$0")/debian_root.sh"

read_flags suite "bookworm trixie" "" "$@"
suite="$chosen"

need_root_and_debootstrap
in_own_namespaces "$given_root" "$@"
set -- "${bazel_arguments[@]}"
make_root "$suite" "git python3 python3-pip"
give_sums "$sums"
give_pip_settings
rm -rf --one-file-system "$ROOT/clone/rules_quantize"
mkdir -p "$ROOT/clone"
git -c safe.directory='*' clone --quiet --no-local --depth=1 "file://$WORKSPACE" \
    "$ROOT/clone/rules_quantize"

cat >"$ROOT/run.sh" <<'TEXT'
set -eu
write_sums="$1"
shift
cd /clone/rules_quantize
run() {
    start=$(date +%s)
    echo "== ./bazelw $*"
    ./bazelw "$@"
    echo "== passed in $(($(date +%s) - start)) s"
}
python3 --version
if [ $# -gt 0 ]; then
    run "$@"
    exit
fi
run build //models:face_int8
sh -ec "$write_sums"
run test //tests/rules/... //tests/bazelw/... //models:face_int8_similarity_test
TEXT
enter /usr/bin/env PATH=/usr/sbin:/usr/bin:/sbin:/bin /bin/sh /run.sh "$WRITE_SUMS" "$@"
