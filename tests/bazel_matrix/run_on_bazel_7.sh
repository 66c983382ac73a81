#!/bin/bash
# Builds and tests this checkout with Bazel 7, as Debian forky packages it, both
# as a workspace and as a module, with no download of Bazel's own.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: run_on_bazel_7.sh [--root=DIR] [--mode=workspace|bzlmod|both] [--sums=FILE]
                         [-- BAZEL ARGUMENTS]

  --root=DIR  keep the Debian in DIR, and use it again (default: made anew, removed)
  --mode=...  read WORKSPACE, MODULE.bazel, or one after the other (default: both)
  --sums=FILE write the sha256 of the artifact, its recipe and its report there, to compare

Without arguments it builds //models:face_int8 and runs what depends on Bazel. Python is that of
forky, 3.14, or the host's that RULES_QUANTIZE_PYTHON names. Needs root, debootstrap and a Debian
mirror; ends with "skipped: ..." without the first two.
TEXT
}

# shellcheck source=tests/bazel_matrix/debian_root.sh
source "$(dirname "$0")/debian_root.sh"

read_flags mode "workspace bzlmod both" both "$@"
mode="$chosen"

need_root_and_debootstrap
in_own_namespaces "$given_root" "$@"
set -- "${bazel_arguments[@]}"
# Without zip, Bazel 7 fails a test that leaves files behind; some tests run git.
make_root forky "bazel-bootstrap file git locales python3 python3-pip zip"
# With it Debian's Bazel 7 knows letters beyond ASCII in names (docs/how-to/set_up.md).
chroot "$ROOT" localedef -i en_US -f ISO-8859-1 en_US.ISO-8859-1
give_checkout
give_sums "$sums"
variables=()
PYTHON=/usr/bin/python3
if [ -n "${RULES_QUANTIZE_PYTHON:-}" ]; then
    give_python "$(host_python)"
    variables=("RULES_QUANTIZE_PYTHON=$PYTHON")
fi
give_pip_settings

# What Bazel would download: Debian's own rules stand in for repositories, and
# empty modules for those that the rules here never use.
mkdir -p "$ROOT/matrix/modules"
{
    echo "common --noenable_bzlmod --enable_workspace"
    for rules in cc java python; do
        echo "common --override_repository=rules_$rules=/usr/share/bazel/rules/$rules"
    done
    echo "common --override_repository=bazel_skylib=/usr/share/bazel/tools/skylib"
    echo "common --override_repository=platforms=/usr/share/bazel/tools/platforms"
    echo "common --override_repository=bazel_features=/usr/share/bazel/tools/features"
} >"$ROOT/matrix/workspace.bazelrc"
echo "common --enable_bzlmod --noenable_workspace" >"$ROOT/matrix/bzlmod.bazelrc"
for module in apple_support@1.23.1 buildozer@7.1.2 protobuf@3.19.6 zlib@1.3.1.bcr.3; do
    name="${module%@*}"
    mkdir -p "$ROOT/matrix/modules/$name"
    echo "module(name = \"$name\", version = \"${module#*@}\")" \
        >"$ROOT/matrix/modules/$name/MODULE.bazel"
    touch "$ROOT/matrix/modules/$name/BUILD.bazel"
    echo "common --override_module=$name=/matrix/modules/$name" >>"$ROOT/matrix/bzlmod.bazelrc"
done
cat >"$ROOT/matrix/modules/buildozer/buildozer_binary.bzl" <<'TEXT'
def _repository_impl(rctx):
    rctx.file("BUILD.bazel", "")

_repository = repository_rule(implementation = _repository_impl)

def _extension_impl(_ctx):
    _repository(name = "buildozer_binary")

buildozer_binary = module_extension(implementation = _extension_impl)
TEXT

for mode_of_bazel in workspace bzlmod; do
    printf '#!/bin/sh\nexec bazel --bazelrc=/matrix/%s.bazelrc "$@"\n' $mode_of_bazel \
        >"$ROOT/matrix/$mode_of_bazel"
    chmod +x "$ROOT/matrix/$mode_of_bazel"
done

cat >"$ROOT/matrix/run.sh" <<'TEXT'
set -euo pipefail
write_sums="$1"
shift
modes="$1"
shift
cd /clone/rules_quantize
bazel --version
python3 --version
failed=""
run() {
    local mode="$1"
    shift
    echo "== $mode: bazel $*"
    local start=$SECONDS
    # For the tests that start Bazel themselves.
    export BAZEL="/matrix/$mode" CONSUMER="${mode}_consumer"
    if "$BAZEL" "$@"; then
        echo "== $mode: bazel $1: passed in $((SECONDS - start)) s"
    else
        echo "== $mode: bazel $1: failed with $? after $((SECONDS - start)) s"
        failed=1
    fi
}
for mode in $modes; do
    if [ $# -gt 0 ]; then
        run "$mode" "$@"
    else
        run "$mode" build //models:face_int8
        bash -ec "$write_sums"
        # What differs between Bazels is rules, runfiles and environments: Python that
        # runs in all of them alike is tested once, elsewhere.
        run "$mode" test //models:face_int8_similarity_test \
            //tests/bazelw/... //tests/locks/... //tests/rules/... //tests/samples/... \
            //tests/tools:command_line_test //tests/tools:make_float_master_test \
            //tests/registry:record_test //tests/similarity:commands_test \
            //tests/tuning:goal_test //tests/scenes:hand_test
        # Another workspace, which reads these rules as this mode does. All of it runs as a module,
        # and with Bazel 4 as a workspace; here a workspace need only be read.
        consumer="consumer and not tunes"
        [ "$mode" = bzlmod ] || consumer="consumer and (what_the_guide_says or lock_of_its_own)"
        run "$mode" run //tests/e2e:end_to_end_test -- -k "$consumer"
        run "$mode" run //tests/rules:choice_of_python_test
    fi
done
[ -z "$failed" ]
TEXT

[ "$mode" != both ] || mode="workspace bzlmod"
export PIP_DISABLE_PIP_VERSION_CHECK=1
enter /usr/bin/env "PATH=$(dirname "$PYTHON"):/usr/sbin:/usr/bin:/sbin:/bin" \
    "${variables[@]}" /bin/bash /matrix/run.sh "$WRITE_SUMS" "$mode" "$@"
