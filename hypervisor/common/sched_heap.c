/* SPDX-License-Identifier: MIT */
/* A pairing heap of vCPUs: each has its first child, its next sibling and, backwards, its previous sibling or
 * (the first child) its parent. */
#include "sched_heap.h"

/* Two roots become one; of equals the first stays on top. */
static struct vcpu *heap_meld(struct vcpu *a, struct vcpu *b)
{
    if (!a || !b)
        return a ? a : b;
    if (vt_before(b->sched.vt, a->sched.vt)) {
        struct vcpu *t = a;

        a = b;
        b = t;
    }
    b->sched.next = a->sched.child;
    if (b->sched.next)
        b->sched.next->sched.prev = b;
    b->sched.prev = a;
    a->sched.child = b;
    return a;
}

/* A list of siblings becomes one heap: by pairs, then all of those from the last. */
static struct vcpu *heap_meld_list(struct vcpu *list)
{
    struct vcpu *pairs = NULL, *heap = NULL;

    while (list) {
        struct vcpu *a = list, *b = a->sched.next;

        list = b ? b->sched.next : NULL;
        a->sched.next = NULL;
        if (b)
            b->sched.next = NULL;
        a = heap_meld(a, b);
        a->sched.next = pairs;
        pairs = a;
    }
    while (pairs) {
        struct vcpu *a = pairs;

        pairs = a->sched.next;
        a->sched.next = NULL;
        heap = heap_meld(heap, a);
    }
    return heap;
}

void sched_heap_add(struct vcpu **root, struct vcpu *v)
{
    v->sched.child = v->sched.next = v->sched.prev = NULL;
    *root = heap_meld(*root, v);
}

void sched_heap_del(struct vcpu **root, struct vcpu *v)
{
    struct vcpu *sub = heap_meld_list(v->sched.child), *prev = v->sched.prev;

    if (v == *root) {
        *root = sub;
    } else {
        if (prev->sched.child == v)
            prev->sched.child = v->sched.next;
        else
            prev->sched.next = v->sched.next;
        if (v->sched.next)
            v->sched.next->sched.prev = prev;
        *root = heap_meld(*root, sub);
    }
    if (*root)
        (*root)->sched.prev = NULL;
    v->sched.child = v->sched.next = v->sched.prev = NULL;
}

struct vcpu *sched_heap_next(struct vcpu *v, bool into)
{
    if (into && v->sched.child)
        return v->sched.child;
    while (v) {
        if (v->sched.next)
            return v->sched.next;
        while (v->sched.prev && v->sched.prev->sched.next == v)
            v = v->sched.prev; /* back to the first sibling */
        v = v->sched.prev;     /* its parent */
    }
    return NULL;
}

struct vcpu *sched_heap_find(struct vcpu *root, unsigned most,
                             bool (*fits)(const struct vcpu *v, unsigned cpu), unsigned cpu)
{
    struct vcpu *v = root, *best = NULL;
    bool fit;

    while (v && most--) {
        fit = fits(v, cpu);
        if (fit && (!best || vt_before(v->sched.vt, best->sched.vt)))
            best = v;
        v = sched_heap_next(v, !fit);
    }
    return best;
}
