/* SPDX-License-Identifier: MIT */
/* postgres [--make] EXPECTED SERVER DATA ROUNDS: runs a postgres server on the folder DATA, under the preload, and clients
 * that come and go: ROUNDS times eight of them at once, each of which connects, asks what TABLES (postgres.py) can answer
 * and leaves, beside two that stay. All answers, by length and hash, must be those in the file EXPECTED; --make writes it.
 *
 * The server forks a process for each connection, which gives back what it has by ending; the work is the same in each
 * run. This process is the server's parent and all of its clients, so that `measure -c` leaves its memory out; it speaks
 * the protocol of postgres itself, as a client program for each connection would take more time than the server. If
 * anything goes wrong it says so on stderr, ends the server and exits with 1, or 125 if the server cannot be started.
 *
 * Root must not run the server: then user and group `nobody` do, to whom DATA must belong, and who get the preload as an
 * open file, as they may not reach its folder. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "expected.h"

enum { NOBODY = 65534, PATIENCE_MS = 20000, CLIENTS = 8, STANDING = 2, STAY_MS = 30, PROTOCOL = 3 << 16, READY_LINE = 8 };

/* Memory of one size, no disk, no processes but the server's own and one for each connection, and no plan or clean-up
 * whose time depends on the clock. */
static const char *const settings[] = {
    "listen_addresses=",     "unix_socket_directories=.", "fsync=off",           "synchronous_commit=off",
    "autovacuum=off",        "shared_buffers=16MB",       "huge_pages=off",      "dynamic_shared_memory_type=mmap",
    "wal_level=minimal",     "max_wal_senders=0",         "max_connections=30",  "max_parallel_workers_per_gather=0",
    "checkpoint_timeout=1h", "jit=off",                   "log_min_messages=fatal", "synchronize_seqscans=off"};

static pid_t server;
static const char *data;
static struct written answers = {0};

/* A message as it comes: its type, its content and how much of it there is. */
struct message {
    unsigned char type, content[1 << 16];
    size_t length;
};

/* What is sent at once. */
struct request {
    char bytes[4096];
    size_t length;
};

static void pause_ms(long milliseconds) {
    nanosleep(&(struct timespec){.tv_nsec = milliseconds * 1000000}, NULL);
}

/* Ends the server by the signal, or by force; its wait status. */
static int end_server(int how) {
    int status = 0;
    kill(server, how);
    for (int waited = 0; waitpid(server, &status, WNOHANG) == 0; waited++) {
        if (waited == PATIENCE_MS)
            kill(server, SIGKILL);
        pause_ms(1);
    }
    return status;
}

__attribute__((noreturn, format(printf, 1, 2))) static void wrong(const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    end_server(SIGQUIT);
    fprintf(stderr, "postgres: %s\n", text);
    exit(1);
}

/* ---- the server --------------------------------------------------------------------------------------------------- */

/* Gives up root's rights in the child that becomes the server. */
static int become_nobody(void) {
    const char *library = getenv("LD_PRELOAD");
    char path[64];
    int file = library && *library ? open(library, O_RDONLY) : -1;
    if (file >= 0) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
        setenv("LD_PRELOAD", path, 1);
    }
    return setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY);
}

static void start_server(const char *program) {
    const char *command[2 * sizeof settings / sizeof *settings + 4] = {"postgres", "-D", data};
    for (size_t i = 0, at = 3; i < sizeof settings / sizeof *settings; i++) {
        command[at++] = "-c";
        command[at++] = settings[i];
    }
    server = fork();
    if (server < 0)
        exit(give_up("fork", errno));
    if (server > 0)
        return;
    if (geteuid() == 0 && become_nobody() != 0)
        _exit(give_up("setuid", errno));
    execv(program, (char *const *)command);
    _exit(give_up(program, errno));
}

/* Whether the server has written that connections are welcome: one that comes too early would be a process more. */
static bool is_ready(void) {
    char path[256], line[256] = "";
    snprintf(path, sizeof path, "%s/postmaster.pid", data);
    FILE *file = fopen(path, "re");
    int lines = 0;
    while (file && lines < READY_LINE && fgets(line, sizeof line, file))
        lines++;
    if (file)
        fclose(file);
    return lines == READY_LINE && strncmp(line, "ready", strlen("ready")) == 0;
}

static void await_server(void) {
    for (int waited = 0, status; !is_ready(); waited++) {
        if (waitpid(server, &status, WNOHANG) == server)
            exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : give_up("the server has ended", ECHILD));
        if (waited == PATIENCE_MS)
            wrong("the server was not ready within %d ms", PATIENCE_MS);
        pause_ms(1);
    }
}

/* ---- the protocol ------------------------------------------------------------------------------------------------- */

static void add_bytes(struct request *request, const void *bytes, size_t count) {
    memcpy(request->bytes + request->length, bytes, count);
    request->length += count;
}

static void add_number(struct request *request, size_t number) {
    uint32_t ordered = htonl((uint32_t)number);
    add_bytes(request, &ordered, sizeof ordered);
}

static void add_start(struct request *request) {
    static const char text[] = "user\0tester\0database\0postgres\0";
    add_number(request, sizeof text + 2 * sizeof(uint32_t));
    add_number(request, PROTOCOL);
    add_bytes(request, text, sizeof text);
}

__attribute__((format(printf, 2, 3))) static void add_query(struct request *request, const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    size_t length = (size_t)vsnprintf(text, sizeof text, format, arguments) + 1;
    va_end(arguments);
    add_bytes(request, "Q", 1);
    add_number(request, sizeof(uint32_t) + length);
    add_bytes(request, text, length);
}

static void add_end(struct request *request) {
    add_bytes(request, "X", 1);
    add_number(request, sizeof(uint32_t));
}

static int reach(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (snprintf(address.sun_path, sizeof address.sun_path, "%s/.s.PGSQL.5432", data) >= (int)sizeof address.sun_path)
        wrong("%s: the name is too long for a socket", data);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        wrong("%s: %s", address.sun_path, strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = PATIENCE_MS / 1000}, sizeof(struct timeval));
    return fd;
}

static void ask(int fd, const struct request *request) {
    if (send(fd, request->bytes, request->length, MSG_NOSIGNAL) != (ssize_t)request->length)
        wrong("the server does not listen any more");
}

static bool take(int fd, void *bytes, size_t count) {
    return count == 0 || recv(fd, bytes, count, MSG_WAITALL) == (ssize_t)count;
}

static void take_message(int fd, struct message *message) {
    uint32_t length;
    if (!take(fd, &message->type, 1) || !take(fd, &length, sizeof length))
        wrong("the server hung up, or did not answer within %d ms", PATIENCE_MS);
    message->length = ntohl(length) - sizeof length;
    if (message->length >= sizeof message->content)
        wrong("an answer of %zu bytes", message->length);
    if (!take(fd, message->content, message->length))
        wrong("the server hung up in an answer");
    message->content[message->length] = '\0';
}

/* The text of an error, the field that begins with M. */
static const char *error_text(const struct message *message) {
    const char *at = (const char *)message->content;
    while (*at != '\0' && *at != 'M')
        at += strlen(at) + 1;
    return *at == 'M' ? at + 1 : "an error";
}

/* Takes the answers to so many requests, each of which ends with `ready for the next`. Rows and what was done count. */
static void take_answers(int fd, int requests) {
    static struct message message;
    while (requests > 0) {
        take_message(fd, &message);
        if (message.type == 'E')
            wrong("%s", error_text(&message));
        if (message.type == 'D' || message.type == 'C')
            written_add(&answers, message.content, message.length);
        requests -= message.type == 'Z';
    }
}

/* ---- the clients -------------------------------------------------------------------------------------------------- */

/* Connects and asks all that a client asks, at once. The number of answers: 1 for the connection, and one a query. */
static int ask_all(int fd, int session) {
    struct request request = {0};
    add_start(&request);
    add_query(&request, "select page(%d)", session);
    add_query(&request, "select tags[1], count(*), md5(string_agg(body, ',' order by id)) from item where id between %d and %d"
              " group by 1 order by 1", session % 50 * 100, session % 50 * 100 + 1500);
    add_query(&request, "select md5(string_agg(name, ' ' order by body, id)) from item where id %% 10 = %d", session % 10);
    add_query(&request, "insert into visit select %d, n, repeat(md5(n::text), n %% 5) from generate_series(1, %d) n", session,
              20 + session % 30);
    add_query(&request, "select jsonb_object_agg(name, jsonb_build_array(id, tags, body)) ->> 'name 77' from item "
              "where id %% 37 = %d", session % 37);
    ask(fd, &request);
    return 6;
}

/* Lets a client go; its backend has ended when this returns. */
static void leave(int fd) {
    struct request last = {0};
    char byte;
    add_end(&last);
    ask(fd, &last);
    if (recv(fd, &byte, 1, 0) != 0)
        wrong("a client that has left is not let go");
    close(fd);
}

/* Eight clients at once, each with a backend of its own, who stay a moment when they have their answers, so that what
 * their backends hold can be seen; all have gone when this returns. */
static void come_and_go(int round) {
    int clients[CLIENTS], requests = 0;
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = reach();
        requests = ask_all(clients[i], round * CLIENTS + i);
    }
    for (int i = 0; i < CLIENTS; i++)
        take_answers(clients[i], requests);
    pause_ms(STAY_MS);
    for (int i = 0; i < CLIENTS; i++)
        leave(clients[i]);
}

static void ask_standing(int fd, int round) {
    struct request request = {0};
    add_query(&request, "prepare p%d as select count(*), sum(length(body) + $1) from item where tags[2] = $1", round);
    add_query(&request, "execute p%d(%d)", round, round % 11);
    add_query(&request, "select md5(string_agg(item::text, ',' order by body desc, id)) from item where id < %d",
              500 * (round % 8 + 1));
    ask(fd, &request);
}

static void serve(int rounds) {
    int standing[STANDING];
    struct request hello = {0}, last = {0};
    add_start(&hello);
    for (int i = 0; i < STANDING; i++) {
        ask(standing[i] = reach(), &hello);
        take_answers(standing[i], 1);
    }
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < STANDING; i++)
            ask_standing(standing[i], round);
        come_and_go(round);
        for (int i = 0; i < STANDING; i++)
            take_answers(standing[i], 3);
    }
    add_query(&last, "select count(*), sum(line), md5(string_agg(text, ',' order by session, line)) from visit");
    ask(standing[0], &last);
    take_answers(standing[0], 1);
    for (int i = 0; i < STANDING; i++)
        leave(standing[i]);
}

int main(int argc, char **argv) {
    bool making = argc > 1 && strcmp(argv[1], "--make") == 0;
    char **arguments = argv + making;
    if (argc - making != 5 || atoi(arguments[4]) < 1) {
        fputs("usage: postgres [--make] EXPECTED SERVER DATA ROUNDS\n", stderr);
        return STATUS_FAILED;
    }
    answers = NOTHING_WRITTEN;
    data = arguments[3];
    start_server(arguments[2]);
    await_server();
    serve(atoi(arguments[4]));
    int status = end_server(SIGINT);
    if (status != 0) {
        fprintf(stderr, "postgres: the server ended with wait status %d\n", status);
        return STATUS_DIFFERS;
    }
    return making ? expected_make(arguments[1], answers) : expected_compare(arguments[1], answers);
}
