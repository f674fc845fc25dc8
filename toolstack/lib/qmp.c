/* SPDX-License-Identifier: MIT */
/* Orders to QEMU's daemons. What they say in between (events) is read over; lines and their number are bounded. */
#include "qmp.h"
#include "fault.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LINE_MAX_BYTES 65536
#define LINES_MAX 1000 /* before an answer */

struct qmp {
    int fd;
    char path[108];
    char order[64];     /* the last one */
    size_t got;         /* bytes in line[] that have been received */
    size_t used;        /* of them, those of the line given last */
    char line[LINE_MAX_BYTES];
};

/* The next line, without its end. */
static int next_line(struct qmp *q)
{
    char *end;

    memmove(q->line, q->line + q->used, q->got - q->used);
    q->got -= q->used;
    q->used = 0;
    while (!(end = memchr(q->line, '\n', q->got))) {
        ssize_t n = q->got == sizeof(q->line) ? -1 : recv(q->fd, q->line + q->got, sizeof(q->line) - q->got, 0);

        if (n <= 0)
            return fault(-EPROTO, "%s: the daemon says %s", q->path,
                         n == 0 ? "no more" : q->got == sizeof(q->line) ? "too much" : "nothing in time");
        q->got += (size_t)n;
    }
    *end = 0;
    q->used = (size_t)(end - q->line) + 1;
    return 0;
}

/* Events before the answer are passed over. */
int qmp_finish(struct qmp *q)
{
    struct json_object *e, *text;
    int rc = -EPROTO;

    for (unsigned i = 0; i < LINES_MAX; i++) {
        if (next_line(q))
            return -EPROTO;
        struct json_object *o = json_tokener_parse(q->line);
        bool object = json_object_is_type(o, json_type_object);

        if (object && json_object_object_get_ex(o, "return", NULL))
            rc = 0;
        else if (object && json_object_object_get_ex(o, "error", &e))
            rc = fault(-EREMOTEIO, "%s: %s is refused: %s", q->path, q->order,
                       json_object_object_get_ex(e, "desc", &text) ? json_object_get_string(text) : "without a word");
        json_object_put(o);
        if (rc != -EPROTO)
            return rc;
    }
    return fault(rc, "%s: %s is not answered", q->path, q->order);
}

int qmp_begin(struct qmp *q, const char *order, struct json_object *arguments)
{
    struct json_object *o = json_object_new_object();

    snprintf(q->order, sizeof(q->order), "%s", order);

    json_object_object_add(o, "execute", json_object_new_string(order));
    if (arguments)
        json_object_object_add(o, "arguments", arguments);
    const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
    size_t bytes = strlen(text);
    bool sent = send(q->fd, text, bytes, MSG_NOSIGNAL | MSG_MORE) == (ssize_t)bytes && send(q->fd, "\n", 1, MSG_NOSIGNAL) == 1;

    json_object_put(o);
    return sent ? 0 : fault(-EPIPE, "%s: the daemon does not listen", q->path);
}

int qmp_order(struct qmp *q, const char *order, struct json_object *arguments)
{
    int rc = qmp_begin(q, order, arguments);

    return rc ? rc : qmp_finish(q);
}

int qmp_open(struct qmp **out, const char *socket_path)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    struct timeval limit = { .tv_sec = QMP_SECONDS };
    struct qmp *q = calloc(1, sizeof(*q));

    *out = NULL;
    if (!q)
        return fault(-ENOMEM, "%s: no memory", socket_path);
    snprintf(to.sun_path, sizeof(to.sun_path), "%s", socket_path);
    snprintf(q->path, sizeof(q->path), "%s", socket_path);
    q->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = q->fd < 0 || setsockopt(q->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) || connect(q->fd, (struct sockaddr *)&to, sizeof(to))
                 ? fault(-errno, "%s: %s", socket_path, strerror(errno)) : 0;

    rc = rc ? rc : next_line(q); /* it greets first */
    rc = rc ? rc : qmp_order(q, "qmp_capabilities", NULL);
    if (rc)
        qmp_close(q);
    else
        *out = q;
    return rc;
}

void qmp_close(struct qmp *q)
{
    if (!q)
        return;
    if (q->fd >= 0)
        close(q->fd);
    free(q);
}
