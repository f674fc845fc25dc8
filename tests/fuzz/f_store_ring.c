/* SPDX-License-Identifier: MIT */
/*
 * A hostile guest's ring: the input writes anywhere into the page between steps.
 * sources: toolstack/xenstored/strmap.c toolstack/xenstored/tree.c toolstack/xenstored/kids.c toolstack/xenstored/watch.c toolstack/xenstored/owner.c toolstack/xenstored/trans.c toolstack/xenstored/edit.c toolstack/xenstored/xstore.c toolstack/xenstored/forget.c toolstack/xenstored/conn.c toolstack/xenstored/proto.c toolstack/xenstored/proto_dom.c toolstack/xenstored/ring.c
 */
#include <stddef.h>
#include <stdint.h>

#include "../unit/store_env.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct xenstore_domain_interface page;
    struct ring ring = { .page = &page };
    struct conn c;
    size_t i = 0, k, len;
    bool notify = false;

    memset(&page, 0, sizeof page);
    env_start();
    env_conn(&c, 1);
    store_mkdir(&store, &zero, NULL, "/local/domain/1");
    ring_start(&ring);
    /* A command byte: append bytes as a client would, or overwrite a field, or run. */
    while (i + 2 <= size) {
        uint8_t command = data[i++];

        len = data[i++];
        if (command < 160) {
            for (k = 0; k < len && i < size; k++)
                page.req[MASK_XENSTORE_IDX(page.req_prod++)] = (char)data[i++];
        } else if (command < 176 && i + 4 <= size) {
            memcpy((char *)&page + 2048 + len % 7 * 4, data + i, 4);
            i += 4;
        } else if (command < 192) {
            page.rsp_cons = page.rsp_prod;
        } else if (command < 200) {
            page.connection = XENSTORE_RECONNECT;
        }
        for (k = 0; k < 8u && ring_step(&ring, &c, &notify); k++)
            ;
    }
    conn_reset(&c);
    if (store_check(&store))
        abort();
    store_free(&store);
    return 0;
}
