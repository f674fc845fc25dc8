# The toolstack: one library, the programs over it, and what domain 0's image takes. Built as ordinary programs against
# Debian's thin client libraries. A program is a folder below toolstack; its libraries are in LIBS_name.
TS_CFLAGS := -std=gnu11 -O2 -g -fno-strict-aliasing -fstack-protector-strong -D_GNU_SOURCE -Itoolstack/lib $(ABI_CFLAGS) $(WARN) -MMD -MP
TS_LIB_SRC := $(sort $(wildcard toolstack/lib/*.c))
TS_PROGRAMS := $(sort $(patsubst toolstack/%/,%,$(dir $(wildcard toolstack/*/main.c))))
# All but two become part of the program: each shared one costs a call of xm a dozen system calls and faults. Not libxenstore:
# its archive is built without threads, and then takes a watch's event for the answer to a request.
TS_LIBS := -lxenstore $(patsubst %,-l:libxen%.a,call foreignmemory evtchn gnttab toolcore toollog) \
  -l:liblzma.a -l:libz.a -l:liblz4.a -l:libzstd.a -l:libjson-c.a -l:libuuid.a
-include $(wildcard toolstack/*/files.mk)

$(B)/toolstack/%.o: toolstack/%.c
	@mkdir -p $(@D)
	$(CC) $(TS_CFLAGS) -c $< -o $@

$(B)/toolstack/lib.a: $(TS_LIB_SRC:%.c=$(B)/%.o)
	rm -f $@; ar rcs $@ $^

define TS_RULE
$(B)/bin/$(1): $(patsubst %.c,$(B)/%.o,$(wildcard toolstack/$(1)/*.c)) $(B)/toolstack/lib.a
	@mkdir -p $$(@D)
	$(CC) -o $$@ $$(filter %.o,$$^) $(B)/toolstack/lib.a $$(if $$(LIBS_$(1)),$$(LIBS_$(1)),$(TS_LIBS))
endef
$(foreach p,$(TS_PROGRAMS),$(eval $(call TS_RULE,$(p))))

.PHONY: toolstack
toolstack: $(TS_PROGRAMS:%=$(B)/bin/%)
-include $(wildcard $(B)/toolstack/*/*.d)
