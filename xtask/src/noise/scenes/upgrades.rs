//! What is installed already, kept up to date, and taken away.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "upgrades",
    what: "apt-get: upgraded, reinstalled, unattended; an initramfs; triggers; purged",
    needs: &["apt-get"],
    quick: false,
    script: r##"apt-get install -y -q --only-upgrade --no-install-recommends base-files ca-certificates libc-bin openssl tzdata
apt-get upgrade -y -q
apt-get install -y -q --reinstall passwd cron man-db sudo openssh-server login bsdutils util-linux ca-certificates || true
apt-get install -y -q --no-install-recommends unattended-upgrades needrestart && unattended-upgrade -v || true
systemctl enable cron.service && systemctl disable cron.service && systemctl enable cron.service || true
apt-get install -y -q --no-install-recommends initramfs-tools zstd kmod udev || true
if command -v mkinitramfs >/dev/null; then
  mkdir -p "/lib/modules/6.1.0-noise/kernel" && depmod 6.1.0-noise
  update-initramfs -c -k 6.1.0-noise || true
  update-initramfs -u -k 6.1.0-noise || true
  update-initramfs -d -k 6.1.0-noise || true
fi
apt-get install -y -q --no-install-recommends dbus polkitd policykit-1 systemd-timesyncd openntpd fail2ban || true
apt-get install -y -q cowsay && dpkg -P cowsay && apt-get purge -y -q sysstat && apt-get autoremove -y -q --purge
dpkg-divert --add --rename --divert /usr/bin/noise.distrib /usr/bin/noise && dpkg-divert --remove --rename /usr/bin/noise
dpkg --configure -a && update-ca-certificates >/dev/null && mandb -q || true
pam-auth-update --package || true; locale-gen 2>/dev/null || true; update-mime-database /usr/share/mime 2>/dev/null || true
debconf-show passwd >/dev/null || true; dpkg-reconfigure -f noninteractive tzdata || true
apt-get clean && update-alternatives --get-selections >/dev/null && ldconfig
"##,
};
