//! Services without systemd. The script stays out of /etc: who writes one there by hand is to be noticed.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "services",
    what: "services: init scripts, daemons by start-stop-daemon, pid files, status",
    needs: &["start-stop-daemon"],
    quick: true,
    script: r##"cat > ./noise-daemon <<'INIT'
#!/bin/sh
### BEGIN INIT INFO
# Provides: noise-daemon
# Required-Start:
# Required-Stop:
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
### END INIT INFO
case "$1" in
  start) start-stop-daemon --start --background --make-pidfile --pidfile /run/noise-daemon.pid --exec /bin/sleep -- 300 ;;
  stop) start-stop-daemon --stop --oknodo --pidfile /run/noise-daemon.pid ;;
  restart) "$0" stop; "$0" start ;;
  status) start-stop-daemon --status --pidfile /run/noise-daemon.pid ;;
esac
INIT
chmod 755 ./noise-daemon
./noise-daemon start && wait_for ./noise-daemon status
./noise-daemon restart && wait_for ./noise-daemon status && ./noise-daemon stop
command -v service >/dev/null && service --status-all >/dev/null 2>&1 || true
mkdir -p /run/noise-state && echo $$ > /run/noise-state/pid && chmod 755 /run/noise-state && rm -r /run/noise-state
rm ./noise-daemon
"##,
};
