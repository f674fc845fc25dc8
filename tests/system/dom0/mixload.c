/* SPDX-License-Identifier: MIT */
/*
 * A load for domain 0 that checks itself, one static program:
 *   mixload mix SECONDS PROCESSES      fork, exec, mmap, faults, copy on write, pipes, futexes, signals, timers
 *   mixload vectors SECONDS PROCESSES  SSE, AVX, x87 and MXCSR hold their values across switches and signals
 *   mixload clocks SECONDS CPUS        CLOCK_MONOTONIC never steps back, seen from threads pinned to each CPU
 *   mixload nice BY COMMAND...         runs it that nice (busybox has none)
 *   mixload now COUNT                  prints CLOCK_MONOTONIC, 50 ms apart
 *   mixload time 0                     prints it once, in microseconds, alone
 * Prints what it counted; the exit code is 0 only if every process found everything right.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static _Atomic uint64_t *shared; /* counters in memory that all processes see */
static int has_avx;              /* CPUID and XCR0 say so */

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static int wrong(const char *what, uint64_t got, uint64_t want)
{
    printf("mixload: pid %d: %s: got %llx, want %llx\n", getpid(), what, (unsigned long long)got,
           (unsigned long long)want);
    return 1;
}

static int check_exit(const char *what, pid_t pid, int want)
{
    int status = -1;

    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return wrong(what, errno, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == want ? 0 : wrong(what, status, want << 8);
}

/* --- vectors: values put into all registers stay there while others use theirs */

struct regs {
    uint8_t ymm[16][32];
    uint32_t mxcsr, spare;
    uint64_t x87;
} __attribute__((aligned(64)));

#define ALL(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
#define STR(x) #x
#define AVX_LOAD(n) "vmovdqu " STR(n) "*32(%[in]), %%ymm" STR(n) "\n"
#define AVX_SAVE(n) "vmovdqu %%ymm" STR(n) ", " STR(n) "*32(%[out])\n"
#define SSE_LOAD(n) "movdqu " STR(n) "*32(%[in]), %%xmm" STR(n) "\n"
#define SSE_SAVE(n) "movdqu %%xmm" STR(n) ", " STR(n) "*32(%[out])\n"
#define SSE_REGS "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", \
                 "xmm12", "xmm13", "xmm14", "xmm15"
/* The wait: some spinning, in which a timer may switch, then a system call that may, too. Both end in the same asm. */
#define HOLD(LOAD, SAVE) \
    asm volatile("ldmxcsr 512(%[in])\nfildll 520(%[in])\n" ALL(LOAD) "1: dec %[spin]\njnz 1b\nsyscall\n" \
                 ALL(SAVE) "fistpll 520(%[out])\nstmxcsr 512(%[out])\nldmxcsr %[plain]\n" \
                 : [spin] "+r"(spin), "+a"(call) \
                 : [in] "r"(in), [out] "r"(out), [plain] "m"(plain) \
                 : "rcx", "r11", "memory", "cc", SSE_REGS)

static void hold_vectors(const struct regs *in, struct regs *out, int avx, uint64_t spin)
{
    uint32_t plain = 0x1f80;
    long call = 24; /* sched_yield */

    if (avx)
        HOLD(AVX_LOAD, AVX_SAVE);
    else
        HOLD(SSE_LOAD, SSE_SAVE);
}

static void fill(struct regs *r, int avx, uint64_t seed)
{
    memset(r, 0, sizeof(*r));
    for (int n = 0; n < 16; n++)
        for (int i = 0; i < (avx ? 32 : 16); i++)
            r->ymm[n][i] = (seed * 0x9e3779b97f4a7c15ull >> 40) + n * 37 + i * 5;
    r->mxcsr = 0x1f80 | (seed & 3) << 13; /* the rounding mode */
    r->x87 = seed * 0x1234567;
}

static void on_tick(int sig) /* leaves other values in the registers */
{
    struct regs mine, back;

    fill(&mine, has_avx, now_ns());
    hold_vectors(&mine, &back, has_avx, 10);
    atomic_fetch_add(&shared[1], 1);
}

static void start_ticks(long us)
{
    struct itimerval every = { { 0, us }, { 0, us } };
    struct sigaction sa = { .sa_handler = on_tick, .sa_flags = SA_RESTART };

    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
}

static int do_vectors(uint64_t end, unsigned id)
{
    struct regs in, out;
    int avx = has_avx;

    start_ticks(7000 + id * 300);
    for (uint64_t n = id + 1; now_ns() < end; n += 64) {
        fill(&in, avx, n);
        memset(&out, 0, sizeof(out));
        hold_vectors(&in, &out, avx, 1 + (n * 977) % 200000);
        out.mxcsr &= ~0x3f; /* flags that say what happened, not what was set */
        if (memcmp(&in, &out, sizeof(in)))
            return wrong(avx ? "AVX registers" : "SSE registers", out.x87, in.x87);
        atomic_fetch_add(&shared[0], 1);
    }
    return 0;
}

/* --- mix: one round of each */

static int mix_exec(uint64_t n)
{
    char code[16];
    pid_t pid;

    snprintf(code, sizeof(code), "%u", (unsigned)(n % 100));
    pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "mixload", "exit", code, NULL);
        _exit(255);
    }
    return check_exit("exec", pid, n % 100);
}

static int mix_memory(uint64_t n)
{
    size_t words = 300 * 512;
    uint64_t *p = mmap(NULL, words * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int bad = 0;

    if (p == MAP_FAILED)
        return wrong("mmap", errno, 0);
    for (size_t i = 0; i < words; i += 64)
        p[i] = n ^ i * 0x10001;
    mprotect(p, words * 8, PROT_READ);
    madvise(p + words / 2, words / 4 * 8, MADV_DONTNEED);
    for (size_t i = 0; i < words && !bad; i += 64) {
        int gone = i >= words / 2 && i < words / 2 + words / 4;

        if (p[i] != (gone ? 0 : n ^ i * 0x10001))
            bad = wrong("memory", p[i], n ^ i * 0x10001);
    }
    munmap(p, words * 8);
    return bad;
}

/* The child's writes stay its own; what it found comes back through a pipe. */
static int mix_fork(uint64_t n)
{
    static uint64_t page[64 * 512];
    uint64_t sum = 0, back = 0, *mine = page;
    int fd[2];
    pid_t pid;

    for (int i = 0; i < 64 * 512; i += 128)
        sum += mine[i] = n + i;
    if (pipe(fd))
        return wrong("pipe", errno, 0);
    pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 64 * 512; i += 128) {
            back += mine[i];
            mine[i] = ~0ull;
        }
        _exit(write(fd[1], &back, 8) == 8 ? 7 : 8);
    }
    close(fd[1]);
    while (read(fd[0], &back, 8) < 0 && errno == EINTR)
        ;
    close(fd[0]);
    if (check_exit("fork", pid, 7))
        return 1;
    if (back != sum)
        return wrong("copy on write, child", back, sum);
    for (int i = 0; i < 64 * 512; i += 128)
        sum -= mine[i];
    return sum ? wrong("copy on write, parent", sum, 0) : 0;
}

static struct {
    pthread_mutex_t lock;
    pthread_cond_t turned;
    unsigned turn;
} game = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 };

static void *player(void *arg)
{
    unsigned me = (uintptr_t)arg;

    pthread_mutex_lock(&game.lock);
    for (int i = 0; i < 50; i++) {
        while (game.turn % 2 != me)
            pthread_cond_wait(&game.turned, &game.lock);
        game.turn++;
        pthread_cond_broadcast(&game.turned);
    }
    pthread_mutex_unlock(&game.lock);
    return NULL;
}

static int mix_futex(void)
{
    pthread_t other;

    game.turn = 0;
    if (pthread_create(&other, NULL, player, (void *)1))
        return wrong("thread", errno, 0);
    player((void *)0);
    pthread_join(other, NULL);
    return game.turn == 100 ? 0 : wrong("futex turns", game.turn, 100);
}

static int mix_timer(void)
{
    struct timespec t = { 0, 2000000 }, left;
    uint64_t start = now_ns(), took;

    while (nanosleep(&t, &left) && errno == EINTR)
        t = left;
    took = now_ns() - start;
    return took >= 2000000 ? 0 : wrong("sleep ended early (ns)", took, 2000000);
}

static int do_mix(uint64_t end, unsigned id)
{
    start_ticks(20000 + id * 1000);
    for (uint64_t n = id; now_ns() < end; n += 64) {
        if (mix_exec(n) || mix_memory(n) || mix_fork(n) || mix_futex() || mix_timer())
            return 1;
        atomic_fetch_add(&shared[0], 1);
    }
    return 0;
}

/* --- clocks: read the latest time that anyone has seen, then the clock: it must not be earlier */

static _Atomic uint64_t latest, steps_back, worst;
static uint64_t clocks_end;

static void *clock_thread(void *arg)
{
    unsigned cpu = (uintptr_t)arg;
    cpu_set_t set;
    uint64_t seen, mine, n = 0;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set))
        return (void *)(uintptr_t)wrong("pin to cpu", cpu, 0);
    do {
        seen = atomic_load(&latest);
        mine = now_ns();
        if (mine < seen) {
            atomic_fetch_add(&steps_back, 1);
            if (seen - mine > atomic_load(&worst))
                atomic_store(&worst, seen - mine);
        }
        while (mine > seen && !atomic_compare_exchange_weak(&latest, &seen, mine))
            ;
        if (++n % 2000 == 0)
            sched_yield();
    } while (mine < clocks_end);
    atomic_fetch_add(&shared[0], n);
    return NULL;
}

static int do_clocks(uint64_t end, unsigned cpus)
{
    pthread_t thread[64];
    void *bad = NULL, *rc;

    clocks_end = end;
    for (uintptr_t i = 0; i < cpus; i++)
        pthread_create(&thread[i], NULL, clock_thread, (void *)i);
    for (unsigned i = 0; i < cpus; i++) {
        pthread_join(thread[i], &rc);
        bad = rc ? rc : bad;
    }
    if (steps_back)
        printf("mixload: %llu steps back, the worst by %llu ns\n", (unsigned long long)steps_back,
               (unsigned long long)worst);
    return bad || steps_back;
}

/* --- */

static int in_processes(int (*work)(uint64_t, unsigned), uint64_t end, unsigned count)
{
    int bad = 0;
    pid_t pid[64];

    for (unsigned i = 0; i < count; i++) {
        pid[i] = fork();
        if (pid[i] == 0) {
            int rc;

            prctl(PR_SET_PDEATHSIG, SIGKILL); /* killing the parent ends the load */
            rc = work(end, i);
            fflush(stdout);
            _exit(rc);
        }
    }
    for (unsigned i = 0; i < count; i++)
        bad += check_exit("worker", pid[i], 0);
    return bad;
}

static int print_now(unsigned count)
{
    while (count--) {
        printf("zendo: clock %llu\n", (unsigned long long)now_ns());
        fflush(stdout);
        usleep(50000);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    unsigned count = argc > 3 ? atoi(argv[3]) : 1, bad = 1;
    uint64_t end;

    if (!strcmp(what, "exit"))
        return atoi(argv[2]);
    if (!strcmp(what, "nice") && argc > 3) {
        if (nice(atoi(argv[2])) < 0)
            return 2;
        execvp(argv[3], argv + 3);
        return 127;
    }
    if (!strcmp(what, "now"))
        return print_now(atoi(argv[2]));
    if (!strcmp(what, "mark")) { /* for bench/profile.c */
        if (atoi(argv[2]))
            __asm__ volatile(".byte 0x0f, 0x1f, 0x80, 0x02, 0x44, 0x4e, 0x5a");
        else
            __asm__ volatile(".byte 0x0f, 0x1f, 0x80, 0x01, 0x44, 0x4e, 0x5a");
        return 0;
    }
    if (!strcmp(what, "time"))
        return printf("%llu\n", (unsigned long long)now_ns() / 1000) < 0;
    if (count < 1 || count > 64)
        return 2;
    has_avx = __builtin_cpu_supports("avx") != 0;
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    end = now_ns() + (argc > 2 ? atoi(argv[2]) : 0) * 1000000000ull;
    if (!strcmp(what, "mix"))
        bad = in_processes(do_mix, end, count);
    else if (!strcmp(what, "vectors"))
        bad = in_processes(do_vectors, end, count);
    else if (!strcmp(what, "clocks"))
        bad = do_clocks(end, count);
    printf("mixload: %s: %llu rounds, %llu signals, %u bad, AVX %s\n", what, (unsigned long long)shared[0],
           (unsigned long long)shared[1], bad, has_avx ? "yes" : "no");
    return bad ? 1 : 0;
}
