# Zendo. `make help` lists the verbs.
SHELL := /bin/bash
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
B := build

CC ?= gcc
CLANG ?= clang
ABI_CFLAGS := -D__XEN_TOOLS__

include scripts/mk/hypervisor.mk
include scripts/mk/tests.mk
include scripts/mk/run.mk

.DEFAULT_GOAL := all
.PHONY: all help clean
all: $(B)/zendo.elf $(B)/zendo.gz

clean:
	rm -rf $(B)
