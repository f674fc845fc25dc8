#!/bin/sh
# SPDX-License-Identifier: MIT
# make-iso.sh OUT.iso: a CD image on which GRUB boots Zendo and domain 0 on a PC with BIOS: by multiboot2 (first entry), by
# multiboot 1, and Linux alone. Text goes to the serial line and the screen. Variables: FLAVOUR, HV_GZ, HV_ARGS,
# KERNEL_ARGS, DEFAULT (number of the entry that starts by itself), TIMEOUT (seconds, 3).
set -eu
cd "$(dirname "$0")/.."
out=$1
flavour=${FLAVOUR:-amd64}
hv=${HV_GZ:-build/zendo.gz}
tree=$out.tree
rm -rf "$tree"
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/boot/grub"
cp "$hv" "$tree/boot/zendo.gz"
cp "build/kernel/$flavour/vmlinuz" "$tree/boot/vmlinuz"
cp "build/dom0-$flavour.gz" "$tree/boot/dom0.gz"
args="console=com1,vga com1=115200,8n1 ${HV_ARGS:-dom0_mem=1G}"
words="console=hvc0 ${KERNEL_ARGS:-}"
cat > "$tree/boot/grub/grub.cfg" <<END
insmod gzio
serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
set timeout=${TIMEOUT:-3}
set default=${DEFAULT:-0}
menuentry "Zendo, domain 0 by multiboot2" {
    multiboot2 /boot/zendo.gz placeholder $args
    module2 /boot/vmlinuz placeholder $words
    module2 --nounzip /boot/dom0.gz
}
menuentry "Zendo, domain 0 by multiboot 1" {
    multiboot /boot/zendo.gz placeholder $args
    module /boot/vmlinuz placeholder $words
    module --nounzip /boot/dom0.gz
}
menuentry "Linux alone" {
    linux /boot/vmlinuz console=ttyS0 ${KERNEL_ARGS:-}
    initrd /boot/dom0.gz
}
END
grub-mkrescue -d /usr/lib/grub/i386-pc --compress=no -o "$out.new" "$tree" >"$out.log" 2>&1 || { cat "$out.log" >&2; exit 1; }
mv "$out.new" "$out"
rm -f "$out.log"
