/* SPDX-License-Identifier: MIT */
/*
 * Console: ring, prefixes, thresholds, input switch, the hypercall against a hostile caller.
 * sources: hypervisor/common/console.c hypervisor/common/console_io.c hypervisor/common/keys.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cmdline.h"
#include "console.h"
#include "domain.h"
#include "evtchn.h"
#include "lib.h"
#include "panic.h"
#include "port_host.h"
#include "timer.h"

struct cmdline_options opt;
struct domain *dom_hw;

static char out[65536];
static size_t out_len;
static const char *in = "";
static unsigned virqs[24], restarted;
static bool irq_works = true;

/* --- What the console needs from others --- */

static void dev_write(const char *s, size_t n)
{
    assert_true(out_len + n < sizeof(out));
    memcpy(out + out_len, s, n);
    out_len += n;
    out[out_len] = 0;
}
static int dev_getc(void)
{
    return *in ? *in++ : -1;
}
static bool dev_irq_on(void)
{
    return irq_works;
}
static const struct console_dev dev = {"com1", dev_write, dev_getc, dev_irq_on};

const struct console_dev *uart_probe(unsigned com, const char *spec)
{
    return com ? NULL : &dev;
}
const struct console_dev *vga_probe(void)
{
    return NULL;
}
void virq_raise_global(unsigned virq)
{
    virqs[virq]++;
}
void timer_init(struct timer *t, void (*fn)(void *), void *data, unsigned cpu)
{
}
void timer_set(struct timer *t, uint64_t deadline)
{
}
mfn_t frames_alloc(unsigned order, unsigned flags)
{
    return mfn(1);
}
uint64_t frames_claimed(void)
{
    return 0;
}
uint64_t frames_free_count(void)
{
    return 512;
}
uint64_t frames_total(void)
{
    return 1024;
}
unsigned frames_check(void)
{
    return 0;
}
void machine_reboot(void)
{
    restarted++;
    longjmp(host_panic_jmp, 1);
}

static void out_clear(void)
{
    out_len = 0;
    out[0] = 0;
}

/* --- Tests (in order) --- */

static void test_early(void **state)
{
    char text[256];
    uint32_t at = 0;
    size_t n;

    host_ram_init(64);
    opt.loglvl = LOG_INFO;
    strlcpy(opt.console, "com1,none,com1", sizeof(opt.console));
    log_info("first %d\n", 1);
    assert_int_equal(out_len, 0);
    console_init_early();
    assert_string_equal(out, "(Z) first 1\n");
    out_clear();
    log_info("half ");
    log_info("line\ntwo\n");
    assert_string_equal(out, "(Z) half line\n(Z) two\n");
    out_clear();
    log_debug("hidden\n");
    assert_int_equal(out_len, 0);
    n = console_ring_read(text, sizeof(text), &at, false);
    text[n] = 0;
    assert_string_equal(text, "(Z) first 1\n(Z) half line\n(Z) two\n(Z) hidden\n");
    assert_int_equal(console_ring_read(text, sizeof(text), &at, false), 0);
}

static void test_ring(void **state)
{
    static char text[100000];
    uint32_t at = 0, i;
    size_t n;

    console_init_irq();
    console_init_early(); /* again: nothing */
    n = console_ring_read(text, sizeof(text), &at, false);
    assert_true(n > 40 && !memcmp(text, "(Z) first 1\n", 12));
    for (i = 0; i < 6000; i++) {
        log_info("line number %u\n", i);
        out_clear();
    }
    at = 0;
    n = console_ring_read(text, sizeof(text), &at, true);
    assert_int_equal(n, 65536);
    assert_int_equal(text[n - 1], '\n');
    text[n] = 0;
    assert_non_null(strstr(text, "line number 5999\n"));
    assert_int_equal(console_ring_read(text, sizeof(text), &at, false), 0);
    at = 0;
    assert_int_equal(console_ring_read(text, sizeof(text), &at, false), 0);
}

static void test_long_line(void **state)
{
    char s[2000];

    memset(s, 'x', sizeof(s) - 1);
    s[sizeof(s) - 1] = 0;
    out_clear();
    log_info("%s\n", s);
    assert_int_equal(out_len, 4 + 511);
    assert_int_equal(out[out_len - 1], '\n');
}

static struct domain hw = {.id = 0, .hardware = true}, guest = {.id = 7};
static struct vcpu hw_v = {.domain = &hw}, guest_v = {.domain = &guest};

static void run_input(const char *s)
{
    in = s;
    softirq_raise(0, SOFTIRQ_CONSOLE);
    host_softirqs_run();
}

static long console_io(struct vcpu *v, unsigned cmd, uint64_t n, void *buf)
{
    return do_console_io(v, cmd, n, (uint64_t)(uintptr_t)buf, 0, 0);
}

static void test_input(void **state)
{
    char buf[2000];

    dom_hw = &hw;
    run_input("zh"); /* still the hypervisor's; z is nobody's key */
    out_clear();
    keys_init();
    run_input("h");
    assert_non_null(strstr(out, " h  list these keys"));
    console_end_boot();
    assert_non_null(strstr(out, "input goes to domain 0"));
    memset(virqs, 0, sizeof(virqs));
    run_input("ls\n");
    assert_int_equal(virqs[VIRQ_CONSOLE], 1);
    assert_int_equal(console_io(&hw_v, CONSOLEIO_read, 2, buf), 2);
    assert_memory_equal(buf, "ls", 2);
    assert_int_equal(console_io(&hw_v, CONSOLEIO_read, sizeof(buf), buf), 1);
    assert_int_equal(console_io(&hw_v, CONSOLEIO_read, sizeof(buf), buf), 0);
    run_input("\1a\1\1b"); /* not three in a row */
    assert_int_equal(console_io(&hw_v, CONSOLEIO_read, sizeof(buf), buf), 5);
    assert_memory_equal(buf, "\1a\1\1b", 5);
    out_clear();
    run_input("\1\1\1m");
    assert_non_null(strstr(out, "input goes to the hypervisor"));
    assert_non_null(strstr(out, "frames: 512 free of 1024"));
    assert_int_equal(console_io(&hw_v, CONSOLEIO_read, sizeof(buf), buf), 0);
    if (!setjmp(host_panic_jmp))
        run_input("R");
    assert_int_equal(restarted, 1);
    run_input("\1\1\1x");
    assert_int_equal(console_io(&hw_v, CONSOLEIO_read, sizeof(buf), buf), 1);
    memset(buf, 'q', sizeof(buf));
    buf[1999] = 0;
    run_input(buf); /* more than fits: the rest is dropped */
    assert_int_equal(console_io(&hw_v, CONSOLEIO_read, sizeof(buf), buf), 1024);
}

static void test_hypercall(void **state)
{
    char text[1000];

    memset(text, 'w', sizeof(text));
    out_clear();
    assert_int_equal(console_io(&hw_v, CONSOLEIO_write, 1000, text), 0);
    assert_int_equal(out_len, 1000);
    out_clear();
    host_guest_watch(text, sizeof(text), 0x01); /* each byte is read once */
    host_preempt_every = 1;
    assert_int_equal(console_io(&hw_v, CONSOLEIO_write, 1000, text), HOST_AGAIN);
    while (host_again.a[1] < 1000 && do_console_io(&hw_v, host_again.a[0], host_again.a[1],
                                                   host_again.a[2], 0, 0) == HOST_AGAIN)
        ;
    host_preempt_every = 0;
    assert_int_equal(out_len, 1000);
    assert_int_equal(out[999], 'w');
    assert_int_equal(host_watch_max(), 1);
    host_guest_clear();

    host_guest_fault(text + 500, 1);
    assert_int_equal(console_io(&hw_v, CONSOLEIO_write, 1000, text), -XEN_EFAULT);
    run_input("abc");
    assert_int_equal(console_io(&hw_v, CONSOLEIO_read, 3, text + 499), -XEN_EFAULT);
    host_guest_clear();
    assert_int_equal(console_io(&hw_v, CONSOLEIO_write, 0xffffffff, text), -XEN_EINVAL);
    assert_int_equal(console_io(&hw_v, CONSOLEIO_write, 0, NULL), 0);
    assert_int_equal(console_io(&hw_v, 2, 0, NULL), -XEN_ENOSYS);
}

static void test_guest(void **state)
{
    char text[] = "hello\n\033[2Jworld\n";
    unsigned i, lines = 0;

    opt.guest_loglvl = LOG_WARN;
    assert_int_equal(console_io(&guest_v, CONSOLEIO_write, 5, text), -XEN_EPERM);
    assert_int_equal(console_io(&guest_v, CONSOLEIO_read, 5, text), -XEN_EPERM);
    opt.guest_loglvl = LOG_DEBUG;
    out_clear();
    host_now += 1000000000000;
    assert_int_equal(console_io(&guest_v, CONSOLEIO_write, sizeof(text) - 1, text), 0);
    assert_string_equal(out, "(Z) d7: hello\n(Z) d7: .[2Jworld\n");
    out_clear();
    for (i = 0; i < 1000; i++)
        log_guest(&guest, "flood\n");
    for (i = 0; i < out_len; i++)
        lines += out[i] == '\n';
    assert_int_equal(lines, 28);
    host_now += 1000000000;
    out_clear();
    log_guest(&guest, "again\n");
    assert_string_equal(out, "(Z) 972 messages about guests left out\n(Z) d7: again\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_early),     cmocka_unit_test(test_ring),
        cmocka_unit_test(test_long_line), cmocka_unit_test(test_input),
        cmocka_unit_test(test_hypercall), cmocka_unit_test(test_guest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
