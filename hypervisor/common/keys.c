/* SPDX-License-Identifier: MIT */
/*
 * Debug keys: single characters on the console, while input goes to the hypervisor, or from the
 * tools. A key is only noted where it is pressed; its function runs in SOFTIRQ_KEYS with interrupts
 * on, so it may print and take locks. Here are 'h' (help), 'm' (memory) and 'R' (restart); others
 * register theirs.
 */
#include "console.h"
#include "lib.h"
#include "log.h"
#include "page.h"
#include "panic.h"
#include "port.h"

#define NR_KEYS 128

static struct {
    void (*fn)(char key);
    const char *what;
} keys[NR_KEYS];

static uint64_t pressed[NR_KEYS / 64]; /* [a] */

void key_register(char key, void (*fn)(char key), const char *what)
{
    BUG_ON((unsigned char)key >= NR_KEYS || keys[(unsigned char)key].fn);
    keys[(unsigned char)key].what = what;
    keys[(unsigned char)key].fn = fn;
}

void key_pressed(char key)
{
    unsigned char k = (unsigned char)key;

    if (k >= NR_KEYS || !keys[k].fn)
        return;
    bit_set(pressed, k);
    softirq_raise(cpu_self(), SOFTIRQ_KEYS);
}

static void keys_softirq(void)
{
    unsigned k;

    for (k = 0; k < NR_KEYS; k++)
        if (bit_test(pressed, k) && bit_test_and_clear(pressed, k)) {
            log_info("key '%c': %s\n", (char)k, keys[k].what);
            keys[k].fn((char)k);
        }
}

static void key_help(char key)
{
    unsigned k;

    for (k = 0; k < NR_KEYS; k++)
        if (keys[k].fn)
            log_info(" %c  %s\n", (char)k, keys[k].what);
}

static void key_memory(char key)
{
    log_info("frames: %lu free of %lu (%lu of %lu MiB), %lu claimed\n", frames_free_count(), frames_total(),
             frames_free_count() >> (20 - FRAME_SHIFT), frames_total() >> (20 - FRAME_SHIFT), frames_claimed());
    log_info("frames: %u faults found\n", frames_check());
}

static void key_restart(char key)
{
    machine_reboot();
}

void keys_init(void)
{
    softirq_register(SOFTIRQ_KEYS, keys_softirq);
    key_register('h', key_help, "list these keys");
    key_register('m', key_memory, "memory, with a check of the heap");
    key_register('R', key_restart, "restart the machine at once");
}
