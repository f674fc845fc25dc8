#!/bin/sh
# SPDX-License-Identifier: MIT
# data-image.sh OUT.img MEGABYTES FILE[=NAME]...: the disk that domain 0 mounts on /data: what guests are made of (kernel,
# initramfs) and an empty disk for one. An ext4 made without root. On a disk, not in domain 0's initramfs, so that it costs no memory.
set -eu
out=$1
size=$2
shift 2
root=$out.root
rm -rf "$root"
trap 'rm -rf "$root" "$out.new"' EXIT
mkdir -p "$root"
for file; do cp "${file%%=*}" "$root/$(basename "${file#*=}")"; done
truncate -s 64M "$root/disk.img"
rm -f "$out.new"
truncate -s "${size}M" "$out.new"
/sbin/mke2fs -q -t ext4 -L zendo-data -m 0 -E root_owner=0:0,lazy_itable_init=1 -O ^has_journal -d "$root" "$out.new"
mv "$out.new" "$out"
