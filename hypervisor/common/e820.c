/* SPDX-License-Identifier: MIT */
/*
 * The memory map: firmware lists may be unsorted, overlapping and unaligned. e820_sanitise() turns
 * one into a sorted list without overlaps, in which RAM begins and ends at page borders and every
 * byte has the most restrictive type that any entry gave it. What does not fit into the list is
 * left out, which never turns reserved memory into RAM.
 *
 * Method: the borders of all entries are sorted and swept once, with a count of open entries for
 * each type. Boot only: uses static memory, one caller at a time.
 */
#include "boot.h"
#include "lib.h"

#define PHYS_END BIT(52) /* no processor has more physical address bits */
#define NR_RANKS 6

/* A border of an entry: at `at`, one more (delta 1) or one less (-1) entry of this rank is open. */
struct border {
    paddr_t at;
    int8_t delta;
    uint8_t rank;
};
static struct border borders[2 * BOOT_MAX_REGIONS];

/* Types by restrictiveness; unknown types become the last. */
static const uint32_t type_of_rank[NR_RANKS] = {1, 3, 4, 2, 5, 2};

static unsigned rank_of_type(uint32_t type)
{
    for (unsigned r = 0; r < NR_RANKS - 1; r++)
        if (type_of_rank[r] == type)
            return r;
    return NR_RANKS - 1;
}

static unsigned border_insert(unsigned n, paddr_t at, int delta, unsigned rank)
{
    unsigned i = n;

    while (i && borders[i - 1].at > at) {
        borders[i] = borders[i - 1];
        i--;
    }
    borders[i] = (struct border){at, (int8_t)delta, (uint8_t)rank};
    return n + 1;
}

static unsigned borders_collect(const struct boot_region *map, unsigned nr)
{
    unsigned n = 0;

    for (unsigned i = 0; i < nr; i++) {
        paddr_t start = map[i].start, end = start + map[i].size;

        if (end < start || end > PHYS_END)
            end = PHYS_END;
        if (start >= end)
            continue;
        n = border_insert(n, start, 1, rank_of_type(map[i].type));
        n = border_insert(n, end, -1, rank_of_type(map[i].type));
    }
    return n;
}

/* Append [start, end); joins the previous region if it touches and has the same type. */
static unsigned region_append(struct boot_region *map, unsigned n, unsigned max, paddr_t start,
                              paddr_t end, uint32_t type)
{
    if (n && map[n - 1].type == type && map[n - 1].start + map[n - 1].size == start) {
        map[n - 1].size += end - start;
        return n;
    }
    if (n < max)
        map[n++] = (struct boot_region){.start = start, .size = end - start, .type = type};
    return n;
}

/* RAM shrinks to whole pages; what is left of it empty goes. */
static unsigned regions_trim(struct boot_region *map, unsigned n)
{
    unsigned k = 0;

    for (unsigned i = 0; i < n; i++) {
        struct boot_region r = map[i];

        if (r.type == 1) {
            paddr_t start = ROUND_UP(r.start, FRAME_SIZE);
            paddr_t end = ROUND_DOWN(r.start + r.size, FRAME_SIZE);

            if (start >= end)
                continue;
            r.start = start;
            r.size = end - start;
        }
        map[k++] = r;
    }
    return k;
}

unsigned e820_sanitise(struct boot_region *map, unsigned nr, unsigned max)
{
    unsigned open[NR_RANKS] = {0}, n = 0, nb;

    nr = MIN(nr, (unsigned)BOOT_MAX_REGIONS);
    nb = borders_collect(map, nr);
    for (unsigned i = 0; i < nb; i++) {
        unsigned rank = NR_RANKS;

        open[borders[i].rank] += (unsigned)(int)borders[i].delta;
        if (i + 1 == nb || borders[i + 1].at == borders[i].at)
            continue;
        while (rank && !open[rank - 1])
            rank--;
        if (rank)
            n = region_append(map, n, max, borders[i].at, borders[i + 1].at,
                              type_of_rank[rank - 1]);
    }
    return regions_trim(map, n);
}
