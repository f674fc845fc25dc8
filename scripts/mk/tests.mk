# Host tests: tests/unit/t_NAME.c (cmocka) and tests/fuzz/f_NAME.c (libFuzzer). The first lines of each name the
# sources under test: "sources: hypervisor/common/x.c ...". All are built with address and undefined-behaviour
# sanitizers together with tests/host/*.c, which is port.h for the PC.
UNIT := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/t_*.c))
FUZZ := $(patsubst tests/fuzz/f_%.c,%,$(wildcard tests/fuzz/f_*.c))
HOST_CFLAGS := -std=gnu11 -g -O1 -fno-omit-frame-pointer -fno-strict-aliasing -Ihypervisor/include -Itests/host \
  -DZENDO_HOST -DZENDO_DEBUG $(ABI_CFLAGS) $(WARN) -Wno-missing-prototypes
# A table of functions that has fallen behind its type is no warning.
SAN := -Werror=incompatible-pointer-types -fno-sanitize-recover=all -fsanitize=address,undefined
HOST_LIB := $(wildcard tests/host/*.c) hypervisor/lib/lock.c
HOST_HDR := $(wildcard include/*/*.h hypervisor/*/*.h hypervisor/include/x86/*.h hypervisor/x86/*/*.h tests/host/*.h tests/unit/*.h toolstack/*/*.h)
sources_of = $(shell sed -n '1,12s/^.*sources: *//p' $(1))
# ... and a line "libs: -lfoo" adds libraries.
libs_of = $(shell sed -n '1,12s/^.*libs: *//p' $(1))
# A test whose sources are the toolstack's is an ordinary program: the headers beside its sources, nothing of port.h.
TS_TEST_CFLAGS := -std=gnu11 -g -O1 -fno-omit-frame-pointer -fno-strict-aliasing -D_GNU_SOURCE -Itoolstack/lib $(ABI_CFLAGS) $(WARN) \
  -Wno-missing-prototypes
is_ts = $(findstring toolstack/,$(call sources_of,$(1)))
cflags_of = $(if $(is_ts),$(TS_TEST_CFLAGS) $(addprefix -I,$(sort $(dir $(call sources_of,$(1))))),$(HOST_CFLAGS))
hostlib_of = $(if $(is_ts),,$(HOST_LIB))

.SECONDEXPANSION:
$(B)/unit/%: tests/unit/%.c $$(call sources_of,tests/unit/%.c) $(HOST_LIB) $(HOST_HDR)
	@mkdir -p $(@D)
	@echo "  HOSTCC $@"; gcc $(call cflags_of,$<) $(SAN) -o $@ $< $(call sources_of,$<) $(call hostlib_of,$<) -lcmocka -lpthread \
	  $(call libs_of,$<)

$(B)/fuzz/%: tests/fuzz/f_%.c $$(call sources_of,tests/fuzz/f_%.c) $(HOST_LIB) $(HOST_HDR)
	@mkdir -p $(@D)
	$(CLANG) $(call cflags_of,$<) $(SAN) -fsanitize=fuzzer -o $@ $< $(call sources_of,$<) $(call hostlib_of,$<) $(call libs_of,$<)

# Tests with threads, under the thread sanitizer: make build/tsan/t_NAME.
$(B)/tsan/%: tests/unit/%.c $$(call sources_of,tests/unit/%.c) $(HOST_LIB) $(HOST_HDR)
	@mkdir -p $(@D)
	@echo "  HOSTCC $@"; gcc $(HOST_CFLAGS) -fsanitize=thread --param tsan-distinguish-volatile=1 -o $@ $< $(call sources_of,$<) \
	  $(HOST_LIB) -lcmocka -lpthread $(call libs_of,$<)

# What the sum at the end counts: a cmocka test, a corpus file, a header, a source file's includes, a check of a guest or of
# domain 0. `make check` builds with -k first, so that one broken file does not hide the other results.
JOBS ?= 2
SECONDS_ := $(if $(filter command line environment,$(origin SECONDS)),$(SECONDS),60)
UNIT_BIN := $(UNIT:%=$(B)/unit/%)
FUZZ_BIN := $(FUZZ:%=$(B)/fuzz/%)
DOM0 := $(B)/dom0-$(FLAVOUR).gz
export HV JOBS

.PHONY: unit corpus fuzz headercheck includecheck system soak check check-build
unit: $(UNIT_BIN)
	@scripts/check.py unit

corpus: $(FUZZ_BIN)
	@scripts/check.py corpus

# make fuzz T=evtchn [SECONDS=600]: what it finds goes to build/fuzz-found; new inputs stay in build/fuzz-corpus.
fuzz: $(B)/fuzz/$(T)
	@test -n "$(T)" || { echo "make fuzz T=NAME, one of: $(FUZZ)"; exit 1; }
	@mkdir -p $(B)/fuzz-corpus/$(T) $(B)/fuzz-found tests/fuzz/corpus/$(T)
	$(B)/fuzz/$(T) -max_total_time=$(SECONDS_) -artifact_prefix=$(B)/fuzz-found/$(T)- $(B)/fuzz-corpus/$(T) \
	  tests/fuzz/corpus/$(T)

headercheck: $(B)/gen/offsets.h
	@scripts/check-headers.sh
includecheck:
	@scripts/check-includes.sh

MOVE_ALL := $(B)/move-$(FLAVOUR).img $(B)/dom0-$(FLAVOUR)-ssh.gz $(B)/dom0-$(FLAVOUR)-stock.gz
# Debian's kernel as domain 0: the quick configurations, or all of them.
system: $(HV) $(B)/zendo.gz $(DOM0)
	@tests/system/linux.py --hv $(HV) --jobs $(JOBS) $(T)
soak: $(HV) $(B)/zendo.gz $(DOM0) $(MOVE_ALL) $(B)/debian.img $(B)/unit/t_sched_credit
	STEPS_LONG=10 $(B)/unit/t_sched_credit
	@scripts/check.py soak moves-all

# Guests that move between two hosts: rows of tests/system/moves.py.
.PHONY: moves
moves: $(HV) $(DOM0) $(if $(T),$(MOVE_ALL),$(B)/move-$(FLAVOUR).img)
	@tests/system/moves.py -v $(T)

check-build: all toolstack guests $(UNIT_BIN) $(FUZZ_BIN) $(DOM0) $(B)/demo-$(FLAVOUR).img $(B)/data-$(FLAVOUR).img $(B)/move-$(FLAVOUR).img
check:
	@rc=0; $(MAKE) --no-print-directory -k -j$(JOBS) check-build >$(B)-check.log 2>&1 || rc=$$?; \
	mkdir -p $(B); mv $(B)-check.log $(B)/check-build.log; \
	[ $$rc = 0 ] || grep -E 'error:|Error |undefined reference|\*\*\*' $(B)/check-build.log | head -n 40; \
	BUILT=$$rc scripts/check.py headers includes docs unit corpus toolstack guests linux moves demo
