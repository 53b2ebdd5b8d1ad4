//! Backups.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "backup",
    what: "backups: tar, cp -a, rsync, borg, restic, encrypted archives and checksums of /etc and homes",
    needs: &["tar", "gzip"],
    quick: true,
    script: r##"mkdir -p to home && cp -a /etc/skel home/ada && mkdir -p -m 700 home/ada/.ssh home/ada/documents
echo text > home/ada/documents/letter
! command -v ssh-keygen >/dev/null || ssh-keygen -q -t ed25519 -N '' -f home/ada/.ssh/id_ed25519
tar -czf to/etc.tar.gz -C / etc
tar -czf to/home.tar.gz home && tar -tzf to/home.tar.gz >/dev/null
cp -a home to/copy && cp -a /etc to/etc
command -v rsync >/dev/null && { rsync -a --delete home/ to/mirror/; rsync -aH /etc/ to/etc-mirror/; } || true
find home -type f -print0 | xargs -0 sha256sum > to/sums && sha256sum -c --quiet to/sums
command -v cpio >/dev/null && find home | cpio -o > to/home.cpio || true
dd if=/dev/zero of=to/image bs=64k count=64 status=none && split -b 1M to/image to/part- && cat to/part-* | cmp - to/image
command -v gpg >/dev/null && echo secret | gpg --batch --yes --passphrase x --pinentry-mode loopback --symmetric -o to/etc.gpg || true
mkdir restore && tar -xzf to/home.tar.gz -C restore && diff -r home restore/home
if command -v borg >/dev/null; then
  export BORG_PASSPHRASE=x BORG_BASE_DIR="$PWD/borg"
  borg init -e repokey to/borg && borg create to/borg::one home /etc && borg list to/borg >/dev/null && borg check to/borg && (mkdir out && cd out && borg extract ../to/borg::one) && borg prune --keep-last 1 to/borg
fi
if command -v restic >/dev/null; then
  export RESTIC_PASSWORD=x RESTIC_REPOSITORY="$PWD/to/restic" XDG_CACHE_HOME="$PWD/cache"
  restic init -q && restic backup -q home /etc && restic check -q && restic restore -q latest --target out2 && restic forget -q --keep-last 1 --prune
fi
command -v zstd >/dev/null && tar -C / --zstd -cf to/log.tar.zst var/log || true; xz -k -T 1 to/sums && zip -qr to/home.zip home 2>/dev/null || true
tar -czf - home | openssl enc -aes-256-cbc -pbkdf2 -pass pass:x -out to/home.enc && openssl enc -d -aes-256-cbc -pbkdf2 -pass pass:x -in to/home.enc | tar -tz >/dev/null
sh -c 'tar -cf - -C / etc | gzip > to/etc-by-script.tar.gz' && rsync -a --link-dest="$PWD/to/copy" home/ to/incremental/ 2>/dev/null || true
for day in 1 2 3 4 5 6 7 8; do touch -d "$day days ago" "to/old-$day.tar" ; done; find to -name 'old-*' -mtime +5 -delete
dpkg --get-selections > to/selections 2>/dev/null || true
find to -type f -mtime +30 -delete
"##,
};
