/* SPDX-License-Identifier: MIT */
/* `myalloc ctl PID COMMAND`: has a running process do something with its heap. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit/tunables.h"

#include "command.h"
#include "memory.h"
#include "message.h"
#include "request.h"
#include "seconds.h"
#include "spelling.h"

/* ---- the command line ---------------------------------------------------------------------------------------------- */

/* Commands that are no requests. */
enum alone { STATS, WITHDRAW };
static const char *const alone[] = {[STATS] = "stats", [WITHDRAW] = "withdraw"};

struct line {
    int number;
    double wait;
    const char *word, *value;
};

/* Sorts the words of the command line. False, and it has been told, if they are wrong. */
static bool parse(int argc, char **argv, struct line *line)
{
    const char *words[3] = {NULL};
    size_t count = 0;

    *line = (struct line){.wait = SECONDS_WAIT};
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--wait")) {
            i++;
            if (seconds_parse("ctl", argv[i - 1], argv[i], &line->wait))
                return false;
        } else if (count == 3) {
            fail(STATUS_USAGE, "ctl: '%s' is one word too many; see 'myalloc help ctl'", argv[i]);
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

static const struct tunable *tunable_of(const struct request *request)
{
    return &tunables_rows[request->command == MAILBOX_LIMIT ? TUNABLE_AT_limit : TUNABLE_AT_decay_ms];
}

/* What may stand behind the word with which requests begin, in words; "" for nothing. */
static const char *takes(const char *word, char *out, size_t room)
{
    size_t length = strlen(word), used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < requests_count; i++) {
        const struct request *request = &requests[i];

        if (strncmp(request->words, word, length))
            continue;
        if (request->words[length] == ' ' && used < room)
            used += (size_t)snprintf(out + used, room - used, "%s%s", used ? " or " : "", request->words + length + 1);
        else if (!request->words[length] && request->more)
            return request->command == MAILBOX_LIMIT ? "a size from 1m, or off"
                                                     : tunables_allowed(tunable_of(request), out, room);
    }
    return out;
}

/* Tells that there is no such command, and returns false. */
static bool say_unknown(const char *word)
{
    struct spelling spelling = spelling_start(word);

    for (size_t i = 0; i < requests_count; i++)
        spelling_offer(&spelling, memory_copy(requests[i].words, strcspn(requests[i].words, " ")));
    for (size_t i = 0; i < sizeof alone / sizeof *alone; i++)
        spelling_offer(&spelling, alone[i]);
    fail(STATUS_USAGE, "ctl has no command '%s'; %s", word, spelling_hint(&spelling, "see 'myalloc help ctl'"));
    return false;
}

/* A value as the option of that name takes it. */
static bool parse_value(const struct request *request, const char *text, uint64_t *value)
{
    static struct tunables read;
    bool limit = request->command == MAILBOX_LIMIT;
    const struct tunable *tunable = tunable_of(request);
    const char *given = limit && !strcmp(text, "off") ? "none" : text;
    const char *wrong = tunables_set_text(&read, tunable, given, strlen(given));
    char allowed[128];

    if (!wrong && limit && read.limit == LIMIT_CGROUP)
        wrong = "can be set at the start only";
    *value = !limit ? read.decay_ms : read.limit == SIZE_MAX ? UINT64_MAX : read.limit;
    if (wrong)
        fail(STATUS_USAGE, "ctl: %s '%s' %s; it takes %s", request->words, text, wrong,
             takes(request->words, allowed, sizeof allowed));
    return !wrong;
}

/* The request that the line makes. False, and it has been told, if there is none. */
static bool find(const struct line *line, struct request *request)
{
    size_t length = strlen(line->word);
    bool begins = false;
    const char *given = line->value ? line->value : "", *takes_what;
    char allowed[128];

    for (size_t i = 0; i < requests_count; i++) {
        const char *words = requests[i].words, *more = words + length;

        if (strncmp(words, line->word, length) || (*more && *more != ' '))
            continue;
        begins = true;
        *request = requests[i];
        if (*more == ' ' ? !strcmp(more + 1, given) : !request->more == !line->value)
            return !request->more || parse_value(request, line->value, &request->argument);
    }
    if (!begins)
        return say_unknown(line->word);
    takes_what = takes(line->word, allowed, sizeof allowed);
    if (!line->value)
        fail(STATUS_USAGE, "ctl: %s needs a value: %s", line->word, takes_what);
    else
        fail(STATUS_USAGE, "ctl: %s takes %s, not '%s'", line->word, *takes_what ? takes_what : "no value", given);
    return false;
}

/* ---- the command ---------------------------------------------------------------------------------------------------- */

static int withdraw(struct post *post)
{
    enum post_state state = post_withdraw(post);

    if (state == POST_FAILED)
        return request_say_failure(post, state);
    if (state == POST_LOST)
        puts("done: no command waits");
    else if (state == POST_WAITING)
        printf("done: '%s' had begun\n", request_name(&post->other));
    else
        printf("done: '%s' is withdrawn\n", request_name(&post->other));
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

static bool is_alone(const struct line *line, enum alone command)
{
    return !line->value && !strcmp(line->word, alone[command]);
}

static int ctl(int argc, char **argv)
{
    static struct post post;
    struct request request = {0};
    struct line line;
    enum post_state state;
    unsigned long long leader;

    if (!parse(argc, argv, &line))
        return STATUS_USAGE;
    if (!is_alone(&line, STATS) && !is_alone(&line, WITHDRAW) && !find(&line, &request))
        return STATUS_USAGE;
    leader = process_status(line.number, "Tgid");
    if (leader && leader != (unsigned long long)line.number)
        return fail(EXIT_FAILURE, "%d is a thread of process %llu: name that", line.number, leader);
    if (is_alone(&line, STATS))
        return stats(line.number);
    state = request_open(line.number, line.wait, &post);
    if (state != POST_SENT)
        return request_say_failure(&post, state);
    if (is_alone(&line, WITHDRAW))
        return withdraw(&post);
    return request_say(&post, &request, request_await(&post, &request, line.wait));
}

static const struct command_option own_options[] = {{"--wait", "SECONDS"}, {NULL, NULL}};

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
    .options = own_options,
    .run = ctl,
};
