/* SPDX-License-Identifier: MIT */
/* What the stock xen-init-dom0 leaves in the store: domain 0's name and number, the pool's name. Only where it is missing. */
#include "fault.h"
#include "store.h"
#include "zendod.h"

static int dom0_write(const char *path, const char *value)
{
    return store_exists("%s", path) ? 0 : store_write(path, "%s", value);
}

int dom0_write_nodes(void)
{
    int rc = store_open();

    rc = rc ? rc : dom0_write("/local/domain/0/domid", "0");
    rc = rc ? rc : dom0_write("/local/domain/0/name", "Domain-0");
    return rc ? rc : dom0_write("/local/pool/0/name", "Pool-0");
}
