//! The one error type that crosses to Python.

use std::fmt;

/// What went wrong: a stable `code`, the `place` (file:line:column, a path, an owner, an
/// address) and one line for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub code: &'static str,
    pub place: Option<String>,
    pub message: String,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, place: None, message: message.into() }
    }

    pub fn at(code: &'static str, place: impl fmt::Display, message: impl Into<String>) -> Self {
        Self { code, place: Some(place.to_string()), message: message.into() }
    }

    /// An I/O error with the path it happened at.
    pub fn io(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::at("io", path.display(), error.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Error {}
