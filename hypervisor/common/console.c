/* SPDX-License-Identifier: MIT */
/*
 * Console output: log lines to the ring and, by level, to the devices; raw text of domain 0 to the
 * devices only. Input, keys and the hypercall are in console_io.c.
 *
 * It works from the first instruction: the ring is static until memory is there, and what was
 * logged before the devices were chosen is printed when they are. One lock, taken with interrupts
 * off, for a log line or at most RAW_CHUNK bytes of raw text at a time. After a panic nothing is
 * locked any more.
 */
#include "cmdline.h"
#include "console_private.h"
#include "domain.h"
#include "lib.h"
#include "lock.h"
#include "log.h"
#include "page.h"
#include "port.h"

#define EARLY_RING 16384
#define DEFAULT_RING 65536
#define LINE_MAX 512
#define RAW_CHUNK 128

const struct console_dev *console_devs[CONSOLE_DEVS];
unsigned console_nr_devs;

static struct spinlock lock = SPINLOCK_INIT("console", RANK_CONSOLE);
static bool forced;  /* panic: locks do not count */
static bool started; /* devices are chosen */
static bool running; /* per-CPU data, softirqs and memory are there */

static char early_ring[EARLY_RING];
static char *ring = early_ring;
static uint32_t ring_size = EARLY_RING; /* a power of two */
static uint32_t ring_start, ring_end;   /* free-running */

static bool line_open; /* the last message did not end its line */

uint64_t console_lock(void)
{
    return READ_ONCE(forced) ? irq_save() : spin_lock_irqsave(&lock);
}

void console_unlock(uint64_t flags)
{
    if (READ_ONCE(forced))
        irq_restore(flags);
    else
        spin_unlock_irqrestore(&lock, flags);
}

void console_force_unlock(void)
{
    WRITE_ONCE(forced, true);
}

/* --- Ring (lock held) --- */

static void ring_put(const char *s, size_t n)
{
    for (; n; n--)
        ring[ring_end++ & (ring_size - 1)] = *s++;
    if (ring_end - ring_start > ring_size)
        ring_start = ring_end - ring_size;
}

static size_t ring_copy(char *to, size_t n, uint32_t from)
{
    size_t i, have = ring_end - from;

    n = MIN(n, have);
    for (i = 0; i < n; i++)
        to[i] = ring[(from + i) & (ring_size - 1)];
    return n;
}

size_t console_ring_read(char *to, size_t n, uint32_t *index, bool clear)
{
    uint64_t flags = console_lock();
    uint32_t from = *index;

    if (from - ring_start > ring_end - ring_start)
        from = ring_start;
    n = ring_copy(to, n, from);
    *index = from + (uint32_t)n;
    if (clear)
        ring_start = ring_end;
    console_unlock(flags);
    return n;
}

uint32_t console_ring_start(void)
{
    return READ_ONCE(ring_start);
}

uint32_t console_ring_end(void)
{
    return READ_ONCE(ring_end);
}

/* A ring of the size asked for, from the heap; the early one stays when there is no memory. */
static void ring_grow(void)
{
    uint32_t size = opt.conring_size ? opt.conring_size : DEFAULT_RING;
    unsigned order;
    uint64_t flags;
    char *to;
    mfn_t m;

    order = MAX(order_of_bytes(size), order_of_bytes(EARLY_RING));
    m = frames_alloc(order, 0);
    if (mfn_eq(m, INVALID_MFN)) {
        log_warn("console: no memory for a ring of %u bytes\n", size);
        return;
    }
    to = map_frame(m);
    flags = console_lock();
    size = FRAME_SIZE << order; /* not smaller than the early one: all of it fits */
    ring_end = (uint32_t)ring_copy(to, size, ring_start);
    ring_start = 0;
    ring = to;
    ring_size = size;
    console_unlock(flags);
}

/* --- Devices (lock held) --- */

static void devs_write(const char *s, size_t n)
{
    unsigned i;

    for (i = 0; i < console_nr_devs; i++)
        console_devs[i]->write(s, n);
}

void console_write_raw(const char *s, size_t n)
{
    while (n) {
        size_t k = MIN(n, (size_t)RAW_CHUNK);
        uint64_t flags = console_lock();

        devs_write(s, k);
        console_unlock(flags);
        s += k;
        n -= k;
    }
}

/* --- Messages --- */

static void message_put(const char *s, size_t n, bool show)
{
    ring_put(s, n);
    if (show)
        devs_write(s, n);
}

static void message_prefix(bool show)
{
    char stamp[40];
    int n;

    message_put("(Z) ", 4, show);
    if (opt.console_timestamps && running) {
        uint64_t us = now_ns() / 1000;

        n = snprintf(stamp, sizeof(stamp), "[%5lu.%06lu] ", us / 1000000, us % 1000000);
        message_put(stamp, (size_t)n, show);
    }
}

/* Text of one message, line by line, each with its prefix. */
static void message_write(const char *s, bool show)
{
    uint64_t flags = console_lock();

    while (*s) {
        const char *nl = strchr(s, '\n');
        size_t n = nl ? (size_t)(nl - s) + 1 : strlen(s);

        if (!line_open)
            message_prefix(show);
        message_put(s, n, show);
        line_open = !nl;
        s += n;
    }
    console_unlock(flags);
    /* Tell who follows the ring (VIRQ_CON_RING): from the softirq, as we may hold any lock. */
    if (running && !READ_ONCE(forced))
        softirq_raise(cpu_self(), SOFTIRQ_CONSOLE);
}

void log_printf(enum log_level level, const char *fmt, ...)
{
    char text[LINE_MAX];
    va_list ap;

    va_start(ap, fmt);
    if (vsnprintf(text, sizeof(text), fmt, ap) >= (int)sizeof(text))
        text[sizeof(text) - 2] = '\n'; /* cut, but a line */
    va_end(ap);
    message_write(text, (int)level <= opt.loglvl || READ_ONCE(forced));
}

/* At most GUEST_BURST messages at once and GUEST_RATE per second on average, over all guests: what
 * they cause must neither fill the ring nor keep the serial line busy. */
#define GUEST_BURST 30
#define GUEST_RATE 10

static bool guest_message_allowed(unsigned *lost)
{
    static uint64_t refilled;
    static unsigned tokens = GUEST_BURST, dropped;
    uint64_t now = now_ns(), flags = console_lock(), gain;
    bool ok;

    gain = (now - refilled) * GUEST_RATE / 1000000000;
    if (now > refilled && gain) {
        tokens = (unsigned)MIN(tokens + MIN(gain, (uint64_t)GUEST_BURST), (uint64_t)GUEST_BURST);
        refilled = now;
    }
    ok = tokens > 0;
    *lost = ok ? dropped : 0;
    if (ok) {
        tokens--;
        dropped = 0;
    } else {
        dropped++;
    }
    console_unlock(flags);
    return ok;
}

void log_guest(const struct domain *d, const char *fmt, ...)
{
    char text[LINE_MAX];
    bool show = opt.guest_loglvl >= LOG_DEBUG;
    unsigned lost;
    va_list ap;
    int n;

    if (!guest_message_allowed(&lost))
        return;
    if (lost) {
        snprintf(text, sizeof(text), "%u messages about guests left out\n", lost);
        message_write(text, show);
    }
    n = snprintf(text, sizeof(text), "d%u: ", d->id);
    va_start(ap, fmt);
    if (vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap) >= (int)sizeof(text) - n)
        text[sizeof(text) - 2] = '\n';
    va_end(ap);
    message_write(text, show);
}

/* --- Life --- */

static const struct console_dev *dev_probe(const char *name, size_t n)
{
    if (n == 4 && !strncmp(name, "com1", 4))
        return uart_probe(0, opt.com[0]);
    if (n == 4 && !strncmp(name, "com2", 4))
        return uart_probe(1, opt.com[1]);
    if (n == 3 && !strncmp(name, "vga", 3))
        return vga_probe();
    if (!(n == 4 && !strncmp(name, "none", 4)))
        log_warn("console=%.*s: no such kind of console\n", (int)n, name);
    return NULL;
}

static void dev_add(const struct console_dev *dev)
{
    unsigned i;

    for (i = 0; i < console_nr_devs; i++)
        if (console_devs[i] == dev)
            return;
    if (dev && console_nr_devs < CONSOLE_DEVS)
        console_devs[console_nr_devs++] = dev;
}

/* Everything logged so far, now that there is somewhere to print it. */
static void ring_replay(void)
{
    char text[128];
    uint32_t at = 0;
    size_t n;

    while ((n = console_ring_read(text, sizeof(text), &at, false)))
        console_write_raw(text, n);
}

void console_init_early(void)
{
    const char *s = opt.console;

    if (started)
        return;
    while (*s) {
        size_t n = 0;

        while (s[n] && s[n] != ',')
            n++;
        dev_add(dev_probe(s, n));
        s += n + (s[n] == ',');
    }
    started = true;
    ring_replay();
}

void console_init_irq(void)
{
    ring_grow();
    console_input_init();
    running = true;
}

void console_end_boot(void)
{
    size_t len = strlen(opt.vga);
    bool keep = len >= 4 && !strcmp(opt.vga + len - 4, "keep");
    uint64_t flags;
    unsigned i;

    log_info("%lu MiB of memory free\n", frames_free_count() >> (20 - FRAME_SHIFT));
    if (!keep) {
        flags = console_lock();
        for (i = 0; i < console_nr_devs; i++)
            if (!strcmp(console_devs[i]->name, "vga"))
                console_devs[i--] = console_devs[--console_nr_devs];
        console_unlock(flags);
    }
    console_input_to_dom0();
}
