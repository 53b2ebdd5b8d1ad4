//! Jobs of cron.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "cron",
    what: "cron and at: the daily jobs by run-parts; crontab, at and their daemons where they are installed",
    needs: &["run-parts"],
    quick: false,
    script: r##"# The daily job of apt would wait up to half an hour before it begins.
echo 'APT::Periodic::RandomSleep "0";' > apt.conf && export APT_CONFIG="$PWD/apt.conf"
for directory in hourly daily weekly monthly; do
  [ -d "/etc/cron.$directory" ] && timeout 30 run-parts --report "/etc/cron.$directory" || true
done
if command -v crontab >/dev/null && [ -x /usr/sbin/cron ]; then
  printf '* * * * * sh -c "date > /var/lib/noise/cron/ran; id -u"\n' | crontab -
  crontab -l && mkdir -p /var/lib/noise/cron
  cron -f & daemon=$!
  tries=0
  until [ -f /var/lib/noise/cron/ran ] || [ $tries -gt 650 ]; do tries=$((tries + 1)); sleep 0.1; done
  cat /var/lib/noise/cron/ran
  crontab -l > table && echo '@daily true' >> table && crontab table && crontab -r
  kill $daemon
fi
if command -v atd >/dev/null || [ -x /usr/sbin/atd ]; then
  /usr/sbin/atd -f & daemon=$!
  echo 'sh -c "date > /var/lib/noise/cron/at; id"' | at now && at -l && echo true | at 04:00 tomorrow && atq && atrm $(atq | cut -f 1 | tail -n 1) || true
  tries=0; until [ -f /var/lib/noise/cron/at ] || [ $tries -gt 100 ]; do tries=$((tries + 1)); sleep 0.1; done
  kill $daemon || true
fi
for job in /etc/cron.daily/* /etc/cron.weekly/*; do [ ! -x "$job" ] || timeout 60 "$job" >/dev/null 2>&1 || true; done
for script in /usr/lib/apt/apt.systemd.daily; do [ ! -x $script ] || timeout 60 $script update >/dev/null 2>&1 || true; done
"##,
};
