/* SPDX-License-Identifier: MIT */
/* `myalloc ctl PID COMMAND`: has a running process do something with its heap. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kit/tunables.h"

#include "command.h"
#include "counts.h"
#include "message.h"
#include "post.h"

enum { LOOK_MS = 5, LOST_MS = 50 };
#define WAIT_SECONDS 2.0
#define WAIT_MOST 86400.0

/* What may be asked for. The words are those of the command line, `more` what stands behind them as a value. */
struct request {
    const char *words;
    const char *more;
    enum mailbox_command command;
    uint64_t argument;
    const char *instead; /* what gdb may call for it, if that is known */
};

static const struct request requests[] = {
    {"purge", NULL, MAILBOX_PURGE, 0, "malloc_trim(0)"},
    {"trim", NULL, MAILBOX_TRIM, 0, "malloc_trim(0)"},
    {"limit", "BYTES|off", MAILBOX_LIMIT, 0, NULL},
    {"decay", "MS", MAILBOX_DECAY, 0, NULL},
    {"profile on", NULL, MAILBOX_PROFILE, 1, NULL},
    {"profile off", NULL, MAILBOX_PROFILE, 0, NULL},
    {"profile dump", NULL, MAILBOX_DUMP, 0, NULL},
    {"check", NULL, MAILBOX_CHECK, 0, NULL},
    {"background on", NULL, MAILBOX_BACKGROUND, 1, NULL},
    {"background off", NULL, MAILBOX_BACKGROUND, 0, NULL},
    {"sample on", NULL, MAILBOX_SAMPLE, 1, NULL},
};
enum { REQUESTS = sizeof requests / sizeof *requests };

static const char *name_of(uint64_t command)
{
    for (size_t i = 0; i < REQUESTS; i++) {
        if (requests[i].command == command)
            return requests[i].words;
    }
    return "one that this command does not know";
}

/* ---- the command line ---------------------------------------------------------------------------------------------- */

struct line {
    int number;
    double wait;
    const char *word, *value;
};

/* False, and it has been told, if it is none. */
static bool parse_wait(const char *text, double *wait)
{
    char *end;

    *wait = text ? strtod(text, &end) : -1;
    if (text && *text && !*end && *wait >= 0 && *wait <= WAIT_MOST)
        return true;
    fail(STATUS_USAGE, "ctl: --wait needs seconds from 0 to %.0f%s%s%s", WAIT_MOST, text ? ", not '" : "", text ? text : "",
         text ? "'" : "");
    return false;
}

/* Sorts the words of the command line. False, and it has been told, if they are wrong. */
static bool parse(int argc, char **argv, struct line *line)
{
    const char *words[3] = {NULL};
    size_t count = 0;

    *line = (struct line){.wait = WAIT_SECONDS};
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--wait")) {
            if (!parse_wait(i + 1 < argc ? argv[i + 1] : NULL, &line->wait))
                return false;
            i++;
        } else if (count == 3 || !strncmp(argv[i], "--", 2)) {
            fail(STATUS_USAGE, "ctl: '%s' is %s; see 'myalloc help ctl'", argv[i],
                 count == 3 ? "one word too many" : "no option of it");
            return false;
        } else {
            words[count++] = argv[i];
        }
    }
    if (count < 2) {
        fail(STATUS_USAGE, "ctl needs the number of a process and a command; see 'myalloc help ctl'");
        return false;
    }
    line->number = process_number(words[0]);
    line->word = words[1];
    line->value = words[2];
    if (!line->number)
        fail(STATUS_USAGE, "ctl: '%s' is no number of a process", words[0]);
    return line->number != 0;
}

/* A value as the option of that name takes it. */
static bool parse_value(const struct request *request, const char *text, uint64_t *value)
{
    static struct tunables read;
    bool limit = request->command == MAILBOX_LIMIT;
    const struct tunable *tunable = &tunables_rows[limit ? TUNABLE_AT_limit : TUNABLE_AT_decay_ms];
    const char *given = limit && !strcmp(text, "off") ? "none" : text;
    const char *wrong = tunables_set_text(&read, tunable, given, strlen(given));
    char allowed[128];

    if (!wrong && limit && read.limit == LIMIT_CGROUP)
        wrong = "can be set at the start only";
    *value = !limit ? read.decay_ms : read.limit == SIZE_MAX ? UINT64_MAX : read.limit;
    if (wrong)
        fail(STATUS_USAGE, "ctl: %s '%s' %s; it takes %s", request->words, text, wrong,
             limit ? "a size from 1m, or off" : tunables_allowed(tunable, allowed, sizeof allowed));
    return !wrong;
}

/* The request that the line makes. False, and it has been told, if there is none. */
static bool find(const struct line *line, struct request *request)
{
    size_t length = strlen(line->word);
    bool begins = false;
    const char *given = line->value ? line->value : "";

    for (size_t i = 0; i < REQUESTS; i++) {
        const char *words = requests[i].words, *more = words + length;

        if (strncmp(words, line->word, length) || (*more && *more != ' '))
            continue;
        begins = true;
        *request = requests[i];
        if (*more == ' ' ? !strcmp(more + 1, given) : !request->more == !line->value)
            return !request->more || parse_value(request, line->value, &request->argument);
    }
    if (!begins)
        fail(STATUS_USAGE, "ctl has no command '%s'; see 'myalloc help ctl'", line->word);
    else
        fail(STATUS_USAGE, "ctl: %s '%s' is wrong; see 'myalloc help ctl'", line->word, given);
    return false;
}

/* ---- what came of it ------------------------------------------------------------------------------------------------ */

static int say_failure(const struct post *post, enum post_state state)
{
    int number = post->counts.process.number;
    const char *name = post->counts.process.name;

    switch (state) {
    case POST_SEALED:
        return fail(EXIT_FAILURE, "process %d (%s) takes no commands: its option control is off; start it with control:on, or "
                    "without control:off in MYALLOC_OPTIONS", number, name);
    case POST_SECURE:
        return fail(EXIT_FAILURE, "process %d (%s) takes no commands: it was started with more rights than its user's "
                    "(set-user-ID or capabilities); start it as the user who has them", number, name);
    case POST_VERSION:
        return fail(EXIT_FAILURE, "process %d (%s) has a library with another form of commands: use its own 'myalloc'", number,
                    name);
    case POST_BUSY:
        return fail(STATUS_BUSY, "process %d (%s) is busy: '%s' of another 'myalloc ctl' waits for its answer; nothing was "
                    "sent: try again, or 'myalloc ctl %d withdraw'", number, name, name_of(post->command), number);
    case POST_LOST:
        return fail(STATUS_BUSY, "process %d (%s) is busy: another 'myalloc ctl' has put its command in the place of this one, "
                    "or has withdrawn it; nothing was done: try again", number, name);
    default:
        return counts_say(number, &post->counts, post->failure);
    }
}

static int say_refused(const struct post *post, const struct request *request)
{
    int number = post->counts.process.number;

    switch (post->answer.status) {
    case MAILBOX_UNKNOWN:
        return fail(EXIT_FAILURE, "process %d does not know '%s': use the 'myalloc' of its library", number, request->words);
    case MAILBOX_BOUNDS:
        return fail(EXIT_FAILURE, "process %d: the value of '%s' is out of bounds; see 'myalloc help ctl'", number,
                    request->words);
    case MAILBOX_REFUSED:
        return fail(EXIT_FAILURE, "process %d: %s: the system refuses%s%s: %s", number, request->words, *post->text ? " " : "",
                    post->text, strerror((int)post->answer.result));
    default:
        return fail(EXIT_FAILURE, "process %d: %s: %s", number, request->words,
                    request->command == MAILBOX_DUMP ? "no profile was ever on; 'profile on' begins one"
                                                     : "it is linked statically, so that no thread can be made in it from "
                                                       "outside; start it with background:on in MYALLOC_OPTIONS");
    }
}

static int say_done(const struct post *post, const struct request *request)
{
    uint64_t result = post->answer.result;

    switch (request->command) {
    case MAILBOX_PURGE:
    case MAILBOX_TRIM:
        printf("done: %" PRIu64 " bytes went back to the system\n", result);
        break;
    case MAILBOX_LIMIT:
        if (request->argument == UINT64_MAX)
            printf("done: no limit; %" PRIu64 " bytes are taken\n", result);
        else
            printf("done: limit %" PRIu64 ", of which %" PRIu64 " bytes are taken\n", request->argument, result);
        break;
    case MAILBOX_DECAY:
        printf("done: free memory goes back after about %" PRIu64 " ms\n", request->argument);
        break;
    case MAILBOX_PROFILE:
        if (request->argument)
            printf("done: one byte in %" PRIu64 " is sampled\n", result);
        else
            puts("done: nothing is sampled any more");
        break;
    case MAILBOX_DUMP:
        printf("done: written to %s\n", post->text);
        break;
    case MAILBOX_CHECK:
        if (result)
            return fail(EXIT_FAILURE, "process %d: %" PRIu64 " invariants of the heap are broken; its standard error names "
                        "them", post->counts.process.number, result);
        puts("done: 0 invariants are broken");
        break;
    case MAILBOX_BACKGROUND:
        puts(request->argument ? "done: the helper thread runs" : "done: there is no helper thread");
        break;
    default:
        puts(result ? "done: blocks were protected before" : "done: some blocks get guarded pages");
    }
    return EXIT_SUCCESS;
}

/* It has not been answered in time. */
static int say_pending(const struct post *post, const struct request *request)
{
    struct process now = post->counts.process;
    int number = now.number;

    process_read(number, &now);
    if (now.state == 'T' || now.state == 't')
        return fail(STATUS_PENDING, "pending: process %d (%s) is stopped; 'kill -CONT %d' lets it go on", number, now.name,
                    number);
    return fail(STATUS_PENDING, "pending: process %d (%s) does '%s' at its next call of malloc or free that no list of its "
                "threads serves; with background:on a thread of its own answers, else gdb -p %d -batch -ex 'call (int)%s'",
                number, now.name, request->words, number, request->instead ? request->instead : "myalloc_check_heap()");
}

/* ---- the command ---------------------------------------------------------------------------------------------------- */

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){0, ms * 1000000}, NULL);
}

/* A letter that is not seen is looked for once more: the mailbox is not read at one moment. */
static enum post_state await(struct post *post, double wait)
{
    double until = seconds() + wait;
    enum post_state state = POST_WAITING;
    bool again = true;

    for (;;) {
        enum post_state last = state;

        state = post_look(post);
        again = state == POST_LOST && last != POST_LOST;
        if (state != POST_WAITING && !again)
            return state;
        if (!again && seconds() >= until)
            return state;
        sleep_ms(again ? LOST_MS : LOOK_MS);
    }
}

/* A process whose loader has not come far finds no mailbox where its page says. */
static enum post_state open_post(const struct line *line, struct post *post)
{
    double until = seconds() + line->wait;
    enum post_state state;

    while ((state = post_open(line->number, post)) == POST_FAILED && post->failure == COUNTS_CHANGED && seconds() < until)
        sleep_ms(LOST_MS);
    return state;
}

static int send(struct post *post, const struct request *request, double wait)
{
    enum post_state state = post_send(post, request->command, request->argument);

    if (state == POST_SENT)
        state = await(post, wait);
    if (state == POST_WAITING)
        return say_pending(post, request);
    if (state != POST_ANSWERED)
        return say_failure(post, state);
    return post->answer.status == MAILBOX_DONE ? say_done(post, request) : say_refused(post, request);
}

static int withdraw(struct post *post)
{
    enum post_state state = post_withdraw(post);

    if (state == POST_FAILED)
        return say_failure(post, state);
    if (state == POST_LOST)
        puts("done: no command waits");
    else if (state == POST_WAITING)
        printf("done: '%s' had begun\n", name_of(post->command));
    else
        printf("done: '%s' is withdrawn\n", name_of(post->command));
    return EXIT_SUCCESS;
}

/* The numbers of its page: nothing is asked of the process. */
static int stats(int number)
{
    static const struct {
        const char *name, *meaning;
    } rows[] = {
#define NUMBER(name, kind, address, meaning) {#name, meaning},
#include "observe/page.def"
#undef NUMBER
    };
    static struct counts counts;
    int status = counts_read(number, &counts);

    if (status)
        return status;
    for (size_t i = 0; i < PAGE_NUMBERS; i++) {
        if (i == PAGE_AT_limit && counts.numbers[i] >= UINT64_MAX - 1)
            printf("%-14s %16s  %s\n", rows[i].name, counts.numbers[i] == UINT64_MAX ? "none" : "cgroup", rows[i].meaning);
        else
            printf("%-14s %16" PRIu64 "  %s\n", rows[i].name, counts.numbers[i], rows[i].meaning);
    }
    printf("%-14s %16llu  %s\n", "resident", counts.process.resident, "Memory of the whole process");
    return EXIT_SUCCESS;
}

/* Whether the line is a word without a value. */
static bool is_alone(const struct line *line, const char *word)
{
    return !line->value && !strcmp(line->word, word);
}

static int ctl(int argc, char **argv)
{
    static struct post post;
    struct request request = {0};
    struct line line;
    enum post_state state;
    unsigned long long leader;

    if (argc > 1 && !strcmp(argv[1], "--help")) {
        command_print_help(&command_ctl);
        return EXIT_SUCCESS;
    }
    if (!parse(argc, argv, &line))
        return STATUS_USAGE;
    if (!is_alone(&line, "stats") && !is_alone(&line, "withdraw") && !find(&line, &request))
        return STATUS_USAGE;
    leader = process_status(line.number, "Tgid");
    if (leader && leader != (unsigned long long)line.number)
        return fail(EXIT_FAILURE, "%d is a thread of process %llu: name that", line.number, leader);
    if (is_alone(&line, "stats"))
        return stats(line.number);
    state = open_post(&line, &post);
    if (state != POST_SENT)
        return say_failure(&post, state);
    return is_alone(&line, "withdraw") ? withdraw(&post) : send(&post, &request, line.wait);
}

const struct command command_ctl = {
    .name = "ctl",
    .arguments = "PID COMMAND [--wait SECONDS]",
    .summary = "Have a running process do something with its heap",
    .details = "The process does it at its next call of malloc or free that takes a slow path, or in its helper thread\n"
               "(background:on). It is neither stopped nor slowed. Commands:\n"
               "\n"
               "  purge             what would go back to the system with time goes now\n"
               "  trim              malloc_trim(0): also what lies on the lists of the thread that does it\n"
               "  limit BYTES|off   the most memory to take from the system: 512m\n"
               "  decay MS          how long free memory is kept\n"
               "  profile on|off    records a sample of allocations with their call stacks, or ends that\n"
               "  profile dump      writes what was recorded to the file that the process's option profile_out names\n"
               "  check             walks the heap's structures: how many of its invariants are broken\n"
               "  background on|off a helper thread gives memory back while the program makes no calls\n"
               "  sample on         some blocks lie on guarded pages from now on (protect:sample), until it ends\n"
               "  stats             prints the process's numbers; the process is asked for nothing\n"
               "  withdraw          takes a command back that waits for its answer\n"
               "\n"
               "  --wait SECONDS    how long to wait for the answer: 2\n"
               "\n"
               "\"done\" is printed once the process has answered. A command that is pending stays until it has, or is\n"
               "withdrawn. Exit status: 0 done; 1 it cannot be, the reason is told; 2 wrong usage; 4 pending; 5 busy with\n"
               "another command. Who may do it is decided by the kernel, as for a debugger; control:off in MYALLOC_OPTIONS\n"
               "of the process seals it.\n",
    .run = ctl,
};
