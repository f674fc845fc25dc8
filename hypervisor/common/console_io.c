/* SPDX-License-Identifier: MIT */
/*
 * Console input and the console_io hypercall.
 *
 * Characters from the devices are read in SOFTIRQ_CONSOLE. Ctrl-A three times in a row switches
 * them between domain 0 and the hypervisor's debug keys; fewer are passed on like any other
 * character. Domain 0 is told of input by VIRQ_CONSOLE and fetches it with CONSOLEIO_read; what it
 * does not fetch in time is dropped from INPUT_MAX characters on. Only the hardware domain may
 * read. Other domains may write when guest_loglvl is debug or all, line by line under their number
 * and rate-limited; else they get -XEN_EPERM, which their kernels expect.
 */
#include "abi.h"
#include "cmdline.h"
#include "console_private.h"
#include "domain.h"
#include "evtchn.h"
#include "lib.h"
#include "log.h"
#include "port.h"
#include "timer.h"

#define INPUT_MAX 1024 /* a power of two */
#define SWITCH_CHAR 0x01
#define SWITCH_COUNT 3
#define POLL_NS 20000000
#define RX_BATCH 32
#define WRITE_CHUNK 128
#define GUEST_LINE 120

static char input[INPUT_MAX];
static uint32_t input_start, input_end; /* free-running; console lock */
static bool to_dom0;                    /* who has the input; console lock */
static unsigned switch_seen;            /* console lock */
static struct timer poll_timer;

/* --- Input --- */

static void input_announce(void)
{
    log_info("*** input goes to %s (Ctrl-A three times switches)\n",
             to_dom0 ? "domain 0" : "the hypervisor, h for help");
}

void console_input_to_dom0(void)
{
    to_dom0 = true;
    input_announce();
}

/* Lock held. true: domain 0 has something new. */
static bool input_store(char c)
{
    if (input_end - input_start == INPUT_MAX)
        return false;
    input[input_end++ & (INPUT_MAX - 1)] = c;
    return true;
}

/* What one batch of characters led to, to be acted upon without the lock. */
struct rx_result {
    bool dom0, switched;
    unsigned nr_keys;
    char key[RX_BATCH + SWITCH_COUNT];
};

static void rx_deliver(char c, struct rx_result *r)
{
    if (to_dom0)
        r->dom0 |= input_store(c);
    else if (r->nr_keys < sizeof(r->key))
        r->key[r->nr_keys++] = c;
}

static void rx_char(char c, struct rx_result *r)
{
    if (c == SWITCH_CHAR) {
        if (++switch_seen == SWITCH_COUNT) {
            switch_seen = 0;
            to_dom0 = !to_dom0;
            r->switched = true;
        }
        return;
    }
    for (; switch_seen; switch_seen--)
        if (to_dom0) /* not a switch after all */
            rx_deliver(SWITCH_CHAR, r);
    rx_deliver(c, r);
}

/* Take a batch from a device; false: it had nothing. */
static bool rx_batch(const struct console_dev *dev)
{
    struct rx_result r = {0};
    uint64_t flags = console_lock();
    unsigned i, k;
    int c;

    for (i = 0; i < RX_BATCH && (c = dev->getc()) >= 0; i++)
        rx_char((char)c, &r);
    console_unlock(flags);
    if (r.switched)
        input_announce();
    if (r.dom0)
        virq_raise_global(VIRQ_CONSOLE);
    for (k = 0; k < r.nr_keys; k++)
        key_pressed(r.key[k]);
    return i > 0;
}

/* SOFTIRQ_CONSOLE: input may be there, or the ring has grown. */
static void console_softirq(void)
{
    static uint32_t announced;
    uint32_t end = console_ring_end();
    unsigned i;

    for (i = 0; i < console_nr_devs; i++)
        if (console_devs[i]->getc)
            while (rx_batch(console_devs[i]))
                if (preempt_needed()) { /* come back for the rest: the device is quiet until it is read */
                    softirq_raise(cpu_self(), SOFTIRQ_CONSOLE);
                    break;
                }
    if (dom_hw && end != READ_ONCE(announced)) {
        WRITE_ONCE(announced, end);
        virq_raise_global(VIRQ_CON_RING);
    }
}

static void input_poll(void *data)
{
    softirq_raise(cpu_self(), SOFTIRQ_CONSOLE);
    timer_set(&poll_timer, now_ns() + POLL_NS);
}

void console_input_init(void)
{
    bool poll = false;
    unsigned i;

    softirq_register(SOFTIRQ_CONSOLE, console_softirq);
    for (i = 0; i < console_nr_devs; i++)
        if (console_devs[i]->getc && !(console_devs[i]->irq_on && console_devs[i]->irq_on()))
            poll = true;
    if (poll) {
        timer_init(&poll_timer, input_poll, NULL, cpu_self());
        timer_set(&poll_timer, now_ns() + POLL_NS);
    }
    softirq_raise(cpu_self(), SOFTIRQ_CONSOLE); /* what came during boot */
}

/* --- Hypercall --- */

static long write_hardware(struct vcpu *v, uint64_t count, uint64_t buf)
{
    char text[WRITE_CHUNK];

    while (count) {
        size_t n = MIN(count, (uint64_t)sizeof(text));

        if (copy_from_guest(text, guest_ptr(buf), n))
            return -XEN_EFAULT;
        console_write_raw(text, n);
        count -= n;
        buf += n;
        if (count && preempt_needed())
            return hcall_again(v, __HYPERVISOR_console_io, CONSOLEIO_write, count, buf, 0, 0);
    }
    return 0;
}

/* Another domain's text: printable characters only, a message per line. */
static long write_guest(struct vcpu *v, uint64_t count, uint64_t buf)
{
    char text[GUEST_LINE + 1];
    size_t n, i;

    while (count) {
        n = MIN(count, (uint64_t)GUEST_LINE);
        if (copy_from_guest(text, guest_ptr(buf), n))
            return -XEN_EFAULT;
        for (i = 0; i < n && text[i] != '\n'; i++)
            if (text[i] < ' ' || text[i] > '~')
                text[i] = text[i] == '\r' || text[i] == '\t' ? ' ' : '.';
        text[i] = 0;
        if (i)
            log_guest(v->domain, "%s\n", text);
        n = MIN(i + 1, n); /* the end of the line too */
        count -= n;
        buf += n;
        if (count && preempt_needed())
            return hcall_again(v, __HYPERVISOR_console_io, CONSOLEIO_write, count, buf, 0, 0);
    }
    return 0;
}

/* Bytes read; what cannot be copied is lost. */
static long read_hardware(uint64_t count, uint64_t buf)
{
    char text[WRITE_CHUNK];
    uint64_t done = 0;

    while (done < count) {
        uint64_t flags = console_lock();
        size_t n = 0;

        while (n < sizeof(text) && done + n < count && input_start != input_end)
            text[n++] = input[input_start++ & (INPUT_MAX - 1)];
        console_unlock(flags);
        if (!n)
            break;
        if (copy_to_guest(guest_ptr(buf + done), text, n))
            return -XEN_EFAULT;
        done += n;
    }
    return (long)done;
}

long do_console_io(struct vcpu *v, uint64_t cmd, uint64_t count, uint64_t buf, uint64_t a4,
                   uint64_t a5)
{
    bool hardware = v->domain->hardware;

    count = (uint32_t)count; /* both are 32-bit in the ABI */
    if (count > INT32_MAX)
        return -XEN_EINVAL;
    switch ((uint32_t)cmd) {
    case CONSOLEIO_write:
        if (hardware)
            return write_hardware(v, count, buf);
        return opt.guest_loglvl >= LOG_DEBUG ? write_guest(v, count, buf) : -XEN_EPERM;
    case CONSOLEIO_read:
        return hardware ? read_hardware(MIN(count, (uint64_t)INPUT_MAX), buf) : -XEN_EPERM;
    default:
        return -XEN_ENOSYS;
    }
}
