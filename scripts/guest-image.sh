#!/bin/sh
# SPDX-License-Identifier: MIT
# guest-image.sh KERNELDIR OUT.gz: a guest's initramfs: a static busybox, scripts/guest/init, its roles, and the front ends'
# modules. One image serves all roles; the word zendo.role= on the guest kernel's command line picks one. EXTRA=DIR adds files, MODULES=".." more modules.
set -eu
cd "$(dirname "$0")/.."
root=$2.root
rm -rf "$root"
trap 'rm -rf "$root" "$2.list"' EXIT
mkdir -p "$root/bin" "$root/roles"
cp /bin/busybox "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
cp scripts/guest/init "$root/init"
cp scripts/guest/roles/* "$root/roles/"
chmod 755 "$root/init" "$root/roles/poweroff" "$root/roles/udhcpc"
cat scripts/guest/modules > "$2.list"
echo "${MODULES:-}" >> "$2.list"
scripts/take-modules.sh "$1" "$2.list" "$root"
[ -z "${EXTRA:-}" ] || cp -a "$EXTRA/." "$root/"
scripts/pack-initramfs.sh "$root" "$2"
