#!/bin/sh
# SPDX-License-Identifier: MIT
# dom0-image.sh KERNELDIR OUT.gz: assembles domain 0's initramfs: a static busybox, scripts/dom0/init, the modules listed in
# scripts/dom0/modules with those they depend on, and the test scripts of tests/system/dom0. The same input gives the
# same bytes. Needs no root and a C compiler. EXTRA=DIR adds (or replaces) files from a folder, MODULES="NAME..." modules.
set -eu
cd "$(dirname "$0")/.."
kernel=$1
out=$2
root=$out.root
rm -rf "$root"
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/bin" "$root/scripts/bin"

cp /bin/busybox "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
cp scripts/dom0/init "$root/init"
for name in poweroff reboot halt; do cp scripts/dom0/poweroff "$root/scripts/bin/$name"; done
cp tests/system/dom0/*.sh scripts/demo/*.sh scripts/dom0/shrc "$root/scripts/"
${CC:-gcc} -O2 -Wall -static -pthread -o "$root/scripts/bin/mixload" tests/system/dom0/mixload.c
${CC:-gcc} -O2 -Wall -static -o "$root/scripts/bin/clockof" tests/system/dom0/clockof.c
${CC:-gcc} -O2 -Wall -static -o "$root/scripts/bin/logdirty" tests/system/dom0/logdirty.c -lxenforeignmemory -lxencall -lxentoolcore -lxentoollog
cp scripts/guest/roles/udhcpc "$root/scripts/bin/udhcpc-script"
chmod 755 "$root/init" "$root/scripts/bin/"*

{ cat scripts/dom0/modules; echo "${MODULES:-}"; } > "$root/modules"
scripts/take-modules.sh "$kernel" "$root/modules" "$root"
rm "$root/modules"

[ -z "${EXTRA:-}" ] || cp -a "$EXTRA/." "$root/"
scripts/pack-initramfs.sh "$root" "$out"
