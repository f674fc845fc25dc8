#!/bin/sh
# SPDX-License-Identifier: MIT
# fetch-programs.sh DIR PACKAGE... -- FILE...: takes files (programs or whole folders, named without the leading /) and the
# libraries that the programs name out of Debian's packages, into DIR/root, for images of the tests. Nothing is installed.
# DIR/version names the packages. Needs the network once; a DIR that is complete is kept.
set -eu
dir=$1
shift
[ ! -e "$dir/version" ] || exit 0
wanted=
while [ "$1" != -- ]; do wanted="$wanted $1"; shift; done
shift
work=$dir.new
trap 'rm -rf "$work"' EXIT
rm -rf "$work" "$dir"
mkdir -p "$work/deb" "$work/all" "$work/root/lib/x86_64-linux-gnu" "$work/root/lib64"

# With all they depend on, first alternatives only; what is no library of a program stays away.
packages=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
    $wanted | grep '^[a-z0-9]' | grep -Ev \
    ':i386$|^(debconf|cdebconf|dpkg|tar|gcc-|adduser|passwd|ucf|udev)|perl|python|^(media-types|mailcap|mime-support|sensible)' | sort -u)
(cd "$work/deb" && apt-get -q -o APT::Sandbox::User= download $packages >&2)
for deb in "$work"/deb/*.deb; do dpkg-deb -x "$deb" "$work/all"; done

find_lib() { find "$work/all/lib" "$work/all/usr/lib" -name "$1" | head -n 1; }
needed() { objdump -p "$1" 2>/dev/null | awk '$1 == "NEEDED" { print $2 }'; }
# libs_of FILE: the libraries it names and, again and again, those that they name
libs_of() {
    for need in $(needed "$1"); do
        to=$work/root/lib/x86_64-linux-gnu/$need
        [ ! -e "$to" ] || continue
        lib=$(find_lib "$need")
        [ -n "$lib" ] || { echo "fetch-programs: no $need" >&2; exit 1; }
        cp -L "$lib" "$to"
        libs_of "$to"
    done
}
for file; do
    mkdir -p "$work/root/$(dirname "$file")"
    cp -RL "$work/all/$file" "$work/root/$file"
    for program in $(find "$work/root/$file" -type f); do libs_of "$program"; done
done
cp -L "$(find_lib ld-linux-x86-64.so.2)" "$work/root/lib64/"
mkdir -p "$dir"
mv "$work/root" "$dir/root"
for p in $wanted; do ls "$work/deb" | grep "^${p}_"; done > "$dir/version"
