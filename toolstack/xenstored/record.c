/* SPDX-License-Identifier: MIT */
/* Records of the state file, written into memory and read from it. */
#include "record.h"
#include "strmap.h"
#include <string.h>

void record_put(struct record_out *o, const void *data, size_t len)
{
    if (o->len + len > o->room) {
        o->room = (o->len + len) * 2 + 4096;
        o->data = xrealloc(o->data, o->room);
    }
    if (len)
        memcpy(o->data + o->len, data, len);
    o->len += len;
}

void record_begin(struct record_out *o, char type)
{
    uint32_t len = 0;

    o->start = o->len;
    record_value(o, len);
    record_value(o, type);
}

void record_text(struct record_out *o, const char *text)
{
    record_put(o, text, strlen(text) + 1);
}

void record_end(struct record_out *o)
{
    uint32_t len = (uint32_t)(o->len - o->start - sizeof len);

    memcpy(o->data + o->start, &len, sizeof len);
}

char record_next(const char **file, const char *end, struct record_in *in, bool *torn)
{
    uint32_t len;

    *torn = *file != end;
    if ((size_t)(end - *file) < sizeof len + 1)
        return 0;
    memcpy(&len, *file, sizeof len);
    if (!len || len > (size_t)(end - *file) - sizeof len)
        return 0;
    *torn = false;
    *in = (struct record_in){ .at = *file + sizeof len + 1, .end = *file + sizeof len + len };
    *file = in->end;
    return in->at[-1];
}

void record_get(struct record_in *in, void *data, size_t len)
{
    if ((size_t)(in->end - in->at) < len) {
        in->bad = true;
        memset(data, 0, len);
        return;
    }
    memcpy(data, in->at, len);
    in->at += len;
}

const char *record_get_text(struct record_in *in)
{
    size_t len = strnlen(in->at, (size_t)(in->end - in->at));
    const char *text = in->at;

    if (in->at + len == in->end) {
        in->bad = true;
        return "";
    }
    in->at += len + 1;
    return text;
}
