#!/bin/bash
# Measures latency through adb on a real adbd, that of Debian forky in a root of its own.
#
#   tests/android/run_on_adbd.sh [--root=DIR] [--litert=VENV --testing=VENV --models=DIR]
#
# It needs root, debootstrap, adb, gcc, ip and ss, and fails where one is missing. --root is
# kept for another run. The environments are those of @rules_quantize_litert//:env and
# @rules_quantize_testing//:env, the models MediaPipe's; without the flags Bazel is asked for
# all of them. What adbd can do (it is a root shell without a password) it does on 127.0.0.1
# of a network namespace that ends with this script.
set -euo pipefail

ARGUMENTS=("$@")
root=""
litert=""
testing=""
models=""
for argument in "$@"; do
    case "$argument" in
    --root=*) root="${argument#--root=}" ;;
    --litert=*) litert="${argument#--litert=}" ;;
    --testing=*) testing="${argument#--testing=}" ;;
    --models=*) models="${argument#--models=}" ;;
    *)
        sed -n '2,10s/^# \{0,1\}//p' "$0"
        exit 2
        ;;
    esac
done

# shellcheck source=tests/bazel_matrix/debian_root.sh
source "$(dirname "$0")/../bazel_matrix/debian_root.sh"
skip() { fail "$*"; }

need_root_and_debootstrap
for tool in adb gcc ip ss; do
    command -v "$tool" >/dev/null || fail "needs $tool"
done
# Bazel's server would hold the namespaces: it is asked before.
if [ -z "${MATRIX_ROOT:-}" ] && [ -z "$litert" ]; then
    (cd "$WORKSPACE" && ./bazelw build @rules_quantize_litert//:env @rules_quantize_testing//:env \
        @mediapipe_models//:face_detection_short_range.tflite)
    external="$(cd "$WORKSPACE" && ./bazelw info output_base 2>/dev/null)/external"
    litert="$(find "$external" -maxdepth 2 -path '*rules_quantize_litert/venv' | head -n 1)"
    testing="$(find "$external" -maxdepth 2 -path '*rules_quantize_testing/venv' | head -n 1)"
    models="$(find "$external" -maxdepth 1 -name '*mediapipe_models' | head -n 1)"
    ARGUMENTS+=("--litert=$litert" "--testing=$testing" "--models=$models")
fi
in_own_namespaces "$root" "${ARGUMENTS[@]}"
make_root forky "adbd libffi8 zlib1g"

phone="$ROOT/phone"
rm -rf --one-file-system "$phone" "$ROOT/data"
mkdir -p "$phone" "$ROOT/data/local/tmp"
gcc -shared -fPIC -O2 -Wall -o "$phone/loopback_only.so" \
    "$WORKSPACE/tests/android/loopback_only.c" -ldl
cp "$WORKSPACE/tests/android/phone_benchmark_model.py" "$phone/"
binary="$(realpath "$litert/bin/python")"
packages="lib/$(basename "$binary")/site-packages"
give_python "$binary"
show "$(realpath "$litert")"
[ "$(realpath "$litert")" = "$litert" ] || show "$litert"
cat >"$phone/benchmark_model" <<SCRIPT
#!/bin/sh
PYTHONPATH="$(realpath "$litert")/$packages" \\
    exec "$PYTHON" -B /phone/phone_benchmark_model.py "\$@"
SCRIPT
cat >"$phone/getprop" <<'SCRIPT'
#!/bin/sh
# Each adbd has its port in its environment, and may have properties of its own.
properties="/phone/properties.$ADBD_PORT"
[ -f "$properties" ] || properties=/phone/properties
case "$1" in
"") cat "$properties" ;;
*) sed -n "s/^\[$1\]: \[\(.*\)\]\$/\1/p" "$properties" ;;
esac
SCRIPT
cat >"$phone/properties" <<'PROPERTIES'
[ro.product.model]: [Debian phone]
[ro.build.fingerprint]: [debian/phone:forky]
PROPERTIES
cat >"$phone/dumpsys" <<'SCRIPT'
#!/bin/sh
case "$1" in
thermalservice) echo "Thermal Status: $(cat /phone/thermal 2>/dev/null || echo 0)" ;;
battery) printf '  level: 80\n  temperature: 250\n' ;;
esac
SCRIPT
chmod 755 "$phone/benchmark_model" "$phone/getprop" "$phone/dumpsys"
mount -t devpts devpts "$ROOT/dev/pts" -o newinstance,ptmxmode=0666

export PHONE_ROOT="$ROOT" LITERT="$litert" ANDROID_ADB_SERVER_PORT=5599
export RULES_QUANTIZE_MODELS="$models"
export PYTHONPATH="$WORKSPACE:$testing/$packages:${PYTHONPATH:-}"
cd "$WORKSPACE"
# A daemon that is not held to 127.0.0.1 reaches nobody: there is no other interface.
unshare --net bash -euc '
    ip link set lo up
    status=0
    "$LITERT/bin/python" -m pytest -q -p no:cacheprovider --durations=5 \
        tests/android/adb_device_checks.py || status=$?
    adb kill-server || true
    exit $status'
