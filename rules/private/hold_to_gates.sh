#!/bin/sh
# Ends with the reason why an artifact is refused, when it is: hold_to_gates.sh REFUSAL [PASSED].
# PASSED is a file to make when it is not.
set -eu
if [ -s "$1" ]; then
    cat "$1" >&2
    exit 1
fi
[ $# -eq 1 ] || : >"$2"
