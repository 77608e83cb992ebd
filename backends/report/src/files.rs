//! The usual files of a profile, each written whole or not at all.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ferrite_ir::diag::{Code, Diagnostic};
use ferrite_neff::whole;

use crate::figure::Figure;
use crate::html;
use crate::profile::Profile;
use crate::summary::Summary;
use crate::trace;

/// Where [`write_all`] put what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The figures of the run, as JSON.
    pub summary: PathBuf,
    /// The timeline for ui.perfetto.dev.
    pub trace: PathBuf,
    /// All of it as one page.
    pub html: PathBuf,
    /// Utilisation over time.
    pub svg: PathBuf,
    /// The same as pixels.
    pub png: PathBuf,
}

/// Writes `summary.json`, `trace.json`, `report.html`, `timeline.svg` and `timeline.png` into `folder`, which is made if it is not
/// there. Fails if a file cannot be written.
pub fn write_all(profile: &Profile, folder: &Path) -> Result<Written, Diagnostic> {
    std::fs::create_dir_all(folder).map_err(|e| failure(folder, &e))?;
    let written = Written {
        summary: folder.join("summary.json"),
        trace: folder.join("trace.json"),
        html: folder.join("report.html"),
        svg: folder.join("timeline.svg"),
        png: folder.join("timeline.png"),
    };
    let figure = Figure::new(profile);
    write(&written.summary, |out| {
        serde_json::to_writer_pretty(&mut *out, &Summary::new(profile))?;
        out.write_all(b"\n")
    })?;
    write(&written.trace, |out| trace::write(profile, out))?;
    write(&written.html, |out| out.write_all(html::page(profile).as_bytes()))?;
    write(&written.svg, |out| out.write_all(figure.svg().as_bytes()))?;
    write(&written.png, |out| figure.png(out))?;
    Ok(written)
}

/// Writes a file by way of a temporary one beside it.
fn write(path: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Diagnostic> {
    whole::write(path, |out| content(out)).map_err(|e| failure(path, &e))
}

fn failure(path: &Path, error: &io::Error) -> Diagnostic {
    Diagnostic::error(Code::Io, format!("`{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::example;

    #[test]
    fn the_folder_holds_five_files_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        let written = write_all(&example(), &inner).unwrap();
        let summary: serde_json::Value = serde_json::from_slice(&std::fs::read(written.summary).unwrap()).unwrap();
        assert_eq!(summary["latency_us"], 2.0);
        assert_eq!(std::fs::read_dir(inner).unwrap().count(), 5);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(
            write_all(&example(), &file.path().join("x")).unwrap_err().code,
            Code::Io
        );
    }
}
