/* SPDX-License-Identifier: MIT */
/*
 * xenstored: options, start, end. The parent exits when the socket accepts; with -f there is no parent. On SIGTERM the
 * state is written and the daemon ends; the next one goes on from there.
 */
#include "daemon.h"
#include "guests.h"
#include "log.h"
#include "sock.h"
#include "state.h"
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define UPDATE_MARK "ZENDO_XENSTORED_UPDATE"    /* in the environment of a successor: it is a daemon already, and goes on */

struct store store;
const char *update_binary;
struct options options = {
    .socket = "/run/xenstored/socket", .state = "/run/zendo/xenstored.state", .log = "/var/log/zendo/xenstored.log",
    .pid_file = "/run/zendo/xenstored.pid",
};

static uint64_t seconds_now(void)
{
    return loop_micros() / 1000000;
}

static void host_wake(struct conn *c)
{
    loop_wake((struct endpoint *)(void *)c);    /* its first member */
}

struct host host = {
    .store = &store, .seconds = seconds_now, .log = log_line, .wake = host_wake, .control = control_run, .noted = state_note_conn,
};

static void usage(FILE *to)
{
    fprintf(to, "usage: xenstored [options]\n"
            "  -f, -N, --foreground  stay in the foreground, log to standard error unless -l is given\n"
            "  -D, --daemon          go to the background once the socket accepts (default)\n"
            "  -l, -T, --log FILE    default %s\n"
            "  -F, --pid-file FILE   default %s\n"
            "  -s, --socket PATH     default %s\n"
            "  -S, --state FILE      what a restart goes on from; default %s\n"
            "      --fresh           begin with an empty store, whatever the state file holds\n"
            "      --no-domains      serve the socket alone, without a hypervisor\n"
            "  -v, --verbose         log each request\n"
            "  -h, --help\n", options.log, options.pid_file, options.socket, options.state);
}

static void read_options(int argc, char **argv)
{
    static const struct option longs[] = {
        { "foreground", 0, NULL, 'f' }, { "daemon", 0, NULL, 'D' }, { "log", 1, NULL, 'l' }, { "pid-file", 1, NULL, 'F' },
        { "socket", 1, NULL, 's' }, { "state", 1, NULL, 'S' }, { "fresh", 0, NULL, 1 }, { "no-domains", 0, NULL, 2 },
        { "verbose", 0, NULL, 'v' }, { "help", 0, NULL, 'h' }, { 0 },
    };
    bool log_given = false;
    int o;

    while ((o = getopt_long(argc, argv, "fNDl:T:F:s:S:vh", longs, NULL)) != -1) {
        switch (o) {
        case 'f': case 'N': options.foreground = true; break;
        case 'D': options.foreground = false; break;
        case 'l': case 'T': options.log = optarg; log_given = true; break;
        case 'F': options.pid_file = optarg; break;
        case 's': options.socket = optarg; break;
        case 'S': options.state = optarg; break;
        case 1: options.fresh = true; break;
        case 2: options.no_domains = true; break;
        case 'v': options.verbose = true; break;
        case 'h': usage(stdout); exit(0);
        default: usage(stderr); exit(2);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "xenstored: '%s': no arguments are taken\n", argv[optind]);
        exit(2);
    }
    if (options.foreground && !log_given)
        options.log = NULL;
}

static void make_folder_of(const char *path)
{
    char folder[4096], *slash;

    snprintf(folder, sizeof folder, "%s", path);
    for (slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(folder, 0755);
        *slash = '/';
    }
}

/* The parent waits for the byte that says that the socket accepts; its exit code is the daemon's start. */
static int daemonise(void)
{
    int pipes[2], null;
    char byte;
    pid_t pid;

    if (pipe2(pipes, O_CLOEXEC)) {
        perror("xenstored: pipe");
        exit(1);
    }
    pid = fork();
    if (pid < 0) {
        perror("xenstored: fork");
        exit(1);
    }
    if (pid) {
        close(pipes[1]);
        if (read(pipes[0], &byte, 1) == 1)
            _exit(0);
        fprintf(stderr, "xenstored: did not start; see %s\n", options.log);
        _exit(1);
    }
    close(pipes[0]);
    setsid();
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    return pipes[1];
}

static void write_pid(void)
{
    FILE *f;

    make_folder_of(options.pid_file);
    f = fopen(options.pid_file, "we");
    if (f) {
        fprintf(f, "%d\n", (int)getpid());
        fclose(f);
    } else {
        log_line("%s cannot be written: %s", options.pid_file, strerror(errno));
    }
}

/* What tools and kernels expect to find. */
static void make_roots(void)
{
    static const struct { const char *path, *value; } node[] = {
        { "/tool/xenstored", "" }, { "/local/domain/0/domid", "0" }, { "/local/domain/0/name", "Domain-0" },
        { "/local/pool/0/name", "Pool-0" }, { "/vm", "" }, { "/libxl", "" }, { "/zendo/domain", "" },
    };
    static const struct who zero = { .target = NO_DOMAIN, .privileged = true };
    struct node *n;
    size_t i;

    for (i = 0; i < sizeof node / sizeof node[0]; i++)
        if (store_find(&store, &zero, NULL, node[i].path, 0, &n))
            store_write(&store, &zero, NULL, node[i].path, node[i].value, strlen(node[i].value));
}

static void on_signal(struct source *s, unsigned events)
{
    struct signalfd_siginfo info;

    if (read(s->fd, &info, sizeof info) != sizeof info)
        return;
    if (info.ssi_signo == SIGHUP)
        log_open(options.log);    /* after the file was moved away */
    else
        loop.stop = true;
}

static void watch_signals(void)
{
    static struct source source = { .ready = on_signal };
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    source.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    loop_add(&source, EPOLLIN);
}

/* Short of memory, the kernel should look elsewhere: all guests hang on this process. */
static void spare_me(void)
{
    FILE *f = fopen("/proc/self/oom_score_adj", "we");

    if (f) {
        fputs("-1000", f);
        fclose(f);
    }
}

static void on_tick(void)
{
    if (!options.no_domains)
        domains_tick(seconds_now());
}

static void set_host(void)
{
    if (!options.no_domains) {
        host.introduce = domain_introduce;
        host.release = domain_release;
        host.resume = domain_resume;
        host.set_target = domain_set_target;
        host.is_introduced = domain_is_introduced;
    }
    host.trace = options.verbose;
    store.owners.log = log_line;
}

/* From the state file if it is of this boot, else empty. */
static int start_store(void)
{
    int rc = options.fresh ? -ENOENT : state_load(options.state);

    if (rc == -ENOENT || rc == -ESTALE || rc == -EINVAL) {
        if (rc != -ENOENT)
            log_line("the state in %s is %s and is left alone: the store begins empty", options.state,
                     rc == -ESTALE ? "of an earlier boot" : "not readable");
        rc = sock_listen(&host, options.socket, -1);
    }
    if (rc) {
        log_line("the socket %s cannot be opened: %s", options.socket, strerror(-rc));
        return rc;
    }
    make_roots();
    make_folder_of(options.state);
    state_save(options.state);
    store.changed = state_note_change;
    loop.after = state_flush;
    loop.tick = on_tick;
    if (!options.no_domains)
        domains_look();
    return 0;
}

static int start(void)
{
    uint64_t secret[2];
    int rc;

    if (getrandom(secret, sizeof secret, 0) != sizeof secret)
        return -EIO;
    strmap_set_secret(secret);
    if (options.log)
        make_folder_of(options.log);
    rc = log_open(options.log);
    if (rc) {
        fprintf(stderr, "xenstored: log %s: %s\n", options.log, strerror(-rc));
        return rc;
    }
    store_init(&store, conn_event);
    set_host();
    loop_init();
    watch_signals();
    if (!options.no_domains && (rc = domains_open(&host)))
        return rc;
    return start_store();
}

/* A new program takes over: the state has the sockets' numbers, which must survive. */
static void update(char **argv)
{
    struct sock *s;

    for (s = sock_next(NULL); s; s = sock_next(s))
        fcntl(sock_fd(s), F_SETFD, 0);
    fcntl(sock_listen_fd(), F_SETFD, 0);
    setenv(UPDATE_MARK, "1", 1);
    execv(update_binary, argv);
    log_line("live update: %s cannot be executed: %s; the old program goes on", update_binary, strerror(errno));
    execv("/proc/self/exe", argv);
}

static void finish(char **argv)
{
    loop_drain(10000);    /* answers that can be sent now */
    state_with_sockets = update_binary;
    state_save(options.state);
    state_close();
    if (!options.no_domains && !update_binary)
        domains_close();
    if (update_binary)
        update(argv);
    sock_close_all();
    unlink(options.socket);
    unlink(options.pid_file);
    log_line("ended; the state is in %s", options.state);
}

int main(int argc, char **argv)
{
    struct rlimit files = { 8192, 8192 };
    const char *updating = getenv(UPDATE_MARK);
    int ready = -1;

    read_options(argc, argv);
    if (updating)
        options.fresh = false;
    unsetenv(UPDATE_MARK);
    setrlimit(RLIMIT_NOFILE, &files);
    if (!options.foreground && !updating)
        ready = daemonise();
    if (start())
        return 1;
    spare_me();
    write_pid();
    log_line("ready on %s%s", options.socket, options.no_domains ? ", without domains" : "");
    if (ready >= 0) {
        if (write(ready, "1", 1) != 1)
            log_line("whoever started this daemon is gone");
        close(ready);
    }
    loop_run();
    finish(argv);
    return 0;
}
