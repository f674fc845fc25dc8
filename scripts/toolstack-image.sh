#!/bin/sh
# SPDX-License-Identifier: MIT
# toolstack-image.sh OUTDIR: the files that our toolstack adds to domain 0's image: the programs of build/bin, the libraries that
# they name as this machine has them, Debian's clients of the store, services, configurations. xl is xm under another name.
set -eu
cd "$(dirname "$0")/.."
out=$1
rm -rf "$out"
mkdir -p "$out/usr/sbin" "$out/usr/bin" "$out/lib/x86_64-linux-gnu" "$out/lib64" "$out/scripts" "$out/etc/xen" "$out/etc/zendo"
for program in build/bin/*; do
    [ ! -f "$program" ] || objcopy --strip-debug "$program" "$out/usr/sbin/$(basename "$program")"
done
[ ! -e "$out/usr/sbin/xm" ] || ln -s xm "$out/usr/sbin/xl"
cp build/store-tools/root/usr/bin/xenstore* "$out/usr/bin/"
for program in "$out"/usr/sbin/* "$out"/usr/bin/*; do
    ldd "$program" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p'
done | sort -u | while read -r lib; do cp -L "$lib" "$out/lib/x86_64-linux-gnu/"; done
# Named by no program: pthread_cancel loads it.
cp -L /lib/x86_64-linux-gnu/libgcc_s.so.1 "$out/lib/x86_64-linux-gnu/"
cp -L /lib64/ld-linux-x86-64.so.2 "$out/lib64/"
cp scripts/toolstack/services "$out/scripts/"
cp scripts/toolstack/*.cfg "$out/etc/xen/"
cp scripts/toolstack/*.conf "$out/etc/zendo/"
