use std::fs;

use super::*;

struct Tree {
    folder: tempfile::TempDir,
}

impl Tree {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn open(&self, watch: bool) -> Directory {
        let poll = Duration::from_millis(100);
        let config = DirectoryConfig { watch, poll, ..DirectoryConfig::once(self.folder.path()) };
        Directory::open(&config, &Limits::default()).unwrap()
    }
}

async fn delivery(source: &mut Directory) -> Delivery {
    match source.next().await.unwrap() {
        Some(Next::Object(delivery)) => delivery,
        _ => panic!("no object"),
    }
}

/// Keys of all that comes, acknowledged.
async fn keys(source: &mut Directory) -> Vec<String> {
    let mut keys = Vec::new();
    while let Some(next) = source.next().await.unwrap() {
        let Next::Object(delivery) = next else { panic!("no object") };
        keys.push(delivery.object.key);
        delivery.ticket.acknowledge().await.unwrap();
    }
    keys
}

async fn nothing_comes(source: &mut Directory) -> bool {
    tokio::time::timeout(Duration::from_millis(450), source.next()).await.is_err()
}

#[tokio::test]
async fn a_tree_is_read_in_the_order_of_its_paths() {
    let tree = Tree::new();
    for name in ["b/2.json.gz", "b/1.jsonl", "a.json", "c.log", "d/e/f.ndjson", "G.JSON"] {
        tree.write(name, "{}");
    }
    for name in ["notes.txt", "b/json", "x.json.tmp"] {
        tree.write(name, "{}");
    }
    assert_eq!(
        keys(&mut tree.open(false)).await,
        ["G.JSON", "a.json", "b/1.jsonl", "b/2.json.gz", "c.log", "d/e/f.ndjson"]
    );
}

#[tokio::test]
async fn a_file_that_was_named_is_read_whatever_its_name() {
    let tree = Tree::new();
    tree.write("notes.txt", "{}");
    let config = DirectoryConfig::once(tree.path("notes.txt"));
    let mut source = Directory::open(&config, &Limits::default()).unwrap();
    let delivery = delivery(&mut source).await;
    assert_eq!(source.files().fetch(&delivery.object).await, Ok(b"{}".to_vec()));
    assert!(delivery.object.display().ends_with("/notes.txt"));
}

#[tokio::test]
async fn links_are_not_followed() {
    let outside = Tree::new();
    outside.write("secret.json", "{}");
    let tree = Tree::new();
    tree.write("own.json", "{}");
    std::os::unix::fs::symlink(outside.path("secret.json"), tree.path("link.json")).unwrap();
    std::os::unix::fs::symlink(outside.folder.path(), tree.path("folder")).unwrap();
    std::os::unix::fs::symlink(tree.folder.path(), tree.path("loop")).unwrap();
    assert_eq!(keys(&mut tree.open(false)).await, ["own.json"]);
}

#[tokio::test]
async fn a_version_is_the_content() {
    let tree = Tree::new();
    tree.write("a.json", "one");
    tree.write("b.json", "one");
    let mut source = tree.open(false);
    let (first, second) = (delivery(&mut source).await, delivery(&mut source).await);
    assert_eq!(first.object.version, second.object.version);
    assert_ne!(first.object.id(), second.object.id());
    let files = source.files();
    assert_eq!(files.fetch(&first.object).await, Ok(b"one".to_vec()));
    tree.write("a.json", "two");
    assert_eq!(files.fetch(&first.object).await, Err(FetchError::Changed));
    fs::remove_file(tree.path("b.json")).unwrap();
    assert_eq!(files.fetch(&second.object).await, Err(FetchError::Missing));
}

#[tokio::test]
async fn a_key_cannot_lead_out_of_the_folder() {
    let tree = Tree::new();
    let files = tree.open(false).files();
    for key in ["../x.json", "/etc/passwd", "a/../../x"] {
        let object =
            ObjectRef { source: "s".into(), bucket: "/".into(), key: key.into(), version: String::new() };
        assert!(matches!(files.fetch(&object).await, Err(FetchError::Forbidden(_))), "{key}");
    }
}

#[tokio::test]
async fn what_is_too_large_is_not_read() {
    let tree = Tree::new();
    tree.write("a.json", "0123456789");
    for (inflated_bytes_max, expected) in
        [(10, Ok(b"0123456789".to_vec())), (9, Err(FetchError::TooLarge { limit: 9 }))]
    {
        let limits = Limits { inflated_bytes_max, ..Limits::default() };
        let mut source = Directory::open(&DirectoryConfig::once(tree.folder.path()), &limits).unwrap();
        let object = delivery(&mut source).await.object;
        assert_eq!(source.files().fetch(&object).await, expected);
    }
}

#[test]
fn how_much_is_read_hangs_on_what_it_is() {
    let tree = Tree::new();
    let limits = Limits { compressed_bytes_max: 4, inflated_bytes_max: 8, ..Limits::default() };
    let mut bytes = b"of the file before".to_vec();
    let mut read = |content: &str| {
        tree.write("a.json", content);
        read_file(&tree.path("a.json"), &limits, &mut bytes).map(|()| bytes.clone())
    };
    for plain in ["", "{}", "12345", "12345678"] {
        assert_eq!(read(plain), Ok(plain.as_bytes().to_vec()));
    }
    assert_eq!(read("123456789"), Err(FetchError::TooLarge { limit: 8 }));
    let gzip = [0x1f, 0x8b, 8, 0, 0];
    fs::write(tree.path("b.gz"), gzip).unwrap();
    assert_eq!(read_file(&tree.path("b.gz"), &limits, &mut bytes), Err(FetchError::TooLarge { limit: 4 }));
    fs::write(tree.path("b.gz"), &gzip[..4]).unwrap();
    assert_eq!(read_file(&tree.path("b.gz"), &limits, &mut bytes), Ok(()));
    assert_eq!(read_file(&tree.path("c.gz"), &limits, &mut bytes), Err(FetchError::Missing));
}

#[tokio::test]
async fn a_file_that_vanishes_is_no_trouble() {
    let tree = Tree::new();
    for name in ["a.json", "b.json", "c.json"] {
        tree.write(name, "{}");
    }
    let mut source = tree.open(false);
    let first = delivery(&mut source).await;
    assert_eq!(first.object.key, "a.json");
    fs::remove_file(tree.path("b.json")).unwrap();
    assert_eq!(delivery(&mut source).await.object.key, "c.json");
}

#[tokio::test]
async fn what_is_given_back_or_dropped_comes_again() {
    let tree = Tree::new();
    tree.write("a.json", "{}");
    let mut source = tree.open(false);
    delivery(&mut source).await.ticket.release().await;
    let again = delivery(&mut source).await;
    assert_eq!((again.object.key.as_str(), again.attempt), ("a.json", 2));
    again.ticket.acknowledge().await.unwrap();
    assert!(source.next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_missing_folder_is_a_clear_error() {
    let error = Directory::open(&DirectoryConfig::once("/no/such/folder"), &Limits::default()).err().unwrap();
    assert!(error.to_string().starts_with("cannot read /no/such/folder: "), "{error}");
}

#[tokio::test]
async fn a_watched_folder_gives_new_and_changed_files_once() {
    let tree = Tree::new();
    tree.write("a.json", "1");
    let mut source = tree.open(true);
    let first = delivery(&mut source).await;
    assert_eq!(first.object.key, "a.json");
    first.ticket.acknowledge().await.unwrap();
    assert!(nothing_comes(&mut source).await);
    tree.write("sub/b.json", "2");
    let second = delivery(&mut source).await;
    assert_eq!(second.object.key, "sub/b.json");
    second.ticket.acknowledge().await.unwrap();
    tree.write("a.json", "longer");
    let changed = delivery(&mut source).await;
    assert_eq!(source.files().fetch(&changed.object).await, Ok(b"longer".to_vec()));
    changed.ticket.acknowledge().await.unwrap();
    fs::remove_file(tree.path("a.json")).unwrap();
    assert!(nothing_comes(&mut source).await);
}

#[tokio::test]
async fn a_file_that_still_grows_is_left_alone() {
    let tree = Tree::new();
    let poll = Duration::from_millis(300);
    let config = DirectoryConfig { watch: true, poll, ..DirectoryConfig::once(tree.folder.path()) };
    let mut source = Directory::open(&config, &Limits::default()).unwrap();
    for length in 1..8 {
        tree.write("a.json", &"x".repeat(length));
        let early = tokio::time::timeout(Duration::from_millis(100), source.next()).await;
        assert!(early.is_err(), "handed out while it grew");
    }
    assert_eq!(source.files().fetch(&delivery(&mut source).await.object).await, Ok(b"xxxxxxx".to_vec()));
}
