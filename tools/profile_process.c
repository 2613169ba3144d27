/* SPDX-License-Identifier: MIT */
#include "profile_process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "request.h"
#include "seconds.h"

#define LOOK_SECONDS 0.25 /* whether the process is still there */

struct order {
    int number;
    const char *word; /* on, dump or off; NULL: all of them */
    double during, wait;
};

static volatile sig_atomic_t interrupted;

/* ---- the command line ---------------------------------------------------------------------------------------------- */

static int parse(int argc, char **argv, struct order *order)
{
    bool is_timed = false;

    *order = (struct order){.number = process_number(argv[0]), .wait = SECONDS_WAIT};
    if (!order->number)
        return fail(STATUS_USAGE, "profile: '%s' is no number of a process; put '--' before a program of that name", argv[0]);
    for (int i = 1; i < argc; i++) {
        bool is_for = !strcmp(argv[i], "--for"), is_wait = !strcmp(argv[i], "--wait");

        if (is_for || is_wait) {
            int status = seconds_parse("profile", argv[i], argv[i + 1], is_for ? &order->during : &order->wait);

            if (status)
                return status;
            is_timed |= is_for;
            i++;
        } else if (!order->word && (!strcmp(argv[i], "on") || !strcmp(argv[i], "dump") || !strcmp(argv[i], "off"))) {
            order->word = argv[i];
        } else {
            return fail(STATUS_USAGE, "profile: a process takes no '%s'; see 'myalloc help profile'", argv[i]);
        }
    }
    if (!order->word == is_timed)
        return 0;
    return fail(STATUS_USAGE, "profile needs one of on, dump, off and --for SECONDS for process %d", order->number);
}

/* ---- what is asked for --------------------------------------------------------------------------------------------- */

static const struct request *request_of(const char *word)
{
    size_t i = 0;

    while (strncmp(requests[i].words, "profile ", 8) || strcmp(requests[i].words + 8, word))
        i++;
    return &requests[i];
}

static int ask(struct post *post, const char *word, double wait, enum post_state *state)
{
    const struct request *request = request_of(word);

    *state = request_await(post, request, wait);
    return request_say(post, request, *state);
}

static void interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

/* Sleeps so long; less if the process ends, or the user has had enough. */
static void pass(const struct post *post, double during)
{
    struct sigaction action = {.sa_handler = interrupt}, before[2];
    struct process now;

    sigaction(SIGINT, &action, &before[0]);
    sigaction(SIGTERM, &action, &before[1]);
    for (; during > 0 && !interrupted; during -= LOOK_SECONDS) {
        double step = during < LOOK_SECONDS ? during : LOOK_SECONDS;

        seconds_sleep(step);
        if (!process_read(post->counts.process.number, &now) || now.started != post->counts.process.started)
            break;
    }
    sigaction(SIGINT, &before[0], NULL);
    sigaction(SIGTERM, &before[1], NULL);
}

/* It does not answer the dump, so that it would not answer "off" either. Takes the dump back and tells what remains. */
static int leave(struct post *post, int status)
{
    int number = post->counts.process.number;
    enum post_state state = post_withdraw(post);

    if (state == POST_SENT)
        return fail(status, "'profile dump' is withdrawn, and process %d still records: once it allocates again, "
                    "'myalloc profile %d dump' writes and 'myalloc profile %d off' ends it", number, number, number);
    return fail(status, "process %d has begun to write, and still records: 'myalloc profile %d off' ends it", number, number);
}

/* On, a while, dump, off. What is on stays on only where that is told. */
static int run_for(struct post *post, const struct order *order)
{
    enum post_state state;
    int status = ask(post, "on", order->wait, &state), ended;
    bool was_on = state == POST_ANSWERED && (post->answer.result & MAILBOX_WAS_ON);

    if (state == POST_WAITING && post_withdraw(post) == POST_SENT)
        return fail(status, "nothing is recorded: 'profile on' is withdrawn");
    if (status)
        return status;
    fflush(stdout);
    pass(post, order->during);
    status = ask(post, "dump", order->wait, &state);
    if (state == POST_FAILED)
        return status;
    if (state == POST_WAITING)
        return leave(post, status);
    if (was_on) {
        puts("it was on before, and goes on");
        return status;
    }
    ended = ask(post, "off", order->wait, &state);
    if (ended && state != POST_WAITING && state != POST_FAILED)
        fail(ended, "process %d still records: 'myalloc profile %d off' ends it", order->number, order->number);
    return status ? status : ended;
}

int profile_process(int argc, char **argv)
{
    static struct post post;
    struct order order;
    enum post_state state;
    int status = parse(argc, argv, &order);

    if (status)
        return status;
    state = request_open(order.number, order.wait, &post);
    if (state != POST_SENT)
        return request_say_failure(&post, state);
    return order.word ? ask(&post, order.word, order.wait, &state) : run_for(&post, &order);
}
