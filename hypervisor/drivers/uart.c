/* SPDX-License-Identifier: MIT */
/*
 * 16550 serial ports, by port I/O. Output is polled, a FIFO's worth at a time; a port that does not
 * drain is given up after a bounded wait, so that broken hardware costs characters and not the
 * machine. Input raises an interrupt, which masks itself and leaves the reading to SOFTIRQ_CONSOLE;
 * that unmasks it once the FIFO is empty (so level and edge inputs both work).
 *
 * Specification: BAUD[/CLOCK][,DPS[,PORT[,IRQ]]], as 115200,8n1,0x3f8,4. BAUD "auto" keeps what the
 * firmware set. No flow control.
 */
#include "acpi.h"
#include "console.h"
#include "irq.h"
#include "lib.h"
#include "log.h"
#include "port.h"
#include "x86/cpu.h"

#define REG_DATA 0
#define REG_IER 1
#define REG_FCR 2 /* write */
#define REG_IIR 2 /* read */
#define REG_LCR 3
#define REG_MCR 4
#define REG_LSR 5
#define REG_SCR 7
#define IER_RX 0x01
#define FCR_ON_CLEAR_8 0x87 /* FIFOs on and cleared, interrupt at 8 characters */
#define LCR_DLAB 0x80
#define MCR_DTR_RTS_OUT2 0x0b
#define LSR_RX 0x01
#define LSR_THRE 0x20
#define DEFAULT_CLOCK 1843200
#define TX_TRIES 200000 /* about 0.2 s of port reads */

struct uart {
    uint16_t port; /* 0: not in use */
    uint8_t irq;
    uint8_t lcr;
    uint16_t divisor; /* 0: leave */
    unsigned fifo;
    bool dead, irq_used, irq_masked;
};

static struct uart uarts[2];

uint16_t uart_port(unsigned com)
{
    return com < ARRAY_SIZE(uarts) ? uarts[com].port : 0;
}

/* --- Output --- */

/* Characters the port takes now; 0: it does not drain. */
static unsigned uart_room(struct uart *u)
{
    unsigned i;

    if (u->dead)
        return 0;
    for (i = 0; i < TX_TRIES; i++)
        if (inb(u->port + REG_LSR) & LSR_THRE)
            return u->fifo;
    u->dead = true;
    return 0;
}

static void uart_write(struct uart *u, const char *s, size_t n)
{
    unsigned room = 0;
    bool cr_sent = false;

    while (n) {
        if (!room && !(room = uart_room(u)))
            return;
        room--;
        if (*s == '\n' && !cr_sent) {
            outb(u->port + REG_DATA, '\r');
            cr_sent = true;
            continue;
        }
        outb(u->port + REG_DATA, (uint8_t)*s);
        cr_sent = false;
        s++;
        n--;
    }
}

/* --- Input --- */

/* Console lock held, interrupts off. */
static int uart_getc(struct uart *u)
{
    uint8_t lsr = inb(u->port + REG_LSR);

    if ((lsr & LSR_RX) && lsr != 0xff)
        return inb(u->port + REG_DATA);
    if (u->irq_masked) { /* if a character came just now, this raises the line again */
        u->irq_masked = false;
        outb(u->port + REG_IER, IER_RX);
    }
    return -1;
}

/* Interrupt context. */
static void uart_interrupt(void *data)
{
    struct uart *u = data;

    (void)inb(u->port + REG_IIR);
    outb(u->port + REG_IER, 0);
    u->irq_masked = true;
    softirq_raise(cpu_self(), SOFTIRQ_CONSOLE);
}

static bool uart_irq_on(struct uart *u)
{
    const struct acpi_override *o = u->irq < ARRAY_SIZE(acpi.isa) ? &acpi.isa[u->irq] : NULL;
    bool moved = o && o->valid;
    int rc;

    if (u->irq_used)
        return true;
    rc = irq_request_gsi(moved ? o->gsi : u->irq, moved && o->level, moved && o->active_low,
                         uart_interrupt, u);
    if (rc) {
        log_warn("serial port %#x: no interrupt %u (%d), input is polled\n", u->port, u->irq, rc);
        return false;
    }
    u->irq_used = true;
    outb(u->port + REG_MCR, MCR_DTR_RTS_OUT2);
    outb(u->port + REG_IER, IER_RX);
    return true;
}

/* --- Two instances --- */

#define UART_DEV(n)                                                                                \
    static void com##n##_write(const char *s, size_t len)                                          \
    {                                                                                              \
        uart_write(&uarts[n - 1], s, len);                                                         \
    }                                                                                              \
    static int com##n##_getc(void)                                                                 \
    {                                                                                              \
        return uart_getc(&uarts[n - 1]);                                                           \
    }                                                                                              \
    static bool com##n##_irq_on(void)                                                              \
    {                                                                                              \
        return uart_irq_on(&uarts[n - 1]);                                                         \
    }
UART_DEV(1)
UART_DEV(2)

static const struct console_dev uart_devs[2] = {
    {.name = "com1", .write = com1_write, .getc = com1_getc, .irq_on = com1_irq_on},
    {.name = "com2", .write = com2_write, .getc = com2_getc, .irq_on = com2_irq_on},
};

/* --- Setting up --- */

/* Data bits, parity, stop bits: 8n1 and the like. */
static bool parse_dps(const char **s, uint8_t *lcr)
{
    static const char parities[] = "noems"; /* none odd even mark space: LCR bits 3..5 */
    static const uint8_t parity_bits[] = {0, 0x08, 0x18, 0x28, 0x38};
    const char *p = *s, *parity;

    if (p[0] < '5' || p[0] > '8')
        return false;
    parity = p[1] ? strchr(parities, p[1]) : NULL;
    if (!parity || (p[2] != '1' && p[2] != '2'))
        return false;
    *lcr = (uint8_t)((p[0] - '5') | parity_bits[parity - parities] | (p[2] == '2' ? 4 : 0));
    *s = p + 3;
    return true;
}

static bool parse_baud(const char **s, struct uart *u)
{
    uint64_t baud, clock = DEFAULT_CLOCK;

    if (!strncmp(*s, "auto", 4)) {
        *s += 4;
        return true;
    }
    baud = parse_u64(*s, s);
    if (**s == '/') {
        (*s)++;
        clock = parse_u64(*s, s);
    }
    if (!baud || baud > clock / 16)
        return false;
    u->divisor = (uint16_t)MIN(clock / 16 / baud, 65535ULL);
    return true;
}

static bool parse_spec(const char *s, struct uart *u)
{
    if (!parse_baud(&s, u))
        return false;
    if (*s == ',') {
        s++;
        if (*s != ',' && *s && !parse_dps(&s, &u->lcr))
            return false;
    }
    if (*s == ',') {
        s++;
        if (*s != ',' && *s)
            u->port = (uint16_t)parse_u64(s, &s);
    }
    if (*s == ',') {
        s++;
        u->irq = (uint8_t)parse_u64(s, &s);
    }
    return !*s && u->port;
}

static bool uart_present(const struct uart *u)
{
    uint8_t a, b;

    outb(u->port + REG_SCR, 0x5a);
    a = inb(u->port + REG_SCR);
    outb(u->port + REG_SCR, 0xa5);
    b = inb(u->port + REG_SCR);
    return a == 0x5a && b == 0xa5;
}

static void uart_program(struct uart *u)
{
    outb(u->port + REG_IER, 0);
    outb(u->port + REG_LCR, u->lcr);
    if (u->divisor) {
        outb(u->port + REG_LCR, u->lcr | LCR_DLAB);
        outb(u->port + 0, (uint8_t)u->divisor);
        outb(u->port + 1, (uint8_t)(u->divisor >> 8));
        outb(u->port + REG_LCR, u->lcr);
    }
    outb(u->port + REG_MCR, MCR_DTR_RTS_OUT2);
    outb(u->port + REG_FCR, FCR_ON_CLEAR_8);
    u->fifo = (inb(u->port + REG_IIR) & 0xc0) == 0xc0 ? 16 : 1;
}

const struct console_dev *uart_probe(unsigned com, const char *spec)
{
    struct uart u = {.port = com ? 0x2f8 : 0x3f8, .irq = com ? 3 : 4, .lcr = 3};

    if (com >= ARRAY_SIZE(uarts))
        return NULL;
    if (uarts[com].port) /* in use already */
        return &uart_devs[com];
    if (!parse_spec(spec, &u)) {
        log_warn("com%u=%s: cannot be read, port not used\n", com + 1, spec);
        return NULL;
    }
    if (!uart_present(&u)) {
        log_warn("com%u: no serial port at %#x\n", com + 1, u.port);
        return NULL;
    }
    uart_program(&u);
    uarts[com] = u;
    return &uart_devs[com];
}
