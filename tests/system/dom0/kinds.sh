# SPDX-License-Identifier: MIT
# Guests of all sizes, one after the other: vCPUs, memory, each kernel that is on the data disk (vmlinuz, vmlinuz-FLAVOUR with
# guest.gz, guest-FLAVOUR.gz). Each must say so itself on its console; one of each kernel also has a disk and a network.
# zendo.kinds=FLAVOUR,...: only these, `amd64` is vmlinuz.
. /scripts/lib.sh
. /scripts/services
# kind NAME VCPUS MEMORY KERNEL RAMDISK WORDS LINE...
kind() {
    name=$1
    printf 'name="%s"\nvcpus=%s\nmemory=%s\nkernel="%s"\nramdisk="%s"\nextra="console=hvc0 quiet zendo.name=%s zendo.role=check %s"\n' \
        "$1" "$2" "$3" "$4" "$5" "$1" "$6" > "/tmp/$1.cfg"
    vcpus=$2
    shift 6
    for line; do echo "$line"; done >> "/tmp/$name.cfg"
    yes "$name-create" timeout 60 xm create "/tmp/$name.cfg"
    yes "$name-ends" wait_for 90 sh -c "! xm domid $name"
    said=$(xm console --last "$name" | grep "guest: $name is up")
    case $said in
    *", $vcpus vCPUs, "*) pass "$name-up"; echo "zendo: $said" ;;
    *) fail "$name-up" "said '$said'; $(xm why "$name" | tail -n 1)"; xm console --last "$name" | tail -n 5; xm destroy "$name" ;;
    esac
}
# flavour NAME KERNEL RAMDISK
flavour() {
    flavour=$1 kernel=$2 ramdisk=$3
    kind "$flavour-devices" 2 192 "$kernel" "$ramdisk" "zendo.ip=10.77.0.2/24 zendo.ping=10.77.0.1 zendo.disk=xvda" \
        'disk=["file:/tmp/disk.img,xvda,w"]' 'vif=["bridge=zbr0"]'
    is "$flavour-disk-and-net" "$(xm console --last "$flavour-devices" | grep -c "guest: disk xvda ok\|guest: ping ok")" 2
    for n in 1 4 8; do kind "$flavour-vcpus-$n" $n 160 "$kernel" "$ramdisk" ""; done
    for m in 96 256 1024 2048; do kind "$flavour-memory-$m" 1 $m "$kernel" "$ramdisk" ""; done
    kind "$flavour-all" 8 2048 "$kernel" "$ramdisk" ""
}
truncate -s 16M /tmp/disk.img
kinds=$(word kinds)
for k in /data/vmlinuz*; do
    f=${k#/data/vmlinuz}; f=${f#-}; f=${f:-amd64}
    case ",${kinds:-$f}," in *",$f,"*) flavour "${f%-amd64}" "$k" "$(echo "$k" | sed 's,vmlinuz,guest,').gz" ;; esac
done
is nothing-left "$(xm list | wc -l)" 2
