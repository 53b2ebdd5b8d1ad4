//! Databases under load.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "database",
    what: "databases: redis, sqlite, postgres and mariadb: made, filled, queried, dumped, restored",
    needs: &["python3"],
    quick: false,
    script: r##"python3 - <<'PY'
import sqlite3
db = sqlite3.connect("noise.db"); db.execute("create table t(a, b)")
db.executemany("insert into t values(?, ?)", ((n, str(n)) for n in range(20000))); db.commit(); db.execute("vacuum")
print(db.execute("select count(*) from t").fetchone())
PY
command -v sqlite3 >/dev/null && sqlite3 noise.db .dump > noise.sql || true
if command -v redis-server >/dev/null; then
  redis-server --port 16379 --bind 127.0.0.1 --dir "$PWD" --daemonize yes --pidfile "$PWD/redis.pid" --appendonly yes
  wait_for redis-cli -p 16379 ping
  redis-benchmark -q -p 16379 -n 20000 -c 10 -t set,get,lpush || true
  redis-cli -p 16379 save && redis-cli -p 16379 bgrewriteaof && redis-cli -p 16379 info >/dev/null
  redis-cli -p 16379 shutdown nosave || true
fi
postgres=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1 || true)
if [ -n "$postgres" ] && id postgres >/dev/null 2>&1; then
  chmod 777 . && mkdir -m 700 pgdata && chown postgres pgdata
  as() { setpriv --reuid postgres --regid postgres --clear-groups env PATH="$postgres:$PATH" "$@"; }
  as initdb -D "$PWD/pgdata" -A trust >/dev/null
  as pg_ctl -D "$PWD/pgdata" -o "-p 15432 -k $PWD -c listen_addresses=127.0.0.1" -w -l "$PWD/pgdata/log" start
  as psql -h 127.0.0.1 -p 15432 -d postgres -c 'create table t as select generate_series(1, 10000) as n' -c 'select count(*) from t'
  ! command -v pgbench >/dev/null && [ ! -x "$postgres/pgbench" ] || { as pgbench -q -i -h 127.0.0.1 -p 15432 postgres && as pgbench -c 4 -T 3 -h 127.0.0.1 -p 15432 postgres >/dev/null; } || true
  as pg_dump -h 127.0.0.1 -p 15432 postgres > dump.sql && as pg_dumpall -h 127.0.0.1 -p 15432 > all.sql && as pg_basebackup -h 127.0.0.1 -p 15432 -D "$PWD/base" -X fetch || true
  as createdb -h 127.0.0.1 -p 15432 second && as psql -q -h 127.0.0.1 -p 15432 -d second -f dump.sql >/dev/null && as vacuumdb -q -h 127.0.0.1 -p 15432 --all || true
  as pg_ctl -D "$PWD/pgdata" -m fast -w stop
fi
if command -v mariadbd >/dev/null && id mysql >/dev/null 2>&1; then
  chmod 777 . && mkdir -m 750 maria && chown mysql maria
  mariadb-install-db --no-defaults --user=mysql --datadir="$PWD/maria" --skip-test-db >/dev/null
  mariadbd --no-defaults --user=mysql --datadir="$PWD/maria" --socket="$PWD/maria/socket" --pid-file="$PWD/maria/pid" --bind-address=127.0.0.1 --port=13306 2>/dev/null & server=$!
  client() { mariadb --no-defaults --socket="$PWD/maria/socket" -u root "$@"; }
  wait_for client -e 'select 1'
  client -e 'create database d; create table d.t (a int primary key auto_increment, b text); insert into d.t (b) values ("x"), ("y"); create user u@localhost identified by "p"; grant select on d.* to u@localhost'
  i=0; while [ $i -lt 12 ]; do i=$((i + 1)); client d -e 'insert into t (b) select b from t'; done
  mariadb-dump --no-defaults --socket="$PWD/maria/socket" -u root --all-databases > maria.sql && client d < maria.sql || true
  client -e 'select b from d.t into outfile "/tmp/noise-outfile"' || true
  mariadb-admin --no-defaults --socket="$PWD/maria/socket" -u root shutdown && wait $server || true
fi
"##,
};
