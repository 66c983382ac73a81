# shellcheck shell=bash
# Sourced by the scripts beside it: a Debian of its own in a folder, entered so
# that nothing is left of it in the host's mounts and processes.
#
# A script defines usage and calls, in this order: read_flags, need_root_and_debootstrap,
# in_own_namespaces, make_root, give_checkout, give_pip_settings, and last enter.

WORKSPACE="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
readonly WORKSPACE
NAME="$(basename "$0")"
readonly NAME

skip() {
    echo "skipped: $*"
    exit 0
}

fail() {
    echo "$NAME: $*" >&2
    exit 1
}

say() {
    echo "== $*"
}

wrong_usage() {
    usage >&2
    exit 2
}

# Reads a script's words: --root=, --sums=, --help, one flag of its own, and what stands behind
# `--`. Sets given_root, sums, chosen and bazel_arguments.
#   read_flags NAME "VALUE..." DEFAULT WORD...    without a DEFAULT the flag must be given
read_flags() {
    local name="$1" values=" $2 "
    chosen="$3"
    shift 3
    given_root=""
    sums=""
    bazel_arguments=()
    while [ $# -gt 0 ]; do
        case "$1" in
        --root=*) given_root="${1#*=}" ;;
        --sums=*) sums="$(realpath "${1#*=}")" ;;
        --"$name"=*)
            chosen="${1#*=}"
            [[ -n "$chosen" && "$values" = *" $chosen "* ]] || wrong_usage
            ;;
        --help)
            usage
            exit 0
            ;;
        --)
            shift
            bazel_arguments=("$@")
            break
            ;;
        *) wrong_usage ;;
        esac
        shift
    done
    [ -n "$chosen" ] || wrong_usage
}

# Ends the script, with success, where it cannot do its work.
need_root_and_debootstrap() {
    [ "$(id -u)" -eq 0 ] || skip "$NAME needs root, to make and enter a Debian of its own"
    command -v debootstrap >/dev/null ||
        skip "$NAME needs debootstrap (Debian and Ubuntu: apt-get install debootstrap)"
    unshare --mount --pid --fork true 2>/dev/null ||
        skip "$NAME may not make mount and process namespaces here"
}

# Starts the script again in its own namespaces of mounts and processes: both
# end with it, however it ends. Sets ROOT, which the outer process removes, from
# where no mount in it can be seen, unless the caller gave a folder.
in_own_namespaces() {
    local given="$1"
    shift
    if [ -n "${MATRIX_ROOT:-}" ]; then
        ROOT="$MATRIX_ROOT"
        mount --make-rprivate /
        return
    fi
    local root
    if [ -n "$given" ]; then
        mkdir -p "$given"
        root="$(cd "$given" && pwd)"
        [ "$root" != / ] || fail "--root=/ is the host's own"
    else
        root="$(mktemp -d -t bazel_matrix.XXXXXX)"
        # shellcheck disable=SC2064
        trap "rm -rf --one-file-system '$root'" EXIT
    fi
    local status=0
    MATRIX_ROOT="$root" unshare --mount --pid --fork --kill-child "$0" "$@" || status=$?
    exit "$status"
}

# Prints the Debian mirror that the host uses.
host_mirror() {
    local found
    found="$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list \
        /etc/apt/sources.list.d/*.sources 2>/dev/null | grep -v '^ *#' |
        grep -oE 'https?://[^ ]+/debian/?( |$)' | head -n 1 | tr -d ' ' || true)"
    echo "${found:-http://deb.debian.org/debian}"
}

# Makes a Debian of one suite with some packages, as far as ROOT is not it yet.
make_root() {
    local suite="$1" packages="$2"
    local made="$ROOT/.bazel_matrix_$suite" log="$ROOT/.bazel_matrix.log" start
    if [ ! -e "$made" ]; then
        [ -z "$(ls -A "$ROOT")" ] || fail "$ROOT is neither empty nor a $suite of an earlier run"
        local script=""
        start=$SECONDS
        # A debootstrap that is older than the suite makes it as it makes unstable.
        [ -e "/usr/share/debootstrap/scripts/$suite" ] ||
            script=/usr/share/debootstrap/scripts/sid
        debootstrap --variant=minbase "$suite" "$ROOT" "$(host_mirror)" $script \
            >"$log" 2>&1 || fail "debootstrap failed: $(grep -E '^(E|W):' "$log" | tail -n 1)"
        # How the host's apt reaches its mirror: proxies, time limits, clock.
        apt-config dump Acquire 2>/dev/null |
            grep -iE '^Acquire::(https?::|Check-|Retries)' >"$ROOT/etc/apt/apt.conf.d/90host" ||
            true
        : >"$made"
        say "made a Debian $suite in $((SECONDS - start)) s"
    fi
    mount_kernel_files
    if [ "$packages" != "$(cat "$made")" ]; then
        start=$SECONDS
        # shellcheck disable=SC2086
        chroot "$ROOT" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
            DEBIAN_FRONTEND=noninteractive /bin/sh -ec '
                apt-get -qq update
                apt-get -qq install --yes --no-install-recommends "$@"
                apt-get clean' sh $packages >"$log" 2>&1 ||
            fail "apt-get failed: $(grep '^E:' "$log" | tail -n 1)"
        echo "$packages" >"$made"
        say "installed $packages in $((SECONDS - start)) s"
    fi
    rm -f "$log"
}

mount_kernel_files() {
    mount -t proc proc "$ROOT/proc"
    mount --rbind /sys "$ROOT/sys"
    mount --rbind /dev "$ROOT/dev"
    cp -L /etc/resolv.conf /etc/hosts "$ROOT/etc/" 2>/dev/null || true
}

# Shows a file or folder of the host at the same path, read-only.
show() {
    local path="$1"
    if [ ! -e "$path" ] || mountpoint -q "$ROOT$path"; then
        return
    fi
    if [ -d "$path" ]; then
        mkdir -p "$ROOT$path"
    else
        mkdir -p "$ROOT$(dirname "$path")"
        [ -e "$ROOT$path" ] || touch "$ROOT$path"
    fi
    mount --bind "$path" "$ROOT$path"
    mount -o remount,bind,ro "$ROOT$path"
}

# Copies the files that git tracks, or would, to /clone/rules_quantize.
give_checkout() {
    local folder="$ROOT/clone/rules_quantize"
    rm -rf --one-file-system "$folder"
    mkdir -p "$folder"
    git -C "$WORKSPACE" -c safe.directory="$WORKSPACE" \
        ls-files -z --cached --others --exclude-standard |
        while IFS= read -r -d '' file; do
            # A file that is removed and not yet committed is still listed.
            [ ! -e "$WORKSPACE/$file" ] || printf '%s\0' "$file"
        done | tar -C "$WORKSPACE" --null --files-from=- -c | tar -C "$folder" -x
}

# Prints a Python of the host that has pip: RULES_QUANTIZE_PYTHON, else the newest.
host_python() {
    local candidate
    for candidate in ${RULES_QUANTIZE_PYTHON:-python3.14 python3.13 python3.12 python3.11 python3}; do
        "$candidate" -I -c "
import os, pip, sys
if sys.version_info < (3, 11): sys.exit(1)
print(os.path.realpath(sys.executable))" 2>/dev/null && return
    done
    fail "no usable Python on this host; name one in RULES_QUANTIZE_PYTHON"
}

# Makes a Python of the host usable in ROOT and sets PYTHON to its path there.
give_python() {
    local binary="$1" prefix library version
    version="$("$binary" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
    prefix="$("$binary" -I -c 'import sys; print(sys.base_prefix)')"
    if [ "$prefix" != /usr ]; then
        show "$prefix"
        PYTHON="$binary"
    else
        # The system's own lies among the files of every other package.
        local copy="$ROOT/opt/python$version"
        rm -rf --one-file-system "$copy"
        mkdir -p "$copy/bin" "$copy/lib/python3"
        cp "$binary" "$copy/bin/python$version"
        cp -r "/usr/lib/python$version" "$copy/lib/"
        cp -r /usr/lib/python3/dist-packages "$copy/lib/python3/"
        PYTHON="/opt/python$version/bin/python$version"
    fi
    # Libraries that the host has and this Debian no longer does.
    chroot "$ROOT" /usr/bin/env -i /bin/sh -c '
        for file in "$1" "$2"/lib/python'"$version"'/lib-dynload/*.so; do ldd "$file"; done' \
        sh "$PYTHON" "$(dirname "$(dirname "$PYTHON")")" 2>/dev/null |
        sed -n 's/^\t\(lib[^ ]*\) => not found$/\1/p' | sort -u |
        while read -r library; do
            local path
            path="$(ldconfig -p | sed -n "s|^\t$library (.*) => ||p" | head -n 1)"
            [ -z "$path" ] || cp -L "$path" "$ROOT/usr/local/lib/"
        done
    chroot "$ROOT" /sbin/ldconfig
    chroot "$ROOT" /usr/bin/env -i "$PYTHON" -I -c 'import ctypes, pip, ssl, zlib' ||
        fail "the host's Python $version does not run in this Debian"
}

# Shows pip's configuration, with the certificates and folders that it names.
give_pip_settings() {
    local file
    for file in /etc/pip.conf /etc/xdg/pip/pip.conf "$HOME/.pip/pip.conf" \
        "${XDG_CONFIG_HOME:-$HOME/.config}/pip/pip.conf" "${PIP_CONFIG_FILE:-}" \
        "${SSL_CERT_FILE:-}" "${REQUESTS_CA_BUNDLE:-}"; do
        if [ -f "$file" ]; then
            show "$(realpath "$file")"
            # A link keeps its own name too.
            [ -e "$ROOT$file" ] || show "$file"
        fi
    done
    while IFS= read -r file; do
        show "$file"
    done < <("$(host_python)" -I - <<'PYTHON'
import ast
import pathlib
import subprocess
import sys
import urllib.parse

listing = subprocess.run(
    [sys.executable, "-I", "-m", "pip", "config", "list"], capture_output=True, text=True
).stdout
for line in listing.splitlines():
    key, _, value = line.partition("=")
    if key.rpartition(".")[2] in (
        "cert", "client-cert", "constraint", "find-links", "requirement",
    ):
        names = ast.literal_eval(value).split()
        print(*(name for name in names if name.startswith("/")), sep="\n")
    elif key.rpartition(".")[2] in ("index-url", "extra-index-url"):
        for url in ast.literal_eval(value).split():
            if url.startswith("file://"):
                # Its pages link to files beside it.
                folder = pathlib.Path(urllib.parse.urlsplit(url).path)
                print(folder if folder.parent == pathlib.Path("/") else folder.parent)
PYTHON
    )
}

# Lets ROOT write to a file of the host, as /matrix/sums.
give_sums() {
    mkdir -p "$ROOT/matrix"
    [ -e "$ROOT/matrix/sums" ] || touch "$ROOT/matrix/sums"
    if [ -n "$1" ]; then
        : >"$1"
        mount --bind "$1" "$ROOT/matrix/sums"
    fi
}

# What writes there the sha256 of an artifact, its recipe and its report.
readonly WRITE_SUMS="sha256sum bazel-bin/models/face_int8.tflite \
    bazel-bin/models/face_int8.recipe.json bazel-bin/models/face_int8.report.json >/matrix/sums"

# Makes ROOT this process's root and runs a command there. It is not a plain
# chroot: in one, Bazel's own sandbox may not make its namespaces.
enter() {
    local variables=("HOME=$HOME" "LANG=C.UTF-8" "TERM=${TERM:-dumb}")
    local name
    while IFS= read -r name; do
        variables+=("$name=${!name}")
    done < <(compgen -e | grep -E '^(PIP_|SSL_CERT_|REQUESTS_CA_BUNDLE$|(https?|no)_proxy$|(HTTPS?|NO)_PROXY$)')
    mkdir -p "$ROOT$HOME" "$ROOT/host"
    # A mount of its own, as pivot_root wants; it brings those below it along.
    mount --rbind "$ROOT" "$ROOT"
    cd "$ROOT"
    pivot_root . host
    exec chroot . /usr/bin/env -i "${variables[@]}" /bin/sh -c \
        'umount -l /host && cd / && exec "$@"' sh "$@"
}
