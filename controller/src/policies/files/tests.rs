use std::time::Duration;

use tempfile::TempDir;

use super::*;

/// Longest wait for a change that must come.
const DEADLINE: Duration = Duration::from_secs(10);

const GOOD: &str = "
- list: odd_shells
  items: [fish]
- rule: Odd shell
  desc: A shell that nobody uses here.
  condition: evt.type = execve and proc.name in (odd_shells)
  output: '%proc.name'
  priority: Notice
";

struct Watched {
    directory: TempDir,
    source: Arc<FilesSource>,
    changes: channel::Receiver<u64>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), FilesError>>,
}

impl Watched {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a.yaml"), GOOD).unwrap();
        let source = Arc::new(
            FilesSource::open(vec![directory.path().to_owned()], super::super::built_in::sources()).unwrap(),
        );
        let changes = source.changes();
        let stop = CancellationToken::new();
        let task = tokio::spawn({
            let (source, stop) = (Arc::clone(&source), stop.clone());
            async move { source.watch(stop).await }
        });
        Self { directory, source, changes, stop, task }
    }

    fn write(&self, name: &str, text: &str) {
        let new = self.directory.path().join(".new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.directory.path().join(name)).unwrap();
    }

    async fn changed(&mut self) -> Vec<String> {
        tokio::time::timeout(DEADLINE, self.changes.changed()).await.unwrap().unwrap();
        self.changes.borrow_and_update();
        self.names()
    }

    fn names(&self) -> Vec<String> {
        self.source.for_node("n1").documents.iter().map(|d| d.name.clone()).collect()
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn files_come_change_and_go() {
    let mut watched = Watched::new();
    assert_eq!(watched.names(), ["a.yaml"]);
    watched.write(
        "b.yaml",
        "- rule: Password hashes read\n  enabled: false\n- list: odd_shells\n  items: [zsh]\n  override: {items: append}\n",
    );
    assert_eq!(watched.changed().await, ["a.yaml", "b.yaml"]);
    watched.write("a.yaml", &GOOD.replace("fish", "fish, nu"));
    watched.changed().await;
    assert!(watched.source.for_node("n1").documents[0].text.windows(2).any(|w| w == b"nu"));
    std::fs::remove_file(watched.directory.path().join("b.yaml")).unwrap();
    assert_eq!(watched.changed().await, ["a.yaml"]);
    watched.end().await;
}

#[tokio::test]
async fn a_wrong_file_is_refused_and_the_old_set_stays() {
    let mut watched = Watched::new();
    let before = watched.source.for_node("n1");
    watched.write(
        "b.yaml",
        "- rule: Wrong\n  desc: x\n  condition: proc.nam = a\n  output: x\n  priority: Error\n",
    );
    watched.write("z.yaml", "- list: other\n  items: []\n");
    // The next good set is the first change: the wrong one was none.
    watched.source.reload_now();
    assert_eq!(watched.source.for_node("n1"), before);
    watched.write("b.yaml", "- list: more\n  items: []\n");
    assert_eq!(watched.changed().await, ["a.yaml", "b.yaml", "z.yaml"]);
    watched.end().await;
}

#[tokio::test]
async fn a_directory_that_is_replaced_is_read_again() {
    let mut watched = Watched::new();
    let path = watched.directory.path().to_owned();
    let other = tempfile::tempdir_in(path.parent().unwrap()).unwrap();
    std::fs::write(other.path().join("c.yaml"), GOOD).unwrap();
    let away = other.path().with_extension("away");
    std::fs::rename(&path, &away).unwrap();
    std::fs::rename(other.path(), &path).unwrap();
    assert_eq!(watched.changed().await, ["c.yaml"]);
    std::fs::write(path.join("d.yaml"), "- list: more\n  items: []\n").unwrap();
    assert_eq!(watched.changed().await, ["c.yaml", "d.yaml"]);
    std::fs::remove_dir_all(away).unwrap();
    watched.end().await;
}

#[test]
fn a_wrong_set_at_the_start_is_an_error_with_line_and_column() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a.yaml"), GOOD.replace("proc.name in", "proc.nam in")).unwrap();
    let error = FilesSource::open(vec![directory.path().to_owned()], Vec::new()).unwrap_err();
    assert!(matches!(error, FilesError::Invalid(_)));
    assert!(error.to_string().contains("a.yaml:6:"), "{error}");
    assert!(matches!(FilesSource::open(vec!["/nonexistent".into()], Vec::new()), Err(FilesError::Read(_))));
}

#[test]
fn several_paths_keep_their_order() {
    let directory = tempfile::tempdir().unwrap();
    let last = directory.path().join("a.yaml");
    std::fs::write(&last, "- list: odd_shells\n  items: [zsh]\n  override: {items: append}\n").unwrap();
    let first = tempfile::tempdir().unwrap();
    std::fs::write(first.path().join("b.yaml"), GOOD).unwrap();
    let source = FilesSource::open(vec![first.path().to_owned(), last], Vec::new()).unwrap();
    let names: Vec<_> = source.for_node("n").documents.iter().map(|d| d.name.clone()).collect();
    assert_eq!(names, ["0/b.yaml", "1/a.yaml"]);
}
