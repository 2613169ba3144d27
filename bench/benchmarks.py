# SPDX-License-Identifier: MIT
"""What bench/run measures: loads written for the purpose, and real programs on inputs made here."""
import dataclasses
import fnmatch
import os
import shutil
import subprocess


@dataclasses.dataclass
class Benchmark:
    name: str
    about: str
    command: list
    environment: dict = dataclasses.field(default_factory=dict)


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
"""
PERL = r"""
my %h; srand(1);
for my $i (1 .. 400000) { my $k = "k" . int(rand(50000)); $h{$k} .= " $i"; $h{$k} = substr($h{$k}, 0, 50) if length $h{$k} > 100 }
my $s = join(",", map { split / /, $h{$_} } sort keys %h);
"""
LUA = """
local t = {}
for i = 1, 1500000 do local k = i * 7919 % 20011; t[k] = (t[k] and #t[k] < 200 and t[k] or "") .. i end
"""
GIT = """
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
export GIT_CONFIG_GLOBAL=/dev/null
git init -q -b main repo && cd repo
for i in $(seq 1 60); do seq $i $((i * 150)) > f$((i % 7)); git add -A; git commit -q -m "change $i"; done
"""


def c_source():
    lines = ["int printf(const char *, ...);"]
    for i in range(700):
        lines.append(f"struct s{i} {{ int a, b; const char *c; struct s{i} *n; }};\n"
                     f"int f{i}(struct s{i} *p, int x) {{ int r = 0; for (int i = 0; i < x; i++) {{ switch ((p->a * {i} + i) % 7) "
                     f"{{ case 0: r += p->b; break; case 1: r ^= x * {i}; break; case 2: r -= p->c[i]; break; case 3: r *= 3; "
                     f'default: r += printf("%d", r); }} if (p->n) p = p->n; }} return r; }}')
    return "\n".join(lines)


CXX = """
#include <algorithm>
#include <iostream>
#include <map>
#include <regex>
#include <string>
#include <variant>
#include <vector>
int main() {
    std::map<std::string, std::vector<std::variant<int, std::string>>> m;
    for (int i = 0; i < 1000; i++) m[std::to_string(i % 50)].push_back(std::string(i % 90, 'x'));
    std::cout << m.size() << std::regex_match("abc123", std::regex("([a-z]+)([0-9]+)")) << "\\n";
}
"""


def make_inputs(work):
    (work / "q.sql").write_text(SQL)
    (work / "job.py").write_text(PYTHON)
    (work / "job.pl").write_text(PERL)
    (work / "job.lua").write_text(LUA)
    (work / "big.c").write_text(c_source())
    (work / "templates.cc").write_text(CXX)
    (work / "lines").write_text("".join(f"{i * 7919 % 1000003} line {i}\n" for i in range(400000)))
    (work / "rows.json").write_text("[" + ",".join(f'{{"a":{i * 7919 % 1009},"b":"{"x" * (i % 50)}"}}' for i in range(120000)) + "]")
    (work / "many.sh").write_text("i=0; while [ $i -lt 600 ]; do /bin/true; i=$((i+1)); done\n")
    (work / "page.ps").write_text("%!PS\n" + "".join(
        f"{i % 500 + 20} {i * 7 % 700 + 20} moveto 100 {i % 400} rlineto {i % 5} setlinewidth stroke /Times-Roman findfont "
        f"{i % 20 + 5} scalefont setfont 50 {i * 2 % 700} moveto (text {i}) show\n" for i in range(6000)) + "showpage\n")
    if shutil.which("git"):
        subprocess.run(["bash", "-c", GIT], cwd=work, check=True)


def ask_gcc(question):
    return subprocess.run(["gcc", question], capture_output=True, text=True, check=True).stdout.strip()


def compiler(name):
    """The command that runs the compiler proper (the driver only starts it); None if it is not installed."""
    path = ask_gcc(f"-print-prog-name={name}")
    if not os.path.isabs(path):
        return None
    return [path, "-quiet", "-D_GNU_SOURCE", "-imultiarch", ask_gcc("-print-multiarch"), "-O1", "-o", "/dev/null"]


def loads(folder):
    def load(name, about, program, *arguments):
        return Benchmark(name, about, [str(folder / program), *arguments])
    return [
        load("random-sizes", "one thread replaces random blocks", "random_sizes"),
        load("trees", "binary trees built and dropped", "trees"),
        load("million-16", "a million blocks of 16 bytes, walked", "million"),
        load("fragments", "sizes that change from round to round", "fragments"),
        load("buffers", "buffers of 5 to 25 MiB", "buffers"),
        load("growing", "blocks that grow by realloc", "growing"),
        load("containers", "C++ containers", "containers"),
        load("server-2", "server load, 2 threads that end", "server", "2", "200"),
        load("server-8", "server load, 8 threads that end", "server", "8", "50"),
        load("server-64", "server load, 64 threads that end", "server", "64", "6"),
        load("pipeline", "producer and consumer", "pipeline"),
    ]


def programs():
    found = [
        Benchmark("python", "JSON, lists, sorting; all through malloc", ["/usr/bin/python3", "job.py"], {"PYTHONMALLOC": "malloc"}),
        Benchmark("python-own", "the same with Python's own small-object allocator", ["/usr/bin/python3", "job.py"]),
        Benchmark("perl", "hashes and strings", ["perl", "job.pl"]),
        Benchmark("lua", "tables and strings", ["lua5.4", "job.lua"]),
        Benchmark("sqlite", "a table of 200,000 rows in memory", ["sqlite3", ":memory:", ".read q.sql"]),
        Benchmark("git-log", "git log -p over 60 changes", ["git", "--no-pager", "-C", "repo", "log", "-p"]),
        Benchmark("sort", "400,000 lines", ["sort", "--parallel=1", "lines", "-o", "/dev/null"]),
        Benchmark("jq", "120,000 records", ["jq", "group_by(.a) | map(length)", "rows.json"]),
        Benchmark("ghostscript", "a page of text and lines", ["gs", "-q", "-dNOPAUSE", "-dBATCH", "-sDEVICE=ppmraw", "-r72", "-sOutputFile=/dev/null", "page.ps"]),
        Benchmark("true-600", "600 short processes", ["sh", "many.sh"]),
    ]
    for name, about, compile_it, source in (("gcc", "700 functions", "cc1", "big.c"),
                                            ("g++", "templates of the standard library", "cc1plus", "templates.cc")):
        command = compiler(compile_it) if shutil.which("gcc") else None
        if command:
            found.append(Benchmark(name, about, [*command, source]))
    return [benchmark for benchmark in found if shutil.which(benchmark.command[0])]


def choose(folder, patterns):
    """The benchmarks whose names match one of the patterns, which commas separate; loads are programs in `folder`."""
    return [benchmark for benchmark in loads(folder) + programs()
            if any(fnmatch.fnmatch(benchmark.name, pattern) for pattern in patterns.split(","))]


def build_loads(sources, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for source in sorted(sources.glob("*.c*")):
        program = folder / source.stem
        if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
            compiler = ["g++", "-std=c++17"] if source.suffix == ".cc" else ["gcc", "-std=gnu11", "-D_GNU_SOURCE"]
            subprocess.run([*compiler, "-O2", "-fno-builtin", "-pthread", "-o", program, source], check=True)
