/* SPDX-License-Identifier: MIT */
#pragma once

/* Registers the keys of x86/debug_keys.c; after keys_init(). */
void debug_keys_init(void);
