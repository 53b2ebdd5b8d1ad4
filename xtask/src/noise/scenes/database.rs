//! Databases under load.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "database",
    what: "databases: redis, sqlite and postgres, made, filled, backed up",
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
  as pg_dump -h 127.0.0.1 -p 15432 postgres > dump.sql
  as pg_ctl -D "$PWD/pgdata" -m fast -w stop
fi
"##,
};
