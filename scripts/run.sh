#!/bin/bash
# SPDX-License-Identifier: MIT
# run.sh: boots Zendo and domain 0 in QEMU on this terminal; `make run` calls it. All settings are variables, see below and
# `make help`. Prints the QEMU command line first, so that it can be copied and changed.
set -eu
cd "$(dirname "$0")/.."

HV=${HV:-build/zendo.elf}               # a multiboot image; Debian's xen works too, for comparison
CPUS=${CPUS:-2}
MEMORY=${MEMORY:-2G}
CPU=${CPU:-max}
MACHINE=${MACHINE:-pc}                  # pc or q35
DOM0_MEM=${DOM0_MEM:-1G}
FLAVOUR=${FLAVOUR:-amd64}               # amd64, rt-amd64, cloud-amd64
NET=${NET:-user}                        # user or none
IMAGE=${IMAGE:-build/dom0-$FLAVOUR.gz}  # domain 0's initramfs; TOOLS=stock of make: the one with Debian's tools
DATA=${DATA-build/data-$FLAVOUR.img}    # the disk with what guests are made of (/data); empty: none
DISK=${DISK:-}                          # a file (raw or qcow2) that domain 0 sees as /dev/vda
ISO=${ISO:-}                            # 1: boot GRUB's image build/zendo.iso instead (its own command lines)
SCRIPT=${SCRIPT:-}                      # a script in tests/system/dom0 to run instead of a shell
HV_ARGS=${HV_ARGS:-}                    # more words for the hypervisor, the kernel, QEMU
KERNEL_ARGS=${KERNEL_ARGS:-}
QEMU_ARGS=${QEMU_ARGS:-}

qemu=(qemu-system-x86_64 -accel tcg -machine "$MACHINE" -cpu "$CPU" -smp "$CPUS" -m "$MEMORY"
      -nodefaults -vga std -display none -serial mon:stdio)
case $NET in
    user) qemu+=(-nic "user,model=virtio-net-pci") ;;
    none) qemu+=(-nic none) ;;
    *) echo "run: NET is user or none" >&2; exit 1 ;;
esac
if [ -n "$DISK" ]; then
    format=raw
    [ "$(head -c 3 "$DISK")" != QFI ] || format=qcow2
    qemu+=(-drive "file=$DISK,format=$format,if=virtio")
fi
if [ -n "$DATA" ] && [ -e "$DATA" ]; then
    qemu+=(-drive "file=$DATA,format=raw,if=virtio")
fi
if [ -n "$ISO" ]; then
    qemu+=(-drive "file=build/zendo.iso,media=cdrom,format=raw,readonly=on" -boot d)
else
    words="console=hvc0${SCRIPT:+ zendo.script=$SCRIPT zendo.cpus=$CPUS} $KERNEL_ARGS"
    # QEMU splits -initrd at commas; a comma of ours is doubled.
    qemu+=(-kernel "$HV" -append "console=com1 com1=115200,8n1 dom0_mem=$DOM0_MEM $HV_ARGS"
           -initrd "build/kernel/$FLAVOUR/vmlinuz ${words//,/,,},$IMAGE")
fi
# shellcheck disable=SC2206  # meant to be split
qemu+=($QEMU_ARGS)
printf '%q ' "${qemu[@]}"
printf '\n\n'
exec "${qemu[@]}"
