//! ZoneStore: a directory that keeps one zone's versions.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use zoneward_core::disk::Store;

use crate::errors;
use crate::zone::{PyDiff, PyZone};

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ZoneStore>()
}

/// A directory with one zone's snapshot and the journal of differences since.
#[pyclass(frozen, module = "engine._native")]
struct ZoneStore(Mutex<Store>);

impl ZoneStore {
    /// A panic inside leaves a store that reads its files again.
    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl ZoneStore {
    #[new]
    fn new(py: Python<'_>, directory: PathBuf) -> PyResult<Self> {
        errors::detached(py, || Store::new(&directory)).map(|store| Self(Mutex::new(store)))
    }

    fn load(&self, py: Python<'_>) -> PyResult<Option<PyZone>> {
        let zone = errors::detached(py, || self.store().load())?;
        Ok(zone.map(PyZone::from))
    }

    fn append(&self, py: Python<'_>, diff: &PyDiff) -> PyResult<()> {
        errors::detached(py, || self.store().append(&diff.0))
    }

    fn replace(&self, py: Python<'_>, zone: &PyZone) -> PyResult<()> {
        errors::detached(py, || self.store().replace(&zone.0))
    }

    fn history(&self, py: Python<'_>, serial: u32) -> PyResult<Option<Vec<PyDiff>>> {
        let diffs = errors::detached(py, || self.store().history(serial))?;
        Ok(diffs.map(|diffs| diffs.into_iter().map(PyDiff::from).collect()))
    }

    fn journal_bytes(&self, py: Python<'_>) -> PyResult<u64> {
        errors::detached(py, || self.store().journal_bytes())
    }
}
