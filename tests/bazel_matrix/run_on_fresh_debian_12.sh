#!/bin/bash
# Clones this repository's last commit into a Debian 12 that has nothing but git,
# Python and its pip, and starts ./bazelw there: it must get a Bazel by itself,
# then build and test.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: run_on_fresh_debian_12.sh [--root=DIR] [-- BAZEL ARGUMENTS]

  --root=DIR  keep the Debian in DIR, and use it again; Bazel is then there already
              (default: made anew, removed)

Without arguments it runs `test //tests/rules/... //tests/bazelw/...`. Needs root,
debootstrap and a Debian mirror; ends with "skipped: ..." without the first two.
TEXT
}

# shellcheck source=tests/bazel_matrix/debian_root.sh
source "$(dirname "$0")/debian_root.sh"

given_root=""
arguments=("$@")
while [ $# -gt 0 ]; do
    case "$1" in
    --root=*) given_root="${1#*=}" ;;
    --help)
        usage
        exit 0
        ;;
    --)
        shift
        break
        ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
    shift
done
[ $# -gt 0 ] || set -- test //tests/rules/... //tests/bazelw/...

need_root_and_debootstrap
in_own_namespaces "$given_root" "${arguments[@]}"
make_root bookworm "git python3 python3-pip"
give_pip_settings
rm -rf --one-file-system "$ROOT/clone/rules_quantize"
mkdir -p "$ROOT/clone"
git -c safe.directory='*' clone --quiet --no-local --depth=1 "file://$WORKSPACE" \
    "$ROOT/clone/rules_quantize"

cat >"$ROOT/run.sh" <<'TEXT'
set -eu
cd /clone/rules_quantize
start=$(date +%s)
echo "== ./bazelw $*"
./bazelw "$@"
echo "== passed in $(($(date +%s) - start)) s"
TEXT
enter /usr/bin/env PATH=/usr/sbin:/usr/bin:/sbin:/bin /bin/sh /run.sh "$@"
