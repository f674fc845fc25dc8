#!/bin/sh
# wrap32.sh IN.syms OUT.elf: put the 64-bit image into the 32-bit ELF that multiboot loaders take: one segment at
# the physical load address, its .bss as memory only.
set -e
in=$1
out=$2
sym() { nm "$in" | awk -v s="$1" '$3 == s {print $1}'; }
objcopy -O binary "$in" "$out.bin"
entry=$(sym start_phys)
bss=$((0x$(sym image_end | cut -c9-) - 0x$(sym bss_start | cut -c9-)))
fill=$((0x$(sym bss_start | cut -c9-) - 0x$(sym image_start | cut -c9-)))
cat > "$out.S" <<EOS
    .section .image, "awx", @progbits
    .incbin "$out.bin"
    .org $fill
    .section .bss, "aw", @nobits
    .space $bss
EOS
gcc -m32 -c "$out.S" -o "$out.o"
cat > "$out.lds" <<EOS
ENTRY(entry)
entry = 0x$entry;
SECTIONS { . = 0x200000; .image : { *(.image) } .bss : { *(.bss) } /DISCARD/ : { *(.note.*) } }
EOS
ld -m elf_i386 -T "$out.lds" -z max-page-size=4096 --no-warn-rwx-segments -o "$out" "$out.o"
rm -f "$out.bin" "$out.S" "$out.o" "$out.lds"
