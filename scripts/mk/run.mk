# Domain 0's kernel and image, GRUB's CD image, `make run`. The variables of run: scripts/run.sh.
DOM0_SRC := $(wildcard scripts/dom0/* tests/system/dom0/*) scripts/dom0-image.sh

# Downloaded once and kept, also by `make clean`: remove build/kernel/FLAVOUR for a newer one.
$(B)/kernel/%/version: | scripts/fetch-kernel.sh
	scripts/fetch-kernel.sh $*

$(B)/dom0-%.gz: $(B)/kernel/%/version $(DOM0_SRC)
	scripts/dom0-image.sh $(B)/kernel/$* $@

# The same with Debian's stress-ng, for the soak tests.
$(B)/stress/version: scripts/fetch-stress.sh
	scripts/fetch-stress.sh $(B)/stress

$(B)/dom0-%-stress.gz: $(B)/kernel/%/version $(B)/stress/version $(DOM0_SRC)
	EXTRA=$(B)/stress/root scripts/dom0-image.sh $(B)/kernel/$* $@

$(B)/zendo.iso: $(B)/zendo.gz $(B)/dom0-$(FLAVOUR).gz scripts/make-iso.sh
	FLAVOUR=$(FLAVOUR) scripts/make-iso.sh $@

.PRECIOUS: $(B)/kernel/%/version $(B)/dom0-%.gz
.PHONY: run iso dom0
dom0: $(B)/dom0-$(FLAVOUR).gz
iso: $(B)/zendo.iso

# Settings reach the script as environment: make exports what its own command line gave.
run: $(B)/zendo.elf $(B)/dom0-$(FLAVOUR).gz $(if $(ISO),$(B)/zendo.iso)
	@FLAVOUR=$(FLAVOUR) scripts/run.sh
