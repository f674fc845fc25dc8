/* SPDX-License-Identifier: MIT */
/* Many nodes read at once, by the store's protocol on a connection of its own. See store_many.h. */
#include "store_many.h"
#include "fault.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <xen/io/xs_wire.h>

#define BATCH 128U /* requests on their way: they and their answers fit into the sockets' buffers, so nobody waits for the other */

int store_connect(void)
{
    const char *path = getenv("XENSTORED_PATH");
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(to.sun_path, sizeof(to.sun_path), "%s", path ? path : "/var/run/xenstored/socket");
    if (fd >= 0 && !connect(fd, (struct sockaddr *)&to, sizeof(to)))
        return fd;
    int rc = fault(-errno, "xenstored does not answer (%s): start xenstored, as root in domain 0", strerror(errno));

    if (fd >= 0)
        close(fd);
    return rc;
}

static int many_broken(void)
{
    return fault(-EPIPE, "store: xenstored ended the connection or does not speak its protocol");
}

static int write_all(int fd, const void *data, size_t bytes)
{
    const char *p = data;

    while (bytes) {
        ssize_t n = send(fd, p, bytes, MSG_NOSIGNAL);

        if (n < 0 && errno != EINTR)
            return many_broken();
        p += n > 0 ? n : 0;
        bytes -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* What has come and is not taken yet: answers are small and many, a system call for each would be most of the work. */
struct incoming {
    int fd;
    size_t at, len;
    char bytes[16384];
};

static int read_all(struct incoming *in, void *data, size_t bytes)
{
    char *p = data;

    while (bytes) {
        ssize_t n = in->at < in->len ? (ssize_t)(in->len - in->at) : read(in->fd, in->bytes, sizeof(in->bytes));

        if (n == 0 || (n < 0 && errno != EINTR))
            return many_broken();
        if (n < 0)
            continue;
        if (in->at == in->len) {
            in->at = 0;
            in->len = (size_t)n;
        }
        size_t part = in->len - in->at < bytes ? in->len - in->at : bytes;

        memcpy(p, in->bytes + in->at, part);
        in->at += part;
        p += part;
        bytes -= part;
    }
    return 0;
}

static int send_requests(int fd, const char *const *paths, unsigned n)
{
    size_t size = 0, at = 0;

    for (unsigned i = 0; i < n; i++)
        size += sizeof(struct xsd_sockmsg) + strlen(paths[i]) + 1;
    char *buf = malloc(size);

    if (!buf)
        return fault(-ENOMEM, "store: no memory");
    for (unsigned i = 0; i < n; i++) {
        struct xsd_sockmsg m = { .type = XS_READ, .req_id = i, .len = (uint32_t)strlen(paths[i]) + 1 };

        memcpy(buf + at, &m, sizeof(m));
        memcpy(buf + at + sizeof(m), paths[i], m.len);
        at += sizeof(m) + m.len;
    }
    int rc = write_all(fd, buf, size);

    free(buf);
    return rc;
}

/* One answer: its number says to which request. A refusal (no such node) leaves NULL. */
static int take_answer(struct incoming *in, char **values, unsigned n)
{
    struct xsd_sockmsg m;
    int rc = read_all(in, &m, sizeof(m));

    if (rc || m.len > XENSTORE_PAYLOAD_MAX || m.req_id >= n || values[m.req_id])
        return rc ? rc : many_broken();
    char *text = malloc((size_t)m.len + 1);

    if (!text)
        return fault(-ENOMEM, "store: no memory");
    text[m.len] = 0;
    rc = read_all(in, text, m.len);
    if (!rc && m.type == XS_READ)
        values[m.req_id] = text;
    else
        free(text);
    return rc;
}

int store_read_many(const char *const *paths, unsigned n, char **values)
{
    int fd = store_connect(), rc = fd < 0 ? fd : 0;
    struct incoming in = { .fd = fd, .len = 0 };

    memset(values, 0, n * sizeof(*values));
    for (unsigned done = 0; done < n && !rc; done += BATCH) {
        unsigned now = n - done < BATCH ? n - done : BATCH;

        rc = send_requests(fd, paths + done, now);
        for (unsigned i = 0; i < now && !rc; i++)
            rc = take_answer(&in, values + done, now);
    }
    if (fd >= 0)
        close(fd);
    for (unsigned i = 0; i < n && rc; i++) {
        free(values[i]);
        values[i] = NULL;
    }
    return rc;
}
