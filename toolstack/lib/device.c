/* SPDX-License-Identifier: MIT */
/*
 * What disks and networks share: a device's directories in the store and the handshake of the two `state` nodes.
 *
 * Making:  both states 1; the backend's driver goes to 2, the frontend's to 3 or 4, then both to 4.
 * Ending:  online = 0 and the backend's state 5; the frontend follows to 6, then the backend, and the kernel drops its side.
 * A guest that is dead or will not answer: the frontend's directory goes, which its backend takes for an end as well.
 */
#include "device.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "fault.h"
#include "store.h"

#define CLOSE_AGAIN_MS 1000
#define SETTLE_MS 5000
#define LOOK_US 5000            /* at what the kernel has, when it tells nothing */
#define LOOK_FAR_US 50000       /* ... when it does */
#define LOOK_SOON_US 1000       /* ... and has just told something; then twice as long each time */

void device_init(struct device *dev, uint32_t domid, const char *kind, unsigned id)
{
    memset(dev, 0, sizeof(*dev));
    dev->domid = domid;
    dev->kind = kind;
    dev->id = id;
    snprintf(dev->front, sizeof(dev->front), "/local/domain/%u/device/%s/%u", domid, kind, id);
    snprintf(dev->back, sizeof(dev->back), "/local/domain/0/backend/%s/%u/%u", kind, domid, id);
    snprintf(dev->record, sizeof(dev->record), "/libxl/%u/device/%s/%u", domid, kind, id);
}

bool device_exists(const struct device *dev)
{
    return store_exists("%s", dev->record) || store_exists("%s", dev->back);
}

static int device_vput(const char *dir, const char *key, const char *format, va_list args)
{
    char value[STORE_PATH_MAX];

    if (vsnprintf(value, sizeof(value), format, args) >= (int)sizeof(value))
        return fault(-ENAMETOOLONG, "device %s: the value of '%s' is too long", dir, key);
    return store_put(dir, key, "%s", value);
}

int device_put_front(const struct device *dev, const char *key, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int rc = device_vput(dev->front, key, format, args);
    va_end(args);
    return rc;
}

int device_put_back(const struct device *dev, const char *key, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int rc = device_vput(dev->back, key, format, args);
    va_end(args);
    if (rc)
        return rc;
    va_start(args, format);
    rc = device_vput(dev->record, key, format, args);
    va_end(args);
    return rc;
}

int device_write_base(const struct device *dev)
{
    int rc = store_mkdir_for(dev->domid, (int)dev->backend, "%s", dev->front);

    if (!rc)
        rc = store_mkdir_for(dev->backend, (int)dev->domid, "%s", dev->back);
    if (!rc)
        rc = store_mkdir_for(0, -1, "%s", dev->record);
    if (!rc)
        rc = device_put_front(dev, "backend", "%s", dev->back);
    if (!rc)
        rc = device_put_front(dev, "backend-id", "%u", dev->backend);
    if (!rc)
        rc = device_put_front(dev, "state", "%u", DEVICE_INITIALISING);
    if (!rc)
        rc = device_put_back(dev, "frontend", "%s", dev->front);
    if (!rc)
        rc = device_put_back(dev, "frontend-id", "%u", dev->domid);
    if (!rc)
        rc = device_put_back(dev, "online", "1");
    if (!rc)
        rc = device_put_back(dev, "state", "%u", DEVICE_INITIALISING);
    if (!rc)
        rc = store_put(dev->record, "backend", "%s", dev->back);
    return rc;
}

char *device_backend_error(const struct device *dev)
{
    return store_read("/local/domain/%u/error/backend/%s/%u/%u/error", dev->backend, dev->kind, dev->domid, dev->id);
}

int device_wait_backend(const struct device *dev, unsigned timeout_ms)
{
    char path[96];

    snprintf(path, sizeof(path), "%s/state", dev->back);
    int state = store_wait_state(path, 1u << DEVICE_INIT_WAIT | 1u << DEVICE_CONNECTED | 1u << DEVICE_CLOSING | 1u << DEVICE_CLOSED,
                                 timeout_ms);
    if (state == DEVICE_INIT_WAIT || state == DEVICE_CONNECTED)
        return 0;
    if (state == -ETIMEDOUT) {
        bool disk = !strcmp(dev->kind, "vbd");
        return fault(-ENODEV, "%s %u: domain 0's kernel does not take the device; load its backend: modprobe %s",
                     disk ? "disk" : "network device", dev->id, disk ? "xen-blkback" : "xen-netback");
    }
    if (state < 0)
        return state;
    char *why = device_backend_error(dev);
    fault(-EIO, "%s %u: domain 0's backend gave up: %s", dev->kind, dev->id, why ? why : "it left no reason; see dmesg");
    free(why);
    return -EIO;
}

/* --- ending --------------------------------------------------------------------------------------------------- */

/*
 * A device leaves its bus before its driver lets go of it, and the driver still writes states then: into the nodes of the next
 * device of that number, if we go on too early. Its own directory goes last; it is in one of the latter two places.
 */
static bool device_in_kernel(const struct device *dev)
{
    static const char *const places[] = { "/sys/bus/xen-backend/devices", "/sys/devices", "/sys/devices/xen-backend" };
    char path[96];

    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s-%u-%u", places[i], dev->kind, dev->domid, dev->id);
        if (access(path, F_OK) == 0)
            return true;
    }
    return false;
}

/* The kernel's word that devices come and go. -1: there is none; then we look now and then. */
static int device_open_events(void)
{
    struct sockaddr_nl all = { .nl_family = AF_NETLINK, .nl_groups = 1 };
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

    if (fd >= 0 && bind(fd, (struct sockaddr *)&all, sizeof(all))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* What is said does not matter, only that it is time for another look. The word comes a moment before the deed: then, in a moment. */
static long device_next_look(int fd, long wait_us)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    struct timespec wait = { .tv_nsec = (fd < 0 ? LOOK_US : wait_us) * 1000 };
    char word[2048];

    if (ppoll(&p, 1, &wait, NULL) <= 0 || fd < 0)
        return wait_us * 2 < LOOK_FAR_US ? wait_us * 2 : LOOK_FAR_US;
    while (recv(fd, word, sizeof(word), 0) > 0)
        continue;
    return LOOK_SOON_US;
}

static bool device_wait_kernel(const struct device *dev, unsigned timeout_ms)
{
    uint64_t until = store_clock_ms() + timeout_ms;
    int fd = device_in_kernel(dev) ? device_open_events() : -1;
    long wait = LOOK_SOON_US;

    while (device_in_kernel(dev) && store_clock_ms() < until)
        wait = device_next_look(fd, wait);
    if (fd >= 0)
        close(fd);
    return !device_in_kernel(dev);
}

/* A backend that is gone, perhaps this moment by another's hand, must not be made again by our asking it to close. */
struct closing {
    const struct device *dev;
    bool force;
};

static int ask_to_close(const void *arg)
{
    const struct closing *c = arg;
    int rc;

    if (!store_exists("%s", c->dev->back))
        return 0;
    rc = store_put(c->dev->back, "online", "0");
    if (!rc && !c->force)
        rc = store_put(c->dev->back, "state", "%u", DEVICE_CLOSING);
    return rc;
}

static int ask_again(const void *arg)
{
    const struct device *dev = arg;
    int64_t now;

    return store_read_number(&now, "%s/state", dev->back) || now <= 0 || now > DEVICE_CLOSING ? 0
           : store_put(dev->back, "state", "%u", DEVICE_CLOSING);
}

int device_close_begin(const struct device *dev, bool force)
{
    struct closing c = { dev, force };
    int rc = store_transact(ask_to_close, &c);

    return !rc && force ? store_remove("%s", dev->front) : rc;
}

/*
 * A frontend that was just connecting when it was asked may overlook it, and its going to 4 takes the backend there too: then
 * it is asked again; a state that is written again is an event again. That can overwrite the backend's own "closed" of the same
 * moment, and nothing would change it any more: a frontend that has closed is enough. 0 when the backend is done or gone.
 */
static int device_wait_closed(const struct device *dev, unsigned timeout_ms)
{
    char path[96];
    uint64_t until = store_clock_ms() + timeout_ms;
    int64_t now;
    int state;

    snprintf(path, sizeof(path), "%s/state", dev->back);
    for (;;) {
        state = store_wait_state(path, 1u << DEVICE_CLOSED | 1u << DEVICE_GONE, CLOSE_AGAIN_MS);
        if (state != -ETIMEDOUT)
            return state < 0 ? state : 0;
        if (!store_read_number(&now, "%s/state", dev->front) && now == DEVICE_CLOSED)
            return 0;
        if (store_clock_ms() >= until)
            return fault(-EBUSY, "%s %u: the guest has not let go of it in %u s; unmount it there, try again if the guest is only busy, or use --force",
                         dev->kind, dev->id, timeout_ms / 1000);
        if ((state = store_transact(ask_again, dev)))
            return state;
    }
}

int device_close_end(const struct device *dev, bool force, unsigned timeout_ms)
{
    int rc = force ? 0 : device_wait_closed(dev, timeout_ms);

    if (rc || device_wait_kernel(dev, 2000))
        return rc;
    /* Its directory going is what a backend cannot overlook. */
    rc = store_remove("%s", dev->back);
    if (!rc && !device_wait_kernel(dev, 5000))
        rc = fault(-EBUSY, "%s %u: domain 0's backend does not let go of it; see dmesg", dev->kind, dev->id);
    return rc;
}

/*
 * Stock Linux takes it badly when a device goes while its frontend is setting it up: blkfront stops in a BUG, and with it all
 * that the guest would hear about devices. So a device that is just coming may come first; a guest that does not take it loses time.
 */
int device_settle(const struct device *dev)
{
    char path[96];

    snprintf(path, sizeof(path), "%s/state", dev->back);
    int state = store_wait_state(path, 1u << DEVICE_CONNECTED | 1u << DEVICE_CLOSING | 1u << DEVICE_CLOSED | 1u << DEVICE_GONE, SETTLE_MS);
    return state < 0 && state != -ETIMEDOUT ? state : 0;
}

int device_close(const struct device *dev, bool force, unsigned timeout_ms)
{
    int rc = force ? 0 : device_settle(dev);

    device_hurry();
    rc = rc ? rc : device_close_begin(dev, force);
    rc = rc ? rc : device_close_end(dev, force, timeout_ms);
    device_hurry_end();
    return rc;
}

int device_forget(const struct device *dev)
{
    char top[64], error[128];
    int rc, again;

    snprintf(top, sizeof(top), "/local/domain/%u/device", dev->domid);
    rc = store_remove_empty(dev->front, top);
    again = store_remove_empty(dev->back, "/local/domain/0");
    rc = rc ? rc : again;
    snprintf(error, sizeof(error), "/local/domain/%u/error/backend/%s/%u/%u", dev->backend, dev->kind, dev->domid, dev->id);
    again = store_remove_empty(error, "/local/domain/0"); /* where the kernel puts what it complains of */
    rc = rc ? rc : again;
    again = store_remove_empty(dev->record, "/libxl");
    return rc ? rc : again;
}

/* --- listing -------------------------------------------------------------------------------------------------- */

static int device_compare(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

    return x < y ? -1 : x > y;
}

int device_each(uint32_t domid, const char *kind, int (*fn)(const struct device *dev, void *arg), void *arg)
{
    unsigned n;
    int rc = store_open();
    char **names = rc ? NULL : store_list(&n, "/libxl/%u/device/%s", domid, kind);

    if (!names)
        return rc;
    unsigned *ids = calloc(n ? n : 1, sizeof(*ids));
    if (!ids) {
        free(names);
        return -ENOMEM;
    }
    for (unsigned i = 0; i < n; i++)
        ids[i] = (unsigned)strtoul(names[i], NULL, 10);
    qsort(ids, n, sizeof(*ids), device_compare);
    for (unsigned i = 0; i < n && !rc; i++) {
        struct device dev;
        device_init(&dev, domid, kind, ids[i]);
        rc = fn(&dev, arg);
    }
    free(ids);
    free(names);
    return rc;
}

const char *device_domain_name(char *out, uint32_t domid)
{
    char *name = store_read("/local/domain/%u/name", domid);

    if (name && *name)
        snprintf(out, 80, "guest '%.50s' (domain %u)", name, domid);
    else
        snprintf(out, 80, "domain %u", domid);
    free(name);
    return out;
}
