#!/usr/bin/env bash
# Compares what the shipped bundle computes on aarch64 and here: bash tools/aarch64.sh [IMAGE...]
#
# Needs a Debian machine (x86-64, Bookworm or later), root, and picaption installed in the Python
# that PYTHON names. It fetches Debian's arm64 Python, an emulator, and the aarch64 wheels of the
# very versions installed here into the folder that WORK names (default: one that is removed at the
# end), and has both machines fingerprint the images, on the CPU of a Pi 3 or Zero 2 W, a 4 and a 5,
# for which XNNPACK has kernels of their own: all that is not floating point has to be equal. Exits
# with 0 if it is.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
work=${WORK:-}
bundle=models/pretrained/everyday.tflite
suite=trixie
fingerprint=picaption.device.bench.fingerprint
if [ -z "$work" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
fi
images=("$@")
if [ $# -eq 0 ]; then
    images=(device/sources/demo/*.jpg)
fi
mkdir -p "$work"

if [ ! -d "$work/root" ]; then
    command -v mmdebstrap > /dev/null || apt-get install --yes --no-install-recommends mmdebstrap
    # The emulator of Debian Trixie, statically linked: that of Bookworm cannot run XNNPACK.
    mmdebstrap --quiet --variant=extract --architectures=arm64,amd64 \
        --include=python3,libstdc++6,qemu-user:amd64 "$suite" "$work/root" \
        http://deb.debian.org/debian
    [ -e "$work/root/lib" ] || ln -s usr/lib "$work/root/lib"
fi
arm_python=$(basename "$(readlink "$work/root/usr/bin/python3")")
if [ ! -d "$work/wheels" ]; then
    needed='^(ai-edge-litert|numpy|opencv-python-headless|click)=='
    "$python" -m pip freeze | grep -iE "$needed" > "$work/versions.txt"
    platforms=(--platform manylinux2014_aarch64)
    for glibc in 2_28 2_27 2_26 2_17; do
        platforms+=(--platform "manylinux_${glibc}_aarch64")
    done
    "$python" -m pip install --quiet --target "$work/wheels" --only-binary=:all: \
        --python-version "${arm_python#python}" "${platforms[@]}" \
        --requirement "$work/versions.txt"
fi

# picaption as it is installed, of this checkout's rooms: the bundle and the demo need both.
mkdir -p "$work/source/picaption"
ln -sfn "$PWD/device" "$PWD/models" "$work/source/picaption/"
here() {
    "$python" -m "$fingerprint" "$@"
}
there() { # CPU ARGUMENT...
    QEMU_CPU=$1 PYTHONPATH="$work/source:$work/wheels" \
        "$work/root/usr/bin/qemu-aarch64" -L "$work/root" "$work/root/usr/bin/$arm_python" \
        -m "$fingerprint" "${@:2}"
}

here "$bundle" "${images[@]}" > "$work/here.jsonl"
head -n 1 "$work/here.jsonl"
for cpu in cortex-a53 cortex-a72 cortex-a76; do
    there "$cpu" "$bundle" "${images[@]}" > "$work/$cpu.jsonl"
    head -n 1 "$work/$cpu.jsonl"
    echo "$cpu:"
    here --compare "$work/here.jsonl" "$work/$cpu.jsonl"
done
