//! Endpoints listed in a file, which is watched.
//!
//! The file may be edited in place or replaced by renaming another over it or over a link to it; it
//! is read once it has been quiet for a moment. Writers should replace it: half of a list may be a
//! valid list.

use std::path::{Path, PathBuf};

use super::{
    BoxFuture, Discovery, DiscoveryError, EndpointList, Update,
    list::{Format, parse},
    name_of,
};
use crate::file::{self, ContentHash, Watcher};

/// A list of endpoints in a file.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    watcher: Watcher,
    /// True once the file was looked at, good or not.
    is_known: bool,
}

impl File {
    /// Returns the source of the list in this file.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            // Watched before it is read, so that no change in between is missed.
            watcher: Watcher::new(path, ContentHash::of(b"")),
            is_known: false,
        }
    }
}

impl Discovery for File {
    fn next(&mut self) -> BoxFuture<'_, Result<Update, DiscoveryError>> {
        Box::pin(async move {
            if self.is_known {
                self.watcher.changed().await;
            }
            let path = self.path.clone();
            let reading = tokio::task::spawn_blocking(move || read(&path));
            let (hash, list) = reading.await.unwrap_or_else(|error| {
                let error = DiscoveryError::Unreachable(name_of(&self.path), error.into());
                (None, Err(error))
            });
            self.is_known = true;
            match hash {
                Some(hash) => self.watcher.set_seen(hash),
                None => self.watcher.set_unusable(),
            }
            list.map(Update::List)
        })
    }
}

/// Reads the list in a file, with the hash of its content; blocks on the disk.
pub fn read(path: &Path) -> (Option<ContentHash>, Result<EndpointList, DiscoveryError>) {
    let text = match file::read_to_string(path, file::WATCHED_BYTES_MAX) {
        Ok(text) => text,
        Err(error) => return (None, Err(DiscoveryError::Unreachable(name_of(path), error))),
    };
    let hash = ContentHash::of(text.as_bytes());
    let base = path.parent().unwrap_or_else(|| Path::new("."));
    let parsed = match parse(&text, Format::of(path), base) {
        Ok(list) => Ok(list),
        Err(fault) => Err(DiscoveryError::Malformed(name_of(path), fault)),
    };
    (Some(hash), parsed)
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;

    async fn labels(source: &mut File) -> Result<Vec<String>, String> {
        let next = tokio::time::timeout(Duration::from_secs(20), source.next());
        let list = next.await.expect("a list in time");
        let Update::List(list) = list.map_err(|error| error.to_string())? else {
            panic!("each change is a list");
        };
        let labels = list.endpoints.iter().map(|it| it.label.to_string());
        Ok(labels.chain(list.skipped.first().iter().cloned()).collect())
    }

    #[tokio::test]
    async fn each_change_of_the_file_is_a_list_or_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.json");
        let replace = |text: &str| {
            let new = folder.path().join("new");
            fs::write(&new, text).unwrap();
            fs::rename(new, &path).unwrap();
        };
        let mut source = File::new(&path);
        let missing = labels(&mut source).await.unwrap_err();
        assert!(
            missing.ends_with("list.json: there is no such file"),
            "{missing}"
        );
        replace("[\"a:1\"]");
        assert_eq!(labels(&mut source).await.unwrap(), ["a:1"]);
        // In place, with a fault.
        fs::write(&path, "[\"a:1\",\n\"b\"]").unwrap();
        let listed = labels(&mut source).await.unwrap();
        assert_eq!(listed[0], "a:1");
        let fault = "2:1: \"b\" is not the address";
        assert!(listed[1].starts_with(fault), "{listed:?}");
        fs::write(&path, "[\"a:1\",").unwrap();
        let fault = labels(&mut source).await.unwrap_err();
        assert!(fault.contains("list.json:1:7: EOF"), "{fault}");
        replace("[\"b:1\"]");
        assert_eq!(labels(&mut source).await.unwrap(), ["b:1"]);
        replace("[]");
        assert!(labels(&mut source).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_link_that_leads_elsewhere_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        fs::write(place("one.json"), "[\"a:1\"]").unwrap();
        fs::write(place("two.json"), "[\"b:1\"]").unwrap();
        std::os::unix::fs::symlink("one.json", place("list.json")).unwrap();
        let mut source = File::new(&place("list.json"));
        assert_eq!(labels(&mut source).await.unwrap(), ["a:1"]);
        std::os::unix::fs::symlink("two.json", place("new")).unwrap();
        fs::rename(place("new"), place("list.json")).unwrap();
        assert_eq!(labels(&mut source).await.unwrap(), ["b:1"]);
    }
}
