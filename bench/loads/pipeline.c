/* SPDX-License-Identifier: MIT */
/* Producers allocate, consumers free, in batches through bounded queues. After xmalloc-test by Lever and Boreham
 * ("malloc() performance in a multithreaded Linux environment", USENIX Freenix 2000) and Eder, in SuperMalloc's tests:
 * purely allocating and purely freeing threads. With --seconds it runs so long, and its memory must stay flat. */
#include "load.h"

enum { BATCH = 128 };

static long pairs = 1, batches = 50000, waiting = 32, least = 16, most = 256, seconds = 0;

static const struct parameter parameters[] = {
    {"pairs", &pairs, 1, 1000},    {"batches", &batches, 1, 1000000000}, {"waiting", &waiting, 1, QUEUE_MOST},
    {"least", &least, 1, 1000000}, {"most", &most, 1, 1000000},          {"seconds", &seconds, 0, 1000000}};

struct batch {
    struct block blocks[BATCH];
};

struct end {
    _Alignas(LINE) struct queue *queue; /* no two threads write to one line of the load's own but for the queue */
    long number, batches;
    uint64_t sum; /* of the tags: what was sent must arrive */
    int consumes;
};

static double deadline;

static void produce(struct end *end) {
    uint64_t random = random_stream(end->number);
    while (seconds > 0 ? now() < deadline : end->batches < batches) {
        struct batch *batch = checked(malloc(sizeof *batch), sizeof *batch);
        for (int i = 0; i < BATCH; i++) {
            uint32_t tag = (uint32_t)random_next(&random);
            block_new(&batch->blocks[i], random_between(&random, (size_t)least, (size_t)most), tag);
            end->sum += tag;
        }
        queue_put(end->queue, batch);
        end->batches++;
    }
    queue_put(end->queue, NULL);
}

static void consume(struct end *end) {
    for (struct batch *batch; (batch = queue_take(end->queue)) != NULL; end->batches++) {
        for (int i = 0; i < BATCH; i++) {
            end->sum += batch->blocks[i].tag;
            block_drop(&batch->blocks[i]);
        }
        free(batch);
    }
}

static void *run(void *data) {
    struct end *end = data;
    if (end->consumes)
        consume(end);
    else
        produce(end);
    return NULL;
}

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    load_range(least, most);
    struct end *ends = table_new((size_t)pairs * 2, sizeof *ends);
    struct queue *queues = table_new((size_t)pairs, sizeof *queues);
    for (long i = 0; i < pairs * 2; i++)
        ends[i] = (struct end){.queue = &queues[i / 2], .number = i, .consumes = i % 2};
    for (long i = 0; i < pairs; i++)
        queue_init(&queues[i], (unsigned)waiting);
    double started = now();
    long sent = 0;
    deadline = started + (double)seconds;
    threads_run(pairs * 2, run, ends, sizeof *ends);
    for (long i = 0; i < pairs * 2; i += 2) {
        sent += ends[i].batches;
        if (ends[i].batches != ends[i + 1].batches || ends[i].sum != ends[i + 1].sum)
            load_fail("pair %ld: %ld batches sent, %ld arrived, or not the same", i / 2, ends[i].batches,
                      ends[i + 1].batches);
    }
    if (seconds > 0)
        figure("rate", (double)(sent * BATCH) / (now() - started), "blocks/s");
    return 0;
}
