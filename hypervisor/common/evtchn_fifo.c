/* SPDX-License-Identifier: MIT */
/*
 * The FIFO ABI. After the public design paper "FIFO-based Event Channel ABI" (D. Vrabel, 2013) and the ABI
 * header: each port has a 32-bit word in pages the guest gives (event array); each vCPU has a control
 * block with 16 queue heads and a bit per queue "not empty". A queue is a list through the LINK fields:
 *
 *   control.head[q] -> word[a].LINK -> word[b].LINK -> 0        our own, private: tail[q] = b
 *
 *   we, appending p:  set LINKED in word[p]  (whoever sets it does the rest)
 *                     word[tail] still LINKED? then word[tail].LINK = p, in one cmpxchg
 *                     otherwise the guest has drained the queue: head[q] = p, ready |= q, upcall
 *   guest, taking p:  clear LINKED and LINK of word[p] together; LINK was the new head
 *
 * All words and control blocks can be rewritten by the guest at any time. So we never read LINK or head,
 * follow no list, bound every retry, and keep what we rely on (tail, fifo_last) to ourselves; tail is always a
 * port number of ours, and its word is looked up again with bounds. A guest that cheats loses its events.
 * BUSY asks a guest that changes the tail's word all the time to hold still (it then waits to unmask).
 */
#include "evtchn_private.h"
#include "log.h"
#include "logdirty.h"
#include "pgt.h"
#include "port.h"

#define WORDS_PER_PAGE (FRAME_SIZE / sizeof(event_word_t))
#define W_PENDING (1U << EVTCHN_FIFO_PENDING)
#define W_MASKED (1U << EVTCHN_FIFO_MASKED)
#define W_LINKED (1U << EVTCHN_FIFO_LINKED)
#define W_BUSY (1U << EVTCHN_FIFO_BUSY)
#define W_LINK ((uint32_t)EVTCHN_FIFO_LINK_MASK)

#define TRIES_QUIET 4 /* to change the tail's word before BUSY is set, */
#define TRIES_BUSY 64 /* and with it set */
#define TRIES_QUEUE 8 /* to catch a port that is moved between queues */

static event_word_t *fifo_word(const struct evtchn_fifo *f, uint32_t port)
{
    /* Partner: release in evtchn_fifo_expand_array(). */
    uint32_t nr = __atomic_load_n(&f->nr, __ATOMIC_ACQUIRE);
    uint32_t page = port / WORDS_PER_PAGE;

    return page < nr ? f->words[page] + port % WORDS_PER_PAGE : NULL;
}

static uint32_t word_or(event_word_t *w, uint32_t bits)
{
    return __atomic_fetch_or(w, bits, __ATOMIC_SEQ_CST);
}
static uint32_t word_and(event_word_t *w, uint32_t bits)
{
    return __atomic_fetch_and(w, bits, __ATOMIC_SEQ_CST);
}

/* Up to `tries` attempts to put `port` into the LINK of a word that is LINKED. 1 done, 0 not LINKED (any
 * more), -1 the guest keeps changing it. */
static int word_link(event_word_t *w, uint32_t port, unsigned tries)
{
    uint32_t old = READ_ONCE(*w);

    while (tries--) {
        if (!(old & W_LINKED))
            return 0;
        if (__atomic_compare_exchange_n(w, &old, (old & ~(W_BUSY | W_LINK)) | port, false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            return 1;
    }
    return -1;
}

static bool fifo_link_after(const struct evtchn_fifo *f, uint32_t tail, uint32_t port)
{
    event_word_t *w = tail ? fifo_word(f, tail) : NULL;
    int done;

    if (!w)
        return false;
    done = word_link(w, port, TRIES_QUIET);
    if (done >= 0)
        return done;
    word_or(w, W_BUSY);
    done = word_link(w, port, TRIES_BUSY);
    if (done <= 0)
        word_and(w, ~W_BUSY);
    return done > 0;
}

/*
 * Set LINKED for the port, and take it off our books for the queue where it was last: if it was the tail
 * there, that queue was drained (it could not have lost LINKED otherwise), and its word must not be linked
 * to from there any more. true: we are the one to append it to queue `want`.
 */
static bool fifo_claim(struct domain *d, struct evtchn *ch, event_word_t *w, uint32_t want)
{
    for (unsigned i = 0; i < TRIES_QUEUE; i++) {
        uint32_t last = READ_ONCE(ch->fifo_last);
        struct evtchn_vcpu *ev = d->vcpu[last >> 8]->evtchn;
        bool mine;

        spin_lock(&ev->lock);
        if (last != READ_ONCE(ch->fifo_last)) {
            spin_unlock(&ev->lock);
            continue;
        }
        mine = !(word_or(w, W_LINKED) & W_LINKED);
        if (mine) {
            word_and(w, ~W_LINK); /* nobody follows it before it is appended */
            if (ev->tail[last & 15] == ch->port)
                ev->tail[last & 15] = 0;
            WRITE_ONCE(ch->fifo_last, want);
        }
        spin_unlock(&ev->lock);
        return mine;
    }
    return false;
}

static void fifo_append(struct vcpu *v, const struct evtchn_fifo *f, unsigned q, uint32_t port)
{
    struct evtchn_vcpu *ev = v->evtchn;
    bool news = false;

    spin_lock(&ev->lock);
    if (ev->control) {
        if (!fifo_link_after(f, ev->tail[q], port)) {
            WRITE_ONCE(ev->control->head[q], port);
            news = !(__atomic_fetch_or(&ev->control->ready, 1U << q, __ATOMIC_SEQ_CST) >> q & 1);
        }
        ev->tail[q] = port;
    }
    spin_unlock(&ev->lock);
    if (news)
        evtchn_mark_vcpu(v);
}

/* The port is pending: have it on a queue unless it is masked or on one. */
static void fifo_queue(struct domain *d, const struct evtchn_fifo *f, struct evtchn *ch,
                       event_word_t *w)
{
    struct vcpu *v = domain_vcpu(d, READ_ONCE(ch->vcpu));
    unsigned q = READ_ONCE(ch->priority);

    if (READ_ONCE(*w) & (W_MASKED | W_LINKED))
        return;
    if (!v || !d->vcpu[0] || !READ_ONCE(v->evtchn->control))
        return; /* the guest has not finished setting up: stays pending, not linked */
    if (fifo_claim(d, ch, w, (uint32_t)v->id << 8 | q))
        fifo_append(v, f, q, ch->port);
}

void evtchn_fifo_set_pending(struct domain *d, struct evtchn_fifo *f, struct evtchn *ch)
{
    event_word_t *w = fifo_word(f, ch->port);
    uint32_t old;

    if (!w) {
        old = __atomic_exchange_n(&ch->early, 1, __ATOMIC_SEQ_CST);
        /* The page may have come just now, its adder having looked at `early` before. */
        w = fifo_word(f, ch->port);
        if (!w) {
            if (!old)
                vcpu_poll_wake(d, ch->port);
            return;
        }
        __atomic_store_n(&ch->early, 0, __ATOMIC_SEQ_CST);
    }
    old = word_or(w, W_PENDING);
    fifo_queue(d, f, ch, w);
    if (!(old & W_PENDING))
        vcpu_poll_wake(d, ch->port);
}

void evtchn_fifo_clear_pending(struct evtchn_fifo *f, struct evtchn *ch)
{
    event_word_t *w = fifo_word(f, ch->port);

    __atomic_store_n(&ch->early, 0, __ATOMIC_SEQ_CST);
    if (w)
        word_and(w, ~W_PENDING);
}

void evtchn_fifo_unmask(struct domain *d, struct evtchn_fifo *f, struct evtchn *ch)
{
    event_word_t *w = fifo_word(f, ch->port);

    if (w && word_and(w, ~W_MASKED) & W_PENDING)
        fifo_queue(d, f, ch, w);
}

bool evtchn_fifo_is_pending(const struct evtchn_fifo *f, const struct evtchn *ch)
{
    const event_word_t *w = fifo_word(f, ch->port);

    return w ? READ_ONCE(*w) & W_PENDING : READ_ONCE(ch->early);
}

bool evtchn_fifo_is_masked(const struct evtchn_fifo *f, uint32_t port)
{
    const event_word_t *w = fifo_word(f, port);

    return !w || (READ_ONCE(*w) & W_MASKED);
}

bool evtchn_fifo_is_linked(const struct evtchn_fifo *f, uint32_t port)
{
    const event_word_t *w = fifo_word(f, port);

    return w && (READ_ONCE(*w) & W_LINKED);
}

/* A frame of d that will be written by both sides: for PV the guest's number is the machine's. */
static struct page *fifo_page_get(const struct domain *d, uint64_t frame)
{
    struct page *pg;

    if (!mfn_valid(mfn(frame)))
        return NULL;
    pg = page_of(mfn(frame));
    if (pgt_get_page(pg, d, PGT_WRITABLE, false))
        return NULL;
    page_writer_add(pg);
    return pg;
}

static void fifo_page_put(struct page *pg)
{
    page_writer_drop(pg);
    pgt_put_page(pg, false);
}

/* From two-level to FIFO. Events now pending are remembered until the guest gives their array page. */
static int fifo_enable_locked(struct domain *d)
{
    struct evtchn_domain *ed = d->evtchn;
    struct evtchn_fifo *f;

    if (ed->fifo)
        return 0;
    f = zalloc(sizeof(*f));
    if (!f)
        return -XEN_ENOMEM;
    for (uint32_t port = 1; port < MIN(ed->nr_ports, EVTCHN_2L_NR_CHANNELS); port++)
        WRITE_ONCE(evtchn_find(d, port)->early, evtchn_2l_is_pending(d, port));
    __atomic_store_n(&ed->fifo, f, __ATOMIC_RELEASE);
    return 0;
}

int evtchn_fifo_init_control(struct domain *d, const struct evtchn_init_control *ic)
{
    struct evtchn_domain *ed = d->evtchn;
    struct vcpu *v = domain_vcpu(d, ic->vcpu);
    struct evtchn_vcpu *ev;
    struct page *pg;
    int rc = -XEN_EINVAL;

    if (!v)
        return -XEN_ENOENT;
    if (ic->offset % 8 || ic->offset > FRAME_SIZE - sizeof(struct evtchn_fifo_control_block))
        return -XEN_EINVAL;
    pg = fifo_page_get(d, ic->control_gfn);
    if (!pg)
        return -XEN_EINVAL;
    ev = v->evtchn;
    spin_lock(&ed->lock);
    if (!ed->dying && !ev->control)
        rc = fifo_enable_locked(d);
    if (!rc) {
        spin_lock(&ev->lock);
        ev->control_page = pg;
        WRITE_ONCE(ev->control, (void *)((char *)map_frame(mfn_of(pg)) + ic->offset));
        spin_unlock(&ev->lock);
    }
    spin_unlock(&ed->lock);
    if (rc)
        fifo_page_put(pg);
    return rc;
}

/* The words [port, port + WORDS_PER_PAGE) exist now: deliver what came too early. d's lock held. */
static void fifo_raise_early(struct domain *d, uint32_t port)
{
    for (unsigned i = 0; i < WORDS_PER_PAGE; i++) {
        struct evtchn *ch = evtchn_find(d, port + i);

        if (!ch)
            break;
        if (!__atomic_exchange_n(&ch->early, 0, __ATOMIC_SEQ_CST))
            continue;
        spin_lock(&ch->lock);
        if (ch->state > ECS_RESERVED)
            evtchn_set_pending(d, ch);
        spin_unlock(&ch->lock);
    }
}

int evtchn_fifo_expand_array(struct domain *d, uint64_t array_gfn)
{
    struct evtchn_domain *ed = d->evtchn;
    struct page *pg = fifo_page_get(d, array_gfn);
    struct evtchn_fifo *f;
    int rc = -XEN_EINVAL;

    if (!pg)
        return rc;
    spin_lock(&ed->lock);
    f = ed->fifo;
    if (!f) {
        rc = -XEN_EOPNOTSUPP;
    } else if (f->nr >= ARRAY_SIZE(f->words)) {
        rc = -XEN_ENOSPC;
    } else {
        f->page[f->nr] = pg;
        f->words[f->nr] = map_frame(mfn_of(pg));
        __atomic_store_n(&f->nr, f->nr + 1, __ATOMIC_SEQ_CST);
        fifo_raise_early(d, (f->nr - 1) * (uint32_t)WORDS_PER_PAGE);
        rc = 0;
    }
    spin_unlock(&ed->lock);
    if (rc)
        fifo_page_put(pg);
    return rc;
}

/* Takes effect when the port is next put on a queue. */
int evtchn_fifo_set_priority(struct domain *d, uint32_t port, uint32_t priority)
{
    struct evtchn *ch = evtchn_find(d, port);
    int rc = -XEN_EINVAL;

    if (!READ_ONCE(d->evtchn->fifo))
        return -XEN_ENOSYS;
    if (!ch || priority > EVTCHN_FIFO_PRIORITY_MIN)
        return rc;
    spin_lock(&ch->lock);
    if (ch->state > ECS_RESERVED) {
        WRITE_ONCE(ch->priority, (uint8_t)priority);
        rc = 0;
    }
    spin_unlock(&ch->lock);
    return rc;
}

void evtchn_fifo_destroy_locked(struct domain *d)
{
    struct evtchn_domain *ed = d->evtchn;
    struct evtchn_fifo *f = ed->fifo;

    BUG_ON(ed->active);
    if (!f)
        return;
    for (struct evtchn_vcpu *ev = ed->vcpus; ev; ev = ev->next) {
        if (!ev->control)
            continue;
        spin_lock(&ev->lock);
        unmap_frame((void *)((uintptr_t)ev->control & FRAME_MASK));
        WRITE_ONCE(ev->control, NULL);
        for (unsigned q = 0; q < EVTCHN_FIFO_MAX_QUEUES; q++)
            ev->tail[q] = 0;
        spin_unlock(&ev->lock);
        fifo_page_put(ev->control_page);
        ev->control_page = NULL;
    }
    WRITE_ONCE(ed->fifo, NULL);
    for (unsigned i = 0; i < f->nr; i++) {
        unmap_frame(f->words[i]);
        fifo_page_put(f->page[i]);
    }
    zfree(f);
}
