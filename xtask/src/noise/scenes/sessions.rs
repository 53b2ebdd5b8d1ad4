//! What people do at terminals.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "sessions",
    what: "terminals: login shells, tmux and screen with shells and jobs in them, pagers",
    needs: &["script"],
    quick: false,
    script: r##"export TERM=xterm HOME=/root
on_terminal 'bash -lic "cd /var/log; ls -la; alias; history; exit"' >/dev/null
(sleep 0.5; printf 'q') | on_terminal 'timeout 5 less /etc/services' >/dev/null || true
on_terminal 'man -P cat ls' >/dev/null 2>&1 || true
(sleep 0.5; printf 'q') | on_terminal 'ps aux | timeout 5 less' >/dev/null || true
if command -v tmux >/dev/null; then
  tmux -L noise new-session -d -s main 'bash -l' && tmux -L noise split-window -t main && tmux -L noise new-window -t main 'top -b -n 2; sleep 60'
  tmux -L noise send-keys -t main:0.0 'cd /tmp; ls; sleep 1 & wait; echo done > /tmp/noise-tmux' Enter
  wait_for test -s /tmp/noise-tmux && tmux -L noise capture-pane -p -t main >/dev/null && tmux -L noise kill-server
fi
if command -v screen >/dev/null; then
  mkdir -p -m 777 /run/screen; screen -dmS noise bash -c 'ls; echo done > /tmp/noise-screen; sleep 60' && wait_for test -s /tmp/noise-screen
  screen -ls || true; screen -S noise -X quit || true
fi
nohup sh -c 'sleep 0.1; echo later > /tmp/noise-nohup' >/dev/null 2>&1 & wait_for test -s /tmp/noise-nohup
setsid sh -c 'echo apart' ; (trap '' HUP; sleep 0.1) & wait
if command -v script >/dev/null; then script -qc 'echo recorded' typescript >/dev/null && rm typescript; fi
rm -f /tmp/noise-tmux /tmp/noise-screen /tmp/noise-nohup
"##,
};
