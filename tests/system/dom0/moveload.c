/* SPDX-License-Identifier: MIT */
/*
 * What runs in a guest that moves, and around it. Everything checks itself.
 *   moveload serve PORT [disk DEV] [files SCRIPT] [dirty MB] [pages]   in the guest: UDP and TCP echo on PORT (a datagram "?" is answered with
 *                                             the counts), a sequence written to DEV and read back, a script of which each line that does not
 *                                             begin with "ok" is an error, MB of memory written over and over and compared, page tables made,
 *                                             changed and dropped as fast as it goes
 *   moveload clients HOST PORT N SECONDS      N TCP connections with numbered, summed records; largest gap
 *   moveload nbd HOST PORT DEV                a network disk, as busybox has no client for it
 *   moveload sync HOST PORT                   sets the clock by that of a host on which moveload serves
 *   moveload listen PORT COMMAND...           each connection gets a command; moveload to PORT HOST ... is its client
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nbd.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RECORD 1024U
#define DISK_BLOCKS 4096U       /* of 4 KiB: 16 MB, gone over again and again */

static volatile uint64_t disk_writes, disk_errors, dirty_rounds, dirty_errors, table_rounds, records, record_errors, accepted;

static uint64_t now_us(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 31) * 0x7fb5d329728ea185ULL;
    x = (x ^ x >> 27) * 0x81dadef4bc2dd44dULL;
    return x ^ x >> 33;
}

/* --- loads in the guest --------------------------------------------------------------------------------------------------------- */

static void fill_block(uint64_t *b, uint64_t n)
{
    b[0] = n;
    for (unsigned i = 1; i < 512; i++)
        b[i] = mix(n * 512 + i);
}

/* Block n goes to place n mod DISK_BLOCKS, past the cache; then the one before it is read back, and now and then all of them. */
static void *disk_load(void *dev)
{
    int fd = open(dev, O_RDWR | O_DIRECT | O_DSYNC);
    uint64_t *b = aligned_alloc(4096, 4096), *want = aligned_alloc(4096, 4096);

    if (fd < 0) {
        fprintf(stderr, "moveload: %s: %s\n", (char *)dev, strerror(errno));
        disk_errors++;
        return NULL;
    }
    for (uint64_t n = 1;; n++) {
        uint64_t back = n % 64 && n > 1 ? n - 1 : n > DISK_BLOCKS ? n - mix(n) % (DISK_BLOCKS - 1) - 1 : mix(n) % n;

        fill_block(b, n);
        if (pwrite(fd, b, 4096, (off_t)(n % DISK_BLOCKS) * 4096) != 4096)
            disk_errors++;
        disk_writes = n;
        if (!back)
            continue;
        fill_block(want, back);
        if (pread(fd, b, 4096, (off_t)(back % DISK_BLOCKS) * 4096) != 4096 || memcmp(b, want, 4096)) {
            if (!disk_errors++)
                fprintf(stderr, "moveload: block %llu is not what was written\n", (unsigned long long)back);
        }
        usleep(2000);
    }
}

static void *files_load(void *script)
{
    char line[256];
    int fd[2];

    if (pipe(fd)) {
        disk_errors++;
        return NULL;
    }
    if (!fork()) {
        dup2(fd[1], 1);
        dup2(fd[1], 2);
        execl("/bin/sh", "sh", (char *)script, (char *)NULL);
        _exit(127);
    }
    close(fd[1]);
    for (FILE *f = fdopen(fd[0], "r"); fgets(line, sizeof(line), f);) {
        if (!strncmp(line, "ok", 2))
            disk_writes++;
        else if (!disk_errors++)
            fprintf(stderr, "moveload: %s", line);
    }
    disk_errors++; /* it never ends by itself */
    return NULL;
}

static unsigned dirty_mb;

/* Every page has a number of its own, which it must still have when its turn comes. */
static void *dirty_load(void *unused)
{
    size_t pages = (size_t)dirty_mb << 8;
    uint64_t *at = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (uint64_t round = 1;; round++) {
        for (size_t i = 0; i < pages; i++) {
            uint64_t *p = at + i * 512;

            if (round > 1 && (p[0] != mix(i + (round - 1) * pages) || p[511] != ~p[0]))
                if (!dirty_errors++)
                    fprintf(stderr, "moveload: page %zu of round %llu has changed by itself\n", i, (unsigned long long)round);
            p[0] = mix(i + round * pages);
            p[511] = ~p[0];
        }
        dirty_rounds = round;
        if (dirty_mb < 8)
            usleep(10000);
    }
    return unused;
}

/* Address spaces that come and go, mappings that change their rights and places: the kernel writes page tables all the time. */
static void *table_load(void *unused)
{
    for (;; table_rounds++) {
        size_t n = 64 + mix(table_rounds) % 512;
        char *p = mmap(NULL, n * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        for (size_t i = 0; i < n; i += 3)
            p[i * 4096] = (char)i;
        /* A mapping of two rights cannot be moved; so they are made one again. */
        mprotect(p, n / 2 * 4096, PROT_READ);
        mprotect(p, n / 2 * 4096, PROT_READ | PROT_WRITE);
        p = mremap(p, n * 4096, n * 2 * 4096, MREMAP_MAYMOVE);
        if (p == MAP_FAILED) {
            perror("moveload: mremap");
            dirty_errors++;
            return unused;
        }
        for (size_t i = 0; i < n; i += 3)
            if (p[i * 4096] != (char)i)
                dirty_errors++;
        munmap(p, n * 2 * 4096);
        if (table_rounds % 8 == 0) {
            pid_t child = vfork();

            if (!child)
                _exit(0);
        }
    }
}

static void answer_status(int fd, const struct sockaddr *to, socklen_t len)
{
    char text[600];
    int n = snprintf(text, sizeof(text), "{\"mono\":%llu,\"real\":%llu,\"disk\":%llu,\"disk_errors\":%llu,\"dirty\":%llu,\"dirty_errors\":%llu,"
                     "\"tables\":%llu,\"records\":%llu,\"record_errors\":%llu,\"accepted\":%llu}", (unsigned long long)now_us(CLOCK_MONOTONIC),
                     (unsigned long long)now_us(CLOCK_REALTIME), (unsigned long long)disk_writes, (unsigned long long)disk_errors,
                     (unsigned long long)dirty_rounds, (unsigned long long)dirty_errors, (unsigned long long)table_rounds,
                     (unsigned long long)records, (unsigned long long)record_errors, (unsigned long long)accepted);

    sendto(fd, text, (size_t)n, 0, to, len);
}

static void serve_datagrams(int fd)
{
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    char b[2048];
    ssize_t n;

    while ((n = recvfrom(fd, b, sizeof(b), MSG_DONTWAIT, (struct sockaddr *)&from, &len)) > 0)
        if (n == 1 && b[0] == '?')
            answer_status(fd, (struct sockaddr *)&from, len);
        else
            sendto(fd, b, (size_t)n, 0, (struct sockaddr *)&from, len);
}

/* --- records over TCP ------------------------------------------------------------------------------------------------------------ */

struct peer {
    int fd;
    unsigned got;
    uint64_t record[RECORD / 8];
};

static uint64_t sum_record(const uint64_t *r)
{
    uint64_t s = 0;

    for (unsigned i = 0; i < RECORD / 8 - 1; i++)
        s = mix(s ^ r[i]);
    return s;
}

static bool write_all(int fd, const void *at, size_t n)
{
    for (const char *p = at; n;) {
        ssize_t put = write(fd, p, n);

        if (put < 0 && errno == EAGAIN) {
            poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, 1000);
            continue;
        }
        if (put <= 0)
            return false;
        p += put;
        n -= (size_t)put;
    }
    return true;
}

/* 1: a whole record is there; 0: not yet; -1: the other side has ended. */
static int read_record(struct peer *p)
{
    ssize_t n = read(p->fd, (char *)p->record + p->got, RECORD - p->got);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (!n)
        return -1;
    p->got += (unsigned)n;
    if (p->got < RECORD)
        return 0;
    p->got = 0;
    return 1;
}

static void serve_peer(int poller, struct peer *p)
{
    int rc = read_record(p);

    if (rc == 1) {
        records++;
        if (p->record[RECORD / 8 - 1] != sum_record(p->record))
            record_errors++;
        if (!write_all(p->fd, p->record, RECORD))
            rc = -1;
    }
    if (rc < 0) {
        epoll_ctl(poller, EPOLL_CTL_DEL, p->fd, NULL);
        close(p->fd);
        free(p);
    }
}

static void accept_peer(int poller, int listener)
{
    struct peer *p = calloc(1, sizeof(*p));

    p->fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (p->fd < 0) {
        free(p);
        return;
    }
    accepted++;
    epoll_ctl(poller, EPOLL_CTL_ADD, p->fd, &(struct epoll_event){ .events = EPOLLIN, .data.ptr = p });
}

static int open_socket(int type, unsigned port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, type, 0), on = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || (type == SOCK_STREAM && listen(fd, 100))) {
        perror("moveload: port");
        exit(1);
    }
    return fd;
}

static void start(void *(*load)(void *), void *arg)
{
    pthread_t t;

    pthread_create(&t, NULL, load, arg);
}

static int serve(char **argv)
{
    unsigned port = (unsigned)atoi(argv[0]);
    static char udp_mark, tcp_mark;
    struct epoll_event e;
    int poller = epoll_create1(0), udp = open_socket(SOCK_DGRAM, port), tcp = open_socket(SOCK_STREAM, port);

    for (char **w = argv + 1; *w; w++) {
        if (!strcmp(*w, "disk"))
            start(disk_load, *++w);
        else if (!strcmp(*w, "files"))
            start(files_load, *++w);
        else if (!strcmp(*w, "dirty"))
            dirty_mb = (unsigned)atoi(*++w), start(dirty_load, NULL);
        else if (!strcmp(*w, "pages"))
            start(table_load, NULL);
    }
    epoll_ctl(poller, EPOLL_CTL_ADD, udp, &(struct epoll_event){ .events = EPOLLIN, .data.ptr = &udp_mark });
    epoll_ctl(poller, EPOLL_CTL_ADD, tcp, &(struct epoll_event){ .events = EPOLLIN, .data.ptr = &tcp_mark });
    printf("moveload: serves\n");
    fflush(stdout);
    for (;;) {
        if (epoll_wait(poller, &e, 1, -1) < 1)
            continue;
        if (e.data.ptr == &udp_mark)
            serve_datagrams(udp);
        else if (e.data.ptr == &tcp_mark)
            accept_peer(poller, tcp);
        else
            serve_peer(poller, e.data.ptr);
    }
    return 0;
}

/* --- clients ------------------------------------------------------------------------------------------------------------------------ */

struct client {
    struct peer peer;
    uint64_t n, sent_at;
    bool waits;
};

static void send_record(struct client *c, unsigned id)
{
    uint64_t r[RECORD / 8];

    r[0] = (uint64_t)id << 32 | ++c->n;
    for (unsigned i = 1; i < RECORD / 8 - 1; i++)
        r[i] = mix(r[0] * 128 + i);
    r[RECORD / 8 - 1] = sum_record(r);
    c->sent_at = now_us(CLOCK_MONOTONIC);
    c->waits = write_all(c->peer.fd, r, RECORD);
    if (!c->waits)
        record_errors++;
}

static int dial(const char *host, unsigned port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    inet_pton(AF_INET, host, &at.sin_addr);
    if (connect(fd, (struct sockaddr *)&at, sizeof(at))) {
        fprintf(stderr, "moveload: %s:%u: %s\n", host, port, strerror(errno));
        exit(1);
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

static volatile sig_atomic_t stop;

static void on_stop(int number)
{
    stop = 1;
}

static int clients(char **argv)
{
    unsigned n = (unsigned)atoi(argv[2]), dropped = 0;
    struct client *c = calloc(n, sizeof(*c));
    struct pollfd *p = calloc(n, sizeof(*p));
    uint64_t end = now_us(CLOCK_MONOTONIC) + 1000000ULL * (uint64_t)atoi(argv[3]), worst = 0;

    for (unsigned i = 0; i < n; i++) {
        c[i].peer.fd = dial(argv[0], (unsigned)atoi(argv[1]));
        fcntl(c[i].peer.fd, F_SETFL, O_NONBLOCK);
        p[i] = (struct pollfd){ .fd = c[i].peer.fd, .events = POLLIN };
    }
    printf("moveload: %u connected\n", n);
    fflush(stdout);
    signal(SIGINT, on_stop);
    while (!stop && now_us(CLOCK_MONOTONIC) < end) {
        uint64_t now = now_us(CLOCK_MONOTONIC);

        for (unsigned i = 0; i < n; i++)
            if (!c[i].waits && p[i].fd >= 0 && now - c[i].sent_at > 100000)
                send_record(&c[i], i);
        poll(p, n, 10);
        for (unsigned i = 0; i < n; i++) {
            int rc = p[i].fd >= 0 && p[i].revents ? read_record(&c[i].peer) : 0;

            if (rc < 0) {
                dropped++;
                p[i].fd = -1;
            }
            if (rc <= 0)
                continue;
            now = now_us(CLOCK_MONOTONIC);
            if (now - c[i].sent_at > worst)
                worst = now - c[i].sent_at;
            if (c[i].peer.record[0] != ((uint64_t)i << 32 | c[i].n) || c[i].peer.record[RECORD / 8 - 1] != sum_record(c[i].peer.record))
                record_errors++;
            records++;
            c[i].waits = false;
        }
    }
    printf("moveload: %llu records, %llu wrong, %u of %u connections dropped, longest wait %llu ms\n", (unsigned long long)records,
           (unsigned long long)record_errors, dropped, n, (unsigned long long)worst / 1000);
    return record_errors || dropped;
}

/* --- a network disk ----------------------------------------------------------------------------------------------------------------- */

static bool read_all(int fd, void *at, size_t n)
{
    for (char *p = at; n;) {
        ssize_t got = read(fd, p, n);

        if (got <= 0)
            return false;
        p += got;
        n -= (size_t)got;
    }
    return true;
}

/* The newer handshake, with the default export. */
static int nbd(char **argv)
{
    struct { uint64_t magic, option; uint16_t flags; } __attribute__((packed)) hello;
    struct { uint32_t flags; uint64_t magic; uint32_t option, length; } __attribute__((packed)) ask = { htonl(1), htobe64(0x49484156454f5054ULL), htonl(1), 0 };
    struct { uint64_t size; uint16_t flags; char zero[124]; } __attribute__((packed)) answer;
    int s = dial(argv[0], (unsigned)atoi(argv[1])), dev = open(argv[2], O_RDWR);

    if (dev < 0 || !read_all(s, &hello, sizeof(hello)) || !write_all(s, &ask, sizeof(ask)) || !read_all(s, &answer, sizeof(answer))) {
        fprintf(stderr, "moveload: nbd: %s\n", strerror(errno));
        return 1;
    }
    ioctl(dev, NBD_SET_BLKSIZE, 4096UL);
    ioctl(dev, NBD_SET_SIZE_BLOCKS, (unsigned long)(be64toh(answer.size) / 4096));
    ioctl(dev, NBD_SET_FLAGS, (unsigned long)be16toh(answer.flags));
    if (ioctl(dev, NBD_SET_SOCK, (unsigned long)s)) {
        perror("moveload: NBD_SET_SOCK");
        return 1;
    }
    if (daemon(0, 1))
        return 1;
    return ioctl(dev, NBD_DO_IT) != 0;
}

/* --- a way from host to host, without a shell's small buffers -------------------------------------------------------------------- */

static bool pass_on(int from, int to)
{
    static char b[1 << 18];
    ssize_t n = splice(from, NULL, to, NULL, 1 << 20, 0); /* between a pipe and a socket pages go as they are */

    if (n > 0 || (n < 0 && errno == EAGAIN))
        return true;
    n = n ? read(from, b, sizeof(b)) : 0;
    return n > 0 && write_all(to, b, (size_t)n);
}

static int to(char **argv)
{
    int s = dial(argv[1], (unsigned)atoi(argv[0]));
    struct pollfd p[2] = { { .fd = 0, .events = POLLIN }, { .fd = s, .events = POLLIN } };

    while (p[0].fd >= 0 || p[1].fd >= 0) {
        poll(p, 2, -1);
        if (p[0].fd >= 0 && p[0].revents && !pass_on(0, s)) {
            shutdown(s, SHUT_WR);
            p[0].fd = -1;
        }
        if (p[1].fd >= 0 && p[1].revents && !pass_on(s, 1))
            return 0;
    }
    return 0;
}

static int listen_for(char **argv)
{
    int listener = open_socket(SOCK_STREAM, (unsigned)atoi(argv[0])), on = 1;

    if (daemon(1, 1))
        return 1;
    for (;;) {
        int s = accept(listener, NULL, NULL);

        setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (s >= 0 && !fork()) {
            signal(SIGPIPE, SIG_DFL);
            signal(SIGCHLD, SIG_DFL);
            close(listener);
            dup2(s, 0);
            dup2(s, 1);
            close(s);
            execvp(argv[1], argv + 1);
            _exit(127);
        }
        close(s);
    }
}

/* --- this machine's clock is set by another's: of twenty answers the quickest ------------------------------------------------------ */

static int sync_clock(char **argv)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])) };
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    int64_t offset = 0, best = INT64_MAX;

    inet_pton(AF_INET, argv[0], &at.sin_addr);
    for (unsigned i = 0; i < 20; i++) {
        uint64_t start = now_us(CLOCK_REALTIME), end;
        char text[600] = "", *real;

        sendto(fd, "?", 1, 0, (struct sockaddr *)&at, sizeof(at));
        if (poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 1000) < 1 || recv(fd, text, sizeof(text) - 1, 0) < 1)
            continue;
        end = now_us(CLOCK_REALTIME);
        real = strstr(text, "\"real\":");
        if (real && (int64_t)(end - start) < best) {
            best = (int64_t)(end - start);
            offset = (int64_t)strtoull(real + 7, NULL, 10) - (int64_t)(start + end) / 2;
        }
    }
    uint64_t now = (uint64_t)((int64_t)now_us(CLOCK_REALTIME) + offset);
    struct timespec t = { (time_t)(now / 1000000), (long)(now % 1000000) * 1000 };

    printf("moveload: clock set by %lld ms, answer in %lld us\n", (long long)offset / 1000, (long long)best);
    return best == INT64_MAX || clock_settime(CLOCK_REALTIME, &t);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    if (argc == 4 && !strcmp(argv[1], "sync"))
        return sync_clock(argv + 2);
    if (argc >= 4 && !strcmp(argv[1], "to"))
        return to(argv + 2);
    if (argc >= 4 && !strcmp(argv[1], "listen"))
        return listen_for(argv + 2);
    if (argc >= 3 && !strcmp(argv[1], "serve"))
        return serve(argv + 2);
    if (argc == 6 && !strcmp(argv[1], "clients"))
        return clients(argv + 2);
    if (argc == 5 && !strcmp(argv[1], "nbd"))
        return nbd(argv + 2);
    fprintf(stderr, "moveload serve PORT [disk DEV] [files SCRIPT] [dirty MB] [pages] | clients HOST PORT N SECONDS | nbd HOST PORT DEV\n");
    return 2;
}
