/* SPDX-License-Identifier: MIT */
/*
 * The battery clock (MC146818 and successors), read once at boot for the wall clock. Domain 0 owns it
 * afterwards and sends better time by hypercall. The century is taken for 20xx.
 */
#include "types.h"
#include "x86/cpu.h"
#include "x86/time.h"

#define RTC_INDEX 0x70
#define RTC_DATA 0x71
#define RTC_A 10
#define RTC_A_UPDATING 0x80
#define RTC_B 11
#define RTC_B_24H 0x02
#define RTC_B_BINARY 0x04
#define PM_FLAG 0x80

struct rtc_fields {
    uint8_t second, minute, hour, day, month, year;
};

static uint8_t rtc_reg(uint8_t reg)
{
    outb(RTC_INDEX, reg);
    return inb(RTC_DATA);
}

static struct rtc_fields rtc_fields_read(void)
{
    struct rtc_fields f = {rtc_reg(0), rtc_reg(2), rtc_reg(4), rtc_reg(7), rtc_reg(8), rtc_reg(9)};

    return f;
}

static bool rtc_fields_equal(const struct rtc_fields *a, const struct rtc_fields *b)
{
    return a->second == b->second && a->minute == b->minute && a->hour == b->hour &&
           a->day == b->day && a->month == b->month && a->year == b->year;
}

/* Two equal readings outside of an update. */
static bool rtc_read_stable(struct rtc_fields *out)
{
    struct rtc_fields again;
    unsigned i, attempt;

    for (attempt = 0; attempt < 10; attempt++) {
        for (i = 0; (rtc_reg(RTC_A) & RTC_A_UPDATING) && i < 10000; i++)
            ;
        *out = rtc_fields_read();
        again = rtc_fields_read();
        if (rtc_fields_equal(out, &again))
            return true;
    }
    return false;
}

static uint8_t from_bcd(uint8_t v)
{
    return (uint8_t)((v >> 4) * 10 + (v & 15));
}

int64_t rtc_seconds(void)
{
    struct rtc_fields f;
    uint8_t mode, pm;

    if (!rtc_read_stable(&f))
        return -1;
    mode = rtc_reg(RTC_B);
    pm = (mode & RTC_B_24H) ? 0 : f.hour & PM_FLAG;
    f.hour = (uint8_t)(f.hour & ~pm);
    if (!(mode & RTC_B_BINARY))
        f = (struct rtc_fields){from_bcd(f.second), from_bcd(f.minute), from_bcd(f.hour),
                                from_bcd(f.day),    from_bcd(f.month),  from_bcd(f.year)};
    if (!(mode & RTC_B_24H))
        f.hour = (uint8_t)(f.hour % 12 + (pm ? 12 : 0));
    return calendar_seconds(2000 + f.year, f.month, f.day, f.hour, f.minute, f.second);
}
