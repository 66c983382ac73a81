#!/bin/sh
# Checks the format of every BUILD, WORKSPACE, MODULE.bazel and .bzl file that
# git tracks, and what buildifier warns of.
set -eu

VERSION=8.2.1

usage() {
    cat <<TEXT
usage: check_starlark_format.sh [--fix]

  --fix  write the files in buildifier's format instead; warnings stay

Uses the program in BUILDIFIER, else a buildifier $VERSION on PATH, else the one of
npm's package @bazel/buildifier, which it fetches once and checks.
TEXT
}

fail() {
    echo "check_starlark_format: $*" >&2
    exit 2
}

# Sets `binary`, its name in the package, and its checksum.
find_platform() {
    case "$(uname -s)-$(uname -m)" in
    Linux-x86_64)
        binary=buildifier-linux_amd64
        checksum=6ceb7b0ab7cf66fceccc56a027d21d9cc557a7f34af37d2101edb56b92fcfa1a
        ;;
    Linux-aarch64)
        binary=buildifier-linux_arm64
        checksum=3baa1cf7eb41d51f462fdd1fff3a6a4d81d757275d05b2dd5f48671284e9a1a5
        ;;
    Darwin-x86_64)
        binary=buildifier-darwin_amd64
        checksum=9f8cffceb82f4e6722a32a021cbc9a5344b386b77b9f79ee095c61d087aaea06
        ;;
    Darwin-arm64)
        binary=buildifier-darwin_arm64
        checksum=cfab310ae22379e69a3b1810b433c4cd2fc2c8f4a324586dfe4cc199943b8d5a
        ;;
    *) fail "set BUILDIFIER to a buildifier $VERSION: npm has none for this machine" ;;
    esac
}

sha256() {
    if command -v sha256sum >/dev/null 2>&1; then
        sha256sum "$1" | cut -d' ' -f1
    else
        shasum -a 256 "$1" | cut -d' ' -f1
    fi
}

# Fetches buildifier into the user's cache and sets `buildifier`.
fetch() {
    find_platform
    cache="${XDG_CACHE_HOME:-$HOME/.cache}/rules_quantize"
    buildifier="$cache/buildifier-$VERSION"
    if [ -x "$buildifier" ]; then
        return
    fi
    command -v npm >/dev/null 2>&1 ||
        fail "needs npm, or a buildifier $VERSION on PATH or in BUILDIFIER"
    folder="$(mktemp -d)"
    trap 'rm -rf "$folder"' EXIT
    npm pack --loglevel=error --pack-destination "$folder" "@bazel/buildifier@$VERSION" \
        >"$folder/log" 2>&1 || fail "npm could not fetch buildifier: $(tail -n 1 "$folder/log")"
    tar -xzf "$folder/bazel-buildifier-$VERSION.tgz" -C "$folder" "package/$binary"
    [ "$(sha256 "$folder/package/$binary")" = "$checksum" ] ||
        fail "npm's buildifier $VERSION has another checksum"
    mkdir -p "$cache"
    chmod 755 "$folder/package/$binary"
    # Into place under its name in one step.
    cp "$folder/package/$binary" "$buildifier.$$"
    mv "$buildifier.$$" "$buildifier"
}

mode=check
case "${1:-}" in
"") ;;
--fix) mode=fix ;;
--help)
    usage
    exit 0
    ;;
*)
    usage >&2
    exit 2
    ;;
esac

cd "$(dirname "$0")/../.."
if [ -n "${BUILDIFIER:-}" ]; then
    buildifier="$BUILDIFIER"
elif buildifier --version 2>/dev/null | grep -q "^buildifier version: $VERSION "; then
    buildifier=buildifier
else
    fetch
fi

# Private here means private to the repository, not to //rules.
git ls-files -z -- '*.bzl' 'BUILD' '*/BUILD' 'BUILD.bazel' '*/BUILD.bazel' 'WORKSPACE' \
    '*/WORKSPACE' 'MODULE.bazel' '*/MODULE.bazel' |
    xargs -0 "$buildifier" "-mode=$mode" -lint=warn -warnings=-bzl-visibility || {
    echo "check_starlark_format: format with tests/starlark_format/check_starlark_format.sh --fix" >&2
    exit 1
}
