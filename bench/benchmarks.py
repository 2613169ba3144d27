# SPDX-License-Identifier: MIT
"""What bench/run measures: loads written for the purpose, and real programs on inputs made here."""
import concurrent.futures
import dataclasses
import fnmatch
import os
import pathlib
import shutil
import subprocess
import sys

import postgres
import server

EXPECTED = "expected-"  # files with what programs must write, for bench/checked.c and bench/postgres.c
HELPERS = ("checked", "postgres", "redis")  # that start real programs
STEADY_SECONDS = 60     # of a steady load that is named
STEADY_SECONDS_ALL = 20 # of one that runs among all others


@dataclasses.dataclass
class Benchmark:
    name: str
    about: str
    command: list
    environment: dict = dataclasses.field(default_factory=dict)
    group: str = ""       # "one thread", "many threads", "C++", "programs" or "pairs"
    threads: int = 1
    counts: bool = False  # also run once under the debug build, for locks and atomic operations
    seconds: float = 0    # that it runs for, whatever the allocator; of an own program about, as it did once
    steady: bool = False  # its memory over time is the question: one long run of each allocator tells
    tree: bool = False    # what counts is the memory of all its processes together
    checked: bool = False # started by a helper that compares its output, and whose memory is not its own
    alone: bool = False   # orphans of the program are not part of it
    fresh: tuple = ()     # a folder of the inputs, and its copy, which is made anew before each run
    missing: str = ""     # what is not installed of it: then it cannot run
    service: server.Service | None = None  # how a server is awaited, asked and stopped

    def refresh(self, place):
        if self.fresh:
            shutil.rmtree(place / self.fresh[1], ignore_errors=True)
            subprocess.run(["cp", "-a", *self.fresh], cwd=place, check=True)


SQL = """
create table t(a integer primary key, b text, c real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 200000)
  insert into t select i, hex(i * 7919 % 100003) || 'abc', i * 0.5 from n;
create index tb on t(b);
select count(*), sum(length(b)) from t;
select substr(b, 1, 3), count(*) from t group by 1 order by 2 desc limit 3;
update t set b = b || 'x' where a % 3 = 0;
select count(distinct b) from t;
"""
PYTHON = """
import json, random
random.seed(1)
rows = [{"a": i, "b": str(i) * 3, "c": [random.random() for _ in range(5)]} for i in range(60000)]
rows = sorted(json.loads(json.dumps(rows)), key=lambda row: row["c"][0])
lists = {}
for i in range(400000):
    lists.setdefault(str(i % 5000), []).append(i)
print(sum(i * row["a"] for i, row in enumerate(rows)), sum(i * len(text) for i, text in enumerate(map(str, lists.values()))))
"""
PERL = r"""
my %h; srand(1);
for my $i (1 .. 400000) {
    my $k = "k" . int(rand(50000)); $h{$k} .= " $i"; $h{$k} = substr($h{$k}, 0, 50) if length $h{$k} > 100
}
my $s = join(",", map { split / /, $h{$_} } sort keys %h);
print length($s), " ", unpack("%32C*", $s), "\n";
"""
RUBY = """
srand 1
rows = (1..120_000).map { |i| { id: i * 7919 % 100_003, name: "n" * (i % 70), tags: [i, i.to_s, i.to_s * 3] } }
3.times { |k| rows = rows.map { |row| row.merge(name: row[:name] + k.to_s) }.shuffle }
groups = rows.group_by { |row| row[:id] % 977 }
text = groups.map { |key, found| "#{key}:#{found.sum { |row| row[:name].size }}" }.sort.join(",")
puts text.size, text.sum
"""
THREADS = """
import json, random, threading
class Worker(threading.Thread):  # of a web server: each request builds a page of its own, some stay in a session
    def run(self):
        draw, sessions, self.sum = random.Random(self.name), {}, 0
        for request in range(2500):
            rows = [{"id": i, "text": "x" * draw.randrange(300), "price": draw.random()} for i in range(draw.randrange(5, 60))]
            page = json.dumps({"request": request, "rows": json.loads(json.dumps(rows))})
            sessions[draw.randrange(200)] = page
            self.sum += len(page)
workers = [Worker(name=f"worker{i}") for i in range(4)]
for worker in workers: worker.start()
for worker in workers: worker.join()
print([worker.sum for worker in workers])
"""
LUA = """
local t = {}
for i = 1, 1500000 do local k = i * 7919 % 20011; t[k] = (t[k] and #t[k] < 200 and t[k] or "") .. i end
local length, last = 0, 0
for k = 0, 20010 do length = length + #t[k]; last = last + tonumber(t[k]:sub(-5)) end
print(length, last)
"""
GIT = """
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
export GIT_CONFIG_GLOBAL=/dev/null
git init -q -b main repo && cd repo
for i in $(seq 1 60); do seq $i $((i * 800)) > f$((i % 7)); git add -A; git commit -q -m "change $i"; done
"""


def c_source():
    lines = ["int printf(const char *, ...);"]
    for i in range(100):
        lines.append(f"struct s{i} {{ int a, b; const char *c; struct s{i} *n; }};\n"
                     f"int f{i}(struct s{i} *p, int x) {{ int r = 0; for (int i = 0; i < x; i++) {{ "
                     f"switch ((p->a * {i} + i) % 7) {{ case 0: r += p->b; break; case 1: r ^= x * {i}; break; "
                     f"case 2: r -= p->c[i]; break; case 3: r *= 3; "
                     f'default: r += printf("%d", r); }} if (p->n) p = p->n; }} return r; }}')
    return "\n".join(lines)


CXX = """
#include <algorithm>
#include <iostream>
#include <map>
#include <string>
#include <variant>
#include <vector>
int main() {
    std::map<std::string, std::vector<std::variant<int, std::string>>> m;
    for (int i = 0; i < 1000; i++) m[std::to_string(i % 50)].push_back(std::string(i % 90, 'x'));
    std::cout << m.size() << "\\n";
}
"""


NODE = """
const zlib = require("zlib");
const rows = [];
for (let i = 0; i < 30000; i++) rows.push({ a: i * 7919 % 1009, b: "x".repeat(i % 50), c: [i, i + 1, i + 2] });
let text = Buffer.from(JSON.stringify(JSON.parse(JSON.stringify(rows))));
const names = new Map();
for (let i = 0; i < 200000; i++) { const k = "k" + i % 20000; names.set(k, (names.get(k) || 0) + i); }
let sum = 0;
for (let i = 0; i < 20; i++) { text = zlib.inflateSync(zlib.deflateSync(text, { level: 1 })); sum += text[i * 1000]; }
const pieces = [];
for (let i = 0; i < 20000; i++) {
    pieces.push(Buffer.alloc(100 + i * 7919 % 9000, i % 256)); if (i % 2) pieces[i * 7919 % i] = null;
}
for (const piece of pieces) if (piece) sum += piece[piece.length - 1];
console.log(sum, names.size, text.length);
"""


def z3_source():
    """Queens on a board, which has solutions, and pigeons in too few holes, which have none."""
    queens, pigeons, lines = 14, 9, []
    lines += [f"(declare-const q{i} Int)\n(assert (and (<= 0 q{i}) (< q{i} {queens})))" for i in range(queens)]
    lines += [f"(assert (and (distinct q{i} q{k}) (distinct (- q{i} q{k}) {k - i}) (distinct (- q{k} q{i}) {k - i})))"
              for i in range(queens) for k in range(i + 1, queens)]
    lines += ["(check-sat)", "(reset)"]
    lines += [f"(declare-const p{i}_{h} Bool)" for i in range(pigeons) for h in range(pigeons - 1)]
    lines += ["(assert (or " + " ".join(f"p{i}_{h}" for h in range(pigeons - 1)) + "))" for i in range(pigeons)]
    lines += [f"(assert (not (and p{i}_{h} p{k}_{h})))"
              for h in range(pigeons - 1) for i in range(pigeons) for k in range(i + 1, pigeons)]
    return "\n".join([*lines, "(check-sat)"]) + "\n"


def make_inputs(work, chosen):
    """The inputs of the benchmarks `chosen`, in the folder `work`, and what they must write, from a run without preload."""
    programs_chosen = [benchmark for benchmark in chosen if benchmark.checked]
    if programs_chosen:
        write_inputs(work)
    if shutil.which("git") and any(benchmark.name == "git-log" for benchmark in chosen):
        subprocess.run(["bash", "-c", GIT], cwd=work, check=True)
    if any(benchmark.name == "postgres" for benchmark in chosen):
        postgres.make(work)
    for benchmark in programs_chosen:
        make_expected(benchmark, work)


def write_inputs(work):
    (work / "q.sql").write_text(SQL)
    (work / "job.py").write_text(PYTHON)
    (work / "web.py").write_text(THREADS)
    (work / "job.rb").write_text(RUBY)
    (work / "job.pl").write_text(PERL)
    (work / "job.lua").write_text(LUA)
    (work / "job.js").write_text(NODE)
    (work / "job.smt2").write_text(z3_source())
    (work / "big.c").write_text(c_source())
    (work / "templates.cc").write_text(CXX)
    (work / "lines").write_text("".join(f"{i * 7919 % 1000003} line {i}\n" for i in range(400000)))
    (work / "rows.json").write_text("[" + ",".join(f'{{"a":{i * 7919 % 1009},"b":"{"x" * (i % 50)}"}}'
                                                   for i in range(120000)) + "]")
    (work / "many.sh").write_text("i=0; while [ $i -lt 600 ]; do /bin/true; i=$((i+1)); done; echo $i\n")
    (work / "page.ps").write_text("%!PS\n" + "".join(
        f"{i % 500 + 20} {i * 7 % 700 + 20} moveto 100 {i % 400} rlineto {i % 5} setlinewidth stroke /Times-Roman findfont "
        f"{i % 20 + 5} scalefont setfont 50 {i * 2 % 700} moveto (text {i}) show\n" for i in range(15000)) + "showpage\n")


def make_expected(benchmark, work):
    checked, *rest = benchmark.command
    env = dict(os.environ, **benchmark.environment)
    env.pop("LD_PRELOAD", None)
    benchmark.refresh(work)
    done = subprocess.run([checked, "--make", *rest], cwd=work, env=env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if done.returncode != 0:
        sys.exit(f"bench: {benchmark.name} fails without any preload: {done.stderr.decode(errors='replace').strip()}")


def ask_gcc(question):
    return subprocess.run(["gcc", question], capture_output=True, text=True, check=True).stdout.strip()


def compiler(name):
    """The command that runs the compiler proper (the driver only starts it); None if it is not installed."""
    path = ask_gcc(f"-print-prog-name={name}")
    if not os.path.isabs(path):
        return None
    return [path, "-quiet", "-D_GNU_SOURCE", "-imultiarch", ask_gcc("-print-multiarch"), "-O1", "-o", "-"]


def loads(folder, steady_seconds=STEADY_SECONDS):
    group = None

    def load(name, about, program, *arguments, threads=1, **fields):
        return Benchmark(name, about, [str(folder / program), *map(str, arguments)], group=group, threads=threads, **fields)

    group = "one thread"
    found = [
        load("pareto", "random replacement, sizes by a Pareto law", "pareto"),
        load("lifo", "batches freed last first, as a stack", "lifetimes"),
        load("fifo", "batches freed first first, as a queue", "lifetimes", "--fifo", 1),
        load("trees", "binary trees built and dropped", "trees"),
        load("strings", "strings copied, cut and joined", "strings"),
        load("growing", "blocks that grow by realloc", "growing"),
        load("buffers", "buffers of 5 to 25 MiB", "buffers"),
        load("buffers-zeroed", "buffers of 5 to 25 MiB from calloc", "buffers", "--zeroed", 1),
        load("shuffled", "400,000 small blocks freed in random order", "shuffled"),
        load("fragments", "sizes that change from round to round", "fragments"),
        load("zeroed", "calloc of small and medium blocks", "zeroed"),
        load("aligned", "aligned blocks of all entry points", "aligned"),
        load("locality", "a million small blocks, walked, replaced, walked", "locality"),
        load("sparse", "large blocks of which a page is used, beside small ones", "sparse"),
        load("drift", "a server over three days, sizes that drift", "drift"),
    ]
    patterns = {"random": "one block of 20 stays", "block": "2000 neighbours of 40,000 stay",
                "tail": "the first of 20 parts stays", "all": "none stays"}
    found += [load(f"phases-{name}", f"a peak, then hardly a call: does the memory come back? {what}", "phases",
                   "--pattern", i, "--quiet", 3000, "--calls", 2000, seconds=7, steady=True)
              for i, (name, what) in enumerate(patterns.items())]
    group = "many threads"
    for threads, generations, replacements in ((2, 50, 100000), (8, 12, 100000), (64, 3, 20000)):
        found.append(load(f"larson-{threads}", f"server load, {threads} threads that end and leave their blocks", "larson",
                          "--threads", threads, "--generations", generations, "--replacements", replacements,
                          threads=threads, counts=threads == 2))
    found += [
        load("pipeline", "one thread allocates, another frees", "pipeline", threads=2, counts=True),
        load("pipeline-steady", f"the same for {steady_seconds} s, once: does memory stay flat?", "pipeline", "--seconds",
             steady_seconds, threads=2, seconds=steady_seconds, steady=True),
        load("ring", "four threads, each frees what the one before allocated", "ring", threads=4, counts=True),
        load("survivors", "threads come and end, some of their blocks survive", "survivors", threads=8),
        load("scratch", "passive false sharing: neighbours given to 8 threads", "scratch", threads=8, counts=True),
        load("scratch-warm", "the same, of threads that have allocated before", "scratch", "--warm", 1, threads=8, counts=True),
        load("thrash", "active false sharing: 8 threads allocate by turns", "thrash", threads=8, counts=True),
    ]
    for threads in (1, 2, 4, 8, 64, 1000):
        found.append(load(f"mixed-{threads}", f"mixed sizes, {threads} thread{'s' * (threads > 1)}, the same work in all",
                          "mixed", "--threads", threads, threads=threads, counts=True))
    found.append(load("forks", "a process with a heap forks 30 times", "forks", threads=2, tree=True))
    group = "C++"
    return found + [
        load("containers", "containers with sized delete", "containers"),
        load("exceptions", "nested exceptions with texts", "exceptions"),
        load("maps", "strings in maps that come and go", "maps"),
    ] + pairs(folder)


def pairs(folder):
    patterns = {"tight": "of one size, one at a time", "turns": "of eight sizes in turn, one at a time",
                "lifo": "a hundred live, the last freed first", "fifo": "a hundred live, the first freed first",
                "random": "a thousand live, eight sizes, in random order",
                "spread": "ten thousand live, up to 1 KiB, in random order",
                "chase": "one at a time, the size read from the block before"}
    return [Benchmark(f"pairs-{name}", f"malloc and free, {what}", [str(folder / "pairs"), "--pattern", str(i)], group="pairs")
            for i, (name, what) in enumerate(patterns.items())]


def programs(folder):
    def program(name, about, *command, **environment):
        missing = "" if shutil.which(command[0]) else f"{command[0]} is not installed"
        return Benchmark(name, about, [str(folder / "checked"), EXPECTED + name, *command], environment, group="programs",
                         checked=True, missing=missing)

    found = [
        program("python", "JSON, lists, sorting; all through malloc", "/usr/bin/python3", "job.py", PYTHONMALLOC="malloc"),
        program("python-own", "the same with Python's own small-object allocator", "/usr/bin/python3", "job.py"),
        program("python-web", "four threads of a web server, pages of JSON; all through malloc", "/usr/bin/python3", "web.py",
                PYTHONMALLOC="malloc"),
        program("ruby", "hashes, strings, arrays", "ruby", "job.rb"),
        program("perl", "hashes and strings", "perl", "job.pl"),
        program("lua", "tables and strings", "lua5.4", "job.lua"),
        program("node", "JSON, buffers, zlib", "node", "job.js"),
        program("sqlite", "a table of 200,000 rows in memory", "sqlite3", ":memory:", ".read q.sql"),
        program("git-log", "git log -p over 60 changes", "git", "--no-pager", "-C", "repo", "log", "-p"),
        program("sort", "400,000 lines", "sort", "--parallel=1", "lines"),
        program("jq", "120,000 records", "jq", "group_by(.a) | map(length)", "rows.json"),
        program("xz", "a text of 4 MB compressed", "xz", "-2", "-T1", "-c", "rows.json"),
        program("ghostscript", "a page of text and lines", "gs", "-q", "-dNOPAUSE", "-dBATCH", "-sDEVICE=ppmraw", "-r72",
                "-sOutputFile=-", "page.ps"),
        program("z3", "queens on a board, pigeons in holes", "z3", "job.smt2"),
        program("true-600", "600 short processes", "sh", "many.sh"),
    ]
    for name, about, compile_it, source in (("gcc", "100 functions", "cc1", "big.c"),
                                            ("g++", "templates of the standard library", "cc1plus", "templates.cc")):
        command = compiler(compile_it) if shutil.which("gcc") else None
        found.append(program(name, about, *(command or [compile_it]), source))
    return found + servers(folder)


def servers(folder):
    absent = [command for command in ("redis-server", "redis-benchmark") if not shutil.which(command)]
    database = postgres.programs()
    return [
        Benchmark("postgres", "a server and clients that come and go: each has a process of its own",
                  [str(folder / "postgres"), EXPECTED + "postgres", str((database or pathlib.Path()) / "postgres"),
                   postgres.DATA, str(postgres.ROUNDS)], group="programs", tree=True, checked=True,
                  fresh=(postgres.TEMPLATE, postgres.DATA), missing="" if database else "postgresql is not installed")] + [
        Benchmark(name, about, [str(folder / "redis"), *arguments], group="programs", alone=True,
                  missing=f"{' and '.join(absent)}: not installed" if absent else "")
        for name, about, *arguments in (
            ("redis", "redis-server: strings, hashes, sorted sets, a list", "40000"),
            ("redis-expiring", "redis-server as a cache: keys that expire, values that grow from round to round", "40000",
             "expiring"))]


def matching(folder, patterns):
    """The benchmarks whose names match one of the patterns, which commas separate; loads are programs in `folder`. Steady
    ones run their full time only if a pattern other than * names them."""
    def matches(benchmark, among):
        return any(fnmatch.fnmatch(benchmark.name, pattern) for pattern in among)

    wanted = patterns.split(",")
    named = [pattern for pattern in wanted if pattern != "*"]
    pairs = zip(loads(folder) + programs(folder), loads(folder, STEADY_SECONDS_ALL) + programs(folder))
    return [full if matches(full, named) else short for full, short in pairs if matches(full, wanted)]


def choose(folder, patterns):
    """Those of them that can run."""
    return [benchmark for benchmark in matching(folder, patterns) if not benchmark.missing]


def unavailable(folder, patterns):
    """Name -> why it cannot run, of the others."""
    return {benchmark.name: benchmark.missing for benchmark in matching(folder, patterns) if benchmark.missing}


def compile_command(source, compilers=("gcc", "g++")):
    """How to compile a load or helper. The compiler must not see through malloc and free."""
    own = ("malloc", "calloc", "realloc", "free", "aligned_alloc", "strdup", "strndup")
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-pthread", *(f"-fno-builtin-{name}" for name in own)]
    if source.suffix == ".cc":
        return [compilers[1], "-std=c++17", "-fsized-deallocation", *flags]
    return [compilers[0], "-std=gnu11", "-D_GNU_SOURCE", *flags, *(["-static"] if source.parent.name != "loads" else [])]


def build_loads(sources, folder, compilers=("gcc", "g++")):
    """Compiles all loads of the folder `sources`, and the helpers beside it, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    header = max(path.stat().st_mtime for path in (sources / "load.h", sources.parent / "expected.h"))

    def build(source):
        program = folder / source.stem
        if not program.exists() or program.stat().st_mtime < max(source.stat().st_mtime, header):
            subprocess.run([*compile_command(source, compilers), "-o", program, source], check=True)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(build, [*sorted(sources.glob("*.c*")), *(sources.parent / f"{name}.c" for name in HELPERS)]))
