//! A disk of its own that can be filled and freed.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A small file system in memory. Unmounted when it is dropped.
pub struct Disk {
    folder: TempDir,
    programs: &'static [&'static str],
}

impl Disk {
    /// Mounts one of so many MiB; none where this user may not.
    pub fn mount(mebibytes: u32) -> Option<Disk> {
        let folder = tempfile::Builder::new().prefix("remit-disk-").tempdir().unwrap();
        let ways: [&[&str]; 2] = [&[], &["sudo", "-n"]];
        let programs = ways.into_iter().find(|programs| {
            let size = format!("size={mebibytes}m,mode=0777");
            run(
                programs,
                &["mount", "-t", "tmpfs", "-o", &size, "remit-story", &folder.path().to_string_lossy()],
            )
        })?;
        Some(Disk { folder, programs })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves not one byte free.
    pub fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.filler()).unwrap();
        let mut size = 1 << 20;
        let zeros = vec![0; size];
        while size > 0 {
            match file.write(&zeros[..size]) {
                Ok(written) if written > 0 => {}
                _ => size /= 2,
            }
        }
    }

    /// Gives back what was filled.
    pub fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a process that is just ending may still hold a file.
        run(self.programs, &["umount", "-l", &self.folder.path().to_string_lossy()]);
    }
}

fn run(programs: &[&str], arguments: &[&str]) -> bool {
    let all: Vec<&str> = programs.iter().chain(arguments).copied().collect();
    Command::new(all[0]).args(&all[1..]).output().is_ok_and(|output| output.status.success())
}
