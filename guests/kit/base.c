/* SPDX-License-Identifier: MIT */
/*
 * The kit's ground floor: first C code, console output by console_io (one hypercall per line, so
 * that lines stay whole beside the hypervisor's own), counting of checks, the end of a run, and the
 * few string functions that the compiler may call. No input, no locks: two vCPUs print whole lines
 * each from their own buffer.
 */
#include "kit.h"

struct start_info *kit_si;
unsigned long *kit_p2m;
char kit_blocks[KIT_CPUS * KIT_STACK_SIZE] __attribute__((aligned(65536)));
static char pool[320][4096] __attribute__((aligned(4096)));
static unsigned int pool_used, passed, failed;

void *memcpy(void *d, const void *s, size_t n)
{
    void *ret = d;
    asm volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
    return ret;
}

void *memset(void *d, int c, size_t n)
{
    void *ret = d;
    asm volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
    return ret;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;
    for (; n; n--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

size_t strlen(const char *s)
{
    size_t n = 0;
    while (s[n])
        n++;
    return n;
}

char *strstr(const char *s, const char *what)
{
    size_t n = strlen(what);
    for (; *s; s++)
        if (!memcmp(s, what, n))
            return (char *)s;
    return NULL;
}

static char *put_number(char *o, uint64_t v, unsigned int base, bool neg, int width, char pad)
{
    char tmp[24];
    int n = 0;
    do {
        tmp[n++] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v);
    if (neg)
        tmp[n++] = '-';
    while (n < width && n < 20)
        tmp[n++] = pad;
    while (n)
        *o++ = tmp[--n];
    return o;
}

/* %s %c %d %u %x %ld %lu %lx, with width and zero padding; lines beyond the buffer are cut */
static int format(char *out, size_t size, const char *fmt, va_list ap)
{
    char *o = out, *end = out + size - 32;
    for (; *fmt && o < end; fmt++) {
        int width = 0, is_long = 0;
        char pad = ' ';
        if (*fmt != '%') {
            *o++ = *fmt;
            continue;
        }
        if (*++fmt == '0')
            pad = '0';
        while (*fmt >= '0' && *fmt <= '9')
            width = width * 10 + *fmt++ - '0';
        while (*fmt == 'l')
            is_long = 1, fmt++;
        if (*fmt == 's') {
            const char *s = va_arg(ap, const char *);
            while (*s && o < end)
                *o++ = *s++;
        } else if (*fmt == 'c') {
            *o++ = (char)va_arg(ap, int);
        } else if (*fmt == 'd') {
            long v = is_long ? va_arg(ap, long) : va_arg(ap, int);
            o = put_number(o, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, v < 0, width, pad);
        } else if (*fmt == 'u' || *fmt == 'x') {
            uint64_t v = is_long ? va_arg(ap, unsigned long) : va_arg(ap, unsigned int);
            o = put_number(o, v, *fmt == 'x' ? 16 : 10, false, width, pad);
        } else {
            *o++ = *fmt;
        }
    }
    return (int)(o - out);
}

static void console_write(const char *s, unsigned long n)
{
    HC3(console_io, 0 /* CONSOLEIO_write */, n, s);
}

void kit_printf(const char *fmt, ...)
{
    char buf[320];
    va_list ap;
    va_start(ap, fmt);
    console_write(buf, (unsigned long)format(buf, sizeof(buf), fmt, ap));
    va_end(ap);
}

bool kit_check(bool good, const char *name, const char *fmt, ...)
{
    char why[256];
    va_list ap;

    if (good) {
        __atomic_fetch_add(&passed, 1, __ATOMIC_RELAXED);
        kit_printf("ok %s\n", name);
        return true;
    }
    va_start(ap, fmt);
    why[format(why, sizeof(why) - 1, fmt, ap)] = 0;
    va_end(ap);
    __atomic_fetch_add(&failed, 1, __ATOMIC_RELAXED);
    kit_printf("not ok %s: %s\n", name, why);
    return false;
}

void kit_finish(void)
{
    struct sched_shutdown s = {.reason = SHUTDOWN_poweroff};

    kit_printf("GUEST-RESULT: %u passed, %u failed\n", passed, failed);
    HC2(sched_op, SCHEDOP_shutdown, &s);
    for (;;)
        ;
}

void kit_fatal(const char *why)
{
    kit_check(false, "fatal", "%s", why);
    kit_finish();
}

void *kit_page(void)
{
    unsigned int i = __atomic_fetch_add(&pool_used, 1, __ATOMIC_RELAXED);
    if (i >= sizeof(pool) / sizeof(pool[0]))
        kit_fatal("kit_page: pool empty");
    return pool[i];
}

static void map_shared_info(void)
{
    kit_shared = kit_page();
    if (update_va(kit_shared, kit_si->shared_info | PTE_KERN, UVMF_INVLPG))
        kit_fatal("cannot map the shared info page");
}

void kit_main(struct start_info *si);
void kit_main(struct start_info *si)
{
    kit_si = si;
    kit_p2m = (unsigned long *)si->mfn_list;
    map_shared_info();
    kit_traps_init();
    HC3(vcpu_op, VCPUOP_stop_periodic_timer, 0, NULL); /* a new vCPU has a 100 Hz tick */
    guest_main();
    kit_finish();
}
