#!/bin/sh
# From `nm -n` on stdin: the image's own symbol table as assembly (read by common/symbols.c).
# symbol_count, symbol_addr[] (64-bit, ascending), symbol_name_offset[] (32-bit), symbol_names (strings).
awk '
BEGIN { n = 0 }
$2 ~ /^[tT]$/ && $3 !~ /^\.|^_?_?end|^_stext|^_etext/ { addr[n] = $1; name[n] = $3; n++ }
END {
  print ".section .rodata.symbols, \"a\""
  print ".globl symbol_count, symbol_addr, symbol_name_offset, symbol_names"
  print ".balign 8\nsymbol_count: .quad " n + 0
  print "symbol_addr:"
  for (i = 0; i < n; i++) print "  .quad 0x" addr[i]
  print "symbol_name_offset:"
  off = 0
  for (i = 0; i < n; i++) { print "  .long " off; off += length(name[i]) + 1 }
  print "symbol_names:"
  for (i = 0; i < n; i++) print "  .asciz \"" name[i] "\""
}'
