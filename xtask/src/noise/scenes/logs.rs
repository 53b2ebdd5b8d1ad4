//! Log files and their rotation.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "logs",
    what: "logs: written, by rsyslog too, rotated, compressed, their writers told, searched",
    needs: &["gzip"],
    quick: true,
    script: r##"mkdir -p /var/log/noise && for i in 1 2 3; do echo "line $i" >> /var/log/noise/app.log; done
echo "$(date) noise sshd[1]: line" >> /var/log/auth.log; echo "$(date) noise kernel: line" >> /var/log/syslog
command -v logger >/dev/null && logger -t noise "a line" || true
if command -v logrotate >/dev/null; then
  printf '/var/log/noise/app.log /var/log/auth.log /var/log/syslog {\n  rotate 3\n  compress\n  missingok\n  notifempty\n  create 0640 root adm\n  sharedscripts\n  postrotate\n    sh -c "kill -HUP 1 2>/dev/null || true"\n  endscript\n}\n' > noise.conf
  printf '/var/log/noise/copy.log {\n  copytruncate\n  missingok\n}\n' >> noise.conf
  echo x > /var/log/noise/copy.log
  logrotate -f -s state noise.conf && logrotate -f -s state noise.conf
  [ -f /etc/logrotate.conf ] && logrotate -s state /etc/logrotate.conf || true
fi
if command -v rsyslogd >/dev/null; then
  printf 'module(load="imuxsock" SysSock.Name="%s/log")\n*.* %s\n' "$PWD" /var/log/noise/syslog > rsyslog.conf
  rsyslogd -n -f "$PWD/rsyslog.conf" -i "$PWD/rsyslog.pid" & daemon=$!
  wait_for test -S log && logger -u "$PWD/log" -t noise 'through the daemon' && wait_for test -s /var/log/noise/syslog
  printf '/var/log/noise/syslog {\n  rotate 2\n  delaycompress\n  compress\n  postrotate\n    kill -HUP $(cat %s/rsyslog.pid)\n  endscript\n}\n' "$PWD" > rsyslog.rotate
  ! command -v logrotate >/dev/null || { logrotate -f -s state rsyslog.rotate && logger -u "$PWD/log" -t noise again && logrotate -f -s state rsyslog.rotate; }
  kill $daemon && wait $daemon || true
fi
: > /var/log/noise/app.log && truncate -s 0 /var/log/noise/copy.log 2>/dev/null || true
zgrep -h line /var/log/noise/*.gz 2>/dev/null | sort | uniq -c >/dev/null || true; zcat /var/log/*.gz 2>/dev/null | head -n 1 >/dev/null || true
if command -v savelog >/dev/null; then savelog -c 3 /var/log/noise/app.log; fi
mv /var/log/noise/app.log /var/log/noise/app.log.1 2>/dev/null || true
gzip -f /var/log/noise/app.log.1 2>/dev/null || true
tail -n 5 /var/log/dpkg.log >/dev/null 2>&1 || true; grep -c line /var/log/auth.log || true
find /var/log -name '*.gz' -mtime +90 -delete
last -n 3 >/dev/null 2>&1 || true; journalctl -n 5 >/dev/null 2>&1 || true
"##,
};
