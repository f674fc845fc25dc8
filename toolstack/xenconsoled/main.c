/* SPDX-License-Identifier: MIT */
/*
 * xenconsoled: the consoles of all guests, in one thread. It copies what they print to a pseudo terminal each (stock `xl console`), to
 * who is connected (`xm console`), to a history that outlives them, and to logs if asked to; and input the other way.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "fault.h"
#include "machine.h"
#include "store_domains.h"

static const char usage[] =
    "usage: xenconsoled [options]\n"
    "  -i, --interactive     stay in the foreground\n"
    "      --log=WHAT        none, guest (a file per guest), hv (the hypervisor's log), all\n"
    "      --log-dir=DIR     for these (/var/log/zendo/console)\n"
    "      --timestamp       before each line of a guest's log\n"
    "      --history-dir=DIR what guests printed, kept after their end (/var/lib/zendo/console)\n"
    "      --history=KIB     of it, per guest (256)\n"
    "      --socket=PATH     for xm console (/run/zendo/console.sock)\n"
    "      --pid-file=PATH   (/run/zendo/xenconsoled.pid)\n";

static const char *socket_path = "/run/zendo/console.sock", *pid_path = "/run/zendo/xenconsoled.pid", *log_dir = "/var/log/zendo/console";
static bool foreground, log_hv, stopping;
static int ready_pipe = -1;
static struct keep hv_log = { .fd = -1, .dir = -1 };
static uint32_t hv_index;

static int fail(void)
{
    fprintf(stderr, "xenconsoled: %s\n", fault_text());
    return 1;
}

static int option_log(const char *what)
{
    bool guest = strcmp(what, "guest") == 0 || strcmp(what, "all") == 0;

    log_hv = strcmp(what, "hv") == 0 || strcmp(what, "all") == 0;
    if (guest)
        guest_options.log_dir = log_dir;
    if (!guest && !log_hv && strcmp(what, "none") != 0)
        return fault(-EINVAL, "--log=%s: write none, guest, hv or all", what);
    return 0;
}

static int option_history(const char *text)
{
    char *end;
    unsigned long kib = strtoul(text, &end, 10);

    if (!*text || *end || kib < 8 || kib > 65536)
        return fault(-EINVAL, "--history=%s: write KiB, from 8 to 65536", text);
    guest_options.history = kib << 9; /* two files */
    return 0;
}

static int options_read(int argc, char **argv)
{
    static const struct option all[] = {
        { "interactive", 0, NULL, 'i' }, { "log", 1, NULL, 'l' }, { "log-dir", 1, NULL, 'd' }, { "timestamp", 2, NULL, 't' },
        { "history-dir", 1, NULL, 'H' }, { "history", 1, NULL, 'h' }, { "socket", 1, NULL, 's' }, { "pid-file", 1, NULL, 'p' },
        { "help", 0, NULL, '?' }, { 0 },
    };
    const char *what = "none";
    int rc = 0;

    for (int o; !rc && (o = getopt_long(argc, argv, "i", all, NULL)) >= 0;) {
        switch (o) {
        case 'i': foreground = true; break;
        case 'l': what = optarg; break;
        case 'd': log_dir = optarg; break;
        case 't': guest_options.timestamp = !optarg || strcmp(optarg, "none") != 0; break;
        case 'H': guest_options.history_dir = optarg; break;
        case 'h': rc = option_history(optarg); break;
        case 's': socket_path = optarg; break;
        case 'p': pid_path = optarg; break;
        default: fputs(usage, stderr); exit(2);
        }
    }
    return rc ? rc : option_log(what);
}

/* The parent waits until the consoles are served, and ends with what the child says. */
static int daemonize(void)
{
    int p[2];
    char rc = 1;

    if (foreground)
        return 0;
    if (pipe2(p, O_CLOEXEC))
        return fault(-errno, "pipe: %s", strerror(errno));
    pid_t child = fork();
    if (child < 0)
        return fault(-errno, "fork: %s", strerror(errno));
    if (child) {
        close(p[1]);
        ssize_t n = read(p[0], &rc, 1);
        _exit(n == 1 ? rc : 1);
    }
    close(p[0]);
    ready_pipe = p[1];
    setsid();
    return 0;
}

static void daemon_ready(void)
{
    char rc = 0;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int log = open("/var/log/zendo/xenconsoled.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);

    if (ready_pipe < 0)
        return;
    if (write(ready_pipe, &rc, 1) == 1)
        close(ready_pipe);
    if (null >= 0) {
        dup2(null, 0);
        dup2(null, 1);
        dup2(log >= 0 ? log : null, 2);
        close(null);
    }
    if (log >= 0)
        close(log);
    if (chdir("/"))
        return;
}

static int pid_write(void)
{
    int fd;
    char *slash = strrchr(pid_path, '/'), dir[256];

    if (slash && snprintf(dir, sizeof(dir), "%.*s", (int)(slash - pid_path), pid_path) < (int)sizeof(dir))
        mkdir(dir, 0755);
    fd = open(pid_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return fault(-errno, "%s: %s", pid_path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB))
        return fault(-EBUSY, "%s is locked: another xenconsoled runs", pid_path);
    if (ftruncate(fd, 0) || dprintf(fd, "%d\n", getpid()) < 0)
        return fault(-errno, "%s: %s", pid_path, strerror(errno));
    return 0; /* the descriptor stays open: it is the lock */
}

static void signal_ready(struct source *s, uint32_t events)
{
    struct signalfd_siginfo si;

    if (read(s->fd, &si, sizeof(si)) != sizeof(si))
        return;
    if (si.ssi_signo == SIGHUP)
        guests_reopen_logs();
    else
        stopping = true;
}

static void event_ready(struct source *s, uint32_t events)
{
    guests_events();
}

static void store_ready(struct source *s, uint32_t events)
{
    char token[64];
    bool lost;

    while (machine_store_event(token, sizeof(token), &lost))
        guests_watched(token);
    if (lost) {
        warn("the store's connection broke; ending, start xenconsoled again when xenstored runs");
        stopping = true;
    }
}

static void domains_ready(struct source *s, uint32_t events)
{
    int domid, rc;

    while ((rc = machine_domains_next(&domid)) > 0) {
        if ((domid == STORE_DOMAINS_ALL ? guests_scan() : guests_look((uint32_t)domid)) < 0) {
            warn("%s", fault_text());
            fault_clear();
        }
    }
    if (rc < 0) {
        warn("%s", fault_text());
        stopping = true;
    }
}

static int sources_open(void)
{
    static struct source event = { .ready = event_ready }, store = { .ready = store_ready }, signals = { .ready = signal_ready },
                         domains = { .ready = domains_ready };
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signals.fd = signalfd(-1, &set, SFD_CLOEXEC);
    event.fd = machine_event_fd();
    store.fd = machine_store_fd();
    domains.fd = machine_domains_fd();
    if (signals.fd < 0)
        return fault(-errno, "signalfd: %s", strerror(errno));
    int rc = loop_add(&signals, EPOLLIN);
    rc = rc ? rc : loop_add(&event, EPOLLIN);
    rc = rc ? rc : loop_add(&store, EPOLLIN);
    return rc ? rc : loop_add(&domains, EPOLLIN);
}

static void hv_log_read(void)
{
    char buf[4096];

    for (int i = 0, n; i < 64 && (n = machine_log(buf, sizeof(buf), &hv_index)) != 0; i++) {
        if (n < 0) {
            warn("the hypervisor's log is not readable, so not logged: %s", fault_text());
            fault_clear();
            log_hv = false;
            return;
        }
        keep_write(&hv_log, buf, (size_t)n);
    }
}

static int serve(void)
{
    int rc = 0;

    while (!rc && !stopping) {
        bool soon = guests_tick(), waits = clients_tick();

        if (log_hv)
            hv_log_read();
        rc = loop_once(soon || waits ? GUEST_WINDOW_MS : log_hv ? 1000 : -1);
    }
    return rc;
}

int main(int argc, char **argv)
{
    struct rlimit files = { .rlim_cur = 16384, .rlim_max = 16384 };

    warn_program = "xenconsoled";
    if (options_read(argc, argv))
        return fail();
    signal(SIGPIPE, SIG_IGN);
    setrlimit(RLIMIT_NOFILE, &files);
    /* Before the connection to the store, which has a thread of its own. */
    int rc = daemonize();
    rc = rc ? rc : pid_write();
    if (rc)
        return fail();
    rc = loop_open();
    rc = rc ? rc : machine_open();
    rc = rc ? rc : sources_open();
    if (!rc && log_hv)
        rc = keep_open(&hv_log, log_dir, "hypervisor.log", "hypervisor.log.1", guest_options.log);
    rc = rc ? rc : clients_open(socket_path);
    if (!rc && (rc = guests_scan()) > 0)
        rc = 0;
    if (rc) {
        unlink(pid_path);
        return fail();
    }
    daemon_ready();
    rc = serve();
    guests_end();
    clients_close();
    keep_close(&hv_log);
    machine_close();
    loop_close();
    unlink(pid_path);
    return rc ? fail() : 0;
}
