#!/bin/sh
# SPDX-License-Identifier: MIT
# data-image.sh OUT.img MEGABYTES KERNELDIR GUEST.gz: the disk that domain 0 mounts on /data: what guests are made of (kernel,
# initramfs, an empty disk). An ext4 made without root. On a disk, not in domain 0's initramfs, so that it costs no memory there.
set -eu
out=$1
size=$2
root=$out.root
rm -rf "$root"
trap 'rm -rf "$root" "$out.new"' EXIT
mkdir -p "$root"
cp "$3/vmlinuz" "$root/vmlinuz"
cp "$4" "$root/guest.gz"
truncate -s 64M "$root/disk.img"
rm -f "$out.new"
truncate -s "${size}M" "$out.new"
/sbin/mke2fs -q -t ext4 -L zendo-data -m 0 -E root_owner=0:0,lazy_itable_init=1 -O ^has_journal -d "$root" "$out.new"
mv "$out.new" "$out"
