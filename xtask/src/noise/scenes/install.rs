//! Packages from the mirror, for the scenes that come after it.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "install",
    what: "apt-get: lists fetched, packages installed from the mirror, upgraded, cleaned",
    needs: &["apt-get"],
    quick: false,
    script: r##"apt-get update -q
apt-get install -y -q --no-install-recommends cron logrotate rsync openssh-server nginx-light redis-server apache2-utils \
  procps iproute2 curl make gcc libc6-dev git python3-venv python3-pip python3-setuptools adduser sudo less lsof file busybox-static runc
apt-get install -y -q --only-upgrade --no-install-recommends base-files ca-certificates libc-bin openssl tzdata
apt-get install -y -q postgresql || true
apt-get install -y -q cowsay && apt-get purge -y -q cowsay && apt-get autoremove -y -q
apt-get clean && update-alternatives --get-selections >/dev/null && ldconfig
"##,
};
