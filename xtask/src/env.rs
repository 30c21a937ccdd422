//! Where things are: the repository, the target directory, programs.

use std::env;
use std::path::{Path, PathBuf};

/// The repository's root: the directory above this package.
pub(crate) fn root() -> PathBuf {
    let package =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Where cargo builds. Outside of the clone by default, since RocksDB's C++ costs a quarter of an hour and every
/// clean checkout would pay it again.
pub(crate) fn target_dir() -> PathBuf {
    choose_target_dir(|name| env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from))
        .map(|dir| std::path::absolute(&dir).unwrap_or(dir))
        .unwrap_or_else(|| root().join("target"))
}

fn choose_target_dir(var: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    var("CARGO_TARGET_DIR")
        .or_else(|| var("XDG_CACHE_HOME").map(|cache| cache.join("olmstead/target")))
        .or_else(|| var("HOME").map(|home| home.join(".cache/olmstead/target")))
}

/// Whether a program of this name is in `PATH`.
pub(crate) fn in_path(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(vars: &[(&str, &str)]) -> Option<PathBuf> {
        choose_target_dir(|name| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| PathBuf::from(value)))
    }

    #[test]
    fn the_target_directory_follows_the_environment() {
        let all = [("CARGO_TARGET_DIR", "/t"), ("XDG_CACHE_HOME", "/c"), ("HOME", "/h")];
        assert_eq!(choose(&all), Some("/t".into()));
        assert_eq!(choose(&all[1..]), Some("/c/olmstead/target".into()));
        assert_eq!(choose(&all[2..]), Some("/h/.cache/olmstead/target".into()));
        assert_eq!(choose(&[]), None);
    }
}
