/* SPDX-License-Identifier: MIT */
/* xm console, and `create -c`: a guest's console on this terminal; what it printed last. */
#include "console.h"
#include "xm.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int console = -1;

int xm_console_begin(uint32_t domid)
{
    console = console_attach(domid);
    return console < 0 ? console : 0;
}

int xm_console_run(void)
{
    console_run(console);
    return 0;
}

int cmd_console(struct args *a)
{
    uint32_t domid;

    if (args_has(a, "last"))
        return console_last(a->operands[0], STDOUT_FILENO);
    if (args_has(a, "t") && strcmp(args_value(a, "t"), "pv"))
        return fault(-EOPNOTSUPP, "console: guests have a paravirtual console only; leave -t out");
    if (args_has(a, "n") && strcmp(args_value(a, "n"), "0"))
        return fault(-EOPNOTSUPP, "console: guests have one console, number 0");
    int rc = xm_guest(a->operands[0], &domid, NULL, "reached by this; its console is this host's");

    rc = rc ? rc : xm_console_begin(domid);
    return rc ? rc : xm_console_run();
}
