//! Verification of whole zones as Python sees it.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use zoneward_core::verify::{self, Memory, Options};

use crate::errors;
use crate::zone::PyZone;

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Failure>()?;
    module.add_class::<Report>()?;
    module.add_class::<VerifyMemory>()?;
    module.add_function(wrap_pyfunction!(verify_zone, module)?)
}

/// One reason why a validator would refuse something.
#[pyclass(frozen, module = "engine._native")]
#[derive(Clone)]
struct Failure(verify::Failure);

#[pymethods]
impl Failure {
    #[getter]
    fn owner<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.owner.wire())
    }

    #[getter]
    fn rtype(&self) -> u16 {
        self.0.rtype
    }

    #[getter]
    fn code(&self) -> &'static str {
        self.0.code.text()
    }

    #[getter]
    fn message(&self) -> &str {
        &self.0.message
    }

    fn __str__(&self) -> String {
        let what = zoneward_core::rdata::type_name(self.0.rtype);
        format!("{} {what}: {}", self.0.owner, self.0.message)
    }

    fn __repr__(&self) -> String {
        format!("<Failure {}: {}>", self.0.code.text(), self.__str__())
    }
}

/// What a verification found.
#[pyclass(frozen, get_all, module = "engine._native")]
struct Report {
    failures: Vec<Failure>,
    failure_count: usize,
    verified: usize,
    remembered: usize,
    earliest_expiration: Option<u32>,
}

#[pymethods]
impl Report {
    fn __repr__(&self) -> String {
        let (failures, verified) = (self.failure_count, self.verified);
        format!("<Report: {failures} failures, {verified} signatures verified>")
    }
}

/// Digests of signatures that verified once; a file that is only a hint.
#[pyclass(frozen, module = "engine._native")]
struct VerifyMemory {
    path: Option<PathBuf>,
    memory: Mutex<Memory>,
}

impl VerifyMemory {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl VerifyMemory {
    #[new]
    #[pyo3(signature = (path = None))]
    fn new(py: Python<'_>, path: Option<PathBuf>) -> PyResult<Self> {
        let memory = errors::detached(py, || {
            Ok(path.as_deref().map_or_else(Memory::default, Memory::load))
        })?;
        Ok(Self { path, memory: Mutex::new(memory) })
    }

    /// Nothing to do without a path.
    fn save(&self, py: Python<'_>) -> PyResult<()> {
        let Some(path) = &self.path else { return Ok(()) };
        errors::detached(py, || self.memory().save(path))
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        errors::detached(py, || Ok(self.memory().len()))
    }
}

#[pyfunction(name = "verify")]
#[pyo3(signature = (
    zone, *, at, ds = vec![], memory = None, since = None, max_failures = 100, threads = 0
))]
#[allow(clippy::too_many_arguments)] // Python's keywords, one by one.
fn verify_zone(
    py: Python<'_>,
    zone: &PyZone,
    at: u32,
    ds: Vec<Vec<Vec<u8>>>,
    memory: Option<&VerifyMemory>,
    since: Option<&PyZone>,
    max_failures: usize,
    threads: usize,
) -> PyResult<Report> {
    let options = Options { at, ds, max_failures, threads };
    let since = since.map(|zone| &*zone.0);
    let report = errors::detached(py, || {
        let mut memory = memory.map(VerifyMemory::memory);
        verify::verify(&zone.0, &options, memory.as_deref_mut(), since)
    })?;
    Ok(Report {
        failures: report.failures.into_iter().map(Failure).collect(),
        failure_count: report.failure_count,
        verified: report.verified,
        remembered: report.remembered,
        earliest_expiration: report.earliest_expiration,
    })
}
