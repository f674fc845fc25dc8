/* SPDX-License-Identifier: MIT */
/*
 * Requests of two domains and domain 0, mixed: each record of the input is who, type, transaction, length, payload.
 * After each input the store is counted anew.
 * sources: toolstack/xenstored/strmap.c toolstack/xenstored/tree.c toolstack/xenstored/kids.c toolstack/xenstored/watch.c toolstack/xenstored/owner.c toolstack/xenstored/trans.c toolstack/xenstored/edit.c toolstack/xenstored/xstore.c toolstack/xenstored/forget.c toolstack/xenstored/conn.c toolstack/xenstored/proto.c toolstack/xenstored/proto_dom.c
 */
#include <stddef.h>
#include <stdint.h>

#include "../unit/store_env.h"

static void drain(struct conn *c)
{
    const char *bytes;
    size_t n;

    while ((n = conn_pending(c, &bytes)))
        conn_sent(c, n > 100 ? 100 : n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct perm home[2] = { { 1, PERM_READ }, { 2, PERM_BOTH } };
    struct conn c[3];
    size_t i = 0;
    int k;

    env_start();
    host.introduce = NULL;
    for (k = 0; k < 3; k++)
        env_conn(&c[k], (uint16_t)k);
    store_mkdir(&store, &zero, NULL, "/local/domain/1");
    store_set_perms(&store, &zero, NULL, "/local/domain/1", home, 2);
    while (i + 4 <= size) {
        struct conn *who = &c[data[i] % 3];
        size_t len = data[i + 3] * (data[i] & 64 ? 17u : 1u);

        if (len > size - i - 4)
            len = size - i - 4;
        env_send(who, data[i + 1], data[i + 2], data + i + 4, len);
        if (data[i] & 128)
            drain(who);
        if (who->broken)
            conn_reset(who);
        i += 4 + len;
    }
    for (k = 0; k < 3; k++)
        if (store_check(&store))
            abort();
    for (k = 1; k < 3; k++) {
        conn_reset(&c[k]);
        store_forget_domain(&store, (uint16_t)k, true);
        if (store.owners.of[k]->use[QUOTA_NODES] || store.owners.of[k]->use[QUOTA_WATCHES] || store.owners.of[k]->use[QUOTA_TRANSACTIONS])
            abort();
    }
    conn_reset(&c[0]);
    if (store_check(&store))
        abort();
    store_free(&store);
    return 0;
}
