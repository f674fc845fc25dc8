/* SPDX-License-Identifier: MIT */
/*
 * A move waits for what a guest's disks have under way: as long as there is something and not longer, with a limit; and not at all where
 * there are no disks, or the kernel does not say.
 * sources: toolstack/lib/migrate_drain.c toolstack/lib/fault.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "device.h"
#include "migrate_guest.h"
#include "store.h"

static char folder[] = "/tmp/t_migrate_drain.XXXXXX";
static const char *disk[3];

double migrate_clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

int device_each(uint32_t domid, const char *kind, int (*f)(const struct device *dev, void *arg), void *arg)
{
    assert_string_equal(kind, "vbd");
    for (unsigned i = 0; i < 3; i++) {
        struct device dev = { .domid = domid, .id = i };

        snprintf((char *)dev.back, sizeof(dev.back), "%u", i);
        if (f(&dev, arg))
            return -1;
    }
    return 0;
}

char *store_read(const char *path, ...)
{
    va_list args;

    va_start(args, path);
    const char *back = va_arg(args, const char *), *text = disk[atoi(back)];
    va_end(args);
    return text ? strdup(text) : NULL;
}

static void put(const char *dev, const char *text)
{
    char path[200];

    snprintf(path, sizeof(path), "%s/%s", folder, dev);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/%s/inflight", folder, dev);
    FILE *f = fopen(path, "w");

    fputs(text, f);
    fclose(f);
}

static double run(unsigned limit_ms)
{
    double start = migrate_clock_ms();
    struct migrate_disks d;

    migrate_disks_find(5, &d);
    migrate_disks_drain(5, &d, limit_ms);
    return migrate_clock_ms() - start;
}

static void test_quiet(void **state)
{
    memset(disk, 0, sizeof(disk));
    assert_true(run(60000) < 10000);
    disk[0] = "fd:1f"; /* in hexadecimal */
    disk[1] = "7:99";  /* of which nobody says anything */
    disk[2] = "no number";
    put("253:31", "       0        0\n");
    assert_true(run(60000) < 10000);
}

static void test_busy(void **state)
{
    memset(disk, 0, sizeof(disk));
    disk[0] = "7:1";
    disk[1] = "fd:1f";
    put("7:1", "0 0\n");
    put("253:31", "       0        3\n");
    assert_true(run(80) >= 80); /* for ever: told, and left */
    if (!fork()) {
        usleep(150000);
        put("253:31", "       0        0\n");
        _exit(0);
    }
    double ms = run(60000);

    wait(NULL);
    assert_true(ms >= 140 && ms < 30000);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_quiet), cmocka_unit_test(test_busy) };
    char cmd[80];

    if (!mkdtemp(folder))
        return 1;
    migrate_block_folder = folder;
    int rc = cmocka_run_group_tests(tests, NULL, NULL);

    snprintf(cmd, sizeof(cmd), "rm -rf %s", folder);
    return system(cmd) || rc;
}
