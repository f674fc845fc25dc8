/* SPDX-License-Identifier: MIT */
/*
 * Searching bit arrays and reading numbers: the parts of lib.h that are the same on the PC and on
 * the target.
 */
#include "lib.h"

static uint64_t bits_search(const uint64_t *map, uint64_t nbits, uint64_t from, uint64_t invert)
{
    uint64_t word = from / 64, x;

    if (from >= nbits)
        return nbits;
    x = (READ_ONCE(map[word]) ^ invert) & (~0ULL << (from % 64));
    while (!x) {
        if (++word * 64 >= nbits)
            return nbits;
        x = READ_ONCE(map[word]) ^ invert;
    }
    word = word * 64 + bit_first(x);
    return MIN(word, nbits);
}

uint64_t find_next_bit(const uint64_t *map, uint64_t nbits, uint64_t from)
{
    return bits_search(map, nbits, from, 0);
}

uint64_t find_next_zero_bit(const uint64_t *map, uint64_t nbits, uint64_t from)
{
    return bits_search(map, nbits, from, ~0ULL);
}

uint64_t bits_count(const uint64_t *map, uint64_t nbits)
{
    uint64_t n = 0, i;

    for (i = 0; i < nbits / 64; i++)
        n += popcount64(map[i]);
    if (nbits % 64)
        n += popcount64(map[i] & (BIT(nbits % 64) - 1));
    return n;
}

static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 99;
}

uint64_t parse_u64(const char *s, const char **end)
{
    unsigned base = 10;
    uint64_t v = 0;

    if (s[0] == '0' && (s[1] | 0x20) == 'x' && digit_value(s[2]) < 16) {
        base = 16;
        s += 2;
    }
    for (; digit_value(*s) < base; s++)
        if (__builtin_mul_overflow(v, (uint64_t)base, &v) ||
            __builtin_add_overflow(v, (uint64_t)digit_value(*s), &v)) {
            while (digit_value(*s) < base)
                s++;
            v = UINT64_MAX;
            break;
        }
    if (end)
        *end = s;
    return v;
}

uint64_t parse_size(const char *s, const char **end, uint64_t unit)
{
    const char *p;
    uint64_t v = parse_u64(s, &p);

    if (p != s) {
        switch (*p | 0x20) {
        case 't':
            unit = 1ULL << 40;
            p++;
            break;
        case 'g':
            unit = 1ULL << 30;
            p++;
            break;
        case 'm':
            unit = 1ULL << 20;
            p++;
            break;
        case 'k':
            unit = 1ULL << 10;
            p++;
            break;
        case 'b':
            unit = 1;
            p++;
            break;
        }
        if (__builtin_mul_overflow(v, unit, &v))
            v = UINT64_MAX;
    }
    if (end)
        *end = p;
    return v;
}
