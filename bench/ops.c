/* SPDX-License-Identifier: MIT */
/*
 * ops: what one operation costs a program on Linux, in ticks of the time stamp counter (which under
 * QEMU's -icount shift=0 are instructions, the kernel's and the hypervisor's included). Each figure
 * is the smallest mean of some batches, so that a timer tick or a background thread in one batch
 * does not count. Prints lines "BENCH name ticks", which bench/run.py reads. Static, no arguments;
 * with one argument it is the program that fork+exec starts, and ends at once.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#define PAGE 4096UL
#define SPAN 64 /* pages that one batch of the memory operations walks over */

typedef void op_fn(unsigned int count);

/* Long nops that bench/profile.c knows. */
#define MARK_START() asm volatile("nopl 0x5a4e4401(%%rax)" ::: "memory")
#define MARK_STOP() asm volatile("nopl 0x5a4e4402(%%rax)" ::: "memory")

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void report(const char *name, uint64_t value)
{
    printf("BENCH %s %lu\n", name, (unsigned long)value);
    fflush(stdout);
}

static void measure(const char *name, op_fn *fn, unsigned int batches, unsigned int count)
{
    uint64_t best = UINT64_MAX;

    fn(count); /* warm */
    for (unsigned int b = 0; b < batches; b++) {
        uint64_t start, took;
        MARK_START();
        start = __rdtsc();
        fn(count);
        took = __rdtsc() - start;
        best = took < best ? took : best;
    }
    MARK_STOP();
    report(name, best / count);
}

static void op_getppid(unsigned int count)
{
    while (count--)
        syscall(SYS_getppid);
}

static int null_fd;
static void op_write(unsigned int count)
{
    while (count--)
        if (write(null_fd, "x", 1) != 1)
            die("write");
}

static volatile sig_atomic_t signals;
static void on_signal(int sig)
{
    signals++;
}

static void op_signal(unsigned int count)
{
    pid_t pid = getpid();
    while (count--)
        kill(pid, SIGUSR1);
}

static void op_fork(unsigned int count)
{
    while (count--) {
        pid_t pid = fork();
        if (pid < 0)
            die("fork");
        if (!pid)
            _exit(0);
        waitpid(pid, NULL, 0);
    }
}

static void op_exec(unsigned int count)
{
    while (count--) {
        pid_t pid = fork();
        if (pid < 0)
            die("fork");
        if (!pid) {
            execl("/proc/self/exe", "ops", "end", NULL);
            _exit(1);
        }
        waitpid(pid, NULL, 0);
    }
}

static char *map(size_t pages)
{
    char *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        die("mmap");
    madvise(p, pages * PAGE, MADV_NOHUGEPAGE);
    return p;
}

/* The mapping, its removal and madvise are in the figure, shared by all pages of it. */
static void op_fault(unsigned int count)
{
    char *p = map(count);
    for (unsigned int i = 0; i < count; i++)
        p[i * PAGE] = 1;
    munmap(p, count * PAGE);
}

/* As the reference was measured: a few pages mapped, touched and unmapped is one operation. */
static void op_mmap(unsigned int count)
{
    while (count--) {
        char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (unsigned int i = 0; i < 4; i++)
            p[i * PAGE] = 1;
        munmap(p, 4 * PAGE);
    }
}

static char *protected_page;
static void on_fault(int sig)
{
    mprotect(protected_page, PAGE, PROT_READ | PROT_WRITE);
}

/* A page made read-only, written to: fault, signal, handler that allows it again, return. */
static void op_protect(unsigned int count)
{
    while (count--) {
        mprotect(protected_page, PAGE, PROT_READ);
        *(volatile char *)protected_page = 1;
    }
}

static int to_child[2], from_child[2];
static void op_pipe(unsigned int count)
{
    char c = 0;
    while (count--)
        if (write(to_child[1], &c, 1) != 1 || read(from_child[0], &c, 1) != 1)
            die("pipe");
}

/* One round trip is two switches; the figure is the round trip. */
static void pipe_child(void)
{
    char c;
    while (read(to_child[0], &c, 1) == 1)
        if (write(from_child[1], &c, 1) != 1)
            break;
    _exit(0);
}

static void measure_pipe(void)
{
    pid_t pid;

    if (pipe(to_child) || pipe(from_child))
        die("pipe");
    pid = fork();
    if (!pid) {
        close(to_child[1]);
        pipe_child();
    }
    measure("linux-pipe-round-trip", op_pipe, 5, 300);
    close(to_child[1]);
    waitpid(pid, NULL, 0);
}

static void pin_to_cpu0(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(0, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return 0;
    pin_to_cpu0();
    null_fd = open("/dev/null", O_WRONLY);
    protected_page = map(1);
    signal(SIGUSR1, on_signal);
    signal(SIGSEGV, on_fault);
    measure("linux-getppid", op_getppid, 5, 1000);
    measure("linux-write-null", op_write, 5, 1000);
    measure("linux-signal", op_signal, 5, 300);
    measure("linux-fork-exit-wait", op_fork, 5, 10);
    measure("linux-fork-exec-wait", op_exec, 5, 10);
    measure("linux-page-fault", op_fault, 10, SPAN);
    measure("linux-mmap-touch-4-munmap", op_mmap, 5, 50);
    measure("linux-mprotect-fault", op_protect, 5, 100);
    measure_pipe();
    return 0;
}
