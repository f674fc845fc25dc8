# Test guests: guests/NAME/main.c and guests/kit make build/guests/NAME.elf. `make guests` builds all, `make guests-check` runs them.
GUESTS := $(patsubst guests/%/main.c,%,$(wildcard guests/*/main.c))
GUEST_KIT := $(patsubst guests/kit/%.c,$(B)/guests/kit/%.o,$(wildcard guests/kit/*.c)) $(B)/guests/kit/start.o
GUEST_CFLAGS := -std=gnu11 -O2 -g -ffreestanding -fno-strict-aliasing -fno-pie -mcmodel=kernel -mno-red-zone \
  -mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none \
  -fno-delete-null-pointer-checks -Iguests/kit $(ABI_CFLAGS) $(WARN) -Wno-missing-prototypes -Wno-clobbered
GUEST_HDR := guests/kit/kit.h

$(B)/guests/kit/%.o: guests/kit/%.c $(GUEST_HDR)
	@mkdir -p $(@D)
	$(CC) $(GUEST_CFLAGS) -c $< -o $@

$(B)/guests/kit/start.o: guests/kit/start.S
	@mkdir -p $(@D)
	$(CC) -c $< -o $@

$(B)/guests/%/main.o: guests/%/main.c $(GUEST_HDR)
	@mkdir -p $(@D)
	$(CC) $(GUEST_CFLAGS) -c $< -o $@

$(B)/guests/%.elf: $(B)/guests/%/main.o $(GUEST_KIT) guests/kit/guest.lds
	$(CC) -nostdlib -static -no-pie -Wl,-T,guests/kit/guest.lds -Wl,--build-id=none -Wl,-z,noexecstack \
	  -Wl,-z,max-page-size=4096 -Wl,--no-warn-rwx-segments -o $@ $< $(GUEST_KIT)

.SECONDARY: $(GUEST_KIT) $(GUESTS:%=$(B)/guests/%/main.o)
.PHONY: guests guests-check
guests: $(GUESTS:%=$(B)/guests/%.elf)

HV ?= $(B)/zendo.elf
guests-check: guests $(HV)
	python3 tests/system/guests.py --hv $(HV) --jobs $(JOBS)
