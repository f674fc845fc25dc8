# SPDX-License-Identifier: MIT
# Guests of all sizes, one after the other: vCPUs, memory, each kernel that is on the data disk (vmlinuz, vmlinuz-FLAVOUR with
# guest.gz, guest-FLAVOUR.gz). Each must say so itself on its console.
. /scripts/lib.sh
. /scripts/services
# kind NAME VCPUS MEMORY KERNEL RAMDISK
kind() {
    printf 'name="%s"\nvcpus=%s\nmemory=%s\nkernel="%s"\nramdisk="%s"\nextra="console=hvc0 quiet zendo.name=%s zendo.role=check"\n' \
        "$1" "$2" "$3" "$4" "$5" "$1" > "/tmp/$1.cfg"
    yes "$1-create" timeout 60 xm create "/tmp/$1.cfg"
    yes "$1-ends" wait_for 90 sh -c "! xm domid $1"
    said=$(xm console --last "$1" | grep "guest: $1 is up")
    case $said in
    *", $2 vCPUs, "*) pass "$1-up" ;;
    *) fail "$1-up" "said '$said'; $(xm why "$1" | tail -n 1)" ;;
    esac
}
for n in 1 2 4 8; do kind vcpus-$n $n 160 /data/vmlinuz /data/guest.gz; done
for m in 96 256 1024 2048; do kind memory-$m 1 $m /data/vmlinuz /data/guest.gz; done
for k in /data/vmlinuz-*; do
    [ ! -e "$k" ] || kind "kernel-${k#/data/vmlinuz-}" 2 192 "$k" "/data/guest-${k#/data/vmlinuz-}.gz"
done
is nothing-left "$(xm list | wc -l)" 2
