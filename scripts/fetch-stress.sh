#!/bin/sh
# SPDX-License-Identifier: MIT
# fetch-stress.sh DIR: Debian's stress-ng with the libraries it needs, taken out of their packages into DIR, for the soak
# tests' image. Nothing is installed. Needs the network once; a DIR that is complete is kept.
set -eu
dir=$1
[ ! -e "$dir/version" ] || exit 0
work=$dir.new
trap 'rm -rf "$work"' EXIT
rm -rf "$work" "$dir"
mkdir -p "$work/deb" "$work/all" "$work/root/usr/bin" "$work/root/lib/x86_64-linux-gnu" "$work/root/lib64"

# With all it depends on, first alternatives only; the same names as apt gives them.
packages=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
    stress-ng | grep '^[a-z0-9]' | grep -Ev ':i386$|^(debconf|cdebconf|dpkg|perl|tar|gcc-)' | sort -u)
(cd "$work/deb" && apt-get -q -o APT::Sandbox::User= download $packages >&2)
for deb in "$work"/deb/*.deb; do dpkg-deb -x "$deb" "$work/all"; done

find_lib() { find "$work/all/lib" "$work/all/usr/lib" -name "$1" | head -n 1; }
# take FILE TO: the file and, again and again, the libraries it names
take() {
    [ ! -e "$2" ] || return 0
    cp -L "$1" "$2"
    for need in $(objdump -p "$1" | awk '$1 == "NEEDED" { print $2 }'); do
        lib=$(find_lib "$need")
        [ -n "$lib" ] || { echo "fetch-stress: no $need" >&2; exit 1; }
        take "$lib" "$work/root/lib/x86_64-linux-gnu/$need"
    done
}
take "$work/all/usr/bin/stress-ng" "$work/root/usr/bin/stress-ng"
cp -L "$(find_lib ld-linux-x86-64.so.2)" "$work/root/lib64/"
mkdir -p "$dir"
mv "$work/root" "$dir/root"
ls "$work/deb" | grep '^stress-ng' > "$dir/version"
