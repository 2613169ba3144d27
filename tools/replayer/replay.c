/* SPDX-License-Identifier: MIT */
#include "replayer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { POLL_NS = 200 * 1000, POLLS_STUCK = 50, LOOK_NS = 2 * 1000 * 1000, LOOKS_MOST = 1 << 16, LOOKS_SHOWN = 100, KIB = 1024 };

struct replay replay;

struct look {
    uint64_t time; /* nanoseconds since the beginning */
    int64_t resident, live;
};

static struct {
    struct plan plan;
    struct plan_thread *threads;
    struct worker *workers;
    char *seats; /* of workers that have ended, each the first word of the next */
    uint64_t own;   /* bytes resident that are no allocator's */
    bool has_peak;  /* the kernel has begun to count it anew */
    struct look *looks;
    size_t count;   /* of looks; when there is no room, each second one goes */
    uint64_t every; /* nanoseconds from one look to the next */
    double resident_area, live_area; /* bytes times nanoseconds */
    int64_t most;
    struct worker conductor; /* has a seat, and makes no steps */
    uint64_t faults;         /* until the replay began */
} state;

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t clock_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t processor_ns(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

_Noreturn void give_up(const char *what)
{
    char text[512];
    int length = snprintf(text, sizeof text, "myalloc replay: %s\n", what);

    if (write(STDERR_FILENO, text, (size_t)length) < 0)
        _exit(3);
    _exit(2);
}

/* Memory that is there at once, and not the allocator's. */
static void *map(size_t bytes)
{
    void *memory;

    if (!bytes)
        return NULL;
    memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED)
        give_up("there is no memory for what the replay itself needs");
    return memory;
}

static void read_whole(void *to, size_t bytes, off_t at)
{
    if (pread(replay.fd, to, bytes, at) != (ssize_t)bytes)
        give_up("the plan cannot be read");
}

static void read_plan(const char *path)
{
    replay.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (replay.fd < 0)
        give_up(strerror(errno));
    read_whole(&state.plan, sizeof state.plan, 0);
    if (state.plan.magic != PLAN_MAGIC)
        give_up("this is no plan");
    state.threads = map(state.plan.threads * sizeof *state.threads);
    state.workers = map(state.plan.threads * sizeof *state.workers);
    read_whole(state.threads, state.plan.threads * sizeof *state.threads, sizeof state.plan);
    replay.shared = map(state.plan.shared * sizeof *replay.shared);
    for (size_t i = 0; i < state.plan.threads; i++) {
        state.workers[i].plan = &state.threads[i];
        state.workers[i].slots = map(state.threads[i].slots * sizeof(struct slot));
    }
    state.looks = map(LOOKS_MOST * sizeof *state.looks);
}

/* ---- memory --------------------------------------------------------------------------------------------------------- */

static size_t read_text(const char *path, char *text, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, text, room - 1);

    if (fd >= 0)
        close(fd);
    text[length > 0 ? length : 0] = '\0';
    return length > 0 ? (size_t)length : 0;
}

static int64_t resident(void)
{
    char text[128];
    long pages = 0;

    read_text("/proc/self/statm", text, sizeof text);
    if (sscanf(text, "%*d %ld", &pages) != 1)
        give_up("/proc/self/statm cannot be read");
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

/* The most that the kernel has counted since reset_peak(). */
static int64_t kernel_peak(void)
{
    char text[4096];
    const char *line;

    read_text("/proc/self/status", text, sizeof text);
    line = strstr(text, "\nVmHWM:");
    return line ? strtoll(line + strlen("\nVmHWM:"), NULL, 10) * KIB : 0;
}

static bool reset_peak(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    bool is_done = fd >= 0 && write(fd, "5", 1) == 1;

    if (fd >= 0)
        close(fd);
    return is_done;
}

static int64_t live(void)
{
    int64_t sum = 0;

    for (size_t i = 0; i < state.plan.threads; i++)
        sum += __atomic_load_n(&state.workers[i].live, __ATOMIC_RELAXED);
    return sum;
}

static void thin_looks(void)
{
    for (size_t i = 0; i < LOOKS_MOST / 2; i++)
        state.looks[i] = state.looks[2 * i];
    state.count = LOOKS_MOST / 2;
    state.every *= 2;
}

static void look(void)
{
    struct look now = {clock_ns() - replay.begun, resident() - (int64_t)state.own, live()};
    const struct look *last = state.count ? &state.looks[state.count - 1] : &now;
    double passed = (double)(now.time - last->time);

    state.resident_area += passed * (double)(last->resident + now.resident) / 2;
    state.live_area += passed * (double)(last->live + now.live) / 2;
    if (now.resident > state.most)
        state.most = now.resident;
    if (state.count == LOOKS_MOST)
        thin_looks();
    state.looks[state.count++] = now;
}

/* ---- threads -------------------------------------------------------------------------------------------------------- */

static size_t seat_bytes(void)
{
    return (STEPS_AT_ONCE * sizeof(struct plan_step) + 4095) / 4096 * 4096 + STACK_BYTES;
}

static void give_seat(struct worker *worker)
{
    char *seat = state.seats;

    if (seat) {
        memcpy(&state.seats, seat, sizeof state.seats);
    } else {
        seat = map(seat_bytes());
        state.own += seat_bytes();
    }
    worker->steps = (struct plan_step *)(void *)seat;
}

static void take_seat(struct worker *worker)
{
    memcpy(worker->steps, &state.seats, sizeof state.seats);
    state.seats = (char *)worker->steps;
}

static void begin(struct worker *worker)
{
    pthread_attr_t attributes;

    give_seat(worker);
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, (char *)worker->steps + seat_bytes() - STACK_BYTES, STACK_BYTES);
    if (pthread_create(&worker->thread, &attributes, steps_run, worker))
        give_up("a thread cannot be begun");
    pthread_attr_destroy(&attributes);
    worker->has_begun = true;
}

/* Whether a thread may begin: the first one is as far as it was, and all that had ended before are over. */
static bool is_due(const struct worker *worker)
{
    const struct worker *first = state.workers;

    if (replay.paces && clock_ns() < replay.begun + worker->plan->begun)
        return false;
    if (__atomic_load_n(&first->done, __ATOMIC_RELAXED) < worker->plan->after &&
        !__atomic_load_n(&first->is_over, __ATOMIC_ACQUIRE))
        return false;
    for (const struct worker *other = first + 1; other < worker; other++) {
        if (other->plan->ended <= worker->plan->begun && !__atomic_load_n(&other->is_over, __ATOMIC_ACQUIRE))
            return false;
    }
    return true;
}

/* Begins what is due. `is_stuck`: a thread waits, perhaps for one whose time is not told exactly: the next one begins. Returns
   whether all have begun, and are over. */
static bool let_begin(bool is_stuck)
{
    bool are_over = __atomic_load_n(&state.workers[0].is_over, __ATOMIC_ACQUIRE);

    for (size_t i = 1; i < state.plan.threads; i++) {
        struct worker *worker = &state.workers[i];

        if (!worker->has_begun && (is_stuck || is_due(worker))) {
            begin(worker);
            is_stuck = false;
        } else if (worker->steps && __atomic_load_n(&worker->is_over, __ATOMIC_ACQUIRE)) {
            pthread_join(worker->thread, NULL);
            take_seat(worker);
            worker->steps = NULL;
        }
        are_over &= worker->has_begun && !worker->steps;
    }
    return are_over;
}

/* Whether a thread waits, and none has gone on for a while. */
static bool is_stuck(void)
{
    static uint64_t before;
    static unsigned times;
    uint64_t done = 0;
    bool waits = false;

    for (size_t i = 0; i < state.plan.threads; i++) {
        done += __atomic_load_n(&state.workers[i].done, __ATOMIC_RELAXED);
        waits |= __atomic_load_n(&state.workers[i].is_waiting, __ATOMIC_ACQUIRE);
    }
    times = waits && done == before ? times + 1 : 0;
    before = done;
    return times > POLLS_STUCK;
}

/* A thread of its own: begins the others, and looks at memory. */
static void *conduct(void *unused)
{
    uint64_t next = clock_ns();

    for (;;) {
        bool are_over = let_begin(is_stuck());

        if (are_over || clock_ns() >= next) {
            look();
            next = clock_ns() + state.every;
        }
        if (are_over)
            break;
        nanosleep(&(struct timespec){0, POLL_NS}, NULL);
    }
    state.conductor.whole_cpu = processor_ns();
    return unused;
}

/* ---- the end -------------------------------------------------------------------------------------------------------- */

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
    char text[256];
    va_list list;
    int length;

    va_start(list, format);
    length = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (write(STDOUT_FILENO, text, (size_t)length) != length)
        give_up("standard output cannot be written");
}

static uint64_t faults(void)
{
    struct rusage used;

    return getrusage(RUSAGE_SELF, &used) ? 0 : (uint64_t)used.ru_minflt;
}

/* What threads have taken of the processor that are none of the replay's: the allocator's own. */
static uint64_t helpers_ns(void)
{
    uint64_t all = read_clock(CLOCK_PROCESS_CPUTIME_ID), known = state.conductor.whole_cpu;

    for (size_t i = 0; i < state.plan.threads; i++)
        known += state.workers[i].whole_cpu;
    return all > known ? all - known : 0;
}

static double recorded_seconds(void)
{
    uint64_t last = 0;

    for (size_t i = 0; i < state.plan.threads; i++)
        last = state.threads[i].ended > last ? state.threads[i].ended : last;
    return (double)last / 1e9;
}

static void tell(void)
{
    uint64_t spent = 0, cpu = helpers_ns(), refused = 0, faulted = faults() - state.faults;
    int64_t blocks = 0, peak = state.has_peak ? kernel_peak() - (int64_t)state.own : 0;
    double passed = (double)state.looks[state.count - 1].time;
    size_t share = (state.count + LOOKS_SHOWN - 1) / LOOKS_SHOWN;

    for (size_t i = 0; i < state.plan.threads; i++) {
        spent += state.workers[i].spent;
        cpu += state.workers[i].cpu;
        refused += state.workers[i].refused;
        blocks += state.workers[i].blocks;
    }
    say("{\"time\": %.6f, \"cpu\": %.6f, \"elapsed\": %.6f, \"recorded\": %.6f, \"steps\": %llu, \"faults\": %llu, ",
        (double)spent / 1e9, (double)cpu / 1e9, passed / 1e9, recorded_seconds(), (unsigned long long)state.plan.steps,
        (unsigned long long)faulted);
    say("\"peak\": %lld, \"average\": %.0f, \"average_live\": %.0f, ", (long long)(peak > state.most ? peak : state.most),
        state.resident_area / passed, state.live_area / passed);
    say("\"end_live\": %lld, \"end_blocks\": %lld, \"refused\": %llu, \"looks\": [", (long long)live(), (long long)blocks,
        (unsigned long long)refused);
    for (size_t i = 0; i < state.count; i += share)
        say("%s[%.4f, %lld, %lld]", i ? ", " : "", (double)state.looks[i].time / 1e9, (long long)state.looks[i].resident,
            (long long)state.looks[i].live);
    say("]}\n");
}

static const char *take_options(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--pace"))
            replay.paces = true;
        else if (!strcmp(argv[i], "--touch") && i + 1 < argc)
            replay.touching = !strcmp(argv[++i], "none") ? TOUCH_NONE : !strcmp(argv[i], "all") ? TOUCH_ALL : TOUCH_RECORDED;
        else
            return argv[i];
    }
    return NULL;
}

int main(int argc, char **argv)
{
    const char *path = take_options(argc, argv);
    struct worker *conductor = &state.conductor;
    pthread_attr_t attributes;

    if (!path)
        give_up("usage: myalloc-replay [--pace] [--touch all|none|recorded] PLAN");
    read_plan(path);
    if (!state.plan.threads)
        give_up("the recording has no calls");
    state.every = LOOK_NS;
    give_seat(conductor);
    give_seat(&state.workers[0]);
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, (char *)conductor->steps + seat_bytes() - STACK_BYTES, STACK_BYTES);
    state.has_peak = reset_peak();
    state.own = (uint64_t)resident();
    state.faults = faults();
    replay.begun = clock_ns();
    if (pthread_create(&conductor->thread, &attributes, conduct, NULL))
        give_up("a thread cannot be begun");
    steps_run(&state.workers[0]);
    pthread_join(conductor->thread, NULL);
    tell();
    return 0;
}
