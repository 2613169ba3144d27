/* SPDX-License-Identifier: MIT */
/* A store of strings in memory that threads share, as servers like redis keep it: each request brings a key and maybe a value,
 * which are allocated; a value that is set takes the place of one that most often another thread has allocated; a value that is
 * read is copied into a reply; some values grow by realloc. Keys are spread over shards with a lock each. */
#include "load.h"

enum { SHARDS = 64, APPENDED = 32 };

static long threads = 4, keys = 20000, requests = 2000000, least = 16, most = 4096;

static const struct parameter parameters[] = {{"threads", &threads, 1, 10000},
                                              {"keys", &keys, 1, 10000000},
                                              {"requests", &requests, 1, 10000000000},
                                              {"least", &least, 1, 1000000},
                                              {"most", &most, 1, 1000000}};

static struct block *values;
static struct shard {
    _Alignas(LINE) pthread_mutex_t lock;
    long set; /* how often, under the lock */
} shards[SHARDS];

struct worker {
    _Alignas(LINE) uint64_t random;
    long set;
};

static void new_value(struct block *value, uint64_t *random) {
    block_new(value, random_pareto(random, (size_t)least, (size_t)most), (uint32_t)random_next(random));
}

/* The old value is dropped after the lock was released. */
static void set(struct worker *self, size_t key) {
    struct shard *shard = &shards[key % SHARDS];
    struct block value;
    new_value(&value, &self->random);
    pthread_mutex_lock(&shard->lock);
    struct block old = values[key];
    values[key] = value;
    shard->set++;
    pthread_mutex_unlock(&shard->lock);
    block_drop(&old);
    self->set++;
}

static void get(size_t key) {
    struct shard *shard = &shards[key % SHARDS];
    pthread_mutex_lock(&shard->lock);
    struct block *value = &values[key], reply = *value;
    reply.at = checked(malloc(reply.size), reply.size);
    memcpy(reply.at, value->at, reply.size);
    pthread_mutex_unlock(&shard->lock);
    block_drop(&reply);
}

static void append(size_t key) {
    struct shard *shard = &shards[key % SHARDS];
    pthread_mutex_lock(&shard->lock);
    struct block *value = &values[key];
    size_t size = value->size + APPENDED <= (size_t)most ? value->size + APPENDED : value->size;
    block_check(value);
    block_adopt(value, realloc(value->at, size), size, value->tag);
    pthread_mutex_unlock(&shard->lock);
}

static void *serve(void *data) {
    struct worker *self = data;
    for (long i = 0; i < requests / threads; i++) {
        size_t key = random_below(&self->random, (size_t)keys), kind = random_below(&self->random, 10);
        struct block name;
        block_new(&name, random_between(&self->random, 16, 48), (uint32_t)key);
        if (kind < 5)
            set(self, key);
        else if (kind < 9)
            get(key);
        else
            append(key);
        block_drop(&name);
    }
    return NULL;
}

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    load_range(least, most);
    struct worker *workers = table_new((size_t)threads, sizeof *workers);
    uint64_t random = random_stream(threads);
    long sent = 0, arrived = 0;
    values = table_new((size_t)keys, sizeof *values);
    for (int i = 0; i < SHARDS; i++)
        pthread_mutex_init(&shards[i].lock, NULL);
    for (long i = 0; i < keys; i++)
        new_value(&values[i], &random);
    for (long i = 0; i < threads; i++)
        workers[i].random = random_stream(i);
    threads_run(threads, serve, workers, sizeof *workers);
    for (long i = 0; i < threads; i++)
        sent += workers[i].set;
    for (int i = 0; i < SHARDS; i++)
        arrived += shards[i].set;
    if (sent != arrived)
        load_fail("%ld values set, %ld arrived", sent, arrived);
    for (long i = 0; i < keys; i++)
        block_drop(&values[i]);
    return 0;
}
