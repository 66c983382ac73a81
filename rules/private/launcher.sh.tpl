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
# Nothing of the user's own Python may enter: same inputs, same bytes.
unset PYTHONHOME PYTHONSTARTUP
export PYTHONPATH="%{python_path}"
export PYTHONUTF8=1 PYTHONNOUSERSITE=1 PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0
# Bazel runs an action on each core; numpy's own threads would fight over them, and how a sum
# is shared out among threads may show in its last bits.
export OPENBLAS_NUM_THREADS="${OPENBLAS_NUM_THREADS:-1}"
venv="$runfiles/%{venv}"
# Bazel 4 lays a directory out for remote workers at its own path and not in runfiles.
[ -d "$venv" ] || venv="${runfiles%%/bazel-out/*}/%{venv_path}"
python="$venv/bin/python"
%{command}
