/* SPDX-License-Identifier: MIT */
/*
 * Memory and string functions under their standard names. The block operations are string
 * instructions written by hand, so that the compiler cannot turn a loop in memset() into a call of
 * memset(). Short copies avoid the start-up cost of those instructions. Not built on the PC, where
 * the C library (and the sanitizers' checks of its arguments) serves.
 */
#include "lib.h"

typedef uint64_t __attribute__((may_alias, aligned(1))) any64;
typedef uint32_t __attribute__((may_alias, aligned(1))) any32;

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
    char *d = dst;
    const char *s = src;
    size_t words = n / 8, rest = n % 8;

    if (n >= 8 && n <= 16) { /* two words that may overlap */
        uint64_t first = *(const any64 *)s, last = *(const any64 *)(s + n - 8);

        *(any64 *)d = first;
        *(any64 *)(d + n - 8) = last;
        return dst;
    }
    if (n == 4) {
        *(any32 *)d = *(const any32 *)s;
        return dst;
    }
    __asm__ volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(words)::"memory");
    if (rest)
        __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(rest)::"memory");
    return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
    char *d = dst;
    const char *s = src;

    if ((uintptr_t)d - (uintptr_t)s >= n) /* dst below src, or no overlap: forwards is right */
        return memcpy(dst, src, n);
    d += n - 1;
    s += n - 1;
    __asm__ volatile("std; rep movsb; cld" : "+D"(d), "+S"(s), "+c"(n)::"memory");
    return dst;
}

void *memset(void *dst, int c, size_t n)
{
    char *d = dst;
    uint64_t fill = (uint8_t)c * 0x0101010101010101ULL;
    size_t words = n / 8, rest = n % 8;

    __asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(fill) : "memory");
    if (rest)
        __asm__ volatile("rep stosb" : "+D"(d), "+c"(rest) : "a"(fill) : "memory");
    return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a, *y = b;

    for (; n >= 8 && *(const any64 *)x == *(const any64 *)y; n -= 8) {
        x += 8;
        y += 8;
    }
    for (; n; n--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

size_t strnlen(const char *s, size_t max)
{
    size_t n = 0;

    while (n < max && s[n])
        n++;
    return n;
}

/* The empty statement keeps gcc from recognising strlen() in its own body. */
size_t strlen(const char *s)
{
    const char *p = s;

    while (*p) {
        barrier();
        p++;
    }
    return (size_t)(p - s);
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n; n--, a++, b++)
        if (*a != *b || !*a)
            return (uint8_t)*a - (uint8_t)*b;
    return 0;
}

int strcmp(const char *a, const char *b)
{
    return strncmp(a, b, SIZE_MAX);
}

char *strchr(const char *s, int c)
{
    for (; *s != (char)c; s++)
        if (!*s)
            return NULL;
    return (char *)(uintptr_t)s;
}

char *strrchr(const char *s, int c)
{
    const char *last = NULL;

    do {
        if (*s == (char)c)
            last = s;
    } while (*s++);
    return (char *)(uintptr_t)last;
}

char *strstr(const char *s, const char *what)
{
    size_t n = strlen(what);

    do {
        if (!strncmp(s, what, n))
            return (char *)(uintptr_t)s;
    } while (*s++);
    return NULL;
}
