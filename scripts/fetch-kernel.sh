#!/bin/sh
# SPDX-License-Identifier: MIT
# fetch-kernel.sh [FLAVOUR]: takes Debian's stock kernel out of its package into build/kernel/FLAVOUR: vmlinuz, lib/modules
# and a file `version`. FLAVOUR is amd64 (default), rt-amd64 or cloud-amd64. Prints the folder. Nothing is installed, /boot
# is not touched, and a kernel that is there already is kept; delete the folder for a newer one.
# KERNEL_DEB=FILE takes a package at hand instead of downloading it.
set -eu
cd "$(dirname "$0")/.."
flavour=${1:-amd64}
dir=build/kernel/$flavour
if [ -e "$dir/version" ]; then
    echo "$dir"
    exit 0
fi
say() { echo "fetch-kernel: $*" >&2; }

work=build/kernel/.$flavour.$$
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/deb" "$work/out"
deb=${KERNEL_DEB:-}
if [ -z "$deb" ]; then
    # linux-image-amd64 is an empty package that depends on the newest linux-image-VERSION-amd64.
    resolve() { apt-cache depends "linux-image-$flavour" 2>/dev/null | sed -n 's/^ *Depends: *\(linux-image-[0-9].*\)/\1/p' | head -n 1; }
    name=$(resolve)
    if [ -z "$name" ]; then
        say "apt knows no linux-image-$flavour: trying apt-get update"
        if [ "$(id -u)" = 0 ]; then apt-get update >&2; else sudo apt-get update >&2; fi
        name=$(resolve)
    fi
    [ -n "$name" ] || { say "no package linux-image-$flavour"; exit 1; }
    say "downloading $name"
    # As root, apt would hand the download to its own user, who may not write here.
    (cd "$work/deb" && apt-get -q -o APT::Sandbox::User= download "$name" >&2)
    deb=$(ls "$work"/deb/*.deb)
fi
say "unpacking $(basename "$deb")"
dpkg-deb -x "$deb" "$work/out"
version=$(ls "$work/out/lib/modules")
mv "$work/out/boot/vmlinuz-$version" "$work/out/vmlinuz"
say "listing the modules' dependencies"
busybox depmod -b "$PWD/$work/out" "$version"
rm -rf "$work/out/usr" "$work/out/boot"
echo "$version" > "$work/out/version"
rm -rf "$dir"
mv "$work/out" "$dir"
echo "$dir"
