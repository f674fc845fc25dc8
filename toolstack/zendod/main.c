/* SPDX-License-Identifier: MIT */
/*
 * zendod: the host's daemon. On start it brings the networks up and writes domain 0's nodes to the store; then it sleeps until the
 * store says that a domain has ended, and acts (follow.c). `zendod --networks` does the first part alone and ends.
 * Signals: TERM ends it (guests run on), HUP brings the networks up again.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault.h"
#include "store.h"
#include "store_domains.h"
#include "zendod.h"

#define PID_FILE "/run/zendo/zendod.pid"
#define LOG_FILE "/var/log/zendo/zendod.log"
#define LOOK_MS 60000               /* a look without being told, in case a word was lost */
#define STORE_WAIT_MS 30000

static volatile sig_atomic_t stop, again;

static void on_signal(int number)
{
    if (number == SIGHUP)
        again = 1;
    else
        stop = 1;
}

static void catch_signals(void)
{
    struct sigaction s = { .sa_handler = on_signal };

    sigaction(SIGTERM, &s, NULL);
    sigaction(SIGINT, &s, NULL);
    sigaction(SIGHUP, &s, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* One daemon per host: the lock goes with the process. The file descriptor stays open on purpose. */
static int take_pid_file(void)
{
    int fd;

    mkdir("/run/zendo", 0755);
    fd = open(PID_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return fault(-errno, "%s: %s; be root", PID_FILE, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB))
        return fault(-EBUSY, "zendod runs already (%s)", PID_FILE);
    if (ftruncate(fd, 0) || dprintf(fd, "%d\n", getpid()) < 0)
        return fault(-errno, "%s: %s", PID_FILE, strerror(errno));
    return 0;
}

/* xenstored may be started at the same moment as we are. */
static int wait_for_store(void)
{
    uint64_t until = store_clock_ms() + STORE_WAIT_MS;
    int rc;

    while ((rc = store_open()) && !stop && store_clock_ms() < until) {
        fault_clear();
        usleep(100000);
    }
    return rc;
}

/* What the store tells until now; a guest's end may bring about others. */
static int take_words(struct ctl *ctl, struct store_domains *words)
{
    int domid, rc = 0;

    while (!stop && (rc = store_domains_next(words, &domid)) > 0) {
        if (domid == STORE_DOMAINS_ALL)
            follow_domains(ctl);
        else
            follow_domain(ctl, (uint32_t)domid);
    }
    return stop ? 0 : rc;
}

static int follow(void)
{
    struct store_domains words = { .fd = -1 };
    struct ctl *ctl;
    int rc = ctl_open(&ctl), moves = moves_watch();

    rc = rc ? rc : store_domains_open(&words, false);
    while (!rc && !stop) {
        struct pollfd p[2] = { { .fd = words.fd, .events = POLLIN }, { .fd = moves, .events = POLLIN } };
        rc = take_words(ctl, &words);
        if (rc)
            break;
        int n = poll(p, 2, moves_look(moves, LOOK_MS));
        if (n < 0 && errno != EINTR)
            rc = fault(-errno, "waiting for the store: %s", strerror(errno));
        if (!n)
            follow_domains(ctl);
        if (again)
            networks_up(NULL);
        again = 0;
    }
    store_domains_close(&words);
    ctl_close(ctl);
    return rc;
}

static void usage(FILE *out)
{
    fprintf(out, "zendod [--foreground] [--networks [FILE]]\n"
                 "  the daemon of a Zendo host: networks at start, what happens when guests end\n"
                 "  -f, --foreground  stay on the terminal, log there too\n"
                 "  -n, --networks    only bring the networks of " NET_CONF_FILE " (or FILE) up\n");
}

static int run_daemon(bool foreground)
{
    int rc = take_pid_file();

    if (rc) {
        fprintf(stderr, "zendod: %s\n", fault_text());
        return 1;
    }
    catch_signals();
    networks_up(NULL);                  /* what fails stands in the log; guests are followed all the same */
    fault_clear();
    rc = wait_for_store();
    rc = rc ? rc : dom0_write_nodes();
    if (!rc)
        log_line("ready%s", foreground ? "" : " (daemon)");
    rc = rc ? rc : follow();
    if (rc)
        log_fault("ends");
    else
        log_line("ends; guests run on");
    store_close();
    unlink(PID_FILE);
    return rc != 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = { { "foreground", no_argument, NULL, 'f' }, { "networks", no_argument, NULL, 'n' },
                                             { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };
    bool foreground = false, networks = false;
    int o;

    warn_program = "zendod";
    while ((o = getopt_long(argc, argv, "fnh", options, NULL)) != -1) {
        foreground |= o == 'f';
        networks |= o == 'n';
        if (o == 'h' || o == '?') {
            usage(o == 'h' ? stdout : stderr);
            return o == 'h' ? 0 : 2;
        }
    }
    log_open(LOG_FILE, foreground || networks);
    if (networks)
        return networks_up(optind < argc ? argv[optind] : NULL) != 0;
    /* Before the store's connection is made: its thread would not survive a fork. */
    if (!foreground && daemon(0, 0)) {
        fprintf(stderr, "zendod: %s\n", strerror(errno));
        return 1;
    }
    return run_daemon(foreground);
}
