//! Containers by runc.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "containers",
    what: "runc: a container started, looked into, and removed; images unpacked",
    needs: &["runc", "busybox"],
    quick: false,
    script: r##"busybox=$(command -v busybox) && mkdir -p bundle/rootfs/bin bundle/rootfs/proc bundle/rootfs/dev bundle/rootfs/etc bundle/rootfs/tmp
if ldd "$busybox" >/dev/null 2>&1; then echo "busybox is not static"; exit 77; fi
cp "$busybox" bundle/rootfs/bin/busybox
for applet in sh cat ls id sleep ps wget adduser; do ln -s busybox bundle/rootfs/bin/$applet; done
printf 'root:x:0:0::/root:/bin/sh\n' > bundle/rootfs/etc/passwd
tar -C bundle/rootfs -cf layer.tar . && mkdir unpacked && tar -C unpacked -xf layer.tar
cd bundle && runc spec
sed -i 's/"terminal": true/"terminal": false/; s/"readonly": true/"readonly": false/' config.json
runc --root /run/noise-runc run noise-short < /dev/null || true
sed -i 's|"sh"$|"sleep", "60"|; s|"sh"|"sleep", "60"|' config.json
runc --root /run/noise-runc run -d noise-long < /dev/null > /dev/null 2>&1
runc --root /run/noise-runc list && runc --root /run/noise-runc state noise-long >/dev/null
runc --root /run/noise-runc exec noise-long sh -c 'id; ls /; echo x > /tmp/x; cat /etc/passwd'
runc --root /run/noise-runc exec noise-long ps
runc --root /run/noise-runc kill noise-long KILL
wait_for runc --root /run/noise-runc delete --force noise-long
"##,
};
