/* SPDX-License-Identifier: MIT */
/*
 * Address translation for a `nat` network by libnftables: a table of its own for each network, so that no rule of the
 * administrator's is touched; one transaction makes it anew.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <string.h>

#include "fault.h"
#include "zendod.h"

/* 10.77.0.1/24 -> "10.77.0.0/24" */
static void nat_subnet(char *out, const struct address *a)
{
    struct address net = *a;

    for (unsigned bit = a->prefix; bit < 32; bit++)
        net.bytes[bit / 8] &= (uint8_t)~(0x80 >> bit % 8);
    address_text(out, &net);
}

static int nat_rules(char *out, size_t size, const struct net_network *net)
{
    char subnet[64];
    int n;

    nat_subnet(subnet, &net->address);
    n = snprintf(out, size,
                 "add table ip zendo_%s\n"
                 "delete table ip zendo_%s\n"
                 "table ip zendo_%s {\n"
                 " chain out { type nat hook postrouting priority srcnat; policy accept;\n"
                 "  ip saddr %s ip daddr != %s oifname %s\"%s\" masquerade\n"
                 " }\n}\n",
                 net->name, net->name, net->name, subnet, subnet, *net->out ? "" : "!= ", *net->out ? net->out : net->name);
    return n < (int)size ? 0 : -EMSGSIZE;
}

int nat_set(const struct net_network *net)
{
    char rules[1024];
    int rc = nat_rules(rules, sizeof(rules), net);

    if (strspn(net->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != strlen(net->name))
        return fault(-EINVAL, "nat %s: the name may have letters, digits and '_' only", net->name);
    struct nft_ctx *nft = rc ? NULL : nft_ctx_new(NFT_CTX_DEFAULT);
    if (!nft)
        return fault(-ENOMEM, "nat %s: libnftables does not start", net->name);
    nft_ctx_buffer_output(nft);
    nft_ctx_buffer_error(nft);
    if (nft_run_cmd_from_buffer(nft, rules)) {
        const char *why = nft_ctx_get_error_buffer(nft);
        rc = fault(-EIO, "nat %s: nftables refused the rules: %.*s; are the modules nf_tables, nft_chain_nat, nft_masq there?", net->name,
                   (int)strcspn(why, "\n"), why);
    }
    nft_ctx_free(nft);
    return rc;
}
