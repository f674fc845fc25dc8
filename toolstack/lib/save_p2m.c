/* SPDX-License-Identifier: MIT */
/*
 * The guest's list of pages, and the way back from a frame to its page. The way back is made from the list and not read from the
 * machine's table (M2P): its cost goes with the guest's size and not with the host's. A guest that lists a frame twice would not fit
 * where it is restored, so it is refused when it is suspended; while it runs a frame can be met twice because it moved on meanwhile.
 */
#include "fault.h"
#include "guest_p2m.h"
#include "save_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* The guest marks holes, identity and foreign pages by the two upper bits. */
bool save_p2m_valid(xen_pfn_t mfn)
{
    return mfn && !(mfn >> 52);
}

/* The guest may write any numbers into its list: without the secret it cannot find many that fall into one slot. */
static uint64_t hash(const struct save *s, xen_pfn_t mfn)
{
    uint64_t h = mfn * s->secret;

    return (h ^ h >> 32) * 0x9e3779b97f4a7c15ULL >> 20;
}

uint64_t save_p2m_find(const struct save *s, xen_pfn_t mfn)
{
    uint64_t i = hash(s, mfn) & s->slot_mask;

    while (s->slot[i] && s->p2m[s->slot[i] - 1] != mfn)
        i = (i + 1) & s->slot_mask;
    return s->slot[i] ? s->slot[i] - 1 : SAVE_NONE;
}

static int twice(const struct save *s, uint64_t pfn, uint64_t other)
{
    return fault(-EINVAL, "domain %u: its list of pages has frame %#llx twice (pages %#llx and %#llx); its kernel is at fault", s->domid,
                 (unsigned long long)s->p2m[pfn], (unsigned long long)other, (unsigned long long)pfn);
}

static int insert_all(struct save *s, bool last)
{
    memset(s->slot, 0, (s->slot_mask + 1) * sizeof(*s->slot));
    for (uint64_t pfn = 0; pfn < s->n_pages; pfn++) {
        if (!save_p2m_valid(s->p2m[pfn]))
            continue;
        uint64_t i = hash(s, s->p2m[pfn]) & s->slot_mask;

        while (s->slot[i] && s->p2m[s->slot[i] - 1] != s->p2m[pfn])
            i = (i + 1) & s->slot_mask;
        if (s->slot[i] && last)
            return twice(s, pfn, s->slot[i] - 1);
        if (s->slot[i])
            s->p2m[pfn] = ~0ULL; /* comes with a later round */
        else
            s->slot[i] = (uint32_t)pfn + 1;
    }
    return 0;
}

static int make_room(struct save *s, uint64_t pages)
{
    uint64_t slots = 1024;

    while (slots < pages * 2)
        slots *= 2;
    s->slot_mask = slots - 1;
    s->slot = malloc(slots * sizeof(*s->slot));
    s->sent = calloc(pages, sizeof(*s->sent));
    s->stale = calloc(pages / 64 + 1, sizeof(*s->stale));
    s->n_pages = pages;
    if (getrandom(&s->secret, sizeof(s->secret), 0) != (ssize_t)sizeof(s->secret))
        return fault(-errno, "domain %u: saving: no random number", s->domid);
    s->secret |= 1;
    return s->slot && s->sent && s->stale ? 0 : fault(-ENOMEM, "domain %u: no memory for the list of its pages", s->domid);
}

/*
 * Where a page was last sent from is not where it is now: it has moved, or gone; or it had gone and is there again, which the log may
 * have told with a round that did not yet find it in the list.
 */
void save_p2m_mark(struct save *s, uint64_t pfn)
{
    uint64_t bit = 1ULL << pfn % 64;
    bool stale = s->sent[pfn] != (save_p2m_valid(s->p2m[pfn]) ? s->p2m[pfn] : 0);

    s->stale[pfn / 64] = stale ? s->stale[pfn / 64] | bit : s->stale[pfn / 64] & ~bit;
}

int save_p2m_read(struct save *s, bool last, xen_pfn_t **frames)
{
    xen_pfn_t *mfns, *leaves;
    uint64_t pages;
    int rc = guest_p2m_read_frames(s->c, s->domid, &mfns, &pages, &leaves);

    if (!rc && s->n_pages && pages != s->n_pages)
        rc = fault(-EAGAIN, "domain %u: its list of pages has changed its size while it was saved; try again", s->domid);
    else if (!rc && !s->n_pages)
        rc = make_room(s, pages);
    if (rc) {
        free(mfns);
        free(leaves);
        return rc;
    }
    bool same = s->p2m && !memcmp(s->p2m, mfns, pages * sizeof(*mfns));

    free(s->p2m);
    s->p2m = mfns;
    if (frames)
        *frames = leaves;
    else
        free(leaves);
    if (same)
        return 0;
    rc = insert_all(s, last);
    for (uint64_t pfn = 0; pfn < pages && !rc; pfn++)
        save_p2m_mark(s, pfn);
    return rc;
}
