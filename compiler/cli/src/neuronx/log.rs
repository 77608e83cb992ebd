//! Levels, and the log file in the form that people grep for.

use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

/// A level with the numbers of Python's `logging`; 35 is the one of the frameworks: dots and the final status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(pub u32);

impl Level {
    /// What a debugger wants.
    pub const DEBUG: Level = Level(10);
    /// What happens.
    pub const INFO: Level = Level(20);
    /// What should be changed.
    pub const WARNING: Level = Level(30);
    /// The status of the compilation.
    pub const USER: Level = Level(35);
    /// What stops the compilation.
    pub const ERROR: Level = Level(40);

    /// A name in any case, or a number.
    pub fn from_name(name: &str) -> Option<Level> {
        match name.to_ascii_lowercase().as_str() {
            "debug" => Some(Level::DEBUG),
            "info" => Some(Level::INFO),
            "warning" => Some(Level::WARNING),
            "user" => Some(Level::USER),
            "error" => Some(Level::ERROR),
            "critical" => Some(Level(50)),
            number => number.parse().ok().map(Level),
        }
    }

    fn name(self) -> &'static str {
        match self.0 {
            0..=10 => "DEBUG",
            11..=20 => "INFO",
            21..=30 => "WARNING",
            31..=39 => "USER",
            _ => "ERROR",
        }
    }
}

/// The log file. A log that cannot be written never stops a compilation.
pub struct Log {
    file: Option<std::fs::File>,
    level: Level,
}

impl Log {
    /// Opens `path` for appending, as the wrapped tool does.
    pub fn open(path: &Path, level: Level) -> Log {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path).ok();
        Log { file, level }
    }

    /// Adds one line.
    pub fn line(&mut self, level: Level, text: &str) {
        if level < self.level {
            return;
        }
        if let Some(file) = &mut self.file {
            let (name, pid) = (level.name(), std::process::id());
            // A full disk is the client's to notice when the NEFF is written.
            let _ = writeln!(file, "{} {name} {pid} [ferrite.driver]: {text}", utc_now());
        }
    }
}

/// The time as `2024-08-15T14:01:19Z`.
pub fn utc_now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_time_level_and_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.txt");
        let mut log = Log::open(&path, Level::INFO);
        log.line(Level::DEBUG, "hidden");
        log.line(Level::USER, "Compiler status PASS");
        let text = std::fs::read_to_string(&path).unwrap();
        let words: Vec<&str> = text.trim().splitn(5, ' ').collect();
        assert_eq!(text.lines().count(), 1);
        assert!(words[0].ends_with('Z') && words[0].len() == 20);
        assert_eq!((words[1], words[3]), ("USER", "[ferrite.driver]:"));
    }

    #[test]
    fn a_log_that_cannot_be_written_is_no_error() {
        Log::open(Path::new("/no/such/folder/log.txt"), Level::INFO).line(Level::ERROR, "x");
    }

    #[test]
    fn levels_are_names_in_any_case_or_numbers() {
        assert_eq!(Level::from_name("Warning"), Some(Level::WARNING));
        assert_eq!(Level::from_name("35"), Some(Level::USER));
        assert_eq!(Level::from_name("loud"), None);
    }
}
