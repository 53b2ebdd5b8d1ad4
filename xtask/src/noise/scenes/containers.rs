//! Containers by runc.

use super::Scene;

/// The scene.
pub const SCENE: Scene = Scene {
    name: "containers",
    what: "runc and containerd: images unpacked and imported, containers started, looked into, removed",
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
on_terminal 'runc --root /run/noise-runc exec -t noise-long sh -c "ls; id; tty; ps"' >/dev/null || true
runc --root /run/noise-runc events --stats noise-long >/dev/null || true; runc --root /run/noise-runc ps noise-long >/dev/null || true
runc --root /run/noise-runc pause noise-long && runc --root /run/noise-runc resume noise-long || true
runc --root /run/noise-runc kill noise-long KILL
wait_for runc --root /run/noise-runc delete --force noise-long
cd ..
if command -v containerd >/dev/null && command -v ctr >/dev/null; then
  mkdir -p image/blobs/sha256 ctd
  python3 - <<'PY'
import hashlib, json, pathlib
blobs = pathlib.Path("image/blobs/sha256")
def put(data):
    digest = hashlib.sha256(data).hexdigest(); (blobs / digest).write_bytes(data); return "sha256:" + digest, len(data)
layer = pathlib.Path("layer.tar").read_bytes(); digest, size = put(layer)
config = put(json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/sleep", "60"], "Env": ["PATH=/bin"]}, "rootfs": {"type": "layers", "diff_ids": [digest]}}).encode())
kind = "application/vnd.oci.image."
manifest = put(json.dumps({"schemaVersion": 2, "mediaType": kind + "manifest.v1+json", "config": {"mediaType": kind + "config.v1+json", "digest": config[0], "size": config[1]}, "layers": [{"mediaType": kind + "layer.v1.tar", "digest": digest, "size": size}]}).encode())
pathlib.Path("image/index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [{"mediaType": kind + "manifest.v1+json", "digest": manifest[0], "size": manifest[1], "annotations": {"io.containerd.image.name": "registry.example.org/noise:1", "org.opencontainers.image.ref.name": "1"}}]}))
pathlib.Path("image/oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
PY
  tar -C image -cf image.tar oci-layout index.json blobs
  printf 'version = 2\nroot = "%s/root"\nstate = "/run/noise-ctd"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "/run/noise-ctd/containerd.sock"\n' "$PWD/ctd" > ctd.toml
  containerd --config ctd.toml > ctd.log 2>&1 & daemon=$!
  client() { ctr --address /run/noise-ctd/containerd.sock "$@"; }
  if wait_for client version; then
    client images import --snapshotter native image.tar >/dev/null && client images ls -q
    if client run -d --snapshotter native registry.example.org/noise:1 noise-ctr; then
      client tasks ls && client tasks exec --exec-id one noise-ctr sh -c 'id; ls /; echo x > /tmp/x; sleep 0.1'
      on_terminal "ctr --address /run/noise-ctd/containerd.sock tasks exec -t --exec-id two noise-ctr sh -c 'ls; ps; exit'" >/dev/null || true
      client tasks kill -s KILL noise-ctr && wait_for client tasks rm noise-ctr && client containers rm noise-ctr
    fi
    client images rm registry.example.org/noise:1 >/dev/null
  fi
  kill $daemon && wait $daemon || true
fi
"##,
};
