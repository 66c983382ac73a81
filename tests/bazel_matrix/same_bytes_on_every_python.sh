#!/bin/bash
# Builds artifacts with each supported Python of this machine and compares their
# bytes, with those of their recipes and reports.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: same_bytes_on_every_python.sh [--python=PATH]... [--sums=FILE]

  --python=PATH  one of the interpreters; may be repeated (default: of each version that is
                 supported one that works, from PATH and from pyenv)
  --sums=FILE    write the files' sha256 there, as sha256sum does, for Pythons elsewhere

Fails where bytes differ; ends with "skipped: ..." where there are not two Pythons.
TEXT
}

pythons=()
sums=""
for argument; do
    case "$argument" in
    --python=*) pythons+=("${argument#*=}") ;;
    --sums=*) sums="$(realpath "${argument#*=}")" ;;
    --help)
        usage
        exit 0
        ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
done
cd "$(dirname "$0")/../.."

# Prints a working interpreter of one version, or nothing.
find_python() {
    local candidate
    for candidate in "python$1" python3 "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/"python$1"; do
        "$candidate" -I -c "
import os, pip, sys, venv
if '%d.%d' % sys.version_info[:2] != '$1': sys.exit(1)
print(os.path.realpath(sys.executable))" 2>/dev/null && return
    done
    true
}

if [ ${#pythons[@]} -eq 0 ]; then
    # The list is that of the rules.
    for version in $(sed -n 's/^PYTHONS = \[\(.*\)\]$/\1/p' rules/private/host_python.bzl | tr -d '",'); do
        found="$(find_python "$version")"
        [ -z "$found" ] || pythons+=("$found")
    done
fi
if [ ${#pythons[@]} -lt 2 ]; then
    echo "skipped: there are not two supported Pythons here (${pythons[*]:-none})"
    exit 0
fi

folder="$(mktemp -d)"
# What lies in the usual output base stays as it is: a change of Python makes all of it anew.
bazel() {
    ./bazelw --output_base="$folder/output" "$@"
}
finish() {
    (bazel clean --expunge && bazel shutdown) >"$folder/finish.log" 2>&1 || true
    rm -rf "$folder"
}
trap finish EXIT

targets=()
files=()
for scheme in int8 dynamic float16; do
    targets+=("//models:face_$scheme")
    for kind in tflite recipe.json report.json; do
        files+=("bazel-bin/models/face_$scheme.$kind")
    done
done
# The links of another output base would take the place of the usual ones.
links=(--symlink_prefix="$folder/bazel-")
first=""
failed=0
for python in "${pythons[@]}"; do
    version="$("$python" -c 'import platform; print(platform.python_version())')"
    start=$SECONDS
    bazel build "${links[@]}" --repo_env=RULES_QUANTIZE_PYTHON="$python" "${targets[@]}"
    (cd "$folder" && sha256sum "${files[@]}") >"$folder/sums.$version"
    echo "== Python $version: built in $((SECONDS - start)) s"
    if [ -z "$first" ]; then
        first="$version"
        cat "$folder/sums.$version"
    elif ! diff "$folder/sums.$first" "$folder/sums.$version"; then
        echo "$0: Python $first and $version made other bytes" >&2
        failed=1
    fi
done
[ "$failed" = 0 ] || exit 1
[ -z "$sums" ] || cp "$folder/sums.$first" "$sums"
echo "the same bytes with ${#pythons[@]} Pythons"
