//! Jobs of cron.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "cron",
    what: "cron: the daily jobs by run-parts; crontab and the daemon where they are installed",
    needs: &["run-parts"],
    quick: false,
    script: r##"# The daily job of apt would wait up to half an hour before it begins.
[ ! -d /etc/apt/apt.conf.d ] || echo 'APT::Periodic::RandomSleep "0";' > /etc/apt/apt.conf.d/99noise
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
  kill $daemon && crontab -r
fi
"##,
};
