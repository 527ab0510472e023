//! The files of a configuration: the one that is named, and those that it includes.

use std::{
    fs,
    path::{Path, PathBuf},
    rc::Rc,
};

use super::syntax::{Directive, parse};
use crate::import::{ImportError, glob::matching};

/// Reads a configuration with what it includes.
pub(super) struct Files {
    /// The folder that relative paths are taken from.
    folder: PathBuf,
    bytes: usize,
    count: usize,
}

impl Files {
    pub(super) fn of(path: &Path) -> Self {
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        Self {
            folder: folder.to_owned(),
            bytes: 0,
            count: 0,
        }
    }

    /// Reads a file, and puts what it includes in the place of the line.
    ///
    /// # Errors
    /// The file that cannot be read.
    pub(super) fn read(&mut self, path: &Path) -> Result<Vec<Directive>, ImportError> {
        self.read_at(path, 0)
    }

    fn read_at(&mut self, path: &Path, depth: usize) -> Result<Vec<Directive>, ImportError> {
        let unreadable = |error| ImportError::Unreadable(path.to_owned(), error);
        self.count += 1;
        self.bytes += usize::try_from(fs::metadata(path).map_err(unreadable)?.len())
            .unwrap_or(usize::MAX / 2);
        if depth > DEPTH_MAX || self.count > FILES_MAX || self.bytes > BYTES_MAX {
            let file = path.display();
            return Err(ImportError::TooMuch(format!(
                "{file}: the configuration has more than {FILES_MAX} files, {} MiB, or {DEPTH_MAX} files in one another; does it include itself?",
                BYTES_MAX >> 20
            )));
        }
        let text = fs::read(path).map_err(unreadable)?;
        let text = String::from_utf8_lossy(&text);
        let name = path.strip_prefix(&self.folder).unwrap_or(path);
        let name: Rc<str> = name.display().to_string().into();
        self.included(parse(&text, &name)?, depth)
    }

    fn included(
        &mut self,
        written: Vec<Directive>,
        depth: usize,
    ) -> Result<Vec<Directive>, ImportError> {
        let mut all = Vec::with_capacity(written.len());
        for mut directive in written {
            if let Some(block) = directive.block.take() {
                directive.block = Some(self.included(block, depth)?);
            }
            if directive.name != "include" || is_needless(directive.first()) {
                all.push(directive);
                continue;
            }
            let mut paths = matching(&self.folder.join(directive.first()));
            if !paths.iter().any(|path| path.is_file()) {
                // A file of `conf.d` alone: paths are those of the folder above.
                paths = matching(&self.folder.join("..").join(directive.first()));
            }
            let is_pattern = directive.first().contains(['*', '?', '[']);
            let missing = paths.iter().all(|path| !path.is_file());
            if missing && !is_pattern {
                // Told where it stands.
                all.push(directive);
                continue;
            }
            for path in paths {
                all.extend(self.read_at(&path, depth + 1)?);
            }
        }
        Ok(all)
    }
}

/// Returns true for files that tell nothing about a proxy.
pub(super) fn is_needless(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    matches!(
        name,
        "mime.types" | "fastcgi_params" | "fastcgi.conf" | "uwsgi_params" | "scgi_params"
    )
}

/// Files of one configuration.
const FILES_MAX: usize = 1000;
const BYTES_MAX: usize = 16 << 20;
/// Files that include one another.
const DEPTH_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn included_files_stand_in_the_place_of_the_line_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        fs::create_dir(folder.path().join("conf.d")).unwrap();
        write(
            "nginx.conf",
            "http { include mime.types; include conf.d/*.conf; include none.conf; z; }",
        );
        write("conf.d/b.conf", "b;");
        write("conf.d/a.conf", "a;\ninclude conf.d/c.part;");
        write("conf.d/c.part", "\nc;");
        let path = folder.path().join("nginx.conf");
        let read = Files::of(&path).read(&path).unwrap();
        let shown = read[0].inner().iter();
        let shown: Vec<String> = shown
            .map(|it| format!("{} {} {}", it.source.place, it.name, it.first()))
            .collect();
        assert_eq!(
            shown,
            [
                "nginx.conf:1 include mime.types",
                "conf.d/a.conf:1 a ",
                "conf.d/c.part:2 c ",
                "conf.d/b.conf:1 b ",
                "nginx.conf:1 include none.conf",
                "nginx.conf:1 z ",
            ]
        );
        write("nginx.conf", "include nginx.conf;");
        assert!(matches!(
            Files::of(&path).read(&path),
            Err(ImportError::TooMuch(_))
        ));
    }
}
