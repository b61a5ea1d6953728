//! A folder whose files are on disk when they are seen: what the lake holds survives a power cut.

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};
use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A store that names files by their whole path. Reads as [`LocalFileSystem`] does; a put is synced before its name
/// exists, and its folder after, which `LocalFileSystem` leaves to the system.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    files: Arc<LocalFileSystem>,
}

impl Folder {
    pub(super) fn new() -> Folder {
        Folder { files: Arc::new(LocalFileSystem::new()) }
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("folder")
    }
}

fn failed(path: &std::path::Path, cause: std::io::Error) -> Error {
    let name = path.display().to_string();
    match cause.kind() {
        ErrorKind::AlreadyExists => Error::AlreadyExists { path: name, source: cause.into() },
        ErrorKind::NotFound => Error::NotFound { path: name, source: cause.into() },
        _ => Error::Generic { store: "folder", source: format!("`{name}`: {cause}").into() },
    }
}

/// Writes a file so that it is there wholly or not at all. `is_new`: it is an error if there is one of that name.
pub(super) fn write_durably(
    path: &std::path::Path,
    pieces: impl IntoIterator<Item = impl AsRef<[u8]>>,
    is_new: bool,
) -> std::io::Result<()> {
    static PARTS: AtomicU64 = AtomicU64::new(0);
    let mut part = path.as_os_str().to_owned();
    // Names of this form are no objects to `LocalFileSystem`: nobody lists them.
    part.push(format!("#{}{}", std::process::id(), PARTS.fetch_add(1, Ordering::Relaxed)));
    let part = PathBuf::from(part);
    let written = (|| {
        let mut file = match File::create(&part) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => {
                make_folders(path)?;
                File::create(&part)?
            }
            made => made?,
        };
        for piece in pieces {
            file.write_all(piece.as_ref())?;
        }
        file.sync_all()?;
        if is_new { std::fs::hard_link(&part, path) } else { std::fs::rename(&part, path) }
    })();
    if is_new || written.is_err() {
        // The link has the bytes; what cannot be removed is in nobody's way.
        let _ = std::fs::remove_file(&part);
    }
    written?;
    path.parent().map_or(Ok(()), sync_folder)
}

pub(super) fn sync_folder(folder: &std::path::Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes the folders above a file and has their names on disk.
fn make_folders(path: &std::path::Path) -> std::io::Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(parent)?;
    parent.ancestors().skip(1).take(2).try_for_each(sync_folder)
}

#[async_trait]
impl ObjectStore for Folder {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let is_new = match options.mode {
            PutMode::Create => true,
            PutMode::Overwrite => false,
            PutMode::Update(_) => {
                return Err(Error::NotImplemented {
                    operation: "a conditional update".to_owned(),
                    implementer: self.to_string(),
                });
            }
        };
        let path = self.files.path_to_filesystem(at)?;
        let written = tokio::task::spawn_blocking(move || {
            write_durably(&path, payload.iter(), is_new).map_err(|cause| failed(&path, cause))
        });
        written.await.map_err(|cause| Error::Generic { store: "folder", source: cause.into() })??;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(Upload { folder: self.clone(), at: at.clone(), parts: Vec::new() }))
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.files.get_opts(at, options).await
    }

    async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> Result<Vec<bytes::Bytes>> {
        self.files.get_ranges(at, ranges).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.files.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.files.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.files.rename_opts(from, to, options).await
    }
}

/// Parts in memory until they are all there: only checkpoints come this way, and they are small.
#[derive(Debug)]
struct Upload {
    folder: Folder,
    at: Path,
    parts: Vec<PutPayload>,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.parts.push(data);
        Box::pin(std::future::ready(Ok(())))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let whole: PutPayload = self.parts.drain(..).flatten().collect();
        self.folder.put_opts(&self.at, whole, PutOptions::default()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::ObjectStoreExt;

    #[tokio::test]
    async fn a_name_is_taken_once() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new();
        let at = Path::from_absolute_path(dir.path().join("log/00.json")).unwrap();
        let put = |text: &'static str| {
            folder.put_opts(&at, PutPayload::from_static(text.as_bytes()), PutOptions::from(PutMode::Create))
        };
        put("first").await.unwrap();
        let again = put("second").await.unwrap_err();
        assert!(matches!(again, Error::AlreadyExists { .. }), "{again}");
        let read = folder.get(&at).await.unwrap().bytes().await.unwrap();
        assert_eq!(&*read, b"first");
        assert_eq!(std::fs::read_dir(dir.path().join("log")).unwrap().count(), 1, "no part is left");
    }

    #[tokio::test]
    async fn what_comes_in_parts_is_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new();
        let at = Path::from_absolute_path(dir.path().join("a.parquet")).unwrap();
        let mut upload = folder.put_multipart(&at).await.unwrap();
        upload.put_part(PutPayload::from_static(b"one ")).await.unwrap();
        upload.put_part(PutPayload::from_static(b"two")).await.unwrap();
        assert!(folder.head(&at).await.is_err(), "not before it is whole");
        upload.complete().await.unwrap();
        assert_eq!(&*folder.get(&at).await.unwrap().bytes().await.unwrap(), b"one two");
    }
}
