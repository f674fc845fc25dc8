/* SPDX-License-Identifier: MIT */
/*
 * The small library: memory and strings under their standard names (on the PC the C library's own),
 * formatted printing, and bit arrays. hypervisor/lib/string.c and printf.c. No locale, no floating
 * point, no allocation.
 */
#pragma once

#include <stdarg.h>

#include "types.h"

#ifdef ZENDO_HOST
#include <stdio.h>
#include <string.h>
#else
void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *s, const char *what);
/* As C99, without %f %g %e %n %o: %d %i %u %x %X %p %s %c %% with flags - 0 + space #, width,
 * precision, *, and h hh l ll z t j. Returns the length that the whole text has, always terminates
 * when size > 0. */
int snprintf(char *buf, size_t size, const char *fmt, ...) __printf_like(3, 4);
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap) __printf_like(3, 0);
#endif

/* Copy at most size - 1 characters and terminate; returns strlen(src). size 0: nothing is written.
 */
static inline size_t lib_strlcpy(char *dst, const char *src, size_t size)
{
    size_t n = strlen(src);

    if (size) {
        size_t k = n < size ? n : size - 1;

        memcpy(dst, src, k);
        dst[k] = 0;
    }
    return n;
}
#define strlcpy lib_strlcpy

/* Unsigned number, base 10 or (after 0x) 16; *end = first character not used (s itself: no digits).
 * Overflow gives UINT64_MAX. */
uint64_t parse_u64(const char *s, const char **end);
/* The same with a size suffix K M G T (either case; B is bytes), `unit` scales a number without
 * one. */
uint64_t parse_size(const char *s, const char **end, uint64_t unit);

/* --- Bit arrays (of 64-bit words) ----------------------------------------------------------- */

/* The atomic forms order like a sequentially consistent read-modify-write. */
static inline void bit_set(uint64_t *map, uint64_t n)
{
    __atomic_fetch_or(&map[n / 64], BIT(n % 64), __ATOMIC_SEQ_CST);
}
static inline void bit_clear(uint64_t *map, uint64_t n)
{
    __atomic_fetch_and(&map[n / 64], ~BIT(n % 64), __ATOMIC_SEQ_CST);
}
static inline bool bit_test(const uint64_t *map, uint64_t n)
{
    return (READ_ONCE(map[n / 64]) >> (n % 64)) & 1;
}
static inline bool bit_test_and_set(uint64_t *map, uint64_t n)
{
    return __atomic_fetch_or(&map[n / 64], BIT(n % 64), __ATOMIC_SEQ_CST) & BIT(n % 64);
}
static inline bool bit_test_and_clear(uint64_t *map, uint64_t n)
{
    return __atomic_fetch_and(&map[n / 64], ~BIT(n % 64), __ATOMIC_SEQ_CST) & BIT(n % 64);
}
/* Not atomic: for maps that a lock protects or nobody else sees. */
static inline void bit_set_plain(uint64_t *map, uint64_t n)
{
    map[n / 64] |= BIT(n % 64);
}
static inline void bit_clear_plain(uint64_t *map, uint64_t n)
{
    map[n / 64] &= ~BIT(n % 64);
}
/* Number of the lowest and highest bit of a word that is not 0. */
static inline unsigned bit_first(uint64_t x)
{
    return (unsigned)__builtin_ctzll(x);
}
static inline unsigned bit_last(uint64_t x)
{
    return 63u - (unsigned)__builtin_clzll(x);
}
/* First set (or clear) bit at or after `from`; nbits when there is none. */
uint64_t find_next_bit(const uint64_t *map, uint64_t nbits, uint64_t from);
uint64_t find_next_zero_bit(const uint64_t *map, uint64_t nbits, uint64_t from);
static inline uint64_t find_first_bit(const uint64_t *map, uint64_t nbits)
{
    return find_next_bit(map, nbits, 0);
}
static inline uint64_t find_first_zero_bit(const uint64_t *map, uint64_t nbits)
{
    return find_next_zero_bit(map, nbits, 0);
}
/* Set bits of a word, without libgcc's table. */
static inline unsigned popcount64(uint64_t x)
{
    x -= (x >> 1) & 0x5555555555555555ULL;
    x = (x & 0x3333333333333333ULL) + ((x >> 2) & 0x3333333333333333ULL);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
    return (unsigned)((x * 0x0101010101010101ULL) >> 56);
}
uint64_t bits_count(const uint64_t *map, uint64_t nbits);

/* Smallest order with 2^order frames >= bytes. */
static inline unsigned order_of_bytes(size_t bytes)
{
    size_t frames = (bytes + FRAME_SIZE - 1) >> FRAME_SHIFT;

    return frames <= 1 ? 0 : bit_last(frames - 1) + 1;
}
