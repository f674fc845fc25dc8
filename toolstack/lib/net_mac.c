/* SPDX-License-Identifier: MIT */
/* MAC addresses and rates: text in, numbers out; and addresses that are made up. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "fault.h"
#include "net.h"

static int mac_digit(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

int net_parse_mac(const char *text, uint8_t mac[6])
{
    static const uint8_t zero[6];
    const char *s = text;

    for (unsigned i = 0; i < 6; i++) {
        int high = mac_digit(s[0]), low = high < 0 ? -1 : mac_digit(s[1]);
        if (high < 0 || low < 0 || s[2] != (i < 5 ? ':' : 0))
            return fault(-EINVAL, "MAC address '%.40s': is none; write it like 00:16:3e:01:02:03", text);
        mac[i] = (uint8_t)(high << 4 | low);
        s += 3;
    }
    if (mac[0] & 1 || !memcmp(mac, zero, 6))
        return fault(-EINVAL, "MAC address '%s': is for groups or for nobody; its first byte must be even, as in 00:16:3e:01:02:03", text);
    return 0;
}

/* FNV-1a: not for secrets, only to give the same guest the same address each time. */
static uint32_t mac_hash(const char *seed, unsigned index)
{
    uint32_t h = 2166136261u;

    for (; *seed; seed++)
        h = (h ^ (uint8_t)*seed) * 16777619u;
    for (unsigned i = 0; i < 4; i++)
        h = (h ^ (index >> 8 * i & 255)) * 16777619u;
    return h ^ h >> 24;
}

int net_make_mac(char *out, const char *seed, unsigned index)
{
    uint32_t r = 0;

    if (seed)
        r = mac_hash(seed, index);
    else if (getrandom(&r, sizeof(r), 0) != sizeof(r))
        return fault(-errno, "MAC address: no random numbers: %s", strerror(errno));
    snprintf(out, 18, "00:16:3e:%02x:%02x:%02x", r >> 16 & 0x7f, r >> 8 & 255, r & 255);
    return 0;
}

/* "10Mb/s", "250KB/s@20ms": bytes per interval and the interval in microseconds, what the backend wants. */
int net_parse_rate(const char *text, uint64_t *bytes, uint32_t *interval_us)
{
    char *end, *at;
    uint64_t unit = 1, interval = 50000;
    unsigned long long n = strtoull(text, &end, 10);
    const char *wrong = "rate '%.40s': is none; write it like 10Mb/s, or 250KB/s@20ms";

    if (end == text || *text == '-' || !n)
        return fault(-EINVAL, wrong, text);
    unit = *end == 'G' ? 1000000000 : *end == 'M' ? 1000000 : *end == 'K' || *end == 'k' ? 1000 : 1;
    end += unit > 1;
    bool bits = *end == 'b';
    if ((*end != 'b' && *end != 'B') || strncmp(end + 1, "/s", 2))
        return fault(-EINVAL, wrong, text);
    end += 3;
    if (*end == '@') {
        interval = strtoull(end + 1, &at, 10);
        if (at == end + 1 || interval > 1000000)
            return fault(-EINVAL, wrong, text);
        interval *= !strcmp(at, "us") ? 1 : !strcmp(at, "ms") ? 1000 : !strcmp(at, "s") ? 1000000 : 0;
        end = at + strlen(at);
    }
    if (*end || !interval || interval > UINT32_MAX || n > 1000000)
        return fault(-EINVAL, wrong, text);
    uint64_t per_second = n * unit / (bits ? 8 : 1);
    *bytes = (uint64_t)((unsigned __int128)per_second * interval / 1000000);
    *interval_us = (uint32_t)interval;
    return *bytes ? 0 : fault(-EINVAL, "rate '%.40s': less than a byte in each interval", text);
}
