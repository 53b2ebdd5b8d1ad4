//! The manifests of `deploy/manifests`.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use vedette_policy::document::yaml;
use vedette_policy::source::SourceId;

/// The workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The documents of a file.
pub fn read(path: &Path) -> Vec<Json> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let documents = yaml::parse(&text, SourceId(0)).unwrap_or_else(|e| panic!("{}: {e:?}", path.display()));
    documents.iter().map(yaml::Node::to_json).filter(|document| !document.is_null()).collect()
}

/// The files that a kustomization is made of.
pub fn resources(directory: &Path) -> Vec<PathBuf> {
    let kustomization = &read(&directory.join("kustomization.yaml"))[0];
    let named = kustomization["resources"].as_array().into_iter().flatten();
    let mut files = Vec::new();
    for path in named.map(|name| directory.join(name.as_str().unwrap())) {
        if path.is_dir() {
            files.extend(resources(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// Every manifest that is applied.
pub fn all() -> Vec<Json> {
    resources(&workspace().join("deploy/manifests")).iter().flat_map(|file| read(file)).collect()
}
