use std::collections::BTreeMap;
use std::io::Read;

use super::*;

fn image() -> Image {
    Image {
        name: "vedette-test".into(),
        tag: "1.2.3".into(),
        entrypoint: "/usr/bin/vedette-test".into(),
        user: "65532:65532".into(),
        created: 1_700_000_000,
        entries: vec![
            Entry::directory("usr"),
            Entry::directory("usr/bin"),
            Entry::program("usr/bin/vedette-test", vec![7; 3000]),
        ],
    }
}

/// The files of a tar, with their modes.
fn files(tar: &[u8]) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        assert_eq!((entry.header().uid().unwrap(), entry.header().mtime().unwrap()), (0, 1_700_000_000));
        (entry.path().unwrap().display().to_string(), (entry.header().mode().unwrap(), content))
    });
    entries.collect()
}

fn json(files: &BTreeMap<String, (u32, Vec<u8>)>, name: &str) -> Json {
    serde_json::from_slice(&files[name].1).unwrap()
}

#[test]
fn every_part_is_named_by_its_digest_and_found_by_both_readers() {
    let directory = std::env::temp_dir().join(format!("vedette-image-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let (first, second) = (directory.join("a.tar"), directory.join("b.tar"));
    image().write(&first).unwrap();
    image().write(&second).unwrap();
    let (tar, again) = (std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap());
    std::fs::remove_dir_all(&directory).unwrap();
    assert!(tar == again, "the same source gives the same image");

    let files = files(&tar);
    let follow = |descriptor: &Json| {
        let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned();
        let content = files[&format!("blobs/sha256/{digest}")].1.clone();
        assert_eq!(Blob::new(content.clone()).digest, digest);
        assert_eq!(descriptor["size"], content.len());
        content
    };
    assert_eq!(json(&files, "oci-layout"), json!({"imageLayoutVersion": "1.0.0"}));
    let index = json(&files, "index.json");
    let described = &index["manifests"][0];
    assert_eq!(described["annotations"]["io.containerd.image.name"], "docker.io/vedette/vedette-test:1.2.3");
    let manifest: Json = serde_json::from_slice(&follow(described)).unwrap();
    let config: Json = serde_json::from_slice(&follow(&manifest["config"])).unwrap();
    let layer = follow(&manifest["layers"][0]);
    assert_eq!(config["rootfs"]["diff_ids"][0], manifest["layers"][0]["digest"]);
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["created"], "2023-11-14T22:13:20Z");
    assert_eq!(self::files(&layer)["usr/bin/vedette-test"], (0o755, vec![7; 3000]));

    let docker = json(&files, "manifest.json");
    assert_eq!(docker[0]["RepoTags"], json!(["vedette/vedette-test:1.2.3"]));
    assert_eq!(files[docker[0]["Layers"][0].as_str().unwrap()].1, layer);
    assert!(files.contains_key(docker[0]["Config"].as_str().unwrap()));
}

#[test]
fn times() {
    assert_eq!(timestamp(0), "1970-01-01T00:00:00Z");
    assert_eq!(timestamp(951_782_400), "2000-02-29T00:00:00Z");
    assert_eq!(timestamp(4_102_444_799), "2099-12-31T23:59:59Z");
}
