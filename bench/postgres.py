# SPDX-License-Identifier: MIT
"""The database that postgres.c has a server serve: found, made once without a preload, and copied for each run."""
import os
import pathlib
import re
import subprocess
import sys

NOBODY = 65534  # user and group: postgres refuses to run as root
TEMPLATE, DATA = "postgres-template", "postgres-data"  # in the folder of inputs
ROUNDS = 12
# One statement a line, as postgres --single reads them.
TABLES = """\
create table item(id int primary key, name text, body text, tags int[]);
insert into item select i, 'name ' || i * 7919 % 20011, repeat(md5(i::text), i % 12), array[i % 7, i % 11] \
from generate_series(1, 20000) i;
create index on item(name);
create unlogged table visit(session int, line int, text text);
create function page(session int) returns text language plpgsql as $$ declare made text := ''; found record; begin \
for found in select * from item where id % 97 = session % 97 loop \
begin made := made || regexp_replace(found.name || found.body, '[a-f]+', '<b>', 'g') || 1 / (found.id % 3); \
exception when division_by_zero then made := made || array_to_string(found.tags, ' '); end; \
end loop; return length(made) || md5(made); end $$;
vacuum (freeze, analyze);
"""


def programs():
    """The folder of the newest server; Debian keeps it out of PATH. None if there is none."""
    found = [path.parent for path in pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(found, key=lambda path: [int(number) for number in re.findall(r"\d+", str(path))], default=None)


def as_user():
    """For subprocess: who runs it."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def let_pass(folder):
    """The user of the server may pass through it, without seeing what is in it."""
    folder.chmod(folder.stat().st_mode | 0o011)


def make(work):
    """The template in the folder `work`, which is in a temporary one of its own."""
    folder, template = programs(), work / TEMPLATE
    template.mkdir(mode=0o700)
    if as_user():
        os.chown(template, NOBODY, NOBODY)
        let_pass(work)
        let_pass(work.parent)
    env = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD" and not name.startswith("PG")}
    for command, text in (
            ([folder / "initdb", "-D", template, "-U", "tester", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync",
              "--wal-segsize=1"], ""),
            ([folder / "postgres", "--single", "-D", template, "-c", "fsync=off", "postgres"], TABLES)):
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, cwd=work, env=env, **as_user())
        if done.returncode != 0 or "ERROR:" in done.stderr:
            sys.exit(f"bench: postgres: {command[0]}: {(done.stderr.strip() or done.stdout.strip()).splitlines()[-1]}")
