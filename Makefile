# Zendo. `make help` lists the verbs. The rules are in scripts/mk.
SHELL := /bin/bash
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
B := build

CC ?= gcc
CLANG ?= clang
ABI_CFLAGS := -D__XEN_TOOLS__ -Iinclude
# A value from make's command line or the environment wins.
HV ?= $(B)/zendo.elf
FLAVOUR ?= amd64

# The verbs that a fresh machine starts with: before anything is built, say what is missing and install it.
ifneq ($(filter run demo demo-migrate moves check soak iso bench system guests-check,$(MAKECMDGOALS)),)
ifneq ($(shell scripts/packages.sh >&2 && echo ok),ok)
$(error packages are missing, see above)
endif
endif

include scripts/mk/hypervisor.mk
include scripts/mk/guests.mk
-include scripts/mk/toolstack.mk
include scripts/mk/run.mk
include scripts/mk/tests.mk
include scripts/mk/report.mk
-include scripts/mk/bench.mk

.DEFAULT_GOAL := all
.PHONY: all help clean packages
all: $(B)/zendo.elf $(B)/zendo.gz

packages:
	scripts/packages.sh

# The kernels that were fetched stay; `rm -rf build` takes them too.
clean:
	find $(B) -mindepth 1 -maxdepth 1 -not -name kernel -exec rm -rf {} +

help:
	@cat scripts/help.txt
