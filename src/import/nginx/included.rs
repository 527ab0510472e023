//! The files of a configuration: the one that is named, and those that it includes.

use std::path::Path;

use super::syntax::{Directive, parse};
use crate::import::{ImportError, files::Files};

/// Reads a configuration with what it includes.
pub(super) struct Reader {
    files: Files,
}

impl Reader {
    pub(super) fn of(path: &Path) -> Self {
        Self {
            files: Files::of(path),
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
        let read = self.files.read(path, depth)?;
        self.included(parse(&read.text, &read.name)?, depth)
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
            let is_read = directive.name == "include" && !is_needless(directive.first());
            let paths = match is_read {
                true => self.files.matching(directive.first(), "/etc/nginx/"),
                false => Vec::new(),
            };
            if paths.is_empty() {
                // One that finds nothing is told where it stands.
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
    let is_of_modules = path.contains("/modules-enabled/") || path.contains("/nginx/modules/");
    is_of_modules
        || matches!(
            name,
            "mime.types" | "fastcgi_params" | "fastcgi.conf" | "uwsgi_params" | "scgi_params"
        )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn included_files_stand_in_the_place_of_the_line_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        fs::create_dir(folder.path().join("conf.d")).unwrap();
        write(
            "nginx.conf",
            "http { include mime.types; include conf.d/*.conf; include none.conf; include /etc/nginx/sites/[ab]*; z; }",
        );
        write("conf.d/b.conf", "b;");
        write("conf.d/a.conf", "a;\ninclude conf.d/c.part;");
        write("conf.d/c.part", "\nc;");
        let path = folder.path().join("nginx.conf");
        let read = Reader::of(&path).read(&path).unwrap();
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
                "nginx.conf:1 include /etc/nginx/sites/[ab]*",
                "nginx.conf:1 z ",
            ]
        );
        write("nginx.conf", "include nginx.conf;");
        assert!(matches!(
            Reader::of(&path).read(&path),
            Err(ImportError::TooMuch(_))
        ));
    }
}
