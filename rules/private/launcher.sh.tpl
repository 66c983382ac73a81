#!/bin/sh
# Starts a program of rules_quantize.
set -eu
if [ -d "$0.runfiles" ]; then
    runfiles="$0.runfiles"
elif [ -n "${RUNFILES_DIR:-}" ]; then
    runfiles="$RUNFILES_DIR"
elif [ -n "${TEST_SRCDIR:-}" ]; then
    runfiles="$TEST_SRCDIR"
else
    echo "$0: its runfiles are missing; start it with bazel run" >&2
    exit 2
fi
case "$runfiles" in /*) ;; *) runfiles="$PWD/$runfiles" ;; esac
export RUNFILES_DIR="$runfiles"
# By it the program writes commands as they are typed in this workspace.
export RULES_QUANTIZE_LABEL=%{label_word}
# Nothing of the user's own Python may enter, nor a choice of numpy's routines, which actions do
# not see: same inputs, same bytes.
unset PYTHONHOME PYTHONSTARTUP OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
export PYTHONUTF8=1 PYTHONNOUSERSITE=1 PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0
# Bazel runs an action on each core; numpy's own threads would fight over them, and how a sum
# is shared out among threads may show in its last bits.
export OPENBLAS_NUM_THREADS="${OPENBLAS_NUM_THREADS:-1}"
# Bazel 4 lays a directory out for remote workers at its own path and not in runfiles.
environment() {
    if [ -d "$runfiles/$1" ]; then
        echo "$runfiles/$1"
    else
        echo "${runfiles%%/bazel-out/*}/$2"
    fi
}
venv="$(environment '%{venv}' '%{venv_path}')"
python="$venv/bin/python"
if [ ! -x "$python" ]; then
    echo "$RULES_QUANTIZE_LABEL: the Python that $venv was made with is gone" \
        "($(readlink "$python" || true)); \`bazel clean --expunge\` lets it be made anew" >&2
    exit 2
fi
# Sources first: an environment never hides a module of the project.
PYTHONPATH="$runfiles/%{repository}"
# Prints where an environment of the machine itself lies, or the folder as it is.
place() {
    folder="$1"
    [ ! -f "$folder/elsewhere" ] || read -r folder <"$folder/elsewhere"
    echo "$folder"
}
# Prints the folder below lib of an environment's own Python, such as python3.13.
python_folder() {
    while read -r key _ value; do
        case "$key $value" in "version 3."*)
            value="${value#3.}"
            echo "python3.${value%%.*}"
            ;;
        esac
    done <"$(place "$1")/pyvenv.cfg"
}
# Lays an environment over the first. It holds packages for the first one's Python wherever both
# were made on one machine (`over` in python_env.bzl); what is compiled for another would fail
# where it is imported.
over() {
    folder="$(place "$(environment "$1" "$2")")/lib/$version/site-packages"
    if [ ! -d "$folder" ]; then
        echo "$RULES_QUANTIZE_LABEL: $1 has no packages for $version, with which the program runs;" \
            "name one Python for all environments in RULES_QUANTIZE_PYTHON" >&2
        exit 2
    fi
    PYTHONPATH="$PYTHONPATH:$folder"
}
%{over}export PYTHONPATH
%{command}
