/* SPDX-License-Identifier: MIT */
/* What console.c, console_io.c and panic.c share. */
#pragma once

#include "console.h"

#define CONSOLE_DEVS 3

extern const struct console_dev *console_devs[CONSOLE_DEVS];
extern unsigned console_nr_devs;

/* RANK_CONSOLE with interrupts off; does nothing but that after console_force_unlock(). */
uint64_t console_lock(void);
void console_unlock(uint64_t flags);

uint32_t console_ring_end(void);  /* counts all that was ever put in */
void console_input_init(void);    /* console_io.c: softirq, receive interrupts or polling */
void console_input_to_dom0(void); /* switch, with a message */
