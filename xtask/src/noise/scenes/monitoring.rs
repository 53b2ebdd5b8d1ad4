//! Agents and people that look at all processes.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "monitoring",
    what: "monitoring: an exporter scraped, htop, sysstat, sockets and descriptors counted, checks by script",
    needs: &["ps"],
    quick: false,
    script: r##"export TERM=xterm
if command -v prometheus-node-exporter >/dev/null; then
  prometheus-node-exporter --web.listen-address=127.0.0.1:19100 >/dev/null 2>&1 & exporter=$!
  wait_for curl -fsS http://127.0.0.1:19100/metrics
  for i in 1 2 3 4 5; do curl -fsS http://127.0.0.1:19100/metrics >/dev/null; done
  kill $exporter; wait $exporter || true
fi
if command -v htop >/dev/null; then on_terminal 'timeout 2 htop -d 5' >/dev/null || true; fi
for tool in 'vmstat 1 2' 'iostat' 'mpstat' 'pidstat' 'sar -q 1 1' 'free -m' 'pmap 1' 'pgrep -a sh' 'pstree -p' 'lsof -nP' 'ss -tanp' 'top -b -n 1'; do
  command -v "${tool%% *}" >/dev/null && $tool >/dev/null 2>&1 || true
done
[ ! -x /usr/lib/sysstat/sa1 ] || /usr/lib/sysstat/sa1 1 1 || true
python3 - <<'PY'
import os, pathlib
count = 0
for directory in pathlib.Path("/proc").iterdir():
    if not directory.name.isdigit(): continue
    for name in ("stat", "status", "cmdline", "io", "limits", "smaps_rollup", "cgroup", "mounts"):
        try: count += len((directory / name).read_bytes())
        except OSError: pass
    try:
        for fd in (directory / "fd").iterdir(): count += len(os.readlink(fd))
        os.readlink(directory / "exe")
    except OSError: pass
print(count)
PY
df -h >/dev/null; for f in loadavg meminfo stat diskstats net/dev net/tcp net/unix vmstat interrupts swaps pressure/cpu; do cat "/proc/$f" >/dev/null 2>&1 || true; done
find /sys/class/net /sys/block /sys/class/thermal -maxdepth 2 >/dev/null 2>&1 || true
i=0; while [ $i -lt 20 ]; do i=$((i+1)); sh -c 'pgrep -x cron >/dev/null || true; test "$(df --output=pcent / | tail -n 1 | tr -dc 0-9)" -lt 101'; done
"##,
};
