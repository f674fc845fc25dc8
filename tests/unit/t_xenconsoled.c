/* SPDX-License-Identifier: MIT */
/*
 * xenconsoled without a hypervisor: guests are pages of this test that print and read, machine.h is a model of the store and the
 * event channels. Clients are real sockets, terminals real pseudo terminals, histories real files.
 * sources: toolstack/xenconsoled/ring.c toolstack/xenconsoled/keep.c toolstack/xenconsoled/loop.c toolstack/xenconsoled/tty.c
 * sources: toolstack/xenconsoled/guest.c toolstack/xenconsoled/guests.c toolstack/xenconsoled/client.c
 * sources: toolstack/lib/console.c toolstack/lib/fault.c
 */
#include "consoled_env.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

static void test_attach(void **state)
{
    bool ended;

    born(3, "web", true);
    print(3, "booting\r\nlogin: ");
    int one = connect_to("attach web\n"), two = connect_to("attach 3\n");
    assert_string_equal(hear(one, NULL), "ok\nbooting\r\nlogin: ");
    assert_string_equal(hear(two, NULL), "ok\nbooting\r\nlogin: ");
    assert_int_equal(write(one, "root\r", 5), 5);
    turn();
    assert_string_equal(guest_reads(3), "root\r");
    print(3, "hello");
    assert_string_equal(hear(one, NULL), "hello");
    close(two);
    turn();
    print(3, " bye");
    dies(3);
    assert_string_equal(hear(one, &ended), " bye");
    assert_true(ended);
    close(one);
    assert_string_equal(last("web"), "ok\nbooting\r\nlogin: hello bye");
}

/* A client that comes before the ring is known misses nothing; one that sends ahead, neither. */
static void test_early(void **state)
{
    born(4, "early", false);
    int fd = connect_to("attach 4\nkeys");

    assert_string_equal(hear(fd, NULL), "");
    memcpy(fakes[4].page->out, "first", 5); /* is there when the ring is mapped */
    fakes[4].page->out_prod = 5;
    fakes[4].nodes = true;
    guests_watched("console 4");
    assert_string_equal(hear(fd, NULL), "ok\nfirst");
    assert_string_equal(guest_reads(4), "keys");
    close(fd);
    fd = connect_to("attach 5\n");
    assert_string_equal(hear(fd, NULL), "error 5: no such guest runs; xm list shows those that do\n");
    close(fd);
    born(6, "never", false);
    fd = connect_to("attach never\n");
    dies(6);
    assert_string_equal(hear(fd, NULL), "error the guest ended before it had a console\n");
    close(fd);
}

/* What was in the ring when the domain died is kept; the next run of the name begins anew. */
static void test_last(void **state)
{
    assert_non_null(strstr(last("db"), "error db: nothing is kept"));
    born(7, "db", true);
    memcpy(fakes[7].page->out, "panic!", 6);
    fakes[7].page->out_prod = 6; /* no event: it died first */
    dies(7);
    assert_string_equal(last("db"), "ok\npanic!");
    born(8, "db", true);
    print(8, "second");
    assert_string_equal(last("db"), "ok\nsecond");
    assert_string_equal(last("8"), "ok\nsecond");
    /* A rename takes it along. */
    strcpy(fakes[8].name, "db2");
    guests_watched("name 8");
    print(8, "+");
    assert_string_equal(last("db2"), "ok\nsecond+");
    /* Its end, where the name goes first. */
    fakes[8].name[0] = 0;
    guests_watched("name 8");
    dies(8);
    assert_string_equal(last("db2"), "ok\nsecond+");
    /* Names of files that are no guest's. */
    assert_non_null(strstr(last("../etc/passwd"), "error"));
    assert_non_null(strstr(last(".old"), "error"));
    assert_non_null(strstr(last(""), "error"));
}

static size_t dir_bytes(unsigned *files)
{
    static const char *const subs[] = { "", "/.old", "/.previous" };
    size_t sum = 0;

    *files = 0;
    for (int i = 0; i < 3; i++) {
        char path[100];
        struct stat st;

        snprintf(path, sizeof(path), "%s%s", dir, subs[i]);
        DIR *d = opendir(path);
        for (struct dirent *e; d && (e = readdir(d));)
            if (!fstatat(dirfd(d), e->d_name, &st, 0) && S_ISREG(st.st_mode))
                sum += (size_t)st.st_size, *files += i == 0;
        if (d)
            closedir(d);
    }
    return sum;
}

static void test_bounds(void **state)
{
    char line[1001];
    unsigned files;

    born(9, "spam", true);
    for (int i = 0; i < 60; i++) {
        memset(line, 'a' + i % 26, 1000);
        line[1000] = 0;
        print(9, line);
    }
    assert_in_range(dir_bytes(&files), 8192, 16384);
    const char *kept = last("spam");
    assert_int_equal(kept[strlen(kept) - 1], 'a' + 59 % 26);
    assert_true(strlen(kept) > 8192);
    for (unsigned i = 0; i < 40; i++) {
        char name[20];

        snprintf(name, sizeof(name), "n%u", i);
        born(10, name, true);
        print(10, "x");
        dies(10);
    }
    dir_bytes(&files);
    assert_in_range(files, 20, 20 + 32); /* 20 histories; they are pruned when 32 more have come */
}

/* A guest that never stops ringing is looked at GUEST_ROUNDS times per window, others as before. */
static void test_throttle(void **state)
{
    born(11, "loud", true);
    born(12, "quiet", true);
    fakes[12].pending = true; /* rings for nothing: it is not rung back */
    turn();
    assert_int_equal(fakes[12].notified, 0);
    served = 0;
    uint64_t start = loop_now();
    while (loop_now() - start < 3 * GUEST_WINDOW_MS) {
        fakes[11].pending = true;
        fakes[11].page->out_prod = fakes[11].page->out_cons + 2048;
        guests_events();
        guests_tick();
    }
    assert_in_range(served, GUEST_ROUNDS, 5 * GUEST_ROUNDS);
    print(12, "still here");
    assert_string_equal(last("quiet"), "ok\nstill here");
    /* It goes on in the next window. */
    usleep(GUEST_WINDOW_MS * 1100);
    guests_tick();
    assert_int_equal(fakes[11].page->out_cons, fakes[11].page->out_prod);
    assert_false(fakes[11].masked);
}

/* A client that does not read costs a bounded buffer, and is told what it lost. */
static void test_slow_client(void **state)
{
    char *big = malloc(1001);
    bool ended;

    memset(big, 'b', 1000);
    big[1000] = 0;
    born(13, "chatty", true);
    int fd = connect_to("attach 13\n");
    for (int i = 0; i < 1500; i++)
        print(13, big);
    const char *text = hear(fd, &ended);
    assert_false(ended);
    assert_non_null(strstr(text, "bytes were lost here]"));
    print(13, "end");
    assert_string_equal(hear(fd, NULL), "end");
    close(fd);
    free(big);
}

/* Input waits while the guest does not read, and nothing of it is lost. */
static void test_slow_guest(void **state)
{
    static char got[200000];
    size_t sent = 0, n = 0;
    char part[1000];

    born(14, "sleepy", true);
    int fd = connect_to("attach 14\n");
    hear(fd, NULL);
    for (int i = 0; sent < 100000 || n < sent; i++) {
        for (size_t k = 0; k < sizeof(part); k++)
            part[k] = (char)('a' + (sent + k) % 23);
        ssize_t done = sent < 100000 ? send(fd, part, sizeof(part), MSG_DONTWAIT) : 0;
        sent += done > 0 ? (size_t)done : 0;
        turn();
        const char *s = guest_reads(14);
        memcpy(got + n, s, strlen(s));
        n += strlen(s);
        assert_true(i < 100000);
        if (!*s)
            usleep(1000);
    }
    assert_int_equal(n, sent);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(got[i], 'a' + (char)(i % 23));
    close(fd);
}

/* The pseudo terminal, as stock `xl console` uses it. */
static void test_tty(void **state)
{
    char text[40000], big[1001];
    size_t n = 0;
    ssize_t got;

    born(15, "tty", true);
    assert_int_equal(strncmp(fakes[15].tty, "/dev/pts/", 9), 0);
    print(15, "before\n");
    int fd = open(fakes[15].tty, O_RDWR | O_NOCTTY | O_NONBLOCK);
    assert_true(fd >= 0);
    /* The kernel passes a terminal's bytes on when it has time. */
    struct pollfd p = { .fd = fd, .events = POLLIN };
    assert_int_equal(poll(&p, 1, 5000), 1);
    assert_int_equal(read(fd, text, sizeof(text)), 7);
    assert_memory_equal(text, "before\n", 7);
    assert_int_equal(write(fd, "in\3put", 6), 6);
    for (int i = 0; i < 5000 && fakes[15].page->in_prod != 6; i++) {
        usleep(1000);
        turn();
    }
    assert_string_equal(guest_reads(15), "in\3put");
    memset(big, 'c', 1000);
    big[1000] = 0;
    for (int i = 0; i < 40; i++)
        print(15, big);
    print(15, "newest");
    for (int i = 0; i < 5000 && (n < 6 || memcmp(text + n - 6, "newest", 6) != 0); i++) {
        while ((got = read(fd, text + n, sizeof(text) - n)) > 0)
            n += (size_t)got;
        usleep(1000);
        turn();
    }
    assert_true(n > 16000 && n < 40000);
    assert_memory_equal(text + n - 6, "newest", 6);
    dies(15);
    errno = 0;
    assert_true(read(fd, text, sizeof(text)) <= 0 && errno != EAGAIN);
    close(fd);
}

static void test_log(void **state)
{
    char path[100], text[200] = "";

    guest_options.log_dir = dir;
    guest_options.timestamp = true;
    born(16, "logged", true);
    print(16, "one\ntw");
    print(16, "o\n");
    snprintf(path, sizeof(path), "%s/logged.log", dir);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
    fclose(f);
    assert_int_equal(text[0], '[');
    assert_non_null(strstr(text, "] one\n["));
    assert_non_null(strstr(text, "] two\n"));
}

/* Many guests, and only the one that rang is looked at. */
static void test_many(void **state)
{
    char name[20];

    for (unsigned i = 1; i < 250; i++) {
        snprintf(name, sizeof(name), "g%u", i);
        born(i, name, true);
    }
    served = 0;
    print(200, "x");
    assert_int_equal(served, 1);
    assert_string_equal(last("g200"), "ok\nx");
    for (unsigned i = 1; i < 250; i++)
        dies(i);
}

static void test_hostile_clients(void **state)
{
    static const char *const requests[] = { "\n", "attach\n", "attach \n", "attach 99999999999999999999\n", "attach -1\n", "attach 0\n",
                                            "last\n", "last \n", "GET / HTTP/1.0\r\n\r\n", "last a/b\n" };
    char *long_line = malloc(1000);

    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        bool ended;
        int fd = connect_to(requests[i]);
        const char *s = hear(fd, &ended);

        if (strncmp(s, "error ", 6) != 0 || !ended)
            fail_msg("request %zu: %s", i, s);
        close(fd);
    }
    memset(long_line, 'x', 999);
    long_line[999] = 0;
    int fd = connect_to(long_line);
    hear(fd, NULL);
    close(fd);
    free(long_line);
    for (int i = 0; i < 2000; i++)
        close(connect_to(i % 2 ? "att" : ""));
    turn();
    born(17, "fine", true);
    print(17, "ok?");
    assert_string_equal(last("fine"), "ok\nok?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_attach, setup, teardown), cmocka_unit_test_setup_teardown(test_early, setup, teardown),
        cmocka_unit_test_setup_teardown(test_last, setup, teardown), cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_throttle, setup, teardown), cmocka_unit_test_setup_teardown(test_slow_client, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_guest, setup, teardown), cmocka_unit_test_setup_teardown(test_tty, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log, setup, teardown), cmocka_unit_test_setup_teardown(test_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostile_clients, setup, teardown),
    };

    return cmocka_run_group_tests_name("xenconsoled", tests, NULL, NULL);
}
