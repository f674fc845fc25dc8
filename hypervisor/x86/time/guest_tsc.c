/* SPDX-License-Identifier: MIT */
/*
 * TSC modes of guests.
 *
 * The default is the processor's counter, unless that could run backwards for the guest or at another rate than
 * it has learnt: CPUs whose counters are not in step, or a guest that comes from a machine with another
 * frequency. A counter that is not promised to be invariant is good enough here as long as it is in step: we use
 * neither P states nor deep C states, which are what would disturb it.
 *
 * An emulated counter is system time, scaled: it is monotonic because system time is, on one CPU and across
 * them, and goes on when the guest is paused or moved. The guest's pvclock is then in terms of that counter.
 */
#include "x86/guest_tsc.h"

#include "domain.h"
#include "log.h"
#include "port.h"
#include "timescale.h"
#include "x86/cpu.h"
#include "x86/guest.h"
#include "x86/time.h"

#include <xen/domctl.h>

/* Two measurements of the same frequency may differ by so much: 1/2000. */
#define KHZ_TOLERANCE 2000

#define KHZ_MIN 1000U
#define KHZ_MAX (1U << 26)

static struct guest_tsc *tsc_of(const struct domain *d)
{
    return &to_x86d(d)->tsc;
}

uint32_t host_tsc_khz(void)
{
    return (uint32_t)(time_tsc_hz() / 1000);
}

uint32_t guest_tsc_khz(const struct domain *d)
{
    return tsc_of(d)->emulated ? tsc_of(d)->khz : host_tsc_khz();
}

uint64_t guest_tsc_at(const struct guest_tsc *t, uint64_t ns)
{
    uint64_t since = ns - (uint64_t)t->offset_ns;

    return (uint64_t)(((unsigned __int128)since * t->from_ns) >> 32);
}

uint64_t guest_tsc_read(const struct domain *d)
{
    const struct guest_tsc *t = tsc_of(d);

    return t->emulated ? guest_tsc_at(t, now_ns()) : rdtsc();
}

void guest_tsc_scale(const struct domain *d, struct time_scale *s, uint64_t *at_zero)
{
    const struct guest_tsc *t = tsc_of(d);
    uint64_t ticks;

    if (t->emulated) {
        *s = t->to_ns;
        *at_zero = (uint64_t)t->offset_ns;
        return;
    }
    time_scale_now(s);
    ticks = s->shift < 0 ? s->stamp_tsc >> -s->shift : s->stamp_tsc << s->shift;
    *at_zero = s->stamp_ns - (uint64_t)(((unsigned __int128)ticks * s->mul) >> 32);
}

/* pvclock: the time scale of this CPU as v's guest has to use it (vtime.h). */
void guest_time_scale(const struct vcpu *v, struct time_scale *s)
{
    const struct guest_tsc *t = tsc_of(v->domain);

    if (likely(!t->emulated))
        return;
    s->stamp_tsc = guest_tsc_at(t, s->stamp_ns);
    s->mul = t->to_ns.mul;
    s->shift = t->to_ns.shift;
    s->tsc_stable = false; /* the guest shall see to it itself that nothing goes backwards by rounding */
}

/* --- Control calls ---------------------------------------------------------------------------------- */

static bool same_khz(uint32_t a, uint32_t b)
{
    return (a > b ? a - b : b - a) <= b / KHZ_TOLERANCE;
}

static bool must_emulate(uint32_t mode, uint32_t khz)
{
    if (mode != TSC_MODE_DEFAULT)
        return mode == TSC_MODE_ALWAYS;
    return !time_tsc_in_step() || !same_khz(khz, host_tsc_khz());
}

int guest_tsc_set(struct domain *d, const struct xen_domctl_tsc_info *info)
{
    struct guest_tsc *t = tsc_of(d);
    uint32_t khz = info->gtsc_khz ? info->gtsc_khz : host_tsc_khz();

    if (info->tsc_mode > TSC_MODE_NEVER || khz < KHZ_MIN || khz > KHZ_MAX) {
        log_info("d%u: tsc mode %u with %u kHz refused: modes are 0 to 2, %u to %u kHz\n", d->id,
                 info->tsc_mode, info->gtsc_khz, KHZ_MIN, KHZ_MAX);
        return -XEN_EINVAL;
    }
    t->mode = info->tsc_mode;
    t->khz = khz;
    t->incarnation = info->incarnation + (info->gtsc_khz != 0); /* a given frequency: it comes from elsewhere */
    t->offset_ns = (int64_t)(now_ns() - info->elapsed_nsec);
    timescale_set_hz(&t->to_ns, khz * 1000ULL);
    t->from_ns = ((uint64_t)khz << 32) / 1000000;
    t->emulated = must_emulate(t->mode, khz);
    if (t->emulated)
        log_info("d%u: time stamp counter is emulated at %u kHz (mode %u)\n", d->id, khz, t->mode);
    return 0;
}

/* What guest_tsc_set() elsewhere needs so that the counter goes on from where it is. */
void guest_tsc_get(const struct domain *d, struct xen_domctl_tsc_info *info)
{
    const struct guest_tsc *t = tsc_of(d);
    struct time_scale s;
    uint64_t at_zero;

    guest_tsc_scale(d, &s, &at_zero);
    info->tsc_mode = t->mode;
    info->gtsc_khz = guest_tsc_khz(d);
    info->incarnation = t->incarnation;
    info->elapsed_nsec = t->mode == TSC_MODE_NEVER ? 0 : now_ns() - at_zero;
    info->pad = 0;
}
