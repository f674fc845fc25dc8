/* SPDX-License-Identifier: MIT */
/*
 * The kernel's network block devices: a connection to a server is made here and handed to the kernel by netlink, which can also give a device
 * another connection in place of one that has died. Its users notice nothing but a delay: so an image can be taken from under a guest
 * for a moment and given back.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/nbd.h>
#include <linux/nbd-netlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "disk_private.h"
#include "fault.h"
#include "netlink.h"

/* --- the server: fixed newstyle negotiation, the default export ---------------------------------------------------------- */

#define MAGIC_HELLO 0x4e42444d41474943ULL   /* "NBDMAGIC" */
#define MAGIC_OPTION 0x49484156454f5054ULL  /* "IHAVEOPT" */
#define FLAG_FIXED 1U
#define FLAG_NO_ZEROES 2U
#define OPTION_EXPORT_NAME 1U

static int get(int fd, void *to, size_t n)
{
    return recv(fd, to, n, MSG_WAITALL) == (ssize_t)n ? 0 : -EPROTO;
}

static int negotiate(int fd, struct nbd_export *e)
{
    struct __attribute__((packed)) { uint64_t magic, option; uint16_t flags; } hello;
    struct __attribute__((packed)) { uint32_t flags; uint64_t magic; uint32_t option, bytes; } ask;
    struct __attribute__((packed)) { uint64_t bytes; uint16_t flags; } is;
    char zeroes[124];
    int rc = get(fd, &hello, sizeof(hello));

    if (rc || be64toh(hello.magic) != MAGIC_HELLO || be64toh(hello.option) != MAGIC_OPTION || !(be16toh(hello.flags) & FLAG_FIXED))
        return -EPROTO;
    uint32_t flags = be16toh(hello.flags) & (FLAG_FIXED | FLAG_NO_ZEROES);

    ask.flags = htobe32(flags);
    ask.magic = htobe64(MAGIC_OPTION);
    ask.option = htobe32(OPTION_EXPORT_NAME);
    ask.bytes = 0;
    if (send(fd, &ask, sizeof(ask), MSG_NOSIGNAL) != sizeof(ask) || get(fd, &is, sizeof(is)))
        return -EPROTO;
    e->bytes = be64toh(is.bytes);
    e->flags = be16toh(is.flags);
    return flags & FLAG_NO_ZEROES ? 0 : get(fd, zeroes, sizeof(zeroes));
}

int nbd_connect(const char *socket_path, struct nbd_export *e)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    struct timeval limit = { .tv_sec = 20 }, never = { 0 };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

    if (fd < 0)
        return fault(-errno, "%s: %s", socket_path, strerror(errno));
    snprintf(to.sun_path, sizeof(to.sun_path), "%s", socket_path);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    rc = connect(fd, (struct sockaddr *)&to, sizeof(to)) ? -errno : negotiate(fd, e);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &never, sizeof(never)); /* the kernel would take it for its own */
    if (!rc)
        return fd;
    close(fd);
    return fault(rc, "%s: qemu-nbd does not serve there: %s", socket_path, strerror(-rc));
}

/* --- the kernel -------------------------------------------------------------------------------------------------------------- */

static int take_family(struct nlmsghdr *h, void *arg)
{
    struct rtattr *table[CTRL_ATTR_MAX + 1];

    if (h->nlmsg_len < NLMSG_LENGTH(GENL_HDRLEN))
        return 0;
    nl_parse(table, CTRL_ATTR_MAX, (struct rtattr *)(void *)((char *)NLMSG_DATA(h) + GENL_HDRLEN), h->nlmsg_len - NLMSG_LENGTH(GENL_HDRLEN));
    if (table[CTRL_ATTR_FAMILY_ID] && RTA_PAYLOAD(table[CTRL_ATTR_FAMILY_ID]) == sizeof(uint16_t))
        memcpy(arg, RTA_DATA(table[CTRL_ATTR_FAMILY_ID]), sizeof(uint16_t));
    return 0;
}

/* The number under which the kernel takes messages for nbd; 0: it has none. */
static uint16_t nbd_family(void)
{
    static uint16_t family;
    struct genlmsghdr g = { .cmd = CTRL_CMD_GETFAMILY, .version = 1 };
    struct nl_message m;

    if (family)
        return family;
    nl_begin(&m, GENL_ID_CTRL, 0, &g, sizeof(g));
    m.protocol = NETLINK_GENERIC;
    nl_put_text(&m, CTRL_ATTR_FAMILY_NAME, NBD_GENL_FAMILY_NAME);
    if (nl_ask(&m, take_family, &family, "network block devices"))
        family = 0;
    return family;
}

static int nbd_begin(struct nl_message *m, uint8_t command, int number)
{
    struct genlmsghdr g = { .cmd = command, .version = NBD_GENL_VERSION };
    uint16_t family = nbd_family();

    if (!family)
        return fault(-EOPNOTSUPP, "disk: domain 0's kernel has no network block devices: modprobe nbd");
    nl_begin(m, family, 0, &g, sizeof(g));
    m->protocol = NETLINK_GENERIC;
    nl_put_u32(m, NBD_ATTR_INDEX, (uint32_t)number);
    return 0;
}

static void put_u64(struct nl_message *m, uint16_t type, uint64_t value)
{
    nl_put(m, type, &value, sizeof(value));
}

static void put_socket(struct nl_message *m, int fd)
{
    size_t list = nl_nest(m, NBD_ATTR_SOCKETS | NLA_F_NESTED), item = nl_nest(m, NBD_SOCK_ITEM | NLA_F_NESTED);

    nl_put_u32(m, NBD_SOCK_FD, (uint32_t)fd);
    nl_nest_end(m, item);
    nl_nest_end(m, list);
}

int nbd_link_add(int number, int fd, const struct nbd_export *e)
{
    struct nl_message m;
    int rc = nbd_begin(&m, NBD_CMD_CONNECT, number);

    if (rc)
        return rc;
    put_u64(&m, NBD_ATTR_SIZE_BYTES, e->bytes);
    put_u64(&m, NBD_ATTR_BLOCK_SIZE_BYTES, 512);
    put_u64(&m, NBD_ATTR_SERVER_FLAGS, e->flags);
    put_u64(&m, NBD_ATTR_DEAD_CONN_TIMEOUT, NBD_WAIT_SECONDS);
    put_socket(&m, fd);
    return nl_request(&m, "/dev/nbd%d: cannot be connected", number);
}

int nbd_link_replace(int number, int fd)
{
    struct nl_message m;
    int rc = nbd_begin(&m, NBD_CMD_RECONFIGURE, number);

    if (rc)
        return rc;
    put_socket(&m, fd);
    return nl_request(&m, "/dev/nbd%d: cannot be connected again", number);
}

int nbd_link_remove(int number)
{
    struct nl_message m;
    int rc = nbd_begin(&m, NBD_CMD_DISCONNECT, number);

    return rc ? rc : nl_request(&m, "/dev/nbd%d: cannot be disconnected", number);
}
