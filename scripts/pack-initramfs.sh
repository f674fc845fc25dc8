#!/bin/sh
# SPDX-License-Identifier: MIT
# pack-initramfs.sh ROOT OUT.gz: a folder as an initramfs; the same files give the same bytes, whoever owns them.
set -eu
find "$1" -exec touch -h -d @0 {} +
(cd "$1" && find . | LC_ALL=C sort | cpio -o -H newc --reproducible -R 0:0 --quiet) | gzip -1n > "$2.new"
mv "$2.new" "$2"
