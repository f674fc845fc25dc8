# Domain 0's kernel and image, GRUB's CD image, `make run`. The variables of run: scripts/run.sh.
DOM0_SRC := $(wildcard scripts/dom0/* scripts/demo/*.sh tests/system/dom0/*) scripts/dom0-image.sh scripts/take-modules.sh scripts/pack-initramfs.sh
GUEST_SRC := $(wildcard scripts/guest/* scripts/guest/roles/*) scripts/guest-image.sh scripts/take-modules.sh scripts/pack-initramfs.sh

# Downloaded once and kept, also by `make clean`: remove build/kernel/FLAVOUR for a newer one.
$(B)/kernel/%/version: | scripts/fetch-kernel.sh
	scripts/fetch-kernel.sh $*

# What our toolstack adds to the image; Debian's clients of the store come along (xenstore-ls and the like).
$(B)/store-tools/version: scripts/fetch-programs.sh
	rm -rf $(B)/store-tools
	scripts/fetch-programs.sh $(B)/store-tools xenstore-utils -- usr/bin/xenstore usr/bin/xenstore-ls usr/bin/xenstore-read \
	  usr/bin/xenstore-write usr/bin/xenstore-list usr/bin/xenstore-rm usr/bin/xenstore-exists usr/bin/xenstore-chmod usr/bin/xenstore-watch
$(B)/toolstack.made: $(TS_PROGRAMS:%=$(B)/bin/%) $(B)/store-tools/version $(wildcard scripts/toolstack/*) scripts/toolstack-image.sh
	scripts/toolstack-image.sh $(B)/toolstack-root
	@touch $@

$(B)/dom0-%.gz: $(B)/kernel/%/version $(B)/toolstack.made $(DOM0_SRC)
	EXTRA=$(B)/toolstack-root scripts/dom0-image.sh $(B)/kernel/$* $@

# The same with Debian's stress-ng, for the soak tests.
$(B)/stress/version: scripts/fetch-stress.sh
	scripts/fetch-stress.sh $(B)/stress

$(B)/dom0-%-stress.gz: $(B)/kernel/%/version $(B)/stress/version $(DOM0_SRC)
	EXTRA=$(B)/stress/root scripts/dom0-image.sh $(B)/kernel/$* $@

# What guests are made of, on a disk that domain 0 mounts on /data.
$(B)/guest-%.gz: $(B)/kernel/%/version $(GUEST_SRC)
	scripts/guest-image.sh $(B)/kernel/$* $@
$(B)/data-%.img: $(B)/guest-%.gz $(B)/guests/idle.elf $(B)/guests/pair.elf $(B)/guests/hammer.elf scripts/data-image.sh
	scripts/data-image.sh $@ 512 $(B)/kernel/$*/vmlinuz $(B)/guest-$*.gz=guest.gz $(B)/guests/idle.elf $(B)/guests/pair.elf $(B)/guests/hammer.elf

# The same with the kernel for clouds, which can be a guest but not domain 0. The real-time one (KINDS="cloud rt") stops during start.
KINDS := cloud
$(B)/kinds-%.img: $(B)/guest-%.gz $(KINDS:%=$(B)/guest-%-amd64.gz) scripts/data-image.sh
	scripts/data-image.sh $@ 128 $(B)/kernel/$*/vmlinuz $(B)/guest-$*.gz=guest.gz \
	  $(foreach k,$(KINDS),$(B)/kernel/$k-amd64/vmlinuz=vmlinuz-$k-amd64 $(B)/guest-$k-amd64.gz)

# The demo's guests: a firewall with Debian's nft, a log server with Debian's rsyslog. `make demo` runs them by itself.
DEMO_SRC := $(wildcard scripts/demo/*)
RSYSLOG := imudp lmnet
$(B)/demo-nft/version: scripts/fetch-programs.sh
	rm -rf $(@D)
	scripts/fetch-programs.sh $(@D) nftables -- usr/sbin/nft
$(B)/demo-rsyslog/version: scripts/fetch-programs.sh
	rm -rf $(@D)
	scripts/fetch-programs.sh $(@D) rsyslog -- usr/sbin/rsyslogd $(RSYSLOG:%=usr/lib/x86_64-linux-gnu/rsyslog/%.so)
$(B)/firewall-%.gz: $(B)/kernel/%/version $(B)/demo-nft/version $(GUEST_SRC)
	EXTRA=$(B)/demo-nft/root MODULES="nf_tables nft_chain_nat nft_masq nft_ct" scripts/guest-image.sh $(B)/kernel/$* $@
$(B)/logserver-%.gz: $(B)/kernel/%/version $(B)/demo-rsyslog/version $(GUEST_SRC)
	EXTRA=$(B)/demo-rsyslog/root scripts/guest-image.sh $(B)/kernel/$* $@
$(B)/demo-%.img: $(B)/guest-%.gz $(B)/firewall-%.gz $(B)/logserver-%.gz $(DEMO_SRC) scripts/data-image.sh
	scripts/data-image.sh $@ 128 $(B)/kernel/$*/vmlinuz $(B)/guest-$*.gz=guest.gz $(B)/firewall-$*.gz=firewall.gz \
	  $(B)/logserver-$*.gz=logserver.gz $(wildcard scripts/demo/*.cfg)
demo: $(HV) $(B)/dom0-$(FLAVOUR).gz $(B)/demo-$(FLAVOUR).img
	@HV=$(HV) FLAVOUR=$(FLAVOUR) scripts/demo.py

demo-migrate: $(HV) $(B)/dom0-$(FLAVOUR).gz $(B)/move-$(FLAVOUR).img
	@HV=$(HV) scripts/demo_migrate.py

# Domain 0 with Debian's xl, xenstored, xenconsoled in place of ours: make stock-image; make run TOOLS=stock.
$(B)/xen-tools/version: scripts/fetch-xen-tools.sh scripts/fetch-programs.sh
	rm -rf $(B)/xen-tools
	scripts/fetch-xen-tools.sh $(B)/xen-tools

$(B)/dom0-%-stock.gz: $(B)/kernel/%/version $(B)/xen-tools/version $(wildcard scripts/stock/*) $(DOM0_SRC)
	mkdir -p $(B)/xen-tools/root/scripts
	cp scripts/stock/* $(B)/xen-tools/root/scripts/
	EXTRA=$(B)/xen-tools/root scripts/dom0-image.sh $(B)/kernel/$* $@
stock-image: $(B)/dom0-$(FLAVOUR)-stock.gz $(B)/data-$(FLAVOUR).img

# Domain 0 with Debian's cluster agents, for the test ocf.sh.
$(B)/ocf/version: scripts/fetch-programs.sh
	rm -rf $(@D)
	scripts/fetch-programs.sh $(@D) resource-agents -- usr/lib/ocf
$(B)/dom0-%-ocf.gz: $(B)/kernel/%/version $(B)/toolstack.made $(B)/ocf/version $(DOM0_SRC)
	rm -rf $(B)/ocf/all && cp -a $(B)/toolstack-root $(B)/ocf/all
	mkdir -p $(B)/ocf/all/usr/lib && cp -a $(B)/ocf/root/usr/lib/ocf $(B)/ocf/all/usr/lib/
	EXTRA=$(B)/ocf/all scripts/dom0-image.sh $(B)/kernel/$* $@

# Domain 0 with what makes and serves images and volumes: QEMU's servers, LVM with thin pools, btrfs. Not in the usual image: it would be
# twice as big.
$(B)/disk-tools/version: scripts/fetch-programs.sh scripts/disk-tools.list
	rm -rf $(@D)
	scripts/fetch-programs.sh $(@D) $(shell cat scripts/disk-tools.list)
$(B)/dom0-%-disks.gz: $(B)/kernel/%/version $(B)/toolstack.made $(B)/disk-tools/version scripts/disk-tools.sh $(DOM0_SRC)
	scripts/disk-tools.sh $(B)/toolstack-root $(B)/disk-tools/root $(B)/disk-tools/all
	EXTRA=$(B)/disk-tools/all MODULES="btrfs dm-thin-pool dm-snapshot" scripts/dom0-image.sh $(B)/kernel/$* $@

# Domain 0 with Debian's ssh and its daemon, for guests that move that way (moves.py, row ssh).
$(B)/ssh/version: scripts/fetch-programs.sh
	rm -rf $(@D)
	scripts/fetch-programs.sh $(@D) openssh-server openssh-client -- usr/sbin/sshd usr/bin/ssh usr/bin/ssh-keygen
$(B)/dom0-%-ssh.gz: $(B)/kernel/%/version $(B)/toolstack.made $(B)/ssh/version $(DOM0_SRC)
	rm -rf $(B)/ssh/all && cp -a $(B)/ssh/root $(B)/ssh/all && cp -a $(B)/toolstack-root/. $(B)/ssh/all/
	mkdir -p $(B)/ssh/all/etc/ssh
	printf '%s\n' root:x:0:0::/root:/bin/sh sshd:x:100:65534::/run/sshd:/bin/false > $(B)/ssh/all/etc/passwd
	EXTRA=$(B)/ssh/all scripts/dom0-image.sh $(B)/kernel/$* $@

# The reference hypervisor, for comparisons: make run HV=build/reference/xen.elf CPU=max,-smap.
$(B)/reference/xen.elf:
	mkdir -p $(@D)
	cd $(@D) && apt-get -q -o APT::Sandbox::User= download xen-hypervisor-4.17-amd64 >&2
	cd $(@D) && dpkg-deb -x xen-hypervisor-4.17-amd64_*.deb . && zcat boot/xen-4.17-amd64.gz > xen.elf

$(B)/zendo.iso: $(B)/zendo.gz $(B)/dom0-$(FLAVOUR).gz scripts/make-iso.sh
	FLAVOUR=$(FLAVOUR) scripts/make-iso.sh $@

.PRECIOUS: $(B)/kernel/%/version $(B)/dom0-%.gz $(B)/guest-%.gz $(B)/data-%.img $(B)/firewall-%.gz $(B)/logserver-%.gz $(B)/demo-%.img
.PHONY: run iso dom0 stock-image demo demo-migrate
TOOLS ?= zendo
RUN_IMAGE := $(B)/dom0-$(FLAVOUR)$(if $(filter stock,$(TOOLS)),-stock).gz
dom0: $(B)/dom0-$(FLAVOUR).gz
iso: $(B)/zendo.iso

# Settings reach the script as environment: make exports what its own command line gave.
run: $(B)/zendo.elf $(RUN_IMAGE) $(B)/data-$(FLAVOUR).img $(if $(ISO),$(B)/zendo.iso)
	@FLAVOUR=$(FLAVOUR) IMAGE=$(RUN_IMAGE) scripts/run.sh

# A whole Debian for a guest; for `make system T=debian` and `make soak` only: debootstrap takes a while and wants root.
$(B)/debian.img: scripts/debian-image.sh scripts/guest/zendo-check
	scripts/debian-image.sh $@

# Guests that move between two hosts, and the programs that load and watch them.
$(B)/move/root/bin/moveload: tests/system/dom0/moveload.c
	@mkdir -p $(@D)
	$(CC) -O2 -Wall -static -pthread -o $@ $<
$(B)/guestmove-%.gz: $(B)/kernel/%/version $(B)/move/root/bin/moveload $(GUEST_SRC)
	EXTRA=$(B)/move/root scripts/guest-image.sh $(B)/kernel/$* $@
$(B)/move-%.img: $(B)/guestmove-%.gz $(B)/guests/idle.elf scripts/data-image.sh
	scripts/data-image.sh $@ 128 $(B)/kernel/$*/vmlinuz $(B)/guestmove-$*.gz=guest.gz $(B)/guests/idle.elf $(B)/move/root/bin/moveload
