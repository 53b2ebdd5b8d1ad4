//! Packages from the mirror, for the scenes that come after it.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "install",
    what: "apt-get: lists fetched, packages of tools and servers installed from the mirror, cleaned",
    needs: &["apt-get"],
    quick: false,
    script: r##"# A name that this release does not have costs that package only.
get() {
  wanted=""
  for package in "$@"; do apt-cache show "$package" >/dev/null 2>&1 && wanted="$wanted $package" || echo "there is no $package"; done
  # shellcheck disable=SC2086
  apt-get install -y -q --no-install-recommends $wanted
}
apt-get update -q
get cron at logrotate rsync openssh-server nginx-light redis-server apache2-utils procps iproute2 curl wget make gcc libc6-dev \
  git python3-venv python3-pip python3-setuptools python3-wheel python3-pytest adduser sudo less lsof file busybox-static runc
get rsyslog tmux screen vim-tiny nano htop sysstat prometheus-node-exporter man-db cmake pkg-config patch bc psmisc strace gdb
get containerd ansible-core apache2 php-fpm mariadb-server borgbackup restic sqlite3 etckeeper
apt-get install -y -q postgresql || true
"##,
};
