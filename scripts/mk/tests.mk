# Host tests: tests/unit/t_NAME.c (cmocka) and tests/fuzz/f_NAME.c (libFuzzer). The first lines of each name the
# sources under test: "sources: hypervisor/common/x.c ...". All are built with address and undefined-behaviour
# sanitizers together with tests/host/*.c, which is port.h for the PC.
UNIT := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/t_*.c))
FUZZ := $(patsubst tests/fuzz/f_%.c,%,$(wildcard tests/fuzz/f_*.c))
HOST_CFLAGS := -std=gnu11 -g -O1 -fno-omit-frame-pointer -fno-strict-aliasing -Ihypervisor/include -Itests/host \
  -DZENDO_HOST -DZENDO_DEBUG $(ABI_CFLAGS) $(WARN) -Wno-missing-prototypes
SAN := -fno-sanitize-recover=all -fsanitize=address,undefined
HOST_LIB := $(wildcard tests/host/*.c) hypervisor/lib/lock.c
HOST_HDR := $(wildcard hypervisor/include/*.h hypervisor/include/x86/*.h tests/host/*.h)
sources_of = $(shell sed -n '1,12s/^.*sources: *//p' $(1))
# ... and a line "libs: -lfoo" adds libraries.
libs_of = $(shell sed -n '1,12s/^.*libs: *//p' $(1))

.SECONDEXPANSION:
$(B)/unit/%: tests/unit/%.c $$(call sources_of,tests/unit/%.c) $(HOST_LIB) $(HOST_HDR)
	@mkdir -p $(@D)
	gcc $(HOST_CFLAGS) $(SAN) -o $@ $< $(call sources_of,$<) $(HOST_LIB) -lcmocka -lpthread \
	  $(call libs_of,$<)

$(B)/fuzz/%: tests/fuzz/f_%.c $$(call sources_of,tests/fuzz/f_%.c) $(HOST_LIB) $(HOST_HDR)
	@mkdir -p $(@D)
	$(CLANG) $(HOST_CFLAGS) $(SAN) -fsanitize=fuzzer -o $@ $< $(call sources_of,$<) $(HOST_LIB) $(call libs_of,$<)

.PHONY: unit
unit: $(UNIT:%=$(B)/unit/%)
	@for t in $^; do echo "== $$t"; $$t || exit 1; done
