/* SPDX-License-Identifier: MIT */
/*
 * Console: output ring, serial and VGA, input switched between hypervisor and domain 0 (Ctrl-A three
 * times), debug keys. common/console.c, common/keys.c, drivers/uart.c, drivers/vga.c.
 */
#pragma once

#include "types.h"

struct vcpu;
struct domain;

void console_init_early(void);  /* from the command line: serial polling, VGA text; before memory */
void console_init_irq(void);    /* interrupts and memory are there: receive interrupt, bigger ring */
void console_end_boot(void);    /* domain 0 starts: gives it the VGA, prints what the boot freed */
/* Switch to polled, lock-breaking output for good (panic). */
void console_force_unlock(void);

/* Bytes as they are, from a guest's console_io or ours. */
void console_write_raw(const char *s, size_t n);
long do_console_io(struct vcpu *v, uint64_t cmd, uint64_t count, uint64_t buf, uint64_t a4, uint64_t a5);

/* Ring for `dmesg` (sysctl readconsole): copy from *index on, as the ABI's readconsole; clear empties. */
uint32_t console_ring_start(void); /* index of the oldest character */
size_t console_ring_read(char *to, size_t n, uint32_t *index, bool clear);

/* Debug keys: 'h' lists them. fn runs in a softirq, interrupts on. */
void key_register(char key, void (*fn)(char key), const char *what);
void key_pressed(char key);     /* any context */

/* A device that can carry the console. */
struct console_dev {
    const char *name;
    /* n bytes; \n moves to the start of the next line. Polls for room; console lock held. */
    void (*write)(const char *s, size_t n);
    int (*getc)(void);               /* -1: none */
    bool (*irq_on)(void);            /* true: receive interrupts raise SOFTIRQ_CONSOLE */
};
const struct console_dev *uart_probe(unsigned com, const char *spec); /* NULL: not there */
const struct console_dev *vga_probe(void);
uint16_t uart_port(unsigned com);    /* I/O base when in use by us, 0 if not */

/* Symbols and backtraces (common/symbols.c): the table is linked in by the second link pass. */
const char *symbol_name(uint64_t addr, uint64_t *offset, uint64_t *size);
void backtrace_print(uint64_t rsp, uint64_t rip);
