//! Packages by dpkg and apt-get, offline.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "packages",
    what: "dpkg and apt: install, configure, upgrade, verify, remove, purge local packages",
    needs: &["dpkg-deb", "dpkg", "apt-get"],
    quick: true,
    script: r##"make_package() { # VERSION
  rm -rf tree && mkdir -p tree/DEBIAN tree/usr/bin tree/usr/lib/noise-pkg tree/etc/cron.d tree/etc/logrotate.d \
    tree/lib/systemd/system tree/etc/init.d tree/etc/profile.d tree/usr/share/doc/noise-pkg tree/etc/sudoers.d tree/etc/pam.d
  printf 'Package: noise-pkg\nVersion: %s\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: a package\n' "$1" > tree/DEBIAN/control
  printf '/etc/cron.d/noise-pkg\n/etc/logrotate.d/noise-pkg\n/etc/init.d/noise-pkg\n/etc/profile.d/noise-pkg.sh\n/etc/sudoers.d/noise-pkg\n/etc/pam.d/noise-pkg\n' > tree/DEBIAN/conffiles
  printf '#!/bin/sh\necho noise %s\n' "$1" > tree/usr/bin/noise-pkg
  chmod 755 tree/usr/bin/noise-pkg
  echo '17 3 * * * root test -x /usr/bin/noise-pkg && noise-pkg >/dev/null' > tree/etc/cron.d/noise-pkg
  printf '/var/log/noise-pkg.log {\n  weekly\n}\n' > tree/etc/logrotate.d/noise-pkg
  printf '[Service]\nExecStart=/usr/bin/noise-pkg\n[Install]\nWantedBy=multi-user.target\n' > tree/lib/systemd/system/noise-pkg.service
  printf '#!/bin/sh\n### BEGIN INIT INFO\n# Provides: noise-pkg\n# Required-Start:\n# Required-Stop:\n# Default-Start: 2 3\n# Default-Stop: 0 6\n### END INIT INFO\nexit 0\n' > tree/etc/init.d/noise-pkg
  chmod 755 tree/etc/init.d/noise-pkg
  echo 'export NOISE=1' > tree/etc/profile.d/noise-pkg.sh
  echo '# nothing' > tree/etc/sudoers.d/noise-pkg && chmod 440 tree/etc/sudoers.d/noise-pkg
  echo 'auth required pam_unix.so' > tree/etc/pam.d/noise-pkg
  cat > tree/DEBIAN/postinst <<'POSTINST'
#!/bin/sh
set -e
getent passwd _noise >/dev/null || useradd --system --no-create-home --shell /usr/sbin/nologin _noise
mkdir -p /var/lib/noise-pkg && chown _noise /var/lib/noise-pkg && chmod 750 /var/lib/noise-pkg
touch /var/log/noise-pkg.log
update-alternatives --install /usr/bin/noise-alternative noise-alternative /usr/bin/noise-pkg 10
if [ -x /usr/sbin/update-rc.d ]; then update-rc.d noise-pkg defaults || true; fi
if [ -x /usr/bin/deb-systemd-helper ]; then deb-systemd-helper enable noise-pkg.service || true; fi
ldconfig
POSTINST
  cat > tree/DEBIAN/prerm <<'PRERM'
#!/bin/sh
set -e
update-alternatives --remove noise-alternative /usr/bin/noise-pkg
PRERM
  cat > tree/DEBIAN/postrm <<'POSTRM'
#!/bin/sh
set -e
if [ "$1" = purge ]; then rm -rf /var/lib/noise-pkg /var/log/noise-pkg.log; userdel _noise || true; fi
POSTRM
  chmod 755 tree/DEBIAN/postinst tree/DEBIAN/prerm tree/DEBIAN/postrm
  dpkg-deb --root-owner-group -b tree "noise-pkg_$1.deb"
}
make_package 1.0 && make_package 2.0
dpkg -I noise-pkg_1.0.deb >/dev/null && dpkg -c noise-pkg_1.0.deb >/dev/null
dpkg -i noise-pkg_1.0.deb && noise-pkg
apt-get install -y -q --no-install-recommends ./noise-pkg_2.0.deb && noise-pkg
dpkg -L noise-pkg >/dev/null && dpkg -V noise-pkg && dpkg -s noise-pkg >/dev/null && apt-cache policy noise-pkg >/dev/null
dpkg-reconfigure -f noninteractive noise-pkg || true
apt-get install -y -q --reinstall ./noise-pkg_2.0.deb
apt-get remove -y -q noise-pkg && apt-get purge -y -q noise-pkg
apt-get check -q && dpkg --audit && apt-mark showmanual >/dev/null
"##,
};
