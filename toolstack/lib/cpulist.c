/* SPDX-License-Identifier: MIT */
/* Lists of CPUs. See cpulist.h. */
#include "cpulist.h"
#include "fault.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has(const uint8_t *map, unsigned cpu)
{
    return map[cpu / 8] >> cpu % 8 & 1;
}

static void set(uint8_t *map, unsigned cpu, bool on)
{
    uint8_t bit = (uint8_t)(1U << cpu % 8);

    map[cpu / 8] = on ? map[cpu / 8] | bit : map[cpu / 8] & (uint8_t)~bit;
}

/* A number of at most 5 digits at *p, which moves on; -1 if there is none. */
static int number(const char **p)
{
    int v = 0, digits = 0;

    while (isdigit((unsigned char)**p) && digits++ < 5)
        v = v * 10 + (*(*p)++ - '0');
    return digits && !isdigit((unsigned char)**p) ? v : -1;
}

/* One part: "all", "N", "N-M"; the range it names, or false. */
static bool part(const char **p, unsigned n_cpus, int *first, int *last)
{
    *first = 0;
    *last = (int)n_cpus - 1;
    if (!strncmp(*p, "all", 3)) {
        *p += 3;
        return true;
    }
    *first = *last = number(p);
    if (*first >= 0 && **p == '-') {
        ++*p;
        *last = number(p);
    }
    return *first >= 0 && *last >= *first;
}

int cpulist_parse(const char *text, unsigned n_cpus, uint8_t map[CPULIST_BYTES])
{
    const char *p = text;
    int first, last, any = 0;

    memset(map, 0, CPULIST_BYTES);
    if (n_cpus > CPULIST_BYTES * 8)
        n_cpus = CPULIST_BYTES * 8;
    do {
        p += strspn(p, " \t");
        bool except = *p == '^';

        p += except;
        if (!part(&p, n_cpus, &first, &last))
            return fault(-EINVAL, "list of CPUs '%s': wrong at '%s'; it is like 0-3,5 or all,^0", text, p);
        if ((unsigned)last >= n_cpus)
            return fault(-EINVAL, "list of CPUs '%s': there is no CPU %d, the host has %u (0-%u)", text, last, n_cpus, n_cpus - 1);
        for (int i = first; i <= last; i++)
            set(map, (unsigned)i, !except);
        p += strspn(p, " \t");
    } while (*p == ',' && *++p);
    if (*p)
        return fault(-EINVAL, "list of CPUs '%s': wrong at '%s'; it is like 0-3,5 or all,^0", text, p);
    for (unsigned i = 0; i < n_cpus; i++)
        any |= has(map, i);
    return any ? 0 : fault(-EINVAL, "list of CPUs '%s': no CPU is left in it", text);
}

void cpulist_format(const uint8_t map[CPULIST_BYTES], unsigned n_cpus, char *out, size_t size)
{
    unsigned in = 0;
    size_t at = 0;

    n_cpus = n_cpus < CPULIST_BYTES * 8 ? n_cpus : CPULIST_BYTES * 8;
    for (unsigned i = 0; i < n_cpus; i++)
        in += has(map, i);
    snprintf(out, size, "%s", in == n_cpus ? "all" : "none");
    if (!in || in == n_cpus)
        return;
    for (unsigned i = 0, from; i < n_cpus; i++) {
        if (!has(map, i))
            continue;
        for (from = i; i + 1 < n_cpus && has(map, i + 1);)
            i++;
        int n = from == i ? snprintf(out + at, size - at, "%s%u", at ? "," : "", i)
                          : snprintf(out + at, size - at, "%s%u-%u", at ? "," : "", from, i);
        if (n < 0 || (size_t)n >= size - at)
            return;
        at += (size_t)n;
    }
}
