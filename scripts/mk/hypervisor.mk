# The hypervisor image. Every .c and .S below hypervisor/ belongs to it.
HV_SRC := $(sort $(shell find hypervisor -name '*.c' -not -path 'hypervisor/x86/entry/offsets.c'))
HV_ASM := $(sort $(shell find hypervisor -name '*.S'))
HV_OBJ := $(HV_SRC:%.c=$(B)/%.o) $(HV_ASM:%.S=$(B)/%.S.o)

WARN := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wvla -Wimplicit-fallthrough -Wundef \
        -Wstrict-prototypes -Wno-unused-parameter
ifeq ($(CI),true)
WARN += -Werror
endif
HV_CFLAGS := -std=gnu11 -O2 -g -ffreestanding -fno-strict-aliasing -fno-common -fPIE \
  -fvisibility=hidden -mno-red-zone -mgeneral-regs-only -mcmodel=small -fno-stack-protector \
  -fno-asynchronous-unwind-tables -fcf-protection=none -fomit-frame-pointer \
  -include hypervisor/include/visibility.h -Ihypervisor/include -I$(B)/gen $(ABI_CFLAGS) $(WARN) \
  -MMD -MP
ifeq ($(DEBUG),1)
HV_CFLAGS += -DZENDO_DEBUG
endif
HV_AFLAGS := -D__ASSEMBLER__ -Ihypervisor/include -I$(B)/gen -g -MMD -MP
HV_LIBS := -l:liblzma.a -l:libz.a -l:liblz4.a -l:libzstd.a

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(HV_CFLAGS) -c $< -o $@

$(B)/%.S.o: %.S $(B)/gen/offsets.h
	@mkdir -p $(@D)
	$(CC) $(HV_AFLAGS) -c $< -o $@

# Structure offsets for assembly, generated from C.
$(B)/gen/offsets.h: hypervisor/x86/entry/offsets.c $(wildcard hypervisor/include/*.h hypervisor/include/x86/*.h)
	@mkdir -p $(@D)
	$(CC) $(HV_CFLAGS) -S $< -o $(@:.h=.s)
	sed -n 's/^.*->\([A-Za-z0-9_]*\) [$$]*\(-\{0,1\}[0-9]*\) .*/#define \1 \2/p' $(@:.h=.s) > $@

# Two link passes: the first gives the addresses for the symbol table, the second carries it.
LD_SCRIPT := hypervisor/x86/boot/zendo.lds
$(B)/gen/symbols0.o: scripts/symbols.sh
	@mkdir -p $(@D)
	scripts/symbols.sh </dev/null > $(B)/gen/symbols0.S
	$(CC) $(HV_AFLAGS) -c $(B)/gen/symbols0.S -o $@

HV_LINK = $(CC) -nostdlib -static -no-pie -Wl,-T,$(LD_SCRIPT) -Wl,--build-id=none \
  -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments
$(B)/zendo.pass1: $(HV_OBJ) $(B)/gen/symbols0.o $(LD_SCRIPT)
	$(HV_LINK) -o $@ $(HV_OBJ) $(B)/gen/symbols0.o $(HV_LIBS)

$(B)/gen/symbols.o: $(B)/zendo.pass1 scripts/symbols.sh
	nm -n $< | scripts/symbols.sh > $(B)/gen/symbols.S
	$(CC) $(HV_AFLAGS) -c $(B)/gen/symbols.S -o $@

# zendo.syms keeps the 64-bit form for gdb; zendo.elf is what boot loaders take (32-bit container).
$(B)/zendo.syms: $(HV_OBJ) $(B)/gen/symbols.o $(LD_SCRIPT)
	$(HV_LINK) -o $@ $(HV_OBJ) $(B)/gen/symbols.o $(HV_LIBS)

# The 32-bit container: one segment at the image's load address, and .bss.
$(B)/zendo.elf: $(B)/zendo.syms scripts/wrap32.sh
	scripts/wrap32.sh $< $@

$(B)/zendo.gz: $(B)/zendo.elf
	gzip -9nc $< > $@

-include $(HV_OBJ:.o=.d)
