/* SPDX-License-Identifier: MIT */
/* Control calls about the console: its ring, and debug keys as if they had been typed. */
#include "console.h"
#include "lib.h"
#include "port.h"
#include "sysctl.h"

#define HANDLE(h) guest_ptr((uint64_t)(uintptr_t)(h).p)
#define CHUNK 512
#define READ_MAX (4U << 20) /* in one call; who wants more asks on from `index` */
#define KEYS_MAX 64

/* Without `incremental` from the oldest character that is there; what comes in meanwhile counts. `clear` empties the
 * ring, also of what did not fit. */
long sysctl_readconsole(struct vcpu *v, struct xen_sysctl *op)
{
    struct xen_sysctl_readconsole *a = &op->u.readconsole;
    uint32_t index = a->incremental ? a->index : console_ring_start(), done = 0;
    uint32_t room = MIN(a->count, READ_MAX);
    char text[CHUNK];

    while (done < room) {
        size_t n = console_ring_read(text, MIN(room - done, (uint32_t)CHUNK), &index, false);

        if (!n)
            break;
        if (copy_to_guest(guest_ptr_add(HANDLE(a->buffer), done), text, n))
            return -XEN_EFAULT;
        done += (uint32_t)n;
    }
    if (a->clear)
        console_ring_read(text, 0, &index, true);
    a->count = done;
    a->index = index;
    return 0;
}

/* Each acts soon, as when it is typed; the answers are in the ring. */
long sysctl_debug_keys(struct vcpu *v, struct xen_sysctl *op)
{
    const struct xen_sysctl_debug_keys *a = &op->u.debug_keys;
    char keys[KEYS_MAX];

    if (a->nr_keys > KEYS_MAX)
        return -XEN_E2BIG;
    if (copy_from_guest(keys, HANDLE(a->keys), a->nr_keys))
        return -XEN_EFAULT;
    for (unsigned i = 0; i < a->nr_keys; i++)
        key_pressed(keys[i]);
    return 0;
}
