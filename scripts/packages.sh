#!/bin/sh
# SPDX-License-Identifier: MIT
# packages.sh: says which Debian packages the build and the tests need but do not find, and installs them, as root or by
# sudo. Does nothing (and asks nobody) when all are there. `packages.sh --check` only says; exit code 1 if some are missing.
set -eu

build="gcc libc6-dev make binutils libxen-dev liblzma-dev zlib1g-dev liblz4-dev libzstd-dev libjson-c-dev uuid-dev libnftables-dev libgnutls28-dev gzip"
image="busybox-static e2fsprogs cpio xz-utils grub-pc-bin grub-common xorriso mtools"
tests="qemu-system-x86 libcmocka-dev clang libclang-rt-14-dev python3 xenstore-utils openssl"

missing=
for p in $build $image $tests; do
    dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
if [ -z "$missing" ]; then
    echo "packages: all there"
    exit 0
fi
echo "packages: missing:$missing"
[ "${1:-}" != --check ] || exit 1

as_root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "packages: be root, or install sudo" >&2; exit 1; }
    as_root=sudo
fi
# The lists are fetched only if one of the names is unknown: a second run costs nothing.
for p in $missing; do
    if ! apt-cache show "$p" >/dev/null 2>&1; then
        $as_root apt-get update
        break
    fi
done
# shellcheck disable=SC2086  # the list is meant to be split; sudo drops the environment, hence env
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
