//! Programs that `tests/run` fetches.

use std::path::PathBuf;

/// Where a fetched program is; a story that needs one that is absent fails here.
pub fn tool(name: &str) -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .unwrap_or_default()
        .join("remit");
    // moto comes first from its own environment: one on PATH may be any version.
    let fetched = match name {
        "moto_server" => cache.join("venv/bin"),
        _ => cache.join("prometheus/usr/bin"),
    };
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    std::iter::once(fetched)
        .chain(std::env::split_paths(&on_path))
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
        .unwrap_or_else(|| panic!("`{name}` isn't on this machine: `tests/run` fetches it"))
}
